"""Files of a case: sealed while they come, listed with their hash, taken out again as a download and never shown."""

from __future__ import annotations

import shutil
import uuid
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from cordee.case import SECTIONS
from cordee.case.labels import section_label, value_label, values_of
from cordee.errors import N_, CordeeError, DiskFailed, InvalidInput, InvalidRecord, NothingLeft, StorageFull
from cordee.runtime.texts import text, translate
from cordee.web.request import require_own_form
from node import journal, records
from node.attaching import LARGEST, Attaching, Description
from node.attachments import StoredAttachment
from node.web.rendering import page, size_text
from node.web.site import Page
from node.web.uploads import Upload, safe_name
from node.web.visit import Visit

__all__ = ["PAGES"]

_SECTIONS = tuple(name for name in SECTIONS if name not in ("meta", "attachments"))
_KINDS = values_of("attachments.kind")
_FIRST = {"kind": "other", "section": "notes"}
_DOWNLOAD_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"
_NO_ROOM = (StorageFull, DiskFailed, NothingLeft)
_AROUND = 8192  # bytes of the body that are no file: boundaries, fields


async def _show(visit: Visit) -> Response:
    return await _page(visit, _FIRST)


async def _page(visit: Visit, typed: dict[str, str], refused: CordeeError | None = None) -> Response:
    """The list and the form. That it was read is journalled in the same step: names of files tell much."""
    node, now, case_id = visit.node, visit.node.clock.now(), _case_of(visit)

    def step(tx: Connection) -> records.StoredCase:
        stored = records.read_case(tx, node.vault, case_id)
        facts = {"section": "attachments"}
        journal.append(tx, now=now, actor=visit.handler.account_id, action="case.read", subject=case_id, facts=facts)
        return stored

    stored = await node.db.write(step)
    done = visit.request.query_params.get("done")
    return page(
        "files.html",
        visit.language,
        status=_status(refused) if refused else HTTPStatus.OK,
        visit=visit,
        case=stored.case,
        stored=stored,
        done=next((each for each in stored.attachments if each.attachment_id == done), None),
        typed=typed,
        kinds=[(each, value_label("attachments.kind", each)) for each in _KINDS],
        sections=[(each, section_label(each)) for each in _SECTIONS],
        limit=_limit(visit),
        told=_told(visit, refused),
    )


async def _add(visit: Visit) -> Response:
    """One file. Nothing of it is taken before the form is known to be ours and there is room for it."""
    typed = dict(_FIRST)
    try:
        stored = await _attached(visit, typed)
    except ClientDisconnect:
        return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody is there to read it; nothing was kept
    except (InvalidInput, *_NO_ROOM) as refused:
        if _by_script(visit):
            told = _told(visit, refused)
            return JSONResponse({"refused": told[0][1] if told else ""}, status_code=_status(refused))
        return await _page(visit, typed, refused)
    place = f"/files/{_case_of(visit)}?done={stored.attachment_id}"
    if _by_script(visit):
        size = size_text(stored.size, language=visit.language)
        return JSONResponse(
            {"name": stored.file_name, "size": size, "sha256": stored.sha256.hex(), "place": place},
            status_code=HTTPStatus.CREATED,
        )
    return RedirectResponse(place, status_code=HTTPStatus.SEE_OTHER)


async def _attached(visit: Visit, typed: dict[str, str]) -> StoredAttachment:
    """Raises what `Attaching.attach` raises, ForgedForm; `typed` is filled with what the form said."""
    request, limit = visit.request, _limit(visit)
    announced = int(request.headers.get("content-length", "0"))
    if announced > limit + _AROUND:
        raise InvalidInput(field="file", problem=N_("it is larger than what fits here"))
    upload = Upload(request.headers.get("content-type", ""), aiter(request.stream()))
    fields = await upload.fields()
    require_own_form(visit, fields.get("form_token", ""))
    typed.clear()
    typed.update({name: value for name, value in fields.items() if name != "form_token"})
    if typed.get("kind") not in _KINDS:
        raise InvalidInput(field="kind", problem=N_("choose one of the list"))
    if typed.get("section") not in _SECTIONS:
        raise InvalidInput(field="section", problem=N_("choose one of the list"))
    if not upload.file_name:
        raise InvalidInput(field="file", problem=N_("choose a file first"))
    described = Description(
        case_id=_case_of(visit),
        attachment_id=str(uuid.UUID(bytes=visit.node.random(16), version=4)),
        file_name=safe_name(upload.file_name),
        media_type="",
        kind=typed["kind"],
        section=typed["section"],
        size=min(announced, limit),
        may_be_sent=typed.get("may_be_sent") == "on",
        third_party_data=typed.get("third_party_data") == "on",
        at_most=True,
    )
    return await _attaching(visit).attach(visit.handler, described, upload.file())


async def _read(visit: Visit) -> Response:
    """Always as a file to keep: what came from elsewhere is never opened as a page of ours."""
    attachment_id = str(visit.request.path_params["attachment"])
    stored, pieces = await _attaching(visit).read(visit.handler, _case_of(visit), attachment_id)
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(safe_name(stored.file_name), safe='')}",
        "Content-Length": str(stored.size),
        "Content-Security-Policy": _DOWNLOAD_POLICY,
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(pieces, media_type="application/octet-stream", headers=headers)


def _told(visit: Visit, refused: CordeeError | None) -> list[tuple[str, str]]:
    """Which field of the form is wrong, and how, in words."""
    if refused is None:
        return []
    if isinstance(refused, InvalidInput) and not isinstance(refused, InvalidRecord) and "problem" in refused.facts:
        facts: dict[str, Any] = dict(refused.facts)
        if facts.get("limit", "").isdecimal():
            facts["limit"] = size_text(int(facts["limit"]), language=visit.language)
        return [(facts["field"], text(facts["problem"], visit.language).format_map(facts))]
    return [("file", " ".join(translate(refused, visit.language)))]


def _status(refused: CordeeError) -> int:
    return HTTPStatus.SERVICE_UNAVAILABLE if isinstance(refused, _NO_ROOM) else HTTPStatus.UNPROCESSABLE_ENTITY


def _limit(visit: Visit) -> int:
    """Bytes that one file may have now; less than ever where the disk is nearly full."""
    return min(LARGEST, _attaching(visit).room)


def _attaching(visit: Visit) -> Attaching:
    node = visit.node
    return Attaching(
        db=node.db,
        vault=node.vault,
        store=node.attachments,
        clock=node.clock,
        free=lambda: shutil.disk_usage(node.data_dir).free,
    )


def _by_script(visit: Visit) -> bool:
    return visit.request.headers.get("accept", "") == "application/json"


def _case_of(visit: Visit) -> str:
    return str(visit.request.path_params["case"])


PAGES = (
    Page("files", "/files/{case:uuid}", get=_show, upload=_add),
    Page("file", "/files/{case:uuid}/{attachment:uuid}", get=_read),
)
