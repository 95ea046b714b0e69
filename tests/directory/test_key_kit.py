"""An administrator's key on paper: enough sheets bring it back, one alone nothing, and a rehearsal uses nothing up."""

from __future__ import annotations

import itertools
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cordee.errors import AlreadyExists, InvalidInput, KeyLocked, KitUnknown, SheetRefused, WordsRefused
from cordee.shares import Sheet, read_sheet, split
from directory.administrator import key_kit, keyfile
from directory.administrator.key_kit import SHEET_WORDS

CHEAP = {"rounds": 1, "memory": 8192}
NOW = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)
OLD, NEW = b"twelve or more", b"quite another one"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    keyfile.create(tmp_path / "anne.key", OLD, random=os.urandom, **CHEAP)
    return tmp_path / "anne.key"


def kit_of(path: Path) -> list[Sheet]:
    return key_kit.make_kit(path, OLD, needed=2, count=3, now=NOW)


@pytest.mark.parametrize("chosen", list(itertools.combinations(range(3), 2)))
def test_any_two_sheets_bring_the_key_back_without_any_file(path: Path, chosen: tuple[int, int]) -> None:
    kit, before = kit_of(path), keyfile.open_key(path, OLD)
    path.unlink()
    keyfile.public_path(path).unlink()
    made = key_kit.restore(path, [kit[each] for each in chosen], NEW, random=os.urandom)
    assert made.public == before.public
    assert keyfile.open_key(path, NEW).seed == before.seed
    with pytest.raises(KeyLocked):
        keyfile.open_key(path, OLD)


def test_one_sheet_alone_brings_back_nothing(path: Path, tmp_path: Path) -> None:
    for sheet in kit_of(path):
        with pytest.raises(SheetRefused, match="missing"):
            key_kit.restore(tmp_path / "new", [sheet], NEW, random=os.urandom)
    assert not (tmp_path / "new").exists()


def test_a_key_that_is_there_is_never_written_over(path: Path) -> None:
    kit, before = kit_of(path), path.read_bytes()
    with pytest.raises(AlreadyExists):
        key_kit.restore(path, kit[:2], NEW, random=os.urandom)
    assert path.read_bytes() == before


def test_a_short_passphrase_is_refused_for_a_key_that_comes_back(path: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        key_kit.restore(tmp_path / "new", kit_of(path)[:2], b"short", random=os.urandom)


def test_a_rehearsal_counts_the_sheets_that_were_tried_and_changes_no_key(path: Path) -> None:
    kit, before = kit_of(path), path.read_bytes()
    made = key_kit.standing(path)
    assert made is not None
    assert (made.people, made.tried) == (0, ())
    assert key_kit.rehearse(path, [kit[2], kit[0]], now=NOW + timedelta(days=1)).people == 2
    assert key_kit.rehearse(path, kit[:2], now=NOW + timedelta(days=2)).tried == (1, 2, 3)
    assert path.read_bytes() == before


def test_another_keys_sheets_prove_nothing(path: Path, tmp_path: Path) -> None:
    keyfile.create(tmp_path / "bruno.key", OLD, random=os.urandom, **CHEAP)
    strangers = key_kit.make_kit(tmp_path / "bruno.key", OLD, needed=2, count=3, now=NOW)
    with pytest.raises(KitUnknown):
        key_kit.rehearse(path, strangers[:2], now=NOW)
    with pytest.raises(KitUnknown):
        key_kit.rehearse(path, split(bytes(16), needed=2, count=2), now=NOW)


def test_a_wrong_word_says_which(path: Path) -> None:
    words = list(kit_of(path)[1].words)
    words[40] = "academic" if words[40] != "academic" else "acid"
    with pytest.raises(WordsRefused) as refused:
        read_sheet(words, sheet=2, length=SHEET_WORDS)
    assert (refused.value.facts["sheet"], refused.value.facts["word"]) == ("2", "41")


def test_nothing_of_the_words_lies_beside_the_key(path: Path) -> None:
    kit = kit_of(path)
    key_kit.rehearse(path, kit[:2], now=NOW)
    kept = b"".join(each.read_bytes() for each in path.parent.iterdir())
    assert keyfile.open_key(path, OLD).seed not in kept
    assert not any(" ".join(each.words[5:8]).encode() in kept for each in kit)
