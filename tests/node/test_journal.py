from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Connection

from cordee.errors import JournalBroken
from cordee.frame import Label, blake2b_256
from cordee.runtime.database import Database
from cordee.signing import SigningKey
from node import journal

from .conftest import NOW


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return SigningKey.from_seed(bytes(range(64)))


@pytest.fixture
async def journalled(db: Database, key: SigningKey) -> Database:
    """Ten lines, signed after the fifth and the tenth; the signing itself makes lines 6 and 12."""

    def fill(tx: Connection) -> None:
        for number in range(10):
            facts = {"case": "c-1", "version": str(number)} if number == 3 else {}
            journal.append(
                tx,
                now=NOW + timedelta(seconds=number),
                actor="node",
                action="case.changed",
                subject=f"s-{number}",
                facts=facts,
            )
            if number in (4, 9):
                journal.sign_head(tx, key, now=NOW + timedelta(seconds=number))

    await db.write(fill)
    return db


async def _tamper(db: Database, *statements: str) -> None:
    def step(tx: Connection) -> None:
        for each in statements:
            assert tx.exec_driver_sql(each).rowcount != 0, each

    await db.write(step)


async def test_an_untouched_journal_verifies(journalled: Database, key: SigningKey) -> None:
    report = await journalled.read(lambda tx: journal.verify(tx, key.public))
    assert (report.lines, report.signed_lines, report.signatures) == (12, 12, 2)
    lines = await journalled.read(journal.entries)
    assert report.head == lines[-1].hash
    assert [each.line for each in lines] == list(range(1, 13))
    assert lines[0].at == NOW


async def test_lines_after_the_last_signature_are_told(journalled: Database, key: SigningKey) -> None:
    await journalled.write(lambda tx: journal.append(tx, now=NOW, actor="node", action="a", subject="s"))
    report = await journalled.read(lambda tx: journal.verify(tx, key.public))
    assert (report.lines, report.signed_lines) == (13, 12)


async def test_an_empty_journal_verifies_and_says_that_nothing_is_signed(db: Database, key: SigningKey) -> None:
    report = await db.read(lambda tx: journal.verify(tx, key.public))
    assert (report.lines, report.signed_lines, report.head) == (0, 0, bytes(32))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("actor", "'someone'"),
        ("action", "'case.read'"),
        ("subject", "'s-9'"),
        ("outcome", "'refused'"),
        ("facts", """'{"case":"c-2"}'"""),
        ("at", "'2026-03-14 09:30:03.000001'"),
        ("hash", "zeroblob(32)"),
    ],
)
async def test_an_altered_line_is_found(journalled: Database, key: SigningKey, column: str, value: str) -> None:
    await _tamper(journalled, f"UPDATE journal SET {column} = {value} WHERE line = 4")
    with pytest.raises(JournalBroken) as broken:
        await journalled.read(lambda tx: journal.verify(tx, key.public))
    assert broken.value.facts["line"] == "4"


@pytest.mark.parametrize("line", [1, 2, 6, 11, 12])
async def test_a_removed_line_is_found(journalled: Database, key: SigningKey, line: int) -> None:
    await _tamper(journalled, f"DELETE FROM journal WHERE line = {line}")
    with pytest.raises(JournalBroken):
        await journalled.read(lambda tx: journal.verify(tx, key.public))


async def test_a_removed_line_whose_followers_are_renumbered_is_found(journalled: Database, key: SigningKey) -> None:
    await _tamper(
        journalled,
        "DELETE FROM journal WHERE line = 3",
        "UPDATE journal SET line = -line WHERE line > 3",
        "UPDATE journal SET line = -line - 1 WHERE line < 0",
    )
    with pytest.raises(JournalBroken) as broken:
        await journalled.read(lambda tx: journal.verify(tx, key.public))
    assert broken.value.facts["line"] == "3"


async def test_two_lines_in_another_order_are_found(journalled: Database, key: SigningKey) -> None:
    await _tamper(
        journalled,
        "UPDATE journal SET line = 100 WHERE line = 2",
        "UPDATE journal SET line = 2 WHERE line = 3",
        "UPDATE journal SET line = 3 WHERE line = 100",
    )
    with pytest.raises(JournalBroken) as broken:
        await journalled.read(lambda tx: journal.verify(tx, key.public))
    assert broken.value.facts["line"] == "2"


async def test_a_chain_that_was_made_anew_does_not_fit_its_signatures(journalled: Database, key: SigningKey) -> None:
    def forge(tx: Connection) -> None:
        lines = journal.entries(tx)
        tx.exec_driver_sql("DELETE FROM journal")
        for each in lines:
            subject = "forged" if each.line == 2 else each.subject
            journal.append(
                tx, now=each.at, actor=each.actor, action=each.action, subject=subject, facts=dict(each.facts)
            )

    await journalled.write(forge)
    with pytest.raises(JournalBroken) as broken:
        await journalled.read(lambda tx: journal.verify(tx, key.public))
    assert broken.value.facts["line"] == "6"


async def test_a_head_that_was_edited_or_signed_by_another_is_found(
    journalled: Database, key: SigningKey, chance: Callable[[int], bytes]
) -> None:
    forger = SigningKey.generate(chance)

    def forge(tx: Connection) -> None:
        tx.exec_driver_sql("DELETE FROM journal_head WHERE line = 12")
        tx.exec_driver_sql("DELETE FROM journal WHERE line = 12")
        journal.sign_head(tx, forger, now=NOW)

    await journalled.write(forge)
    with pytest.raises(JournalBroken) as broken:
        await journalled.read(lambda tx: journal.verify(tx, key.public))
    assert broken.value.facts["line"] == "12"
    report = await journalled.read(lambda tx: journal.verify(tx, key.public, former=(forger.public,)))
    assert report.signatures == 2


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE journal_head SET hash = zeroblob(32) WHERE line = 6",
        "UPDATE journal_head SET at = '2026-03-14 09:31:00.000000' WHERE line = 6",
        "UPDATE journal_head SET signature = zeroblob(10) WHERE line = 6",
        "UPDATE journal_head SET signature = (SELECT signature FROM journal_head WHERE line = 12) WHERE line = 6",
        "UPDATE journal_head SET line = 7 WHERE line = 6",
        "DELETE FROM journal_head WHERE line = 6",
        "DELETE FROM journal_head",
        "DELETE FROM journal WHERE line > 8",
    ],
)
async def test_a_tampered_head_or_a_cut_off_end_is_found(journalled: Database, key: SigningKey, change: str) -> None:
    await _tamper(journalled, change)
    with pytest.raises(JournalBroken):
        await journalled.read(lambda tx: journal.verify(tx, key.public))


async def test_lines_are_found_by_what_they_are_about(journalled: Database) -> None:
    about = await journalled.read(lambda tx: journal.entries(tx, about="c-1"))
    assert [each.line for each in about] == [4]
    assert about[0].facts == {"case": "c-1", "version": "3"}
    assert [each.line for each in await journalled.read(lambda tx: journal.entries(tx, about="s-9"))] == [11]
    assert await journalled.read(lambda tx: journal.entries(tx, about="c_1")) == []
    assert len(await journalled.read(lambda tx: journal.entries(tx, after=5, limit=3))) == 3


async def test_an_export_is_enough_to_follow_the_chain_elsewhere(journalled: Database) -> None:
    lines = [json.loads(each) for each in (await journalled.read(journal.export)).splitlines()]
    chained = bytes(32)
    for line in lines[:12]:
        given = bytes.fromhex(line.pop("hash"))
        text = json.dumps(line, sort_keys=True, separators=(",", ":")).encode()
        chained = blake2b_256(Label.JOURNAL, chained, text)
        assert chained == given
    assert [each["head"]["line"] for each in lines[12:]] == [6, 12]
    assert lines[-1]["head"]["hash"] == chained.hex()


@pytest.mark.parametrize("text", ["Jeanne D", "é", "two\nlines", "x" * 201])
@pytest.mark.parametrize("field", ["actor", "action", "subject", "outcome", "facts"])
async def test_names_and_sentences_never_get_into_the_journal(db: Database, field: str, text: str) -> None:
    values: dict[str, object] = {"actor": "node", "action": "a", "subject": "s"}
    values[field] = {"k": text} if field == "facts" else text
    with pytest.raises(ValueError, match="ids and codes only"):
        await db.write(lambda tx: journal.append(tx, now=NOW, **values))  # type: ignore[arg-type]  # made to measure
    assert await db.read(journal.entries) == []


async def test_the_lines_of_one_subject_are_found_and_no_others(journalled: Database) -> None:
    lines = await journalled.read(lambda tx: journal.of_subject(tx, "s-3"))
    assert [each.subject for each in lines] == ["s-3"]
    assert await journalled.read(lambda tx: journal.of_subject(tx, "c-1")) == []
