"""Who can bring this node back: kits of recovery words, and the proof that one works (docs/recovery.md).

A kit is a secret of 16 bytes under which the vault's key is sealed once more, split into sheets of words; any two of
three, say, open the vault, here or from a backup. Nothing of it is kept but how many sheets there are and which of
them were ever tried. Only a sheet that was typed back counts: a kit that nobody tried is a hope.

Making a kit destroys nothing: the one before it goes on working until the new one is proven.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, select

from cordee import shares
from cordee.errors import N_, CannotOpen, Conflict, NotFound
from cordee.shares import Sheet
from node import files, journal
from node.case_sealing import unwrap
from node.joining import DATABASE
from node.secrets import delete_secret, get_secret, put_secret, secret_names
from node.store import table_of
from node.store.migrations import node_database
from node.store.records import CaseKeyRow
from node.vault import FILE, Vault
from node.vault_file import VaultFile

__all__ = ["ENOUGH", "SHEET_WORDS", "Proof", "Standing", "make_kit", "note_proof", "rehearse", "standing"]

ENOUGH: Final = 2
"""People: while fewer can bring the node back, it is not set up."""
SHEET_WORDS: Final = shares.words_of(16)

_SECRET_BYTES = 16
_CANARY = "recovery.canary"
_KIT = "recovery.kit."
_KEY = table_of(CaseKeyRow)
_PROOF_LASTS = timedelta(days=366)


@dataclass(frozen=True)
class Proof:
    """That sheets of a kit open the vault, and through it a record and the keys of all cases."""

    kit: str
    sheets: tuple[int, ...]
    at: datetime
    cases: int
    people: int = 0  # who can bring the node back with this kit, now


@dataclass(frozen=True)
class Standing:
    """How many people can bring the node back, together, and when that was last proven."""

    kit: str = ""
    made_at: datetime | None = None
    needed: int = 0
    count: int = 0
    tried: tuple[int, ...] = ()
    proven_at: datetime | None = None
    cases: int = 0  # whose keys the last proof opened

    @property
    def people(self) -> int:
        """Holders of sheets that were tried; none while those are fewer than are needed."""
        return len(self.tried) if self.needed and len(self.tried) >= self.needed else 0

    @property
    def set_up(self) -> bool:
        """Two people can bring the node back."""
        return self.people >= ENOUGH

    def is_due(self, now: datetime) -> bool:
        """It is a year since a kit was proven, or none ever was: time to try it."""
        return self.proven_at is None or now >= self.proven_at + _PROOF_LASTS


@dataclass(frozen=True)
class _Kit:
    """What is kept of a kit, sealed by the vault. Nothing of its words."""

    kit: str
    made_at: datetime
    needed: int
    count: int
    tried: tuple[int, ...] = ()
    proven_at: datetime | None = None
    cases: int = 0

    @classmethod
    def parse(cls, kit: str, data: bytes) -> _Kit:
        plain = json.loads(data)
        proven = plain["proven_at"]
        return cls(
            kit=kit,
            made_at=datetime.fromisoformat(plain["made_at"]),
            needed=plain["needed"],
            count=plain["count"],
            tried=tuple(plain["tried"]),
            proven_at=datetime.fromisoformat(proven) if proven else None,
            cases=plain["cases"],
        )

    def to_bytes(self) -> bytes:
        plain = {
            "made_at": self.made_at.isoformat(),
            "needed": self.needed,
            "count": self.count,
            "tried": self.tried,
            "proven_at": self.proven_at.isoformat() if self.proven_at else None,
            "cases": self.cases,
        }
        return json.dumps(plain).encode()


def make_kit(
    data_dir: Path, *, passphrase: bytes, needed: int, count: int, now: datetime, random: Callable[[int], bytes]
) -> list[Sheet]:
    """A new kit for the vault in `data_dir`: its sheets, tried out in memory already, and nowhere else afterwards.

    Raises: InvalidInput for impossible numbers; NotFound, VaultLocked.
    """
    file = VaultFile.read(data_dir / FILE)
    if not (data_dir / DATABASE).exists():
        raise NotFound(what=N_("node"))
    key = file.unlock(passphrase)
    secret = random(_SECRET_BYTES)
    sheets = _split(secret, file, needed=needed, count=count)
    kit = sheets[0].kit
    changed = file.with_kit(key, kit, secret, random=random)
    for chosen in itertools.combinations(sheets, needed):
        if shares.combine(chosen) != secret:  # before anything is printed or changed
            raise CannotOpen(what=N_("the recovery kit"))
    recovered = Vault(VaultFile.parse(changed.to_bytes()).unlock_with_kit(kit, secret))
    files.replace(data_dir / FILE, changed.to_bytes())

    def keep(tx: Connection) -> None:
        if get_secret(tx, recovered, _CANARY) is None:
            put_secret(tx, recovered, _CANARY, random(32))
        put_secret(tx, recovered, _KIT + kit, _Kit(kit, now, needed, count).to_bytes())
        facts = {"kit": kit, "needed": str(needed), "sheets": str(count)}
        journal.append(tx, now=now, actor="node", action="recovery.kit_made", subject="", facts=facts)

    with node_database(data_dir / DATABASE) as db:
        db.write_sync(keep)
    return sheets


def rehearse(data_dir: Path, sheets: Sequence[Sheet], *, now: datetime) -> Proof:
    """Prove that these sheets open the vault in `data_dir`: with the key that they give, and no other, the canary and
    the key of every case are opened. The proof is kept and journalled; nothing of the kit is used up.

    With the first proof of a kit those before it stop working here (they still open backups of their own time).

    Raises: SheetRefused, KitUnknown; CannotOpen where the key opens not all there is.
    """
    secret = shares.combine(sheets)
    file = VaultFile.read(data_dir / FILE)
    kit = sheets[0].kit
    vault = Vault(file.unlock_with_kit(kit, secret))
    numbers = tuple(sorted(each.number for each in sheets))
    with node_database(data_dir / DATABASE) as db:
        proof = db.write_sync(lambda tx: note_proof(tx, vault, kit, numbers, now=now))
        only = file.with_only(kit)
        if proof.people >= ENOUGH and only != file:
            files.replace(data_dir / FILE, only.to_bytes())
            kept = {name for name, _ in only.kits}
            db.write_sync(lambda tx: _forget(tx, kept))
    return proof


def note_proof(tx: Connection, vault: Vault, kit: str, numbers: tuple[int, ...], *, now: datetime) -> Proof:
    """Open the canary and every case's key with a vault that came from sheets, and keep that this worked.

    Raises: CannotOpen where one of them does not open: the node then is not what the kit was made for.
    """
    if get_secret(tx, vault, _CANARY) is None:
        raise CannotOpen(what=N_("the record that proves a recovery"))
    cases = 0
    for row in tx.execute(select(_KEY.c.case_id, _KEY.c.sealed_key).execution_options(yield_per=1000)):
        unwrap(vault, row.case_id, row.sealed_key)
        cases += 1
    raw = get_secret(tx, vault, _KIT + kit)
    known = _Kit.parse(kit, raw) if raw else _Kit(kit, now, len(numbers), len(numbers))
    tried = tuple(sorted({*known.tried, *numbers}))
    known = replace(known, tried=tried, proven_at=now, cases=cases)
    put_secret(tx, vault, _KIT + kit, known.to_bytes())
    facts = {"kit": kit, "sheets": ",".join(map(str, numbers)), "cases": str(cases)}
    journal.append(tx, now=now, actor="node", action="recovery.proven", subject="", facts=facts)
    people = standing_of(known.to_bytes(), kit).people
    return Proof(kit=kit, sheets=numbers, at=now, cases=cases, people=people)


def standing(tx: Connection, vault: Vault) -> Standing:
    """How it stands now: of the kit by which most people can bring the node back, else of the newest."""
    found = [
        standing_of(get_secret(tx, vault, name), name.removeprefix(_KIT)) for name in secret_names(tx, prefix=_KIT)
    ]
    newest = sorted(found, key=lambda each: each.made_at.isoformat() if each.made_at else "")
    return max(reversed(newest), key=lambda each: each.people, default=Standing())


def standing_of(raw: bytes | None, kit: str) -> Standing:
    """The standing of one kit, from what is kept of it."""
    if raw is None:
        return Standing()
    known = _Kit.parse(kit, raw)
    return Standing(
        kit=kit,
        made_at=known.made_at,
        needed=known.needed,
        count=known.count,
        tried=known.tried,
        proven_at=known.proven_at,
        cases=known.cases,
    )


def _split(secret: bytes, file: VaultFile, *, needed: int, count: int) -> list[Sheet]:
    """Under a number that no kit of this vault has. It has 15 bits, so this is over soon."""
    taken = {name for name, _ in file.kits}
    for _ in range(20):
        sheets = shares.split(secret, needed=needed, count=count)
        if sheets[0].kit not in taken:
            return sheets
    raise Conflict()


def _forget(tx: Connection, kept: set[str]) -> None:
    for name in secret_names(tx, prefix=_KIT):
        if name.removeprefix(_KIT) not in kept:
            delete_secret(tx, name)
