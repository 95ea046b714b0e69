from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from cordee.errors import InvalidInput, NodeNotRunning, NotSignedIn, RoleMissing, WrongPassword
from cordee.runtime.rpc_errors import from_rpc_error
from cordee.v1 import node_pb2, node_pb2_grpc
from node.app import Node
from node.cli.client import connect
from node.people import Role
from node.rpc.access import ACCESS
from node.rpc.address import SOCKET_PATH_LIMIT, prepare, target

from ..association import ACCOUNTS, PASSWORD

METHODS = sorted(
    f"{service.name}.{method.name}"
    for service in node_pb2.DESCRIPTOR.services_by_name.values()
    for method in service.methods
)


def test_every_method_stands_in_the_table_of_roles():
    assert sorted(ACCESS) == METHODS


def test_every_role_is_of_use():
    assert set().union(*(roles for roles in ACCESS.values() if roles)) == set(Role)


async def _refusal(socket: Path, token: str | None, method: str) -> type[Exception] | None:
    """How an empty, and therefore invalid, call ends. Bounds are checked first, so the servicer is asked directly."""
    service, name = method.split(".")
    descriptor = node_pb2.DESCRIPTOR.services_by_name[service].methods_by_name[name]
    request = getattr(node_pb2, descriptor.input_type.name)
    answer = getattr(node_pb2, descriptor.output_type.name)
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    async with grpc.aio.insecure_channel(target(socket)) as channel:
        kind = {
            (False, False): channel.unary_unary,
            (False, True): channel.unary_stream,
            (True, False): channel.stream_unary,
        }[descriptor.client_streaming, descriptor.server_streaming]
        call = kind(
            f"/cordee.v1.{service}/{name}",
            request_serializer=request.SerializeToString,
            response_deserializer=answer.FromString,
        )
        message = iter([request()]) if descriptor.client_streaming else request()
        try:
            if descriptor.server_streaming:
                async for _ in call(message, metadata=metadata, timeout=5):
                    break
            else:
                await call(message, metadata=metadata, timeout=5)
        except grpc.aio.AioRpcError as error:
            return type(from_rpc_error(error))
    return None


@pytest.fixture
async def unbounded(association: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The same servicers where no bound is checked, so that empty requests reach them."""
    from cordee.runtime import bounds
    from node.rpc.listener import served

    monkeypatch.setattr(bounds, "check", lambda request: None)
    async with served(association, tmp_path / "u" / "s") as path:
        yield path


async def test_who_may_call_what_cell_by_cell(unbounded: Path, association: Node):
    tokens = {}
    async with connect(unbounded) as client:
        for name in ACCOUNTS:
            answer = await client.sessions.SignIn(node_pb2.SignInRequest(name=name, password=PASSWORD))
            tokens[name] = answer.token
    wrong = []
    for method in METHODS:
        if method in ("Sessions.SignOut", "Transfers.WatchTransfers"):
            continue  # the first ends the session, the second never ends; both are tested on their own
        allowed = ACCESS[method]
        if allowed is not None and await _refusal(unbounded, None, method) is not NotSignedIn:
            wrong.append((method, "nobody"))
        for name, roles in ACCOUNTS.items():
            refused = await _refusal(unbounded, tokens[name], method) in (RoleMissing, NotSignedIn)
            if refused != (allowed is not None and not roles & allowed):
                wrong.append((method, name))
    assert not wrong


async def test_a_watch_and_a_sign_out_need_a_session(unbounded: Path):
    assert await _refusal(unbounded, None, "Transfers.WatchTransfers") is NotSignedIn
    assert await _refusal(unbounded, "AAAA", "Transfers.WatchTransfers") is NotSignedIn
    assert await _refusal(unbounded, "AAAA", "Sessions.SignOut") is NotSignedIn


async def test_a_session_tells_who_it_is_and_ends_with_signing_out(sign_in, socket: Path):
    client = await sign_in("Hélène")
    account = (await client.sessions.WhoAmI(node_pb2.WhoAmIRequest())).account
    assert (account.name, list(account.roles), account.bound_by_secrecy) == ("Hélène", ["handler"], True)
    await client.sessions.SignOut(node_pb2.SignOutRequest())
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await client.sessions.WhoAmI(node_pb2.WhoAmIRequest())
    assert isinstance(from_rpc_error(refused.value), NotSignedIn)


async def test_a_session_that_nobody_used_for_long_has_ended(sign_in, association: Node):
    client = await sign_in("Hélène")
    association.clock.advance(timedelta(hours=1))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await client.sessions.WhoAmI(node_pb2.WhoAmIRequest())
    assert isinstance(from_rpc_error(refused.value), NotSignedIn)


@pytest.mark.parametrize(("name", "password"), [("Hélène", "a wrong password"), ("Nobody", PASSWORD)])
async def test_a_wrong_name_and_a_wrong_password_are_answered_alike(socket: Path, name: str, password: str):
    with pytest.raises(WrongPassword):
        async with connect(socket) as client:
            await client.sessions.SignIn(node_pb2.SignInRequest(name=name, password=password))


async def test_two_tokens_in_one_call_are_none(socket: Path, sign_in):
    async with grpc.aio.insecure_channel(target(socket)) as channel:
        stub = node_pb2_grpc.SessionsStub(channel)
        twice = (("authorization", "Bearer a"), ("authorization", "Bearer b"))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.WhoAmI(node_pb2.WhoAmIRequest(), metadata=twice)
    assert isinstance(from_rpc_error(refused.value), NotSignedIn)


async def test_an_administrator_adds_and_disables_an_account(sign_in, socket: Path):
    client = await sign_in("Adrien")
    request = node_pb2.AddAccountRequest(name="Nadia", password=PASSWORD, roles=["handler", "lead"])
    added = (await client.accounts.AddAccount(request)).account
    assert sorted(added.roles) == ["handler", "lead"]
    assert added.account_id in [
        each.account_id async for each in client.accounts.ListAccounts(node_pb2.ListAccountsRequest())
    ]
    await client.accounts.DisableAccount(node_pb2.DisableAccountRequest(name="Nadia"))
    with pytest.raises(WrongPassword):
        async with connect(socket) as nadia:
            await nadia.sessions.SignIn(node_pb2.SignInRequest(name="Nadia", password=PASSWORD))


async def test_an_unknown_role_is_told_with_those_that_there_are(sign_in):
    client = await sign_in("Adrien")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await client.accounts.AddAccount(node_pb2.AddAccountRequest(name="Nadia", password=PASSWORD, roles=["chief"]))
    error = from_rpc_error(refused.value)
    assert isinstance(error, InvalidInput)
    assert error.facts["field"] == "roles"
    assert "handler" in str(error)


def test_the_socket_is_for_its_owner_alone(socket: Path):
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700


async def test_where_no_node_listens_it_is_said_so(tmp_path: Path):
    with pytest.raises(NodeNotRunning):
        async with connect(tmp_path / "s"):
            pass


def test_a_socket_path_that_the_kernel_would_cut_is_refused(tmp_path: Path):
    too_long = tmp_path / ("x" * (SOCKET_PATH_LIMIT - len(str(tmp_path))))
    with pytest.raises(InvalidInput, match="107"):
        target(too_long)
    assert target(too_long.with_name(too_long.name[:-1]))


def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path):
    (tmp_path / "open").mkdir(mode=0o755)
    with pytest.raises(InvalidInput, match="chmod 700"):
        prepare(tmp_path / "open" / "s")


def test_a_file_in_the_place_of_the_socket_is_left_alone(tmp_path: Path):
    (tmp_path / "run").mkdir(mode=0o700)
    (tmp_path / "run" / "s").write_text("precious")
    with pytest.raises(InvalidInput):
        prepare(tmp_path / "run" / "s")
    assert (tmp_path / "run" / "s").read_text() == "precious"
