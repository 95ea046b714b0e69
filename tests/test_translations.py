"""Every text that people see is there in French, and soundly so; the check that says it can also say no."""

from __future__ import annotations

import importlib.util
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from babel.messages.catalog import Catalog

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def check() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("check_translations", ROOT / "tools" / "check_translations.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # babel.cfg names the extractor in it
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def of(entries: dict[str, str], **options: object) -> Catalog:
    catalog = Catalog(locale="fr", fuzzy=False)
    for text, translated in entries.items():
        catalog.add(text, translated, **options)
    return catalog


def test_every_marked_text_is_translated_soundly(check: ModuleType) -> None:
    template = check.extracted()
    found = list(check.catalogues())
    assert [language for language, _ in found] == ["fr"]
    for language, path in found:
        assert check.problems_of(check.read_catalogue(path, language), template, language) == []


def test_the_committed_catalogue_is_in_the_form_that_update_writes(check: ModuleType, tmp_path: Path) -> None:
    for language, path in check.catalogues():
        again = tmp_path / "cordee.po"
        check.write_catalogue(again, check.updated(check.read_catalogue(path, language), check.extracted()))
        assert again.read_text(encoding="utf-8") == path.read_text(encoding="utf-8")


def test_marks_are_found_in_classes_tables_and_f_strings(check: ModuleType) -> None:
    source = 'class A:\n    x = N_("in a class")\nT = {1: N_("in " "a table")}\nf"{text(N_(\'in an f-string\'))}"\n'
    source += 'self._("by a method")\nngettext("one", "many", n)\n_(variable)\n'
    found = [texts for _, _, texts, _ in check.marked(io.BytesIO(source.encode()), check.MARKS.keys(), (), {})]
    assert sorted(found) == [
        ("by a method",),
        ("in a class",),
        ("in a table",),
        ("in an f-string",),
        ("one", "many"),
    ]


def test_the_texts_of_errors_are_among_those_found(check: ModuleType) -> None:
    from cordee.errors import InvalidInput, RosterForked

    found = {message.id for message in check.extracted()}
    assert {InvalidInput.message, RosterForked.message, RosterForked.remedy} <= found


@pytest.mark.parametrize(
    ("translated", "problem"),
    [
        ("", "untranslated"),
        ("La règle {regle} manque.", "other placeholders"),
        ("La règle manque.", "other placeholders"),
        ("{rule}\u00a0: l'accord", "apostrophe"),
        ("{rule} : manque", "ordinary space"),
        ("{rule}: manque", "no space before"),
        ("le consentement {rule}", "not our word"),
        ("« {rule} »", "ordinary space"),
        ("“{rule}”", "quotation marks"),
        ("  Règle {rule}.", "spaces around"),
    ],
)
def test_an_unsound_translation_is_told(check: ModuleType, translated: str, problem: str) -> None:
    problems = check.problems_of(of({"Rule {rule}.": translated}), of({"Rule {rule}.": ""}), "fr")
    assert any(problem in each for each in problems)


def test_missing_obsolete_and_fuzzy_entries_are_told(check: ModuleType) -> None:
    problems = check.problems_of(of({"old": "vieux"}), of({"new": ""}), "fr")
    assert sorted(problems) == ["missing: new", "obsolete: old"]
    assert check.problems_of(of({"new": "nouveau"}, flags=["fuzzy"]), of({"new": ""}), "fr") == ["fuzzy: new"]


@pytest.mark.parametrize(
    ("text", "translated"), [("This passphrase.", "Ce mot de passe."), ("The six words.", "Les mots de la clé.")]
)
def test_each_secret_has_one_word(check: ModuleType, text: str, translated: str) -> None:
    problems = check.problems_of(of({text: translated}), of({text: ""}), "fr")
    assert any("is always" in problem for problem in problems)


def test_an_update_keeps_translations_and_drops_what_is_gone(check: ModuleType) -> None:
    catalog = check.updated(of({"kept": "gardé", "old": "vieux"}), of({"kept": "", "new": ""}))
    assert {message.id: message.string for message in catalog if message.id} == {"kept": "gardé", "new": ""}
