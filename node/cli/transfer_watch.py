"""`cordee transfer watch`: each change, as it happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

import click

from cordee.errors import N_
from node.cli.calling import on_node

if TYPE_CHECKING:
    from cordee.runtime.output import Output
    from cordee.v1 import node_pb2
    from node.cli.client import Client

__all__ = ["watch"]

_FOR_EVER = 30 * 86_400.0  # seconds
_STATES = ["offered", "accepted", "shipped", "received", "declined", "refused", "withdrawn", "expired"]


@click.command("watch")
@click.argument("transfer", required=False)
@click.option(
    "--until", "wanted", type=click.Choice(_STATES), multiple=True, help="Stop at this state; may be repeated."
)
@click.option("--timeout", "patience", metavar="SPAN", help="Give up after, for instance, 90s [default: never].")
@on_node
async def watch(
    client: Client, output: Output, *, transfer: str | None, wanted: tuple[str, ...], patience: str | None
) -> None:
    """Tell each change of one transfer until it is over, or of all of them until interrupted.

    With --until: exit code 0 once that state is reached, 6 where the transfer ends in another. After --timeout: 7.

    JSON (an object a line): as transfer list
    """
    from cordee.errors import TransferOver, Unreachable
    from cordee.runtime.spans import span
    from cordee.transfer import END_STATES
    from node.cli import shapes
    from node.cli.ids import transfer_of

    limit = span(patience, field="--timeout").total_seconds() if patience else _FOR_EVER
    transfer_id = await transfer_of(client, transfer) if transfer else None
    if wanted and transfer_id is None:
        raise click.UsageError("--until needs a transfer.")
    ends = frozenset(wanted) or END_STATES
    with suppress(TimeoutError):
        async with asyncio.timeout(limit), aclosing(_changes(client, transfer_id)) as changes:
            async for line in changes:
                output.line(shapes.transfer(line, output.language), text=_sentence(line, output.language))
                if transfer_id is not None and line.state in ends:
                    return
                if transfer_id is not None and line.state in END_STATES:
                    raise TransferOver(state=line.state)
    raise Unreachable(peer=N_("the other association"))


async def _changes(client: Client, transfer_id: bytes | None) -> AsyncGenerator[node_pb2.TransferRecord, None]:
    """Each change once, however often the node tells it."""
    from cordee.v1 import node_pb2

    last: dict[bytes, node_pb2.TransferRecord] = {}
    call = client.transfers.WatchTransfers(
        node_pb2.WatchTransfersRequest(transfer_id=transfer_id or b""), timeout=_FOR_EVER
    )
    try:
        async for change in call:
            if last.get(change.transfer.transfer_id) != change.transfer:
                last[change.transfer.transfer_id] = change.transfer
                yield change.transfer
    finally:
        call.cancel()


def _sentence(line: node_pb2.TransferRecord, language: str) -> str:
    from cordee.runtime.texts import text

    told = f"{line.transfer_id[:4].hex()}  {line.peer_name}  {line.state}: {text(line.sentence, language)}"
    if line.bytes_total:
        moved = text(N_("{done} of {total} bytes"), language)
        told += f" ({moved.format(done=line.bytes_done, total=line.bytes_total)})"
    return told
