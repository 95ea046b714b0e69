"""Drafts at rest."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cordee.errors import InvalidInput
from cordee.runtime.database import Database
from node import drafts
from node.vault import Vault

from .conftest import NOW

FIELDS = (("text", "une phrase"), ("box", "a"), ("box", "b"))


async def test_a_draft_comes_back_as_it_was_typed(db: Database, vault: Vault) -> None:
    await db.write(lambda tx: drafts.keep(tx, vault, "a1", "case-new", FIELDS, now=NOW))

    found = await db.read(lambda tx: drafts.read(tx, vault, "a1", "case-new", now=NOW))

    assert found == drafts.Draft(FIELDS, NOW)
    assert await db.read(lambda tx: drafts.read(tx, vault, "a2", "case-new", now=NOW)) is None


async def test_a_later_one_takes_the_place_of_an_earlier_one(db: Database, vault: Vault) -> None:
    for text in ("une", "deux"):
        await db.write(lambda tx, text=text: drafts.keep(tx, vault, "a1", "k", (("text", text),), now=NOW))

    found = await db.read(lambda tx: drafts.read(tx, vault, "a1", "k", now=NOW))
    assert found is not None
    assert found.fields == (("text", "deux"),)


async def test_a_draft_ends_after_thirty_days(db: Database, vault: Vault) -> None:
    await db.write(lambda tx: drafts.keep(tx, vault, "a1", "k", FIELDS, now=NOW))
    later = NOW + drafts.LIFE

    assert await db.read(lambda tx: drafts.read(tx, vault, "a1", "k", now=later)) is None
    await db.write(lambda tx: drafts.forget_old(tx, now=later))
    assert await db.read(lambda tx: tx.exec_driver_sql("SELECT count(*) FROM draft").scalar()) == 0


async def test_a_person_has_fifty_at_most_and_the_oldest_goes(db: Database, vault: Vault) -> None:
    for number in range(drafts.MANY + 1):
        at = NOW + timedelta(seconds=number)
        await db.write(lambda tx, at=at, key=f"k{number}": drafts.keep(tx, vault, "a1", key, FIELDS, now=at))

    assert await db.read(lambda tx: tx.exec_driver_sql("SELECT count(*) FROM draft").scalar()) == drafts.MANY
    assert await db.read(lambda tx: drafts.read(tx, vault, "a1", "k0", now=NOW)) is None


@pytest.mark.parametrize(
    ("key", "fields"), [("", FIELDS), ("k" * 201, FIELDS), ("k", (("text", "x" * (3 * 1024 * 1024)),))]
)
async def test_what_is_too_long_is_refused(db: Database, vault: Vault, key: str, fields: drafts.Fields) -> None:
    with pytest.raises(InvalidInput):
        await db.write(lambda tx: drafts.keep(tx, vault, "a1", key, fields, now=NOW))
