"""`cordee transfer inbox`, `accept`, `decline`, `return` and `erase-answer`: the recipient's half."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cordee.errors import N_
from node.cli.calling import on_node

if TYPE_CHECKING:
    from cordee.runtime.output import Output
    from node.cli.client import Client

__all__ = ["DECLINING", "KEEPING", "RETURNING", "accept", "decline", "erase_answer", "give_back", "inbox"]

# The closed lists of cordee.summary, whose import would slow down every command; a test holds them equal.
DECLINING = ["no_capacity", "outside_territory", "outside_age", "outside_criteria", "conflict", "other"]
RETURNING = ["wrong_recipient", *DECLINING[:-1], "minor_refuses", "other"]
KEEPING = ["legal_obligation", "legal_claims", "other"]


@click.command("inbox")
@on_node
async def inbox(client: Client, output: Output) -> None:
    """What waits for an answer of ours: open offers, and requests to erase. See one with cordee transfer show.

    JSON: as transfer list
    """
    from cordee.transfer import State
    from cordee.v1 import node_pb2
    from node.cli import shapes

    request = node_pb2.ListTransfersRequest(direction="in")
    rows = [
        shapes.transfer(each, output.language)
        async for each in client.transfers.ListTransfers(request)
        if each.state == State.OFFERED or each.erasure == "asked"
    ]
    output.rows(rows, ("transfer", "peer_name", "purpose", "kind", "state", "erasure", "expires"))


@click.command("accept")
@click.argument("transfer")
@click.option("--section", "sections", multiple=True, help="Take only this section; may be repeated [default: all].")
@on_node
async def accept(client: Client, output: Output, *, transfer: str, sections: tuple[str, ...]) -> None:
    """Accept an offer. The case arrives by itself; follow it with cordee transfer watch.

    JSON: as transfer list
    """
    from cordee.v1 import node_pb2
    from node.cli import shapes
    from node.cli.ids import transfer_of

    transfer_id = await transfer_of(client, transfer)
    answer = await client.transfers.AcceptTransfer(
        node_pb2.AcceptTransferRequest(transfer_id=transfer_id, sections=sections)
    )
    output.record(shapes.transfer(answer.transfer, output.language))


@click.command("decline")
@click.argument("transfer")
@click.option("--code", type=click.Choice(DECLINING), required=True, help="The reason.")
@click.option("--text-file", default="", help="File with words for the sender; - for standard input.")
@on_node
async def decline(client: Client, output: Output, *, transfer: str, code: str, text_file: str) -> None:
    """Decline an offer. Only the sender can read why.

    JSON: as transfer list
    """
    from cordee.v1 import node_pb2
    from node.cli import shapes
    from node.cli.files import read_text
    from node.cli.ids import transfer_of

    text = read_text(text_file) if text_file else ""
    transfer_id = await transfer_of(client, transfer)
    answer = await client.transfers.DeclineTransfer(
        node_pb2.DeclineTransferRequest(transfer_id=transfer_id, code=code, text=text)
    )
    output.record(shapes.transfer(answer.transfer, output.language))


@click.command("return")
@click.argument("transfer")
@click.option("--code", type=click.Choice(RETURNING), required=True, help="The reason.")
@click.option("--text-file", default="", help="File with words for the sender; - for standard input.")
@on_node
async def give_back(client: Client, output: Output, *, transfer: str, code: str, text_file: str) -> None:
    """Say that what was received is not for you: it is erased here, and the sender holds the case again.

    All of it is erased, with what was written here since. Only the sender can read why.

    JSON: as transfer list
    """
    from cordee.v1 import node_pb2
    from node.cli import shapes
    from node.cli.files import read_text
    from node.cli.ids import transfer_of

    text = read_text(text_file) if text_file else ""
    transfer_id = await transfer_of(client, transfer)
    output.confirm(N_("Erase what was received for ever?"))
    answer = await client.transfers.ReturnTransfer(
        node_pb2.ReturnTransferRequest(transfer_id=transfer_id, code=code, text=text)
    )
    output.record(shapes.transfer(answer.transfer, output.language))


@click.command("erase-answer")
@click.argument("transfer")
@click.option("--erase/--keep", "erase", required=True, default=None, help="Erase the case here, or keep it by law.")
@click.option("--code", type=click.Choice(KEEPING), help="With --keep: the reason.")
@click.option("--text-file", default="", help="With --keep: file with the reason in words; - for standard input.")
@on_node
async def erase_answer(
    client: Client, output: Output, *, transfer: str, erase: bool, code: str | None, text_file: str
) -> None:
    """Answer a request to erase what was received.

    JSON: as transfer list
    """
    from cordee.v1 import node_pb2
    from node.cli import shapes
    from node.cli.files import read_text
    from node.cli.ids import transfer_of

    if erase is (code is not None):
        raise click.UsageError("Give a --code with --keep, and none with --erase.")
    text = read_text(text_file) if text_file else ""
    transfer_id = await transfer_of(client, transfer)
    if erase:
        output.confirm(N_("Erase what was received for ever?"))
    answer = await client.transfers.AnswerErasure(
        node_pb2.AnswerErasureRequest(transfer_id=transfer_id, erase=erase, code=code or "", text=text)
    )
    output.record(shapes.transfer(answer.transfer, output.language))
