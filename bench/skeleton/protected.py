"""The cryptography that the protocol demands of a transfer (protocol §5 to §7), with the real library calls.

Each party signs its two statements; the broker and the other party verify each once; summary, sections and content key
are sealed and opened; a one-time key is made; the content is encrypted and decrypted. Nothing is counted that a node
could leave out and still keep the protocol: no check of its own statements, no key made from its seed a second time.
What is sealed at rest belongs to the database, and is left out with it.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from bench.skeleton.sizes import Sizes
from bench.skeleton.work import kind_of
from bench.workload import PURPOSE, RECORD
from cordee.content import KEY_SIZE, ContentReader, size_bound, write_content
from cordee.ids import Digest, KeyId, MemberId, NetworkId, TransferId
from cordee.sealing import PUBLIC_KEY_SIZE, SealingKey, SealingPublicKey
from cordee.signing import SEED_SIZE, Signed, SigningKey, SigningPublicKey, verify
from cordee.summary import (
    SEALED_CONTENT_KEY_SIZE,
    SEALED_SECTIONS_SIZE,
    SEALED_SUMMARY_SIZE,
    Parties,
    open_content_key,
    open_sections,
    open_summary,
    seal_content_key,
    seal_sections,
    seal_summary,
    transcript,
)
from cordee.v1 import statements_pb2 as v1

__all__ = ["Checks", "OwnKeys", "Protected", "PublicKeys", "write_keys"]

_NETWORK = NetworkId(bytes(NetworkId.length))
_SENDER, _RECIPIENT = MemberId(b"s" * MemberId.length), MemberId(b"r" * MemberId.length)
_SECTIONS = ("identity", "situation", "needs", "actions")
_SUMMARY = v1.Summary(kind="transfer", purpose=PURPOSE, sections=_SECTIONS, departement="69", age=15)
_ED25519_SIZE = 32


@dataclass(frozen=True)
class PublicKeys:
    """What others know of a party."""

    signing: SigningPublicKey
    sealing: SealingPublicKey

    @classmethod
    def read(cls, folder: Path, name: str) -> Self:
        """What `write_keys` wrote."""
        told = (folder / f"{name}.public").read_bytes()
        signing = SigningPublicKey(told[:_ED25519_SIZE], told[_ED25519_SIZE:-PUBLIC_KEY_SIZE])
        return cls(signing, SealingPublicKey(told[-PUBLIC_KEY_SIZE:]))


@dataclass(frozen=True)
class OwnKeys:
    """A party's identity key and the key on its card."""

    signing: SigningKey
    sealing: SealingKey

    @classmethod
    def generate(cls) -> Self:
        """New ones."""
        return cls(SigningKey.generate(os.urandom), SealingKey.generate(os.urandom))

    @classmethod
    def read(cls, folder: Path, name: str) -> Self:
        """What `write_keys` wrote."""
        seeds = (folder / f"{name}.seeds").read_bytes()
        return cls(SigningKey.from_seed(seeds[:SEED_SIZE]), SealingKey.from_seed(seeds[SEED_SIZE:]))

    @property
    def public(self) -> PublicKeys:
        """Their public halves."""
        return PublicKeys(self.signing.public, self.sealing.public)


def write_keys(folder: Path, names: Iterable[str]) -> None:
    """Keys for each party: NAME.seeds (0600) and NAME.public."""
    for name in names:
        keys = OwnKeys.generate()
        path = folder / f"{name}.seeds"
        path.touch(mode=0o600)
        path.write_bytes(keys.signing.seed + keys.sealing.seed)
        public = keys.public
        (folder / f"{name}.public").write_bytes(public.signing.ed25519 + public.signing.mldsa65 + public.sealing)


class Checks:
    """The broker's part: each statement is its signer's."""

    def __init__(self, keys: Iterable[SigningPublicKey]) -> None:
        self._keys = {key.key_id: key for key in keys}

    def __call__(self, statement: v1.Signed) -> None:
        """Raises: BadSignature; KeyError for a stranger's."""
        verify(Signed.from_message(statement), self._keys[KeyId(statement.signer)])


@dataclass
class _UnderWay:
    """What a party remembers of a transfer."""

    said: dict[str, Digest] = field(default_factory=dict)  # the digest of each statement, by its kind
    one_time: SealingKey | None = None
    content_key: bytes = b""
    sealed_key: bytes = b""
    seal_to: bytes = b""


class Protected:
    """Both halves of a transfer as a node does them. The sealed texts stand first in a body, after the transfer's id.

    Raises: ValueError where a real transfer's content has another size than the one that is encrypted here.
    """

    def __init__(self, sizes: Sizes, mine: OwnKeys, other: PublicKeys) -> None:
        self._sizes = sizes
        self._mine = mine
        self._other = other
        self._record = os.urandom(RECORD)
        self._under_way: dict[TransferId, _UnderWay] = {}
        expected = size_bound(self._manifest(TransferId(bytes(TransferId.length))))
        if expected != sizes.ciphertext:
            raise ValueError(f"a real transfer has {sizes.ciphertext} bytes of ciphertext, not {expected}")

    def offer(self, transfer_id: TransferId) -> v1.Signed:
        """Seal the summary, sign."""
        summary = seal_summary(_SUMMARY, parties=_parties(transfer_id), to=self._other.sealing)
        self._under_way[transfer_id] = _UnderWay()
        return self._sign("Offer", transfer_id, summary)

    def answer(self, transfer_id: TransferId) -> v1.Signed:
        """Make the one-time key, seal the sections, sign."""
        transfer = self._under_way[transfer_id]
        transfer.one_time = SealingKey.generate(os.urandom)
        sections = seal_sections(
            _SECTIONS, parties=_parties(transfer_id), offer=transfer.said["Offer"], to=self._other.sealing
        )
        return self._sign("Answer", transfer_id, transfer.one_time.public, sections)

    def pack(self, transfer_id: TransferId) -> bytes:
        """Encrypt the content: the manifest, a record of 20 kB, the padding."""
        transfer = self._under_way[transfer_id]
        transfer.content_key = os.urandom(KEY_SIZE)
        manifest = self._manifest(transfer_id)
        return b"".join(
            write_content(manifest, [self._record], [], key=transfer.content_key, context=_context(transfer))
        )

    def shipment(self, transfer_id: TransferId) -> v1.Signed:
        """Seal the content key to the one-time key, sign."""
        transfer = self._under_way[transfer_id]
        sealed = seal_content_key(
            transfer.content_key,
            to=SealingPublicKey(transfer.seal_to),
            offer=transfer.said["Offer"],
            answer=transfer.said["Answer"],
        )
        return self._sign("Shipment", transfer_id, sealed)

    def unpack(self, transfer_id: TransferId, ciphertext: bytes) -> None:
        """Open the content key, decrypt and check to the authenticated end."""
        transfer = self._under_way[transfer_id]
        if transfer.one_time is None:
            raise RuntimeError("this transfer was not answered")
        key = open_content_key(
            transfer.sealed_key, key=transfer.one_time, offer=transfer.said["Offer"], answer=transfer.said["Answer"]
        )
        reader = ContentReader(key, _context(transfer), expected_size=self._sizes.ciphertext)
        for _ in reader.feed(ciphertext):
            pass
        reader.finish()

    def receipt(self, transfer_id: TransferId) -> v1.Signed:
        """Sign."""
        signed = self._sign("Receipt", transfer_id)
        del self._under_way[transfer_id]
        return signed

    def hear(self, transfer_id: TransferId, statement: v1.Signed) -> None:
        """Verify, and open what it seals. The content key waits until there is something to open with it."""
        signed = Signed.from_message(statement)
        verify(signed, self._other.signing)
        kind, parties, sealed = kind_of(statement), _parties(transfer_id), signed.body[TransferId.length :]
        if kind == "Receipt":
            del self._under_way[transfer_id]
            return
        transfer = self._under_way.setdefault(transfer_id, _UnderWay())
        transfer.said[kind] = signed.digest
        if kind == "Offer":
            open_summary(sealed[:SEALED_SUMMARY_SIZE], parties=parties, key=self._mine.sealing)
        elif kind == "Answer":
            transfer.seal_to = sealed[:PUBLIC_KEY_SIZE]
            sections = sealed[PUBLIC_KEY_SIZE:][:SEALED_SECTIONS_SIZE]
            offer, key = transfer.said["Offer"], self._mine.sealing
            open_sections(sections, parties=parties, offer=offer, key=key, offered=_SECTIONS)
        else:
            transfer.sealed_key = sealed[:SEALED_CONTENT_KEY_SIZE]

    def _sign(self, kind: str, transfer_id: TransferId, *sealed: bytes) -> v1.Signed:
        name = f"cordee.v1.{kind}"
        body = self._sizes.body(kind.lower(), transfer_id, *sealed)
        signature = self._mine.signing.sign_entry(name, body)
        signed = Signed(
            name, body, self._mine.signing.public.key_id, signature.ed25519_signature, signature.mldsa65_signature
        )
        self._under_way[transfer_id].said[kind] = signed.digest
        return signed.to_message()

    def _manifest(self, transfer_id: TransferId) -> v1.Manifest:
        digest = hashlib.sha256(self._record).digest()
        return v1.Manifest(
            transfer_id=transfer_id,
            sender=_SENDER,
            recipient=_RECIPIENT,
            case_id=str(uuid.UUID(bytes=bytes(transfer_id))),
            kind="transfer",
            purpose=PURPOSE,
            sections=[v1.ManifestSection(name="situation", size=RECORD, sha256=digest)],
        )


def _parties(transfer_id: TransferId) -> Parties:
    return Parties(_NETWORK, transfer_id, _SENDER, _RECIPIENT)


def _context(transfer: _UnderWay) -> bytes:
    return transcript(transfer.said["Offer"], transfer.said["Answer"])
