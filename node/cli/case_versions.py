"""`cordee case versions`: what stands beside a case."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from node.cli.calling import on_node

if TYPE_CHECKING:
    from cordee.runtime.output import Output
    from node.cli.client import Client

__all__ = ["versions"]


@click.command("versions")
@click.argument("case_id")
@click.option("--section", "sections", multiple=True, help="Only this section; may be repeated.")
@on_node
async def versions(client: Client, output: Output, *, case_id: str, sections: tuple[str, ...]) -> None:
    """What the other association wrote in a shared case, or what stood here before a case came back; newest first.

    The record itself, which cordee case show shows, is never changed by it. That it was read is written into the
    journal.

    JSON: [{transfer, author, author_name, time, ours, attachments: [], sections: {section: …}}]
    """
    from cordee.runtime.output import to_json
    from cordee.v1 import node_pb2
    from node.cli import shapes

    request = node_pb2.ListVersionsRequest(case_id=case_id)
    found = [shapes.version(each) async for each in client.cases.ListVersions(request)]
    for each in found:
        if sections:
            each["sections"] = {name: value for name, value in each["sections"].items() if name in sections}
    if output.for_programs:
        output.rows(found, ())
        return
    output.rows(found, ("time", "author_name", "ours", "transfer"))
    for each in found:
        for section, content in each["sections"].items():
            output.text(f"\n{each['time']} {each['author_name']}: {section}\n{to_json(content, indent=2)}")
