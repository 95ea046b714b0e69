"""What the demonstration searches for can have come from a case only."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from node.demo import cases
from node.demo.needles import needles_of, phrases_of

ROOT = Path(__file__).parents[3]
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def records(now: datetime) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    profiles = cases.profiles(now=now)
    made = cases.cases(now=now, owner=profiles["helpline"]["org_id"], random=Random(1).randbytes)
    return made, list(profiles.values())


@pytest.fixture(scope="module")
def needles() -> set[str]:
    made, public = records(NOW)
    return needles_of(made, public, today=NOW.date())


def is_date(needle: str) -> bool:
    return re.fullmatch(r"\d{4}-\d{2}-\d{2}", needle) is not None


def test_there_are_names_telephone_numbers_dates_and_phrases(needles: set[str]) -> None:
    assert {"Gourmelec", "Ben Azfouri", "« La Tata »", "Pénicilline", "+33639980005"} <= needles
    assert "une situation inquiétante" in needles
    assert sum(map(is_date, needles)) > 40
    assert len(needles) > 200


@pytest.mark.parametrize("days", [0, 1, 30, 200, 365, 1000, 4000])
def test_there_are_enough_on_every_day(days: int) -> None:
    now = NOW + timedelta(days=days)
    made, public = records(now)
    assert len(needles_of(made, public, today=now.date())) > 150


def test_none_is_a_piece_of_an_id_or_short(needles: set[str]) -> None:
    made, public = records(NOW)
    told = json.dumps([made, public], ensure_ascii=False)
    ids = "\n".join(re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{16,}\b", told))
    assert ids
    assert [each for each in needles if each.casefold() in ids] == []
    assert [each for each in needles if re.fullmatch(r"[0-9a-f-]+", each) and not is_date(each)] == []
    assert [each for each in needles if len(each) < 5] == []


def test_none_is_a_single_ordinary_word(needles: set[str]) -> None:
    made, _ = records(NOW)
    persons = [person for each in made for person in (each["identity"], *each.get("family", []))]
    names = {person[field] for person in persons for field in ("first_name", "last_name")}
    single = {each for each in needles if re.fullmatch(r"\w+", each)} - names
    assert single == {"Pénicilline"}


def test_none_stands_in_what_a_directory_loads(needles: set[str]) -> None:
    """Sources, lists and catalogues of ours, and every module of others that it has imported when it is ready."""
    program = "import directory.app, sys; [print(getattr(each, '__file__', '')) for each in sys.modules.values()]"
    listed = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    ).stdout.split("\n")
    loaded = {Path(each) for each in listed if each.endswith(".py")}
    own = {path for name in ("cordee", "directory") for path in (ROOT / name).rglob("*") if path.is_file()}
    assert len(loaded) > 200
    found = {}
    for path in {path for path in loaded | own if path.suffix in (".py", ".json", ".mo", ".po")}:
        text = path.read_bytes().decode(errors="ignore")
        if held := [each for each in needles if each in text]:
            found[path] = held
    assert found == {}


def test_what_the_associations_publish_of_themselves_is_not_searched_for() -> None:
    record = {"contact": {"phone": "+33199006822", "instructions": "Demander la Cellule d'accueil du soir."}}
    public = {"phone": "+33199006822", "label": "la cellule d'accueil"}
    today = NOW.date()
    assert "+33199006822" in needles_of([record], [], today=today)
    phrases = {"Demander la Cellule", "Cellule d'accueil du", "d'accueil du soir"}
    assert needles_of([record], [public], today=today) == phrases


def test_dates_around_today_are_not_searched_for() -> None:
    record = {"actions": [{"date": f"{NOW + timedelta(days=each):%Y-%m-%d}"} for each in (-400, -1, 0, 7, 90)]}
    assert needles_of([record], [], today=NOW.date()) == {f"{NOW - timedelta(days=400):%Y-%m-%d}"}


def test_ids_states_and_roles_are_not_searched_for() -> None:
    record = {
        "meta": {"pseudonym": "Iris-02 du matin calme"},
        "person_id": "d47a041a-3761-4ab1-bfa1-6da79e35f982",
        "status": "confirmed_by_someone",
        "by_role": "éducatrice spécialisée de nuit",
        "text": "voir 6938320b-98a6-4550-bcb6-cd633a54d847 et 0135b52f26982ad53af30e5220557397",
    }
    assert needles_of([record], [], today=NOW.date()) == set()


def test_phrases_are_three_words_and_sixteen_characters_as_they_stand() -> None:
    assert phrases_of("Elle a dit : « d’accord, mais pas l’école ».") == {
        "Elle a dit : « d’accord",
        "a dit : « d’accord",
        "dit : « d’accord, mais",
        "d’accord, mais pas",
        "mais pas l’école",
    }
    assert phrases_of("deux mots") == set()
