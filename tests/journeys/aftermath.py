"""What must be true once a transfer is over, whatever its end: asked of the nodes' and the directory's own files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cordee.errors import NotFound
from cordee.ids import TransferId
from node import journal, records, transfer_store
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
