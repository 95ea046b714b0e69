"""A member with valid keys and no scruples: it offers to a real node, and ships whatever it likes.

crook = Crook.of(street, raw_member, victim)
transfer = await crook.ships(Trick("case_id", "../../etc/passwd"))
"""

from __future__ import annotations

import copy
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from cordee import content, statements
from cordee.act import commitment, parse_act
from cordee.case import capacity_summary, case_of, encode_sections, minimise
from cordee.frame import Label, frame
from cordee.ids import Digest, TransferId
from cordee.sealing import SealingPublicKey, seal_padded
from cordee.signing import Signed
from cordee.statements import Answer, Offer, Parties, TreeHead
from cordee.summary import SUMMARY_BUCKET, seal_content_key
from cordee.transfer import Kind, State, kind_of
from cordee.v1 import statements_pb2 as v1
from node.demo import cases as synthetic
from tests.directory.town import Node
from tests.neighbours import Neighbour, Street, eventually

__all__ = ["HARMLESS", "SUMMARIES", "TRICKS", "Crook", "Parcel"]

_PURPOSE = "relocation"

HARMLESS = frozenset({"nothing"})


@dataclass
class Parcel:
    """What is shipped, before anything is done to it."""

    manifest: v1.Manifest
    sections: dict[str, bytes]
    files: list[bytes]
    summary: v1.Summary
    act: bytes
    nonce: bytes
    transfer: TransferId
    key: bytes = b""
    sealed_with: bytes = b""
    header: bytes = b""
    digest: bytes = b""
    announced: int = 0
    ciphertext: bytes = b""

    def listed(self) -> None:
        """The manifest says what the sections and files are."""
        del self.manifest.sections[:]
        for name, data in self.sections.items():
            self.manifest.sections.add(name=name, size=len(data), sha256=hashlib.sha256(data).digest())

    def section(self, name: str, change: Callable[[bytes], bytes]) -> None:
        """Another content of a section, duly listed."""
        self.sections[name] = change(self.sections[name])
        self.listed()


def _set(**fields: Any) -> Callable[[Parcel], None]:
    def trick(parcel: Parcel) -> None:
        for name, value in fields.items():
            setattr(parcel.manifest, name, value)

    return trick


def _in(section: str, text: str) -> Callable[[Parcel], None]:
    """One more field of a section, as JSON text."""

    def trick(parcel: Parcel) -> None:
        parcel.section(section, lambda data: data.rstrip()[:-1] + b"," + text.encode() + b"}")

    return trick


def _instead(section: str, data: bytes) -> Callable[[Parcel], None]:
    return lambda parcel: parcel.section(section, lambda _: data)


def _act(change: Callable[[bytes], bytes]) -> Callable[[Parcel], None]:
    """Another act, to which the token commits as well: it was chosen before the offer."""

    def trick(parcel: Parcel) -> None:
        parcel.act = parcel.manifest.act = change(parcel.act)

    return trick


def _more(name: str, data: bytes) -> Callable[[Parcel], None]:
    def trick(parcel: Parcel) -> None:
        parcel.sections[name] = data
        parcel.listed()

    return trick


def _file(**fields: Any) -> Callable[[Parcel], None]:
    """A file that no act names."""

    def trick(parcel: Parcel) -> None:
        parcel.files = [b"a file"]
        facts = {
            "attachment_id": "0b0c1a44-9c4b-4f0a-8d0e-000000000009",
            "file_name": "note.pdf",
            "media_type": "application/pdf",
            "size": 6,
            "sha256": hashlib.sha256(b"a file").digest(),
        }
        parcel.manifest.attachments.add(**facts | fields)

    return trick


def _twice(parcel: Parcel) -> None:
    parcel.manifest.sections.append(parcel.manifest.sections[0])


BEFORE: dict[str, Callable[[Parcel], None]] = {
    "nothing": lambda parcel: None,
    "another transfer": _set(transfer_id=bytes(16)),
    "another sender": _set(sender=bytes(16)),
    "another recipient": _set(recipient=bytes(16)),
    "a transfer id of no length": _set(transfer_id=b""),
    "another kind": _set(kind="update"),
    "no kind that there is": _set(kind="\N{RIGHT-TO-LEFT OVERRIDE}"),
    "another purpose": _set(purpose="emergency_shelter"),
    "no purpose that there is": _set(purpose="x" * 3000),
    "a case id that is a path": _set(case_id="../../../../tmp/x"),
    "a case id with a nought": _set(case_id="\x00"),
    "no case id": _set(case_id=""),
    "a case id of a million characters": _set(case_id="é" * 400_000),
    "an act that is none": _act(lambda data: b"{}"),
    "an act that is no JSON": _act(lambda data: b"\xff\xfe"),
    "an act that nests": _act(lambda data: b"[" * 50_000),
    "an act with half a letter": _act(lambda data: data.rstrip()[:-1] + rb',"x_note":"\ud800"}'),
    "an act with half a letter in a text": _act(lambda data: data.replace(b"ducatrice", rb"\udfff")),
    "an act with a number of no end": _act(lambda data: data.rstrip()[:-1] + b',"x":' + b"9" * 5000 + b"}"),
    "an act for another purpose": _act(lambda data: data.replace(b'"relocation"', b'"emergency_shelter"')),
    "an act about another case": _act(lambda data: data.replace(b'"case_id":"', b'"case_id":"0', 1)),
    "another nonce": _set(nonce=bytes(32)),
    "no nonce": _set(nonce=b""),
    "a section that there is not": _more("secrets", b"{}"),
    "a section that is no JSON": _instead("situation", b"\xff"),
    "a section that is a list": _instead("situation", b"[]"),
    "a section that is nothing": _instead("situation", b"null"),
    "a section that nests": _instead("situation", b'{"a":' * 20_000 + b"1" + b"}" * 20_000),
    "a section with a number of no end": _instead("situation", b'{"age_years":' + b"9" * 5000 + b"}"),
    "a section with no number": _instead("situation", b'{"age_years":NaN}'),
    "a field twice": _in("situation", '"departement_of_residence":"13"'),
    "a field that there is not": _in("situation", '"secret":"x"'),
    "a field of our own with half a letter": _in("situation", r'"x_a":"\ud800"'),
    "half a letter in a field": _in("situation", r'"summary":"\udc00"'),
    "a nought in a field": _in("situation", r'"x_b":"\u0000"'),
    "a section twice": _twice,
    "a file that no act names": _file(),
    "a file whose name is a path": _file(file_name="../../../etc/passwd"),
    "a file with another digest": _file(sha256=bytes(32)),
    "a file with a digest of no length": _file(sha256=b""),
    "a file of another size": _file(size=2**62),
    "a file whose id is a path": _file(attachment_id="../x"),
}
"""Done before it is encrypted, and before the offer where it concerns the act."""


def _cut(parcel: Parcel) -> None:
    parcel.ciphertext = parcel.ciphertext[:-1]
    parcel.announced = len(parcel.ciphertext)


def _longer(parcel: Parcel) -> None:
    parcel.ciphertext += bytes(16)
    parcel.announced = len(parcel.ciphertext)


def _bent(parcel: Parcel) -> None:
    middle = len(parcel.ciphertext) // 2
    parcel.ciphertext = parcel.ciphertext[:middle] + bytes(20) + parcel.ciphertext[middle + 20 :]


AFTER: dict[str, Callable[[Parcel], None]] = {
    "its end cut off": _cut,
    "something after its end": _longer,
    "bytes altered": _bent,
    "another beginning": lambda parcel: setattr(parcel, "header", bytes(56)),
    "another key": lambda parcel: setattr(parcel, "sealed_with", bytes(32)),
    "another digest of the manifest": lambda parcel: setattr(parcel, "digest", bytes(32)),
}
"""Done to what is encrypted."""

TRICKS = {**BEFORE, **AFTER}


def _told(**fields: Any) -> Callable[[v1.Summary], None]:
    def trick(summary: v1.Summary) -> None:
        for name, value in fields.items():
            if isinstance(value, list):
                del getattr(summary, name)[:]
                getattr(summary, name).extend(value)
            else:
                setattr(summary, name, value)

    return trick


SUMMARIES: dict[str, Callable[[v1.Summary], None]] = {
    "no kind": _told(kind=""),
    "a kind that there is not": _told(kind="gift"),
    "an update of nothing": _told(kind="update"),
    "an update of something that there is not": _told(kind="update", first_transfer_id=bytes(16)),
    "an update of an id that is none": _told(kind="update", first_transfer_id=b"\x01" * 7),
    "unreadable, as our own word for it": _told(kind="unreadable"),
    "a purpose that there is not": _told(purpose="x" * 500),
    "sections that there are not": _told(sections=["situation", "\x00", "é" * 200]),
    "no sections": _told(sections=[]),
    "the same section twice": _told(sections=["situation", "situation"]),
    "an age of four thousand million": _told(age=2**32 - 1),
    "files without number": _told(attachments=2**32 - 1),
    "control characters": _told(need="\x1b[2J\x00\u202e", departement="\n" * 50, gender="\x07"),
    "markup": _told(urgency="<script>alert(1)</script>", languages=["</td><img src=x>"]),
}
"""What an offer's summary says; a person looks at it before anything has come."""


@dataclass
class Crook:
    """Sends to one real node."""

    street: Street
    member: Node
    victim: Neighbour

    async def ships(self, trick: str) -> TransferId:
        """Offer as anybody would, wait until a person there has accepted, then ship with a trick. The transfer's id."""
        now, network = self.street.clock.now(), self.street.town.network
        parcel = self._parcel(trick)
        transfer = parcel.transfer
        offer = await self._offer(parcel)
        await self.victim.reaches(transfer, State.OFFERED)
        await self.victim.here.receiving.accept(self.victim.person, transfer)
        answer = Answer.parse(
            await self._answered(transfer), network.roster, offer=offer, now=self.street.clock.now(), history=True
        )
        self._encrypt(parcel, statements.transcript(offer.digest, answer.digest))
        if trick in AFTER:
            AFTER[trick](parcel)
        for begin in range(0, len(parcel.ciphertext), 500_000):
            await self.member.put(transfer, parcel.ciphertext[begin : begin + 500_000], begin)
        shipment = statements.ship(
            offer,
            answer,
            sealed_content_key=seal_content_key(
                parcel.sealed_with, to=answer.accepted().one_time_key, offer=offer.digest, answer=answer.digest
            ),
            ciphertext_size=parcel.announced,
            ciphertext_header=parcel.header,
            manifest_digest=Digest(parcel.digest),
            now=max(now, self.street.clock.now()),
            key=self.member.keys.identity,
        )
        await self.member.submit(shipment)
        return transfer

    def _parcel(self, trick: str) -> Parcel:
        now, node = self.street.clock.now(), self.victim.here
        org = node.roster.card(self.member.keys.id, now=now).profile.org_id
        record = synthetic.cases(now=now, owner=org, random=os.urandom)[0]
        document = synthetic.act(
            record, purpose=_PURPOSE, recipients=[self.victim.profile["org_id"]], attachments=[], now=now,
            random=os.urandom,
        )  # fmt: skip
        case, act = case_of(record), parse_act(document)
        package = minimise(case, purpose=_PURPOSE, act=act, hands_over=True)
        nonce, travels = os.urandom(32), act.for_travel().to_bytes()
        transfer = TransferId(os.urandom(16))
        parcel = Parcel(
            manifest=v1.Manifest(
                transfer_id=transfer,
                sender=self.member.keys.id,
                recipient=node.member,
                case_id=case.case_id,
                kind="transfer",
                purpose=_PURPOSE,
                act=travels,
                nonce=nonce,
            ),
            sections=dict(encode_sections(package)),
            files=[],
            summary=capacity_summary(case, purpose=_PURPOSE, kind="transfer", sections=tuple(package), now=now),
            act=travels,
            nonce=nonce,
            transfer=transfer,
        )
        parcel.listed()
        if trick in SUMMARIES:
            SUMMARIES[trick](parcel.summary)
        if trick in BEFORE:
            BEFORE[trick](parcel)
        return parcel

    async def offers(self, trick: str) -> TransferId:
        """An offer with a summary that no node of ours would write. The transfer's id."""
        return (await self._offer(self._parcel(trick))).transfer_id

    async def _offer(self, parcel: Parcel) -> Offer:
        network, now = self.street.town.network, self.street.clock.now()
        transfer = parcel.transfer
        parties = Parties(network.roster.network, transfer, self.member.keys.id, self.victim.here.member)
        card = self.victim.here.roster.own_card().card
        token = statements.new_token(
            transfer_id=transfer,
            sender=parties.sender,
            recipient=parties.recipient,
            not_before=now - timedelta(minutes=5),
            expires=now + timedelta(days=5),
            commitment=commitment(parcel.act, parcel.nonce),
            random=os.urandom,
        )
        signed = statements.offer(
            parties=parties,
            token=token,
            sealed_summary=sealed(parcel.summary, parties, card.sealing_key),
            recipient_card=card.number,
            size_bound=3_000_000,
            expires=now + timedelta(days=3),
            checkpoint=TreeHead(size=network.tree.size, root=Digest(network.tree.root())),
            now=now,
            key=self.member.keys.identity,
        )
        await self.member.submit(signed)
        return Offer.parse(signed, network.roster, now=now, history=True)

    async def _answered(self, transfer: TransferId) -> Signed:
        async def found() -> Signed | None:
            for message in (await self.member.transfer(transfer)).statements:
                signed = Signed.from_message(message)
                if signed.type == v1.Answer.DESCRIPTOR.full_name:
                    assert kind_of(v1.Answer.FromString(signed.body)) is Kind.ACCEPTANCE
                    return signed
            return None

        answer: Signed = await eventually(found, what="the acceptance")
        return answer

    def _encrypt(self, parcel: Parcel, context: bytes) -> None:
        parcel.key = parcel.sealed_with = os.urandom(32)
        manifest = copy.deepcopy(parcel.manifest)
        parcel.digest = content.manifest_digest(manifest.SerializeToString(deterministic=True))
        pieces = written(manifest, [*parcel.sections.values(), *parcel.files], parcel.key, context)
        parcel.ciphertext = pieces
        parcel.header, parcel.announced = pieces[:56], len(pieces)


def sealed(summary: v1.Summary, parties: Parties, to: SealingPublicKey) -> bytes:
    """A summary sealed as any other, whatever it says."""
    info = frame(Label.SEALED_SUMMARY, parties.network, parties.transfer_id, parties.sender, parties.recipient, b"")
    return seal_padded(summary.SerializeToString(), to=to, info=info, bucket=SUMMARY_BUCKET)


def written(manifest: v1.Manifest, parts: list[bytes], key: bytes, context: bytes) -> bytes:
    """The content by the format alone, without the checks that our own code makes before it writes one."""
    head = manifest.SerializeToString(deterministic=True)
    plain = len(head).to_bytes(4, "big") + head + b"".join(parts)
    plain += bytes(content.padme(max(len(plain), content.MINIMUM_SIZE)) - len(plain))
    writer = content.ContentWriter(key, context)
    return writer.update(plain) + writer.finish()
