"""Drafts as pages use them: one that waits for this form, and what was typed when a session had ended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from starlette.datastructures import FormData
from starlette.requests import Request

from cordee.errors import CordeeError
from cordee.web.request import is_own_form
from node import drafts, people
from node.web.access import check
from node.web.visit import Visit, cookie_name

if TYPE_CHECKING:
    from node.app import Node

__all__ = ["KEY", "Waiting", "fields_of_form", "keep_after_end", "waiting"]

KEY = "draft_key"
"""The hidden field that says which form it is."""

_OURS = frozenset({"form_token", KEY})
_MANY_FIELDS = 2000
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Waiting:
    """A draft of a form. `form` is what was typed; `taken` whether the person has asked to see it.

    `here` is the page with its query, `link` the same with the draft in the form.
    """

    key: str
    saved_at: datetime
    form: FormData
    taken: bool
    here: str
    link: str


async def waiting(visit: Visit, key: str) -> Waiting | None:
    """This person's draft of a form, to be shown above it; with `?draft=1` its fields fill the form."""
    node, now = visit.node, visit.node.clock.now()
    found = await node.db.read(lambda tx: drafts.read(tx, node.vault, visit.handler.account_id, key, now=now))
    if found is None:
        return None
    url = visit.request.url
    return Waiting(
        key=key,
        saved_at=found.saved_at,
        form=FormData(list(found.fields)),
        taken=visit.request.query_params.get("draft") == "1",
        here=f"{url.path}?{url.query}" if url.query else url.path,
        link=f"?{url.include_query_params(draft=1).query}",
    )


def fields_of_form(form: FormData) -> Iterable[tuple[str, str]]:
    """What a draft keeps of a form: all but our own fields."""
    return tuple((name, value) for name, value in form.multi_items() if name not in _OURS and isinstance(value, str))


async def keep_after_end(node: Node, request: Request, route: str, *, secure: bool) -> bool:
    """Keep what somebody sent whose session has just ended; whether it is kept.

    Only for whoever held that session until a short while ago, could use that page, and got the form from us.
    """
    token = request.cookies.get(cookie_name(secure=secure), "")
    if not token or request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        return False
    now = node.clock.now()
    holder = await node.db.read(lambda tx: people.ended_lately(tx, node.vault, token, now=now))
    if holder is None:
        return False
    async with request.form(max_files=0, max_fields=_MANY_FIELDS) as form:
        key = str(form.get(KEY, ""))
        if not key or not is_own_form(token, str(form.get("form_token", ""))):
            return False
        fields = fields_of_form(form)
    try:
        check(holder, route)
        await node.db.write(lambda tx: drafts.keep(tx, node.vault, holder.account_id, key, fields, now=now))
    except CordeeError:
        return False
    return True
