"""`cordee node keys` and `cordee node object`: the node's own keys, and the defence of its identity key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cordee.errors import N_
from node.cli.calling import on_node

if TYPE_CHECKING:
    from cordee.runtime.output import Output
    from node.cli.client import Client

__all__ = ["keys", "object_"]

_COLUMNS = ("kind", "state", "since", "expires", "card", "id")


@click.group("keys")
def keys() -> None:
    """This node's keys: how old they are, and other ones in their place."""


@keys.command("list")
@on_node
async def list_(client: Client, output: Output) -> None:
    """The keys with their ages and ends. What has an end, the node renews by itself at two thirds of its life.

    JSON: [{kind, state, id, since, expires, card}]
    """
    from cordee.v1 import node_pb2
    from node.cli import shapes

    answer = await client.info.ListKeys(node_pb2.ListKeysRequest())
    output.rows([shapes.key(each) for each in answer.keys], _COLUMNS)


@keys.command("rotate")
@click.option("--identity", "kind", flag_value="identity", help="The key that signs, by an entry in the network's log.")
@click.option("--transport", "kind", flag_value="transport", help="The key that this node calls with.")
@click.option("--sealing", "kind", flag_value="sealing", help="The key that others seal to, with a new card.")
@click.option("--despite-transfers", is_flag=True, help="With --identity: also while transfers are under way.")
@on_node
async def rotate(client: Client, output: Output, *, kind: str | None, despite_transfers: bool) -> None:
    """Put another key in the place of one: while nothing is wrong, as often as you like.

    For a key that somebody else may have, tell the network's administrators first: they revoke it at once.

    JSON: [{kind, state, id, since, expires, card}]
    """
    from cordee.v1 import node_pb2
    from node.cli import shapes

    if kind is None:
        raise click.UsageError("Say which one: --identity, --transport or --sealing.")
    if kind == "identity":
        output.confirm(N_("The identity key is replaced, and the network is told. Its six words change. Go on?"))
    request = node_pb2.RotateKeyRequest(kind=kind, despite_transfers=despite_transfers)
    answer = await client.info.RotateKey(request)
    output.rows([shapes.key(each) for each in answer.keys], _COLUMNS)


@click.command("object")
@on_node
async def object_(client: Client, output: Output) -> None:
    """Object to the announced recovery of this node's identity key: it is here, and nobody else asked for another.

    JSON: {objected}
    """
    from cordee.v1 import node_pb2

    await client.info.ObjectToRecovery(node_pb2.ObjectToRecoveryRequest())
    output.say(N_("The network is told that this node has its key. Call the administrators and ask what happened."))
    output.record({"objected": True})
