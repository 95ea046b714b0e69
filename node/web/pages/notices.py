"""One's own messages by e-mail: the address, on or off, and a test."""

from __future__ import annotations

from http import HTTPStatus

from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from cordee.errors import CordeeError, InvalidInput
from cordee.runtime.texts import text, translate
from node import journal, notices
from node.mailing import LONGEST_ADDRESS, REASONS, MailFailed
from node.notices import Wish
from node.web.rendering import page
from node.web.site import Page
from node.web.visit import Visit

__all__ = ["PAGES"]


async def _show(visit: Visit) -> Response:
    return await _shown(visit, done=visit.request.query_params.get("done", ""))


async def _shown(
    visit: Visit, *, typed: str | None = None, refused: CordeeError | None = None, failed: str = "", done: str = ""
) -> Response:
    node, account = visit.node, visit.handler.account_id
    wish = await node.db.read(lambda tx: notices.wish_of(tx, node.vault, account))
    kept = "" if wish is None else wish.address
    return page(
        "notices.html",
        visit.language,
        status=HTTPStatus.UNPROCESSABLE_ENTITY if refused or failed else HTTPStatus.OK,
        visit=visit,
        possible=node.notices is not None,
        wanted=wish is not None,
        address=kept if typed is None else typed,
        longest=LONGEST_ADDRESS,
        refused=translate(refused, visit.language) if refused else None,
        failed=text(REASONS[failed], visit.language) if failed else "",
        done=done,
    )


async def _keep(visit: Visit, form: FormData) -> Response:
    """The address is kept as long as it is wanted, and no longer."""
    node, now, account = visit.node, visit.node.clock.now(), visit.handler.account_id
    typed = str(form.get("address", ""))[: LONGEST_ADDRESS + 1]
    if form.get("wanted") != "on":
        await node.db.write(lambda tx: notices.forget_wish(tx, account, now=now))
        return RedirectResponse("/notices?done=off", status_code=HTTPStatus.SEE_OTHER)

    def step(tx: Connection) -> None:
        known = notices.waits_for(tx, node.house, visit.handler, now=now)
        notices.keep_wish(tx, node.vault, account, Wish(typed, visit.language), known, now=now)

    try:
        await node.db.write(step)
    except InvalidInput as refused:
        return await _shown(visit, typed=typed, refused=refused)
    return RedirectResponse("/notices?done=on", status_code=HTTPStatus.SEE_OTHER)


async def _test(visit: Visit, form: FormData) -> Response:
    """The very message that would come, now."""
    node, now, account = visit.node, visit.node.clock.now(), visit.handler.account_id
    if node.notices is None:
        return RedirectResponse("/notices", status_code=HTTPStatus.SEE_OTHER)
    try:
        await node.notices.test(account)
    except InvalidInput as refused:
        return await _shown(visit, refused=refused)
    except MailFailed as failed:
        return await _shown(visit, failed=failed.reason)
    await node.db.write(lambda tx: journal.append(tx, now=now, actor=account, action="notice.tested", subject=account))
    return RedirectResponse("/notices?done=test", status_code=HTTPStatus.SEE_OTHER)


PAGES = (
    Page("notices", "/notices", get=_show, post=_keep),
    Page("notices_test", "/notices/test", post=_test),
)
