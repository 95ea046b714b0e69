"""What the network showed this node of its members: what did not fit, what to do then, and the file for the office."""

from __future__ import annotations

from collections.abc import Iterator

from starlette.datastructures import FormData
from starlette.responses import Response

from cordee.errors import N_, CordeeError, EntryRefused, NotFound, RosterForked, RosterRolledBack, SplitView, by_reason
from cordee.evidence import Said
from cordee.runtime.findings import in_words
from cordee.runtime.texts import text, translate
from node.evidence import EvidenceLine, evidence_file, evidence_kept, present_view
from node.web.rendering import page
from node.web.site import Page
from node.web.visit import Visit

__all__ = ["PAGES"]

_GRAVE = (EntryRefused, RosterForked, RosterRolledBack, SplitView)
_MOST_DIGITS = 9


async def _evidence(visit: Visit) -> Response:
    kept, alarm = await evidence_kept(visit.node.house), visit.node.roster.alarm
    return page(
        "evidence.html",
        visit.language,
        visit=visit,
        alarm=translate(alarm, visit.language) if alarm else None,
        grave=isinstance(alarm, _GRAVE) or any(each.verdict for each in kept),
        kept=[(each, _reason(each, visit), list(_shows(each, visit))) for each in kept],
        known=bool(visit.node.roster.note),
        network=visit.node.house.network.hex(),
    )


def _reason(line: EvidenceLine, visit: Visit) -> str:
    """The kind of alarm: its facts were of that day, and the sentences below tell what of them is signed."""
    kind = by_reason(line.reason)
    return text(_KINDS.get(kind, _OTHER) if kind else _OTHER, visit.language)


def _shows(line: EvidenceLine, visit: Visit) -> Iterator[str]:
    for each in line.shows:
        facts = dict(each.facts)
        if line.shown_by is not None and "member" in facts:
            facts["member"] = visit.node.roster.name_of(line.shown_by)
        yield in_words(Said(each.message, facts), visit.language)


async def _file(visit: Visit, form: FormData) -> Response:
    """One piece of evidence; that it was taken is journalled in the same step."""
    asked = str(visit.request.path_params["number"])
    if not (asked.isascii() and asked.isdecimal() and len(asked) <= _MOST_DIGITS):
        raise NotFound(what=N_("evidence"))
    written = await evidence_file(visit.node.house, int(asked), by=visit.handler.account_id)
    return _download(written, f"roster-{int(asked)}.evidence")


async def _present(visit: Visit, form: FormData) -> Response:
    """What this node was shown up to now."""
    return _download(await present_view(visit.node.house, by=visit.handler.account_id), "roster-now.evidence")


def _download(written: bytes, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(written, media_type="application/octet-stream", headers=headers)


_OTHER = N_("Something that the directory showed did not verify")
_KINDS: dict[type[CordeeError], str] = {
    EntryRefused: N_("An entry that breaks the network’s rules"),
    RosterForked: N_("Another roster than the one verified before"),
    RosterRolledBack: N_("An older roster than the one verified before"),
    SplitView: N_("Another association was shown another roster"),
}

PAGES = (
    Page("evidence", "/evidence", get=_evidence),
    Page("evidence_present", "/evidence/present", post=_present),
    Page("evidence_file", "/evidence/{number}/file", post=_file),
)
