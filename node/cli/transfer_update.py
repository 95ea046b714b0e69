"""`cordee transfer update`: what is new in a case that two associations follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from node.cli.calling import on_node, rehearsed

if TYPE_CHECKING:
    from cordee.runtime.output import Output
    from node.cli.client import Client

__all__ = ["update"]


@click.command("update")
@click.argument("transfer")
@click.option("--section", "sections", multiple=True, help="Only this section; may be repeated [default: as shared].")
@click.option("--attachment", "attachments", multiple=True, help="Id of an attachment; may be repeated.")
@on_node
@rehearsed
async def update(
    client: Client, output: Output, *, transfer: str, sections: tuple[str, ...], attachments: tuple[str, ...]
) -> None:
    """Send what is new in a shared case. TRANSFER is the referral, whoever of the two sent it.

    The other association accepts it by itself while the act is in force. It keeps what comes beside its own record:
    cordee case versions shows it there. With --dry-run: what would leave, as cordee transfer preview.

    JSON: {transfer}
    """
    from cordee.v1 import node_pb2
    from node.cli import shapes
    from node.cli.ids import transfer_of

    request = node_pb2.UpdateTransferRequest(
        transfer_id=await transfer_of(client, transfer), sections=sections, attachments=attachments
    )
    if output.dry_run:
        told = await client.transfers.PreviewUpdate(node_pb2.PreviewUpdateRequest(update=request))
        output.record(shapes.preview(told.preview, attachments))
        return
    answer = await client.transfers.UpdateTransfer(request)
    output.record({"transfer": answer.transfer_id.hex()})
