"""What several states need: cases, acts, transfers that stand where they shall stand. Each is made once, by pages where
pages can do it."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from node.demo.stage import until
from tests.web.gallery import Scene, short

__all__ = [
    "ADMINISTRATOR",
    "accept",
    "act",
    "alone_with_a_case",
    "bare",
    "case",
    "empty_case",
    "expiring",
    "held",
    "in_two_teams",
    "keep_addresses",
    "member",
    "offer",
    "person",
    "reached",
    "team",
    "transfer",
]

ADMINISTRATOR = "Adrien"
FOLLOWED = "joint_followup"
_SET_UP = {
    "CORDEE_NODE_MAIL_HOST": "localhost",
    "CORDEE_NODE_MAIL_PORT": "1",  # where nobody listens
    "CORDEE_NODE_MAIL_FROM": "noeud@lille.example",
    "CORDEE_NODE_PRACTICE_URL": "http://127.0.0.2:8490/",
}
"""What the third house's administrator has set up, and the first two have not."""
_REASON = "La famille a changé d’avis."


def keep_addresses(scene: Scene) -> None:
    """A node that is started again answers where it did, so that nobody has to come in again."""
    for house in (scene.town.helpline, scene.town.shelter):
        house.program.environment = {
            **house.program.environment,
            "CORDEE_NODE_PAGES": urlsplit(house.pages).netloc,
        }


def case(scene: Scene, name: str, number: int = 1) -> str:
    """A filled case of the helpline's; the same for the same name."""
    return str(scene.once(f"case {name}", lambda: scene.town.case(scene.town.helpline, number)["meta"]["case_id"]))


def empty_case(scene: Scene, name: str) -> str:
    """A case in which nothing stands yet but why somebody called."""

    def make() -> str:
        typed = {"pseudonym": f"Pervenche {name}", "summary": "Un premier appel."}
        form = scene.form("/cases/new")
        for field, value in typed.items():
            form.put(field, value)
        answer = scene.client().post("/cases/new", data=dict(form.fields))
        assert answer.status_code == 303, short(answer.text)
        return answer.headers["location"].rpartition("/")[2].partition("#")[0]

    return str(scene.once(f"empty case {name}", make))


def member(scene: Scene) -> str:
    """The shelter, as the helpline's pages call it."""
    return scene.town.shelter.member


def act(scene: Scene, kind: str, *, purpose: str = "relocation", category: str = "") -> tuple[str, str]:
    """An act that was recorded through its form, for the shelter or a category: the id of its case and its own."""

    def make() -> tuple[str, str]:
        case_id = case(scene, "with acts")
        org = "" if category else scene.town.shelter.profile["org_id"]
        asked = f"/cases/{case_id}/acts/new?kind={kind}&purpose={purpose}&to={org}&category={category}&departement="
        form = scene.form(asked)
        form.put(
            "minor_answer",
            "refuses" if kind == "refusal" else "informed" if kind in ("information_only", "override") else "agrees",
        )
        form.put("function", "éducatrice spécialisée")
        if kind in ("override", "information_only"):
            form.put("justification", "Elle est en danger cette nuit.").put("validated_by", "cheffe de service")
            form.put("protection", "on").put("necessity", "on")
        if kind == "override":
            form.put("basis", re.findall(r'<option value="([a-z_]+)"', _select(scene.page(asked), "basis"))[0])
        for name, _ in list(form.fields):
            if name.startswith("holder") and not name.endswith("-channel"):
                form.put(
                    name,
                    "informed"
                    if kind in ("override", "information_only")
                    else "refuses"
                    if kind == "refusal"
                    else "agrees",
                )
        answer = scene.client().post(form.action, data=_many(form.fields))
        assert answer.status_code == 303, short(answer.text)
        return case_id, answer.headers["location"].rpartition("/")[2]

    found: tuple[str, str] = scene.once(f"act {kind} {purpose}", make)
    return found


def offer(scene: Scene, *options: str, purpose: str = "relocation", number: int = 1) -> tuple[str, str]:
    """A new case with an act, offered to the shelter: the ids of transfer and case."""
    town = scene.town
    record = town.case(town.helpline, number)
    given = town.act(record, purpose=purpose)
    return town.offer(record, given, *options, purpose=purpose), str(record["meta"]["case_id"])


def reached(scene: Scene, house: str, transfer: str, state: str) -> None:
    """Until this house's page says so: `received/asked` names the erasure too."""

    def says() -> bool:
        shown = scene.client(house=house).get(f"/transfers/{transfer}")  # not there before its first statement comes
        found = re.search(r'data-state="([^"]*)"', shown.text)
        return found is not None and found[1].startswith(state)

    until(says, what=f"{house}: {transfer} {state}")


def accept(scene: Scene, transfer: str) -> None:
    """The shelter takes it on."""
    scene.send(f"/transfers/{transfer}", "/accept", house="marseille", conflict="no")


def bare(scene: Scene) -> str:
    """A third house, to which nothing has happened yet, with a mail server that is away: its name on the stage."""

    def make() -> str:
        from datetime import UTC, datetime

        from node.demo import cases

        stage = scene.town.stage
        profile = cases.profiles(now=datetime.now(UTC))["lille"]
        house = stage.house("lille", profile)
        stage.join(house)
        stage.start(house, **_SET_UP)
        until(
            lambda: len([each for each in house.command("members", "list") if each["card_expires"]]) == 3,
            what="lille: every card",
        )
        return "lille"

    return str(scene.once("bare house", make))


# ---- people and teams ----


def team(scene: Scene, name: str, *members: str) -> str:
    """The address of a team of the helpline's that has these people."""

    def make() -> str:
        address = scene.send("/teams", "/teams/new", who=ADMINISTRATOR, name=name).partition("?")[0]
        page = scene.page(address, who=ADMINISTRATOR)
        boxes = re.findall(r'name="members" value="([^"]+)"[^>]*> *([^<]*?) *<', page)
        chosen = [account for account, shown in boxes if shown in members]
        assert len(chosen) == len(members), (members, boxes)
        data = {"do": "members", "members": chosen, "form_token": _token(page)}
        assert scene.client(ADMINISTRATOR).post(f"{address}/change", data=data).status_code == 303
        return address

    return str(scene.once(f"team {name}", make))


def in_two_teams(scene: Scene) -> str:
    """The name of somebody whose new cases could be of one team or of another."""

    def make() -> str:
        name = scene.town.newcomer()
        for each in ("Équipe du soir", "Équipe mobile"):
            team(scene, each, name)
        return name

    return str(scene.once("somebody in two teams", make))


def person(scene: Scene, name: str) -> str:
    """The address of somebody's page."""
    page = scene.page("/people", who=ADMINISTRATOR)
    found = re.search(rf'href="(/people/[^"]+)"><strong>{re.escape(name)}<', page)
    assert found is not None
    return found[1]


def alone_with_a_case(scene: Scene, pseudonym: str) -> str:
    """The name of somebody new, and the only one who may open a case of theirs."""
    name = scene.town.newcomer()
    client, form = scene.client(name), scene.form("/cases/new", who=name)
    form.put("pseudonym", pseudonym).put("summary", "Un appel.")
    answer = client.post("/cases/new", data=dict(form.fields))
    assert answer.status_code == 303, short(answer.text)
    scene.send(f"{answer.headers['location']}/team", who=name, restriction="named_users")
    return name


def _token(page: str) -> str:
    found = re.search(r'name="form_token" value="([0-9a-f]+)"', page)
    assert found is not None
    return found[1]


# ---- transfers, each in one state ----


def transfer(scene: Scene, name: str) -> tuple[str, str]:
    """A transfer of the helpline's to the shelter that has come to this state; its id and its case's."""
    found: tuple[str, str] = scene.once(f"transfer {name}", lambda: _MAKERS[name](scene))
    return found


def _waiting(scene: Scene) -> tuple[str, str]:
    return scene.town.waiting, str(scene.town.records[1]["meta"]["case_id"])


def _received(scene: Scene) -> tuple[str, str]:
    return scene.town.ended, scene.town.full


def _declined(scene: Scene) -> tuple[str, str]:
    found, case_id = offer(scene)
    scene.send(f"/transfers/{found}", "/decline", house="marseille", code="other", text="Pas de place avant lundi.")
    reached(scene, "helpline", found, "declined")
    return found, case_id


def _withdrawn(scene: Scene) -> tuple[str, str]:
    found, case_id = offer(scene)
    scene.send(f"/transfers/{found}/withdraw")
    reached(scene, "marseille", found, "withdrawn")
    return found, case_id


def held(scene: Scene) -> tuple[str, str]:
    """A transfer that was accepted and waits for its sender's word; a new one each time."""
    found, case_id = offer(scene, "--hold")
    accept(scene, found)
    for house in ("helpline", "marseille"):
        reached(scene, house, found, "accepted")
    return found, case_id


def _shipped(scene: Scene) -> tuple[str, str]:
    """To somebody whose machine is off; whoever asks for this state switches it on again."""
    found, case_id = held(scene)
    scene.town.shelter.program.stop()
    scene.send(f"/transfers/{found}", "/ship")
    reached(scene, "helpline", found, "shipped")
    return found, case_id


def expiring(scene: Scene) -> tuple[str, str]:
    """An offer that nobody answers in time; whoever asks for it early need not wait for its end later."""
    found: tuple[str, str] = scene.once("offer that expires", lambda: offer(scene, "--expires-in", "8s"))
    return found


def _expired(scene: Scene) -> tuple[str, str]:
    found, case_id = expiring(scene)
    for house in ("helpline", "marseille"):
        reached(scene, house, found, "expired")
    return found, case_id


def _refused(scene: Scene) -> tuple[str, str]:
    """A node that cheats sends a file that nobody agreed to."""
    town = scene.town
    record = town.case(town.helpline)
    case_id = str(record["meta"]["case_id"])
    paper = town.stage.folder / "note.pdf"
    paper.write_bytes(b"%PDF-1.7\n" + b"une note " * 200)
    town.helpline.command("case", "attach", case_id, str(paper), "--kind", "report", "--section", "actions")
    given = town.act(record)
    with town.stage.cheating(town.helpline):
        found = town.offer(record, given)
        accept(scene, found)
        reached(scene, "marseille", found, "refused")
        town.wait(town.helpline, found, "refused")  # this program serves no pages
    return found, case_id


def _asked(scene: Scene) -> tuple[str, str]:
    found, case_id = offer(scene)
    accept(scene, found)
    for house in ("helpline", "marseille"):
        reached(scene, house, found, "received")
    scene.send(f"/transfers/{found}/withdraw")
    reached(scene, "marseille", found, "received/asked")
    return found, case_id


def _erased(scene: Scene) -> tuple[str, str]:
    found, case_id = _asked(scene)
    scene.send(f"/transfers/{found}/erasure", house="marseille", answer="erase", sure="on")
    reached(scene, "helpline", found, "received/done")
    return found, case_id


def _kept(scene: Scene) -> tuple[str, str]:
    found, case_id = _asked(scene)
    typed = {"answer": "keep", "code": "legal_obligation", "text": _REASON, "sure": []}
    scene.send(f"/transfers/{found}/erasure", house="marseille", **typed)
    reached(scene, "helpline", found, "received/refused")
    return found, case_id


def _returned(scene: Scene) -> tuple[str, str]:
    """It was not for them: erased there unasked, and the helpline's again."""
    found, case_id = offer(scene)
    accept(scene, found)
    for house in ("helpline", "marseille"):
        reached(scene, house, found, "received")
    scene.send(f"/transfers/{found}/return", house="marseille", code="wrong_recipient", text=_REASON, sure="on")
    reached(scene, "helpline", found, "received/returned")
    return found, case_id


def _referral(scene: Scene) -> tuple[str, str]:
    found, case_id = offer(scene, "--kind", "referral", purpose=FOLLOWED)
    accept(scene, found)
    for house in ("helpline", "marseille"):
        reached(scene, house, found, "received")
    return found, case_id


def _update(scene: Scene) -> tuple[str, str]:
    """What is new in a shared case stands beside the shelter's own."""
    first, case_id = transfer(scene, "referral")
    found = scene.send(f"/transfers/{first}/update").rpartition("/")[2]
    reached(scene, "marseille", found, "received")
    return found, case_id


_MAKERS: dict[str, Callable[[Scene], tuple[str, str]]] = {
    "waiting": _waiting,
    "received": _received,
    "declined": _declined,
    "withdrawn": _withdrawn,
    "held": held,
    "shipped": _shipped,
    "expired": _expired,
    "refused": _refused,
    "asked": _asked,
    "erased": _erased,
    "kept": _kept,
    "returned": _returned,
    "referral": _referral,
    "update": _update,
}


def _select(html: str, name: str) -> str:
    found = re.search(rf'<select id="{name}".*?</select>', html, re.DOTALL)
    return found[0] if found else ""


def _many(fields: list[tuple[str, str]]) -> dict[str, list[str]]:
    data: dict[str, list[str]] = {}
    for name, value in fields:
        data.setdefault(name, []).append(value)
    return data
