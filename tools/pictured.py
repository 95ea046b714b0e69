"""What stands on the pictures of docs/pictures/: each page in the state in which a handler meets it."""

from __future__ import annotations

import re
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Page

from cordee.v1 import statements_pb2 as v1
from directory.administrator.entries import about_member
from node.demo.processes import Program
from node.demo.stage import House
from tests.directory.console.office import PASSPHRASE as CONSOLE_PASSPHRASE
from tests.node.practice.newcomer import Newcomer
from tests.web.browsing import code_of, keep_secret, sign_in
from tests.web.consoles import Consoles
from tests.web.gallery import Ask, Scene
from tests.web.rosters import show_two_rosters
from tests.web.states import making
from tests.web.town import EVERYTHING, PASSWORD, Town

__all__ = ["CONSOLE", "PRACTICE", "Camera", "console_pictures", "every_picture", "practice_pictures"]

PRACTICE = frozenset({"exercice", "exercice-guide"})
"""The pictures that `practice_pictures` takes."""

CONSOLE = frozenset(
    {
        "console-entree",
        "console-vue-d-ensemble",
        "console-signer",
        "console-demande",
        "console-invitation",
        "console-membre",
        "console-regles",
        "console-registre",
    }
)
"""The pictures that `console_pictures` takes."""

_ADMINISTRATOR = "Adrien"
_CERTIFICATE = b"%PDF-1.7\n" + b"un certificat " * 4000


class Camera:
    """A browser whose pages are pictured; whoever takes the pictures says how."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def take(self, name: str) -> None:
        """The page as it is now. Raises NotImplementedError."""
        raise NotImplementedError

    def go(self, house: House, address: str = "", who: str = EVERYTHING) -> Page:
        """A page, as somebody who is signed in."""
        sign_in(self.page, house, who)
        self.page.goto(house.pages + address)
        return self.page

    def at(self, name: str, house: House, address: str = "", who: str = EVERYTHING) -> None:
        """Go there and take it."""
        self.go(house, address, who)
        self.take(name)


def every_picture(camera: Camera, town: Town, stack: ExitStack) -> None:
    """All of them but those of practice, in the order in which a day brings them about."""
    scene = Scene(town, stack)
    with_mail(town)
    _day(scene)
    for part in (_coming_in, _cases, _sharing, _sending, _receiving, _following, _office):
        part(camera, scene)


def with_mail(town: Town) -> None:
    """The helpline's node knows a mail server; nothing is sent to it."""
    helpline = town.helpline
    helpline.program.environment = {
        **helpline.program.environment,
        "CORDEE_NODE_MAIL_HOST": "courriel.example",
        "CORDEE_NODE_MAIL_FROM": "pages@courriel.example",
    }
    helpline.program.stop()
    helpline.program.start(CORDEE_NODE_PAGES=urlsplit(helpline.pages).netloc)


def _day(scene: Scene) -> None:
    """What an ordinary day asks for: a place tonight, a risk to be looked at, an agreement that ends soon."""
    today = datetime.now(UTC).date()
    tonight = making.empty_case(scene, "rouge")
    scene.send(f"/cases/{tonight}/sections/housing", shelter_need="tonight")
    old = making.empty_case(scene, "mauve")
    scene.send(
        f"/cases/{old}/sections/risk",
        level="high",
        assessed_on=f"{today - timedelta(days=9)}",
        reassess_on=f"{today + timedelta(days=1)}",
    )
    ending = making.empty_case(scene, "blanche")
    org = scene.town.shelter.profile["org_id"]
    form = scene.form(f"/cases/{ending}/acts/new?kind=consent&purpose=joint_followup&to={org}&category=&departement=")
    form.put("minor_answer", "agrees").put("function", "éducatrice spécialisée")
    form.put("duration", "date").put("until", f"{today + timedelta(days=8)}")
    answer = scene.client().post(form.action, data=_many(form.fields))
    assert answer.status_code == 303, answer.text


def _coming_in(camera: Camera, scene: Scene) -> None:
    """From the password to the first page, as somebody who was never here."""
    helpline, page = scene.town.helpline, camera.page
    who = scene.town.newcomer()
    page.goto(helpline.pages + "sign-in")
    camera.take("entree")
    page.locator("#name").fill(who)
    page.locator("#password").fill(PASSWORD)
    page.locator("main form[action='/sign-in'] button").click()
    page.locator(".secret").wait_for(state="attached")
    camera.take("deuxieme-etape")
    keep_secret(helpline, who, page.locator(".secret").text_content() or "")
    page.locator("#code").fill(code_of(helpline, who))
    page.locator("main form[action='/second/set-up'] button").click()
    page.locator("main .codes").wait_for()
    camera.take("codes-de-secours")
    page.locator("main .codes ~ p a.button").click()
    page.goto(helpline.pages + "access")
    camera.take("mon-acces")
    page.locator("form[action='/lock'] button").click()
    page.locator("form[action='/unlock']").wait_for()
    camera.take("verrouille")
    page.context.clear_cookies()


def _cases(camera: Camera, scene: Scene) -> None:
    helpline, page = scene.town.helpline, camera.page
    case = f"cases/{scene.town.ready}"
    camera.at("aujourd-hui", helpline)
    camera.at("dossiers", helpline, "cases")
    camera.at("dossier-nouveau", helpline, "cases/new")
    camera.at("dossier", helpline, case)
    camera.at("dossier-identite", helpline, f"{case}/sections/identity")
    camera.at("dossier-signaux", helpline, f"{case}/sections/weak_signals")
    camera.go(helpline, "cases/new")
    page.locator("[name=pseudonym]").fill("Pervenche bleue")
    page.locator("[name=summary]").fill("Elle a dormi chez une amie. Elle ne veut pas rentrer ce soir.")
    page.get_by_text("Brouillon gardé").wait_for()
    camera.take("dossier-brouillon")
    camera.go(helpline, f"files/{making.case(scene, 'with files')}")
    _attach(page)
    camera.take("fichiers")
    sealed = making.case(scene, "restricted", 2)
    scene.send(f"/cases/{sealed}/team", restriction="sealed")
    camera.at("motif", helpline, f"cases/{sealed}", "Hélène")


def _attach(page: Page) -> None:
    page.locator("[name=may_be_sent]").check()
    page.locator("#file").set_input_files(
        {"name": "certificat.pdf", "mimeType": "application/pdf", "buffer": _CERTIFICATE}
    )
    page.locator("main form[data-upload] button.main").click()
    page.get_by_text("Empreinte").first.wait_for()


def _sharing(camera: Camera, scene: Scene) -> None:
    helpline = scene.town.helpline
    ready, org = f"cases/{scene.town.ready}", scene.town.shelter.profile["org_id"]
    camera.at("accord", helpline, f"{ready}/acts")
    camera.at("accord-nouveau", helpline, f"{ready}/acts/new")
    asked = f"{ready}/acts/new?kind=consent&purpose=relocation&to={org}&category=&departement="
    camera.at("accord-a-dire", helpline, asked)
    page = camera.go(helpline, f"cases/{scene.town.records[1]['meta']['case_id']}")
    act = page.locator("li.act a").first.get_attribute("href") or ""
    camera.at("accord-enregistre", helpline, act[1:])
    camera.at("accord-retirer", helpline, f"{act[1:]}/withdraw")


def _sending(camera: Camera, scene: Scene) -> None:
    """The four screens, and where one looks for who can help."""
    helpline, shelter = scene.town.helpline, scene.town.shelter
    camera.at("annuaire", helpline, "members")
    camera.at("envoi-ce-soir", helpline, f"cases/{scene.town.ready}/send?purpose=emergency_shelter")
    camera.at("envoi-a-qui", helpline, f"cases/{scene.town.ready}/send")
    page = camera.page
    page.get_by_role("link", name=shelter.title).first.click()
    page.locator(".purpose").first.wait_for()
    camera.take("envoi-pour-quoi")
    page.locator(".purpose a").first.click()
    page.locator("form.leaving").wait_for()
    camera.take("envoi-quoi")
    page.locator("form.leaving button.main").first.click()
    page.locator(".recipient").wait_for()
    camera.take("envoi-confirmer")


def _receiving(camera: Camera, scene: Scene) -> None:
    shelter = scene.town.shelter
    camera.at("recu-aujourd-hui", shelter)
    camera.at("recu-offre", shelter, f"transfers/{scene.town.waiting}")
    page = camera.go(shelter, f"transfers/{scene.town.ended}")
    page.locator("details:has(.checks) > summary").click()
    camera.take("arrivee")
    camera.at("pas-pour-nous", shelter, f"transfers/{scene.town.ended}/return")
    camera.at("places", shelter, "places")


def _following(camera: Camera, scene: Scene) -> None:
    helpline, shelter, page = scene.town.helpline, scene.town.shelter, camera.page
    camera.at("suivi", helpline, f"transfers/{scene.town.ended}")
    watched, _ = making.offer(scene, "--hold")
    camera.go(helpline, f"transfers/{watched}")
    making.accept(scene, watched)
    page.locator("[data-news]:not(:empty)").wait_for()
    page.locator("form[action$='/ship']").wait_for()
    camera.take("suivi-en-direct")
    _, shared = making.transfer(scene, "referral")
    camera.at("nouveautes", helpline, f"transfers/{making.transfer(scene, 'referral')[0]}/update")
    scene.send(f"/cases/{shared}/sections/risk", level="immediate")
    making.transfer(scene, "update")
    camera.go(shelter, f"cases/{shared}/versions")
    page.locator("summary", has_text="différent").first.wait_for()  # open by itself
    camera.take("cote-a-cote")
    camera.at("transferts", helpline, "transfers")


def _office(camera: Camera, scene: Scene) -> None:
    """The association's own pages."""
    helpline = scene.town.helpline
    camera.at("courriels", helpline, "notices")
    camera.at("profil", helpline, "profile")
    for name in ("Équipe de jour", "Équipe de nuit"):
        scene.send("/teams", "/teams/new", who=_ADMINISTRATOR, name=name)
        _with_people(scene, name)
    camera.at("equipes", helpline, "teams", _ADMINISTRATOR)
    show_two_rosters(scene.town.stage, helpline)
    camera.at("preuves", helpline, "evidence", _ADMINISTRATOR)


def _with_people(scene: Scene, team: str) -> None:
    """Three people are in this team."""
    listed = scene.page("/teams", who=_ADMINISTRATOR)
    found = re.search(rf'href="(/teams/[^"]+)"><strong>{team}<', listed)
    assert found is not None, team
    people = re.findall(r'name="members" value="([^"]+)"', scene.page(found[1], who=_ADMINISTRATOR))
    data = {"do": "members", "members": people[:3]}
    answer = scene.answer(Ask(f"{found[1]}/change", data, who=_ADMINISTRATOR), "fr")
    assert answer.status_code == 200, answer.text


def practice_pictures(camera: Camera, folder: Path) -> None:
    """The practice network: the ten workflows, and the guide beside a page."""
    within = folder / "practice"
    within.mkdir()
    served = Program(
        name="practice",
        arguments=("--output", "json", "practice", "serve", "--pages", "127.0.0.2:0", "--folder", str(within)),
        environment={},
        log=folder / "practice.log",
    )
    served.start()
    try:
        _practising(camera, str(served.ready["pages"]))
    finally:
        served.stop()


def _practising(camera: Camera, pages: str) -> None:
    newcomer = Newcomer(pages)
    newcomer.sign_in()
    newcomer.begin("w1")
    page = camera.page
    page.context.add_cookies([{"name": each.name, "value": each.value or "", "url": pages} for each in _jar(newcomer)])
    page.goto(pages + "practice")
    camera.take("exercice")
    page.goto(pages)
    camera.take("exercice-guide")
    page.context.clear_cookies()


def console_pictures(camera: Camera, consoles: Consoles) -> None:
    """An administrator's morning: somebody asks to join, a colleague has signed, a card has not been renewed."""
    page, town = camera.page, consoles.town
    for name in ("L’Escale", "Le Relais du Port", "Horizon 13", "La Maison bleue"):
        consoles.join(name)
    consoles.short_card("Le Relais du Port")
    consoles.hear("L’Escale", "Le Relais du Port", "Horizon 13")
    asking = consoles.ask("Cap Jeunes").keys.id.hex()
    suspended = consoles.members["Horizon 13"].keys.id
    begun = consoles.begin(lambda roster: about_member(v1.MemberSuspended, suspended, roster, town.clock.now()))
    console, address = consoles.console()
    page.goto(address.rstrip("/") + console.link)
    camera.take("console-entree")
    page.locator("#passphrase").fill(CONSOLE_PASSPHRASE)
    page.locator("main form button").click()
    page.wait_for_url(address)
    member = consoles.members["L’Escale"].keys.id.hex()
    for name, path in (
        ("console-vue-d-ensemble", ""),
        ("console-signer", f"sign/{begun}"),
        ("console-demande", f"requests/{asking}"),
        ("console-membre", f"members/{member}"),
        ("console-regles", "policy"),
        ("console-registre", "log"),
    ):
        page.goto(address + path)
        camera.take(name)
    page.goto(address + "invite")
    page.locator("#legal_name").fill("Association La Rive")
    page.locator("#number").fill("W131234567")
    page.locator('[name="secrecy"][value="yes"]').check()
    page.locator("main form button").click()
    page.wait_for_url("**/invitations/*")
    camera.take("console-invitation")
    page.context.clear_cookies()


def _jar(newcomer: Newcomer) -> Any:
    return newcomer.client.cookies.jar


def _many(fields: list[tuple[str, str]]) -> dict[str, list[str]]:
    data: dict[str, list[str]] = {}
    for name, value in fields:
        data.setdefault(name, []).append(value)
    return data
