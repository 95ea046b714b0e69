"""What the guides and the page of pictures show is there, and what they call a button is called so on the pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

ROOT = Path(__file__).resolve().parents[2]
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PICTURES = sorted((ROOT / "docs" / "pictures").glob("*.png"))
GUIDES = [ROOT / "docs" / "fr" / name for name in ("guide-intervenant.md", "s-exercer.md")]
_LARGEST = 150_000  # bytes of one picture: whoever clones the repository gets every version of it

_LINK = re.compile(r"\]\(([^)#\s]+)")
_NAMED = re.compile(r"«([^«»]+)»")
_FACT = re.compile(r"\{\w+\}")
_LETTERS = 2  # beside its facts: what has fewer would stand for anything
_SPACES = re.compile(r"\s+")


def linked() -> set[Path]:
    """The files that a document shows or links to."""
    return {
        (page.parent / link).resolve()
        for page in DOCS
        for link in _LINK.findall(page.read_text(encoding="utf-8"))
        if "://" not in link
    }


def plain(told: str) -> str:
    """Without what a printer adds: each kind of space is one, each apostrophe too."""
    return _SPACES.sub(" ", told).strip().replace("’", "'")


@pytest.fixture(scope="module")
def catalogue() -> re.Pattern[str]:
    """Every French text of the pages; a fact in it may be anything."""
    with (ROOT / "cordee/locale/fr/LC_MESSAGES/cordee.po").open("rb") as file:
        entries = read_po(file)
    texts = {str(each.string) for each in entries if each.id and isinstance(each.string, str)}
    texts |= {named for each in texts for named in _NAMED.findall(each)}
    words = {plain(each) for each in texts if sum(map(str.isalpha, _FACT.sub("", each))) >= _LETTERS}
    return re.compile(
        "|".join(_FACT.sub(".+", re.escape(each).replace(r"\{", "{").replace(r"\}", "}")) for each in words)
    )


@pytest.mark.parametrize("picture", PICTURES, ids=lambda each: each.name)
def test_every_picture_is_shown_by_a_document(picture: Path) -> None:
    assert picture in linked()


@pytest.mark.parametrize("picture", PICTURES, ids=lambda each: each.name)
def test_no_picture_is_heavy(picture: Path) -> None:
    assert picture.stat().st_size <= _LARGEST


def test_each_picture_is_there_for_a_telephone_and_for_a_desk() -> None:
    names: dict[str, set[str]] = {}
    for each in PICTURES:
        name, _, width = each.stem.rpartition("-")
        names.setdefault(name, set()).add(width)
    assert {name for name, widths in names.items() if widths != {"320", "1280"}} == set()
    assert len(names) > 30


@pytest.mark.parametrize("guide", GUIDES, ids=lambda each: each.name)
def test_what_a_guide_names_is_called_so_on_the_pages(guide: Path, catalogue: re.Pattern[str]) -> None:
    named = {plain(each) for each in _NAMED.findall(guide.read_text(encoding="utf-8"))}
    assert named
    assert {each for each in named if not catalogue.fullmatch(each)} == set()


@pytest.mark.parametrize("guide", sorted((ROOT / "docs" / "fr").glob("*.md")), ids=lambda each: each.name)
def test_a_guide_s_own_links_lead_to_a_heading(guide: Path) -> None:
    told = guide.read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^\w\- ]", "", each.lower()).strip().replace(" ", "-")
        for each in re.findall(r"^#+ (.+)$", told, re.MULTILINE)
    }
    assert {each for each in re.findall(r"\]\(#([^)]+)\)", told) if each not in headings} == set()


@pytest.mark.parametrize("guide", sorted((ROOT / "docs" / "fr").glob("*.md")), ids=lambda each: each.name)
def test_no_guide_says_consent_where_it_is_an_agreement_to_share(guide: Path) -> None:
    assert "consentement" not in guide.read_text(encoding="utf-8").lower()
