"""The committed picture of the transfer table is the one that the table draws now."""

from __future__ import annotations

import importlib.util
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import ModuleType

import pytest

from cordee.transfer import RULES, State

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def drawing() -> ModuleType:
    spec = importlib.util.spec_from_file_location("draw_states", ROOT / "tools" / "draw_states.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


def test_the_committed_picture_and_page_are_up_to_date(drawing: ModuleType) -> None:
    assert (ROOT / "docs/transfer-states.svg").read_text(encoding="utf-8") == drawing.svg()
    assert (ROOT / "docs/transfer-states.md").read_text(encoding="utf-8") == drawing.markdown()


def test_the_picture_shows_every_state_and_every_rule(drawing: ModuleType) -> None:
    root = ElementTree.fromstring(drawing.svg())
    texts = [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {state.name for state in State} <= set(texts)
    words = [rule.statement.value.replace("_", " ") for rule in RULES]
    for word in set(words):
        assert sum(
            text == word or text.startswith((f"{word} (after", f"{word} (not after")) for text in texts
        ) == words.count(word)


def test_a_rule_without_a_place_in_the_picture_stops_the_generator(
    drawing: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(drawing.LINES, (State.SHIPPED, State.REFUSED))
    with pytest.raises(KeyError, match="REFUSED"):
        drawing.svg()
