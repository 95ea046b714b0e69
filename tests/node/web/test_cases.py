"""Opening a case, through the site."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from node import records
from node.app import Node

from .browser import Browser

Browse = Callable[..., Awaitable[Browser]]


async def test_a_case_is_opened_with_four_answers(association: Node, browse: Browse) -> None:
    browser = await browse()
    form = await browser.form("/cases/new")

    answer = await browser.submit(form.fill(pseudonym="Lou", summary="Une amie appelle pour elle.", danger="no"))

    assert answer.status_code == 303
    (line,) = await association.db.read(lambda tx: records.list_cases(tx, association.vault))
    assert line.pseudonym == "Lou"
    assert answer.headers["location"] == f"/cases/{line.case_id}"


async def test_a_case_without_a_pseudonym_comes_back_with_what_was_typed(association: Node, browse: Browse) -> None:
    browser = await browse()
    form = await browser.form("/cases/new")

    answer = await browser.submit(form.fill(pseudonym="", summary="Une amie appelle.", danger="yes"))

    assert answer.status_code == 422
    assert "Une amie appelle." in answer.text
    assert 'value="yes" checked' in answer.text
    assert await association.db.read(lambda tx: records.list_cases(tx, association.vault)) == []
