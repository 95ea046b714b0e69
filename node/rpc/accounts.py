"""The service Accounts: the people who work with this node."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from sqlalchemy import Connection

from cordee.errors import N_, InvalidInput
from cordee.v1 import node_pb2, node_pb2_grpc
from node import orphans, people, second_factor
from node.people import Role
from node.rpc.desk import Context, Desk
from node.rpc.teams import heir_named
from node.rpc.wire import account_record

__all__ = ["Accounts"]


class Accounts(Desk, node_pb2_grpc.AccountsServicer):
    """For administrators."""

    async def AddAccount(self, request: node_pb2.AddAccountRequest, context: Context) -> node_pb2.AddAccountResponse:
        """Make an account. Raises InvalidInput for what will not do; AccountExists."""
        handler = await self._enter(context, "Accounts.AddAccount")
        node, now = self._node, self._node.clock.now()
        account = await node.db.write(
            lambda tx: people.add_account(
                tx,
                node.vault,
                request.name,
                request.password,
                _roles(request.roles),
                request.bound_by_secrecy,
                now,
                node.random,
                by=handler.account_id,
            )
        )
        return node_pb2.AddAccountResponse(account=account_record(account))

    async def ListAccounts(
        self, request: node_pb2.ListAccountsRequest, context: Context
    ) -> AsyncIterator[node_pb2.Account]:
        """Every account."""
        await self._enter(context, "Accounts.ListAccounts")
        for account in await self._node.db.read(lambda tx: people.list_accounts(tx, self._node.vault)):
            yield account_record(account)

    async def DisableAccount(
        self, request: node_pb2.DisableAccountRequest, context: Context
    ) -> node_pb2.DisableAccountResponse:
        """Let an account sign in no more. Raises NotFound, LastAdministrator, CasesLeftAlone."""
        handler = await self._enter(context, "Accounts.DisableAccount")
        node, now = self._node, self._node.clock.now()

        def step(tx: Connection) -> None:
            account = people.account_row(tx, node.vault, request.name).id
            heir = heir_named(tx, node.vault, team=request.cases_to_team, account=request.cases_to_account)
            leave, by = request.leave_cases, handler.account_id
            orphans.close_account(tx, node.vault, node.house.cases, account, heir=heir, leave=leave, now=now, by=by)

        await node.db.write(step)
        return node_pb2.DisableAccountResponse()

    async def GiveSecondFactor(
        self, request: node_pb2.GiveSecondFactorRequest, context: Context
    ) -> node_pb2.GiveSecondFactorResponse:
        """New codes for somebody who cannot set them up on the pages. Raises NotFound."""
        handler = await self._enter(context, "Accounts.GiveSecondFactor")
        node, now = self._node, self._node.clock.now()
        uri = await node.db.write(
            lambda tx: second_factor.give(
                tx, node.vault, request.name, now=now, random=node.random, by=handler.account_id
            )
        )
        return node_pb2.GiveSecondFactorResponse(otpauth_uri=uri)


def _roles(names: Iterable[str]) -> set[Role]:
    try:
        return {Role(name) for name in names}
    except ValueError as unknown:
        raise InvalidInput(
            field="roles", problem=N_("it must be one of {options}"), options=", ".join(Role)
        ) from unknown
