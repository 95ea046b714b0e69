"""`cordee case`: the association's own records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cordee.errors import N_
from node.cli.calling import on_node
from node.cli.case_files import attach, export
from node.cli.case_versions import versions

if TYPE_CHECKING:
    from cordee.runtime.output import Output
    from node.cli.client import Client

__all__ = ["group"]


@click.group(name="case")
def group() -> None:
    """The cases of this association."""


group.add_command(attach)
group.add_command(export)
group.add_command(versions)


@group.command("new")
@click.argument("file")
@click.option("--team", help="Which of your teams it is for; needed where you are in several.")
@on_node
async def new(client: Client, output: Output, *, file: str, team: str | None) -> None:
    """Open a case from a JSON FILE (- for standard input), as cordee/data/case.schema.json describes it.

    JSON: {case_id, version}
    """
    from cordee.case import parse_case
    from cordee.v1 import node_pb2
    from node.cli.documents import checked
    from node.cli.files import read_bytes

    body = read_bytes(file)
    checked(parse_case, body, where=file)
    answer = await client.cases.CreateCase(node_pb2.CreateCaseRequest(body=body, team=team or ""))
    output.record({"case_id": answer.case_id, "version": answer.version})


@group.command("list")
@click.option("--named", help="Those with this in their pseudonym or number.")
@on_node
async def list_(client: Client, output: Output, *, named: str | None) -> None:
    """The cases that are open to you, by their pseudonyms.

    With --named and its whole pseudonym or number, a case that is kept to others is told by its id alone (kept: true);
    that is written into the journal. cordee case open opens it for a reason.

    JSON: [{case_id, pseudonym, status, risk_level, state, holder, version, attachments, updated, kept}]
    """
    from cordee.v1 import node_pb2
    from node.cli import shapes

    request = node_pb2.ListCasesRequest(named=named or "")
    rows = [shapes.case_line(each) async for each in client.cases.ListCases(request)]
    columns = ("case_id", "pseudonym", "status", "risk_level", "state", "holder", "version", "attachments", "updated")
    output.rows(rows, (*columns, "kept") if named else columns)


@group.command("open")
@click.argument("case_id")
@click.option("--reason", required=True, help="Why, in a sentence, without the minor's name. A lead looks at it.")
@on_node
async def open_(client: Client, output: Output, *, case_id: str, reason: str) -> None:
    """Open a case that is kept to others, with its transfers, to yourself for twelve hours.

    JSON: {case_id, open: true}
    """
    from cordee.v1 import node_pb2

    await client.cases.OpenCase(node_pb2.OpenCaseRequest(case_id=case_id, reason=reason))
    output.record({"case_id": case_id, "open": True})


@group.command("show")
@click.argument("case_id")
@click.option("--section", "sections", multiple=True, help="Only this section; may be repeated.")
@on_node
async def show(client: Client, output: Output, *, case_id: str, sections: tuple[str, ...]) -> None:
    """One case. That it was read is written into the journal.

    JSON: {case_id, version, state, holder, case: {section: …}}
    """
    from cordee.errors import NotFound
    from cordee.runtime.output import to_json
    from cordee.v1 import node_pb2

    answer = await client.cases.ReadCase(node_pb2.ReadCaseRequest(case_id=case_id))
    body: dict[str, Any] = json.loads(answer.body)
    missing = [section for section in sections if section not in body]
    if missing:
        raise NotFound(what=N_("section {section} in this case"), section=missing[0])
    shown = {section: body[section] for section in sections} if sections else body
    facts = {"case_id": case_id, "version": answer.version, "state": answer.state, "holder": answer.holder}
    if output.for_programs:
        output.record(facts | {"case": shown})
        return
    output.record(facts)
    for section, content in shown.items():
        output.text(f"\n{section}\n{to_json(content, indent=2)}")


@group.command("edit")
@click.argument("case_id")
@click.argument("file")
@click.option("--replace", is_flag=True, help="FILE is the whole record, not a change to it.")
@click.option(
    "--expected-version", type=click.IntRange(1), help="The version that FILE was made from [default: the present one]."
)
@on_node
async def edit(
    client: Client, output: Output, *, case_id: str, file: str, replace: bool, expected_version: int | None
) -> None:
    """Change a case by a JSON merge patch (RFC 7396) in FILE (- for standard input): null removes a field.

    Nothing is changed where someone else has changed the case meanwhile (exit code 6).

    JSON: {case_id, version}
    """
    from cordee.case import parse_case
    from cordee.errors import InvalidInput
    from cordee.v1 import node_pb2
    from node.cli.documents import checked, merge_patch
    from node.cli.files import read_json

    change = read_json(file)
    if not isinstance(change, dict):
        raise InvalidInput(field=file, problem=N_("must be a JSON object"))
    if replace and expected_version is None:
        raise InvalidInput(field="--expected-version", problem=N_("is needed with --replace; case show tells it"))
    body = change
    if not replace:
        present = await client.cases.ReadCase(node_pb2.ReadCaseRequest(case_id=case_id))
        expected_version = expected_version or present.version
        body = merge_patch(json.loads(present.body), change)
    encoded = json.dumps(body, ensure_ascii=False).encode()
    checked(parse_case, encoded, where=file)
    answer = await client.cases.UpdateCase(
        node_pb2.UpdateCaseRequest(case_id=case_id, expected_version=expected_version or 0, body=encoded)
    )
    output.record({"case_id": case_id, "version": answer.version})


@group.command("close")
@click.argument("case_id")
@on_node
async def close(client: Client, output: Output, *, case_id: str) -> None:
    """Close a case: from then on it is read-only.

    JSON: {case_id, version}
    """
    from cordee.v1 import node_pb2

    present = await client.cases.ReadCase(node_pb2.ReadCaseRequest(case_id=case_id))
    output.confirm(N_("Close this case? It will be read-only."))
    answer = await client.cases.CloseCase(node_pb2.CloseCaseRequest(case_id=case_id, expected_version=present.version))
    output.record({"case_id": case_id, "version": answer.version})


@group.command("erase")
@click.argument("case_id")
@on_node
async def erase(client: Client, output: Output, *, case_id: str) -> None:
    """Destroy a case's key and its attachments. Nothing brings them back.

    JSON: {case_id, erased: true}
    """
    from cordee.v1 import node_pb2

    output.confirm(N_("Erase this case for ever?"))
    await client.cases.EraseCase(node_pb2.EraseCaseRequest(case_id=case_id))
    output.record({"case_id": case_id, "erased": True})


@group.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--team", help="Which of your teams they are for; needed where you are in several.")
@on_node
async def import_(client: Client, output: Output, *, file: Path, team: str | None) -> None:
    """Open many cases from FILE: one JSON object, an array of them, or one on each line.

    Every case is checked before the first is opened; a fault is told with its place and nothing is opened.

    JSON: [{case_id, version}]
    """
    from cordee.case import parse_case
    from cordee.v1 import node_pb2
    from node.cli.documents import checked, documents

    bodies = documents(file)
    for where, body in bodies:
        checked(parse_case, body, where=where)
    rows = []
    for _, body in bodies:
        answer = await client.cases.CreateCase(node_pb2.CreateCaseRequest(body=body, team=team or ""))
        rows.append({"case_id": answer.case_id, "version": answer.version})
    output.rows(rows, ("case_id", "version"))
