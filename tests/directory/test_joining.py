from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from cordee.entries import add_signature
from cordee.ids import Digest
from cordee.joining import Progress
from cordee.roster import propose
from cordee.runtime.tls import TransportKey, spki_digest
from cordee.signing import SigningKey
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import statements_pb2 as v1
from directory.cards import fold
from tests.directory.town import Node, Town, encoded, profile_of, refused


async def test_an_invited_association_asks_is_admitted_gets_a_certificate_and_its_card_is_published(town: Town) -> None:
    profile = profile_of("Marseille")
    invitation = await town.invite(profile["legal_name"], profile["siret"])
    node = town.applicant("Marseille", encoded(profile))
    request = town.join_request(node, invitation)

    assert await town.enrol(request) == pb.JOIN_STATE_WAITING
    assert await town.enrol(request) == pb.JOIN_STATE_WAITING, "the same bytes again are answered the same"
    assert (await town.status(node)).state == pb.JOIN_STATE_WAITING

    await town.append(town.network.append(town.network.signed_entry(town.admission(node, profile))))
    answer = await town.status(node)
    assert answer.state == pb.JOIN_STATE_ADMITTED
    assert spki_digest(answer.certificate) == node.transport.digest
    assert (await town.status(node)).certificate == answer.certificate, "it is issued once"

    node.certificate = answer.certificate
    cards = [each async for each in node.roster.ListCards(pb.ListCardsRequest(after_revision=0))]
    assert [(each.card, each.profile) for each in cards] == [(node.keys.card.to_message(), encoded(profile))]


async def test_nothing_works_before_the_network_is_founded(tmp_path) -> None:
    town = Town.make(tmp_path / "directory")
    async with town.open():
        with refused("NOT_FOUNDED"):
            await town.invite("Association X", "12345678901234")
        with refused("NOT_FOUNDED"):
            await town.sign(town.network.signed_entry(v1.MemberSuspended(member=bytes(16))))


async def test_a_network_is_founded_once_and_the_same_genesis_is_answered_again(town: Town, tmp_path) -> None:
    assert await town.found() == town.network.roster.network
    other = Town.make(tmp_path / "another")
    town.network.entries[0] = other.network.entries[0]
    with refused("ALREADY_FOUNDED"):
        await town.found()


async def test_a_genesis_for_another_directory_is_refused(tmp_path) -> None:
    town, other = Town.make(tmp_path / "one"), Town.make(tmp_path / "two")
    town.network.entries[0] = other.network.entries[0]
    async with town.open():
        with refused("GENESIS_REFUSED"):
            await town.found()


async def test_a_wrong_secret_and_an_unknown_invitation_are_refused_alike(town: Town) -> None:
    profile = profile_of("Marseille")
    invitation = await town.invite(profile["legal_name"], profile["siret"])
    node = town.applicant("Marseille", encoded(profile))
    with refused("INVITATION_REFUSED"):
        await town.enrol(town.join_request(node, invitation, secret=b"x" * 32))
    with refused("INVITATION_REFUSED"):
        await town.enrol(town.join_request(node, bytes(16)))
    assert await town.enrol(town.join_request(node, invitation)) == pb.JOIN_STATE_WAITING, "a wrong try spends nothing"


async def test_an_invitation_works_once(town: Town) -> None:
    profile = profile_of("Marseille")
    invitation = await town.invite(profile["legal_name"], profile["siret"])
    await town.enrol(town.join_request(town.applicant("Marseille", encoded(profile)), invitation))
    with refused("INVITATION_REFUSED"):
        await town.enrol(town.join_request(town.applicant("Impostor", encoded(profile)), invitation))


async def test_an_invitation_runs_out(town: Town) -> None:
    profile = profile_of("Marseille")
    invitation = await town.invite(profile["legal_name"], profile["siret"], days=2)
    town.move(timedelta(days=2))
    with refused("INVITATION_REFUSED"):
        await town.enrol(town.join_request(town.applicant("Marseille", encoded(profile)), invitation))


async def test_a_profile_with_another_name_than_invited_is_refused(town: Town) -> None:
    invitation = await town.invite("Association Paris", "00097228100034")
    node = town.applicant("Marseille", encoded(profile_of("Marseille")))
    with refused("INVALID_RECORD"):
        await town.enrol(town.join_request(node, invitation))


async def test_a_certificate_request_for_another_key_than_the_card_is_refused(town: Town) -> None:
    profile = profile_of("Marseille")
    invitation = await town.invite(profile["legal_name"], profile["siret"])
    node = town.applicant("Marseille", encoded(profile))
    with refused("MALFORMED_KEY"):
        await town.enrol(town.join_request(node, invitation, csr=TransportKey.generate().request()))


async def test_a_request_signed_by_another_key_and_an_old_one_are_refused(town: Town) -> None:
    profile = profile_of("Marseille")
    invitation = await town.invite(profile["legal_name"], profile["siret"])
    node = town.applicant("Marseille", encoded(profile))
    body = v1.JoinRequest.FromString(town.join_request(node, invitation).body)
    with refused("BAD_SIGNATURE"):
        await town.enrol(SigningKey.generate(town.network.random).sign(body))
    old = town.join_request(node, invitation)
    town.move(timedelta(minutes=6))
    with refused("CLOCK_SKEW"):
        await town.enrol(old)


async def test_nobody_else_learns_how_a_request_stands(town: Town) -> None:
    profile = profile_of("Marseille")
    invitation = await town.invite(profile["legal_name"], profile["siret"])
    node = town.applicant("Marseille", encoded(profile))
    with refused("NOT_FOUND"):
        await town.status(node)
    await town.enrol(town.join_request(node, invitation))
    with refused("BAD_SIGNATURE"):
        await town.status(node, key=SigningKey.generate(town.network.random))


async def test_a_refused_applicant_is_told_why(town: Town) -> None:
    profile = profile_of("Marseille")
    invitation = await town.invite(profile["legal_name"], profile["siret"])
    node = town.applicant("Marseille", encoded(profile))
    await town.enrol(town.join_request(node, invitation))
    refusal = town.command(v1.RefuseJoinRequest(member=node.keys.id, reason="Appelez-nous."))
    await town.administer("RefuseJoinRequest", pb.RefuseJoinRequestRequest(command=refusal))
    answer = await town.status(node)
    assert (answer.state, answer.refusal_reason) == (pb.JOIN_STATE_REFUSED, "Appelez-nous.")


def steps(answer: pb.GetEnrolmentStatusResponse) -> dict[str, bool]:
    told = Progress.from_message(answer.progress, answer.refusal_reason)
    return {each.code: each.at is not None for each in told.steps}


def turn(answer: pb.GetEnrolmentStatusResponse) -> tuple[str, dict[str, Any]]:
    who, _, facts = Progress.from_message(answer.progress, answer.refusal_reason).next
    return str(who), facts


async def test_both_sides_read_one_checklist_with_its_times(town: Town) -> None:
    profile = profile_of("Marseille")
    begun = town.clock.now()
    invitation = await town.invite(profile["legal_name"], profile["siret"])
    listed = await listing(town)
    assert len(listed.open_invitations) == 1
    node = town.applicant("Marseille", encoded(profile))
    town.move(timedelta(hours=1))
    await town.enrol(town.join_request(node, invitation))
    answer = await town.status(node)
    assert steps(answer) == {
        "invited": True,
        "asked": True,
        "compared": False,
        "admitted": False,
        "connected": False,
    }
    assert turn(answer) == ("administrators", {})
    assert Progress.from_message(answer.progress, "").invited == begun
    assert Progress.from_message(answer.progress, "").asked == begun + timedelta(hours=1)

    town.move(timedelta(hours=1))
    one, two = town.network.administrators
    entry = town.network.signed_entry(town.admission(node, profile), one)
    await town.sign(entry)
    answer = await town.status(node)
    assert (steps(answer)["compared"], steps(answer)["admitted"]) == (True, False)
    assert turn(answer) == ("administrators", {"left": 1})
    listed = await listing(town)
    assert (len(listed.requests), len(listed.open_invitations)) == (1, 0)
    assert listed.requests[0].progress == answer.progress, "the office reads the same"

    town.move(timedelta(hours=1))
    assert (await town.sign(add_signature(entry, two))).appended
    (record,) = (await listing(town)).requests
    told = Progress.from_message(record.progress, "")
    assert (told.decided, told.connected, told.next[0]) == (begun + timedelta(hours=3), None, "association")
    answer = await town.status(node)
    assert turn(answer)[0] == "nobody"
    assert all(steps(answer).values())


async def listing(town: Town) -> pb.ListJoinRequestsResponse:
    command = town.command(v1.ListJoinRequests())
    answer: pb.ListJoinRequestsResponse = await town.administer(
        "ListJoinRequests", pb.ListJoinRequestsRequest(command=command)
    )
    return answer


async def refuse(town: Town, node: Node, reason: str) -> None:
    command = town.command(v1.RefuseJoinRequest(member=node.keys.id, reason=reason))
    await town.administer("RefuseJoinRequest", pb.RefuseJoinRequestRequest(command=command))


async def test_who_was_refused_puts_it_right_and_asks_again_with_the_same_invitation(town: Town) -> None:
    profile = profile_of("Marseille")
    invitation = await town.invite(profile["legal_name"], profile["siret"])
    node = town.applicant("Marseille", encoded(profile))
    await town.enrol(town.join_request(node, invitation))
    again = town.join_request(node, invitation)
    with refused("ANOTHER_STATEMENT"):
        await town.enrol(again)  # the first one waits

    await refuse(town, node, "L’adresse de l’abri est dans la description.")
    answer = await town.status(node)
    assert turn(answer)[0] == "association"
    assert not steps(answer)["admitted"]
    assert await town.enrol(again) == pb.JOIN_STATE_WAITING
    answer = await town.status(node)
    assert (answer.state, answer.refusal_reason, turn(answer)[0]) == (pb.JOIN_STATE_WAITING, "", "administrators")
    impostor = town.applicant("Impostor", encoded(profile))
    with refused("INVITATION_REFUSED"):
        await town.enrol(town.join_request(impostor, invitation))

    await refuse(town, node, "Encore un mot.")
    town.move(timedelta(days=15))
    with refused("INVITATION_REFUSED"):
        await town.enrol(town.join_request(node, invitation))
    newer = await town.invite(profile["legal_name"], profile["siret"])
    assert await town.enrol(town.join_request(node, newer)) == pb.JOIN_STATE_WAITING, "by a newer invitation too"


@pytest.mark.parametrize("reason", ["", " \n", "x" * 1001])
async def test_a_refusal_has_a_reason_that_can_be_read(town: Town, reason: str) -> None:
    profile = profile_of("Marseille")
    invitation = await town.invite(profile["legal_name"], profile["siret"])
    node = town.applicant("Marseille", encoded(profile))
    await town.enrol(town.join_request(node, invitation))
    with refused("INVALID_INPUT"):
        await refuse(town, node, reason)


async def test_the_directory_keeps_no_secret_of_an_open_invitation(town: Town) -> None:
    secret = b"a secret that nobody may read!!!"
    await town.invite("Association Marseille", "00097228100034", secret=secret)
    town.directory.db.truncate_log()
    assert not any(secret in path.read_bytes() for path in town.folder.rglob("*") if path.is_file())


async def test_one_administrator_alone_admits_nobody(town: Town) -> None:
    profile = profile_of("Marseille")
    node = town.applicant("Marseille", encoded(profile))
    entry = propose(town.admission(node, profile))
    one, two = town.network.administrators
    first = town.network.signed_entry(town.admission(node, profile), one)
    entry = first
    answer = await town.sign(entry)
    assert (answer.appended, answer.signatures, answer.threshold) == (False, 1, 2)
    assert (await town.sign(entry)).signatures == 1, "the same signature twice is one"
    assert town.directory.rosters.roster.size == 1

    second = v1.Entry(type=entry.type, body=entry.body, signatures=[two.sign_entry(entry.type, entry.body)])
    answer = await town.sign(second)
    assert (answer.appended, answer.signatures) == (True, 2)
    assert town.directory.rosters.roster.size == 2
    assert (await town.sign(second)).appended, "an entry that is in the log already is answered so"
    assert town.directory.rosters.roster.size == 2


async def test_forged_entries_are_refused(town: Town) -> None:
    profile = profile_of("Marseille")
    node = town.applicant("Marseille", encoded(profile))
    stranger = SigningKey.generate(town.network.random)
    with refused("NOT_AN_ADMINISTRATOR"):
        await town.sign(town.network.signed_entry(town.admission(node, profile), stranger))
    entry = town.network.signed_entry(town.admission(node, profile))
    entry.signatures[0].ed25519_signature = bytes(64)
    with refused("BAD_SIGNATURE"):
        await town.sign(entry)
    altered = town.network.signed_entry(town.admission(node, profile))
    altered.body = town.admission(node, profile, secrecy=False).SerializeToString()
    with refused("BAD_SIGNATURE"):
        await town.sign(altered)
    wrong = town.admission(node, profile)
    wrong.previous = Digest(bytes(32))
    with refused("ENTRY_REFUSED"):
        await town.sign(town.network.signed_entry(wrong))
    with refused("REFUSED"):
        await town.sign(town.network.signed_entry(v1.NodeRestored(member=node.keys.id)))
    assert town.directory.rosters.roster.size == 1


async def test_commands_are_by_an_administrator_for_this_network_now_and_once(town: Town) -> None:
    async def ask(command: v1.Signed) -> None:
        await town.administer("ListJoinRequests", pb.ListJoinRequestsRequest(command=command))

    good = town.command(v1.ListJoinRequests())
    await ask(good)
    with refused("REPLAYED"):
        await ask(good)
    with refused("WRONG_NETWORK"):
        await ask(town.command(v1.ListJoinRequests(), network=bytes(32)))
    with refused("CLOCK_SKEW"):
        await ask(town.command(v1.ListJoinRequests(), time=town.clock.now() - timedelta(minutes=6)))
    with refused("MALFORMED_STATEMENT"):
        await ask(town.command(v1.ListPendingEntries()))
    stranger = SigningKey.generate(town.network.random)
    with refused("NOT_AN_ADMINISTRATOR"):
        await ask(stranger.sign(v1.ListJoinRequests.FromString(good.body)).to_message())


async def test_two_members_cannot_show_one_name(town: Town) -> None:
    await town.join("Relais Été")
    profile = profile_of("relais  ETE", 1)
    invitation = await town.invite(profile["legal_name"], profile["siret"])
    with refused("NAME_TAKEN"):
        await town.enrol(town.join_request(town.applicant("relais  ETE", encoded(profile)), invitation))


async def test_entries_that_became_void_are_forgotten(town: Town) -> None:
    marseille = await town.join("Marseille")
    about = {**town.network.roster.head(marseille.keys.id, town.clock.now()), "member": marseille.keys.id}
    one = town.network.administrators[0]
    await town.sign(town.network.signed_entry(v1.MemberRemoved(**about), one))
    assert len(await town.directory.governance.pending()) == 1
    await town.append(town.network.suspend(marseille.keys))
    assert await town.directory.governance.pending() == []


# ---- names that look alike ----

ALIKE = {
    "case, accents, spaces": "amicale DU-nîd",
    "nothing to be seen between": "Amicale\u200b du\u00ad Nid",
    "width": "Ａmicale du Nid",
    "Cyrillic": "\u0410mi\u0441\u0430l\u0435 du Nid",
    "Greek": "Am\u03b9cale du \u039did",
    "a letter without its dot": "Am\u0131cale du Nid",
}


@pytest.mark.parametrize("name", ALIKE.values(), ids=ALIKE.keys())
def test_a_name_that_looks_like_anothers_is_that_name(name: str) -> None:
    assert name != "Amicale du Nid"
    assert fold(name) == fold("Amicale du Nid")


def test_names_of_other_alphabets_are_names_whatever_their_case() -> None:
    assert fold("ВЕРА") == fold("вера") != fold("вера и дом")
