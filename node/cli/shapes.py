"""The JSON shapes of the commands' answers, made from the node's messages. Ids and digests are hexadecimal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp

from cordee.errors import CordeeError, by_reason
from cordee.runtime.texts import text, translate
from cordee.v1 import node_pb2, statements_pb2

__all__ = [
    "account",
    "case_line",
    "evidence",
    "instant",
    "journal_line",
    "key",
    "match",
    "member",
    "orphan",
    "preview",
    "reason",
    "recovery",
    "status",
    "summary",
    "team",
    "transfer",
    "version",
    "words",
]


def instant(time: Timestamp) -> str | None:
    """ISO 8601 in UTC, to the second; None for an absent one."""
    if not (time.seconds or time.nanos):
        return None
    return time.ToDatetime(tzinfo=UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def account(message: node_pb2.Account) -> dict[str, Any]:
    """`{account_id, name, roles: [], bound_by_secrecy, disabled}`."""
    return {
        "account_id": message.account_id,
        "name": message.name,
        "roles": list(message.roles),
        "bound_by_secrecy": message.bound_by_secrecy,
        "disabled": message.disabled,
    }


def case_line(message: node_pb2.CaseLine) -> dict[str, Any]:
    """`{case_id, pseudonym, status, risk_level, state, holder, version, attachments, updated, kept}`."""
    return {
        "case_id": message.case_id,
        "pseudonym": message.pseudonym,
        "status": message.status,
        "risk_level": message.risk_level,
        "state": message.state,
        "holder": message.holder,
        "version": message.version,
        "attachments": message.attachments,
        "updated": instant(message.update_time),
        "kept": message.kept,
    }


def team(message: node_pb2.Team) -> dict[str, Any]:
    """`{team_id, name, members: [], cases}`."""
    return {
        "team_id": message.team_id,
        "name": message.name,
        "members": list(message.members),
        "cases": message.cases,
    }


def orphan(message: node_pb2.Orphan) -> dict[str, Any]:
    """`{case_id, pseudonym, state, updated}`."""
    return {
        "case_id": message.case_id,
        "pseudonym": message.pseudonym,
        "state": message.state,
        "updated": instant(message.update_time),
    }


def version(message: node_pb2.CaseVersion) -> dict[str, Any]:
    """`{transfer, author, author_name, time, ours, attachments: [], sections: {}}`."""
    return {
        "transfer": message.transfer_id.hex(),
        "author": message.author.hex(),
        "author_name": message.author_name,
        "time": instant(message.time),
        "ours": message.ours,
        "attachments": list(message.attachments),
        "sections": json.loads(message.sections),
    }


def preview(message: node_pb2.PreviewTransferResponse, attachments: Sequence[str]) -> dict[str, Any]:
    """`{sections: [], attachments: [], size_bound, rule, flags: [], summary: {}}`."""
    return {
        "sections": list(message.sections),
        "attachments": list(attachments),
        "size_bound": message.size_bound,
        "rule": message.rule,
        "flags": list(message.flags),
        "summary": summary(message.summary),
    }


def member(message: node_pb2.MemberRecord) -> dict[str, Any]:
    """`{member, name, commune, departement, state, bound_by_secrecy, card_expires, key_changes}`: the last is null, or
    from when on its identity key can be replaced, as administrators have announced.
    """
    return {
        "member": message.member.hex(),
        "name": message.name,
        "commune": message.commune,
        "departement": message.departement,
        "state": message.state,
        "bound_by_secrecy": message.bound_by_secrecy,
        "card_expires": instant(message.card_expire_time),
        "key_changes": instant(message.recovery_due_time),
    }


def match(message: node_pb2.MemberMatch) -> dict[str, Any]:
    """A member with `{service, reasons: [], capacity_age_seconds, stale}`."""
    age = int(message.capacity_age.ToTimedelta().total_seconds()) if message.HasField("capacity_age") else None
    return member(message.record) | {
        "service": message.service,
        "reasons": list(message.reasons),
        "capacity_age_seconds": age,
        "stale": message.stale,
    }


def transfer(message: node_pb2.TransferRecord, language: str) -> dict[str, Any]:
    """`{transfer, direction, peer, peer_name, state, kind, purpose, case_id, opened, updated, expires, bytes_done,
    bytes_total, sentence, reason_code, erasure, waits}`; `case_id`, `reason_code` and `erasure` may be null.
    `sentence` is in the reader's language.
    """
    return {
        "transfer": message.transfer_id.hex(),
        "direction": message.direction,
        "peer": message.peer.hex(),
        "peer_name": message.peer_name,
        "state": message.state,
        "kind": message.kind,
        "purpose": message.purpose,
        "case_id": message.case_id or None,
        "opened": instant(message.open_time),
        "updated": instant(message.update_time),
        "expires": instant(message.expire_time),
        "bytes_done": message.bytes_done,
        "bytes_total": message.bytes_total,
        "sentence": text(message.sentence, language),
        "reason_code": message.reason_code or None,
        "erasure": message.erasure or None,
        "waits": message.waits,
    }


def summary(message: statements_pb2.Summary) -> dict[str, Any]:
    """The fields of `Summary` in statements.proto under their own names; ids in hexadecimal."""
    shape: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    shape["first_transfer_id"] = message.first_transfer_id.hex() or None
    return shape


def reason(message: statements_pb2.Reason, language: str) -> dict[str, Any]:
    """`{code, meaning, text}`: the code of a closed list, what it says in the reader's language, the author's words."""
    from cordee.summary import DECLINE_REASONS, KEEPING_REASONS, RECEIPT_REASONS

    meanings = DECLINE_REASONS | KEEPING_REASONS | RECEIPT_REASONS
    return {"code": message.code, "meaning": text(meanings.get(message.code, ""), language), "text": message.text}


def journal_line(message: node_pb2.JournalLine) -> dict[str, Any]:
    """`{line, time, actor, action, subject, outcome, facts: {}}`."""
    return {
        "line": message.line,
        "time": instant(message.time),
        "actor": message.actor,
        "action": message.action,
        "subject": message.subject,
        "outcome": message.outcome,
        "facts": json.loads(message.facts or "{}"),
    }


def evidence(message: node_pb2.EvidenceRecord) -> dict[str, Any]:
    """`{evidence, time, reason, verdict, kept_size, shown_size}`; the verdict is null where nothing follows."""
    return {
        "evidence": message.evidence,
        "time": instant(message.time),
        "reason": message.reason,
        "verdict": message.verdict or None,
        "kept_size": message.kept_size,
        "shown_size": message.shown_size,
    }


def status(message: node_pb2.GetStatusResponse, language: str) -> dict[str, Any]:
    """`{member, words: [], network, roster_size, roster_root, checkpoint_time, connected, alarm, recovery, kit,
    asked_to_correct}`; `alarm` is null or `{reason, facts: {}, message, remedy}`; `recovery` is null or `{words: [],
    reason, announced, due}`; `kit` is `{people, needed, sheets, proven, due, set_up, backup}`.
    """
    alarm = None
    if message.alarm:
        facts = dict(message.alarm_facts)
        told, remedy = translate((by_reason(message.alarm) or CordeeError)(**facts), language)
        alarm = {"reason": message.alarm, "facts": facts, "message": told, "remedy": remedy}
    return {
        "member": message.member.hex(),
        "words": words(message.identity_key),
        "network": message.network.hex() or None,
        "roster_size": message.roster_size,
        "roster_root": message.roster_root.hex(),
        "checkpoint_time": instant(message.checkpoint_time),
        "connected": message.connected,
        "alarm": alarm,
        "asked_to_correct": message.asked_to_correct or None,
        "recovery": recovery(message.recovery) if message.HasField("recovery") else None,
        "kit": {
            "people": message.kit.people,
            "needed": message.kit.needed,
            "sheets": message.kit.sheets,
            "proven": instant(message.kit.proven_time) if message.kit.HasField("proven_time") else None,
            "due": message.kit.due,
            "set_up": message.kit.set_up,
            "backup": instant(message.kit.backup_time) if message.kit.HasField("backup_time") else None,
        },
    }


def recovery(message: node_pb2.AnnouncedRecovery) -> dict[str, Any]:
    """`{words: [], reason, announced, due}`: the new key's words, `lost` or `stolen`, and from when on it counts."""
    return {
        "words": words(message.identity_key),
        "reason": "stolen" if message.stolen else "lost",
        "announced": instant(message.announce_time),
        "due": instant(message.due_time),
    }


def key(message: node_pb2.KeyRecord) -> dict[str, Any]:
    """`{kind, state, id, since, expires, card}`; the last three may be null."""
    return {
        "kind": message.kind,
        "state": message.state,
        "id": message.id.hex(),
        "since": instant(message.since),
        "expires": instant(message.expire_time),
        "card": message.number or None,
    }


def words(key: statements_pb2.PublicKey) -> list[str]:
    """The six words of an identity key. They are stretched here, not in the node: that takes 64 MiB for a moment."""
    from cordee.signing import SigningPublicKey
    from cordee.words import six_words

    return six_words(SigningPublicKey.from_message(key))
