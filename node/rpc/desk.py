"""What every servicer of the node has: the node, and the one way to learn who is asking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc

from cordee.errors import NotSignedIn
from node import people
from node.rpc.access import check

if TYPE_CHECKING:
    from node.app import Node
    from node.people import Handler

__all__ = ["Context", "Desk", "bearer"]

Context = grpc.aio.ServicerContext[Any, Any]  # the generated stubs give each method a type of its own
_SCHEME = "Bearer "


def bearer(context: Context) -> str:
    """The session token of a call. Raises NotSignedIn where there is none, or more than one."""
    values = [value for key, value in context.invocation_metadata() or () if key == "authorization"]
    if len(values) != 1:
        raise NotSignedIn
    value = values[0]
    if not isinstance(value, str) or not value.startswith(_SCHEME):
        raise NotSignedIn
    return value.removeprefix(_SCHEME)


class Desk:
    """A servicer's base: it holds the node and lets nobody in unchecked."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def _enter(self, context: Context, method: str) -> Handler:
        """Who calls `Service.Method`. Raises NotSignedIn, and RoleMissing where the table does not let them."""
        token = bearer(context)
        now = self._node.clock.now()
        node = self._node
        handler, noted = node.db.look(lambda tx: people.look_up(tx, node.vault, token, now=now))
        if not noted:
            handler = await node.db.write(lambda tx: people.who(tx, node.vault, token, now=now))
        check(handler, method)
        return handler

    def _require_still(self, context: Context, handler: Handler) -> None:
        """Before more is told to whoever entered long ago: a stream is no use of a session, and does not outlive it.

        Raises: NotSignedIn, also where they hold other roles by now.
        """
        node, token = self._node, bearer(context)
        present, _ = node.db.look(lambda tx: people.look_up(tx, node.vault, token, now=node.clock.now()))
        if present.roles != handler.roles:
            raise NotSignedIn()
