"""Every parser that bytes from outside reach, over its corpus and over everything that fuzzing ever found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

HERE = Path(__file__).parent
FOUND = sorted((HERE / "found").glob("*/*"))


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_good_is_taken(name: str) -> None:
    seeds = TARGETS[name].seeds()
    taken = {each: TARGETS[name].take(data) for each, data in seeds.items()}
    assert {each for each in taken if taken[each]} == {each for each in taken if each.startswith("good")}


@pytest.mark.parametrize("name", [name for name, target in TARGETS.items() if target.kept])
def test_the_corpus_is_taken_for_good_or_refused(name: str) -> None:
    files = sorted((HERE / "corpus" / name).iterdir())
    assert files, "python -m tests.fuzz.seeds writes it"
    for each in files:
        TARGETS[name].take(each.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_no_prefix_of_a_seed_is_more_than_refused(name: str) -> None:
    for data in TARGETS[name].seeds().values():
        for length in {*range(min(len(data), 24)), *range(0, len(data), 1 + len(data) // 40)}:
            TARGETS[name].take(data[:length])


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_fuzzing_found_is_found_no_more(path: Path) -> None:
    TARGETS[path.parent.name].take(path.read_bytes())


def test_every_find_has_a_target() -> None:
    assert {path.parent.name for path in FOUND} <= set(TARGETS)
