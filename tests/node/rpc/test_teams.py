"""Teams over the API: what is a team's, who is asked why, and what nobody may open any more."""

from __future__ import annotations

import json
from typing import Any

import grpc
import pytest

from cordee.runtime.rpc_errors import from_rpc_error
from cordee.v1 import node_pb2
from node import need_to_know, records, transfer_store
from node.app import Node

from ..association import act_body, case_body, profiles

REASON = "Elle appelle ce soir, sa référente est absente."


async def _refused(call: Any) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return from_rpc_error(refused.value).reason


async def _every(call: Any) -> list[Any]:
    return [each async for each in call]


async def _case(sign_in: Any, *, team: str = "", **meta: Any) -> dict[str, Any]:
    client, case = await sign_in("Hélène"), case_body()
    case["meta"].update(meta)
    await client.cases.CreateCase(node_pb2.CreateCaseRequest(body=json.dumps(case).encode(), team=team))
    return case


async def _named(sign_in: Any, named: str = "", who: str = "Léa") -> list[Any]:
    client = await sign_in(who)
    return await _every(client.cases.ListCases(node_pb2.ListCasesRequest(named=named)))


async def test_a_team_is_made_filled_renamed_and_dissolved(sign_in) -> None:
    admin = await sign_in("Adrien")
    await admin.teams.AddTeam(node_pb2.AddTeamRequest(name="Nuit"))
    change = node_pb2.ChangeTeamRequest(team="nuit", new_name="Soir", joining=["Hélène", "Léa"], leaving=["Léa"])
    await admin.teams.ChangeTeam(change)
    (team,) = await _every(admin.teams.ListTeams(node_pb2.ListTeamsRequest()))
    assert (team.name, len(team.members)) == ("Soir", 1)
    assert await _refused(admin.teams.DissolveTeam(node_pb2.DissolveTeamRequest(team="Soir"))) == "TEAM_IN_USE"
    await admin.teams.ChangeTeam(node_pb2.ChangeTeamRequest(team="Soir", leaving=["Hélène"]))
    await admin.teams.DissolveTeam(node_pb2.DissolveTeamRequest(team="Soir"))
    assert await _every(admin.teams.ListTeams(node_pb2.ListTeamsRequest())) == []


async def test_a_case_of_a_team_is_in_nobody_elses_list(sign_in) -> None:
    admin = await sign_in("Adrien")
    await admin.teams.AddTeam(node_pb2.AddTeamRequest(name="Nuit"))
    await admin.teams.ChangeTeam(node_pb2.ChangeTeamRequest(team="Nuit", joining=["Hélène"]))
    case = await _case(sign_in)
    assert [each.case_id for each in await _named(sign_in, who="Hélène")] == [case["meta"]["case_id"]]
    assert await _named(sign_in) == []
    lead = await sign_in("Léa")
    read = node_pb2.ReadCaseRequest(case_id=case["meta"]["case_id"])
    assert await _refused(lead.cases.ReadCase(read)) == "NEED_TO_KNOW"


async def test_its_whole_pseudonym_tells_that_there_is_one_and_a_reason_opens_it(sign_in) -> None:
    case = await _case(sign_in, access_restriction="named_users", owner_user_id="Hélène", co_handler_ids=[])
    pseudonym, case_id = case["meta"]["pseudonym"], case["meta"]["case_id"]
    assert await _named(sign_in, pseudonym[:-1]) == []
    (found,) = await _named(sign_in, pseudonym)
    assert found == node_pb2.CaseLine(case_id=case_id, kept=True)
    lead = await sign_in("Léa")
    short = node_pb2.OpenCaseRequest(case_id=case_id, reason="urgent")
    assert await _refused(lead.cases.OpenCase(short)) == "INVALID_INPUT"
    await lead.cases.OpenCase(node_pb2.OpenCaseRequest(case_id=case_id, reason=REASON))
    assert (await lead.cases.ReadCase(node_pb2.ReadCaseRequest(case_id=case_id))).version == 1
    assert [each.pseudonym for each in await _named(sign_in)] == [pseudonym]


async def test_with_a_reason_alone_nobody_names_themselves(sign_in, association: Node) -> None:
    case = await _case(sign_in, access_restriction="named_users", owner_user_id="Léa", co_handler_ids=[])
    case_id, client = case["meta"]["case_id"], await sign_in("Hélène")
    await client.cases.OpenCase(node_pb2.OpenCaseRequest(case_id=case_id, reason=REASON))
    change = node_pb2.UpdateCaseRequest(case_id=case_id, expected_version=1, body=json.dumps(case).encode())
    await client.cases.UpdateCase(change)
    case["meta"]["co_handler_ids"] = ["Hélène"]
    change = node_pb2.UpdateCaseRequest(case_id=case_id, expected_version=2, body=json.dumps(case).encode())
    assert await _refused(client.cases.UpdateCase(change)) == "NEED_TO_KNOW"
    stored = await association.db.read(lambda tx: records.read_case(tx, association.vault, case_id))
    assert not stored.case.value("meta.co_handler_ids")


async def test_closing_an_account_asks_who_gets_what_nobody_else_may_open(sign_in) -> None:
    case = await _case(sign_in, access_restriction="named_users", owner_user_id="Hélène", co_handler_ids=[])
    admin = await sign_in("Adrien")
    close = node_pb2.DisableAccountRequest(name="Hélène")
    assert await _refused(admin.accounts.DisableAccount(close)) == "CASES_LEFT_ALONE"
    close.cases_to_account = "Adrien"  # who opens no case
    assert await _refused(admin.accounts.DisableAccount(close)) == "INVALID_INPUT"
    await admin.accounts.DisableAccount(node_pb2.DisableAccountRequest(name="Hélène", leave_cases=True))
    lead = await sign_in("Léa")
    (orphan,) = await _every(lead.teams.ListOrphans(node_pb2.ListOrphansRequest()))
    assert orphan.pseudonym == case["meta"]["pseudonym"]
    give = node_pb2.GiveOrphansRequest(case_ids=[orphan.case_id], to_account="Léa")
    await lead.teams.GiveOrphans(give)
    assert (await lead.cases.ReadCase(node_pb2.ReadCaseRequest(case_id=orphan.case_id))).version == 2
    assert await _every(lead.teams.ListOrphans(node_pb2.ListOrphansRequest())) == []


# ---- the transfers of a case are its team's ----


@pytest.fixture
async def transfer(sign_in, association: Node, network) -> bytes:
    """An offer of a case that is then kept to Léa alone."""
    case = await _case(sign_in)
    client, act = await sign_in("Hélène"), act_body()
    case_id = case["meta"]["case_id"]
    await client.consents.RecordAct(node_pb2.RecordActRequest(case_id=case_id, body=json.dumps(act).encode()))
    named = network.members[profiles()[1]["display_name"]]
    content = node_pb2.PreviewTransferRequest(
        case_id=case_id, recipient=named.id, purpose="specialised_support", act_id=act["act_id"]
    )
    offered = await client.transfers.OfferTransfer(node_pb2.OfferTransferRequest(content=content, kind="transfer"))
    now = association.clock.now()

    def keep(tx: Any) -> None:
        stored = records.read_case(tx, association.vault, case_id)
        kept = need_to_know.with_team(stored.case, restriction="named_users", owner="Léa", others=[], now=now)
        records.update_case(tx, association.vault, case_id, kept, expected_version=stored.version, by="node", now=now)

    await association.db.write(keep)
    return bytes(offered.transfer_id)


_CALLS = {
    "read": lambda client, id: client.transfers.ReadTransfer(node_pb2.ReadTransferRequest(transfer_id=id)),
    "watch": lambda client, id: _every(client.transfers.WatchTransfers(node_pb2.WatchTransfersRequest(transfer_id=id))),
    "summary": lambda client, id: client.transfers.ReadSummary(node_pb2.ReadSummaryRequest(transfer_id=id)),
    "withdraw": lambda client, id: client.transfers.WithdrawTransfer(node_pb2.WithdrawTransferRequest(transfer_id=id)),
    "ship": lambda client, id: client.transfers.ShipTransfer(node_pb2.ShipTransferRequest(transfer_id=id)),
    "proof": lambda client, id: _every(client.transfers.ExportProof(node_pb2.ExportProofRequest(transfer_id=id))),
    "act": lambda client, id: client.consents.WithdrawAct(
        node_pb2.WithdrawActRequest(act_id=act_body()["act_id"], by_role="minor")
    ),
}


@pytest.mark.parametrize("call", list(_CALLS))
async def test_whoever_may_not_open_the_case_does_nothing_with_its_transfers(
    sign_in, association: Node, transfer: bytes, call: str
) -> None:
    client = await sign_in("Hélène")
    assert await _refused(_CALLS[call](client, transfer)) == "NEED_TO_KNOW"
    assert await _every(client.transfers.ListTransfers(node_pb2.ListTransfersRequest())) == []
    (kept,) = await association.db.read(transfer_store.all_transfers)
    assert kept.state == "offered"


async def test_the_team_sees_it_and_so_does_an_auditor_who_sees_every_line(sign_in, transfer: bytes) -> None:
    for who in ("Léa", "Aude"):
        client = await sign_in(who)
        (line,) = await _every(client.transfers.ListTransfers(node_pb2.ListTransfersRequest()))
        assert line.transfer_id == transfer, who
        assert await _every(client.transfers.ExportProof(node_pb2.ExportProofRequest(transfer_id=transfer)))


async def test_a_reason_lets_somebody_withdraw_it(sign_in, association: Node, transfer: bytes) -> None:
    """The minor may say no to anybody (domain W6)."""
    client = await sign_in("Hélène")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await client.transfers.ReadTransfer(node_pb2.ReadTransferRequest(transfer_id=transfer))
    case_id = from_rpc_error(refused.value).facts["case"]
    await client.cases.OpenCase(node_pb2.OpenCaseRequest(case_id=case_id, reason=REASON))
    await client.transfers.WithdrawTransfer(node_pb2.WithdrawTransferRequest(transfer_id=transfer))
    (kept,) = await association.db.read(transfer_store.all_transfers)
    assert kept.state == "withdrawn"
