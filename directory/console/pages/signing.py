"""Signing: what is signed stands there in words, whole, before the button; what one began another finishes."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final

from google.protobuf.message import Message
from starlette.datastructures import FormData
from starlette.responses import Response

from cordee.entries import entry_digest
from cordee.errors import N_, CordeeError, MalformedStatement, NotFound, WordsDiffer
from cordee.ids import Digest
from cordee.runtime.texts import translate
from cordee.v1 import statements_pb2 as v1
from directory.administrator.applicants import check_words
from directory.administrator.signing import begun_or_new, key_to_compare, ready_to_sign
from directory.console.site import Page
from directory.console.visit import Visit
from directory.console.waiting import in_words, pending_of

__all__ = ["PAGES", "lead_to_signing"]

_LONGEST_WORDS = 200


async def lead_to_signing(visit: Visit, statement: Message) -> Response:
    """To the page that shows a statement in words; what a colleague has begun and says the same is taken up.

    Raises: what would keep it from being signed, before anybody has read it.
    """
    visit.require_sound()
    entry = begun_or_new(await visit.desk.pending(), statement)
    await asyncio.to_thread(ready_to_sign, entry, visit.roster, visit.desk.key, visit.now)
    return visit.to(f"/sign/{visit.console.propose(entry)}")


async def _list(visit: Visit) -> Response:
    done = visit.request.query_params.get("done", "")
    return visit.page("signing.html", waiting=await pending_of(visit), done=done if done in _DONE else "")


async def _show(visit: Visit, *, refused: CordeeError | None = None) -> Response:
    entry = await _entry(visit)
    key = await asyncio.to_thread(key_to_compare, entry)
    blocked: tuple[str, str] | None = None
    already = False
    try:
        ready = await asyncio.to_thread(ready_to_sign, entry, visit.roster, visit.desk.key, visit.now)
        already = ready.already
    except CordeeError as fault:
        blocked = translate(fault, visit.language)
    signers = [one.signer.hex()[:8] for one in entry.signatures]
    threshold = visit.roster.policy.threshold
    return visit.page(
        "sign.html",
        status=HTTPStatus.OK if refused is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        digest=entry_digest(entry).hex(),
        kind=entry.type.rpartition(".")[2],
        lines=await in_words(visit, entry),
        signers=signers,
        threshold=threshold,
        after=max(0, threshold - len(signers) - (0 if already else 1)),
        already=already,
        blocked=blocked,
        compare=None if key is None else {"done": key.key_id in visit.console.compared},
        refused=translate(refused, visit.language) if refused is not None else None,
    )


async def _sign(visit: Visit, form: FormData) -> Response:
    visit.require_sound()
    entry = await _entry(visit)
    key = await asyncio.to_thread(key_to_compare, entry)
    if key is not None and key.key_id not in visit.console.compared:
        try:
            typed = str(form.get("words", ""))[:_LONGEST_WORDS]
            await asyncio.to_thread(check_words, key, typed)
        except WordsDiffer as refused:
            return await _show(visit, refused=refused)
        visit.console.compared.add(key.key_id)
    ready = await asyncio.to_thread(ready_to_sign, entry, visit.roster, visit.desk.key, visit.now)
    if ready.already:
        return visit.to("/signing?done=signed")
    outcome = await visit.desk.hand_in(ready)
    visit.console.forget(ready.digest)
    if not outcome.appended:
        return visit.to("/signing?done=signed")
    index = _index_of(visit, ready.digest)
    return visit.to("/signing?done=appended" if index is None else f"/log/{index}?done=appended")


def _index_of(visit: Visit, digest: Digest) -> int | None:
    """Where an entry stands in our copy of the log, looked for from its end."""
    entries = visit.desk.log.entries
    return next((at for at in range(len(entries) - 1, -1, -1) if entry_digest(entries[at]) == digest), None)


async def _entry(visit: Visit) -> v1.Entry:
    """What the address names: begun by somebody, or proposed here. Raises: NotFound."""
    try:
        digest = Digest(bytes.fromhex(str(visit.request.path_params["digest"])))
    except (ValueError, MalformedStatement):
        raise NotFound(what=N_("pending entry")) from None
    for each in await visit.desk.pending():
        if entry_digest(each) == digest:
            return each
    found = visit.console.proposed(digest)
    if found is None:
        raise NotFound(what=N_("pending entry"))
    return found


_DONE: Final = frozenset({"appended", "signed"})

PAGES: Final = (
    Page("signing", "/signing", get=_list),
    Page("sign", "/sign/{digest:str}", get=_show, post=_sign),
)
