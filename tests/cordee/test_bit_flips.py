"""One bit flipped anywhere, in any statement, entry, note or ciphertext, and it is refused.

Thousands of flips, spread by a fixed seed over everything that is signed or sealed. What is read is read as its true
reader does, from the bytes as they are stored or sent.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.message import DecodeError, Message

from cordee.card import Card
from cordee.checkpoint import open_checkpoint
from cordee.content import ContentReader, write_content
from cordee.errors import CordeeError
from cordee.roster import Roster, apply
from cordee.signing import Signed, parse_body, verify
from cordee.summary import (
    DECLINE_REASONS,
    open_content_key,
    open_reason,
    open_report,
    open_sections,
    open_summary,
    transcript,
)
from cordee.times import timestamp_of
from cordee.v1 import statements_pb2 as v1
from tests.builders import Network
from tests.transfers import Story

FLIPS = 120
EDGE = 12
REFUSALS = (CordeeError, DecodeError, UnicodeDecodeError)


@dataclass(frozen=True)
class Target:
    """Bytes, and the reader that must take them whole and refuse them altered."""

    data: bytes
    read: Callable[[bytes], object]


def a_network() -> Network:
    network = Network.found(administrators=3)
    network.admit("Lille")
    return network


def statements() -> dict[str, Target]:
    """Every statement of a transfer, with every outcome, as the broker takes it."""
    story = Story.between(a_network(), "Paris", "Marseille")
    found: dict[str, Target] = {}

    def add(name: str, signed: Signed, read: Callable[..., object]) -> None:
        now = story.now

        def reader(data: bytes) -> object:
            again = Signed.from_bytes(data)
            try:
                return read(again, now=now, fresh=False, history=True)  # the mildest reader
            except CordeeError:
                return read(again, now=now)  # must refuse as well

        found[name] = Target(signed.to_bytes(), reader)

    add("Offer", story.make_offer(), story.read_offer)
    story.offer()
    add("Answer: acceptance", story.make_acceptance(), story.read_answer)
    add("Answer: refusal", story.make_refusal(), story.read_answer)
    add("Withdrawal", story.make_withdrawal(), story.read_withdrawal)
    story.accept()
    add("Shipment", story.make_shipment(), story.read_shipment)
    story.ship()
    add("Receipt: taken", story.make_receipt(), story.read_receipt)
    add("Receipt: refused", story.make_refused_receipt(), story.read_receipt)
    story.receive()
    add("Erasure: returned", story.make_return(), story.read_return)
    story.withdraw()
    add("Erasure: erased", story.make_erasure(), story.read_erasure)
    add("Erasure: refused", story.make_refused_erasure(), story.read_erasure)
    return found


def card() -> dict[str, Target]:
    network = a_network()
    lille = network.members["Lille"]

    def reader(data: bytes) -> object:
        return Card.parse(Signed.from_bytes(data), network.roster, now=network.now, profile=lille.profile)

    return {"Card": Target(lille.card.to_bytes(), reader)}


def commands() -> dict[str, Target]:
    """What applicants and administrators sign: parsed exactly and verified, as each of their readers begins."""
    network = a_network()
    applicant = network.new_member("Lyon")
    base: dict[str, Any] = {"network": network.roster.network, "time": timestamp_of(network.now)}
    bodies: list[Message] = [
        v1.JoinRequest(
            **base,
            invitation=network.random(16),
            secret=network.random(32),
            identity_key=applicant.identity.public.to_message(),
            card=applicant.card.to_message(),
            profile=applicant.profile,
            certificate_request=network.random(400),
        ),
        v1.RejoinRequest(
            **base,
            member=applicant.id,
            card=applicant.card.to_message(),
            profile=applicant.profile,
            certificate_request=network.random(400),
            nonce=network.random(16),
        ),
        v1.JoinStatusQuery(**base, member=applicant.id, nonce=network.random(16)),
        v1.CreateInvitation(
            **base,
            nonce=network.random(16),
            invitation=network.random(16),
            secret_digest=network.random(32),
            legal_name="Lyon",
            registration_number="000",
            bound_by_secrecy=True,
            expire_time=timestamp_of(network.now + timedelta(days=7)),
        ),
        v1.HeldCheckpoint(**base, member=applicant.id, size=3, root=network.random(32)),
        v1.ListHeldCheckpoints(**base, nonce=network.random(16)),
        v1.ListJoinRequests(**base, nonce=network.random(16)),
        v1.ListPendingEntries(**base, nonce=network.random(16)),
        v1.ListStandings(**base, nonce=network.random(16)),
        v1.ReadCard(**base, nonce=network.random(16), member=applicant.id),
        v1.ReadFigures(**base, nonce=network.random(16), year=2026),
        v1.ReadLog(**base, nonce=network.random(16), start=3),
        v1.RefuseCard(**base, nonce=network.random(16), member=applicant.id, number=1, reason="unknown"),
        v1.RefuseJoinRequest(**base, nonce=network.random(16), member=applicant.id, reason="unknown"),
    ]
    key = network.administrators[0]

    def reader(message_class: type[Message]) -> Callable[[bytes], object]:
        def read(data: bytes) -> object:
            signed = Signed.from_bytes(data)
            body = parse_body(signed, message_class)
            verify(signed, key.public)
            return body

        return read

    return {body.DESCRIPTOR.name: Target(key.sign(body).to_bytes(), reader(type(body))) for body in bodies}


def entries() -> dict[str, Target]:
    """Every kind of roster entry, applied where it stands in the log."""
    network = Network.found(administrators=3)
    lille, lyon = network.admit("Lille"), network.admit("Lyon")
    network.suspend(lille)
    network.reinstate(lille)
    network.rotate(lille)
    network.restore(lille)
    network.correct(lyon, "Lyon et Villeurbanne")
    network.announce_recovery(lyon)
    network.object(lyon)
    network.revoke(lyon)
    network.recover(lyon)
    network.remove(lyon)
    network.add_administrator()
    network.remove_administrator(network.administrators[0])
    network.change_policy(offer_life_limit=timedelta(days=7))
    network.rotate_directory_key()
    network.rotate_authority(b"another certificate")

    def reader(before: Roster | None, founded: Roster) -> Callable[[bytes], object]:
        def read(data: bytes) -> object:
            after = apply(before, v1.Entry.FromString(data))
            # A genesis founds whatever network it says: what a node asks is whether it is the one that it was given.
            if after.network != founded.network:
                raise CordeeError
            return after

        return read

    found: dict[str, Target] = {}
    before: Roster | None = None
    for entry in network.entries:
        name = entry.type.rpartition(".")[2]
        found.setdefault(name, Target(entry.SerializeToString(deterministic=True), reader(before, network.roster)))
        before = apply(before, entry)
    return found


def note() -> dict[str, Target]:
    network = a_network()

    def reader(data: bytes) -> object:
        return open_checkpoint(data.decode("utf-8"), network.roster.directory_key, network.roster.origin)

    return {"checkpoint note": Target(network.checkpoint().encode("utf-8"), reader)}


def ciphertexts() -> dict[str, Target]:
    """The sealed texts of a transfer, and the content itself."""
    story = Story.between(a_network(), "Paris", "Marseille").offer()
    parties, offer, to_sender = story.parties, story.offered.digest, story.sender.sealing
    refused = story.read_answer(story.make_refusal())
    story.accept()
    answer = story.answered
    story.ship().receive().withdraw().erase()
    sealed_key, bound = story.shipped.sealed_content_key, {"offer": offer, "answer": answer.digest}
    section = b'{"needs": "a bed tonight"}'
    manifest = v1.Manifest(
        case_id="c",
        sections=[v1.ManifestSection(name="needs", size=len(section), sha256=hashlib.sha256(section).digest())],
    )
    context = transcript(offer, answer.digest)
    content = b"".join(write_content(manifest, [section], [], key=story.content_key, context=context))

    def read_content(data: bytes) -> object:
        reader = ContentReader(story.content_key, context, expected_size=len(content))
        released = list(reader.feed(data))
        reader.finish()
        return released

    return {
        "sealed summary": Target(
            story.offered.sealed_summary,
            lambda data: open_summary(data, parties=parties, key=story.recipient.sealing),
        ),
        "sealed sections": Target(
            answer.accepted().sealed_sections,
            lambda data: open_sections(data, parties=parties, offer=offer, key=to_sender, offered=["needs"]),
        ),
        "sealed reason": Target(
            refused.sealed_reason or b"",
            lambda data: open_reason(data, codes=DECLINE_REASONS, parties=parties, about=offer, key=to_sender),
        ),
        "sealed report": Target(
            story.erased.sealed_report or b"",
            lambda data: open_report(data, parties=parties, about=story.withdrawn.digest, key=to_sender),
        ),
        "sealed content key": Target(sealed_key, lambda data: open_content_key(data, key=story.one_time, **bound)),
        "content": Target(content, read_content),
    }


TARGETS = {**statements(), **card(), **commands(), **entries(), **note(), **ciphertexts()}


def flips(name: str) -> list[int]:
    """Which bits: every one of the first and last bytes, where lengths and tags stand, and others by chance."""
    bits = 8 * len(TARGETS[name].data)
    edges = [*range(8 * EDGE), *range(bits - 8 * EDGE, bits)]
    return [*edges, *random.Random(name).sample(range(8 * EDGE, bits - 8 * EDGE), FLIPS)]


@pytest.mark.parametrize("name", TARGETS)
def test_one_bit_flipped_anywhere_is_refused(name: str) -> None:
    target = TARGETS[name]
    assert target.read(target.data) is not None
    for bit in flips(name):
        damaged = bytearray(target.data)
        damaged[bit // 8] ^= 1 << (bit % 8)
        try:
            target.read(bytes(damaged))
        except REFUSALS:
            continue
        pytest.fail(f"{name}: bit {bit} was flipped and nobody noticed")


def test_there_are_thousands_of_flips() -> None:
    assert sum(len(flips(name)) for name in TARGETS) >= 2_000
    assert all(len(flips(name)) >= 60 for name in TARGETS)


def test_every_type_that_is_signed_is_among_them() -> None:
    """Whatever names its network is signed on its own, or is an entry; the genesis is what names it."""
    signed = {
        name for name, message in v1.DESCRIPTOR.message_types_by_name.items() if "network" in message.fields_by_name
    }
    assert signed | {"Genesis"} <= {name.partition(":")[0] for name in TARGETS}
    outcomes = {
        f"{message.name}: {field.name}"
        for message in v1.DESCRIPTOR.message_types_by_name.values()
        if message.name in signed
        for oneof in message.oneofs
        for field in oneof.fields
    }
    assert outcomes <= set(TARGETS)
