from __future__ import annotations

import json

import grpc
import pytest
from sqlalchemy import text

from cordee.errors import Conflict, InvalidRecord, JournalBroken, NotFound, RoleMissing, YearNotClosed
from cordee.figures.years import closes
from cordee.runtime.rpc_errors import from_rpc_error
from cordee.v1 import node_pb2
from node import journal
from node.app import Node
from node.cli.client import Client

from ..association import act_body, case_body


@pytest.fixture
async def client(sign_in) -> Client:
    return await sign_in("Hélène")


@pytest.fixture
async def case_id(client: Client) -> str:
    body = json.dumps(case_body()).encode()
    return (await client.cases.CreateCase(node_pb2.CreateCaseRequest(body=body))).case_id


async def refusal(call):
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return from_rpc_error(refused.value)


def _record(case_id: str, act: dict):
    return node_pb2.RecordActRequest(case_id=case_id, body=json.dumps(act).encode())


async def test_an_act_is_recorded_read_and_listed_as_it_was(client: Client, case_id: str):
    act_id = (await client.consents.RecordAct(_record(case_id, act_body()))).act_id
    read = (await client.consents.ReadAct(node_pb2.ReadActRequest(act_id=act_id))).act
    assert json.loads(read.body)["decided_by"] == act_body()["decided_by"]
    listed = [each async for each in client.consents.ListActs(node_pb2.ListActsRequest(case_id=case_id))]
    assert [each.act_id for each in listed] == [act_id]
    assert isinstance(await refusal(client.consents.RecordAct(_record(case_id, act_body()))), Conflict)


async def test_an_act_of_another_case_is_refused(client: Client, case_id: str):
    other = act_body() | {"case_id": "11111111-1111-4111-8111-111111111111"}
    error = await refusal(client.consents.RecordAct(_record(case_id, other)))
    assert isinstance(error, InvalidRecord)
    assert error.facts["path"] == "case_id"


async def test_an_override_without_its_reason_is_refused(client: Client, case_id: str):
    act = act_body() | {"kind": "override", "legal_basis": "vital_interest"}
    assert isinstance(await refusal(client.consents.RecordAct(_record(case_id, act))), InvalidRecord)


async def test_a_withdrawn_act_says_so_and_cannot_be_withdrawn_again(client: Client, case_id: str):
    act_id = (await client.consents.RecordAct(_record(case_id, act_body()))).act_id
    request = node_pb2.WithdrawActRequest(act_id=act_id, by_role="minor", reason="Elle ne veut plus.")
    assert list((await client.consents.WithdrawAct(request)).transfer_ids) == []
    read = (await client.consents.ReadAct(node_pb2.ReadActRequest(act_id=act_id))).act
    assert json.loads(read.body)["status"] == "withdrawn"
    assert isinstance(await refusal(client.consents.WithdrawAct(request)), Conflict)


async def test_reading_an_act_is_journalled(client: Client, case_id: str, association: Node):
    act_id = (await client.consents.RecordAct(_record(case_id, act_body()))).act_id
    await client.consents.ReadAct(node_pb2.ReadActRequest(act_id=act_id))
    lines = await association.db.read(lambda tx: journal.entries(tx, about=act_id))
    assert [line.action for line in lines] == ["act.recorded", "act.read"]


async def test_an_unknown_act_is_not_found_and_not_journalled(client: Client, association: Node):
    unknown = "11111111-1111-4111-8111-111111111111"
    assert isinstance(await refusal(client.consents.ReadAct(node_pb2.ReadActRequest(act_id=unknown))), NotFound)
    assert await association.db.read(lambda tx: journal.entries(tx, about=unknown)) == []


async def test_the_journal_is_listed_verified_and_exported(client: Client, case_id: str, sign_in, association: Node):
    await association.db.write(
        lambda tx: journal.sign_head(tx, association.house.keys.identity, now=association.clock.now())
    )
    lead = await sign_in("Léa")
    about = node_pb2.ListJournalRequest(about=case_id)
    assert [each.action async for each in lead.audit.ListJournal(about)] == ["case.created"]
    every = [each.line async for each in lead.audit.ListJournal(node_pb2.ListJournalRequest())]
    assert every == list(range(1, len(every) + 1))
    report = await lead.audit.VerifyJournal(node_pb2.VerifyJournalRequest())
    assert (report.lines, report.signatures) == (len(every), 1)
    exported = b"".join([each.data async for each in lead.audit.ExportJournal(node_pb2.ExportJournalRequest())])
    lines = [json.loads(line) for line in exported.splitlines()]
    assert list(lines[0]) == ["journal", "member", "network", "roster"]
    assert [each["action"] for each in lines if "action" in each][-2:] == ["journal.exported", "journal.signed"]
    assert ["head" in each for each in lines[-3:]] == [False, True, True]


async def test_a_long_journal_is_listed_whole(client: Client, sign_in, association: Node):
    def many(tx):
        for _ in range(1_100):
            journal.append(tx, now=association.clock.now(), actor="node", action="test", subject="")

    await association.db.write(many)
    lead = await sign_in("Léa")
    lines = [each.line async for each in lead.audit.ListJournal(node_pb2.ListJournalRequest())]
    assert len(lines) > 1_100
    assert lines == list(range(1, len(lines) + 1))


async def test_a_line_that_somebody_edited_is_found(client: Client, case_id: str, sign_in, association: Node):
    lead = await sign_in("Léa")
    await association.db.write(lambda tx: tx.execute(text("UPDATE journal SET actor = 'nobody' WHERE line = 2")))
    error = await refusal(lead.audit.VerifyJournal(node_pb2.VerifyJournalRequest()))
    assert isinstance(error, JournalBroken)
    assert error.facts["line"] == "2"


async def test_a_yearly_report_is_made_of_a_closed_year_for_who_may_read_the_journal(sign_in, association: Node):
    year = association.clock.now().year
    request = node_pb2.MakeReportRequest(year=year, form="csv", language="en")
    assert isinstance(await refusal(_first((await sign_in("Léa")).audit.MakeReport(request))), YearNotClosed)
    association.clock.advance(closes(year) - association.clock.now())  # type: ignore[attr-defined]  # a manual one
    assert isinstance(await refusal(_first((await sign_in("Hélène")).audit.MakeReport(request))), RoleMissing)
    lead = await sign_in("Léa")
    made = b"".join([each.data async for each in lead.audit.MakeReport(request)])
    assert made.startswith("\ufeffyear;scope;name;".encode())
    assert f"{year};association;" in made.decode()
    last = await association.db.read(lambda tx: journal.latest(tx, limit=1))
    assert last[0].action == "figures.made"


async def _first(answers) -> object:
    return await anext(aiter(answers))
