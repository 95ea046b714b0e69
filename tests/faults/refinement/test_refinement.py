"""What the real code does, the model allows; and where one of the two is wrong, it is seen that they differ."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
MISTAKES = (
    # of the table, of the broker, of either half, of a restore: planted in the model, so that the code is right
    "model:a withdrawal makes what was received withdrawn",
    "model:no event is kept with a receipt",
    "model:a withdrawal is not sent",
    "model:the case stays open after its receipt",
    "model:an end keeps the key",
    "model:no tombstone is set",
    "model:a restore ends no transfer",
    # and durable orders of the code, which the model has right
    "code:key-first",
    "code:repeats-refused",
)


def walked(*arguments: str) -> list[dict[str, Any]]:
    """What came of the walks: once for each variant."""
    command = [sys.executable, "-m", "tests.faults.refinement", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert told, done.stderr
    return told


def test_the_code_goes_wherever_the_model_goes() -> None:
    (told,) = walked("--walks", "12")
    assert told["wrong"] == []
    assert told["walks"] == 12
    assert told["steps"] > 12 * 8


@pytest.fixture(scope="module")
def everything() -> dict[str, dict[str, Any]]:
    """More walks, and some again with each mistake until it is seen."""
    variants = [part for each in ("", *MISTAKES) for part in ("--with", each)]
    return {each["variant"]: each for each in walked("--first", "4", "--walks", "42", "--jobs", "2", *variants)}


STEPS = (
    *("sender offers the case", "sender withdraws it", "recipient accepts", "recipient declines"),
    *(rf"sender submits its {kind}.*: taken" for kind in ("offer", "shipment", "withdrawal")),
    *(rf"recipient submits its {kind}.*: taken" for kind in ("acceptance", "refusal", "receipt_taken", "erasure")),
    *(rf"sender hears: {kind}.*" for kind in ("acceptance", "refusal", "receipt_taken", "erasure", "expired")),
    *(rf"recipient hears: {kind}.*" for kind in ("offer", "shipment", "withdrawal", "expired")),
    *("sender signs the shipment", "recipient imports the case and signs the receipt", "recipient sets the tombstone"),
    *("recipient answers the request to erase: done", "recipient returns it unasked"),
    *(".*, and never hears of it", ".*hears, and will hear again: .*", "the .* that was held up reaches the .*: taken"),
    *("the directory writes down that it expired", "the directory erases what waited", "time passes"),
    *("sender takes over what it missed", "recipient takes over what it missed"),
    *("the directory is restored from it", "the directory is restored from it, without ciphertext", ".* [1-4] added"),
)


@pytest.mark.fault
def test_the_code_goes_through_every_kind_of_step_as_the_model_does(everything: dict[str, dict[str, Any]]) -> None:
    told = everything[""]
    assert told["wrong"] == []
    missed = [step for step in STEPS if not any(re.fullmatch(step, words) for words in told["taken"])]
    assert missed == [], "no walk comes there"


@pytest.mark.fault
@pytest.mark.parametrize("mistake", MISTAKES)
def test_where_model_or_code_is_wrong_they_differ(everything: dict[str, dict[str, Any]], mistake: str) -> None:
    wrong = everything[mistake]["wrong"]
    assert wrong, f"nobody sees it in {everything[mistake]['walks']} walks"
    assert all(" in the model" in each["wrong"] for each in wrong)
