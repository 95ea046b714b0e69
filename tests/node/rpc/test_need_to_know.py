"""The API is no way around the pages: a case that is kept to named people is kept here too."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest

from cordee.runtime.rpc_errors import from_rpc_error
from cordee.v1 import node_pb2

from ..association import act_body, case_body


async def _each(call: Any) -> None:
    async for _ in call:
        pass


def _calls(case: dict[str, Any]) -> dict[str, Callable[[Any], Awaitable[Any]]]:
    case_id, body = case["meta"]["case_id"], json.dumps(case).encode()
    act = json.dumps(act_body()).encode()
    return {
        "read": lambda client: client.cases.ReadCase(node_pb2.ReadCaseRequest(case_id=case_id)),
        "change": lambda client: client.cases.UpdateCase(
            node_pb2.UpdateCaseRequest(case_id=case_id, body=body, expected_version=1)
        ),
        "versions": lambda client: _each(client.cases.ListVersions(node_pb2.ListVersionsRequest(case_id=case_id))),
        "close": lambda client: client.cases.CloseCase(node_pb2.CloseCaseRequest(case_id=case_id, expected_version=1)),
        "file": lambda client: _each(
            client.cases.ReadAttachment(node_pb2.ReadAttachmentRequest(case_id=case_id, attachment_id=case_id))
        ),
        "acts": lambda client: _each(client.consents.ListActs(node_pb2.ListActsRequest(case_id=case_id))),
        "record": lambda client: client.consents.RecordAct(node_pb2.RecordActRequest(case_id=case_id, body=act)),
    }


@pytest.mark.parametrize("call", ["read", "change", "versions", "close", "file", "acts", "record"])
async def test_a_case_that_is_kept_to_others_opens_in_no_way(sign_in, call: str) -> None:
    client, case = await sign_in("Hélène"), case_body()
    case["meta"].update(access_restriction="named_users", owner_user_id="somebody", co_handler_ids=[])
    await client.cases.CreateCase(node_pb2.CreateCaseRequest(body=json.dumps(case).encode()))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await _calls(case)[call](client)
    assert from_rpc_error(refused.value).reason == "NEED_TO_KNOW"


async def test_whoever_is_named_opens_it_by_their_name(sign_in) -> None:
    client, case = await sign_in("Hélène"), case_body()
    case["meta"].update(access_restriction="named_users", owner_user_id="hélène", co_handler_ids=[])
    await client.cases.CreateCase(node_pb2.CreateCaseRequest(body=json.dumps(case).encode()))
    assert (await client.cases.ReadCase(node_pb2.ReadCaseRequest(case_id=case["meta"]["case_id"]))).version == 1
