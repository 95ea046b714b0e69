"""From the domain's types to the messages of `node.proto` and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from cordee.v1 import node_pb2

if TYPE_CHECKING:
    from cordee.profile import Match
    from node.people import Account, Handler
    from node.records import CaseLine
    from node.roster_sync import MemberView
    from node.sending import Preview
    from node.transfers import TransferLine

__all__ = [
    "PIECE",
    "account_record",
    "case_line",
    "duration",
    "instant",
    "match_record",
    "member_record",
    "pieces",
    "preview_answer",
    "transfer_record",
]

PIECE = 262_144  # bytes of a file in one message (performance.md §6)


def instant(time: datetime | None) -> Timestamp | None:
    """A point in time as protobuf has it; None stays None, which leaves the field absent."""
    if time is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(time.astimezone(UTC))
    return stamp


def duration(span: timedelta | None) -> Duration | None:
    """A span of time as protobuf has it; None stays None."""
    if span is None:
        return None
    message = Duration()
    message.FromTimedelta(span)
    return message


def pieces(data: bytes) -> list[bytes]:
    """Cut bytes into pieces that fit a message; at least one, so that an empty document arrives as such."""
    return [data[at : at + PIECE] for at in range(0, len(data), PIECE)] or [b""]


def account_record(account: Account | Handler) -> node_pb2.Account:
    """One account; whoever is signed in has one that is not disabled."""
    return node_pb2.Account(
        account_id=account.account_id,
        name=account.name,
        roles=sorted(account.roles),
        bound_by_secrecy=account.bound_by_secrecy,
        disabled=getattr(account, "disabled", False),
    )


def case_line(line: CaseLine) -> node_pb2.CaseLine:
    """One case as lists show it."""
    return node_pb2.CaseLine(
        case_id=line.case_id,
        pseudonym=line.pseudonym,
        version=line.version,
        state=line.state,
        holder=line.holder,
        update_time=instant(line.updated_at),
        attachments=line.attachments,
        status=line.status,
        risk_level=line.risk_level,
    )


def member_record(view: MemberView) -> node_pb2.MemberRecord:
    """One association as lists show it."""
    return node_pb2.MemberRecord(
        member=view.member,
        state=view.state,
        name=view.name,
        commune=view.commune,
        departement=view.departement,
        card_expire_time=instant(view.card_expires),
        recovery_due_time=instant(view.recovery_due),
        bound_by_secrecy=view.bound_by_secrecy,
    )


def match_record(view: MemberView, match: Match) -> node_pb2.MemberMatch:
    """One association that answers a search, and why."""
    return node_pb2.MemberMatch(
        record=member_record(view),
        reasons=match.reasons,
        capacity_age=duration(match.capacity_age),
        stale=match.stale,
        service=match.service.name,
    )


def preview_answer(preview: Preview) -> node_pb2.PreviewTransferResponse:
    """What would leave, without the content itself."""
    return node_pb2.PreviewTransferResponse(
        sections=preview.sections,
        summary=preview.summary,
        size_bound=preview.size_bound,
        rule=preview.rule,
        flags=sorted(preview.flags),
    )


def transfer_record(line: TransferLine) -> node_pb2.TransferRecord:
    """One transfer as lists show it."""
    return node_pb2.TransferRecord(
        transfer_id=line.transfer_id,
        direction=line.direction,
        peer=line.peer,
        peer_name=line.peer_name,
        state=line.state,
        kind=line.kind,
        purpose=line.purpose,
        case_id=line.case_id or "",
        open_time=instant(line.opened_at),
        update_time=instant(line.updated_at),
        expire_time=instant(line.expires_at),
        bytes_done=line.bytes_done,
        bytes_total=line.bytes_total,
        sentence=line.sentence,
        reason_code=line.reason_code or "",
        erasure=line.erasure or "",
        waits=line.waits,
    )
