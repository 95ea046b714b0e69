"""`cordee audit`: the journal of who did what."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from node.cli.calling import on_node

if TYPE_CHECKING:
    from cordee.runtime.output import Output
    from node.cli.client import Client

__all__ = ["group"]


@click.group(name="audit")
def group() -> None:
    """Who did what, in a journal that shows every change to it."""


@group.command("list")
@click.option("--about", default="", help="Only lines about this case, transfer or act.")
@click.option("--after", type=click.IntRange(0), default=0, help="Only lines after this one.")
@on_node
async def list_(client: Client, output: Output, *, about: str, after: int) -> None:
    """The journal's lines, oldest first.

    JSON: [{line, time, actor, action, subject, outcome, facts: {}}]
    """
    from cordee.v1 import node_pb2
    from node.cli import shapes

    request = node_pb2.ListJournalRequest(after=after, about=about)
    rows = [shapes.journal_line(each) async for each in client.audit.ListJournal(request)]
    output.rows(rows, ("line", "time", "actor", "action", "subject", "outcome", "facts"))


@group.command("verify")
@on_node
async def verify(client: Client, output: Output) -> None:
    """Check the whole chain and the signed heads. A change to any line ends in exit code 8.

    JSON: {lines, head, signed_lines, signatures}
    """
    from cordee.v1 import node_pb2

    answer = await client.audit.VerifyJournal(node_pb2.VerifyJournalRequest())
    output.record(
        {
            "lines": answer.lines,
            "head": answer.head.hex(),
            "signed_lines": answer.signed_lines,
            "signatures": answer.signatures,
        }
    )


@group.command("export")
@click.option("--file", "target", type=click.Path(path_type=Path), required=True, help="Where to write it.")
@on_node
async def export(client: Client, output: Output, *, target: Path) -> None:
    """Write the journal with its signed heads, one JSON object a line.

    JSON: {file, size}
    """
    from cordee.v1 import node_pb2
    from node.cli.files import private_file

    size = 0
    with private_file(target) as file:
        async for part in client.audit.ExportJournal(node_pb2.ExportJournalRequest()):
            size += file.write(part.data)
    output.record({"file": str(target), "size": size})
