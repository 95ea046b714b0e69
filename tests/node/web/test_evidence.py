"""The page of evidence: what did not fit, what to do, and a file that anybody judges."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from cordee.checkpoint import Checkpoint, sign_checkpoint
from cordee.errors import CordeeError
from cordee.evidence import Sort, judge_journal
from cordee.ids import Digest
from cordee.views import Verdict, judge
from node import journal
from node.app import Node
from tests.builders import Network
from tests.web.markup import complaints

from ..association import StillDirectory
from .browser import Browser

Browse = Callable[..., Awaitable[Browser]]


class LyingDirectory(StillDirectory):
    """It signs another root over the same number of entries."""

    def __init__(self, network: Network, *, key: Any = None) -> None:
        super().__init__(network)
        self._network, self._key = network, key or network.directory

    async def checkpoint(self) -> str:
        size, moment = self._network.tree.size, self._network.now.replace(microsecond=0)
        return sign_checkpoint(Checkpoint(self._network.roster.origin, size, Digest(bytes(32)), moment), self._key)

    async def entries(self, *, start: int) -> AsyncIterator[Any]:
        for entry in self._network.entries[start:]:
            yield entry


@pytest.fixture
async def lied_to(association: Node, network: Network) -> Node:
    return await lie(association, LyingDirectory(network))


async def lie(node: Node, directory: StillDirectory) -> Node:
    node.roster._client = directory  # type: ignore[assignment]  # the directory of this network turns
    with pytest.raises(CordeeError):
        await node.roster.sync()
    return node


async def sent(browser: Browser, action: str) -> Any:
    return await browser.submit(await browser.form("/evidence", action=action))


async def test_a_node_that_was_shown_one_roster_says_that_all_fits(browse: Browse) -> None:
    shown = (await (await browse("Aude")).get("/evidence")).text
    assert "All that this node was shown fits together." in shown
    assert "what to do" not in shown
    assert complaints(shown, "en") == []


async def test_two_rosters_are_told_with_what_to_do_and_the_file_proves_them(browse: Browse, lied_to: Node) -> None:
    browser = await browse("Adrien")
    shown = (await browser.get("/evidence")).text
    assert "What the directory showed cannot be right: what to do" in shown
    assert "Call the network’s office now." in shown
    assert "The directory’s key signed two rosters that cannot be one" in shown
    assert complaints(shown, "en") == []
    answer = await sent(browser, "/evidence/1/file")
    assert answer.headers["content-disposition"] == 'attachment; filename="roster-1.evidence"'
    report = judge([answer.content], network=lied_to.house.network)
    assert report.verdict is Verdict.FORK
    lines = await lied_to.db.read(lambda tx: journal.latest(tx, limit=1))
    assert (lines[0].action, lines[0].subject, lines[0].outcome) == ("evidence.exported", "1", "ROSTER_FORKED")
    assert "evidence about the roster taken along" in (await browser.get("/journal")).text


async def test_the_first_page_leads_there_whom_it_concerns(browse: Browse, lied_to: Node) -> None:
    for name, leads in (("Hélène", False), ("Léa", True), ("Adrien", True), ("Aude", True)):
        shown = (await (await browse(name)).get("/")).text
        assert "shows another roster" in shown
        assert "{size}" not in shown
        assert ('href="/evidence"' in shown) is leads, name
    assert 'href="/evidence"' in (await (await browse("Adrien")).get("/node")).text
    assert (await (await browse("Hélène")).get("/evidence")).status_code == 403


async def test_what_nobody_of_the_network_signed_is_said_to_prove_nothing(
    browse: Browse, association: Node, network: Network
) -> None:
    await lie(association, LyingDirectory(network, key=network.administrators[0]))
    shown = (await (await browse("Léa")).get("/evidence")).text
    assert "proves nothing alone" in shown
    assert "what to do" not in shown, "nobody is sent to the office for a note that anybody could write"


async def test_what_was_shown_up_to_now_is_taken_along(browse: Browse, association: Node) -> None:
    answer = await sent(await browse("Aude"), "/evidence/present")
    report = judge([answer.content], network=association.house.network)
    assert (report.verdict, report.views[0].checkpoint.size) == (Verdict.AGREE, association.roster.tree.size)


@pytest.mark.parametrize("number", ["2", "0", "-1", "٣", "x", "9" * 30])
async def test_evidence_that_is_not_there_is_not_found(browse: Browse, lied_to: Node, number: str) -> None:
    browser = await browse("Aude")
    form = await browser.form("/evidence", action="/evidence/1/file")
    assert (await browser.submit(form, f"/evidence/{number}/file")).status_code == 404


async def test_the_journal_that_the_page_gives_out_is_judged_by_anybody(browse: Browse, association: Node) -> None:
    browser = await browse("Aude")
    answer = await browser.submit(await browser.form("/journal", action="/journal/export"))
    found = judge_journal(answer.content.splitlines(keepends=True), network=association.house.network)
    assert found.sort is Sort.JOURNAL
    assert found.facts["member"] == association.member.hex()
    assert found.facts["signatures"] == 1


async def test_a_journal_is_verified_under_the_keys_that_signed_it(
    browse: Browse, association: Node, network: Network
) -> None:
    now, member = association.clock.now(), next(iter(network.members.values()))
    await association.db.write(lambda tx: journal.sign_head(tx, member.identity, now=now))
    network.rotate(member)
    object.__setattr__(association.house.keys, "identity", member.identity)  # as after a restart with the new key
    association.roster._roster = network.roster  # the node signed that change itself
    await association.db.write(lambda tx: journal.sign_head(tx, member.identity, now=now + timedelta(hours=1)))
    browser = await browse("Aude")
    answer = await browser.submit(await browser.form("/journal", action="/journal/verify"))
    assert "Verified:" in answer.text
