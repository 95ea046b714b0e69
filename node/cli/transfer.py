"""`cordee transfer`: both halves of a transfer, gathered in one group."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from node.cli.calling import on_node
from node.cli.transfer_answer import accept, decline, erase_answer, give_back, inbox
from node.cli.transfer_offer import offer, preview, ship, withdraw
from node.cli.transfer_update import update
from node.cli.transfer_watch import watch

if TYPE_CHECKING:
    from cordee.runtime.output import Output
    from node.cli.client import Client

__all__ = ["group"]


@click.group(name="transfer")
def group() -> None:
    """Cases on their way to another association, and from one."""


for command in (offer, preview, ship, update, withdraw, inbox, accept, decline, give_back, erase_answer, watch):
    group.add_command(command)


@group.command("list")
@click.option("--direction", type=click.Choice(["out", "in"]), help="Only those that leave, or arrive.")
@on_node
async def list_(client: Client, output: Output, *, direction: str | None) -> None:
    """Every transfer, newest first.

    JSON: [{transfer, direction, peer, peer_name, state, kind, purpose, case_id, opened, updated, expires, bytes_done,
    bytes_total, sentence, reason_code, erasure, waits}]
    """
    from cordee.v1 import node_pb2
    from node.cli import shapes

    request = node_pb2.ListTransfersRequest(direction=direction or "")
    rows = [shapes.transfer(each, output.language) async for each in client.transfers.ListTransfers(request)]
    output.rows(rows, ("transfer", "direction", "peer_name", "state", "purpose", "updated"))


@group.command("show")
@click.argument("transfer")
@on_node
async def show(client: Client, output: Output, *, transfer: str) -> None:
    """One transfer: its state in a sentence, what its offer says, and the reason if it was declined or refused.

    TRANSFER is an id or its beginning.

    JSON: as transfer list, with {summary: {} or null, reason: {code, meaning, text} or null}
    """
    from cordee.v1 import node_pb2
    from node.cli import shapes
    from node.cli.ids import transfer_of

    transfer_id = await transfer_of(client, transfer)
    line = await client.transfers.ReadTransfer(node_pb2.ReadTransferRequest(transfer_id=transfer_id))
    told = await client.transfers.ReadSummary(node_pb2.ReadSummaryRequest(transfer_id=transfer_id))
    shape = shapes.transfer(line.transfer, output.language)
    shape["summary"] = shapes.summary(told.summary) if told.HasField("summary") else None
    shape["reason"] = shapes.reason(told.reason, output.language) if told.HasField("reason") else None
    output.record(shape)


@group.command("proof")
@click.argument("transfer")
@click.option("--file", "target", type=click.Path(path_type=Path), required=True, help="Where to write it.")
@on_node
async def proof(client: Client, output: Output, *, transfer: str, target: Path) -> None:
    """Write the proof of a transfer: anybody checks it offline with cordee verify. It holds nothing of the case.

    JSON: {transfer, file, size}
    """
    await _write_proof(client, output, transfer, target, erasure=False)


@group.command("erasure-receipt")
@click.argument("transfer")
@click.option("--file", "target", type=click.Path(path_type=Path), required=True, help="Where to write it.")
@on_node
async def erasure_receipt(client: Client, output: Output, *, transfer: str, target: Path) -> None:
    """Write the receipt of an erasure: what the recipient signed when it erased what it received, or kept it by law.

    It is a proof of the transfer up to that answer; anybody checks it offline with cordee verify.

    JSON: {transfer, file, size}
    """
    await _write_proof(client, output, transfer, target, erasure=True)


async def _write_proof(client: Client, output: Output, transfer: str, target: Path, *, erasure: bool) -> None:
    from cordee.v1 import node_pb2
    from node.cli.files import private_file
    from node.cli.ids import transfer_of

    transfer_id = await transfer_of(client, transfer)
    request, size = node_pb2.ExportProofRequest(transfer_id=transfer_id, erasure=erasure), 0
    with private_file(target) as file:
        async for part in client.transfers.ExportProof(request):
            size += file.write(part.data)
    output.record({"transfer": transfer_id.hex(), "file": str(target), "size": size})
