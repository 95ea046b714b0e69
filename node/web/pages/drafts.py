"""What is typed and not yet saved: kept every few seconds, thrown away when it is no longer wanted."""

from __future__ import annotations

from http import HTTPStatus

from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from cordee.web.request import inside
from node import drafts
from node.web.access import check
from node.web.drafting import KEY, fields_of_form
from node.web.site import Page
from node.web.visit import Visit

__all__ = ["PAGES"]


async def _keep(visit: Visit, form: FormData) -> Response:
    """Sent by the page's script; the form as it stands. Raises InvalidInput, NotFound, RoleMissing."""
    node, now, key, fields = visit.node, visit.node.clock.now(), str(form.get(KEY, "")), fields_of_form(form)
    if drafts.case_of_form(key) is not None:
        check(visit.handler, "case")
    await node.db.write(lambda tx: drafts.keep(tx, node.vault, visit.handler.account_id, key, fields, now=now))
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def _discard(visit: Visit, form: FormData) -> Response:
    node, key = visit.node, str(form.get(KEY, ""))
    await node.db.write(lambda tx: drafts.discard(tx, node.vault, visit.handler.account_id, key))
    return RedirectResponse(inside(str(form.get("next", ""))) or "/", status_code=HTTPStatus.SEE_OTHER)


PAGES = (
    Page("draft", "/draft", post=_keep),
    Page("draft_discard", "/draft/discard", post=_discard),
)
