"""The association's teams, the cases that nobody may open, what the others read of it, messages by e-mail, practice."""

from __future__ import annotations

import re
from functools import partial
from html import unescape
from typing import Any

from tests.web.gallery import Ask, Scene, State
from tests.web.states import making
from tests.web.states.casework import with_status
from tests.web.states.making import ADMINISTRATOR

_NOBODY = "00000000-0000-4000-8000-000000000000"
_EVENING = "Équipe de nuit"


# ---- teams ----


def _teams(scene: Scene) -> Ask:
    """Some, and cases that wait for somebody."""
    _evening(scene)
    _left_alone(scene)
    return Ask("/teams", who=ADMINISTRATOR)


def _evening(scene: Scene) -> str:
    return making.team(scene, _EVENING, "Hélène", "Léa")


def _named(scene: Scene, name: str, status: int = 422) -> Ask:
    _evening(scene)
    return with_status(scene.filled("/teams", "/teams/new", who=ADMINISTRATOR, name=name), status)


def _added(scene: Scene) -> Ask:
    number = len(re.findall(r'href="/teams/', scene.page("/teams", who=ADMINISTRATOR)))
    return _named(scene, f"Équipe {number}", 200)


def _team(scene: Scene, query: str = "") -> Ask:
    return Ask(f"{_evening(scene)}{query}", who=ADMINISTRATOR)


def _without_anybody(scene: Scene) -> Ask:
    return Ask(making.team(scene, "Équipe sans personne"), who=ADMINISTRATOR)


def _changed(scene: Scene, *, status: int = 422, **data: Any) -> Ask:
    return Ask(f"{_evening(scene)}/change", data, who=ADMINISTRATOR, status=status)


def _with_somebody_gone(scene: Scene) -> Ask:
    def make() -> str:
        name = scene.town.newcomer()
        address = making.team(scene, "Équipe du matin", name)
        _close(scene, name)
        return address

    return Ask(scene.once("team of somebody who left", make), who=ADMINISTRATOR)


# ---- cases that nobody may open ----


def _close(scene: Scene, name: str, heir: str = "later") -> None:
    asked = Ask(f"{making.person(scene, name)}/change", {"do": "disabled", "heir": heir}, who=ADMINISTRATOR)
    assert scene.answer(asked, "fr").status_code == 200


def _left_alone(scene: Scene) -> None:
    """Two cases whose only people have left."""

    def make() -> None:
        for pseudonym in ("Anémone", "Bleuet"):
            _close(scene, making.alone_with_a_case(scene, pseudonym))

    scene.once("cases left alone", make)


def _orphans(scene: Scene) -> Ask:
    _left_alone(scene)
    _evening(scene)
    return Ask("/orphans", who=ADMINISTRATOR)


def _given(scene: Scene, **typed: Any) -> Ask:
    _orphans(scene)
    return with_status(scene.filled("/orphans", who=ADMINISTRATOR, **typed), 422)


def _given_to_a_team(scene: Scene) -> Ask:
    """A case of its own, so that the others stay."""
    _orphans(scene)
    known = set(_boxes(scene))
    _close(scene, making.alone_with_a_case(scene, "Coquelicot"))
    fresh = [each for each in _boxes(scene) if each not in known]
    team = _evening(scene).rpartition("/")[2]
    return with_status(scene.filled("/orphans", who=ADMINISTRATOR, cases=fresh, heir=f"team:{team}"), 200)


def _boxes(scene: Scene) -> list[str]:
    return re.findall(r'name="cases" value="([^"]+)"', scene.page("/orphans", who=ADMINISTRATOR))


def _last_one(scene: Scene) -> str:
    name: str = scene.once("the only one with a case", lambda: making.alone_with_a_case(scene, "Digitale"))
    return name


def _leaving(scene: Scene) -> Ask:
    """Whoever closes the account says who has the cases from then on."""
    _evening(scene)
    return Ask(making.person(scene, _last_one(scene)), who=ADMINISTRATOR)


def _leaving_to_nobody(scene: Scene) -> Ask:
    data = {"do": "disabled", "heir": ""}
    return Ask(f"{making.person(scene, _last_one(scene))}/change", data, who=ADMINISTRATOR, status=422)


def _in_a_team(scene: Scene) -> Ask:
    _evening(scene)
    return Ask(making.person(scene, "Hélène"), who=ADMINISTRATOR)


# ---- what the others read ----


def _previewed(scene: Scene, status: int = 200, **typed: Any) -> Ask:
    return with_status(scene.filled("/profile/edit", who=ADMINISTRATOR, **typed), status)


def _profile_draft(scene: Scene, taken: bool = False) -> Ask:
    form = scene.form("/profile/edit", who=ADMINISTRATOR).put("display_name", "À moitié écrit")
    data: dict[str, list[str]] = {}
    for name, value in form.fields:
        data.setdefault(name, []).append(value)
    scene.client(ADMINISTRATOR).post("/draft", data=data)
    return Ask(f"/profile/edit{'?draft=1' if taken else ''}", who=ADMINISTRATOR)


def _from_the_preview(scene: Scene, do: str, *, status: int = 200, base: str = "", **typed: Any) -> Ask:
    """What comes of the buttons below what the others will see."""
    shown = scene.answer(_previewed(scene, **typed), "fr").text
    carried = {name: re.search(rf'name="{name}" value="([^"]*)"', shown) for name in ("document", "base")}
    data = {name: unescape(found[1]) for name, found in carried.items() if found is not None}
    if base:
        data["base"] = base
    return Ask("/profile/publish", {**data, "do": do}, who=ADMINISTRATOR, status=status)


def _published(scene: Scene) -> Ask:
    hours = scene.form("/profile/edit", who=ADMINISTRATOR).value("services.0.opening_hours")
    other = "Mo-Fr 09:00-17:00" if hours != "Mo-Fr 09:00-17:00" else "Mo-Su 00:00-24:00"
    return _from_the_preview(scene, "publish", services__0__opening_hours=other)


# ---- messages by e-mail ----


def _notices(scene: Scene, *, status: int = 200, typed: dict[str, str] | None = None) -> Ask:
    """At the house that has a mail server."""
    house = making.bare(scene)
    if typed is None:
        return Ask("/notices", house=house, status=status)
    form = scene.form("/notices", house=house)
    for name, value in typed.items():
        form.put(name, value)
    return Ask(form.action, dict(form.fields), house=house, status=status)


def _told(scene: Scene) -> Ask:
    return _notices(scene, typed={"wanted": "on", "address": "accueil@lille.example"})


def _told_no_more(scene: Scene) -> Ask:
    return Ask("/notices", {"address": ""}, house=making.bare(scene))


def _tested(scene: Scene) -> Ask:
    """The server is away; whoever tries again at once is asked to wait."""
    scene.answer(_told(scene), "fr")
    return with_status(scene.filled("/notices", "/notices/test", house=making.bare(scene)), 422)


def _tested_without_an_address(scene: Scene) -> Ask:
    return Ask("/notices/test", {}, house=making.bare(scene), status=422)


STATES: dict[str, tuple[State, ...]] = {
    "teams": (
        State("none", lambda scene: Ask("/teams", house=making.bare(scene))),
        State("some, and cases left alone", _teams),
        State("as a lead sees them", lambda scene: Ask("/teams", who="Léa")),
        State("one was dissolved", lambda scene: Ask("/teams?done=dissolved", who=ADMINISTRATOR)),
    ),
    "team_new": (
        State("without a name", partial(_named, name="")),
        State("of that name already", partial(_named, name=_EVENING)),
        State("added", _added, anew=True),
    ),
    "team": (
        State("with people", _team),
        State("as a lead sees it", lambda scene: Ask(_evening(scene), who="Léa")),
        State("without anybody", _without_anybody),
        State("with somebody who left", _with_somebody_gone),
        State("one that is not there", lambda scene: Ask(f"/teams/{_NOBODY}", who=ADMINISTRATOR, status=404)),
    ),
    "team_change": (
        State("another name, of another team", partial(_changed, do="renamed", name="")),
        State("dissolved with people in it", partial(_changed, do="dissolved")),
        State("renamed", partial(_changed, do="renamed", name=_EVENING, status=200)),
    ),
    "orphans": (
        State("none", lambda scene: Ask("/orphans", house=making.bare(scene))),
        State("some", _orphans),
        State("given to nobody", partial(_given, heir="")),
        State("none chosen", partial(_given, cases=[], heir=f"account:{_NOBODY}")),
        State("given to a team", _given_to_a_team, anew=True),
    ),
    "profile": (
        State("of a helpline", lambda scene: Ask("/profile", who=ADMINISTRATOR)),
        State("of a shelter", lambda scene: Ask("/profile", house="marseille")),
    ),
    "profile_edit": (
        State("the form", lambda scene: Ask("/profile/edit", who=ADMINISTRATOR)),
        State("with a draft that waits", _profile_draft),
        State("with the draft taken up", partial(_profile_draft, taken=True)),
        State(
            "errors in fields",
            partial(_previewed, status=422, display_name="", services__0__age_max="vingt", siret="123"),
        ),
        State("errors in a new service", partial(_previewed, status=422, services__new__name="Un lieu")),
        State("previewed, nothing new", _previewed),
        State("previewed, with what is new", partial(_previewed, services__0__opening_hours="Mo-Fr 08:00-12:00")),
        State("with the number of somebody else", partial(_previewed, status=422, siret="12345678901234")),
        State("previewed, with a number that looks wrong", partial(_previewed, rna="W1")),
    ),
    "profile_publish": (
        State("go on changing", partial(_from_the_preview, do="edit", services__0__intake_note="Le soir")),
        State(
            "published by somebody else meanwhile",
            partial(_from_the_preview, do="publish", status=409, base="0" * 32, services__0__intake_note="Le soir"),
        ),
        State("nothing new", partial(_from_the_preview, do="publish", status=409)),
        State("published", _published, anew=True),
    ),
    "notices": (
        State("no mail server", lambda scene: Ask("/notices")),
        State("not wanted", _notices),
        State("no address", partial(_notices, status=422, typed={"wanted": "on", "address": "nowhere"})),
        State("kept", _told),
        State("forgotten", _told_no_more),
        State("the test has left", lambda scene: Ask("/notices?done=test", house=making.bare(scene))),
    ),
    "notices_test": (
        State("without an address", _tested_without_an_address),
        State("the server is away", _tested),
    ),
    "practice": (
        State("where it is to be started", lambda scene: Ask("/practice")),
        State("where it is kept running", lambda scene: Ask("/practice", house=making.bare(scene))),
    ),
    "person": (
        State("in a team", _in_a_team),
        State("the only one with a case", _leaving),
    ),
    "person_change": (State("left without saying who has the cases", _leaving_to_nobody),),
}
"""The last two routes have their other states in `office.py`."""
