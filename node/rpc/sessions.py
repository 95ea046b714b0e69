"""The service Sessions: who is asking."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cordee.v1 import node_pb2, node_pb2_grpc
from node import people
from node.rpc.desk import Context, Desk, bearer
from node.rpc.wire import account_record

if TYPE_CHECKING:
    from node.app import Node

__all__ = ["Sessions"]


class Sessions(Desk, node_pb2_grpc.SessionsServicer):
    """Sign in, sign out."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._comparing = asyncio.Lock()  # one at a time: Argon2id takes much memory

    async def SignIn(self, request: node_pb2.SignInRequest, context: Context) -> node_pb2.SignInResponse:
        """Open a session. Raises WrongPassword for a wrong name too; SignInPaused after too many."""
        node, name, password = self._node, request.name, request.password
        async with self._comparing:
            now = node.clock.now()
            found = await node.db.read(lambda tx: people.to_compare(tx, node.vault, name, now=now))
            compared = await asyncio.to_thread(people.Compared.of, found[0], password) if found else None
            attempt = await node.db.write(
                lambda tx: people.sign_in(
                    tx, node.vault, name, password, now=now, random=node.random, compared=compared
                )
            )
        token = attempt.token  # raises only now: the count of wrong passwords is committed
        handler = await node.db.write(lambda tx: people.who(tx, node.vault, token, now=now))
        return node_pb2.SignInResponse(token=token, account=account_record(handler))

    async def SignOut(self, request: node_pb2.SignOutRequest, context: Context) -> node_pb2.SignOutResponse:
        """End the session. Raises NotSignedIn where it has ended."""
        await self._enter(context, "Sessions.SignOut")
        node, token = self._node, bearer(context)
        await node.db.write(lambda tx: people.sign_out(tx, node.vault, token, now=node.clock.now()))
        return node_pb2.SignOutResponse()

    async def WhoAmI(self, request: node_pb2.WhoAmIRequest, context: Context) -> node_pb2.WhoAmIResponse:
        """The account that holds the session."""
        handler = await self._enter(context, "Sessions.WhoAmI")
        return node_pb2.WhoAmIResponse(account=account_record(handler))
