from __future__ import annotations

from pathlib import Path

from cordee.figures.years import closes
from node import journal
from node.app import Node

from ..association import PASSWORD
from .conftest import Cordee


async def a_year_passes(association: Node) -> int:
    now = association.clock.now()

    def work(tx) -> None:
        for number in range(60):
            subject = f"{number:032x}"
            journal.append(tx, now=now, actor="node", action="transfer.offer_came", subject=subject)
            end = "received" if number < 40 else "declined"
            journal.append(tx, now=now, actor="node", action=f"transfer.{end}", subject=subject)

    await association.db.write(work)
    association.clock.advance(closes(now.year) - now)  # type: ignore[attr-defined]  # a manual one
    return now.year


async def test_a_year_is_shown_and_written_into_a_folder(
    association: Node, socket: Path, cordee: Cordee, tmp_path: Path
):
    year = await a_year_passes(association)
    await cordee("node", "login", "Léa", "--password-file", "-", stdin=PASSWORD)
    shown = await cordee("node", "report", "--year", str(year))
    assert shown.code == 0, shown.err
    came = {each["row"]: each["count"] for each in shown.json if each["table"] == "came"}
    assert came == {"received": None, "declined": None, "withdrawn": None, "not_received": None, "total": 60}

    folder = tmp_path / "out"
    folder.mkdir()
    rehearsed = await cordee("--dry-run", "node", "report", "--year", str(year), "--out", str(folder))
    assert (rehearsed.code, list(folder.iterdir())) == (0, [])
    written = await cordee("node", "report", "--year", str(year), "--out", str(folder))
    assert written.code == 0, written.err
    names = {path.name for path in folder.iterdir()}
    assert names == {f"report-{year}.{kind}" for kind in ("html", "csv", "pdf")} | {f"dictionary-{year}.csv"}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    again = await cordee("node", "report", "--year", str(year), "--out", str(folder))
    assert (again.code, again.error["reason"]) == (6, "ALREADY_EXISTS")


async def test_a_year_that_is_not_closed_and_one_before_the_journal_are_refused(
    association: Node, socket: Path, cordee: Cordee
):
    year = await a_year_passes(association)
    await cordee("node", "login", "Léa", "--password-file", "-", stdin=PASSWORD)
    early = await cordee("node", "report", "--year", str(year + 1))
    assert (early.code, early.error["reason"]) == (5, "YEAR_NOT_CLOSED")
    assert f"{year + 2}" in early.error["message"]
    before = await cordee("node", "report", "--year", str(year - 1))
    assert (before.code, before.error["reason"]) == (3, "NOT_FOUND")


async def test_whoever_follows_cases_makes_no_report(association: Node, signed_in: Cordee):
    year = await a_year_passes(association)
    await signed_in("node", "login", "Hélène", "--password-file", "-", stdin=PASSWORD)
    refused = await signed_in("node", "report", "--year", str(year))
    assert (refused.code, refused.error["reason"]) == (5, "ROLE_MISSING")
