"""`cordee node login`, `logout`, `whoami` and `cordee node user`: who works with this node."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cordee.errors import N_
from node.cli.calling import on_node, socket_in_use

if TYPE_CHECKING:
    from cordee.runtime.output import Output
    from node.cli.client import Client

__all__ = ["login", "logout", "user", "whoami"]

_COLUMNS = ("account_id", "name", "roles", "bound_by_secrecy", "disabled")
_ROLES = ["handler", "lead", "administrator", "auditor"]


@click.command("login")
@click.argument("name")
@click.option("--password-file", help="File whose first line is the password; - for standard input [default: ask].")
@on_node
async def login(client: Client, output: Output, *, name: str, password_file: str | None) -> None:
    """Sign in. The session is kept for this socket in CORDEE_SESSION_FILE, or in ~/.local/state/cordee.

    JSON: {account_id, name, roles: [], bound_by_secrecy, disabled}
    """
    from cordee.v1 import node_pb2
    from node.cli import shapes
    from node.cli.session import Sessions, session_file

    password = _password(password_file)
    answer = await client.sessions.SignIn(node_pb2.SignInRequest(name=name, password=password))
    Sessions(session_file()).keep(socket_in_use(), answer.token)
    output.record(shapes.account(answer.account))


@click.command("logout")
@on_node
async def logout(client: Client, output: Output) -> None:
    """End the session, here and on the node.

    JSON: {signed_out: true}
    """
    from grpc.aio import AioRpcError

    from cordee.errors import NotSignedIn
    from cordee.runtime.rpc_errors import from_rpc_error
    from cordee.v1 import node_pb2
    from node.cli.session import Sessions, session_file

    try:
        await client.sessions.SignOut(node_pb2.SignOutRequest())
    except AioRpcError as refused:
        if not isinstance(from_rpc_error(refused), NotSignedIn):  # a session that is over already is none
            raise
    Sessions(session_file()).forget(socket_in_use())
    output.record({"signed_out": True})


@click.command("whoami")
@on_node
async def whoami(client: Client, output: Output) -> None:
    """The account that is signed in.

    JSON: {account_id, name, roles: [], bound_by_secrecy, disabled}
    """
    from cordee.v1 import node_pb2
    from node.cli import shapes

    output.record(shapes.account((await client.sessions.WhoAmI(node_pb2.WhoAmIRequest())).account))


@click.group("user")
def user() -> None:
    """The accounts of this node."""


@user.command("add")
@click.argument("name")
@click.option("--role", "roles", type=click.Choice(_ROLES), multiple=True, required=True, help="May be repeated.")
@click.option("--bound-by-secrecy", is_flag=True, help="The person is bound by professional secrecy.")
@click.option("--password-file", help="File whose first line is the password; - for standard input [default: ask].")
@on_node
async def add(
    client: Client,
    output: Output,
    *,
    name: str,
    roles: tuple[str, ...],
    bound_by_secrecy: bool,
    password_file: str | None,
) -> None:
    """Add an account.

    JSON: {account_id, name, roles: [], bound_by_secrecy, disabled}
    """
    from cordee.v1 import node_pb2
    from node.cli import shapes

    request = node_pb2.AddAccountRequest(
        name=name, password=_password(password_file), roles=roles, bound_by_secrecy=bound_by_secrecy
    )
    output.record(shapes.account((await client.accounts.AddAccount(request)).account))


@user.command("list")
@on_node
async def list_(client: Client, output: Output) -> None:
    """Every account.

    JSON: [{account_id, name, roles: [], bound_by_secrecy, disabled}]
    """
    from cordee.v1 import node_pb2
    from node.cli import shapes

    rows = [shapes.account(each) async for each in client.accounts.ListAccounts(node_pb2.ListAccountsRequest())]
    output.rows(rows, _COLUMNS)


@user.command("disable")
@click.argument("name")
@click.option("--cases-to-team", help="Team that gets the cases that nobody else may open.")
@click.option("--cases-to", help="Name of the person who gets them.")
@click.option("--leave-cases", is_flag=True, help="They are given to nobody yet: see cordee node team orphans.")
@on_node
async def disable(
    client: Client, output: Output, *, name: str, cases_to_team: str | None, cases_to: str | None, leave_cases: bool
) -> None:
    """Disable an account and end its sessions. Where nobody else may open some of its cases, say who gets them.

    JSON: {name, disabled: true}
    """
    from cordee.v1 import node_pb2

    if sum((cases_to_team is not None, cases_to is not None, leave_cases)) > 1:
        raise click.UsageError("Say one of --cases-to-team, --cases-to and --leave-cases.")
    output.confirm(N_("Disable the account of {name}?"), name=name)
    request = node_pb2.DisableAccountRequest(
        name=name, cases_to_team=cases_to_team or "", cases_to_account=cases_to or "", leave_cases=leave_cases
    )
    await client.accounts.DisableAccount(request)
    output.record({"name": name, "disabled": True})


@user.command("second-factor")
@click.argument("name")
@on_node
async def second_factor(client: Client, output: Output, *, name: str) -> None:
    """Give an account new codes for its telephone, in the place of every second factor that it had.

    For the pages; the command line asks for the password alone. The address is a secret: show it to that person only.

    JSON: {name, otpauth_uri}
    """
    from cordee.v1 import node_pb2

    output.confirm(N_("Replace the second factor of {name}?"), name=name)
    answer = await client.accounts.GiveSecondFactor(node_pb2.GiveSecondFactorRequest(name=name))
    output.record({"name": name, "otpauth_uri": answer.otpauth_uri})


def _password(file: str | None) -> str:
    import sys

    from node.cli.files import read_secret

    if file is not None:
        return read_secret(file)
    if not sys.stdin.isatty():
        raise click.UsageError("Give the password with --password-file (- for standard input).")
    entered: str = click.prompt("Password", hide_input=True, err=True)
    return entered
