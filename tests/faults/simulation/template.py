"""The network that every seed begins with: founded once, by the product's own code, in the simulated world.

A directory, three associations that know each other, and for each of them cases with an act for both of the others.
"""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from cordee.act import parse_act
from cordee.case import case_of
from cordee.entries import add_signature, entry_leaf, propose
from cordee.ids import MemberId
from cordee.invitation import Invitation
from cordee.members import registration_digest
from cordee.policy import Policy
from cordee.roster import apply
from cordee.signing import SigningKey, member_id_of
from cordee.times import timestamp_of
from cordee.v1 import statements_pb2 as v1
from directory.house import House, initialise
from node import acts, joining, records
from node.attachments import StoredAttachment
from node.demo import cases as synthetic
from node.vault import FILE, Vault
from node.vault_file import VaultFile
from tests.builders import Network as Paper
from tests.builders import seeded_random
from tests.directory import town as towns
from tests.directory.town import Town, encoded, profile_of

from .loop import Loop
from .platform import _dial
from .world import BEGINS, FRONT, MEMBERS, World, drawing

__all__ = ["NAMES", "PURPOSES", "Template", "found"]

NAMES = ("Paris", "Marseille", "Lille")
PURPOSES = {"transfer": "relocation", "referral": "joint_followup"}
_PASSPHRASE = b"une phrase de passe de test"
_ORIGIN = "cordee.example/simulation"
_KINDS = ("transfer", "transfer", "referral")
"""What each association's cases are for, one after the other: to be handed over, or to be shared."""
_FOUNDED = BEGINS - timedelta(days=1)


@dataclass(frozen=True)
class Known:
    """A case of the template, and the act that allows it to go to each of the others."""

    case_id: str
    kind: str
    attachment: str
    acts: dict[str, str]
    words: bytes
    """Of what is told in it: nobody but the two associations may ever have them in clear."""


@dataclass(frozen=True)
class Template:
    """Folders to copy, and what is known of them."""

    folder: Path
    vault_keys: dict[str, bytes]
    members: dict[str, MemberId]
    cases: dict[str, list[Known]]
    administrator: bytes
    """The seed of the one key with which the office signs."""

    def vault(self, name: str) -> Vault:
        """A node's, without the passphrase's long way."""
        return Vault(self.vault_keys[name])


def found(folder: Path) -> Template:
    """Found it in an empty folder."""
    for making in (Vault.create, VaultFile.seal):  # nobody guesses these passphrases, so they are stretched but little
        making.__func__.__kwdefaults__.update(opslimit=1, memlimit=8192)  # type: ignore[attr-defined]
    loop = Loop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(_found(folder))
    finally:
        asyncio.set_event_loop(None)


async def _found(folder: Path) -> Template:
    made = folder / "made"
    made.mkdir()
    world = World("template", made, told=lambda _: None)
    world.offset = _FOUNDED - BEGINS
    town = _town(folder / "directory-new", world)
    towns.channel = _dial  # type: ignore[assignment]
    directory = world.settle("directory", folder / "directory-new")
    town.folder = directory.folder
    await directory.start().opened.wait()
    town.listening = _Listening()  # type: ignore[assignment]
    town.clock = directory.clock  # type: ignore[assignment]
    await town.found()
    keys: dict[str, bytes] = {}
    for number, name in enumerate(NAMES):
        keys[name] = await _settle(world, town, folder, name, number)
    profiles = {name: profile_of(name, number) for number, name in enumerate(NAMES)}
    for name in NAMES:
        place = world.settle(name, folder / f"{name}-new", Vault(keys[name]))
        await place.start().opened.wait()
    for name in NAMES:
        here = world.places[name].here
        await here.listener.caught_up.wait()
        while len([each for each in here.roster.members() if each.card_expires]) < len(NAMES):  # noqa: ASYNC110
            await asyncio.sleep(1)
    members = {name: world.places[name].here.member for name in NAMES}
    cases = {name: await _cases(world, name, profiles) for name in NAMES}
    await asyncio.sleep(30)
    for place in world.places.values():
        await place.stop()
    return Template(made, keys, members, cases, town.network.administrators[0].seed)


class _Listening:
    members, front = MEMBERS, FRONT


def _town(folder: Path, world: World) -> Town:
    """As `Town.make`, at a time that is always the same."""
    random, now = seeded_random("simulation"), world.now().replace(microsecond=0)
    initialise(folder, origin=_ORIGIN, members=MEMBERS, front=FRONT, random=random, now=now)
    house = House(folder)
    keys = [SigningKey.generate(random)]
    genesis = propose(
        v1.Genesis(
            nonce=random(32),
            administrators=[key.public.to_message() for key in keys],
            policy=Policy(threshold=1).to_message(),
            directory_key=house.log_key().public.to_message(),
            origin=_ORIGIN,
            ca_certificate=house.founding().ca_certificate,
            time=timestamp_of(now),
        )
    )
    genesis = add_signature(genesis, keys[0])
    paper = Paper(
        administrators=keys,
        directory=house.log_key(),
        random=random,
        now=now,
        roster=apply(None, genesis),
        entries=[genesis],
    )
    paper.tree.append(entry_leaf(genesis))
    return Town(folder=folder, clock=None, network=paper)  # type: ignore[arg-type]  # the directory's, once it is there


async def _settle(world: World, town: Town, folder: Path, name: str, number: int) -> bytes:
    """Invite, ask, admit, certify: by the node's own code. The vault's key."""
    profile, random = profile_of(name, number), drawing(f"template/{name}")
    data, secret = folder / f"{name}-new", random(32)
    clock = world.directory.clock
    invitation = await town.invite(profile["legal_name"], profile["siret"], secret=secret)
    identity = joining.initialise(data, passphrase=_PASSPHRASE, random=random, clock=clock)
    asked = Invitation(
        network=town.network.roster.network,
        members=MEMBERS,
        front=FRONT,
        ca_certificate=town.ca,
        invitation=invitation,
        secret=secret,
        legal_name=profile["legal_name"],
        registration_number=profile["siret"],
        bound_by_secrecy=True,
        expires=clock.now() + timedelta(days=14),
    )
    await joining.request(
        data,
        passphrase=_PASSPHRASE,
        invitation=asked.to_bytes(),
        profile=encoded(profile),
        clock=clock,
        random=random,
    )
    network = town.network
    network.now = max(network.now, clock.now())
    admitted = v1.MemberAdmitted(
        **network.roster.head(member_id_of(identity), clock.now()),
        member=member_id_of(identity),
        identity_key=identity.to_message(),
        registration=registration_digest(profile["legal_name"], profile["siret"]),
        bound_by_secrecy=True,
    )
    entry = network.append(network.signed_entry(admitted))
    assert (await town.sign(entry)).appended
    await joining.wait(data, passphrase=_PASSPHRASE, clock=clock, random=random)
    return VaultFile.read(data / FILE).unlock(_PASSPHRASE)


async def _cases(world: World, name: str, profiles: dict[str, dict[str, Any]]) -> list[Known]:
    place, made = world.places[name], []
    node, now, random = place.here, place.clock.now(), drawing(f"cases/{name}")
    records_of = synthetic.cases(now=now, owner=profiles[name]["org_id"], random=random)
    for record, kind in zip(records_of, _KINDS, strict=False):
        case = case_of(record)
        await node.db.write(
            lambda tx, case=case: records.create_case(tx, node.vault, case, by="camille", now=now, random=random)
        )
        attachment = await _attach(world, node, case.case_id, random)
        allowed = {}
        for other in NAMES:
            if other != name:
                document = synthetic.act(
                    record,
                    purpose=PURPOSES[kind],
                    recipients=[profiles[other]["org_id"]],
                    attachments=[attachment],
                    now=now,
                    random=random,
                )
                act = parse_act(document)
                await node.db.write(lambda tx, act=act: acts.record_act(tx, node.vault, act, by="camille", now=now))
                allowed[other] = act.act_id
        made.append(Known(case.case_id, kind, attachment, allowed, _words_of(record)))
    return made


async def _attach(world: World, node: Any, case_id: str, random: Any) -> str:
    stored = await node.db.read(lambda tx: records.read_case(tx, node.vault, case_id))
    attachment_id = synthetic_id(random)
    written = node.attachments.write(stored.data_key, attachment_id, [b"une note confidentielle " * 40])
    attachment = StoredAttachment(
        attachment_id=attachment_id,
        file_id=written.file_id,
        file_name="note.pdf",
        media_type="application/pdf",
        kind="report",
        section="actions",
        size=written.size,
        sha256=written.sha256,
        may_be_sent=True,
        third_party_data=False,
    )
    now = node.clock.now()
    await node.db.write(lambda tx: records.add_attachment(tx, node.vault, case_id, attachment, by="camille", now=now))
    return attachment_id


def _words_of(record: Any) -> bytes:
    """The longest run of plain letters in a case."""
    texts = re.findall(r"[a-z ,.]{12,}", json.dumps(record, ensure_ascii=False))
    return max(texts, key=len).encode()


def synthetic_id(random: Any) -> str:
    """A UUID of this chance's."""

    return str(uuid.UUID(bytes=random(16), version=4))
