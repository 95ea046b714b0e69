"""The recipient's checks of the act that came with a case, and what ties it to its token (protocol §5)."""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta
from typing import Final, NoReturn, Protocol

from cordee.act.facts import RecipientFacts, is_named
from cordee.act.form import Act, Path, parse_act
from cordee.act.limits import NO_LIMITS, ActLimits
from cordee.errors import N_, ActRefused, InvalidRecord
from cordee.frame import Label, blake2b_256

__all__ = ["NONCE_SIZE", "TokenFacts", "check_act", "commitment"]

NONCE_SIZE: Final = 32
_SKEW: Final = timedelta(minutes=5)  # protocol §3


class TokenFacts(Protocol):
    """What is asked of a consent token (`cordee.statements.Token`)."""

    @property
    def not_before(self) -> datetime:
        """From when it holds."""

    @property
    def expires(self) -> datetime:
        """From when it does not hold any more."""

    @property
    def commitment(self) -> bytes:
        """To the act, under a nonce."""


def commitment(act: bytes, nonce: bytes) -> bytes:
    """BLAKE2b-256 of `frame(label, nonce, act)`: fixes the act and tells nothing of it.

    Raises: ValueError if the nonce has not 32 bytes.
    """
    if len(nonce) != NONCE_SIZE:
        raise ValueError("the nonce of a commitment has 32 bytes")
    return blake2b_256(Label.ACT, nonce, act)


def check_act(
    act_bytes: bytes,
    nonce: bytes,
    *,
    token: TokenFacts,
    purpose: str,
    sender_org: str,
    recipient: RecipientFacts,
    now: datetime,
    named: RecipientFacts | None = None,
    limits: ActLimits = NO_LIMITS,
) -> Act:
    """Check the act of a shipment before anything of it is imported; `recipient` is our own association.

    The commitment opens; the token lies within the act's times, and these are not over; it is about this purpose and
    names us; we are bound by secrecy where its basis asks for it. That token and manifest name these two parties is
    checked with the statements; an act names no sender. Its sections: see `cordee.case.check_scope`.

    `named`: the association that the act has to name, where it is not us: in an update that comes back to us under an
    act of our own, the sender. That it is our own act is the caller's to check.

    `limits`: what the network's policy allows less of.

    Raises: ActRefused.
    """
    if len(nonce) != NONCE_SIZE or not hmac.compare_digest(commitment(act_bytes, nonce), token.commitment):
        _refuse(N_("it is not the act that the token commits to"))
    try:
        act = parse_act(act_bytes)
    except InvalidRecord as error:
        facts = error.facts | {"problem": N_("its form is wrong, at {path}: {wrong}"), "wrong": error.facts["problem"]}
        raise ActRefused(**facts) from error
    if act.kind == "refusal" or act.status not in ("active", "used"):
        _refuse(N_("it allows nothing"))
    if not act.valid_from - _SKEW <= token.not_before or not token.expires <= act.valid_until:
        _refuse(N_("its times and those of the token do not agree"))
    if now < act.valid_from - _SKEW or now >= act.valid_until:
        _refuse(N_("it is not in force"))
    if now >= limits.end_of(act):
        _refuse(N_("it is older than the network's policy allows"))
    if purpose not in act.purposes:
        _refuse(N_("it is for another purpose"))
    if sender_org == recipient.org_id or not is_named(act, named or recipient):
        _refuse(N_("it does not name this association"))
    if act.path is Path.SHARED_SECRECY and not recipient.bound_by_secrecy:
        _refuse(N_("its legal basis asks for a recipient bound by professional secrecy"))
    if act.path is Path.SHARED_SECRECY and 6 in limits.closed:
        _refuse(N_("this network does not share on professional secrecy alone"))
    return act


def _refuse(problem: str) -> NoReturn:
    raise ActRefused(problem=problem)
