"""Seeds that are played after each other in one process: what each answers, and what is said of one that breaks it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from . import running


def answering(number: int, _template: Any, _folder: Path, told: Callable[[str], None]) -> dict[str, Any]:
    """In the place of `_outcome`: the third one ends its process."""
    if number == 3:
        os._exit(1)
    return {"seed": number, "wrong": [], "process": os.getpid()}


def test_of_seeds_in_one_process_the_one_that_breaks_it_is_told_and_the_rest_are_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_outcome", answering)
    outcomes = list(running._played([1, 2, 3, 4, 5], None, tmp_path, lambda _: None))
    assert [each["seed"] for each in outcomes] == [1, 2, 3, 4, 5]
    assert [bool(each["wrong"]) for each in outcomes] == [False, False, True, False, False]
    processes = [each["process"] for each in outcomes if not each["wrong"]]
    assert processes[0] == processes[1] != processes[2] == processes[3]


@pytest.mark.parametrize(("wrong", "told"), [([{}], "lost"), ([], "lost (not when it is played alone)")])
def test_what_is_wrong_after_others_only_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: list[Any], told: str
) -> None:
    monkeypatch.setattr(running, "_outcome", lambda number, *_: {"seed": number, "wrong": wrong})
    outcome = {"seed": 7, "wrong": [{"kind": "lost", "what": "lost"}]}
    running._again_alone(outcome, None, tmp_path)
    assert outcome["wrong"] == [{"kind": "lost", "what": told}]
