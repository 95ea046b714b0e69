"""What must be true once a transfer is over, whatever its end: asked of the nodes' and the directory's own files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Connection, select

from cordee.errors import NotFound
from cordee.figures.years import year_of
from cordee.ids import TransferId
from cordee.statements import time_of
from cordee.transfer import END_STATES
from directory import tally, transfers
from directory.store import table_of
from directory.store.figures import TallyRow
from directory.store.transfers import TransferRow
from node import journal, records, transfer_store
from node.figures import counts_of
from node.terms import Terms
from tests.neighbours import Neighbour, Street, eventually


async def secrets_of(neighbour: Neighbour, transfer: TransferId) -> list[bytes]:
    """The in-flight secrets that this node keeps now, as they lie in its database and as they are."""
    house = neighbour.here.house
    row = await house.db.read(lambda tx: transfer_store.read_transfer(tx, transfer))
    kept = {
        "transfer.sealed_content_key": row.sealed_content_key,
        "transfer.sealed_one_time_seed": row.sealed_one_time_seed,
    }
    found = [(place, sealed) for place, sealed in kept.items() if sealed is not None]
    return [bytes(sealed) for _, sealed in found] + [
        house.in_flight.unseal(sealed, place=place, row=transfer) for place, sealed in found
    ]


async def nothing_is_left(
    street: Street, transfer: TransferId, *neighbours: Neighbour, secrets: tuple[bytes, ...] | list[bytes] = ()
) -> None:
    """No key, seed, package, spool or mailbox byte of a transfer is left anywhere; every journal verifies."""
    for each in neighbours:
        await _clean_rows(each, transfer)
        await _journal_verifies(each)
        await eventually(lambda each=each: not _spool_of(each, transfer), what=f"{each.name}'s empty spool")
        for secret in secrets:
            await eventually(
                lambda each=each, secret=secret: not _holding(each.folder, secret), what=f"{each.name} without the key"
            )
    mailbox = street.town.directory.mailbox
    await eventually(lambda: transfer not in mailbox.names(), what="an empty mailbox")
    for secret in secrets:
        assert not _holding(street.town.folder, secret)


async def one_holder(case_id: str, *neighbours: Neighbour) -> Neighbour:
    """The one association that holds a case; fails if it is none or more than one."""
    holders = [each for each in neighbours if await holder(each, case_id) == "here"]
    assert len(holders) == 1, [each.name for each in holders]
    return holders[0]


async def holder(neighbour: Neighbour, case_id: str) -> str:
    """What this node says of a case: here, handed_over, shared; or "none"."""
    node = neighbour.here
    try:
        return (await node.db.read(lambda tx: records.read_case(tx, node.vault, case_id))).holder
    except NotFound:
        return "none"


async def counted_alike(street: Street, *neighbours: Neighbour) -> Counter[str]:
    """Every transfer that is over counts as the same at the directory, its sender and its recipient; the whole."""
    total: Counter[str] = Counter()

    def ended(tx: Connection) -> list[transfers.Transfer]:
        ids = tx.execute(select(table_of(TransferRow).c.id)).scalars().all()
        found = [transfers.find(tx, TransferId(each)) for each in ids]
        return [each for each in found if each is not None and each.state in END_STATES]

    by_member = {bytes(each.here.member): each for each in neighbours}
    for transfer in street.town.directory.db.read_sync(ended):
        figure = tally.OF_STATE[transfer.state]
        total[figure] += 1
        sides = ((transfer.sender, "sent"), (transfer.recipient, "came"))
        for member, table in sides:
            neighbour = by_member[bytes(member)]
            await eventually(
                lambda id_=transfer.id, n=neighbour, t=table, f=figure: _counts(n, street, id_)[t] == {f: 1},
                what=f"{neighbour.name} counts {transfer.id.short} as {table}, {figure}",
            )
        asked, answered = (
            _counts(by_member[bytes(member)], street, transfer.id)[table]
            for member, table in ((transfer.sender, "asked"), (transfer.recipient, "answered"))
        )
        assert asked == answered, [_told(by_member[bytes(member)], transfer.id) for member, _ in sides]
        for answer, number in asked.items():
            total["asked"] += number
            total[answer] += number
        total["returned"] += _counts(by_member[bytes(transfer.sender)], street, transfer.id)["apart"]["got_back"]
    for side in tally.SIDES:
        assert _tallied(street, side) == {name: n for name, n in total.items() if n and name != "unanswered"}
    return total


def _counts(neighbour: Neighbour, street: Street, transfer: TransferId) -> dict[str, Counter[str]]:
    """One transfer, out of a node's journal, as the yearly report counts it."""
    offer = street.town.directory.db.read_sync(lambda tx: transfers.statements_of(tx, transfer))[0].signed
    later = street.clock.now() + timedelta(days=1)
    lines = neighbour.here.db.read_sync(
        lambda tx: [
            each
            for each in journal.until(tx, later, actions=("transfer.", "statement."))
            if each.subject == transfer.hex()
        ]
    )
    return counts_of(lines, year_of(time_of(offer)))


def _told(neighbour: Neighbour, transfer: TransferId) -> list[str]:
    lines = neighbour.here.db.read_sync(lambda tx: journal.of_subject(tx, transfer.hex()))
    return [f"{each.action} {each.outcome}" for each in lines]


def _tallied(street: Street, side: str) -> dict[str, int]:
    rows = street.town.directory.db.read_sync(lambda tx: tx.execute(select(table_of(TallyRow))).all())
    found: Counter[str] = Counter()
    for row in rows:
        found[row.figure] += row.number if row.side == side else 0
    return {name: number for name, number in found.items() if number}


async def _clean_rows(neighbour: Neighbour, transfer: TransferId) -> None:
    node = neighbour.here
    row = await node.db.read(lambda tx: transfer_store.read_transfer(tx, transfer))
    assert row.over
    assert row.sealed_content_key is None
    assert row.sealed_one_time_seed is None
    assert row.job is None
    assert transfer not in await node.db.read(transfer_store.waiting)
    if row.outgoing:
        try:
            key = await node.db.read(lambda tx: records.data_key_of(tx, node.vault, row.case_id or ""))
        except NotFound:
            return  # the case was erased, and what its key sealed with it
        assert Terms.unsealed(row.sealed_terms, key, transfer).package == {}


async def _journal_verifies(neighbour: Neighbour) -> None:
    node = neighbour.here
    report = await node.db.read(lambda tx: journal.verify(tx, node.identity_public))
    assert report.lines > 0


def _spool_of(neighbour: Neighbour, transfer: TransferId) -> list[Path]:
    folders = [neighbour.folder / "spool", neighbour.folder / "mailbox"]
    return [path for each in folders if each.exists() for path in each.iterdir() if path.stem == transfer.hex()]


def _holding(folder: Path, secret: bytes) -> list[str]:
    return [path.name for path in _files(folder) if secret in _bytes_of(path)]


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
