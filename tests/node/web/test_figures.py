from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection

from cordee.figures.years import closes
from node import journal
from tests.web.markup import complaints

from .acting import House, house_with_a_case

OURS = (("received", 62), ("declined", 24), ("withdrawn", 13), ("expired", 12))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with house_with_a_case(tmp_path) as house:
        yield house


async def a_year(house: House) -> int:
    """A year's work in the journal; then it is the February after it."""
    now = house.node.clock.now()

    def work(tx: Connection) -> None:
        number = 0
        for end, count in OURS:
            for _ in range(count):
                number += 1
                facts = {"rule": ("7", "3", "6")[number % 3]}
                say(tx, "transfer.offered", f"{number:032x}", facts)
                say(tx, f"transfer.{end}", f"{number:032x}")
        for each in range(4):
            say(tx, "case.opened_for_reason", f"{each:032x}")
        say(tx, "roster.alarm", "")

    def say(tx: Connection, action: str, subject: str, facts: dict[str, str] | None = None) -> None:
        journal.append(tx, now=now, actor="node", action=action, subject=subject, facts=facts or {})

    await house.node.db.write(work)
    house.node.clock.advance(closes(now.year) - now + timedelta(days=1))  # type: ignore[attr-defined]  # of tests
    return now.year


def rows(data: bytes) -> dict[tuple[str, str], tuple[str, str]]:
    lines = csv.DictReader(io.StringIO(data.decode("utf-8-sig")), delimiter=";")
    return {(each["table"], each["row"]): (each["count"], each["status"]) for each in lines}


async def test_a_year_is_listed_once_it_is_closed_and_not_before(house: House) -> None:
    shown = await (await house.person("Adrien")).get("/figures")
    assert "No year is closed yet" in shown.text
    house.people.clear()
    year = await a_year(house)
    shown = await (await house.person("Adrien")).get("/figures")
    assert f'href="/figures/{year}"' in shown.text
    assert f'href="/figures/{year + 1}"' not in shown.text
    assert (await (await house.person("Adrien")).get(f"/figures/{year + 1}")).status_code == 409
    for wrong in ("0000", "20x6", "12345", "²026"):
        assert (await (await house.person("Adrien")).get(f"/figures/{wrong}")).status_code == 404


async def test_the_page_shows_what_is_handed_on_and_nothing_more_exact(house: House) -> None:
    year = await a_year(house)
    person = await house.person("Adrien")
    shown = await person.get(f"/figures/{year}")
    assert complaints(shown.text, "en") == []
    sheet = rows((await person.post(f"/figures/{year}/file", {"form": "csv"}, page=f"/figures/{year}")).content)
    assert sheet["sent", "received"] == ("60", "rounded")
    assert sheet["sent", "total"] == ("110", "rounded")
    assert sheet["grounds", "override"] == ("35", "rounded")
    assert sheet["apart", "opened"] == ("", "not_published")
    assert sheet["machine", "alarms"] == ("1", "exact")
    assert '<td class="count-of">60</td>' in shown.text
    assert ">62<" not in shown.text
    assert ">4<" not in shown.text


@pytest.mark.parametrize(
    ("form", "kind", "begins"),
    [
        ("html", "text/html", b"<!doctype html>"),
        ("csv", "text/csv", "\ufeffyear;".encode()),
        ("dictionary", "text/csv", "\ufeffkind;".encode()),
        ("pdf", "application/pdf", b"%PDF-"),
    ],
)
async def test_each_file_is_made_and_that_somebody_took_it_is_journalled(
    house: House, form: str, kind: str, begins: bytes
) -> None:
    year = await a_year(house)
    person = await house.person("Léa")
    made = await person.post(f"/figures/{year}/file", {"form": form}, page=f"/figures/{year}")
    assert made.status_code == 200
    assert made.headers["content-type"].startswith(kind)
    assert made.content.startswith(begins)
    assert "attachment" in made.headers["content-disposition"]
    last = await house.node.db.read(lambda tx: journal.latest(tx, limit=1))
    assert (last[0].action, dict(last[0].facts)) == ("figures.made", {"year": str(year), "form": form})


async def test_an_unknown_form_is_refused_and_not_journalled(house: House) -> None:
    year = await a_year(house)
    person = await house.person("Adrien")
    refused = await person.post(f"/figures/{year}/file", {"form": "docx"}, page=f"/figures/{year}")
    assert refused.status_code == 422
    assert await house.node.db.read(lambda tx: journal.latest(tx, action="figures.", limit=1)) == []


async def test_whoever_only_follows_cases_is_not_shown_it(house: House) -> None:
    year = await a_year(house)
    person = await house.person("Hélène")
    assert (await person.get("/figures")).status_code == 403
    assert (await person.get(f"/figures/{year}")).status_code == 403
    assert "/figures" not in (await person.get("/association")).text
    assert "/figures" in (await (await house.person("Aude")).get("/association")).text


async def test_what_happens_after_the_close_changes_nothing(house: House) -> None:
    year = await a_year(house)
    person = await house.person("Adrien")
    before = rows((await person.post(f"/figures/{year}/file", {"form": "csv"}, page=f"/figures/{year}")).content)
    now = house.node.clock.now()
    assert now > datetime(year + 1, 2, 1, tzinfo=UTC)
    for number in range(1, 40):
        subject = f"{number:032x}"
        await house.node.db.write(
            lambda tx, subject=subject: journal.append(
                tx, now=now, actor="node", action="transfer.withdrawn", subject=subject
            )
        )
    after = rows((await person.post(f"/figures/{year}/file", {"form": "csv"}, page=f"/figures/{year}")).content)
    assert after == before
