"""Hybrid signatures: every statement is signed with Ed25519 and with ML-DSA-65, and both must verify (protocol §2, §3).

Ed25519 goes through libsodium (PyNaCl) only: it refuses small-order and non-canonical keys that other libraries accept,
and two honest nodes that disagree on one signature would hold two different rosters.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from threading import Lock
from typing import Self, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet
from nacl.bindings import crypto_core_ed25519_is_valid_point
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey as Ed25519Key
from nacl.signing import VerifyKey as Ed25519PublicKey

from cordee.errors import N_, BadSignature, MalformedKey, MalformedStatement
from cordee.frame import Label, blake2b_128, blake2b_256, frame
from cordee.ids import Digest, KeyId, MemberId
from cordee.v1 import statements_pb2 as v1

__all__ = [
    "ED25519_SIGNATURE_SIZE",
    "MAX_BODY",
    "MAX_SIGNED",
    "MLDSA65_SIGNATURE_SIZE",
    "SEED_SIZE",
    "Signed",
    "SigningKey",
    "SigningPublicKey",
    "kept_statement",
    "member_id_of",
    "parse_body",
    "parse_message",
    "verify",
    "verify_signature",
]

MAX_BODY = 64 * 1024
"""Bytes of a statement's body, unless a caller says otherwise."""
MAX_SIGNED = 512 * 1024
"""Bytes of a whole signed statement: what one gRPC message may carry."""
SEED_SIZE = 64
ED25519_SIGNATURE_SIZE = 64
MLDSA65_SIGNATURE_SIZE = 3309

_ED25519_KEY_SIZE = 32
_MLDSA65_KEY_SIZE = 1952
_CONTEXT = b"cordee/v1"
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9.]{0,99}")

M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class SigningPublicKey:
    """A hybrid signature key's public half.

    Raises: MalformedKey where a length is wrong, or where the Ed25519 part is no canonical point of the prime-order
    group (RFC 8032 §5.1.3): with such a key one signature could fit many messages.
    """

    ed25519: bytes
    mldsa65: bytes

    def __post_init__(self) -> None:
        if len(self.ed25519) != _ED25519_KEY_SIZE or not crypto_core_ed25519_is_valid_point(self.ed25519):
            raise MalformedKey(what=N_("Ed25519 public key"))
        if len(self.mldsa65) != _MLDSA65_KEY_SIZE:
            raise MalformedKey(what=N_("ML-DSA-65 public key"))

    @cached_property
    def key_id(self) -> KeyId:
        """BLAKE2b-128 over both public keys (protocol §3)."""
        return KeyId(blake2b_128(Label.KEY_ID, self.ed25519, self.mldsa65))

    @cached_property
    def _mldsa65(self) -> MLDSA65PublicKey:
        return MLDSA65PublicKey.from_public_bytes(self.mldsa65)

    def to_message(self) -> v1.PublicKey:
        """The key as it stands in statements."""
        return v1.PublicKey(ed25519=self.ed25519, mldsa65=self.mldsa65)

    @classmethod
    def from_message(cls, message: v1.PublicKey) -> Self:
        """Raises: MalformedKey."""
        return cls(ed25519=message.ed25519, mldsa65=message.mldsa65)


@dataclass(frozen=True)
class Signed:
    """A statement as it is stored, hashed and sent: `body` is never serialised a second time.

    Holding one says that its form is right, not that it is true: `verify` does that.

    Raises: MalformedStatement where a length or the type's form is wrong.
    """

    type: str
    body: bytes
    signer: KeyId
    ed25519_signature: bytes
    mldsa65_signature: bytes

    def __post_init__(self) -> None:
        if _TYPE.fullmatch(self.type) is None:
            raise MalformedStatement(what=N_("Signed"), problem=N_("its type is no message name"))
        _check_signature_sizes(self.ed25519_signature, self.mldsa65_signature)

    @classmethod
    def from_message(cls, message: v1.Signed) -> Self:
        """Raises: MalformedStatement for wrong lengths and for fields that this version does not know."""
        _refuse_unknown_fields(message)
        return cls(
            type=message.type,
            body=message.body,
            signer=KeyId(message.signer),
            ed25519_signature=message.ed25519_signature,
            mldsa65_signature=message.mldsa65_signature,
        )

    def to_message(self) -> v1.Signed:
        """The statement as it stands in other messages."""
        return v1.Signed(
            type=self.type,
            body=self.body,
            signer=self.signer,
            ed25519_signature=self.ed25519_signature,
            mldsa65_signature=self.mldsa65_signature,
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` gave. One statement has one form: another order of fields or a repeated one is refused.

        Raises: MalformedStatement.
        """
        signed = cls.from_message(parse_message(data, v1.Signed, max_size=MAX_SIGNED))
        # The envelope itself is not signed: without this a stranger could give one statement many forms.
        if signed.to_bytes() != data:
            raise MalformedStatement(what=N_("Signed"), problem=N_("its form is not canonical"))
        return signed

    def to_bytes(self) -> bytes:
        """The statement for a file or a column."""
        return self.to_message().SerializeToString(deterministic=True)

    @cached_property
    def digest(self) -> Digest:
        """What the next statement refers to: BLAKE2b-256 over type, body and both signatures (protocol §3)."""
        return Digest(
            blake2b_256(
                Label.DIGEST, self.type.encode("ascii"), self.body, self.ed25519_signature, self.mldsa65_signature
            )
        )


@lru_cache(maxsize=256)
def kept_statement(raw: bytes) -> Signed:
    """A statement from one's own store. The few of a transfer under way are asked for at every step of it.

    Raises: MalformedStatement.
    """
    return Signed.from_bytes(raw)


@dataclass(frozen=True)
class SigningKey:
    """A hybrid signature key. `seed` is all of it: 32 bytes of Ed25519 (RFC 8032), then 32 of ML-DSA-65 (FIPS 204)."""

    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.seed) != SEED_SIZE:
            raise MalformedKey(what=N_("signing key seed"))

    @classmethod
    def generate(cls, random: Callable[[int], bytes]) -> Self:
        """A new key. `random(n)` gives n bytes that nobody can guess."""
        return cls(random(SEED_SIZE))

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """The key that `seed` was taken from. Raises: MalformedKey where it has not 64 bytes."""
        return cls(seed)

    @cached_property
    def _ed25519(self) -> Ed25519Key:
        return Ed25519Key(self.seed[:32])

    @cached_property
    def _mldsa65(self) -> MLDSA65PrivateKey:
        return MLDSA65PrivateKey.from_seed_bytes(self.seed[32:])

    @cached_property
    def public(self) -> SigningPublicKey:
        """What others verify with."""
        return SigningPublicKey(
            ed25519=bytes(self._ed25519.verify_key), mldsa65=self._mldsa65.public_key().public_bytes_raw()
        )

    def sign(self, message: Message) -> Signed:
        """Serialise `message`, once and for all, and sign it.

        ML-DSA signing draws randomness of its own (hedged, FIPS 204 §3.4): signing twice gives two statements with
        two digests, so keep the first.
        """
        type_name = message.DESCRIPTOR.full_name
        body = message.SerializeToString(deterministic=True)
        signature = self.sign_entry(type_name, body)
        return Signed(
            type=type_name,
            body=body,
            signer=self.public.key_id,
            ed25519_signature=signature.ed25519_signature,
            mldsa65_signature=signature.mldsa65_signature,
        )

    def sign_entry(self, type_name: str, body: bytes) -> v1.Signature:
        """Both signatures on a body that exists already: an entry of the roster log has several signers."""
        signed = _signed_bytes(type_name, body)
        return v1.Signature(
            signer=self.public.key_id,
            ed25519_signature=self._ed25519.sign(signed).signature,
            mldsa65_signature=self._mldsa65.sign(signed, _CONTEXT),
        )


def verify(signed: Signed, key: SigningPublicKey) -> None:
    """Check that `key` is the signer and that both signatures hold.

    Raises: BadSignature, whichever of the three fails.
    """
    if signed.signer != key.key_id:
        raise BadSignature(what=signed.type.rpartition(".")[2])
    if _PROVED.holds(signed.digest, key):
        return
    _verify(signed.type, signed.body, signed.signer, signed.ed25519_signature, signed.mldsa65_signature, key)
    _PROVED.add(signed.digest, key)


def verify_signature(signature: v1.Signature, type_name: str, body: bytes, key: SigningPublicKey) -> None:
    """Check one signer's pair of signatures on an entry of the roster log.

    Raises: BadSignature; MalformedStatement where it has wrong lengths or unknown fields.
    """
    _refuse_unknown_fields(signature)
    _check_signature_sizes(signature.ed25519_signature, signature.mldsa65_signature)
    signer = KeyId(signature.signer)
    _verify(type_name, body, signer, signature.ed25519_signature, signature.mldsa65_signature, key)


def parse_body(signed: Signed, message_class: type[M], max_size: int = MAX_BODY) -> M:
    """The statement inside, exactly: size, then form, then type (protocol §3). It does not verify the signatures.

    Raises: MalformedStatement.
    """
    wanted = message_class.DESCRIPTOR.full_name
    if signed.type != wanted:
        raise MalformedStatement(what=wanted.rpartition(".")[2], problem=N_("it is another kind of statement"))
    return parse_message(signed.body, message_class, max_size)


def parse_message(data: bytes, message_class: type[M], max_size: int = MAX_BODY) -> M:
    """Parse a protobuf message and refuse unknown fields, at any depth: what we do not know we cannot have checked.

    Raises: MalformedStatement.
    """
    name = message_class.DESCRIPTOR.name
    if len(data) > max_size:
        raise MalformedStatement(
            what=name, problem=N_("it has {size} bytes; the limit is {limit}"), size=len(data), limit=max_size
        )
    try:
        message = message_class.FromString(data)
    except DecodeError as error:
        raise MalformedStatement(what=name, problem=N_("it cannot be parsed")) from error
    _refuse_unknown_fields(message)
    return message


def member_id_of(key: SigningPublicKey) -> MemberId:
    """The member whose first identity key this is: nobody can give an id to another key (protocol §2)."""
    return MemberId(blake2b_128(Label.MEMBER_ID, key.ed25519, key.mldsa65))


class _Proved:
    """Which statements have verified, under which key, in this process: a transfer's few statements are read at every
    step of it. Verifying has one outcome for ever, the digest covers all that is verified, and only successes are
    kept; so this changes what an answer costs, never the answer. The oldest go first.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = Lock()
        self._known: dict[tuple[Digest, SigningPublicKey], None] = {}

    def holds(self, digest: Digest, key: SigningPublicKey) -> bool:
        return (digest, key) in self._known

    def add(self, digest: Digest, key: SigningPublicKey) -> None:
        with self._lock:
            self._known.pop((digest, key), None)
            if len(self._known) >= self._size:
                del self._known[next(iter(self._known))]
            self._known[digest, key] = None


_PROVED = _Proved(4096)


def _signed_bytes(type_name: str, body: bytes) -> bytes:
    return frame(Label.SIGNATURE, type_name.encode("utf-8"), body)


def _verify(
    type_name: str,
    body: bytes,
    signer: KeyId,
    ed25519_signature: bytes,
    mldsa65_signature: bytes,
    key: SigningPublicKey,
) -> None:
    what = type_name.rpartition(".")[2]
    if signer != key.key_id:
        raise BadSignature(what=what)
    data = _signed_bytes(type_name, body)
    try:
        Ed25519PublicKey(key.ed25519).verify(data, ed25519_signature)
        key._mldsa65.verify(mldsa65_signature, data, _CONTEXT)
    except (BadSignatureError, InvalidSignature) as error:
        raise BadSignature(what=what) from error


def _check_signature_sizes(ed25519_signature: bytes, mldsa65_signature: bytes) -> None:
    if len(ed25519_signature) != ED25519_SIGNATURE_SIZE:
        raise MalformedStatement(
            what=N_("Ed25519 signature"),
            problem=N_("it has {size} bytes instead of {expected}"),
            size=len(ed25519_signature),
            expected=64,
        )
    if len(mldsa65_signature) != MLDSA65_SIGNATURE_SIZE:
        raise MalformedStatement(
            what=N_("ML-DSA-65 signature"),
            problem=N_("it has {size} bytes instead of {expected}"),
            size=len(mldsa65_signature),
            expected=3309,
        )


def _refuse_unknown_fields(message: Message) -> None:
    if len(UnknownFieldSet(message)):
        raise MalformedStatement(
            what=message.DESCRIPTOR.name, problem=N_("it has fields that this version does not know")
        )
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        for inner in value if descriptor.is_repeated else (value,):
            _refuse_unknown_fields(inner)
