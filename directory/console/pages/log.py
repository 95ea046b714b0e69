"""The log, each entry in words, as it was verified on this machine."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import Final

from starlette.responses import Response

from cordee.errors import N_, NotFound
from cordee.ids import KeyId, MemberId
from cordee.runtime.texts import text
from directory.administrator.entries import by_administrators, describe
from directory.administrator.history import told, told_all
from directory.administrator.policy_words import SETTINGS, value_text
from directory.console.knowing import knowing_of
from directory.console.site import Page
from directory.console.visit import Visit
from directory.log_file import encode_entries

__all__ = ["PAGES"]

_PAGE: Final = 50
_MOST_DIGITS: Final = 9


async def _list(visit: Visit) -> Response:
    entries = visit.desk.log.entries
    before = _number(visit.request.query_params.get("before", ""), len(entries))
    rows = list(islice(told_all(entries[:before]), _PAGE))
    oldest = rows[-1].index if rows else 0
    return visit.page(
        "log.html",
        rows=rows,
        names=visit.desk.names(),
        older=oldest if oldest else None,
        newer=min(len(entries), before + _PAGE) if before < len(entries) else None,
        size=len(entries),
        root=(await asyncio.to_thread(visit.desk.log.tree.root)).hex(),
        checked=visit.desk.checked,
    )


async def _entry(visit: Visit) -> Response:
    entries = visit.desk.log.entries
    index = _number(str(visit.request.path_params["index"]), -1)
    if not 0 <= index < len(entries):
        raise NotFound(what=N_("entry"))
    found = told(index, entries[index])
    return visit.page(
        "entry.html",
        entry=found,
        lines=await asyncio.to_thread(_lines, visit, index),
        names=visit.desk.names(),
        known={each: each in visit.roster.administrators for each in found.signers},
        is_member=isinstance(found.about, MemberId),
        is_administrator=isinstance(found.about, KeyId),
        last=len(entries) - 1,
        knowing=await knowing_of(visit, index + 1) if visit.desk.trouble is None else None,
        limit=visit.roster.policy.freshness_limit,
        appended=visit.request.query_params.get("done") == "appended",
    )


async def _export(visit: Visit) -> Response:
    """The log as this machine verified it: what `cordee directory recover` takes."""
    data = await asyncio.to_thread(encode_entries, visit.desk.log.entries)
    headers = {"Content-Disposition": 'attachment; filename="log"'}
    return Response(data, media_type="application/octet-stream", headers=headers)


def _lines(visit: Visit, index: int) -> list[str]:
    """What was signed, as it was told to whoever signed it; of the genesis its policy."""
    log = visit.desk.log
    entry = log.entries[index]
    if index == 0:
        policy = log.rosters[0].policy
        return [
            f"{text(name, visit.language)}: {value_text(policy, each, visit.language)}"
            for each, name in SETTINGS.items()
        ]
    if not by_administrators(entry):
        return []
    return describe(entry, log.rosters[index - 1], visit.desk.names(), visit.words)


def _number(typed: str, otherwise: int) -> int:
    if not typed.isascii() or not typed.isdecimal() or len(typed) > _MOST_DIGITS:
        return otherwise
    return min(int(typed), otherwise) if otherwise >= 0 else int(typed)


PAGES: Final = (
    Page("log", "/log", get=_list),
    Page("log_export", "/log/export", get=_export),
    Page("entry", "/log/{index:int}", get=_entry),
)
