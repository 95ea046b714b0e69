"""Passwords: what is kept of them, and the same work for an account that does not exist."""

from __future__ import annotations

import unicodedata

import nacl.exceptions
import nacl.pwhash

from cordee.errors import N_, InvalidInput

__all__ = ["LONGEST", "SHORTEST", "check_password", "hash_password", "is_password"]

SHORTEST = 12  # characters
LONGEST = 1024

# Argon2id (RFC 9106), one lane, 19 MiB as OWASP's password storage page has it, with twice its passes: the node hashes
# while it serves, and must fit into a small machine's 150 MiB.
_OPSLIMIT = 4
_MEMLIMIT = 19 * 1024 * 1024

# Of 32 random bytes that nobody kept, with the limits above: compared with where there is no account.
_NOBODY = "$argon2id$v=19$m=19456,t=4,p=1$pSApproiCZ/8PaTbLD5FQg$qQwIgoENjvepsHb3JCVoY16a4nOS0fL2gG4pgdC2ewc"


def check_password(password: str) -> None:
    """Raises InvalidInput where a new password is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidInput(
            field="password",
            problem=N_("it needs {minimum} to {maximum} characters"),
            minimum=SHORTEST,
            maximum=LONGEST,
        )


def hash_password(password: str) -> str:
    """The string to keep: Argon2id with its parameters and a salt that PyNaCl draws. Raises InvalidInput."""
    check_password(password)
    return nacl.pwhash.argon2id.str(_bytes(password), opslimit=_OPSLIMIT, memlimit=_MEMLIMIT).decode("ascii")


def is_password(kept: str | None, password: str) -> bool:
    """Whether this is the password. Without an account (None) it takes the same time, and is False."""
    try:
        right = nacl.pwhash.argon2id.verify((kept or _NOBODY).encode("ascii"), _bytes(password[: LONGEST + 1]))
    except nacl.exceptions.InvalidkeyError:
        return False
    return right and kept is not None


def _bytes(password: str) -> bytes:
    """The same bytes whatever the keyboard composed: é as one character or as two."""
    return unicodedata.normalize("NFKC", password).encode(errors="surrogatepass")
