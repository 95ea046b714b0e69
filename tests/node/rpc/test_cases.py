from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from types import SimpleNamespace

import grpc
import pytest
from sqlalchemy import Connection

from cordee.errors import (
    CaseExists,
    CordeeError,
    InvalidInput,
    InvalidRecord,
    NotFound,
    RecordClosed,
    RoleMissing,
    StaleRecord,
    StorageFull,
)
from cordee.ids import TransferId
from cordee.runtime.rpc_errors import from_rpc_error
from cordee.runtime.texts import problems
from cordee.v1 import node_pb2
from node import journal, records
from node.app import Node
from node.cli.client import Client
from node.rpc import cases
from node.versions import Version, keep_version
from tests.neighbours import eventually

from ..association import case_body

PIECE = 262_144


async def refusal(call) -> CordeeError:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return from_rpc_error(refused.value)


async def _create(client: Client, body: dict | None = None) -> str:
    body = body or case_body()
    answer = await client.cases.CreateCase(node_pb2.CreateCaseRequest(body=json.dumps(body).encode()))
    return answer.case_id


def parts(case_id: str, data: bytes, *, announced: int | None = None, **changes) -> AsyncIterator:
    description = {
        "case_id": case_id,
        "file_name": "note.pdf",
        "media_type": "application/pdf",
        "size": len(data) if announced is None else announced,
        "kind": "report",
        "section": "situation",
        "may_be_sent": True,
    } | changes

    async def stream():
        yield node_pb2.AttachFileRequest(description=node_pb2.AttachmentDescription(**description))
        for at in range(0, len(data), PIECE):
            yield node_pb2.AttachFileRequest(data=data[at : at + PIECE])

    return stream()


async def actions(node: Node, about: str) -> list[str]:
    lines = await node.db.read(lambda tx: journal.entries(tx, about=about))
    return [line.action for line in lines]


async def test_a_case_is_opened_read_and_listed(sign_in, association: Node):
    client, body = await sign_in("Hélène"), case_body()
    case_id = await _create(client, body)
    answer = await client.cases.ReadCase(node_pb2.ReadCaseRequest(case_id=case_id))
    assert json.loads(answer.body)["situation"] == body["situation"]
    assert (answer.version, answer.state, answer.holder) == (1, "open", "here")
    lines = [each async for each in client.cases.ListCases(node_pb2.ListCasesRequest())]
    assert [each.pseudonym for each in lines] == [body["meta"]["pseudonym"]]


async def test_each_reading_of_a_case_is_one_line_in_the_journal(sign_in, association: Node):
    client = await sign_in("Hélène")
    case_id = await _create(client)
    for _ in range(2):
        await client.cases.ReadCase(node_pb2.ReadCaseRequest(case_id=case_id))
    assert await actions(association, case_id) == ["case.created", "case.read", "case.read"]


async def test_every_place_that_breaks_the_schema_is_told(sign_in):
    client, body = await sign_in("Hélène"), case_body()
    body["meta"]["status"] = "Sirine Valbrume"
    body["identity"]["birth_date"] = "Sirine Valbrume"
    error = await refusal(client.cases.CreateCase(node_pb2.CreateCaseRequest(body=json.dumps(body).encode())))
    assert isinstance(error, InvalidRecord)
    told = [f"{each.path}: {each.problem}" for each in problems(error, "en")]
    assert "identity.birth_date: must be a date such as 2026-03-14" in told
    assert any(each.startswith("meta.status: must be one of draft, open") for each in told)
    assert "Sirine" not in repr(error.problems)


async def test_a_case_that_breaks_the_schema_is_refused_with_the_place_and_without_the_value(sign_in):
    client, body = await sign_in("Hélène"), case_body()
    body["meta"]["status"] = "Sirine Valbrume"
    error = await refusal(client.cases.CreateCase(node_pb2.CreateCaseRequest(body=json.dumps(body).encode())))
    assert isinstance(error, InvalidRecord)
    assert "status" in error.facts["path"]
    assert "Sirine" not in str(error.facts)
    assert [each async for each in client.cases.ListCases(node_pb2.ListCasesRequest())] == []


async def test_the_same_case_twice_is_a_conflict(sign_in):
    client = await sign_in("Hélène")
    await _create(client)
    body = json.dumps(case_body()).encode()
    assert isinstance(await refusal(client.cases.CreateCase(node_pb2.CreateCaseRequest(body=body))), CaseExists)


async def test_of_two_changes_to_one_version_only_the_first_is_taken(sign_in):
    client, body = await sign_in("Hélène"), case_body()
    case_id = await _create(client, body)
    body["situation"]["minor_position"] = "accepts"
    request = node_pb2.UpdateCaseRequest(case_id=case_id, expected_version=1, body=json.dumps(body).encode())
    assert (await client.cases.UpdateCase(request)).version == 2
    error = await refusal(client.cases.UpdateCase(request))
    assert isinstance(error, StaleRecord)
    assert (error.facts["present"], error.facts["given"]) == ("2", "1")


async def test_a_closed_case_is_read_only(sign_in):
    client = await sign_in("Hélène")
    case_id = await _create(client)
    await client.cases.CloseCase(node_pb2.CloseCaseRequest(case_id=case_id, expected_version=1))
    request = node_pb2.UpdateCaseRequest(case_id=case_id, expected_version=2, body=json.dumps(case_body()).encode())
    assert isinstance(await refusal(client.cases.UpdateCase(request)), RecordClosed)
    assert isinstance(await refusal(client.cases.AttachFile(parts(case_id, b"x"))), RecordClosed)


async def test_an_attachment_comes_back_byte_for_byte_and_its_reading_is_journalled(sign_in, association: Node):
    client = await sign_in("Hélène")
    case_id = await _create(client)
    data = association.random(3 * PIECE + 17)
    answer = await client.cases.AttachFile(parts(case_id, data))
    assert (answer.size, answer.sha256) == (len(data), hashlib.sha256(data).digest())

    request = node_pb2.ReadAttachmentRequest(case_id=case_id, attachment_id=answer.attachment_id)
    first, *rest = [each async for each in client.cases.ReadAttachment(request)]
    assert first.description.sha256 == answer.sha256
    assert b"".join(each.data for each in rest) == data
    assert "attachment.read" in await actions(association, case_id)
    body = json.loads((await client.cases.ReadCase(node_pb2.ReadCaseRequest(case_id=case_id))).body)
    assert [each["attachment_id"] for each in body["attachments"]] == [answer.attachment_id]


@pytest.mark.parametrize("announced", [999, 1001, 0])
async def test_a_file_of_another_length_than_announced_leaves_nothing_behind(
    sign_in, association: Node, announced: int
):
    client = await sign_in("Hélène")
    case_id = await _create(client)
    error = await refusal(client.cases.AttachFile(parts(case_id, bytes(1000), announced=announced)))
    assert isinstance(error, InvalidInput)
    assert list((association.data_dir / "attachments").iterdir()) == []
    assert "case.attached" not in await actions(association, case_id)


async def test_a_file_with_a_description_that_breaks_the_schema_leaves_nothing_behind(sign_in, association: Node):
    client = await sign_in("Hélène")
    case_id = await _create(client)
    error = await refusal(client.cases.AttachFile(parts(case_id, b"data", kind="love_letter")))
    assert isinstance(error, InvalidRecord)
    assert list((association.data_dir / "attachments").iterdir()) == []


async def test_a_file_that_the_disk_has_no_room_for_is_refused_before_a_byte_is_taken(
    sign_in, association: Node, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cases.shutil, "disk_usage", lambda folder: SimpleNamespace(free=70_000_000))
    client = await sign_in("Hélène")
    case_id = await _create(client)
    assert isinstance(await refusal(client.cases.AttachFile(parts(case_id, b"x", announced=10_000_000))), StorageFull)
    assert list((association.data_dir / "attachments").iterdir()) == []


async def test_an_upload_that_is_broken_off_leaves_nothing_behind(sign_in, association: Node):
    client = await sign_in("Hélène")
    case_id = await _create(client)
    begun = asyncio.Event()

    async def stuck():
        async for part in parts(case_id, bytes(PIECE), announced=3 * PIECE):
            yield part
        begun.set()
        await asyncio.Event().wait()

    call = asyncio.ensure_future(_awaited(client.cases.AttachFile(stuck())))
    await begun.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    folder = association.data_dir / "attachments"
    await eventually(lambda: not list(folder.iterdir()), what="nothing is left of it")


async def _awaited(call):
    return await call


async def test_a_file_needs_its_description_first_and_once(sign_in):
    client = await sign_in("Hélène")
    case_id = await _create(client)

    async def no_description():
        yield node_pb2.AttachFileRequest(data=b"x")

    async def twice():
        async for part in parts(case_id, b"", announced=5):
            yield part
            yield part

    async def nothing():
        for part in ():
            yield part

    for stream in (no_description(), twice(), nothing()):
        assert isinstance(await refusal(client.cases.AttachFile(stream)), InvalidInput)


async def test_erasing_needs_a_lead_and_leaves_neither_key_nor_file(sign_in, association: Node):
    handler, lead = await sign_in("Hélène"), await sign_in("Léa")
    case_id = await _create(handler)
    await handler.cases.AttachFile(parts(case_id, b"data"))
    request = node_pb2.EraseCaseRequest(case_id=case_id)
    assert isinstance(await refusal(handler.cases.EraseCase(request)), RoleMissing)

    await lead.cases.EraseCase(request)
    read = node_pb2.ReadCaseRequest(case_id=case_id)
    assert isinstance(await refusal(handler.cases.ReadCase(read)), NotFound)
    assert list((association.data_dir / "attachments").iterdir()) == []
    assert association.house.tombstones.time_of("case", case_id) is not None
    assert (await actions(association, case_id))[-1] == "case.erased"
    assert isinstance(await refusal(lead.cases.EraseCase(request)), NotFound)


async def test_erasing_what_never_was_sets_no_tombstone(sign_in, association: Node):
    lead, case_id = await sign_in("Léa"), str(uuid.uuid4())
    assert isinstance(await refusal(lead.cases.EraseCase(node_pb2.EraseCaseRequest(case_id=case_id))), NotFound)
    assert association.house.tombstones.time_of("case", case_id) is None


async def test_an_id_that_is_none_is_refused_by_its_bound(sign_in):
    client = await sign_in("Hélène")
    error = await refusal(client.cases.ReadCase(node_pb2.ReadCaseRequest(case_id="../../etc/passwd")))
    assert isinstance(error, InvalidInput)
    assert error.facts["field"] == "case_id"


async def test_what_stands_beside_a_case_is_listed_newest_first_and_journalled(sign_in, association: Node):
    client = await sign_in("Hélène")
    case_id = await _create(client)
    node, transfers = association, [TransferId(bytes([number]) * 16) for number in (1, 2)]

    def put(tx: Connection) -> None:
        key = records.data_key_of(tx, node.vault, case_id)
        for hours, transfer in enumerate(transfers):
            at = node.clock.now() + timedelta(hours=hours)
            sections = {"risk": {"level": "high", "immediate_danger": "yes"}}
            keep_version(tx, key, Version(transfer, case_id, node.member, at, ours=False, sections=sections))

    await node.db.write(put)
    request = node_pb2.ListVersionsRequest(case_id=case_id)
    found = [each async for each in client.cases.ListVersions(request)]
    assert [each.transfer_id for each in found] == transfers[::-1]
    assert json.loads(found[0].sections)["risk"]["level"] == "high"
    assert (found[0].author, found[0].ours) == (node.member, False)
    lines = await node.db.read(lambda tx: journal.entries(tx, about=case_id))
    assert lines[-1].action == "case.versions_read"
