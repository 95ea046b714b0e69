"""`cordee transfer preview`, `offer`, `ship` and `withdraw`: the sender's half."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from cordee.errors import N_
from node.cli.calling import on_node, rehearsed

if TYPE_CHECKING:
    from cordee.runtime.output import Output
    from cordee.v1 import node_pb2
    from node.cli.client import Client

__all__ = ["offer", "preview", "ship", "withdraw"]


def _content_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What an offer and its preview have in common."""
    options = (
        click.argument("case_id"),
        click.option("--to", "recipient", required=True, help="The association: its id, its beginning, or its name."),
        click.option("--purpose", required=True, help="As in the case record, for instance specialised_support."),
        click.option("--act", "act_id", required=True, help="The act that covers it."),
        click.option("--tick", "ticked", multiple=True, help="Section that leaves only if asked for; may be repeated."),
        click.option("--untick", "unticked", multiple=True, help="Section to leave out; may be repeated."),
        click.option("--attachment", "attachments", multiple=True, help="Id of an attachment; may be repeated."),
    )
    return functools.reduce(lambda done, option: option(done), reversed(options), command)


async def _content(client: Client, **given: Any) -> node_pb2.PreviewTransferRequest:
    from cordee.v1 import node_pb2
    from node.cli.ids import member_of

    given["recipient"] = await member_of(client, given["recipient"])
    return node_pb2.PreviewTransferRequest(**given)


async def _preview(client: Client, output: Output, content: node_pb2.PreviewTransferRequest) -> None:
    from node.cli import shapes

    answer = await client.transfers.PreviewTransfer(content)
    output.record(shapes.preview(answer, content.attachments))


@click.command("preview")
@_content_options
@on_node
async def preview(client: Client, output: Output, **content: Any) -> None:
    """What would leave, and under which rule. Nothing is kept or sent.

    JSON: {sections: [], attachments: [], size_bound, rule, flags: [], summary: {}}
    """
    await _preview(client, output, await _content(client, **content))


@click.command("offer")
@_content_options
@click.option(
    "--kind",
    type=click.Choice(["transfer", "referral"]),
    default="transfer",
    show_default=True,
    help="Hand the case over, or share it.",
)
@click.option("--expires-in", metavar="SPAN", help="For instance 36h or 7d [default: the network's limit].")
@click.option("--hold", is_flag=True, help="Wait for cordee transfer ship after they accept.")
@on_node
@rehearsed
async def offer(
    client: Client, output: Output, *, kind: str, expires_in: str | None, hold: bool, **content: Any
) -> None:
    """Offer a case to one association. It sees a summary that names nobody until it accepts.

    With --dry-run: as cordee transfer preview.

    JSON: {transfer}
    """
    from cordee.runtime.spans import span
    from cordee.v1 import node_pb2

    request = node_pb2.OfferTransferRequest(content=await _content(client, **content), kind=kind, hold=hold)
    if expires_in is not None:
        request.expires_in.FromTimedelta(span(expires_in, field="--expires-in"))
    if output.dry_run:
        await _preview(client, output, request.content)
        return
    answer = await client.transfers.OfferTransfer(request)
    output.record({"transfer": answer.transfer_id.hex()})


@click.command("ship")
@click.argument("transfer")
@on_node
async def ship(client: Client, output: Output, *, transfer: str) -> None:
    """Let an accepted transfer leave that was offered with --hold.

    JSON: as transfer list
    """
    from cordee.v1 import node_pb2
    from node.cli import shapes
    from node.cli.ids import transfer_of

    transfer_id = await transfer_of(client, transfer)
    answer = await client.transfers.ShipTransfer(node_pb2.ShipTransferRequest(transfer_id=transfer_id))
    output.record(shapes.transfer(answer.transfer, output.language))


@click.command("withdraw")
@click.argument("transfer")
@on_node
async def withdraw(client: Client, output: Output, *, transfer: str) -> None:
    """Withdraw an offer. After delivery it asks the other association to erase, and it must answer.

    JSON: as transfer list
    """
    from cordee.v1 import node_pb2
    from node.cli import shapes
    from node.cli.ids import transfer_of

    transfer_id = await transfer_of(client, transfer)
    output.confirm(N_("Withdraw this transfer?"))
    answer = await client.transfers.WithdrawTransfer(node_pb2.WithdrawTransferRequest(transfer_id=transfer_id))
    output.record(shapes.transfer(answer.transfer, output.language))
