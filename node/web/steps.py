"""What the screens of sending share: the case that was opened, the steps, the links between them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from sqlalchemy import Connection
from starlette.datastructures import QueryParams
from starlette.responses import RedirectResponse, Response

from cordee.act import Act
from cordee.errors import N_
from node import acts, drafts, journal, records
from node.web.choice import address
from node.web.rendering import page
from node.web.visit import Visit

__all__ = ["CONTENT", "Opened", "from_the_start", "key_of", "new_act", "open_to_send"]

_STEPS: Final = (
    ("", N_("Who")),
    ("/why", N_("What for")),
    ("/what", N_("What leaves")),
    ("/confirm", N_("Confirm")),
)
_PATHS: Final = frozenset(path for path, _ in _STEPS)
CONTENT: Final = ("own", "s", "x", "file", "v")
"""What was chosen of a case; for another purpose it does not fit."""


@dataclass(frozen=True, slots=True)
class Begun:
    """Somebody had begun to send this case and did not come to the end: where to go on."""

    key: str
    saved_at: datetime
    link: str


class Opened:
    """A case that was opened to be sent, with the acts on record and what the address says.

    `begun`: what was chosen the last time, where the address chooses nothing.
    """

    def __init__(
        self, visit: Visit, stored: records.StoredCase, on_record: list[Act], draft: drafts.Draft | None = None
    ) -> None:
        self.visit = visit
        self.stored = stored
        self.case = stored.case
        self.acts = on_record
        self.params: QueryParams = visit.request.query_params
        self.base = f"/cases/{stored.case.case_id}/send"
        self.begun = None if draft is None else _begun(self.base, key_of(stored.case.case_id), draft)

    def link(self, step: str, *without: str, **changes: str) -> str:
        """Another step with the same choices."""
        query = address(self.params, *without, **changes)
        return f"{self.base}{step}{'?' if query else ''}{query}"

    def page(self, template: str, step: int, *, status: int = HTTPStatus.OK, **values: Any) -> Response:
        """One step as a page; the steps before it are links back."""
        return page(
            template,
            self.visit.language,
            status=status,
            visit=self.visit,
            case=self.case,
            base=self.base,
            trail=[
                (number, words, self.link(path) if number < step else "") for number, (path, words) in enumerate(_STEPS)
            ],
            step=step,
            link=self.link,
            query=address(self.params),
            begun=self.begun,
            **values,
        )


async def open_to_send(visit: Visit, *, viewed: Collection[str] = ()) -> Opened:
    """That the case was read, and which vital fields were shown, is journalled in the same step.

    What was chosen so far is kept as a draft, sealed with the case: it survives the end of a session, a crash, and the
    way back. Raises NotFound.
    """
    node, now, case_id = visit.node, visit.node.clock.now(), str(visit.request.path_params["case"])

    chosen, path = address(visit.request.query_params), visit.request.url.path
    at = path.rpartition("/send")[2]
    # The first screen as a case's page leads to it has chosen nothing yet, and takes nothing's place.
    under_way = bool(chosen) and (at != "" or not {"q", "to"}.isdisjoint(visit.request.query_params))

    def step(tx: Connection) -> tuple[records.StoredCase, list[Act], drafts.Draft | None]:
        stored = records.read_case(tx, node.vault, case_id)
        by = visit.handler.account_id
        journal.append(tx, now=now, actor=by, action="case.read", subject=case_id, facts={"section": "sending"})
        for field in sorted(viewed):
            journal.append(tx, now=now, actor=by, action="field.viewed", subject=case_id, facts={"field": field})
        draft = None
        if under_way and at in _PATHS:
            drafts.keep(tx, node.vault, by, key_of(case_id), [("at", at), ("query", chosen)], now=now)
        elif not at:
            draft = drafts.read(tx, node.vault, by, key_of(case_id), now=now)
        return stored, acts.acts_of(tx, node.vault, case_id), draft

    return Opened(visit, *await node.db.write(step))


def key_of(case_id: str) -> str:
    """Which draft holds what was chosen to send of a case."""
    return f"{case_id}/send"


def _begun(base: str, key: str, draft: drafts.Draft) -> Begun | None:
    told = dict(draft.fields)
    at, query = told.get("at", ""), told.get("query", "")
    return Begun(key, draft.saved_at, f"{base}{at}?{query}") if at in _PATHS and query else None


def new_act(opened: Opened, purpose: str, to: str, *, kind: str = "") -> str:
    """Where an act for this purpose and recipient is recorded: its form where the kind is told, else its first step."""
    chosen = f"kind={kind}&" if kind else ""
    return f"/cases/{opened.case.case_id}/acts/new?{chosen}purpose={purpose}&to={to}"


def from_the_start(opened: Opened) -> Response:
    """For an address of a late step that leaves out what an early one chose."""
    return RedirectResponse(opened.link(""), status_code=HTTPStatus.SEE_OTHER)
