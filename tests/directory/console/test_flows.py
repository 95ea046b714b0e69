"""What administrators do at their consoles, without a browser: the same answers that one would get."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from cordee.checkpoint import Checkpoint, sign_checkpoint
from cordee.errors import RosterForked, Unreachable
from cordee.ids import Digest
from cordee.invitation import Invitation
from cordee.keyfile import public_file
from cordee.members import MemberState, registration_digest
from cordee.times import timestamp_of
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import statements_pb2 as v1
from cordee.words import six_words
from directory.administrator import evidence, keyfile
from tests.directory.town import profile_of
from tests.node.web.browser import forms_in

from .office import PASSPHRASE, Office, words


async def test_one_begins_an_admission_and_the_other_finishes_it_each_with_the_words_compared(office: Office) -> None:
    node = await office.applicant("Marseille")
    one, other = await office.desk(0), await office.desk(1)
    path = f"/requests/{node.keys.id.hex()}"

    assert "Association Marseille" in await one.page("/")
    begun = await one.submit((await one.form(path, action=f"{path}/admit")).fill(words=words(node)))
    assert begun.status_code == 303
    shown = await one.page(begun.headers["location"])
    assert "Admit the association" in shown
    assert "Association Marseille" in shown
    assert "After you more must sign: 1" in shown
    assert (await one.sign(begun.headers["location"])).headers["location"] == "/signing?done=signed"
    assert node.keys.id not in office.town.directory.rosters.roster.members

    assert "Waits for your signature" in await other.page("/")
    entry = begun.headers["location"]
    refused = await other.sign(entry, words="abaisser abandon abdiquer abeille abolir aborder")
    assert refused.status_code == 422
    assert "These are not the six words" in refused.text
    done = await other.sign(entry, words=words(node))
    assert done.headers["location"].endswith("?done=appended")
    assert office.town.directory.rosters.roster.members[node.keys.id].state is MemberState.ACTIVE
    assert "was admitted" in await one.page(f"/members/{node.keys.id.hex()}")


async def test_wrong_words_lead_nowhere_and_what_was_typed_comes_back(office: Office) -> None:
    node = await office.applicant("Marseille")
    desk = await office.desk()
    path = f"/requests/{node.keys.id.hex()}"

    answer = await desk.submit((await desk.form(path, action=f"{path}/admit")).fill(words="un deux trois"))

    assert answer.status_code == 422
    assert 'value="un deux trois"' in answer.text
    assert await office.town.directory.governance.pending() == []


async def test_a_refusal_carries_its_reason_to_the_applicant(office: Office) -> None:
    node = await office.applicant("Marseille")
    desk = await office.desk()
    path = f"/requests/{node.keys.id.hex()}"
    form = await desk.form(path, action=f"{path}/refuse")

    assert (await desk.submit(form.fill(reason=" "))).status_code == 422
    assert (await desk.submit(form.fill(reason="x" * 501))).status_code == 422
    done = await desk.submit(form.fill(reason="Le numéro SIRET est celui d’un autre établissement."))

    assert done.headers["location"] == "/requests?done=refused"
    told = await office.town.status(node)
    assert (told.state, told.refusal_reason) == (
        pb.JOIN_STATE_REFUSED,
        "Le numéro SIRET est celui d’un autre établissement.",
    )


@pytest.mark.parametrize(
    ("do", "before", "after", "says"),
    [
        ("suspend", None, MemberState.SUSPENDED, "Suspend “Association Marseille”"),
        ("reinstate", v1.MemberSuspended, MemberState.ACTIVE, "Reinstate “Association Marseille”"),
        ("remove", None, MemberState.REMOVED, "Remove “Association Marseille”"),
    ],
)
async def test_a_members_state_is_changed_by_two(
    office: Office, do: str, before: Any, after: MemberState, says: str
) -> None:
    town = office.town
    node = await town.join("Marseille")
    if before is not None:
        head = town.network.roster.head(node.keys.id, town.clock.now())
        await town.append(town.network.append(town.network.signed_entry(before(**head, member=node.keys.id))))
    one, other = await office.desk(0), await office.desk(1)
    path = f"/members/{node.keys.id.hex()}"
    await one.page(path)

    form = (await one.form(path, action=f"{path}/change")).fill(do=do)
    begun = await one.submit(form)
    assert says in await one.page(begun.headers["location"])
    await one.sign(begun.headers["location"])
    # The other one starts from the member as well, and is led to what was begun.
    again = await other.submit((await other.form(path, action=f"{path}/change")).fill(do=do))
    assert again.headers["location"] == begun.headers["location"]
    assert (await other.sign(again.headers["location"])).headers["location"].endswith("?done=appended")

    assert town.directory.rosters.roster.members[node.keys.id].state is after


async def test_an_invitation_is_made_saved_and_used(office: Office) -> None:
    desk = await office.desk()
    profile = profile_of("Nîmes", 3)
    form = await desk.form("/invite")

    refused = await desk.submit(form.fill(legal_name=profile["legal_name"], number=profile["siret"], days="400"))
    assert refused.status_code == 422
    assert profile["legal_name"] in refused.text
    doubted = await desk.submit(form.fill(secrecy="yes", days="10", number="12345678901234"))
    assert doubted.status_code == 200
    assert "check digits of this SIRET" in doubted.text  # told once, and taken when it is typed again
    again = next(each for each in forms_in(doubted.text) if each.action == "/invite")
    assert again.value("sure") == "12345678901234"
    made = await desk.submit(again.fill(number=profile["siret"], sure=profile["siret"]))
    assert made.status_code == 303
    page = await desk.page(made.headers["location"])
    assert "Three steps for the association" in page
    file = await desk.get(f"{made.headers['location']}/file")

    invitation = Invitation.parse(file.content)
    assert (invitation.legal_name, invitation.bound_by_secrecy) == (profile["legal_name"], True)
    assert invitation.expires - office.town.clock.now() <= timedelta(days=10)
    assert "Association Nîmes" in await desk.page("/requests")
    assert office.town.directory.rosters.roster.members == {}
    assert invitation.secret.hex() not in page


async def test_the_policy_is_changed_setting_by_setting_and_shown_before_and_after(office: Office) -> None:
    one, other = await office.desk(0), await office.desk(1)
    form = await one.form("/policy/change")

    for wrong in ({"freshness_limit": "eight"}, {"freshness_limit": "80"}, {"threshold": "3"}, {"threshold": "0"}, {}):
        answer = await one.submit((await one.form("/policy/change")).fill(**wrong))
        assert answer.status_code == 422, wrong
    form.put("freshness_limit:unit", "hours")
    begun = await one.submit(form.fill(freshness_limit="12"))
    shown = await one.page(begun.headers["location"])
    assert "1 days → 12 h" in shown
    await one.sign(begun.headers["location"])
    await other.sign(begun.headers["location"])

    assert office.town.directory.rosters.roster.policy.freshness_limit == timedelta(hours=12)
    assert "12 h" in await other.page("/policy")
    assert "1 days → 12 h" in await other.page("/log/1")


async def test_an_administrator_is_added_by_a_file_and_removed_again(office: Office) -> None:
    one, other = await office.desk(0), await office.desk(1)
    third = office.folder / "third.key"
    key = keyfile.create(third, PASSPHRASE.encode(), random=lambda size: b"3" * size, rounds=1, memory=8192)
    public = keyfile.public_path(third).read_bytes()
    spoken = " ".join(office_words(key))
    form = await one.form("/administrators", action="/administrators/add")

    wrong = await one.submit(form, files={"file": ("x.pub", b"nothing")})
    assert wrong.status_code == 422
    begun = await one.submit(form, files={"file": ("third.key.pub", public)})
    path = begun.headers["location"]
    assert (await one.sign(path, words=spoken)).headers["location"] == "/signing?done=signed"
    assert (await other.sign(path, words=spoken)).headers["location"].endswith("?done=appended")
    roster = office.town.directory.rosters.roster
    assert key.public.key_id in roster.administrators

    action = f"/administrators/{key.public.key_id.hex()}/remove"
    begun = await one.submit(await one.form("/administrators", action=action))
    await one.sign(begun.headers["location"])
    await other.sign(begun.headers["location"])
    assert key.public.key_id not in office.town.directory.rosters.roster.administrators


async def test_a_name_is_corrected_by_two_who_both_typed_it(office: Office) -> None:
    node = await office.town.join("Marseille")
    one, other = await office.desk(0), await office.desk(1)
    path = f"/members/{node.keys.id.hex()}/correct"
    await one.page("/members")
    typed = {"legal_name": "Association Marseille Provence", "number": "W131234567", "secrecy": "yes"}

    for wrong in (
        {},
        {"legal_name": "Association"},
        {"number": "W131234567"},
        {"legal_name": "x" * 301, "number": "1"},
    ):
        assert (await one.submit((await one.form(path)).fill(**wrong))).status_code == 422, wrong
    begun = await one.submit((await one.form(path)).fill(**typed))
    assert "Correct what the network says of" in await one.page(begun.headers["location"])
    await one.sign(begun.headers["location"])
    differs = await other.submit((await other.form(path)).fill(**{**typed, "legal_name": "Association Provence"}))
    assert differs.headers["location"] != begun.headers["location"]
    again = await other.submit((await other.form(path)).fill(**typed))
    assert again.headers["location"] == begun.headers["location"]
    assert (await other.sign(again.headers["location"])).headers["location"].endswith("?done=appended")

    registration = office.town.directory.rosters.roster.members[node.keys.id].registration
    assert registration == registration_digest(typed["legal_name"], typed["number"])


async def test_a_lost_key_is_announced_with_its_words_compared_and_a_stolen_one_revoked(office: Office) -> None:
    town = office.town
    node, other_node = await town.join("Marseille"), await town.join("Lille")
    one, other = await office.desk(0), await office.desk(1)
    path = f"/members/{node.keys.id.hex()}/key"
    new = town.network.new_member("new").identity
    spoken = " ".join(six_words(new.public))

    assert (await one.submit(await one.form(path))).status_code == 422
    bad = (await one.form(path)).fill(do="announce", stolen="no")
    assert (await one.submit(bad, files={"file": ("x.pub", b"{}")})).status_code == 422
    early = await one.submit((await one.form(path)).fill(do="recover"))
    assert early.status_code == 422
    begun = await one.submit(bad, files={"file": ("new.pub", public_file(new.public))})
    entry = begun.headers["location"]
    assert "Announce that" in await one.page(entry)
    assert (await one.sign(entry, words="un deux trois quatre cinq six")).status_code == 422
    await one.sign(entry, words=spoken)
    assert (await other.sign(entry, words=spoken)).headers["location"].endswith("?done=appended")
    shown = await one.page(path)
    assert "A new key is announced" in shown
    assert all(word in shown for word in spoken.split())
    assert "A new identity key is announced for" in await one.page("/")
    assert b"cordee way back 1" in (await one.get(f"/members/{node.keys.id.hex()}/way-back")).content

    path = f"/members/{other_node.keys.id.hex()}/key"
    begun = await one.submit((await one.form(path)).fill(do="revoke"))
    await one.sign(begun.headers["location"])
    await other.sign(begun.headers["location"])
    assert town.directory.rosters.roster.members[other_node.keys.id].revoked
    assert "Its key is revoked" in await one.page(path)


async def test_the_office_says_what_must_not_stand_in_a_profile(office: Office) -> None:
    node = await office.town.join("Marseille")
    desk = await office.desk()
    path = f"/members/{node.keys.id.hex()}/profile"
    form = await desk.form(path)

    assert (await desk.submit(form.fill(reason=" "))).status_code == 422
    done = await desk.submit(form.fill(reason="L’adresse d’un foyer n’a rien à faire ici."))
    assert done.headers["location"] == path
    assert "L’adresse d’un foyer n’a rien à faire ici." in await desk.page(path)


async def test_who_would_be_missing_for_the_threshold_cannot_be_removed(office: Office) -> None:
    desk = await office.desk()
    other = office.town.network.administrators[1].public.key_id

    answer = await desk.submit(await desk.form("/administrators", action=f"/administrators/{other.hex()}/remove"))

    assert answer.status_code == 422
    assert await office.town.directory.governance.pending() == []


async def test_the_log_tells_every_entry_in_words_and_is_saved(office: Office) -> None:
    town = office.town
    node = await town.join("Marseille")
    desk = await office.desk()
    await desk.page("/members")

    listed = await desk.page("/log")
    assert "The network was founded." in listed
    assert "Association Marseille was admitted." in listed
    assert "2 entries" in listed
    entry = await desk.page("/log/1")
    assert node.keys.id.hex() in entry
    assert "six words of its key" in entry
    assert "administrators who must sign: 2" in await desk.page("/log/0")
    for missing in ("/log/2", "/log/999999999999", "/log/-1", "/log/x"):
        assert (await desk.get(missing)).status_code == 404
    assert (await desk.get("/log/export")).content.count(b"cordee.v1.MemberAdmitted") == 1


async def test_what_runs_out_is_told_on_the_first_page_and_beside_the_member(office: Office) -> None:
    town = office.town
    node = await town.join("Marseille")
    short = town.card(node.keys, number=2, life=timedelta(days=9))
    await node.publish(short, node.keys.profile)
    desk = await office.desk()

    for page in (await desk.page("/"), await desk.page(f"/members/{node.keys.id.hex()}")):
        assert "The card of Association Marseille ends on" in page
    assert "Every administrator must sign" in await desk.page("/")


async def test_who_knows_of_an_entry_and_who_was_not_heard_of_is_told(office: Office) -> None:
    town = office.town
    marseille, lille = await town.join("Marseille"), await town.join("Lille")
    desk = await office.desk()
    await desk.page("/members")
    assert "0 of 2 nodes know it" in await desk.page("/log/2")
    assert "Association Lille: never heard of" in await desk.page("/")

    roster = town.directory.rosters.roster
    held = v1.HeldCheckpoint(
        network=roster.network,
        member=marseille.keys.id,
        size=roster.size,
        root=town.directory.rosters.root_at(roster.size),
        time=timestamp_of(town.clock.now()),
    )
    told = pb.TellHeldCheckpointRequest(held=marseille.keys.identity.sign(held).to_message())
    await marseille.roster.TellHeldCheckpoint(told, timeout=10)

    entry = await desk.page("/log/2")
    assert "1 of 2 nodes know it" in entry
    assert "Association Lille: never heard of" in entry
    assert "Association Marseille: " not in entry
    assert "never heard of" in await desk.page(f"/members/{lille.keys.id.hex()}")
    assert "not connected; heard of on" in await desk.page(f"/members/{marseille.keys.id.hex()}")


async def test_nothing_is_signed_while_the_directory_shows_another_log(office: Office) -> None:
    town = office.town
    node = await town.join("Marseille")
    desk = await office.desk()
    path = f"/members/{node.keys.id.hex()}"
    form = (await desk.form(path, action=f"{path}/change")).fill(do="suspend")
    begun = (await desk.submit(form)).headers["location"]
    signing = await desk.form(begun)
    working = desk.console._desk
    assert working is not None

    async def another(*_: Any) -> Any:
        raise RosterForked(size=2)

    working.client.sync = another  # type: ignore[method-assign]
    assert "What the directory shows is not the log that you know" in await desk.page("/")
    for sent in (form, signing):
        assert (await desk.submit(sent)).status_code in (409, 500)
    assert await town.directory.governance.pending() == []
    assert "2 entries" in await desk.page("/log")


async def test_a_directory_that_does_not_answer_leaves_the_log_that_was_verified(office: Office) -> None:
    await office.town.join("Marseille")
    desk = await office.desk()
    await desk.page("/members")
    front = desk.console.network.front

    async def nobody(*_: Any, **__: Any) -> Any:
        raise Unreachable(peer=front)

    working = desk.console._desk
    assert working is not None
    working.client.sync = nobody  # type: ignore[method-assign]
    page = await desk.page("/")
    assert "The directory does not answer" in page
    assert "1 active" in page
    assert "Association Marseille" in await desk.page("/members")
    assert "2 entries" in await desk.page("/log")


def office_words(key: Any) -> list[str]:
    return six_words(key.public)


async def test_evidence_on_this_machine_is_told_on_the_first_page(office: Office) -> None:
    desk = await office.desk()
    assert "holds evidence" not in await desk.page("/")
    log, roster = office.home(0).log(), office.town.network.roster
    moment = office.town.clock.now().replace(microsecond=0)
    other = Checkpoint(roster.origin, log.size, Digest(bytes(32)), moment)
    shown = sign_checkpoint(other, office.town.directory.house.log_key())

    async def nothing() -> list[v1.Entry]:
        return []

    await evidence.keep(log, size=log.size, shown=shown, refusal=RosterForked(size=log.size), fetch=nothing)
    told = await desk.page("/")
    assert "This machine holds evidence that two logs were shown, files of it: 1." in told
    assert "cordee admin evidence" in told
