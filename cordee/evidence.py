"""What a file of evidence shows, and what it does not, in words and in facts: the same on every screen.

Four kinds: the proof of a transfer, an erasure receipt (a proof that ends with the erasure), what machines were shown
of the roster (`cordee.views`), a whole journal (`cordee.journal`). docs/evidence.md tells the same at length.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from cordee.checkpoint import Checkpoint
from cordee.errors import N_, CordeeError, EvidenceInconclusive, IntegrityFailure, ProofRefused, WrongNetwork
from cordee.ids import NetworkId
from cordee.journal import JournalFile, verify_file
from cordee.proof import ProofReport
from cordee.proof import verify as verify_proof
from cordee.transfer import Kind, State
from cordee.views import Seen, Verdict, ViewsReport, judge

__all__ = ["Finding", "Said", "Sort", "judge_journal", "judge_transfer", "judge_views", "said_of_views"]


class Sort(StrEnum):
    """Which kind of evidence."""

    TRANSFER = "transfer"
    ERASURE = "erasure"
    VIEWS = "roster"
    JOURNAL = "journal"


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence: a marked text, and the facts that go into it."""

    message: str
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Finding:
    """Evidence that holds."""

    sort: Sort
    shows: tuple[Said, ...]
    shows_not: tuple[Said, ...]
    facts: Mapping[str, Any]
    """For programs; ids in hexadecimal, times in ISO 8601."""


def judge_transfer(proof: bytes, *, network: NetworkId) -> Finding:
    """The proof of a transfer, or an erasure receipt. Raises: IntegrityFailure of some kind where it does not hold."""
    with _Refusing():
        report = verify_proof(proof, network=network)
    erasure = report.erased is not None
    shows = [Said(_OUTCOMES[report.outcome], {"sender": report.sender.short, "recipient": report.recipient.short})]
    if erasure:
        time = next(_told(step.time) for step in report.steps if step.kind is Kind.ERASURE)
        shows.append(Said(_ERASED if report.erased else _KEPT, {"recipient": report.recipient.short, "time": time}))
    shows_not = [*((_COPIES, _REPORT) if erasure else ()), _CONTENT, _LATER, _CLOCKS]
    return Finding(Sort.ERASURE if erasure else Sort.TRANSFER, tuple(shows), _plain(shows_not), _transfer_facts(report))


def judge_views(files: Sequence[bytes], *, network: NetworkId) -> Finding:
    """Files of evidence about the roster, together.

    Raises: EvidenceInconclusive where nothing can be concluded; IntegrityFailure of some kind where one does not hold.
    """
    with _Refusing():
        report = judge(files, network=network)
    if report.verdict is Verdict.UNPROVEN:
        raise EvidenceInconclusive()
    shows_not = [_WHOSE, _WHICH, _WITHHELD] if report.verdict in (Verdict.FORK, Verdict.ROLLBACK) else [_WITHHELD]
    if report.verdict is Verdict.FORGED:
        shows_not.insert(0, _WHOSE)
    return Finding(Sort.VIEWS, said_of_views(report), _plain(shows_not), _views_facts(report))


def judge_journal(lines: Iterable[bytes], *, network: NetworkId) -> Finding:
    """A whole journal, line by line. Raises: IntegrityFailure of some kind where it does not hold."""
    with _Refusing():
        report = verify_file(lines, network=network)
    facts = {
        "member": report.member.short,
        "lines": str(report.lines),
        "signatures": str(report.signatures),
        "begins": _told(datetime.fromisoformat(report.begins)),
        "ends": _told(datetime.fromisoformat(report.ends)),
    }
    return Finding(Sort.JOURNAL, (Said(_JOURNAL, facts),), _plain([_CUT, _UNSAID, _OWN_KEY]), _journal_facts(report))


def said_of_views(report: ViewsReport) -> tuple[Said, ...]:
    """What views show, in sentences."""
    if report.verdict is Verdict.SPLIT_VIEW and report.claim is not None:
        claim = report.claims[report.claim]
        facts = {"member": claim.member.short, "time": _told(claim.time), "size": str(claim.size)}
        return (Said(_SPLIT, facts), Said(_ASK_THEM, {"member": claim.member.short}))
    if report.verdict is Verdict.AGREE:
        if len(report.views) == 1:
            (one,) = report.views
            return (Said(_ALONE, {"size": str(one.checkpoint.size), "time": _told(one.checkpoint.time)}),)
        return (Said(_AGREE, {"count": str(len(report.views))}),)
    if report.verdict is Verdict.UNPROVEN:
        return (Said(EvidenceInconclusive.message, {}),)
    if report.verdict is Verdict.FORGED:
        (forged,) = (report.views[each].checkpoint for each in report.between)
        facts = {"size": str(forged.size), "time": _told(forged.time), "entry": str(report.differs_at)}
        return (Said(_FORGED, facts),)
    first, second = (report.views[each].checkpoint for each in report.between)
    if report.verdict is Verdict.ROLLBACK:
        small, large = sorted((first, second), key=_size)
        shown = {
            "large": str(large.size),
            "small": str(small.size),
            "before": _told(large.time),
            "after": _told(small.time),
        }
        return (Said(_ROLLBACK, shown), *_two_keys(report))
    shown = {
        "size": str(first.size),
        "time": _told(first.time),
        "other_size": str(second.size),
        "other_time": _told(second.time),
        "entry": str(report.differs_at),
    }
    return (Said(_FORK, shown), *_two_keys(report))


def _size(checkpoint: Checkpoint) -> int:
    return checkpoint.size


def _two_keys(report: ViewsReport) -> tuple[Said, ...]:
    return () if report.same_key else (Said(_TWO_KEYS, {}),)


class _Refusing:
    """Whatever rule evidence breaks, to who asks it is one thing: it does not hold."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, WrongNetwork):
            raise ProofRefused(problem=N_("it is of another network than the one named")) from error
        if isinstance(error, CordeeError) and not isinstance(error, IntegrityFailure):
            raise ProofRefused(problem=error.reason) from error


def _plain(messages: Iterable[str]) -> tuple[Said, ...]:
    return tuple(Said(each, {}) for each in messages)


def _told(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


# ---- for programs ----


def _transfer_facts(report: ProofReport) -> dict[str, Any]:
    return {
        "network": report.network.hex(),
        "transfer": report.transfer_id.hex(),
        "sender": report.sender.hex(),
        "recipient": report.recipient.hex(),
        "outcome": str(report.outcome),
        "steps": [
            {"kind": str(each.kind), "by": str(each.by), "time": each.time.isoformat(), "digest": each.digest.hex()}
            for each in report.steps
        ],
        "erased": report.erased,
        "checkpoint": _checkpoint_facts(report.checkpoint),
        "checks": list(report.checks),
    }


def _views_facts(report: ViewsReport) -> dict[str, Any]:
    return {
        "network": report.network.hex(),
        "verdict": str(report.verdict),
        "views": [_view_facts(each) for each in report.views],
        "claims": [
            {
                "member": each.member.hex(),
                "kind": each.kind,
                "time": each.time.isoformat(),
                "size": each.size,
                "root": each.root.hex(),
                "digest": each.digest.hex(),
            }
            for each in report.claims
        ],
        "between": list(report.between),
        "claim": report.claim,
        "differs_at": report.differs_at,
        "same_key": report.same_key,
    }


def _view_facts(seen: Seen) -> dict[str, Any]:
    return _checkpoint_facts(seen.checkpoint) | {"root": seen.checkpoint.root.hex(), "key": seen.key.hex()}


def _journal_facts(report: JournalFile) -> dict[str, Any]:
    return {
        "network": report.network.hex(),
        "member": report.member.hex(),
        "lines": report.lines,
        "signatures": report.signatures,
        "head": report.head.hex(),
        "begins": report.begins,
        "ends": report.ends,
        "checkpoint": _checkpoint_facts(report.checkpoint),
    }


def _checkpoint_facts(checkpoint: Checkpoint) -> dict[str, Any]:
    return {"size": checkpoint.size, "time": checkpoint.time.isoformat()}


# ---- in words ----

_OUTCOMES: Mapping[State, str] = {
    State.OFFERED: N_(
        "Association {sender} signed that it offers a case to association {recipient}; there is no answer."
    ),
    State.DECLINED: N_("Association {sender} offered a case; association {recipient} signed that it declines."),
    State.ACCEPTED: N_("Association {recipient} signed that it accepts the case that association {sender} offered."),
    State.SHIPPED: N_("Association {sender} signed that it sent the case in full to association {recipient}."),
    State.RECEIVED: N_(
        "Association {sender} sent a case; association {recipient} signed that it received and checked it."
    ),
    State.REFUSED: N_(
        "Association {sender} sent a case; the machine of association {recipient} signed that it refused what came."
    ),
    State.WITHDRAWN: N_(
        "Association {sender} signed that it withdraws what it offered to association {recipient}, before its receipt."
    ),
    State.EXPIRED: N_("The time ran out before it was received."),
}
_ERASED = N_("Association {recipient} signed that it has erased what it received, on {time} by its own clock.")
_KEPT = N_(
    "Association {recipient} signed that it keeps what it received, on {time} by its own clock; its reason is sealed to"
    " the sender."
)
_COPIES = N_("that nobody kept a copy outside the node: what was read, printed or taken along cannot be called back;")
_REPORT = N_("which sections were erased, or why they are kept: only the sender can open that;")
_CONTENT = N_("what the case says, and whom it is about: only digests of it are signed;")
_LATER = N_(
    "that no later entry of the roster about the two associations, or later step of the transfer, was left out;"
)
_CLOCKS = N_("when it happened, but by the clock of whoever signed; the directory took each step within five minutes.")

_FORGED = N_(
    "The directory’s key signed, on {time}, a roster of {size} entries in which entry {entry} is not signed by those"
    " who must sign it."
)
_FORK = N_(
    "The directory’s key signed two rosters that cannot be one: one of {size} entries on {time}, and one of"
    " {other_size} entries on {other_time}. With {entry} entries they are the same no more."
)
_TWO_KEYS = N_(
    "The two are signed with different keys of the directory: in one of the rosters the other’s key had been replaced."
)
_ROLLBACK = N_(
    "The directory’s key signed a roster of {large} entries on {before}, and after that, on {after} by its own clock, a"
    " smaller one of {small} entries."
)
_SPLIT = N_(
    "Association {member} signed on {time} that it was shown another roster than this machine: they differ at {size}"
    " entries."
)
_ASK_THEM = N_(
    "Ask association {member} for its own file of evidence and judge both files together: either they show that the"
    " directory signed two rosters, or that this association signed what it was not shown."
)
_ALONE = N_(
    "This machine was shown a roster of {size} entries, signed by the directory on {time}. Judge it together with the"
    " file of another machine: alone it shows no more."
)
_AGREE = N_("What these machines were shown ({count} signed checkpoints) fits together: all of it can be one roster.")
_WHOSE = N_("who did it: whoever held the directory’s key, its operator or a thief;")
_WHICH = N_("which of the two is the right one: the administrators’ own copies tell;")
_WITHHELD = N_("that nothing was withheld: entries that were shown to nobody leave no trace.")

_JOURNAL = N_(
    "The journal of association {member}: {lines} lines from {begins} to {ends}, without a gap and unaltered;"
    " signatures by its own keys: {signatures}, the last one over the last line."
)
_CUT = N_("that the newest lines were not cut off together with every signature over them;")
_UNSAID = N_("that the node wrote down all that was done with it, or that its clock was right;")
_OWN_KEY = N_("that nobody who has the node’s key wrote another journal: keep copies elsewhere, and compare.")
