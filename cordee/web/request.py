"""What a request tells, whoever makes it: in which language, whether a form is ours, and where a link may lead."""

from __future__ import annotations

import hashlib
import hmac
from typing import Protocol

from starlette.requests import Request

from cordee.errors import CordeeError, NothingLeft, StorageFull
from cordee.runtime.texts import LANGUAGES

__all__ = [
    "LANGUAGE_COOKIE",
    "ForgedForm",
    "HasFormToken",
    "form_token",
    "inside",
    "is_own_form",
    "language_for",
    "require_own_form",
    "status_of",
]

LANGUAGE_COOKIE = "language"
_FORM_SIZE = 16
_STATUS = {
    "INVALID_ARGUMENT": 422,
    "NOT_FOUND": 404,
    "PERMISSION_DENIED": 403,
    "UNAUTHENTICATED": 401,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "FAILED_PRECONDITION": 409,
    "RESOURCE_EXHAUSTED": 429,
    "UNAVAILABLE": 503,
}


class ForgedForm(CordeeError):
    """A form that this session did not get from us."""

    status = "PERMISSION_DENIED"


class HasFormToken(Protocol):
    """A visit, or somebody on the way in."""

    @property
    def form_token(self) -> str:
        """What the form must bring back."""


def form_token(session: str) -> str:
    """The token of a session's forms; it tells nothing of the session's own."""
    return hashlib.blake2b(b"cordee/web/form", key=session.encode()[:64], digest_size=_FORM_SIZE).hexdigest()


def require_own_form(visit: HasFormToken, given: str) -> None:
    """Raises ForgedForm."""
    if not _is_same(given, visit.form_token):
        raise ForgedForm()


def is_own_form(session: str, given: str) -> bool:
    """Whether this session got the form from us, also where the session has ended."""
    return _is_same(given, form_token(session))


def _is_same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())


def inside(path: str | None) -> str:
    """A path of this site, or nothing: a link must not lead elsewhere after signing in."""
    if not path or not path.startswith("/") or path.startswith("//") or "\\" in path or any(ord(c) < 33 for c in path):
        return ""
    return path[:500]


def language_for(request: Request) -> str:
    """What the person chose, else the first of their browser's languages that we have; French otherwise."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    if chosen in LANGUAGES:
        return str(chosen)
    wanted = (
        each.partition(";")[0].strip()[:2].lower() for each in request.headers.get("accept-language", "").split(",")
    )
    return next((each for each in wanted if each in LANGUAGES), "fr")


def status_of(refused: CordeeError) -> int:
    """The status of the answer that tells an error."""
    if isinstance(refused, StorageFull | NothingLeft):
        return 503  # what is used up is ours: nobody asked too much
    return _STATUS.get(refused.status, 500)
