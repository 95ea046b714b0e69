"""Cases to be sent, made on the sender's node through its own API: a record of a given size, perhaps with a file."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cordee.v1 import node_pb2
from node.cli.client import Client
from node.demo import cases as demo

__all__ = ["PURPOSE", "RECORD", "Associations", "Prepared", "act_for", "attach", "prepare", "record"]

PURPOSE = "specialised_support"
RECORD = 20_000
"""Bytes of JSON of a case's record."""

_PIECE = 262_144
_SUMMARY = 20_000  # characters that the record's schema allows in an account of one action
_MARGIN = 400  # JSON around one more action


@dataclass(frozen=True)
class Associations:
    """Whose case it is, and who it is for: the org_id of each one's profile, and the recipient's member id."""

    sender: str
    recipient: str
    recipient_member: bytes


@dataclass(frozen=True)
class Prepared:
    """A case that may be offered: everything is recorded, nothing has left."""

    case_id: str
    offer: node_pb2.OfferTransferRequest


def record(*, owner: str, size: int = RECORD) -> dict[str, Any]:
    """A synthetic case whose JSON has exactly `size` bytes, the rest being accounts of what was done.

    Raises: ValueError where a case cannot be so small.
    """
    case = demo.cases(now=datetime.now(UTC), owner=owner, random=os.urandom)[1]
    while (missing := size - len(_json(case))) > _SUMMARY:
        case["actions"].append(_action(os.urandom(_SUMMARY // 4).hex()))
    if missing < _MARGIN:
        raise ValueError(f"a case of {size} bytes is too small")
    case["actions"].append(_action(""))
    missing = size - len(_json(case))
    case["actions"][-1]["summary"] = os.urandom(missing // 2 + 1).hex()[:missing]
    return case


def act_for(case: dict[str, Any], between: Associations, attachments: list[str]) -> dict[str, Any]:
    """An agreement that covers it."""
    return demo.act(
        case,
        purpose=PURPOSE,
        recipients=[between.recipient],
        attachments=attachments,
        now=datetime.now(UTC),
        random=os.urandom,
    )


async def prepare(client: Client, between: Associations, *, file: Path | None = None, size: int = RECORD) -> Prepared:
    """Create a case on the sender's node, attach a file if there is one, record an act that covers it."""
    case = record(owner=between.sender, size=size)
    created = await client.cases.CreateCase(node_pb2.CreateCaseRequest(body=_json(case)))
    attachments = [await attach(client, created.case_id, file)] if file is not None else []
    act = act_for(case, between, attachments)
    recorded = await client.consents.RecordAct(node_pb2.RecordActRequest(case_id=created.case_id, body=_json(act)))
    content = node_pb2.PreviewTransferRequest(
        case_id=created.case_id,
        recipient=between.recipient_member,
        purpose=PURPOSE,
        act_id=recorded.act_id,
        ticked=["attachments"] if attachments else [],
        attachments=attachments,
    )
    return Prepared(created.case_id, node_pb2.OfferTransferRequest(content=content, kind="transfer"))


async def attach(client: Client, case_id: str, file: Path) -> str:
    """Attach a file to a case; its id. Raises: ValueError where the node holds something else afterwards."""
    size, digest = file.stat().st_size, hashlib.sha256()  # noqa: ASYNC240 - nothing else runs here meanwhile
    described = node_pb2.AttachmentDescription(
        case_id=case_id,
        attachment_id=str(uuid.uuid4()),
        file_name="recording.wav",
        media_type="audio/wav",
        size=size,
        kind="report",
        section="situation",
        may_be_sent=True,
    )

    async def parts() -> AsyncIterator[node_pb2.AttachFileRequest]:
        yield node_pb2.AttachFileRequest(description=described)
        with file.open("rb", 0) as opened:
            while piece := opened.read(_PIECE):
                digest.update(piece)
                yield node_pb2.AttachFileRequest(data=piece)

    stored = await client.cases.AttachFile(parts())
    if (stored.size, stored.sha256) != (size, digest.digest()):
        raise ValueError("the node holds another file than was attached")
    return str(stored.attachment_id)


def _action(summary: str) -> dict[str, Any]:
    return {
        "action_id": str(uuid.uuid4()),
        "kind": "interview",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "by_role": "éducatrice spécialisée",
        "summary": summary,
        "outcome": "done",
    }


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
