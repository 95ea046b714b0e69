"""Who may sign for the network: their keys, one more, one less."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final

from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from cordee.errors import N_, CordeeError, InvalidRecord, MalformedStatement, NotFound
from cordee.ids import KeyId
from cordee.runtime.texts import translate
from cordee.signing import SigningPublicKey
from cordee.v1 import statements_pb2 as v1
from directory.administrator.history import told_all
from directory.administrator.keyfile import read_public
from directory.administrator.words import words_of
from directory.console.pages.signing import lead_to_signing
from directory.console.site import Page
from directory.console.visit import Visit

__all__ = ["PAGES"]

_FILE_SIZE = 64 * 1024


async def _list(visit: Visit, *, refused: CordeeError | None = None) -> Response:
    roster = visit.roster
    keys = list(roster.administrators.values())
    words = await asyncio.to_thread(lambda: [words_of(key) for key in keys])
    entries = visit.desk.log.entries
    return visit.page(
        "administrators.html",
        status=HTTPStatus.OK if refused is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        administrators=[
            {
                "key": key,
                "words": spoken,
                "own": key == visit.desk.key.public,
                "signed": sum(any(one.signer == key.key_id for one in entry.signatures) for entry in entries),
                "since": next((each.dated for each in told_all(entries, about=key.key_id)), roster.genesis_time),
            }
            for key, spoken in zip(keys, words, strict=True)
        ],
        threshold=roster.policy.threshold,
        refused=translate(refused, visit.language) if refused is not None else None,
    )


async def _add(visit: Visit, form: FormData) -> Response:
    try:
        key = await _uploaded(form)
        head = visit.roster.head(None, visit.now)
        return await lead_to_signing(visit, v1.AdministratorAdded(**head, key=key.to_message()))
    except CordeeError as refused:
        return await _list(visit, refused=refused)


async def _remove(visit: Visit, form: FormData) -> Response:
    try:
        key = KeyId(bytes.fromhex(str(visit.request.path_params["key"])))
    except (ValueError, MalformedStatement):
        raise NotFound(what=N_("administrator")) from None
    if key not in visit.roster.administrators:
        raise NotFound(what=N_("administrator"))
    try:
        head = visit.roster.head(None, visit.now)
        return await lead_to_signing(visit, v1.AdministratorRemoved(**head, administrator=key))
    except CordeeError as refused:
        return await _list(visit, refused=refused)


async def _uploaded(form: FormData) -> SigningPublicKey:
    """The public half of a key, from its file. Raises: InvalidRecord."""
    file = form.get("file")
    data = await file.read(_FILE_SIZE + 1) if isinstance(file, UploadFile) else b""
    if len(data) > _FILE_SIZE:
        raise InvalidRecord(path=N_("the file"), problem=N_("it is no administrator's public key of Cordée"))
    return read_public(data, what=N_("the file"))


PAGES: Final = (
    Page("administrators", "/administrators", get=_list),
    Page("administrator_add", "/administrators/add", post=_add, files=1),
    Page("administrator_remove", "/administrators/{key:str}/remove", post=_remove),
)
