"""The administrators' tool believes neither the directory nor a file that went through other hands."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from nacl.pwhash import argon2id

from cordee.checkpoint import Checkpoint, sign_checkpoint
from cordee.entries import add_signature, propose
from cordee.errors import (
    AlreadyExists,
    BadSignature,
    CheckpointRefused,
    EntryRefused,
    InvalidInput,
    InvalidRecord,
    InvitationRefused,
    KeyLocked,
    NotAnAdministrator,
    RosterForked,
    RosterRolledBack,
    RosterStale,
    WordsDiffer,
    WrongNetwork,
)
from cordee.ids import Digest
from cordee.policy import Policy
from cordee.runtime.command import root
from cordee.signing import SigningKey
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import statements_pb2 as v1
from cordee.words import six_words
from directory.administrator import keyfile
from directory.administrator.applicants import check_words, read_applicant
from directory.administrator.client import connected
from directory.administrator.entries import admission, describe, find_pending, require_next
from directory.administrator.genesis import Draft, draft
from directory.administrator.home import Home, LogCopy
from directory.house import Founding, House
from tests.builders import Network
from tests.directory.town import Town, encoded, profile_of

CHEAP = {"rounds": 1, "memory": 8192}


# ---- the key's file ----


def test_a_key_opens_with_its_passphrase_only(tmp_path: Path) -> None:
    made = keyfile.create(tmp_path / "key", b"twelve or more", random=os.urandom, **CHEAP)
    assert keyfile.open_key(tmp_path / "key", b"twelve or more").seed == made.seed
    assert keyfile.load_public(tmp_path / "key.pub") == keyfile.load_public(tmp_path / "key") == made.public
    assert made.seed not in (tmp_path / "key").read_bytes()
    with pytest.raises(KeyLocked):
        keyfile.open_key(tmp_path / "key", b"twelve or mora")
    with pytest.raises(AlreadyExists):
        keyfile.create(tmp_path / "key", b"twelve or more", random=os.urandom, **CHEAP)
    with pytest.raises(InvalidInput):
        keyfile.create(tmp_path / "other", b"short", random=os.urandom, **CHEAP)


def test_a_drawn_passphrase_is_kept_in_a_file_and_its_key_opens_without_stretching(tmp_path: Path) -> None:
    told = ("admin", "key", "new", "--out", str(tmp_path / "key"), "--draw-passphrase", str(tmp_path / "passphrase"))
    done = CliRunner().invoke(root, ["--yes", *told])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "passphrase").stat().st_mode & 0o777 == 0o600
    drawn = (tmp_path / "passphrase").read_bytes().strip()
    assert len(bytes.fromhex(drawn.decode())) == 32
    plain = json.loads((tmp_path / "key").read_bytes())
    assert {name: plain["argon2id"][name] for name in CHEAP} == CHEAP
    key = keyfile.open_key(tmp_path / "key", drawn)
    # What is typed is stretched, and if it were the same.
    keyfile.write(tmp_path / "typed", key, drawn, random=os.urandom)
    plain = json.loads((tmp_path / "typed").read_bytes())
    assert plain["argon2id"]["memory"] == argon2id.MEMLIMIT_MODERATE


def test_a_passphrase_is_not_drawn_into_a_file_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "passphrase").write_text("somebody's\n")
    told = ("admin", "key", "new", "--out", str(tmp_path / "key"), "--draw-passphrase", str(tmp_path / "passphrase"))
    assert CliRunner().invoke(root, ["--yes", *told]).exit_code != 0
    assert (tmp_path / "passphrase").read_text() == "somebody's\n"
    assert not (tmp_path / "key").exists()


@pytest.mark.parametrize("field", ["public", "sealed", "nonce"])
def test_a_key_file_of_which_anything_was_exchanged_does_not_open(tmp_path: Path, field: str) -> None:
    for name in ("one", "two"):
        keyfile.create(tmp_path / name, b"the same passphrase", random=os.urandom, **CHEAP)
    one, two = (json.loads((tmp_path / name).read_bytes()) for name in ("one", "two"))
    one[field] = two[field]
    (tmp_path / "one").write_text(json.dumps(one))
    with pytest.raises(KeyLocked):
        keyfile.open_key(tmp_path / "one", b"the same passphrase")


def test_a_key_file_cannot_ask_for_all_memory(tmp_path: Path) -> None:
    keyfile.create(tmp_path / "key", b"twelve or more", random=os.urandom, **CHEAP)
    plain = json.loads((tmp_path / "key").read_bytes())
    plain["argon2id"]["memory"] = 2**40
    (tmp_path / "key").write_text(json.dumps(plain))
    with pytest.raises(InvalidRecord):
        keyfile.open_key(tmp_path / "key", b"twelve or more")


# ---- the genesis that goes round ----


def test_a_genesis_is_complete_once_every_administrator_has_signed(tmp_path: Path) -> None:
    town = Town.make(tmp_path / "directory")
    keys = [SigningKey.generate(os.urandom) for _ in range(3)]
    founding = House(town.folder).founding()
    made = draft(
        founding,
        [key.public for key in keys],
        policy=Policy(threshold=2),
        random=os.urandom,
        now=town.clock.now(),
    )
    network = made.network
    for left, key in zip((2, 1, 0), keys, strict=True):
        made = Draft.parse(made.sign(key).to_bytes())
        assert (len(made.missing), made.network) == (left, network)
    assert made.sign(keys[0]) == made, "whoever signs twice has signed once"
    with pytest.raises(NotAnAdministrator):
        made.sign(SigningKey.generate(os.urandom))

    plain = json.loads(made.to_bytes())
    other = House(Town.make(tmp_path / "other").folder).founding()
    exchanged = plain | {"founding": json.loads(other.to_bytes())}
    with pytest.raises(InvalidRecord):
        Draft.parse(json.dumps(exchanged).encode())
    made.entry.signatures[1].ed25519_signature = bytes(64)
    with pytest.raises(BadSignature):
        Draft.parse(made.to_bytes())


def test_founding_files_that_are_none_are_refused() -> None:
    for data in (b"", b"{}", b"[]", b'{"format": "cordee founding 1"}', b"\xff"):
        with pytest.raises(InvalidRecord):
            Founding.parse(data)


# ---- the log ----


@pytest.fixture
def network() -> Network:
    return Network.found()


def copy_of(network: Network, folder: Path, *, size: int | None = None) -> LogCopy:
    copy = LogCopy(folder / "log", network.roster.network)
    copy.load()
    entries = network.entries[copy.size : size]
    copy.extend(entries, network.checkpoint(size=size), now=network.now)
    return copy


def test_the_copy_of_the_log_grows_and_is_verified_again_when_it_is_read(network: Network, tmp_path: Path) -> None:
    copy_of(network, tmp_path)
    network.admit("Paris")
    assert copy_of(network, tmp_path).roster == network.roster
    data = (tmp_path / "log").read_bytes()
    (tmp_path / "log").write_bytes(data + b"\x00\x00\x10\x00torn")
    network.admit("Marseille")
    assert copy_of(network, tmp_path).size == 3
    assert copy_of(network, tmp_path).roster == network.roster
    (tmp_path / "log").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(EntryRefused):
        copy_of(network, tmp_path)


def test_a_log_that_goes_back_forks_or_is_another_networks_is_refused(network: Network, tmp_path: Path) -> None:
    network.admit("Paris")
    copy_of(network, tmp_path)
    copy = LogCopy(tmp_path / "log", network.roster.network)
    copy.load()
    with pytest.raises(RosterRolledBack):
        copy.extend([], network.checkpoint(size=1), now=network.now)
    forked = sign_checkpoint(Checkpoint(network.roster.origin, 2, Digest(bytes(32)), network.now), network.directory)
    with pytest.raises(RosterForked):
        copy.extend([], forked, now=network.now)
    stranger = SigningKey.generate(network.random)
    checkpoint = Checkpoint(network.roster.origin, 2, Digest(network.tree.root()), network.now)
    with pytest.raises(CheckpointRefused):
        copy.extend([], sign_checkpoint(checkpoint, stranger), now=network.now)
    with pytest.raises(RosterStale):
        copy.extend([], network.checkpoint(), now=network.now + timedelta(hours=25))
    other = LogCopy(tmp_path / "other", Network.found(seed="other").roster.network)
    with pytest.raises(WrongNetwork):
        other.extend(network.entries, network.checkpoint(), now=network.now)


def test_a_home_is_for_one_network(network: Network, tmp_path: Path) -> None:
    town = Town.make(tmp_path / "directory")
    home = Home(tmp_path / "home")
    home.create(town.network.roster.network, House(town.folder).founding())
    home.create(town.network.roster.network, House(town.folder).founding())
    with pytest.raises(WrongNetwork):
        home.create(network.roster.network, House(town.folder).founding())


# ---- who asks to join ----


async def test_an_applicant_is_believed_only_with_an_invitation_that_an_administrator_signed(town: Town) -> None:
    profile = profile_of("Marseille")
    invitation = await town.invite(profile["legal_name"], profile["siret"], secrecy=False)
    node = town.applicant("Marseille", encoded(profile))
    await town.enrol(town.join_request(node, invitation))
    listed = await town.administer(
        "ListJoinRequests", pb.ListJoinRequestsRequest(command=town.command(v1.ListJoinRequests()))
    )
    (record,) = listed.requests
    roster = town.network.roster
    record.legal_name, record.bound_by_secrecy = "A lie of the directory's", True
    applicant = read_applicant(record, roster)
    assert (applicant.legal_name, applicant.bound_by_secrecy) == (profile["legal_name"], False)
    assert applicant.member == node.keys.id

    forged = pb.JoinRequestRecord()
    forged.CopyFrom(record)
    command = v1.CreateInvitation.FromString(record.invitation.body)
    command.bound_by_secrecy = True
    forged.invitation.CopyFrom(SigningKey.generate(town.network.random).sign(command).to_message())
    with pytest.raises(NotAnAdministrator):
        read_applicant(forged, roster)
    forged.invitation.CopyFrom(record.invitation)
    forged.invitation.body = command.SerializeToString()
    with pytest.raises(BadSignature):
        read_applicant(forged, roster)

    another = town.applicant("Impostor", encoded(profile))
    forged.CopyFrom(record)
    forged.join_request.CopyFrom(town.join_request(another, invitation, secret=b"x" * 32).to_message())
    with pytest.raises(InvitationRefused):
        read_applicant(forged, roster)


def test_the_six_words_are_compared_without_case_and_accents_and_refused_when_one_differs() -> None:
    key, other = (SigningKey.generate(os.urandom).public for _ in range(2))
    words = six_words(key)
    check_words(key, "  ".join(words).upper())
    check_words(key, ", ".join(words))
    for wrong in (" ".join(six_words(other)), " ".join(words[:5]), " ".join([*words[:5], "zèbre"]), ""):
        with pytest.raises(WordsDiffer):
            check_words(key, wrong)


# ---- what is signed ----


async def test_a_colleagues_entry_is_signed_only_if_it_says_the_same(town: Town) -> None:
    profile = profile_of("Marseille")
    invitation = await town.invite(profile["legal_name"], profile["siret"])
    node = town.applicant("Marseille", encoded(profile))
    await town.enrol(town.join_request(node, invitation))
    one, two = town.network.administrators
    common = {"root": town.ca, "network": town.network.roster.network, "clock": town.clock, "random": os.urandom}
    async with connected(town.listening.front, key=two, **common) as client:
        log = LogCopy(town.folder / "copy", town.network.roster.network)
        roster = await client.sync(log)
        ((applicant, _),) = (await client.applicants(roster))[0]
        mine = admission(applicant, roster, town.clock.now())
        lie = v1.MemberAdmitted()
        lie.CopyFrom(mine)
        lie.bound_by_secrecy = not mine.bound_by_secrecy
        assert find_pending([add_signature(propose(lie), one)], mine) is None

        begun = add_signature(propose(admission(applicant, roster, town.clock.now() - timedelta(minutes=3))), one)
        assert not (await client.sign_entry(begun)).appended
        found = find_pending(await client.pending(), mine)
        assert found == begun
        signed = add_signature(found, two)
        require_next(signed, roster, town.clock.now())
        assert (await client.sign_entry(signed)).appended
        assert node.keys.id in (await client.sync(log)).members


def test_an_entry_that_the_roster_would_not_take_is_not_offered_for_signing(network: Network) -> None:
    paris = network.admit("Paris")
    one = network.administrators[0]
    entry = network.signed_entry(
        v1.MemberReinstated(**network.roster.head(paris.id, network.now), member=paris.id), one
    )
    with pytest.raises(EntryRefused):
        require_next(entry, network.roster, network.now)
    future = network.now + timedelta(hours=1)
    entry = network.signed_entry(v1.MemberSuspended(**network.roster.head(paris.id, future), member=paris.id), one)
    with pytest.raises(EntryRefused):
        require_next(entry, network.roster, network.now)


def test_every_entry_that_administrators_sign_is_told_in_words(network: Network) -> None:
    paris = network.admit("Paris")
    key = SigningKey.generate(network.random)
    about = {**network.roster.head(paris.id, network.now), "member": paris.id}
    govern = network.roster.head(None, network.now)
    told = {
        type(statement).__name__: "\n".join(describe(propose(statement), network.roster, {paris.id: "Le Relais"}, "en"))
        for statement in (
            network.admission(network.new_member("Lyon")),
            v1.MemberSuspended(**about),
            v1.MemberReinstated(**about),
            v1.MemberRemoved(**about),
            v1.MemberCorrected(**about, registration=bytes(32)),
            v1.RecoveryAnnounced(**about, identity_key=key.public.to_message(), reason=v1.RECOVERY_REASON_STOLEN),
            v1.MemberRecovered(**about, identity_key=key.public.to_message()),
            v1.IdentityRevoked(**about),
            v1.AdministratorAdded(**govern, key=key.public.to_message()),
            v1.AdministratorRemoved(**govern, administrator=network.administrators[0].public.key_id),
            v1.PolicyChanged(**govern, policy=Policy(threshold=1).to_message()),
            v1.DirectoryKeyRotated(**govern, key=key.public.to_message()),
            v1.AuthorityRotated(**govern, certificate_digest=b"ca" * 16, old_end_time=govern["time"]),
        )
    }
    assert all("“Le Relais”" in told[name] for name in told if name.startswith("Member") and name != "MemberAdmitted")
    assert all(" ".join(six_words(key.public)) in told[name] for name in ("MemberRecovered", "RecoveryAnnounced"))
    due = (network.now + timedelta(days=7)).isoformat(timespec="minutes")
    assert "stolen" in told["RecoveryAnnounced"]
    assert due in told["RecoveryAnnounced"]
    assert " ".join(six_words(key.public)) in told["AdministratorAdded"]
    assert "administrators who must sign: 2 → 1" in told["PolicyChanged"]
    assert "not bound by secrecy" in told["MemberCorrected"]
    assert (b"ca" * 16).hex() in told["AuthorityRotated"]
    assert len(set(told.values())) == 13
