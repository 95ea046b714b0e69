"""Entries of the roster log: making them, signing them, and the three digests that are taken of one (protocol §4)."""

from __future__ import annotations

from google.protobuf.message import Message

from cordee.errors import N_, InvalidInput
from cordee.frame import Label, blake2b_256, frame
from cordee.ids import Digest, NetworkId
from cordee.log import leaf_hash
from cordee.signing import SigningKey
from cordee.v1 import statements_pb2 as v1

__all__ = ["add_signature", "entry_digest", "entry_leaf", "network_id", "propose"]


def network_id(genesis: v1.Entry) -> NetworkId:
    """The network that a genesis founds: the digest of its type and body. Every statement names it."""
    return NetworkId(blake2b_256(Label.NETWORK, genesis.type.encode("utf-8"), genesis.body))


def entry_digest(entry: v1.Entry) -> Digest:
    """What the next entry about the same subject names as `previous`. The signatures are no part of it."""
    return Digest(blake2b_256(Label.ENTRY, entry.type.encode("utf-8"), entry.body))


def entry_leaf(entry: v1.Entry) -> bytes:
    """The entry's leaf hash in the Merkle tree: over a frame of type, body and every signature.

    Not over the serialised entry: protobuf has several forms of one message, and every node must get the same root.
    """
    signatures = [
        part for one in entry.signatures for part in (one.signer, one.ed25519_signature, one.mldsa65_signature)
    ]
    return leaf_hash(frame(Label.LEAF, entry.type.encode("utf-8"), entry.body, *signatures))


def propose(statement: Message) -> v1.Entry:
    """An entry without signatures. The statement is serialised here, once: all sign these bytes."""
    return v1.Entry(type=statement.DESCRIPTOR.full_name, body=statement.SerializeToString(deterministic=True))


def add_signature(entry: v1.Entry, key: SigningKey) -> v1.Entry:
    """The entry with one signature more, in the order that `apply` asks for: by the signers' key ids.

    Raises: InvalidInput if this key has signed it already.
    """
    signer = key.public.key_id
    if any(one.signer == signer for one in entry.signatures):
        raise InvalidInput(field="signatures", problem=N_("this key has signed already"))
    signatures = [*entry.signatures, key.sign_entry(entry.type, entry.body)]
    signatures.sort(key=lambda one: one.signer)
    return v1.Entry(type=entry.type, body=entry.body, signatures=signatures)
