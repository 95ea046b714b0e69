"""Acts of sharing, who can help, and sending a case."""

from __future__ import annotations

import re
from functools import partial
from html import unescape
from typing import Any

from tests.web.gallery import Ask, Scene, State
from tests.web.states import making
from tests.web.states.casework import with_status


def _acts_case(scene: Scene) -> str:
    return making.case(scene, "with acts")


def _form(kind: str, scene: Scene, *, purpose: str = "relocation", draft: bool = False) -> Ask:
    org = scene.town.shelter.profile["org_id"]
    address = f"/cases/{_acts_case(scene)}/acts/new?kind={kind}&purpose={purpose}&to={org}&category=&departement="
    if draft:
        form = scene.form(address).put("draft_key", f"act/{_acts_case(scene)}/{kind}/{purpose}")
        scene.client().post("/draft", data=_many(form))
    return Ask(address)


def _form_wrong(kind: str, scene: Scene) -> Ask:
    form = scene.form(_form(kind, scene).address)
    form.put("function", "").put("until", "2020-01-01").put("duration", "date").put("evidence", "oral_with_witness")
    return Ask(form.action, _many(form), status=422)


def _draft_taken(scene: Scene) -> Ask:
    asked = _form("consent", scene, purpose="health_care", draft=True)
    return Ask(f"{asked.address}&draft=1")


def _start_wrong(scene: Scene) -> Ask:
    return Ask(f"/cases/{_acts_case(scene)}/acts/new?kind=consent&purpose=&to=&category=&departement=99", status=422)


def _recorded(kind: str, scene: Scene, path: str = "", **options: Any) -> Ask:
    case_id, act_id = making.act(scene, kind)
    return Ask(f"/cases/{case_id}/acts/{act_id}{path}", **options)


def _used(scene: Scene, path: str = "") -> Ask:
    """An act on which a transfer rests that was received."""
    case_id = making.transfer(scene, "referral")[1]
    found = re.search(rf'href="(/cases/{case_id}/acts/[0-9a-f-]{{36}})"', scene.page(f"/cases/{case_id}"))
    assert found is not None
    return Ask(found[1] + path)


def _withdrawn(scene: Scene, path: str = "") -> Ask:
    case_id, act_id = making.act(scene, "consent", purpose="legal_support")
    address = f"/cases/{case_id}/acts/{act_id}"
    scene.once("act withdrawn", lambda: scene.send(f"{address}/withdraw", by_role="minor"))
    return Ask(address + path)


def _withdraw_wrong(scene: Scene) -> Ask:
    asked = _recorded("consent", scene, "/withdraw")
    return with_status(scene.filled(asked.address, by_role="nobody"), 422)


# ---- sending ----


def _send(scene: Scene, query: str = "", status: int = 200) -> Ask:
    return Ask(f"/cases/{scene.town.ready}/send{query}", status=status)


def _link(page: str, wanted: str) -> str:
    return next(unescape(each) for each in re.findall(r'href="([^"]+)"', page) if wanted in unescape(each))


def _what(scene: Scene, case_id: str = "") -> str:
    why = scene.page(f"/cases/{case_id or scene.town.ready}/send/why?to={making.member(scene)}")
    return _link(why, "/send/what?")


def _what_step(scene: Scene) -> Ask:
    return Ask(_what(scene))


def _confirm(scene: Scene) -> str:
    form = scene.form(_what(scene), "/send/confirm")
    return f"{form.action}?" + "&".join(f"{name}={value}" for name, value in form.fields)


def _stale(scene: Scene) -> Ask:
    return Ask(re.sub(r"\bv=\d+", "v=1999", _confirm(scene)), status=409)


def _wrong_departement(scene: Scene) -> Ask:
    return with_status(scene.filled(_confirm(scene), departement="23"), 422)


def _revealed(step: str, field: str, scene: Scene) -> Ask:
    address = {"who": _send(scene).address, "what": _what(scene), "confirm": _confirm(scene)}[step]
    query = address.partition("?")[2]
    return Ask(f"/cases/{scene.town.ready}/send/reveal?{query}", {"step": step, "field": field})


def _under_way(scene: Scene) -> Ask:
    return Ask(f"/cases/{making.transfer(scene, 'waiting')[1]}/send/why?to={making.member(scene)}")


def _not_covered(scene: Scene) -> Ask:
    query = f"?to={making.member(scene)}&purpose=health_care&kind=transfer&act={'0' * 36}"
    return Ask(f"/cases/{making.empty_case(scene, 'vide')}/send/what{query}", status=409)


def _no_act(scene: Scene) -> Ask:
    return Ask(f"/cases/{making.empty_case(scene, 'vide')}/send/why?to={making.member(scene)}")


def _report(scene: Scene, **changes: str) -> Ask:
    """The form under a decision, or what it answers to what was typed."""
    case_id, act_id = making.act(scene, "override", purpose="crip_ip", category="crip")
    address = f"/cases/{case_id}/report"
    if not changes:
        return Ask(address)
    form = (
        scene.form(address).put("act", act_id).put("parents", "yes").put("minor", "yes").put("function", "éducatrice")
    )
    form.put("function", "éducatrice").put("facts", "Le 3 mai, vue à la gare avec un adulte.")
    for name, value in changes.items():
        form.put(name, value)
    wrong = not all(changes.values())
    return Ask(address, _many(form), status=422 if wrong else 200, is_page=wrong)


def _many(form: Any) -> dict[str, list[str]]:
    data: dict[str, list[str]] = {}
    for name, value in form.fields:
        data.setdefault(name, []).append(value)
    return data


_KINDS = ("consent", "refusal", "information_only", "override")

STATES: dict[str, tuple[State, ...]] = {
    "acts": (
        State("some", lambda scene: Ask(f"/cases/{making.act(scene, 'consent')[0]}/acts")),
        State("none", lambda scene: Ask(f"/cases/{making.empty_case(scene, 'vide')}/acts")),
    ),
    "act_new": (
        State("first step", lambda scene: Ask(f"/cases/{_acts_case(scene)}/acts/new")),
        State("first step with errors", _start_wrong),
        *(State(f"{kind}: the form", partial(_form, kind)) for kind in _KINDS),
        *(State(f"{kind}: errors", partial(_form_wrong, kind)) for kind in ("consent", "information_only", "override")),
        State("in an emergency", partial(_form, "override", purpose="emergency_shelter")),
        State("with a draft that waits", partial(_form, "consent", purpose="health_care", draft=True)),
        State("with the draft taken up", _draft_taken),
        State("in a case that is read-only", lambda scene: Ask(f"/cases/{scene.town.full}/acts/new")),
    ),
    "act": (
        *(State(f"{kind} recorded", partial(_recorded, kind)) for kind in _KINDS),
        State("used for a transfer", _used),
        State("taken back", _withdrawn),
    ),
    "act_receipt": (State("as a PDF", partial(_recorded, "consent", path="/receipt", is_page=False)),),
    "report": (
        State("without a decision", lambda scene: Ask(f"/cases/{making.empty_case(scene, 'vide')}/report")),
        State("the form", _report),
        State("with errors", partial(_report, facts="", function="")),
        State("made", partial(_report, done="Appel au 119.")),
    ),
    "act_withdraw": (
        State("before", partial(_recorded, "consent", path="/withdraw")),
        State("before, with a transfer that rests on it", partial(_used, path="/withdraw")),
        State("of a refusal", partial(_recorded, "refusal", path="/withdraw")),
        State("with an error", _withdraw_wrong),
        State("when it is taken back already", partial(_withdrawn, path="/withdraw")),
    ),
    "members": (
        State("all", lambda scene: Ask("/members")),
        State("searched", lambda scene: Ask("/members?q=1&need=emergency_shelter&dep=13&age=15&tonight=on")),
        State("nobody fits", lambda scene: Ask("/members?q=1&dep=974&name=nobody-has-this-name")),
        State("a search with mistakes", lambda scene: Ask("/members?q=1&age=fifteen&far=nowhere", status=422)),
    ),
    "member": (
        State("another", lambda scene: Ask(f"/members/{making.member(scene)}")),
        State("ourselves", lambda scene: Ask(f"/members/{scene.town.helpline.member}")),
    ),
    "send_who": (
        State("who fits", _send),
        State("shelter for tonight", partial(_send, query="?purpose=emergency_shelter")),
        State("with mistakes", partial(_send, query="?q=1&age=fifteen&far=nowhere", status=422)),
        State("nobody fits", partial(_send, query="?q=1&dep=974&name=nobody-has-this-name")),
    ),
    "send_why": (
        State("an act allows it", lambda scene: Ask(f"/cases/{scene.town.ready}/send/why?to={making.member(scene)}")),
        State("no act yet", _no_act),
        State("offered to them already", _under_way),
    ),
    "send_what": (State("section by section", _what_step), State("not covered", _not_covered)),
    "send_confirm": (
        State("the last look", lambda scene: Ask(_confirm(scene))),
        State("another département typed", _wrong_departement),
        State("changed since it was looked at", _stale),
    ),
    "send_reveal": (
        State("who", partial(_revealed, "who", "housing.areas_to_avoid")),
        State("what", partial(_revealed, "what", "contact.instructions")),
        State("confirm", partial(_revealed, "confirm", "housing.areas_to_avoid")),
    ),
}
