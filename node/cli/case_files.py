"""`cordee case attach` and `cordee case export`: files into a case and out of it, a piece at a time."""

from __future__ import annotations

import hashlib
import json
import mimetypes
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from cordee.errors import N_
from node.cli.calling import on_node

if TYPE_CHECKING:
    from cordee.runtime.output import Output
    from cordee.v1 import node_pb2
    from node.cli.client import Client

__all__ = ["attach", "export"]

_PIECE = 262_144
_KINDS = [
    "consent_form",
    "court_order",
    "ip_copy",
    "medical_certificate",
    "school_document",
    "identity_document",
    "photo_of_minor",
    "report",
    "other",
]


@click.command("attach")
@click.argument("case_id")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--media-type", help="For instance application/pdf [default: from the file's name].")
@click.option("--kind", type=click.Choice(_KINDS), default="other", show_default=True, help="What it is.")
@click.option("--section", default="notes", show_default=True, help="The section of the case that it belongs to.")
@click.option("--never-send", is_flag=True, help="It never leaves this association.")
@click.option("--third-party", is_flag=True, help="It tells of somebody else than the minor.")
@click.option("--name", help="Name to keep it under [default: the file's].")
@on_node
async def attach(
    client: Client,
    output: Output,
    *,
    case_id: str,
    file: Path,
    media_type: str | None,
    kind: str,
    section: str,
    never_send: bool,
    third_party: bool,
    name: str | None,
) -> None:
    """Attach FILE to a case. It is done once the node has every byte on disk and its digest is that of the file.

    JSON: {case_id, attachment_id, file_name, media_type, size, sha256}
    """
    from cordee.errors import ContentDamaged
    from cordee.v1 import node_pb2
    from node.cli.files import open_source
    from node.cli.progress import progress

    source, size = open_source(file)
    digest = hashlib.sha256()
    description = node_pb2.AttachmentDescription(
        case_id=case_id,
        file_name=name or file.name,
        media_type=media_type or mimetypes.guess_type(file.name)[0] or "application/octet-stream",
        size=size,
        kind=kind,
        section=section,
        may_be_sent=not never_send,
        third_party_data=third_party,
    )

    async def parts(source: BinaryIO) -> AsyncIterator[node_pb2.AttachFileRequest]:
        yield node_pb2.AttachFileRequest(description=description)
        with progress(file.name, size) as moved:
            while piece := source.read(_PIECE):
                digest.update(piece)
                yield node_pb2.AttachFileRequest(data=piece)
                moved(len(piece))

    with source:
        answer = await client.cases.AttachFile(parts(source))
    if answer.sha256 != digest.digest() or answer.size != size:
        raise ContentDamaged(problem=N_("the node keeps other bytes than this file's"))
    output.record(
        {
            "case_id": case_id,
            "attachment_id": answer.attachment_id,
            "file_name": description.file_name,
            "media_type": description.media_type,
            "size": answer.size,
            "sha256": answer.sha256.hex(),
        }
    )


@click.command("export")
@click.argument("case_id")
@click.argument("folder", type=click.Path(path_type=Path))
@on_node
async def export(client: Client, output: Output, *, case_id: str, folder: Path) -> None:
    """Write a case in clear into a new FOLDER, with its attachments. Only its owner may open the folder.

    JSON: {case_id, folder, files: [{path, size}]}
    """
    from cordee.runtime.output import to_json
    from cordee.v1 import node_pb2
    from node.cli.files import new_folder, private_file

    answer = await client.cases.ReadCase(node_pb2.ReadCaseRequest(case_id=case_id))
    body = json.loads(answer.body)
    new_folder(folder)
    written = []
    with private_file(folder / "case.json") as file:
        written.append({"path": "case.json", "size": file.write(to_json(body, indent=2).encode())})
    for each in body.get("attachments", []):
        attachment_id = each["attachment_id"]
        # The id, not the name that somebody gave it: a name may lead out of the folder.
        path = folder / f"{attachment_id}{_suffix(each.get('media_type', ''))}"
        written.append({"path": path.name, "size": await _save(client, case_id, attachment_id, path)})
    output.say(N_("This copy is in clear and outside the node's protection: erase it once it has served."))
    output.record({"case_id": case_id, "folder": str(folder), "files": written}, hide=("files",))


async def _save(client: Client, case_id: str, attachment_id: str, path: Path) -> int:
    """Write one attachment; its digest is checked before the file has its name. Raises ContentDamaged."""
    from cordee.errors import ContentDamaged
    from cordee.v1 import node_pb2
    from node.cli.files import private_file

    request = node_pb2.ReadAttachmentRequest(case_id=case_id, attachment_id=attachment_id)
    digest, size, expected = hashlib.sha256(), 0, b""
    with private_file(path) as file:
        async for part in client.cases.ReadAttachment(request):
            if part.HasField("description"):
                expected = part.description.sha256
            else:
                digest.update(part.data)
                size += file.write(part.data)
        if digest.digest() != expected:
            raise ContentDamaged(problem=N_("an attachment's digest differs"))
    return size


def _suffix(media_type: str) -> str:
    return mimetypes.guess_extension(media_type) or ".bin"
