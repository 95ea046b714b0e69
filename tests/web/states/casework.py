"""Cases: the list, opening one, its sections, its files, who may open it."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from functools import partial
from html import unescape
from typing import Any
from urllib.parse import urlencode

from node.web.pages.cases import SHOWN
from tests.node.web.browser import forms_in
from tests.web.gallery import Ask, Scene, State
from tests.web.states import making

_NOBODY = "00000000-0000-4000-8000-000000000000"
_BOUNDARY = "----state"
_LONG = "x" * 500


def _at(path: str, *, status: int = 200, **options: Any) -> Any:
    """A page under a fixed address; `{full}` is the case that fills the most sections."""

    def bring(scene: Scene) -> Ask:
        return Ask(path.format(full=scene.town.full, ready=scene.town.ready, nobody=_NOBODY), status=status, **options)

    return bring


def _new_with_errors(scene: Scene) -> Ask:
    form = scene.form("/cases/new").put("pseudonym", _LONG).put("summary", "Un appel.")
    return Ask("/cases/new", dict(form.fields), status=422)


def _handed_over(scene: Scene) -> Ask:
    return Ask(f"/cases/{making.transfer(scene, 'received')[1]}")


def _empty(scene: Scene, path: str = "") -> Ask:
    return Ask(f"/cases/{making.empty_case(scene, 'vide')}{path}")


def _in_danger(scene: Scene) -> Ask:
    def make() -> str:
        case_id = making.empty_case(scene, "en danger")
        scene.send(f"/cases/{case_id}/sections/risk", immediate_danger="yes")
        return case_id

    return Ask(f"/cases/{scene.once('case in danger', make)}")


def _shared(scene: Scene) -> Ask:
    return Ask(f"/cases/{making.transfer(scene, 'update')[1]}")


def _with_acts(scene: Scene) -> Ask:
    for kind in ("consent", "refusal", "information_only", "override"):
        making.act(scene, kind)
    return Ask(f"/cases/{making.case(scene, 'with acts')}")


# ---- sections ----


def _section(name: str, scene: Scene) -> Ask:
    return Ask(f"/cases/{scene.town.ready}/sections/{name}")


def _empty_section(name: str, scene: Scene) -> Ask:
    return _empty(scene, f"/sections/{name}")


def _wrong(section: str, typed: dict[str, str], scene: Scene) -> Ask:
    form = scene.form(f"/cases/{making.empty_case(scene, 'vide')}/sections/{section}")
    for name, value in typed.items():
        form.put(name, value)
    return Ask(form.action, _many(form), status=422)


def _conflict(scene: Scene) -> Ask:
    """Somebody else saved while this form was open."""
    address = f"/cases/{making.empty_case(scene, 'à deux')}/sections/situation"
    theirs = f"Ce que l’autre a écrit, à {time.monotonic()}."  # a text of its own each time, else nothing differs
    mine = scene.form(address).put("request_summary", "Ce que j’ai écrit.")
    scene.send(address, who="Hélène", request_summary=theirs)
    return Ask(address, _many(mine), status=409)


def _unchosen(scene: Scene) -> Ask:
    first = _conflict(scene)
    answer = scene.answer(first, "fr")
    form = next(each for each in forms_in(answer.text) if each.value("mine"))
    return Ask(first.address, _many(form), status=409)


def _joined(scene: Scene) -> Ask:
    return Ask(f"/cases/{making.empty_case(scene, 'à deux')}/sections/situation?joined=1")


def _draft(scene: Scene, taken: bool = False) -> Ask:
    case_id = making.empty_case(scene, "avec un brouillon")
    address = f"/cases/{case_id}/sections/identity"
    form = scene.form(address).put("first_name", "Capucine")
    scene.client().post("/draft", data=_many(form))
    return Ask(f"{address}{'?draft=1' if taken else ''}")


def _keep_draft(scene: Scene) -> Ask:
    form = scene.form(f"/cases/{making.empty_case(scene, 'avec un brouillon')}/sections/identity")
    return Ask("/draft", _many(form.put("first_name", "Capucine")), status=204, is_page=False)


def _discard(scene: Scene) -> Ask:
    _draft(scene)
    return scene.filled(f"/cases/{making.empty_case(scene, 'avec un brouillon')}/sections/identity", "/draft/discard")


def _revealed(section: str, field: str, scene: Scene) -> Ask:
    return Ask(f"/cases/{scene.town.ready}/sections/{section}/reveal", {"field": field})


def _read_only_section(scene: Scene) -> Ask:
    return Ask(f"/cases/{making.transfer(scene, 'received')[1]}/sections/identity")


def _ended(scene: Scene) -> Ask:
    """Somebody typed while the session ended in another window."""
    name, client = scene.newcomer()
    address = f"/cases/{making.empty_case(scene, 'vide')}/sections/identity"
    form = next(each for each in forms_in(client.get(address).text) if each.action == address)
    kept = client.cookies["session"]
    client.post("/sign-out", data={"form_token": form.value("form_token")})
    client.cookies.clear()
    client.cookies.set("session", kept)
    return Ask(address, _many(form), who=name, client=client, status=401)


def _lost(scene: Scene) -> Ask:
    return Ask(
        f"/cases/{making.empty_case(scene, 'vide')}/sections/identity", {"first_name": "x"}, who=None, status=401
    )


# ---- need to know ----


def _restricted(scene: Scene) -> str:
    def make() -> str:
        case_id = making.case(scene, "restricted")
        scene.send(f"/cases/{case_id}/team", restriction="sealed")
        return case_id

    return str(scene.once("restricted case", make))


def _reason(scene: Scene) -> Ask:
    return Ask(f"/cases/{_restricted(scene)}/reason", who="Hélène", status=403)


def _reason_too_short(scene: Scene) -> Ask:
    return Ask(f"/cases/{_restricted(scene)}/reason", {"reason": "urgent", "next": ""}, who="Hélène", status=422)


def _opened_with_a_reason(scene: Scene) -> Ask:
    name, client = scene.once("who opens with a reason", scene.newcomer)
    told = {"reason": "Elle appelle ce soir, sa référente est absente.", "next": ""}
    return Ask(f"/cases/{_restricted(scene)}/reason", told, who=name, client=client)


def _team_stale(scene: Scene) -> Ask:
    return with_status(scene.filled(f"/cases/{_restricted(scene)}/team", version="1"), 422)


def _not_mine(scene: Scene) -> Ask:
    """What is kept to others stands in no list of hers."""
    _restricted(scene)
    return Ask("/cases?state=all", who="Hélène")


def _found_by_name(scene: Scene) -> Ask:
    """Who types the whole name of what is kept to others learns that it is there."""
    title = re.search(r"<h1[^>]*>\s*([^<]+?)\s*<", scene.page(f"/cases/{_restricted(scene)}"))
    assert title is not None
    return Ask(f"/cases?{urlencode({'q': unescape(title[1]), 'state': 'all'})}", who="Hélène")


def _many_cases(address: str, scene: Scene) -> Ask:
    """More than stand on one page."""

    def make() -> str:
        house = making.bare(scene)
        client, form = scene.client(house=house), scene.form("/cases/new", house=house).put("summary", "Un appel.")
        for number in range(51):
            answer = client.post("/cases/new", data=dict(form.put("pseudonym", f"Pervenche {number}").fields))
            assert answer.status_code == 303
        return house

    return Ask(address, house=scene.once("many cases", make))


def _in_two_teams(scene: Scene, status: int = 200, **typed: str) -> Ask:
    name = making.in_two_teams(scene)
    if not typed:
        return Ask("/cases/new", who=name)
    return with_status(scene.filled("/cases/new", who=name, **typed), status)


def _with_teams(scene: Scene) -> Ask:
    making.in_two_teams(scene)
    return Ask(f"/cases/{scene.town.ready}/team")


def _openings(scene: Scene) -> Ask:
    scene.answer(_opened_with_a_reason(scene), "fr")
    return Ask("/openings", who="Léa")


def _looked_at(scene: Scene) -> Ask:
    scene.answer(_opened_with_a_reason(scene), "fr")
    found = re.search(r'name="opening" value="([^"]+)"', scene.page("/openings", who="Léa"))
    assert found is not None
    return Ask("/openings", {"opening": found[1]}, who="Léa")


# ---- files ----


def upload(
    scene: Scene, address: str, data: bytes, *, name: str = "certificat.pdf", status: int = 200, **typed: str
) -> Ask:
    """As a browser sends the form of a page with a file: its fields first, the file last."""
    form = scene.form(address).fill(**typed)
    parts = [
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in form.fields
    ]
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    body = b"".join((*parts, head, data, f"\r\n--{_BOUNDARY}--\r\n".encode()))
    kind = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
    return Ask(address, content=body, headers=kind, status=status)


def _file_kept(scene: Scene) -> Ask:
    address = f"/files/{making.case(scene, 'with files')}"
    return upload(scene, address, b"%PDF-1.7\n" + b"un certificat " * 50, may_be_sent="on", third_party_data="on")


def _files(scene: Scene) -> Ask:
    scene.once("file", lambda: scene.answer(_file_kept(scene), "fr"))
    return Ask(f"/files/{making.case(scene, 'with files')}")


def _file(scene: Scene) -> Ask:
    address = _files(scene).address
    found = re.search(rf'href="({address}/[0-9a-f-]+)"', scene.page(address))
    assert found is not None
    return Ask(found[1], is_page=False)


def _no_file(scene: Scene) -> Ask:
    return upload(scene, f"/files/{making.case(scene, 'with files')}", b"", name="", status=422)


def _picture(scene: Scene) -> Ask:
    address = f"/files/{making.case(scene, 'with files')}"
    return upload(scene, address, b"\x89PNG\r\n\x1a\n" + bytes(64), name="a.png", section="online_traces", status=422)


def with_status(asked: Ask, status: int) -> Ask:
    """The same with another status expected."""
    return replace(asked, status=status)


def _many(form: Any) -> dict[str, list[str]]:
    data: dict[str, list[str]] = {}
    for name, value in form.fields:
        data.setdefault(name, []).append(value)
    return data


STATES: dict[str, tuple[State, ...]] = {
    "cases": (
        State("filled", _at("/cases?state=all")),
        State("nothing found", _at("/cases?q=nobody-has-this-name")),
        State("in a house without any", lambda scene: Ask("/cases", house=making.bare(scene))),
        State("without what is kept to others", _not_mine),
        State("found by its whole name, kept to others", _found_by_name),
        State("more than one page holds", partial(_many_cases, "/cases")),
        State("the last page of several", partial(_many_cases, "/cases?page=2")),
    ),
    "case_new": (
        State("empty", _at("/cases/new")),
        State("with errors", _new_with_errors),
        State("of somebody in two teams", _in_two_teams),
        State("of somebody in two teams, for none", partial(_in_two_teams, status=422, team="", summary="Un appel.")),
    ),
    "case": (
        State("filled", _at("/cases/{ready}")),
        State("empty", _empty),
        State("in danger now", _in_danger),
        State("handed over, read-only", _handed_over),
        State("shared, with an update", _shared),
        State("with acts of every kind", _with_acts),
        State("kept to a few people", lambda scene: Ask(f"/cases/{_restricted(scene)}", who="Hélène", status=403)),
        State("asked for by somebody of another role", _at("/cases/{full}", who="Aude", status=403)),
        State("that is not there", _at("/cases/{nobody}", status=404)),
    ),
    "case_section": (
        *(State(f"{name} filled", partial(_section, name)) for name in SHOWN),
        *(State(f"{name} empty", partial(_empty_section, name)) for name in SHOWN),
        State("with an error in a field", partial(_wrong, "identity", {"age_at_opening": "fifteen"})),
        State("with an error in an entry", partial(_wrong, "family", {"new.phone": "no number"})),
        State("in conflict", _conflict, anew=True),
        State("in conflict, nothing chosen", _unchosen, anew=True),
        State("put together with what somebody else saved", _joined),
        State("with a draft that waits", _draft),
        State("with the draft taken up", partial(_draft, taken=True)),
        State("read-only", _read_only_section),
        State("sent when the session has ended; kept", _ended),
        State("sent when the session has ended; not kept", _lost),
    ),
    "case_reveal": (
        State("contact", partial(_revealed, "contact", "contact.instructions")),
        State("where somebody stays", partial(_revealed, "housing", "housing.areas_to_avoid")),
    ),
    "draft": (State("kept", _keep_draft),),
    "draft_discard": (State("thrown away", _discard, anew=True),),
    "case_reason": (
        State("asked for", _reason),
        State("too short", _reason_too_short),
        State("given", _opened_with_a_reason),
    ),
    "case_team": (
        State("as it stands", _at("/cases/{ready}/team")),
        State("sealed", lambda scene: Ask(f"/cases/{_restricted(scene)}/team")),
        State("where there are teams", _with_teams),
        State("changed by somebody else meanwhile", _team_stale),
    ),
    "openings": (
        State("to be looked at", _openings),
        State("looked at", _looked_at, anew=True),
        State("one that is not there", lambda scene: Ask("/openings", {"opening": _NOBODY}, who="Léa", status=404)),
    ),
    "files": (
        State("none", lambda scene: Ask(f"/files/{making.empty_case(scene, 'vide')}")),
        State("some", _files),
        State("just kept", _file_kept, anew=True),
        State("none was chosen", _no_file),
        State("a picture beside online traces", _picture),
        State("of a case that is read-only", lambda scene: Ask(f"/files/{scene.town.full}")),
    ),
    "file": (State("read", _file),),
}
