"""Recovery sheets of an administrator's key: the key itself, split into words, so that paper alone brings it back.

Unlike a node there is nothing else to bring back: no backup is needed, and so a sheet has 59 words and not 20. What is
kept beside the key's file is only how many sheets there are, and which were tried when.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from cordee import shares
from cordee.errors import N_, InvalidRecord, KitUnknown
from cordee.shares import Sheet
from cordee.signing import SigningKey
from directory import files
from directory.administrator import keyfile

__all__ = ["SHEET_WORDS", "Standing", "make_kit", "rehearse", "restore", "standing"]

_SEED_BYTES: Final = 64
SHEET_WORDS: Final = shares.words_of(_SEED_BYTES)
_FORMAT = "cordee administrator kit 1"


@dataclass(frozen=True)
class Standing:
    """How many people can bring the key back, together, and when that was last proven."""

    kit: str
    made_at: str
    needed: int
    sheets: int
    tried: tuple[int, ...] = ()
    proven_at: str | None = None

    @property
    def people(self) -> int:
        """Holders of sheets that were tried; none while those are fewer than are needed."""
        return len(self.tried) if len(self.tried) >= self.needed else 0


def make_kit(path: Path, passphrase: bytes, *, needed: int, count: int, now: datetime) -> list[Sheet]:
    """The sheets of the key in the file `path`, tried out in memory already.

    Raises: KeyLocked, InvalidRecord, InvalidInput.
    """
    key = keyfile.open_key(path, passphrase)
    sheets = shares.split(key.seed, needed=needed, count=count)
    if _brought_back(sheets[-needed:]).public != key.public:
        raise InvalidRecord(path=path.name, problem=N_("its sheets would not bring it back"))
    _keep(path, Standing(sheets[0].kit, now.isoformat(timespec="seconds"), needed, count))
    return sheets


def rehearse(path: Path, sheets: Sequence[Sheet], *, now: datetime) -> Standing:
    """Prove that these sheets bring back the key whose public half is in the file `path`; kept beside it.

    Raises: SheetRefused; KitUnknown where they are another key's.
    """
    key, public = _brought_back(sheets), keyfile.load_public(path)
    if key.public != public:
        raise KitUnknown(kit=sheets[0].kit)
    known = standing(path)
    if known is None or known.kit != sheets[0].kit:
        known = Standing(sheets[0].kit, now.isoformat(timespec="seconds"), sheets[0].needed, len(sheets))
    tried = tuple(sorted({*known.tried, *(each.number for each in sheets)}))
    proven = replace(known, tried=tried, proven_at=now.isoformat(timespec="seconds"))
    _keep(path, proven)
    return proven


def restore(path: Path, sheets: Sequence[Sheet], passphrase: bytes, *, random: Callable[[int], bytes]) -> SigningKey:
    """The key that these sheets hold, in a new file `path` under a new passphrase.

    Raises: SheetRefused, AlreadyExists, InvalidInput.
    """
    key = _brought_back(sheets)
    keyfile.write(path, key, passphrase, random=random)
    return key


def standing(path: Path) -> Standing | None:
    """What is kept of the kit of a key's file; None where there is none. Raises: InvalidRecord."""
    place = _place(path)
    if not place.exists():
        return None
    try:
        plain = json.loads(files.read_whole(place))
        if plain.pop("format") != _FORMAT:
            raise ValueError("another format")
        return Standing(**plain | {"tried": tuple(int(each) for each in plain["tried"])})
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidRecord(path=place.name, problem=N_("it is damaged")) from error


def _brought_back(sheets: Sequence[Sheet]) -> SigningKey:
    seed = shares.combine(sheets)
    if len(seed) != _SEED_BYTES:
        raise KitUnknown(kit=sheets[0].kit)
    return SigningKey.from_seed(seed)


def _keep(path: Path, known: Standing) -> None:
    files.replace(_place(path), json.dumps({"format": _FORMAT} | asdict(known), indent=1).encode())


def _place(path: Path) -> Path:
    return path.with_name(path.name + ".kit")
