"""`cordee node evidence`: what this node was shown of the roster and could not believe, for the network's office."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from node.cli.calling import on_node

if TYPE_CHECKING:
    from cordee.runtime.output import Output
    from node.cli.client import Client

__all__ = ["evidence"]


@click.command("evidence")
@click.option("--number", type=click.IntRange(1), help="Which one to write [default: the newest].")
@click.option("--present", is_flag=True, help="Write what this node was shown up to now, to compare it with others.")
@click.option("--file", "target", type=click.Path(path_type=Path), help="Write it into this file.")
@on_node
async def evidence(client: Client, output: Output, *, number: int | None, present: bool, target: Path | None) -> None:
    """What the directory showed to this node and should not have, with its signatures. Without --file: a list.

    A file goes to the network's office, by a way that is not the network: anybody judges it with "cordee verify",
    alone or together with the file of another association.

    JSON: [{evidence, time, reason, verdict, kept_size, shown_size}], the newest first, the verdict null where nothing
    follows; with --file {evidence, file, size}, evidence being 0 with --present
    """
    from cordee.errors import N_, NotFound
    from cordee.v1 import node_pb2
    from node.cli import shapes
    from node.cli.files import private_file

    if (number is not None and present) or (target is None and (present or number is not None)):
        raise click.UsageError("Give --file, and either --number or --present or neither.")
    if target is None or not (present or number):
        rows = [shapes.evidence(each) async for each in client.audit.ListEvidence(node_pb2.ListEvidenceRequest())]
        if target is None:
            output.rows(rows, ("evidence", "time", "reason", "verdict", "kept_size", "shown_size"))
            return
        if not rows:
            raise NotFound(what=N_("evidence"))
        number = int(rows[0]["evidence"])
    wanted, size = 0 if present else number or 0, 0
    request = node_pb2.ExportEvidenceRequest(evidence=wanted)
    with private_file(target) as file:
        async for part in client.audit.ExportEvidence(request):
            size += file.write(part.data)
    output.record({"evidence": wanted, "file": str(target), "size": size})
