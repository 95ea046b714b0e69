"""A member's identity key that is lost or stolen: revoked at once, or replaced after a public delay."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final

from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from cordee.errors import N_, CordeeError, InvalidInput, InvalidRecord
from cordee.keyfile import read_public_file
from cordee.runtime.texts import translate
from cordee.signing import SigningPublicKey
from cordee.v1 import statements_pb2 as v1
from directory.administrator.entries import about_member, announcement, recovery
from directory.administrator.way_back import way_back
from directory.administrator.words import words_of
from directory.console.pages.members import member_of
from directory.console.pages.signing import lead_to_signing
from directory.console.site import Page
from directory.console.visit import Visit

__all__ = ["PAGES"]

_FILE_SIZE: Final = 64 * 1024


async def _show(visit: Visit, *, refused: CordeeError | None = None) -> Response:
    member = member_of(visit)
    waiting = member.recovery
    return visit.page(
        "member_key.html",
        status=HTTPStatus.OK if refused is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        member=member,
        name=visit.desk.names().get(member.id) or member.id.short,
        waiting=waiting,
        words=await asyncio.to_thread(words_of, waiting.identity) if waiting is not None else (),
        due=waiting is not None and waiting.due <= visit.now < waiting.lapses,
        delay=visit.roster.policy.recovery_delay,
        refused=translate(refused, visit.language) if refused is not None else None,
    )


async def _decide(visit: Visit, form: FormData) -> Response:
    """To the page that shows what would be signed; the new key's six words are typed there."""
    member, roster, now = member_of(visit), visit.roster, visit.now
    do = str(form.get("do", ""))
    try:
        if do == "revoke":
            return await lead_to_signing(visit, about_member(v1.IdentityRevoked, member.id, roster, now))
        if do == "recover":
            return await lead_to_signing(visit, recovery(member.id, roster, now))
        if do != "announce" or str(form.get("stolen", "")) not in ("yes", "no"):
            raise InvalidInput(field=N_("the old key"), problem=N_("say whether it is lost or stolen"))
        key, stolen = await _uploaded(form), form.get("stolen") == "yes"
        return await lead_to_signing(visit, announcement(member.id, key, roster, now, stolen=stolen))
    except CordeeError as refused:
        return await _show(visit, refused=refused)


async def _way_back(visit: Visit) -> Response:
    data = way_back(visit.desk.network, member_of(visit).id)
    headers = {"Content-Disposition": 'attachment; filename="way-back.json"'}
    return Response(data, media_type="application/json", headers=headers)


async def _uploaded(form: FormData) -> SigningPublicKey:
    """The public half that `cordee node recover` made. Raises: InvalidRecord."""
    file = form.get("file")
    data = await file.read(_FILE_SIZE + 1) if isinstance(file, UploadFile) else b""
    if len(data) > _FILE_SIZE:
        raise InvalidRecord(path=N_("public key"), problem=N_("it is no public key of Cordée"))
    return read_public_file(data)


PAGES: Final = (
    Page("member_key", "/members/{member:str}/key", get=_show, post=_decide, files=1),
    Page("member_way_back", "/members/{member:str}/way-back", get=_way_back),
)
