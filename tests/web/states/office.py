"""One's own access, the association's people, its places, node and journal."""

from __future__ import annotations

import re
from functools import partial
from html import unescape
from typing import Any

import httpx

from tests.node.test_passkeys import Device
from tests.node.web.browser import forms_in
from tests.web.browsing import code_of
from tests.web.gallery import Ask, Scene, State
from tests.web.rosters import show_two_rosters
from tests.web.states import making
from tests.web.states.casework import with_status
from tests.web.states.making import ADMINISTRATOR, person
from tests.web.years import with_a_closed_year


def _own(path: str, scene: Scene, *, status: int = 422, **data: Any) -> Ask:
    return Ask(path, data, status=status)


def _recovery_codes(scene: Scene) -> Ask:
    """Ten new ones, against the code that a telephone shows now; each code works once."""
    name, client = scene.newcomer()
    code = code_of(scene.town.helpline, name, ahead=1)  # the present one has opened the session
    return Ask("/access/recovery-codes", {"code": code}, who=name, client=client)


def with_passkey(scene: Scene) -> tuple[str, httpx.Client]:
    """Somebody who has a passkey; under a name, since a number in the address can have none."""

    def make() -> tuple[str, httpx.Client]:
        name, client = scene.newcomer()
        pages = scene.town.helpline.pages.replace("127.0.0.1", "localhost").rstrip("/")
        headers, cookies = {"Sec-Fetch-Site": "same-origin"}, {"session": client.cookies["session"]}
        named = scene.kept(httpx.Client(base_url=pages, headers=headers, cookies=cookies, timeout=60))
        page = named.get("/access").text
        options = re.search(r'data-passkey-new="([^"]+)"', page)
        assert options is not None
        form = next(each for each in forms_in(page) if each.action == "/access/passkeys")
        form.put("name", "Clé de mon trousseau").put("credential", Device().make(unescape(options[1]), origin=pages))
        form.put("code", code_of(scene.town.helpline, name, ahead=1))  # the present one has opened the session
        assert named.post(form.action, data=dict(form.fields)).status_code == 303
        return name, named

    found: tuple[str, httpx.Client] = scene.once("somebody with a passkey", make)
    return found


def _passkey_not_accepted(scene: Scene) -> Ask:
    name, client = scene.newcomer()
    typed = {"name": "Clé", "credential": "{}", "code": code_of(scene.town.helpline, name, ahead=1)}
    return Ask("/access/passkeys", typed, who=name, client=client, status=422)


def _access_with_passkey(scene: Scene) -> Ask:
    name, client = with_passkey(scene)
    return Ask("/access?done=passkey", who=name, client=client)


def _password_changed(scene: Scene) -> Ask:
    name, client = scene.newcomer()
    words = "une autre phrase assez longue"
    from tests.web.town import PASSWORD

    return Ask("/access/password", {"present": PASSWORD, "wanted": words, "again": words}, who=name, client=client)


def _leaving(path: str, scene: Scene, *, follow: bool = True) -> Ask:
    name, client = scene.newcomer()
    return Ask(path, {}, who=name, client=client, follow=follow, status=200 if follow else 303, is_page=follow)


# ---- people ----


def paused(scene: Scene) -> str:
    """Somebody whose password was typed wrong ten times."""

    def make() -> str:
        name = scene.town.newcomer()
        with httpx.Client(
            base_url=scene.town.helpline.pages, headers={"Sec-Fetch-Site": "same-origin"}, timeout=60
        ) as client:
            for _ in range(11):
                client.post("/sign-in", data={"name": name, "password": "not the one that it is"})
        return name

    return str(scene.once("paused account", make))


def _disabled(scene: Scene) -> str:
    def make() -> str:
        name = scene.town.newcomer()
        client = scene.client(ADMINISTRATOR)
        asked = Ask(f"{person(scene, name)}/change", {"do": "disabled"}, who=ADMINISTRATOR)
        assert scene.answer(asked, "fr").status_code == 200
        assert client.get("/people").status_code == 200
        return name

    return str(scene.once("disabled account", make))


def _people(scene: Scene) -> Ask:
    paused(scene)
    _disabled(scene)
    return Ask("/people?done=added", who=ADMINISTRATOR)


def _person(make: Any, scene: Scene) -> Ask:
    return Ask(person(scene, make(scene)), who=ADMINISTRATOR)


def _changed(scene: Scene, *, status: int = 200, **data: Any) -> Ask:
    name = scene.once("person to be changed", scene.town.newcomer)
    return Ask(f"{person(scene, name)}/change", data, who=ADMINISTRATOR, status=status)


def closed_year(scene: Scene) -> int:
    """A year of which the helpline's journal tells; it lies before this network."""
    return int(scene.once("closed year", lambda: with_a_closed_year(scene.town.helpline)))


def _yearly(address: str, scene: Scene, **options: Any) -> Ask:
    return Ask(address.format(year=closed_year(scene)), who="Aude", **options)


def _journal(address: str, scene: Scene, **options: Any) -> Ask:
    return Ask(address, who="Aude", **options)


def _two_rosters(scene: Scene) -> Ask:
    scene.once("two rosters", partial(show_two_rosters, scene.town.stage, scene.town.helpline))
    return Ask("/evidence", who="Aude")


def _evidence_file(scene: Scene) -> Ask:
    _two_rosters(scene)
    return Ask("/evidence/2/file", {}, who="Aude", is_page=False)


def _places(scene: Scene, **typed: Any) -> Ask:
    page = scene.page("/places", house="marseille")
    service = re.search(r'name="service" value="([^"]+)"', page)
    assert service is not None
    return Ask("/places", {"service": service[1], **typed}, house="marseille", status=422)


def _told(scene: Scene) -> Ask:
    return with_status(_places(scene, free="1"), 200)


STATES: dict[str, tuple[State, ...]] = {
    "sign_out": (State("done", partial(_leaving, "/sign-out"), anew=True),),
    "leave": (State("done", partial(_leaving, "/leave", follow=False), anew=True),),
    "lock": (State("the locked screen", partial(_leaving, "/lock"), anew=True),),
    "access": (
        State("as it stands", lambda scene: Ask("/access")),
        State("a passkey was added", _access_with_passkey),
    ),
    "access_recovery": (
        State("a wrong code", partial(_own, "/access/recovery-codes", code="000000")),
        State("the codes are shown", _recovery_codes, anew=True),
    ),
    "access_password": (
        State("another one than now", partial(_own, "/access/password", present="wrong one", wanted="x", again="x")),
        State("changed", _password_changed, anew=True),
    ),
    "access_passkey": (
        State("not accepted", _passkey_not_accepted, anew=True),
        State("a wrong code", partial(_own, "/access/passkeys", name="Clé", credential="{}", code="000000")),
    ),
    "access_passkey_remove": (
        State("one that is not there", partial(_own, "/access/passkeys/remove", passkey="0", status=404)),
    ),
    "people": (State("some paused, some gone", _people),),
    "person_new": (
        State("empty", lambda scene: Ask("/people/new", who=ADMINISTRATOR)),
        State(
            "with errors",
            lambda scene: Ask(
                "/people/new", {"name": "Alix", "password": "court", "roles": "handler"}, who=ADMINISTRATOR, status=422
            ),
        ),
        State(
            "of that name already",
            lambda scene: Ask(
                "/people/new",
                {"name": "Hélène", "password": "une phrase assez longue", "roles": "handler"},
                who=ADMINISTRATOR,
                status=422,
            ),
        ),
    ),
    "person": (
        State("somebody", partial(_person, lambda scene: "Hélène")),
        State("oneself", partial(_person, lambda scene: ADMINISTRATOR)),
        State("paused", partial(_person, paused)),
        State("disabled", partial(_person, _disabled)),
    ),
    "person_change": (
        State("changed", partial(_changed, do="changed", roles="handler")),
        State("a password that is too short", partial(_changed, do="password", password="court", status=422)),
        State("without a role", partial(_changed, do="changed", status=422)),
    ),
    "places": (
        State("as they stand", lambda scene: Ask("/places", house="marseille")),
        State("in a house without beds", lambda scene: Ask("/places")),
        State("no number", partial(_places, free="many")),
        State("just told", _told),
    ),
    "health": (State("as it stands", partial(_journal, "/node")),),
    "object": (State("nothing to object to", lambda scene: Ask("/node/object", {}, who=ADMINISTRATOR, status=404)),),
    "journal": (
        State("all", partial(_journal, "/journal")),
        State("of one kind", partial(_journal, "/journal?topic=account.")),
        State("nothing found", partial(_journal, "/journal?subject=nothing-of-the-kind&about=nothing")),
    ),
    "figures": (
        State("years", partial(_yearly, "/figures")),
        State("no year yet", lambda scene: Ask("/figures", house="marseille")),
    ),
    "figures_year": (
        State("a year", partial(_yearly, "/figures/{year}")),
        State("before the journal", lambda scene: Ask(f"/figures/{closed_year(scene) - 1}", who="Aude", status=404)),
        State("not closed yet", lambda scene: Ask(f"/figures/{closed_year(scene) + 2}", who="Aude", status=409)),
    ),
    "figures_file": (State("as a PDF", partial(_yearly, "/figures/{year}/file", data={"form": "pdf"}, is_page=False)),),
    "journal_verify": (State("verified", lambda scene: Ask("/journal/verify", {}, who="Aude")),),
    "journal_export": (State("as a file", lambda scene: Ask("/journal/export", {}, who="Aude", is_page=False)),),
    "evidence": (
        State("all fits", lambda scene: Ask("/evidence", house="marseille")),
        State("two rosters", _two_rosters),
    ),
    "evidence_file": (State("as a file", _evidence_file),),
    "evidence_present": (State("as a file", lambda scene: Ask("/evidence/present", {}, who="Aude", is_page=False)),),
    "association": (State("as it stands", lambda scene: Ask("/association")),),
    "six_words": (
        State("all", lambda scene: Ask("/words")),
        State("nobody found", lambda scene: Ask("/words?q=nobody-has-this-name")),
    ),
    "six_words_of": (
        State("another's", lambda scene: Ask(f"/words/{making.member(scene)}")),
        State("our own", lambda scene: Ask(f"/words/{scene.town.helpline.member}")),
    ),
}
