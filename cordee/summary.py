"""The sealed texts of a transfer: what the two associations tell each other and the directory never reads.

Five texts: the summary of an offer, the sections taken, the reason of a refusal, the report of an erasure, and the
content key. Each is bound by HPKE's `info` to the network, the transfer, both parties and the statement it answers, so
that none can be lifted into another place; each but the key fills one bucket of fixed size, so that its length says
nothing (protocol §5, §6). Sealing draws randomness of its own (encapsulation).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from google.protobuf.message import Message

from cordee.content import KEY_SIZE
from cordee.errors import N_, InvalidInput, MalformedStatement, OutOfScope, Problem
from cordee.frame import Label, frame
from cordee.ids import Digest, MemberId, NetworkId, TransferId
from cordee.sealing import OVERHEAD, SealingKey, SealingPublicKey, open_padded, open_sealed, seal, seal_padded
from cordee.signing import parse_message
from cordee.v1 import statements_pb2 as v1

__all__ = [
    "DECLINE_REASONS",
    "KEEPING_REASONS",
    "KINDS",
    "REASON_TEXT_LIMIT",
    "RECEIPT_REASONS",
    "RETURN_REASONS",
    "SEALED_CONTENT_KEY_SIZE",
    "SEALED_REASON_SIZE",
    "SEALED_REPORT_SIZE",
    "SEALED_SECTIONS_SIZE",
    "SEALED_SUMMARY_SIZE",
    "Parties",
    "Reason",
    "Report",
    "open_content_key",
    "open_reason",
    "open_report",
    "open_sections",
    "open_summary",
    "seal_content_key",
    "seal_reason",
    "seal_report",
    "seal_sections",
    "seal_summary",
    "transcript",
]

SUMMARY_BUCKET = 2048
REASON_BUCKET = 4096
SECTIONS_BUCKET = 1024
REPORT_BUCKET = 1024
SEALED_SUMMARY_SIZE = SUMMARY_BUCKET + OVERHEAD
SEALED_REASON_SIZE = REASON_BUCKET + OVERHEAD
SEALED_SECTIONS_SIZE = SECTIONS_BUCKET + OVERHEAD
SEALED_REPORT_SIZE = REPORT_BUCKET + OVERHEAD
SEALED_CONTENT_KEY_SIZE = KEY_SIZE + OVERHEAD
REASON_TEXT_LIMIT = 2000
"""Characters of a reason's text; in bytes it must fit its bucket."""

KINDS = ("transfer", "referral", "update")
_LENGTH_PREFIX = 4
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_LIST_LIMIT = 32
_SHORT, _LONG = 64, 800  # characters: words and codes; the constraints, in a handler's words

M = TypeVar("M", bound=Message)


DECLINE_REASONS = {
    "no_capacity": N_("no free place or no capacity at present"),
    "outside_territory": N_("outside our territory"),
    "outside_age": N_("outside the ages that we accompany"),
    "outside_criteria": N_("outside our other criteria"),
    "conflict": N_("a conflict with someone we already accompany"),
    "other": N_("another reason"),
}
"""Why an offer is declined: a closed list, each with its text."""

RECEIPT_REASONS = {
    "damaged": N_("the content was damaged or incomplete"),
    "out_of_scope": N_("something lay outside what the act covers"),
    "act_refused": N_("the act behind it was not valid"),
    "invalid_record": N_("the case did not have the expected form"),
    "over": N_("the transfer was already over on the receiving side"),
    "other": N_("another reason"),
}
"""Why a receiving machine refuses what came, whole."""

KEEPING_REASONS = {
    "legal_obligation": N_("the law obliges us to keep it"),
    "legal_claims": N_("it is needed to establish or defend a right in court"),
    "other": N_("another reason"),
}
"""Why a recipient keeps what it is asked to erase (RGPD article 17(3))."""


RETURN_REASONS = {
    "wrong_recipient": N_("it was meant for another association"),
    "no_capacity": DECLINE_REASONS["no_capacity"],
    "outside_territory": DECLINE_REASONS["outside_territory"],
    "outside_age": DECLINE_REASONS["outside_age"],
    "outside_criteria": DECLINE_REASONS["outside_criteria"],
    "conflict": DECLINE_REASONS["conflict"],
    "minor_refuses": N_("the minor does not want to be accompanied by us"),
    "other": N_("another reason"),
}
"""Why what was received is erased unasked: it is not for those who received it."""


@dataclass(frozen=True, slots=True)
class Parties:
    """The four facts that every statement and every sealed text of one transfer is bound to."""

    network: NetworkId
    transfer_id: TransferId
    sender: MemberId
    recipient: MemberId


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something was refused: a code of a closed list, and a person's own words, if any."""

    code: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What a recipient erased, and when."""

    erased: tuple[str, ...]
    time: datetime


def seal_summary(summary: v1.Summary, *, parties: Parties, to: SealingPublicKey) -> bytes:
    """Seal the capacity query of an offer to the recipient's card. It names nobody.

    Raises: InvalidInput where a field breaks its bound, or all together do not fit.
    """
    problem = _summary_problem(summary)
    if problem:
        raise InvalidInput(field=f"summary.{problem.path}", problem=problem.problem, **dict(problem.facts))
    return _seal(summary, "summary", Label.SEALED_SUMMARY, parties, None, SUMMARY_BUCKET, to)


def open_summary(sealed: bytes, *, parties: Parties, key: SealingKey) -> v1.Summary:
    """Open an offer's summary. Raises: CannotOpen, MalformedStatement."""
    summary = _open(sealed, v1.Summary, Label.SEALED_SUMMARY, parties, None, SUMMARY_BUCKET, key)
    problem = _summary_problem(summary)
    if problem:
        raise MalformedStatement(
            what=N_("Summary"),
            problem=N_("its field {field} is wrong: {wrong}"),
            field=problem.path,
            wrong=problem.problem,
            **dict(problem.facts),
        )
    return summary


def seal_sections(sections: Iterable[str], *, parties: Parties, offer: Digest, to: SealingPublicKey) -> bytes:
    """Seal the names of the sections that the recipient takes, to the sender's card. Raises: InvalidInput."""
    names = tuple(sections)
    if not _are_names(names):
        raise InvalidInput(field="sections", problem=N_("each is named once, by its technical name"))
    message = v1.SectionsTaken(sections=names)
    return _seal(message, "sections", Label.SEALED_SECTIONS, parties, offer, SECTIONS_BUCKET, to)


def open_sections(
    sealed: bytes, *, parties: Parties, offer: Digest, key: SealingKey, offered: Collection[str]
) -> tuple[str, ...]:
    """The sections taken, which are among those offered.

    Raises: OutOfScope for one that was not offered; CannotOpen, MalformedStatement.
    """
    taken = _open(sealed, v1.SectionsTaken, Label.SEALED_SECTIONS, parties, offer, SECTIONS_BUCKET, key)
    names = tuple(taken.sections)
    if not _are_names(names):
        raise MalformedStatement(what=N_("SectionsTaken"), problem=N_("the names are not well formed"))
    for name in names:
        if name not in offered:
            raise OutOfScope(item=name)
    return names


def seal_reason(
    reason: Reason, *, codes: Collection[str], parties: Parties, about: Digest, to: SealingPublicKey
) -> bytes:
    """Seal a reason to the sender's card. `about` is the digest of what is refused, `codes` the closed list in use.

    Raises: InvalidInput for a code that is not on the list, or a text that is too long.
    """
    if reason.code not in codes:
        raise InvalidInput(field="reason", problem=N_("it must be one of {options}"), options=", ".join(codes))
    if len(reason.text) > REASON_TEXT_LIMIT:
        raise InvalidInput(
            field="reason_text", problem=N_("it is longer than {limit} characters"), limit=REASON_TEXT_LIMIT
        )
    message = v1.Reason(code=reason.code, text=reason.text)
    return _seal(message, "reason_text", Label.SEALED_REASON, parties, about, REASON_BUCKET, to)


def open_reason(sealed: bytes, *, codes: Collection[str], parties: Parties, about: Digest, key: SealingKey) -> Reason:
    """Raises: CannotOpen; MalformedStatement for a code that is not on the list, or a text that is too long."""
    message = _open(sealed, v1.Reason, Label.SEALED_REASON, parties, about, REASON_BUCKET, key)
    if message.code not in codes or len(message.text) > REASON_TEXT_LIMIT:
        raise MalformedStatement(what=N_("Reason"), problem=N_("the code is unknown or the text too long"))
    return Reason(code=message.code, text=message.text)


def seal_report(report: Report, *, parties: Parties, about: Digest, to: SealingPublicKey) -> bytes:
    """Seal what was erased (names of sections, "attachments") to the sender's card. `about` is the digest of the
    withdrawal that asked for it, or of the shipment that is returned unasked. Raises: InvalidInput.
    """
    if not _are_names(report.erased):
        raise InvalidInput(field="erased", problem=N_("each is named once, by its technical name"))
    message = v1.ErasureReport(erased=report.erased)
    message.time.FromDatetime(report.time)
    return _seal(message, "erased", Label.SEALED_REPORT, parties, about, REPORT_BUCKET, to)


def open_report(sealed: bytes, *, parties: Parties, about: Digest, key: SealingKey) -> Report:
    """Raises: CannotOpen, MalformedStatement."""
    message = _open(sealed, v1.ErasureReport, Label.SEALED_REPORT, parties, about, REPORT_BUCKET, key)
    if not message.HasField("time") or not _are_names(message.erased):
        raise MalformedStatement(what=N_("ErasureReport"), problem=N_("it is not complete"))
    try:
        time = message.time.ToDatetime(tzinfo=UTC)
    except ValueError as error:
        raise MalformedStatement(what=N_("ErasureReport"), problem=N_("the time is out of range")) from error
    return Report(erased=tuple(message.erased), time=time)


def transcript(offer: Digest, answer: Digest) -> bytes:
    """What content key and content are bound to: the digests of the offer and of its answer (protocol §6)."""
    return frame(Label.TRANSCRIPT, offer, answer)


def seal_content_key(key: bytes, *, to: SealingPublicKey, offer: Digest, answer: Digest) -> bytes:
    """Seal a shipment's content key to the one-time key of its acceptance. Raises: ValueError."""
    if len(key) != KEY_SIZE:
        raise ValueError("a content key has 32 bytes")
    return seal(key, to=to, info=frame(Label.CONTENT_KEY, transcript(offer, answer)))


def open_content_key(sealed: bytes, *, key: SealingKey, offer: Digest, answer: Digest) -> bytes:
    """The content key of a shipment. Raises: CannotOpen; MalformedStatement where it has not 32 bytes."""
    content_key = open_sealed(
        sealed, key=key, info=frame(Label.CONTENT_KEY, transcript(offer, answer)), what=N_("The content key")
    )
    if len(content_key) != KEY_SIZE:
        raise MalformedStatement(what=N_("Shipment"), problem=N_("the content key has not 32 bytes"))
    return content_key


def _info(label: Label, parties: Parties, about: Digest | None) -> bytes:
    return frame(label, parties.network, parties.transfer_id, parties.sender, parties.recipient, about or b"")


def _seal(
    message: Message, name: str, label: Label, parties: Parties, about: Digest | None, bucket: int, to: SealingPublicKey
) -> bytes:
    data = message.SerializeToString(deterministic=True)
    if len(data) > bucket - _LENGTH_PREFIX:
        raise InvalidInput(
            field=name, problem=N_("it is too long by {surplus} bytes"), surplus=len(data) - bucket + _LENGTH_PREFIX
        )
    return seal_padded(data, to=to, info=_info(label, parties, about), bucket=bucket)


def _open(
    sealed: bytes,
    message_class: type[M],
    label: Label,
    parties: Parties,
    about: Digest | None,
    bucket: int,
    key: SealingKey,
) -> M:
    what = message_class.DESCRIPTOR.name
    data = open_padded(sealed, key=key, info=_info(label, parties, about), bucket=bucket, what=what)
    return parse_message(data, message_class, max_size=bucket)


def _are_names(names: Collection[str]) -> bool:
    return len(names) <= _LIST_LIMIT and len(set(names)) == len(names) and all(_NAME.fullmatch(name) for name in names)


def _summary_problem(summary: v1.Summary) -> Problem | None:
    """The field that breaks a bound of form, and how. What may stand in it by content is the case model's to say."""
    if summary.kind not in KINDS:
        return Problem.of("kind", N_("it must be one of {options}"), options=", ".join(KINDS))
    if not _NAME.fullmatch(summary.purpose):
        return Problem("purpose", N_("it is no purpose's name"))
    if not _are_names(summary.sections):
        return Problem("sections", N_("each is named once, by its technical name"))
    if (summary.kind == "update") != bool(summary.first_transfer_id):
        return Problem("first_transfer_id", N_("an update names the first transfer, and nothing else does"))
    if summary.first_transfer_id and len(summary.first_transfer_id) != TransferId.length:
        return Problem.of("first_transfer_id", N_("it has not {expected} bytes"), expected=TransferId.length)
    for field in ("need", "departement", "gender", "urgency", "risk_level"):
        if len(getattr(summary, field)) > _SHORT:
            return Problem.of(field, N_("it is longer than {limit} characters"), limit=_SHORT)
    if len(summary.constraints) > _LONG:
        return Problem.of("constraints", N_("it is longer than {limit} characters"), limit=_LONG)
    if len(summary.languages) > _LIST_LIMIT or any(len(language) > _SHORT for language in summary.languages):
        return Problem.of("languages", N_("there are more than {limit}, or one is too long"), limit=_LIST_LIMIT)
    return None
