"""Messages by e-mail: one text that says nothing, over an encrypted way, seldom, and never in a transfer's way."""

from __future__ import annotations

import asyncio
import email
import io
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from cordee.errors import InvalidInput
from cordee.runtime import logs
from cordee.runtime.clock import ManualClock
from node import journal, mailing, notices, people, records, transfer_store
from node.app import Node
from node.mailing import MailFailed, Server
from node.notices import Notices, Wish
from tests.builders import Network, seeded_random

from .association import opened, with_people
from .conftest import everything, holds
from .mail_server import Authority, MailServer, free_port
from .rpc.conftest import network  # noqa: F401  # the same network
from .web.browser import whole_session
from .web.test_today import account_of, keep, quiet

ADDRESS = "helene.martin@asso.example"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
_CHANGES = re.compile(rb"^(Date: .*|Message-ID: <[0-9a-f]{32}@asso\.example>)\r\n", re.MULTILINE)


def server_of(post: MailServer, authority: Authority | None, **changes: Any) -> Server:
    told = Server("localhost", post.port, "noreply@asso.example", authority=authority and authority.path)
    return replace(told, **changes)


@pytest.fixture
async def node(tmp_path: Path, network: Network) -> AsyncIterator[Node]:  # noqa: F811
    folder = tmp_path / "node"
    folder.mkdir(mode=0o700)
    with opened(
        folder, network=network, member=next(iter(network.members.values())), random=seeded_random("n")
    ) as found:
        await found.roster.sync()
        await with_people(found)
        yield found


def clock(node: Node) -> ManualClock:
    assert isinstance(node.clock, ManualClock)
    return node.clock


async def wants(node: Node, name: str = "Hélène", address: str = ADDRESS, language: str = "fr") -> str:
    """Somebody wants to be told of what comes from now on."""
    account, now = await account_of(node, name), node.clock.now()

    def step(tx: Any) -> None:
        found = people.account_named(tx, node.vault, account)
        handler = people.Handler(account, found.name, found.roles, True)
        known = notices.waits_for(tx, node.house, handler, now=now)
        notices.keep_wish(tx, node.vault, account, Wish(address, language), known, now=now)

    await node.db.write(step)
    return account


async def something_waits(node: Node, number: int = 1, **sections: Any) -> None:
    await keep(node, quiet(node, number, **(sections or {"health": {"urgent_need": "now"}})))


async def wait(book: Notices, node: Node, span: timedelta, step: timedelta = MINUTE) -> None:
    """Let time pass, with a look each minute."""
    for _ in range(int(span / step)):
        clock(node).advance(step)
        await book.look()


# ---- the message ----


def test_the_message_is_the_same_to_the_byte_but_for_time_and_chance() -> None:
    server, random = Server("localhost", 25, "noreply@asso.example"), seeded_random("m")
    first = datetime.fromisoformat("2026-11-24T09:00:00+00:00")
    made = [
        mailing.message(server, ADDRESS, "fr", now=first + timedelta(hours=number), random=random)
        for number in range(5)
    ]
    assert len(set(made)) == 5
    assert len({_CHANGES.sub(b"", each) for each in made}) == 1
    assert all(len(_CHANGES.findall(each)) == 2 for each in made)


@pytest.mark.parametrize(
    ("language", "words"), [("en", "Something waits for you"), ("fr", "Quelque chose vous attend")]
)
def test_the_message_says_that_something_waits_and_holds_neither_link_nor_number(language: str, words: str) -> None:
    made = mailing.message(
        Server("localhost", 25, "noreply@asso.example"),
        ADDRESS,
        language,
        now=datetime.fromisoformat("2026-11-24T09:00:00+00:00"),
        random=seeded_random("m"),
    )
    read = email.message_from_bytes(made, policy=email.policy.default)
    body = read.get_content()
    assert words in body
    assert read["Subject"] == "Notes"
    assert not re.search(r"\d|http|www|/", body)
    assert set(read.keys()) == {
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "Auto-Submitted",
        "Content-Type",
        "Content-Transfer-Encoding",
        "MIME-Version",
    }


@pytest.mark.parametrize(
    "told",
    ["", "nobody", "a@b\r\nBcc: c@d", "a b@c.example", "é@asso.example", f"{'a' * 250}@b.example", "<a@b.example>"],
)
def test_what_is_no_address_is_refused_without_being_repeated(told: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        mailing.checked_address(told)
    assert not told or told not in str(refused.value)


# ---- the way to the server ----


def test_it_goes_over_starttls_with_a_certificate_that_is_checked(post: MailServer, authority: Authority) -> None:
    mailing.deliver(server_of(post, authority), ADDRESS, b"Subject: Notes\r\n\r\nText\r\n")
    assert post.encrypted == [True]
    assert post.taken == [("noreply@asso.example", [ADDRESS], b"Subject: Notes\r\n\r\nText\r\n")]
    assert set(post.greeted) == {"localhost"}


def test_it_goes_over_tls_from_the_first_byte(authority: Authority) -> None:
    with MailServer(context=authority.context("localhost"), from_the_first_byte=True).running() as post:
        mailing.deliver(server_of(post, authority, way="tls"), ADDRESS, b"\r\nText\r\n")
        assert len(post.taken) == 1


@pytest.mark.parametrize("way", ["starttls", "tls"])
def test_a_certificate_for_another_name_is_refused_and_nothing_is_sent(authority: Authority, way: str) -> None:
    context = authority.context("elsewhere.example")
    with MailServer(context=context, from_the_first_byte=way == "tls").running() as post:
        with pytest.raises(MailFailed) as failed:
            mailing.deliver(server_of(post, authority, way=way), ADDRESS, b"\r\nText\r\n")
        assert failed.value.reason == "Certificate"
        assert post.taken == []


def test_a_certificate_of_an_unknown_authority_is_refused(
    post: MailServer, authority: Authority, tmp_path: Path
) -> None:
    for known in (None, Authority(tmp_path, "other")):
        with pytest.raises(MailFailed) as failed:
            mailing.deliver(server_of(post, known), ADDRESS, b"\r\nText\r\n")
        assert failed.value.reason == "Certificate"
    assert post.taken == []


def test_without_encryption_nothing_is_sent(authority: Authority) -> None:
    with MailServer().running() as post:
        with pytest.raises(MailFailed) as failed:
            mailing.deliver(server_of(post, authority), ADDRESS, b"\r\nText\r\n")
        assert failed.value.reason == "NoEncryption"
        assert post.taken == []


def test_user_and_password_are_given_and_wrong_ones_told_as_such(authority: Authority) -> None:
    with MailServer(context=authority.context("localhost"), user=(b"node", b"secret")).running() as post:
        mailing.deliver(server_of(post, authority, user="node", password="secret"), ADDRESS, b"\r\nText\r\n")
        assert len(post.taken) == 1
        with pytest.raises(MailFailed) as failed:
            mailing.deliver(server_of(post, authority, user="node", password="other"), ADDRESS, b"\r\nText\r\n")
        assert failed.value.reason == "Credentials"
    assert "secret" not in repr(server_of(post, authority, password="secret"))


def test_settings_that_cannot_work_are_refused_at_the_start(authority: Authority, tmp_path: Path) -> None:
    good = Server("mail.example", 587, "noreply@asso.example")
    good.require_sound()
    for changes in (
        {"host": ""},
        {"port": 0},
        {"way": "plain"},
        {"sender": "nobody"},
        {"user": "node"},
        {"authority": tmp_path / "missing.pem"},
    ):
        with pytest.raises(InvalidInput):
            replace(good, **changes).require_sound()  # type: ignore[arg-type]  # each is of its field's type


# ---- who is told, and when ----


async def test_different_events_give_the_same_bytes(node: Node, post: MailServer, authority: Authority) -> None:
    book = Notices(node.house, server_of(post, authority))
    await wants(node)
    await something_waits(node, 1, health={"urgent_need": "now"})
    await wait(book, node, 15 * MINUTE)
    await something_waits(node, 2, housing={"shelter_need": "tonight"})
    await something_waits(node, 3, runaways=[{"started_on": "2026-04-30"}])
    await wait(book, node, 90 * MINUTE)
    assert len(post.taken) == 2
    assert len({(sender, *to, _CHANGES.sub(b"", data)) for sender, to, data in post.taken}) == 1


async def test_nobody_is_told_unless_they_asked_and_nobody_who_has_nothing_new(
    node: Node, post: MailServer, authority: Authority
) -> None:
    book = Notices(node.house, server_of(post, authority))
    await something_waits(node, 1)
    await wait(book, node, 2 * HOUR)
    assert post.taken == []
    await wants(node)  # what is there they can see now
    await wait(book, node, 2 * HOUR)
    assert post.taken == []


async def test_it_is_late_by_chance_by_ten_minutes_at_most_and_comes_once(
    node: Node, post: MailServer, authority: Authority
) -> None:
    book = Notices(node.house, server_of(post, authority))
    account = await wants(node)
    await something_waits(node)
    lateness = set()
    for number in range(2, 8):
        await book.look()
        due = await node.db.read(
            lambda tx: tx.exec_driver_sql("SELECT due_at FROM notice WHERE account_id = ?", (account,)).scalar()
        )
        lateness.add((datetime.fromisoformat(str(due)) - node.clock.now().replace(tzinfo=None)).total_seconds() % 3600)
        await wait(book, node, 75 * MINUTE)
        await something_waits(node, number)
    assert len(post.taken) == 6
    assert len(lateness) > 4
    assert all(0 <= each <= 600 for each in lateness)


async def test_there_is_an_hour_at_least_between_two(node: Node, post: MailServer, authority: Authority) -> None:
    book = Notices(node.house, server_of(post, authority))
    await wants(node)
    times = []
    for number in range(1, 25):
        await something_waits(node, number)
        before = len(post.taken)
        await wait(book, node, 10 * MINUTE)
        if len(post.taken) > before:
            times.append(node.clock.now())
    between = [later - earlier for earlier, later in pairwise(times)]
    assert len(times) == len(post.taken) >= 3
    assert min(between) >= HOUR - 10 * MINUTE  # each was seen ten minutes late at most
    sent = [email.message_from_bytes(data)["Date"] for _, _, data in post.taken]
    moments = [email.utils.parsedate_to_datetime(each) for each in sent]
    assert min(later - earlier for earlier, later in pairwise(moments)) >= HOUR


async def test_who_is_at_their_pages_is_not_told_and_is_once_they_have_gone(
    node: Node, post: MailServer, authority: Authority
) -> None:
    book = Notices(node.house, server_of(post, authority))
    await wants(node)
    await whole_session(node, "Hélène")
    await something_waits(node, 1)
    await wait(book, node, people.IDLE - MINUTE)
    await wait(book, node, HOUR)
    assert post.taken == []  # it was on the page that they had open
    await something_waits(node, 2)
    await wait(book, node, 15 * MINUTE)
    assert len(post.taken) == 1


async def test_what_is_dealt_with_before_its_time_is_not_told(
    node: Node, post: MailServer, authority: Authority
) -> None:
    book = Notices(node.house, server_of(post, authority))
    await wants(node)
    case = quiet(node, health={"urgent_need": "now"})
    await keep(node, case)
    await book.look()
    now = node.clock.now()
    done = case.with_section("health", {"urgent_need": "none"})
    await node.db.write(
        lambda tx: records.update_case(tx, node.vault, case.case_id, done, expected_version=1, by="t", now=now)
    )
    await wait(book, node, 2 * HOUR)
    assert post.taken == []


async def test_a_case_that_is_not_theirs_to_know_tells_them_nothing(
    node: Node, post: MailServer, authority: Authority
) -> None:
    book = Notices(node.house, server_of(post, authority))
    await wants(node)
    lea = await account_of(node, "Léa")
    meta = {"owner_user_id": lea, "access_restriction": "named_users"}
    await keep(node, quiet(node, meta=meta, health={"urgent_need": "now"}))
    await wait(book, node, 2 * HOUR)
    assert post.taken == []
    await wants(node, "Léa", "lea@asso.example")


async def test_an_account_that_is_disabled_is_told_no_more_and_its_address_is_gone(
    node: Node, post: MailServer, authority: Authority
) -> None:
    book = Notices(node.house, server_of(post, authority))
    account, now = await wants(node), node.clock.now()
    await node.db.write(lambda tx: people.disable_account(tx, node.vault, "Hélène", now=now))
    await something_waits(node)
    await wait(book, node, 2 * HOUR)
    assert post.taken == []
    assert await node.db.read(lambda tx: notices.wish_of(tx, node.vault, account)) is None


# ---- a server that fails ----


async def test_a_server_that_is_away_is_tried_again_with_pauses_and_the_message_comes_when_it_is_back(
    node: Node, authority: Authority
) -> None:
    post = MailServer(port=free_port(), context=authority.context("localhost"))
    tried: list[datetime] = []

    def send(server: Server, address: str, data: bytes) -> None:
        tried.append(node.clock.now())
        mailing.deliver(server, address, data)

    book = Notices(node.house, server_of(post, authority), send=send)
    await wants(node)
    await something_waits(node)
    await wait(book, node, 3 * HOUR)
    assert book.condition.reason == "Unreachable"
    assert not book.condition.well
    assert book.condition.oldest is not None
    pauses = [later - earlier for earlier, later in pairwise(tried)]
    assert pauses == sorted(pauses)
    assert 6 <= len(tried) <= 9
    with post.running():
        await wait(book, node, HOUR + MINUTE)
    assert len(post.taken) == 1
    assert book.condition.well
    assert book.condition.oldest is None


async def test_an_address_that_the_server_does_not_take_does_not_keep_the_others_from_theirs(
    node: Node, authority: Authority
) -> None:
    with MailServer(context=authority.context("localhost"), unknown=(ADDRESS,)).running() as post:
        book = Notices(node.house, server_of(post, authority))
        await wants(node)
        await wants(node, "Léa", "lea@asso.example", "en")
        await something_waits(node)
        await wait(book, node, 15 * MINUTE)
        assert [to for _, to, _ in post.taken] == [["lea@asso.example"]]


async def test_whatever_fails_in_it_the_loop_goes_on(node: Node, authority: Authority) -> None:
    tried = []

    def send(server: Server, address: str, data: bytes) -> None:
        tried.append(1)
        raise RuntimeError(address)

    book = Notices(node.house, Server("localhost", 25, "noreply@asso.example"), send=send)
    await wants(node)
    await something_waits(node)
    running = asyncio.create_task(book.run())
    for _ in range(20):
        await asyncio.sleep(0.05)
        clock(node).advance(MINUTE)
    await asyncio.sleep(0.05)
    assert not running.done()
    assert len(tried) > 2
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


# ---- what is kept, and what is not ----


async def test_the_address_stands_nowhere_in_clear_nor_in_the_journal_nor_in_any_log(
    node: Node, post: MailServer, authority: Authority
) -> None:
    written = io.StringIO()
    logs.configure(stream=written)
    try:
        book = Notices(node.house, server_of(post, authority))
        await wants(node)
        await something_waits(node)
        await wait(book, node, 15 * MINUTE)
        assert len(post.taken) == 1
        failing = Notices(node.house, server_of(replace(post, port=free_port()), authority))
        await something_waits(node, 2)
        await wait(failing, node, 2 * HOUR)
        assert failing.condition.reason == "Unreachable"
    finally:
        logs.configure()
    assert "notice.sent" in written.getvalue()
    assert "notice.not_sent" in written.getvalue()
    for told in (written.getvalue().encode(), everything(node.data_dir)):
        assert ADDRESS.encode() not in told
        assert b"helene.martin" not in told
    assert holds(node.data_dir, b"asso.example") == []
    lines = await node.db.read(lambda tx: journal.latest(tx, limit=50))
    assert any(each.action == "notice.wanted" for each in lines)


async def test_nothing_of_it_touches_transfers_when_there_is_no_server(node: Node) -> None:
    assert node.notices is None
    assert await node.db.read(transfer_store.all_transfers) == []
    await wants(node)
    assert Wish(ADDRESS, "fr") == await node.db.read(
        lambda tx: notices.wish_of(tx, node.vault, tx.exec_driver_sql("SELECT account_id FROM notice").scalar())
    )
    assert ADDRESS not in repr(Wish(ADDRESS, "fr"))


@pytest.mark.parametrize("minutes", [14, 1441])
async def test_the_time_between_two_is_bounded(node: Node, minutes: int) -> None:
    with pytest.raises(InvalidInput):
        Notices(node.house, Server("localhost", 25, "noreply@asso.example"), every=minutes * MINUTE)
