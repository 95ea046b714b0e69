from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from datetime import timedelta

import grpc
import pytest
from sqlalchemy import Connection

from cordee.errors import (
    Conflict,
    InvalidInput,
    NotCovered,
    NotFound,
    NotInThisState,
    OfferAlreadyOpen,
    Unreachable,
)
from cordee.ids import TransferId
from cordee.runtime.rpc_errors import from_rpc_error
from cordee.v1 import node_pb2
from node import records, transfer_store
from node.app import Node
from node.cli.client import Client, connect
from node.rpc.access import ACCESS
from node.rpc.listener import served
from node.terms import Terms
from tests.builders import Network
from tests.neighbours import eventually

from ..association import PASSWORD, act_body, case_body, profiles

PURPOSE = "specialised_support"


async def refusal(call):
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return from_rpc_error(refused.value)


@pytest.fixture
async def client(sign_in) -> Client:
    return await sign_in("Hélène")


@pytest.fixture
def recipient(network: Network) -> bytes:
    """The association that the act names."""
    return network.members[profiles()[1]["display_name"]].id


@pytest.fixture
async def content(client: Client, recipient: bytes) -> node_pb2.PreviewTransferRequest:
    """A case with its act, ready to be offered."""
    case, act = case_body(), act_body()
    await client.cases.CreateCase(node_pb2.CreateCaseRequest(body=json.dumps(case).encode()))
    case_id = case["meta"]["case_id"]
    await client.consents.RecordAct(node_pb2.RecordActRequest(case_id=case_id, body=json.dumps(act).encode()))
    return node_pb2.PreviewTransferRequest(case_id=case_id, recipient=recipient, purpose=PURPOSE, act_id=act["act_id"])


async def test_a_preview_tells_what_would_leave_and_keeps_nothing(client: Client, content):
    answer = await client.transfers.PreviewTransfer(content)
    assert set(answer.sections) <= {"meta", *act_body()["sections"]}
    assert "contact" in answer.sections
    assert answer.rule == 7  # path A: an active act covers it (domain §2.6)
    assert answer.summary.purpose == PURPOSE
    assert answer.size_bound >= 65_536
    assert [each async for each in client.transfers.ListTransfers(node_pb2.ListTransfersRequest())] == []


async def test_what_the_handler_unticks_stays_here(client: Client, content):
    before = (await client.transfers.PreviewTransfer(content)).sections
    content.unticked.append("family")
    after = (await client.transfers.PreviewTransfer(content)).sections
    assert set(before) - set(after) == {"family"}


async def test_an_offer_is_listed_read_and_withdrawn(client: Client, content, recipient: bytes, association: Node):
    request = node_pb2.OfferTransferRequest(content=content, kind="transfer")
    request.expires_in.FromTimedelta(timedelta(hours=36))
    transfer_id = (await client.transfers.OfferTransfer(request)).transfer_id

    (line,) = [each async for each in client.transfers.ListTransfers(node_pb2.ListTransfersRequest(direction="out"))]
    assert (line.transfer_id, line.peer, line.state, line.direction) == (transfer_id, recipient, "offered", "out")
    assert line.peer_name == profiles()[1]["display_name"]
    assert line.sentence
    assert line.waits  # there is no directory behind this node
    assert line.expire_time.ToDatetime() - line.open_time.ToDatetime() == timedelta(hours=36)
    assert [each async for each in client.transfers.ListTransfers(node_pb2.ListTransfersRequest(direction="in"))] == []
    told = await client.transfers.ReadSummary(node_pb2.ReadSummaryRequest(transfer_id=transfer_id))
    assert not told.HasField("reason")

    assert isinstance(await refusal(client.transfers.OfferTransfer(request)), OfferAlreadyOpen)
    withdrawn = await client.transfers.WithdrawTransfer(node_pb2.WithdrawTransferRequest(transfer_id=transfer_id))
    assert withdrawn.transfer.state == "withdrawn"
    again = client.transfers.WithdrawTransfer(node_pb2.WithdrawTransferRequest(transfer_id=transfer_id))
    assert isinstance(await refusal(again), Conflict)


async def test_a_watch_tells_the_present_state_then_each_change(client: Client, content):
    offered = await client.transfers.OfferTransfer(node_pb2.OfferTransferRequest(content=content, kind="transfer"))
    call = client.transfers.WatchTransfers(node_pb2.WatchTransfersRequest(transfer_id=offered.transfer_id))
    changes = aiter(call)
    assert (await anext(changes)).transfer.state == "offered"
    await client.transfers.WithdrawTransfer(node_pb2.WithdrawTransferRequest(transfer_id=offered.transfer_id))
    async with asyncio.timeout(5):
        while (await anext(changes)).transfer.state != "withdrawn":
            pass
    call.cancel()


async def test_whoever_follows_transfers_does_not_keep_a_node_from_stopping(association: Node, content):
    async with AsyncExitStack() as serving:
        path = await serving.enter_async_context(served(association, association.data_dir / "t" / "s", grace=3600))
        async with connect(path) as anyone:
            answer = await anyone.sessions.SignIn(node_pb2.SignInRequest(name="Hélène", password=PASSWORD))
        async with connect(path, answer.token) as client:
            await client.transfers.OfferTransfer(node_pb2.OfferTransferRequest(content=content, kind="transfer"))
            changes = aiter(client.transfers.WatchTransfers(node_pb2.WatchTransfersRequest()))
            assert (await anext(changes)).transfer.state == "offered"
            await serving.aclose()  # the hour is not waited for
            assert isinstance(await refusal(anext(changes)), Unreachable)
    await eventually(lambda: not association.house.changes._watchers, what="no watcher")


async def test_an_open_transfer_keeps_its_case_from_being_erased(client: Client, content, sign_in):
    await client.transfers.OfferTransfer(node_pb2.OfferTransferRequest(content=content, kind="transfer"))
    lead = await sign_in("Léa")
    request = node_pb2.EraseCaseRequest(case_id=content.case_id)
    assert isinstance(await refusal(lead.cases.EraseCase(request)), OfferAlreadyOpen)
    assert (await client.cases.ReadCase(node_pb2.ReadCaseRequest(case_id=content.case_id))).version == 1


async def test_withdrawing_the_act_withdraws_the_transfer(client: Client, content):
    offered = await client.transfers.OfferTransfer(node_pb2.OfferTransferRequest(content=content, kind="transfer"))
    request = node_pb2.WithdrawActRequest(act_id=content.act_id, by_role="minor", reason="")
    assert list((await client.consents.WithdrawAct(request)).transfer_ids) == [offered.transfer_id]
    assert isinstance(await refusal(client.transfers.PreviewTransfer(content)), NotCovered)


async def test_another_recipient_than_the_act_names_is_not_covered(client: Client, content, network: Network):
    content.recipient = network.members[profiles()[2]["display_name"]].id
    assert isinstance(await refusal(client.transfers.PreviewTransfer(content)), NotCovered)


async def test_our_own_offer_cannot_be_answered_by_us(client: Client, content):
    offered = await client.transfers.OfferTransfer(node_pb2.OfferTransferRequest(content=content, kind="transfer"))
    accept = node_pb2.AcceptTransferRequest(transfer_id=offered.transfer_id)
    assert isinstance(await refusal(client.transfers.AcceptTransfer(accept)), NotFound | NotInThisState)
    decline = node_pb2.DeclineTransferRequest(transfer_id=offered.transfer_id, code="no_capacity")
    assert isinstance(await refusal(client.transfers.DeclineTransfer(decline)), NotFound | NotInThisState)


@pytest.mark.parametrize(
    ("method", "request_type"),
    [
        ("ReadTransfer", node_pb2.ReadTransferRequest),
        ("ReadSummary", node_pb2.ReadSummaryRequest),
        ("AcceptTransfer", node_pb2.AcceptTransferRequest),
        ("ShipTransfer", node_pb2.ShipTransferRequest),
        ("UpdateTransfer", node_pb2.UpdateTransferRequest),
        ("WithdrawTransfer", node_pb2.WithdrawTransferRequest),
    ],
)
async def test_an_unknown_transfer_is_not_found(client: Client, method: str, request_type):
    call = getattr(client.transfers, method)(request_type(transfer_id=bytes(16)))
    assert isinstance(await refusal(call), NotFound)


async def test_a_transfer_id_of_another_length_is_refused_by_its_bound(client: Client):
    error = await refusal(client.transfers.ReadTransfer(node_pb2.ReadTransferRequest(transfer_id=b"short")))
    assert isinstance(error, InvalidInput)
    assert error.facts["field"] == "transfer_id"


async def test_an_offer_may_be_held_and_is_not_shipped_before_it_is_accepted(
    client: Client, association: Node, content
):
    request = node_pb2.OfferTransferRequest(content=content, kind="transfer", hold=True)
    transfer_id = TransferId((await client.transfers.OfferTransfer(request)).transfer_id)

    def terms(tx: Connection) -> Terms:
        row = transfer_store.read_transfer(tx, transfer_id)
        return Terms.unsealed(
            row.sealed_terms, records.data_key_of(tx, association.vault, content.case_id), transfer_id
        )

    assert (await association.db.read(terms)).hold
    early = client.transfers.ShipTransfer(node_pb2.ShipTransferRequest(transfer_id=transfer_id))
    assert isinstance(await refusal(early), NotInThisState)


async def test_only_a_referral_that_was_received_has_updates(client: Client, content):
    request = node_pb2.OfferTransferRequest(content=content, kind="referral")
    offered = (await client.transfers.OfferTransfer(request)).transfer_id
    update = node_pb2.UpdateTransferRequest(transfer_id=offered, sections=["risk"])
    assert isinstance(await refusal(client.transfers.UpdateTransfer(update)), NotInThisState)
    preview = client.transfers.PreviewUpdate(node_pb2.PreviewUpdateRequest(update=update))
    assert isinstance(await refusal(preview), NotInThisState)
    lines = [each async for each in client.transfers.ListTransfers(node_pb2.ListTransfersRequest())]
    assert [each.kind for each in lines] == ["referral"]


async def test_the_members_are_listed_found_and_shown(client: Client, recipient: bytes, network: Network):
    listed = [each async for each in client.members.ListMembers(node_pb2.ListMembersRequest())]
    assert sorted(each.name for each in listed) == sorted(each["display_name"] for each in profiles())
    request = node_pb2.FindMembersRequest(speciality="sexual_exploitation_minors")
    found = [each async for each in client.members.FindMembers(request)]
    assert recipient in [each.record.member for each in found]
    assert all(each.service and each.reasons for each in found)
    shown = await client.members.ShowMember(node_pb2.ShowMemberRequest(member=recipient))
    assert json.loads(shown.profile)["display_name"] == profiles()[1]["display_name"]
    key = network.members[profiles()[1]["display_name"]].identity.public
    assert shown.identity_key == key.to_message()
    unknown = client.members.ShowMember(node_pb2.ShowMemberRequest(member=bytes(16)))
    assert isinstance(await refusal(unknown), NotFound)


async def test_a_search_leaves_no_trace_in_the_journal(client: Client, association: Node):
    from node import journal

    before = await association.db.read(lambda tx: len(journal.entries(tx)))
    request = node_pb2.FindMembersRequest(departement="48", age=13, gender="trans_girl", tonight=True)
    _ = [each async for each in client.members.FindMembers(request)]
    assert await association.db.read(lambda tx: len(journal.entries(tx))) == before


async def test_whoever_may_open_the_socket_may_ask_how_the_node_is(sign_in, association: Node):
    assert ACCESS["NodeInfo.GetStatus"] is None
    nobody = await sign_in(None)
    status = await nobody.info.GetStatus(node_pb2.GetStatusRequest())
    assert status.member == association.member
    assert status.network == association.house.network
    assert (status.roster_size, status.alarm) == (4, "")
    assert status.identity_key == association.identity_public.to_message()
