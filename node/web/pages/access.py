"""One's own access: passkeys, recovery codes, password. What somebody could take over by it asks for a code first."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from cordee.errors import N_, CordeeError, InvalidInput
from cordee.runtime.texts import translate
from node import passkeys, people, second_factor
from node.passwords import LONGEST, SHORTEST
from node.people import Compared
from node.web.pages.second import place_of
from node.web.rendering import page
from node.web.site import Page
from node.web.visit import Visit

__all__ = ["PAGES"]


async def _access(visit: Visit) -> Response:
    return await _shown(visit)


async def _shown(
    visit: Visit, *, refused: CordeeError | None = None, where: str = "", typed: str = "", done: str = ""
) -> Response:
    node, now, place = visit.node, visit.node.clock.now(), place_of(visit.request)
    account = visit.handler.account_id
    await asyncio.to_thread(passkeys.load)

    def step(tx: Connection) -> tuple[second_factor.Factors, list[passkeys.Passkey], str]:
        offered = ""
        if place.can_have_passkeys:
            offered = passkeys.offer(tx, node.vault, visit.token, place, now=now, random=node.random)
        return second_factor.factors_of(tx, account), passkeys.passkeys_of(tx, node.vault, account), offered

    factors, kept, options = await node.db.write(step)
    return page(
        "access.html",
        visit.language,
        status=HTTPStatus.OK if refused is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        visit=visit,
        factors=factors,
        passkeys=kept,
        options=options,
        refused=translate(refused, visit.language) if refused else None,
        where=where,
        typed=typed,
        done=done or visit.request.query_params.get("done", ""),
        shortest=SHORTEST,
        longest=LONGEST,
    )


async def _recovery(visit: Visit, form: FormData) -> Response:
    """Ten new recovery codes, against a code of now: an open screen alone is not enough."""
    node, now, account = visit.node, visit.node.clock.now(), visit.handler.account_id
    code = str(form.get("code", ""))

    def step(tx: Connection) -> tuple[CordeeError | None, list[str]]:
        refused = second_factor.again(tx, node.vault, visit.token, code, now=now)
        if refused is not None:
            return refused, []
        return None, second_factor.draw_recovery_codes(tx, node.vault, account, now=now, random=node.random)

    refused, codes = await node.db.write(step)
    if refused is not None:
        return await _shown(visit, refused=refused, where="code")
    return page("recovery_codes.html", visit.language, visit=visit, codes=codes, following="/access")


async def _password(visit: Visit, form: FormData) -> Response:
    """Another password; every session ends, this one too."""
    node, now = visit.node, visit.node.clock.now()
    present, wanted, again = (str(form.get(name, "")) for name in ("present", "wanted", "again"))
    name = visit.handler.name
    found = await node.db.read(lambda tx: people.to_compare(tx, node.vault, name, now=now))
    compared = Compared(None, right=False) if found is None else await asyncio.to_thread(Compared.of, found[0], present)

    def step(tx: Connection) -> CordeeError | None:
        refused = people.password_again(tx, node.vault, visit.token, compared=compared, now=now)
        if refused is not None:
            return refused
        people.check_password(wanted)
        if wanted != again:
            raise InvalidInput(field="password", problem=N_("the two are not the same"))
        people.set_password(tx, node.vault, name, wanted, now=now, by=visit.handler.account_id)
        return None

    try:
        refused = await node.db.write(step)
    except InvalidInput as wrong:
        return await _shown(visit, refused=wrong, where="wanted")
    if refused is not None:
        return await _shown(visit, refused=refused, where="present")
    return RedirectResponse("/sign-in", status_code=HTTPStatus.SEE_OTHER)


async def _passkey(visit: Visit, form: FormData) -> Response:
    """A passkey, against a code of now: it opens the screen whenever its holder has locked it."""
    node, now, place = visit.node, visit.node.clock.now(), place_of(visit.request)
    name, credential, code = (str(form.get(each, "")) for each in ("name", "credential", "code"))

    def step(tx: Connection) -> CordeeError | None:
        refused = second_factor.again(tx, node.vault, visit.token, code, now=now)
        if refused is None:
            passkeys.register(tx, node.vault, visit.token, place, name=name, credential=credential, now=now)
        return refused

    try:
        refused = await node.db.write(step)
    except CordeeError as wrong:
        return await _shown(visit, refused=wrong, where="name", typed=name)
    if refused is not None:
        return await _shown(visit, refused=refused, where="passkey-code", typed=name)
    return RedirectResponse("/access?done=passkey", status_code=HTTPStatus.SEE_OTHER)


async def _remove(visit: Visit, form: FormData) -> Response:
    node, now, account = visit.node, visit.node.clock.now(), visit.handler.account_id
    wanted = str(form.get("passkey", ""))
    await node.db.write(lambda tx: passkeys.remove(tx, node.vault, account, wanted, now=now))
    return RedirectResponse("/access", status_code=HTTPStatus.SEE_OTHER)


PAGES = (
    Page("access", "/access", get=_access),
    Page("access_recovery", "/access/recovery-codes", post=_recovery),
    Page("access_password", "/access/password", post=_password),
    Page("access_passkey", "/access/passkeys", post=_passkey),
    Page("access_passkey_remove", "/access/passkeys/remove", post=_remove),
)
