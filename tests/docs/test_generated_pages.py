"""What tools/ writes into docs/ is what is committed there; pictures can be read and links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import ModuleType

import pytest

from cordee.errors import ExitCode, RosterForked

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def parts() -> ModuleType:
    return tool("draw_parts")


@pytest.fixture(scope="module")
def listing() -> ModuleType:
    return tool("list_reasons")


def test_the_committed_picture_of_the_parts_is_up_to_date(parts: ModuleType) -> None:
    assert (ROOT / "docs/parts.svg").read_text(encoding="utf-8") == parts.svg()


def test_every_part_and_flow_stands_in_the_picture_within_its_frame(parts: ModuleType) -> None:
    root = ElementTree.fromstring(parts.svg())
    texts = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {box.title for box in parts.BOXES} <= texts
    assert {line for arrow in parts.ARROWS for line in arrow.words} <= texts
    for box in parts.BOXES:
        assert 0 <= box.x <= box.x + box.width <= parts.WIDTH
        assert 0 <= box.y <= box.y + box.height <= parts.HEIGHT
        widest = max([len(box.title) * 8.2, *(len(line) * 7.1 for line in box.lines)])  # bold 14, plain 13
        assert widest <= box.width, f"too narrow for its text: {box.title}"


def test_the_committed_page_of_errors_is_up_to_date(listing: ModuleType) -> None:
    assert listing.PAGE.read_text(encoding="utf-8") == listing.markdown()


def test_the_page_of_errors_has_every_reason_once(listing: ModuleType) -> None:
    page = listing.markdown()
    assert len(listing.reasons()) > 50
    for each in listing.reasons():
        assert page.count(f"| `{each.reason}` |") == 1
    integrity = page.split(f"### Exit code {int(ExitCode.INTEGRITY)}")[1]
    assert f"| `{RosterForked.reason}` | {RosterForked.status} |" in integrity


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    for link in links:
        if "://" not in link:
            assert (page.parent / link).exists(), f"{page.name}: {link}"
