"""Every text that people see is there in French, and soundly so; the check that says it can also say no."""

from __future__ import annotations

import ast
import importlib.util
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from babel.messages.catalog import Catalog

from cordee import errors
from cordee.runtime import texts

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


TEXTS = {"problem", "missing", "what", "rule", "role", "peer", "item", "before", "statement", "wrong"}
"""The facts that are texts for people; in other facts a text gives itself away by its spaces."""


def raised(source: str) -> Iterator[tuple[int, str, ast.expr]]:
    """Each fact that is given to an error, or to a problem of a record: line, name, and what stands there."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        if name in ("Problem", "Problem.of"):
            for at, value in zip(("path", "problem"), node.args, strict=False):
                yield value.lineno, at, value
        elif name not in ERRORS:
            continue
        for keyword in node.keywords:
            yield keyword.value.lineno, keyword.arg or "", keyword.value


def unmarked(source: str) -> list[str]:
    """The facts of errors that people would read in English in every language."""
    return [
        f"{line}: {name}={ast.unparse(value)}"
        for line, name, value in raised(source)
        for told, deep in constants(value)
        if " " in told.strip(", ") or (name in TEXTS and not deep and len(told) > 1)
    ]


def constants(value: ast.AST, *, deep: bool = False) -> Iterator[tuple[str, bool]]:
    """The texts in an expression that are not marked; `deep` are those inside calls and look-ups, often only keys."""
    if is_mark(value):
        return
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value, deep
    for child in ast.iter_child_nodes(value):
        yield from constants(child, deep=deep or isinstance(value, ast.Call | ast.Subscript))


def is_mark(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "N_"


ERRORS = {each.__name__ for each in errors._REASONS.values()}
SOURCES = sorted(path for folder in ("cordee", "node", "directory") for path in (ROOT / folder).rglob("*.py"))


def test_every_text_among_the_facts_of_an_error_is_marked() -> None:
    found = {path.relative_to(ROOT).as_posix(): unmarked(path.read_text(encoding="utf-8")) for path in SOURCES}
    assert {name: places for name, places in found.items() if places} == {}


@pytest.mark.parametrize(
    "source",
    [
        'raise InvalidInput(field="name", problem="it is empty")',
        'raise InvalidInput(field="name", problem=f"{size} bytes")',
        'raise InvalidInput(field="name", problem=error.strerror or "it cannot be read")',
        'raise InvalidInput(field="name", problem="one of " + names)',
        'raise NotFound(what="case")',
        'raise InvalidRecord(path="the act", problem=N_("it is empty"))',
        'yield Problem(path, "is no day")',
        'yield Problem.of(path, f"longer than {limit}")',
    ],
)
def test_a_text_that_is_not_marked_is_found(source: str) -> None:
    assert unmarked(source)


@pytest.mark.parametrize(
    "source",
    [
        'raise InvalidInput(field="--origin", problem=N_("it has {size} bytes"), size=size)',
        'raise NotCovered(missing=N_("the section {section}"), section="attachments", rule="C")',
        'raise InvalidInput(field="purpose", problem=N_("it must be one of {options}"), options=", ".join(names))',
        'raise InvalidInput(field=path, problem=why(error, N_("it cannot be read")))',
        'yield Problem(f"{section}[{index}].{key}", N_("stands twice"))',
    ],
)
def test_what_is_marked_or_no_text_is_left_alone(source: str) -> None:
    assert unmarked(source) == []


def test_in_french_no_error_ends_in_english() -> None:
    """Each text that an error is raised with is translated, by itself and inside an error."""
    for path in SOURCES:
        for _, _, value in raised(path.read_text(encoding="utf-8")):
            for template in (each.args[0].value for each in ast.walk(value) if is_mark(each)):  # type: ignore[attr-defined]  # a call, by is_mark
                french = texts.text(template, "fr")
                assert french != template or template in SAME, (path, template)
                assert french in texts.translate(errors.JoinRefused(words=template), "fr")[0]
    for kind in errors._REASONS.values():
        assert texts.text(kind.message, "fr") != kind.message, kind
        assert not kind.remedy or texts.text(kind.remedy, "fr") != kind.remedy, kind


SAME = {"invitation", "places", "service"}
"""Texts that are alike in both languages."""


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
