"""`cordee node keys` and `cordee node object`: the node's own keys, and the defence of its identity key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cordee.errors import N_
from node.cli.calling import data_dir_option, on_node, passphrase_option

if TYPE_CHECKING:
    from cordee.runtime.output import Output
    from node.cli.client import Client

__all__ = ["keys", "object_", "recover"]

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


@click.command("recover")
@click.option("--out", type=click.Path(path_type=Path), help="Begin: write the new key's public half to this file.")
@click.option("--finish", is_flag=True, help="Finish: come back with the new key, once it is in force.")
@click.option("--way", type=click.Path(path_type=Path), help="On a new machine: file from cordee admin recover --out.")
@click.option("--profile", type=click.Path(path_type=Path), help="On a new machine: the association's entry, as JSON.")
@click.option("--wait", metavar="SPAN", help="With --finish: ask again for so long, for instance 8d.")
@data_dir_option
@passphrase_option
@click.pass_context
def recover(
    ctx: click.Context,
    out: Path | None,
    finish: bool,
    way: Path | None,
    profile: Path | None,
    wait: str | None,
    data_dir: Path,
    passphrase_file: str,
) -> None:
    """Get another identity key where the old one is lost or stolen, or come back after a long absence.

    With --out, a new key is made and its six words are shown: give the file to an administrator and read the words out.
    They announce it, and put it in force after some days. Then, with --finish, the node comes back; it must not run
    meanwhile. On a new machine, "cordee node init" comes first, and --finish needs --way and --profile.

    JSON: {words: [], public} or {member}
    """
    import asyncio
    import os

    from cordee.keyfile import public_file
    from cordee.runtime.clock import SystemClock
    from cordee.runtime.output import Output
    from cordee.runtime.spans import span
    from cordee.words import six_words
    from node import rejoining
    from node.cli.files import read_bytes, read_secret
    from node.files import replace

    output = Output(ctx)
    output.for_real()
    if finish == (out is not None):
        raise click.UsageError("Give --out to begin, or --finish.")
    passphrase = read_secret(passphrase_file).encode()
    if out is not None:
        public = rejoining.next_key(data_dir, passphrase=passphrase, random=os.urandom)
        replace(out, public_file(public))
        output.record({"words": six_words(public), "public": str(out)})
        return
    member = asyncio.run(
        rejoining.come_back(
            data_dir,
            passphrase=passphrase,
            clock=SystemClock(),
            random=os.urandom,
            way=rejoining.WayBack.parse(read_bytes(str(way))) if way else None,
            profile=read_bytes(str(profile)) if profile else None,
            give_up_after=span(wait, field="--wait") if wait else None,
        )
    )
    output.record({"member": member.hex()})


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
