"""Changes of transfers as they happen, as server-sent events (WHATWG HTML §9.2): a page that is open follows along.

A stream is no use of a session: it neither prolongs it nor outlives it. It ends when the node stops; the page then asks
for it again by itself.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from weakref import WeakKeyDictionary

from starlette.responses import Response, StreamingResponse

from cordee.errors import N_, CordeeError, NotFound, TooManyRequests
from cordee.ids import TransferId
from cordee.runtime.texts import text
from cordee.transfer import END_STATES
from cordee.web.serving import stopping
from node import people
from node.house import Changes
from node.transfers import TransferLine
from node.web.following import id_of
from node.web.site import Page
from node.web.visit import Visit

__all__ = ["HEARTBEAT", "PAGES", "STREAMS"]

HEARTBEAT = 15.0
"""Seconds after which a silent stream says that it is there, and looks whether its session still is."""
STREAMS = 4
"""At once for one session; a browser opens six connections to a host, and pages need some of them."""

_SETTLED = timedelta(minutes=5)  # what was over before that, the page knew when it was made
_HEADERS = {"X-Accel-Buffering": "no"}
_TOLD = N_("{name}: {sentence}")

_open: WeakKeyDictionary[Changes, Counter[str]] = WeakKeyDictionary()  # a node's own, as several may run in a process


async def _live(visit: Visit) -> Response:
    """All transfers, or the one that is asked for. Raises TooManyRequests, NotFound, NeedToKnow."""
    node, wanted = visit.node, visit.request.query_params.get("transfer")
    transfer = None
    if wanted is not None:
        transfer = id_of(wanted)
        if transfer is None:
            raise NotFound(what=N_("transfer"))
        await node.transfers.get(visit.handler, transfer)
    if _counts(visit)[visit.token] >= STREAMS:
        raise TooManyRequests()
    return StreamingResponse(_events(visit, transfer), media_type="text/event-stream", headers=_HEADERS)


async def _events(visit: Visit, transfer: TransferId | None) -> AsyncIterator[bytes]:
    counts, node = _counts(visit), visit.node
    if counts[visit.token] >= STREAMS:  # several were asked for at once
        return
    counts[visit.token] += 1
    lines = node.transfers.watch(visit.handler, transfer)
    coming: asyncio.Task[TransferLine | None] | None = None
    stops = asyncio.create_task(stopping(visit.request.scope).wait())
    try:
        yield b"retry: 5000\n\n"
        while True:
            coming = coming or asyncio.create_task(_next(lines))
            await asyncio.wait({coming, stops}, timeout=HEARTBEAT, return_when=asyncio.FIRST_COMPLETED)
            if stops.done():
                return
            if not _is_signed_in(visit):
                yield b"event: over\ndata: {}\n\n"
                return
            if not coming.done():
                yield b": here\n\n"
                continue
            line, coming = coming.result(), None
            if line is None:  # the transfer is theirs no more
                yield b"event: over\ndata: {}\n\n"
                return
            if line.state not in END_STATES or node.clock.now() - line.updated_at < _SETTLED:
                yield _event(visit, line)
    finally:
        counts[visit.token] -= 1
        counts += Counter()  # forgets those that are at nought
        waited = [each for each in (coming, stops) if each is not None]
        for each in waited:
            each.cancel()
        await asyncio.gather(*waited, return_exceptions=True)
        await lines.aclose()  # type: ignore[attr-defined]  # it is an async generator, which its annotation hides


async def _next(lines: AsyncIterator[TransferLine]) -> TransferLine | None:
    """The next line; None where there is none any more."""
    try:
        return await anext(lines)
    except StopAsyncIteration:
        return None


def _event(visit: Visit, line: TransferLine) -> bytes:
    """One line of JSON: it holds a sentence, numbers and the association's name, and nothing of a case."""
    language = visit.language
    sentence = text(line.sentence, language)
    facts = {
        "id": line.transfer_id.hex(),
        "state": str(line.state),
        "sentence": sentence,
        "done": line.bytes_done,
        "total": line.bytes_total,
        "direction": line.direction,
        "name": line.peer_name,
        "told": text(_TOLD, language).format(name=line.peer_name, sentence=sentence),
        "erasure": line.erasure,
        "waits": line.waits,
        "still": line.still,
    }
    return f"data: {json.dumps(facts, ensure_ascii=False)}\n\n".encode()


def _counts(visit: Visit) -> Counter[str]:
    return _open.setdefault(visit.node.house.changes, Counter())


def _is_signed_in(visit: Visit) -> bool:
    node = visit.node
    try:
        handler, _ = node.db.look(
            lambda tx: people.look_up(tx, node.vault, visit.token, now=node.clock.now(), stage=people.Stage.FULL)
        )
    except CordeeError:
        return False
    return handler.roles == visit.handler.roles


PAGES = (Page("live", "/live", get=_live),)
