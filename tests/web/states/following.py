"""Today, and transfers at each step, from both sides."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from node.demo.stage import until
from tests.web.gallery import Ask, Scene, State
from tests.web.states import making
from tests.web.states.casework import with_status

_BOTH = (
    "waiting",
    "held",
    "received",
    "declined",
    "withdrawn",
    "refused",
    "asked",
    "erased",
    "kept",
    "returned",
    "expired",
)


def _of(name: str, scene: Scene, path: str = "", *, house: str = "helpline", **options: Any) -> Ask:
    return Ask(f"/transfers/{making.transfer(scene, name)[0]}{path}", house=house, **options)


def _answered(name: str, step: str, scene: Scene, *, house: str = "marseille", status: int = 422, **typed: Any) -> Ask:
    asked = _of(name, scene, house=house)
    path = f"{asked.address}/{step}"
    page = path if step in ("erasure", "withdraw", "return", "update") else asked.address
    return with_status(scene.filled(page, f"/{step}", house=house, **typed), status)


def _today(scene: Scene, *, house: str = "helpline") -> Ask:
    for name in ("held", "refused", "asked", "returned", "update"):
        making.transfer(scene, name)
    return Ask("/", house=house)


def _today_asked(address: str, scene: Scene) -> Ask:
    """A case in danger, a clock that runs, something begun and not saved."""
    case_id = making.empty_case(scene, "à revoir")

    def make() -> None:
        scene.send(f"/cases/{case_id}/sections/risk", level="immediate", immediate_danger="yes")
        form = scene.form(f"/cases/{case_id}/sections/identity").put("first_name", "Capucine")
        scene.client().post("/draft", data=dict(form.fields))

    scene.once("case to be looked at again", make)
    return Ask(address)


def _today_alone(scene: Scene) -> Ask:
    """The directory cannot be reached. It dies: told to end, it would wait for the nodes that listen to it."""
    scene.town.stage.directory.kill()
    until(lambda: 'class="notice"' in scene.page("/"), what="Today says that there is no connection")
    return Ask("/", after=scene.town.stage.directory.start)


def _shipped(scene: Scene) -> Ask:
    asked = _of("shipped", scene)
    return Ask(asked.address, after=scene.town.shelter.program.start)


def _nothing_yet(scene: Scene) -> Ask:
    """While that house joins, the time of an offer runs out that is looked at further down."""
    making.expiring(scene)
    return Ask("/transfers", house=making.bare(scene))


def _let_go(scene: Scene) -> Ask:
    found, _ = making.held(scene)
    return scene.filled(f"/transfers/{found}", "/ship")


def _fresh_offer(scene: Scene, step: str, **typed: Any) -> Ask:
    """Answered well: it leads to the transfer's page."""
    found, _ = making.offer(scene)
    if step == "withdraw":
        return scene.filled(f"/transfers/{found}/withdraw")
    return scene.filled(f"/transfers/{found}", f"/{step}", house="marseille", **typed)


def _too_late(scene: Scene, step: str) -> Ask:
    """Somebody else has answered while this page was open."""
    found, typed = making.transfer(scene, "declined")[0], {"conflict": "no", "code": "other", "text": "x", "sure": "on"}
    return Ask(f"/transfers/{found}/{step}", typed, house="marseille", status=409)


def _given_back(scene: Scene) -> Ask:
    """What came was not for them: it leads to the transfer's page."""
    found, _ = making.offer(scene)
    making.accept(scene, found)
    making.reached(scene, "marseille", found, "received")
    typed = {"code": "outside_age", "text": "", "sure": "on"}
    return scene.filled(f"/transfers/{found}/return", house="marseille", **typed)


def _written(scene: Scene) -> Ask:
    """Somebody there has written in it since it came."""
    found, case_id = making.transfer(scene, "received")
    scene.once("written since", lambda: scene.send(f"/cases/{case_id}/sections/risk", house="marseille", level="high"))
    return Ask(f"/transfers/{found}/return", house="marseille")


def _update_over(scene: Scene) -> Ask:
    """Somebody presses where nothing may be sent."""
    return Ask(f"/transfers/{making.transfer(scene, 'declined')[0]}/update", status=409)


def _update_of_nothing(scene: Scene) -> Ask:
    found = making.transfer(scene, "referral")[0]
    return Ask(f"/transfers/{found}/update", {"section": "nonsense"}, status=409)


def _two_versions(scene: Scene) -> str:
    """The shelter was sent two updates of the case that both follow."""
    first, case_id = making.transfer(scene, "update")[0], making.transfer(scene, "referral")[1]

    def make() -> str:
        scene.send(f"/cases/{case_id}/sections/risk", level="high")
        found = scene.send(f"/transfers/{making.transfer(scene, 'referral')[0]}/update").rpartition("/")[2]
        making.reached(scene, "marseille", found, "received")
        return found

    assert scene.once("second update", make) != first
    return case_id


def _versions(scene: Scene) -> Ask:
    return Ask(f"/cases/{_two_versions(scene)}/versions", house="marseille")


def _revealed(scene: Scene) -> Ask:
    address = _versions(scene).address
    page = scene.page(address, house="marseille")
    of = re.search(rf'action="({address}\?of=[0-9a-f]+)"', page)
    field = re.search(r'name="field" value="([^"]+)"', page)
    assert of is not None
    assert field is not None
    return Ask(of[1], {"field": field[1]}, house="marseille")


STATES: dict[str, tuple[State, ...]] = {
    "transfers": (
        State("all", lambda scene: Ask("/transfers")),
        State("what waits for us", lambda scene: Ask("/transfers?state=waiting", house="marseille")),
        State("none of this kind", lambda scene: Ask("/transfers?direction=in&state=ended")),
        State("in a house without any", _nothing_yet),
    ),
    "transfer": (
        # First: a node that is exchanged for another one, and one that is off for a while.
        *(
            State(f"{name}, {side}", partial(_of, name, house=house))
            for name in ("refused", *(each for each in _BOTH if each != "refused"), "referral", "update")
            for side, house in (("sent", "helpline"), ("received", "marseille"))
        ),
        State("shipped", _shipped),
        State("that is not there", lambda scene: Ask(f"/transfers/{'0' * 32}", status=404)),
    ),
    "transfer_proof": (State("as a file", partial(_of, "received", path="/proof", is_page=False)),),
    "transfer_erased": (State("as a file", partial(_of, "erased", path="/erasure-receipt", is_page=False)),),
    "live": (State("a stream", lambda scene: Ask("/live", is_page=False)),),
    "transfer_accept": (
        State("a question unanswered", partial(_answered, "waiting", "accept")),
        State("a question answered so that nobody can accept", partial(_answered, "waiting", "accept", conflict="yes")),
        State("declined before", partial(_too_late, step="accept")),
        State("accepted", partial(_fresh_offer, step="accept", conflict="no"), anew=True),
    ),
    "transfer_decline": (
        State("without a reason", partial(_answered, "waiting", "decline", text="Un mot")),
        State("without the words of another reason", partial(_answered, "waiting", "decline", code="other")),
        State("declined", partial(_fresh_offer, step="decline", code="no_capacity"), anew=True),
    ),
    "transfer_withdraw": (
        *(State(f"before, {name}", partial(_of, name, path="/withdraw")) for name in ("waiting", "held", "referral")),
        State("done", partial(_fresh_offer, step="withdraw"), anew=True),
    ),
    "transfer_ship": (State("let go", _let_go, anew=True),),
    "transfer_return": (
        State("before", partial(_of, "referral", path="/return", house="marseille")),
        State("of an update", partial(_of, "update", path="/return", house="marseille")),
        State("of a case in which somebody has written", _written),
        State("without a reason, not sure", partial(_answered, "referral", "return")),
        State("without the words of another reason", partial(_answered, "referral", "return", code="other", sure="on")),
        State("of what was declined", partial(_too_late, step="return")),
        State("given back", _given_back, anew=True),
    ),
    "transfer_erasure": (
        State("before", partial(_of, "asked", path="/erasure", house="marseille")),
        State("not sure", partial(_answered, "asked", "erasure", sure=[])),
        State("kept without a reason", partial(_answered, "asked", "erasure", answer="keep", text="Un mot")),
    ),
    "transfer_update": (
        State("before", partial(_of, "referral", path="/update")),
        State("where nothing may be sent", _update_over),
        State("of nothing that there is", _update_of_nothing),
    ),
    "case_versions": (
        State("nothing beside it", lambda scene: Ask(f"/cases/{making.empty_case(scene, 'vide')}/versions")),
        State("two versions", _versions),
        State("with a vital field shown", _revealed),
    ),
    "today": (
        State("with much to do", _today),
        State("with offers", partial(_today, house="marseille")),
        State("with cases to be looked at again and something begun", partial(_today_asked, "/")),
        State("with all of it, colleagues' too", partial(_today_asked, "/?whole=1&whose=all")),
        State("in a house to which nothing has happened", lambda scene: Ask("/", house=making.bare(scene))),
        State("without a connection", _today_alone),
    ),
}
