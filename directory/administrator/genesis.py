"""The genesis on its way from administrator to administrator: one file, signed by each in turn."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from cordee.entries import add_signature, network_id, propose
from cordee.errors import N_, InvalidRecord, MalformedStatement, NotAnAdministrator
from cordee.ids import KeyId, NetworkId
from cordee.jsonform import parsed_json
from cordee.policy import Policy
from cordee.roster import apply
from cordee.signing import MAX_SIGNED, SigningKey, SigningPublicKey, parse_message, verify_signature
from cordee.times import timestamp_of
from cordee.v1 import statements_pb2 as v1
from directory.house import Founding

__all__ = ["Draft", "draft"]

_FORMAT = "cordee genesis 1"
_MAX_BODY = 256 * 1024


@dataclass(frozen=True)
class Draft:
    """A genesis with the signatures that it has so far, and where the directory is."""

    founding: Founding
    entry: v1.Entry

    @property
    def network(self) -> NetworkId:
        """The network's id: it does not change with the signatures."""
        return network_id(self.entry)

    @property
    def genesis(self) -> v1.Genesis:
        """What is signed."""
        return parse_message(self.entry.body, v1.Genesis, _MAX_BODY)

    @property
    def administrators(self) -> list[SigningPublicKey]:
        """The keys that the genesis names."""
        return [SigningPublicKey.from_message(key) for key in self.genesis.administrators]

    @property
    def signed_by(self) -> frozenset[KeyId]:
        """Who has signed."""
        return frozenset(KeyId(one.signer) for one in self.entry.signatures)

    @property
    def missing(self) -> list[SigningPublicKey]:
        """Who has not signed yet."""
        return [key for key in self.administrators if key.key_id not in self.signed_by]

    def sign(self, key: SigningKey) -> Draft:
        """The draft with one signature more; signed by this key before, it stays as it is.

        Raises: NotAnAdministrator for a key that the genesis does not name.
        """
        if key.public not in self.administrators:
            raise NotAnAdministrator()
        if key.public.key_id in self.signed_by:
            return self
        return Draft(self.founding, add_signature(self.entry, key))

    def to_bytes(self) -> bytes:
        """The file."""
        plain = {
            "format": _FORMAT,
            "founding": json.loads(self.founding.to_bytes()),
            "entry": base64.b64encode(self.entry.SerializeToString()).decode("ascii"),
        }
        return json.dumps(plain, ensure_ascii=False, indent=1).encode()

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a draft and check all that can be checked before every administrator has signed.

        Raises: InvalidRecord, BadSignature, NotAnAdministrator, EntryRefused for a complete one that breaks a rule.
        """
        try:
            plain = parsed_json(data)
            if plain["format"] != _FORMAT:
                raise ValueError("another format")
            founding = Founding.parse(json.dumps(plain["founding"]).encode())
            entry = parse_message(base64.b64decode(plain["entry"], validate=True), v1.Entry, MAX_SIGNED)
            found = cls(founding=founding, entry=entry)
            genesis = found.genesis
        except (ValueError, KeyError, TypeError, MalformedStatement) as error:
            raise InvalidRecord(path=N_("genesis"), problem=N_("it is no genesis file of Cordée")) from error
        directory_key = SigningPublicKey.from_message(genesis.directory_key)
        named = (directory_key, genesis.ca_certificate, genesis.origin)
        if named != (founding.directory_key, founding.ca_certificate, founding.origin):
            raise InvalidRecord(path=N_("genesis"), problem=N_("it is for another directory than the one beside it"))
        keys = {key.key_id: key for key in found.administrators}
        for one in entry.signatures:
            key = keys.get(KeyId(one.signer))
            if key is None:
                raise NotAnAdministrator()
            verify_signature(one, entry.type, entry.body, key)
        if not found.missing:
            apply(None, entry)
        return found


def draft(
    founding: Founding,
    administrators: Sequence[SigningPublicKey],
    *,
    policy: Policy,
    random: Callable[[int], bytes],
    now: datetime,
) -> Draft:
    """A genesis that nobody has signed yet. Raises: InvalidRecord for keys that stand twice, or too few of them."""
    if len({key.key_id for key in administrators}) != len(administrators):
        raise InvalidRecord(path="administrator", problem=N_("a key stands there twice"))
    if len(administrators) < policy.threshold:
        raise InvalidRecord(path="threshold", problem=N_("there are fewer administrators than must sign"))
    genesis = v1.Genesis(
        nonce=random(32),
        administrators=[key.to_message() for key in administrators],
        policy=policy.to_message(),
        directory_key=founding.directory_key.to_message(),
        origin=founding.origin,
        ca_certificate=founding.ca_certificate,
        time=timestamp_of(now),
    )
    return Draft(founding, propose(genesis))
