"""A year's work in the journal of a house that was founded today: nobody can wait until a year is closed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection

from node import journal
from node.demo.stage import House
from node.joining import DATABASE
from node.store.migrations import node_database

__all__ = ["with_a_closed_year"]

_ENDS = (("received", 143), ("declined", 38), ("withdrawn", 21), ("expired", 19))
_RULES = ("7", "7", "3", "6")


def with_a_closed_year(house: House) -> int:
    """Write it down, as the node itself would have; the year."""
    year = datetime.now(UTC).year - 2
    at = datetime(year, 6, 1, tzinfo=UTC)

    def say(tx: Connection, action: str, subject: str = "", **facts: str) -> None:
        journal.append(tx, now=at, actor="node", action=action, subject=subject, facts=facts)

    def work(tx: Connection) -> None:
        number = 0
        for end, count in _ENDS:
            for _ in range(count):
                number += 1
                transfer = f"{number:032x}"
                say(tx, "transfer.offered", transfer, rule=_RULES[number % len(_RULES)])
                say(tx, f"transfer.{end}", transfer)
                if end == "received" and number % 4 == 0:
                    say(tx, "transfer.withdrawn", transfer)
                    say(tx, "transfer.erasure", transfer)
        say(tx, "case.opened_for_reason", "1")
        say(tx, "roster.alarm")

    with node_database(Path(house.environment["CORDEE_NODE_DATA_DIR"]) / DATABASE) as db:
        db.write_sync(work)
    return year
