"""Checkpoints of the roster log: what the directory signs, anew every hour (protocol §4).

A checkpoint is a C2SP signed note (c2sp.org/signed-note) whose text is that of c2sp.org/tlog-checkpoint:

    cordee.example/reseau          the origin, named by the genesis
    42                             how many entries
    CsUYapGGPo4dkMgIAUqom/…        the root, base64
    time 1767225600                extension line: when it was signed, in seconds since 1970

    — cordee.example/reseau <base64 of 4 bytes of key id, Ed25519 signature (64), ML-DSA-65 signature (3,309)>

The signature is of a type of our own: identifier byte 0xff and the longer identifier `cordee-hybrid-v1`, so the key id
is SHA-256(name ‖ "\\n" ‖ 0xff ‖ "cordee-hybrid-v1" ‖ Ed25519 key ‖ ML-DSA-65 key)[:4]. Both halves sign what every
hybrid signature signs (protocol §3), with the type "cordee/v1/checkpoint", which no statement can have, and the note's
text as body. The key's name is the origin. Lines by other keys (witnesses, one day) are left unread, as the
specification asks. Everything else is read strictly: one checkpoint has one form.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from cordee.errors import N_, BadSignature, CheckpointRefused
from cordee.frame import Label
from cordee.ids import Digest
from cordee.log import MAX_SIZE
from cordee.signing import (
    ED25519_SIGNATURE_SIZE,
    MLDSA65_SIGNATURE_SIZE,
    SigningKey,
    SigningPublicKey,
    verify_signature,
)
from cordee.v1 import statements_pb2 as v1

__all__ = [
    "MAX_NOTE",
    "Checkpoint",
    "is_origin",
    "open_checkpoint",
    "peek_checkpoint",
    "sign_checkpoint",
    "verify_ed25519_note",
]

MAX_NOTE = 16 * 1024
"""Bytes of a whole note: three hybrid signatures and some others find room."""
MAX_SIGNATURES = 16
MAX_ORIGIN = 255

_HYBRID_TYPE = b"\xffcordee-hybrid-v1"
_ED25519_TYPE = b"\x01"
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")  # all but the line feed
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")  # int() alone takes "1_000", "+7", "٣"
_LAST_SECOND = 253_402_300_799
_KEY_ID_SIZE = 4


@dataclass(frozen=True)
class Checkpoint:
    """The size and root of the roster log at a time (whole seconds, aware, UTC).

    Raises: CheckpointRefused for a value that no checkpoint can have; an empty log has none, since the directory gets
    its name and key from the first entry.
    """

    origin: str
    size: int
    root: Digest
    time: datetime

    def __post_init__(self) -> None:
        if not is_origin(self.origin):
            raise CheckpointRefused(problem=N_("no valid origin"))
        if not 1 <= self.size <= MAX_SIZE:
            raise CheckpointRefused(problem=N_("the size is out of range"))
        if self.time.tzinfo is None or self.time.microsecond or not 0 <= self.time.timestamp() <= _LAST_SECOND:
            raise CheckpointRefused(problem=N_("the time is out of range"))

    @property
    def text(self) -> str:
        """The note's text, with its last newline."""
        root = base64.b64encode(self.root).decode("ascii")
        return f"{self.origin}\n{self.size}\n{root}\ntime {int(self.time.timestamp())}\n"


def is_origin(origin: str) -> bool:
    """Whether a text can name a log, and so its key: some visible characters, no space and no plus."""
    return (
        bool(origin)
        and origin.isprintable()
        and not any(character.isspace() or character == "+" for character in origin)
        and len(origin.encode("utf-8")) <= MAX_ORIGIN
    )


def sign_checkpoint(checkpoint: Checkpoint, key: SigningKey, name: str | None = None) -> str:
    """The signed note. `name` is the key's name, the origin unless told otherwise.

    ML-DSA draws its own randomness: two notes of one checkpoint differ in their signatures.
    """
    name = checkpoint.origin if name is None else name
    if not is_origin(name):
        raise CheckpointRefused(problem=N_("no valid key name"))
    text = checkpoint.text
    signature = key.sign_entry(Label.CHECKPOINT.value, text.encode("utf-8"))
    line = _hybrid_key_id(name, key.public) + signature.ed25519_signature + signature.mldsa65_signature
    return f"{text}\n— {name} {base64.b64encode(line).decode('ascii')}\n"


def open_checkpoint(note: str, key: SigningPublicKey, origin: str, name: str | None = None) -> Checkpoint:
    """Read and verify the directory's checkpoint. Nothing of the text is looked at before the signature holds.

    Whether it is fresh, and continues what was known before, is for the caller to judge.

    Raises: CheckpointRefused.
    """
    name = origin if name is None else name
    text, signatures = _split_note(note)
    signature = _the_one_of(signatures, name, _hybrid_key_id(name, key))
    if len(signature) != ED25519_SIGNATURE_SIZE + MLDSA65_SIGNATURE_SIZE:
        raise CheckpointRefused(problem=N_("its signature has another length"))
    halves = v1.Signature(
        signer=key.key_id,
        ed25519_signature=signature[:ED25519_SIGNATURE_SIZE],
        mldsa65_signature=signature[ED25519_SIGNATURE_SIZE:],
    )
    try:
        verify_signature(halves, Label.CHECKPOINT.value, text.encode("utf-8"), key)
    except BadSignature as error:
        raise CheckpointRefused(problem=N_("its signature does not verify")) from error
    checkpoint = _parse_text(text)
    if checkpoint.origin != origin:
        raise CheckpointRefused(problem=N_("it is another log's"))
    return checkpoint


def peek_checkpoint(note: str) -> Checkpoint:
    """What a note says of itself, **unverified**: only to fetch what it must be verified against.

    Raises: CheckpointRefused.
    """
    return _parse_text(_split_note(note)[0])


def verify_ed25519_note(note: str, *, name: str, public_key: bytes) -> str:
    """The text of a plain C2SP signed note (type 0x01), verified: for logs and witnesses other than our own.

    Raises: CheckpointRefused.
    """
    text, signatures = _split_note(note)
    signature = _the_one_of(signatures, name, _key_id(name, _ED25519_TYPE, public_key))
    try:
        VerifyKey(public_key).verify(text.encode("utf-8"), signature)
    except (BadSignatureError, ValueError) as error:
        raise CheckpointRefused(problem=N_("its signature does not verify")) from error
    return text


def _split_note(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """A note's text and its signatures: key name, then key id ‖ signature."""
    if len(note) > MAX_NOTE:
        raise CheckpointRefused(problem=N_("it is too long"))
    try:
        size = len(note.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise CheckpointRefused(problem=N_("it is no Unicode text")) from error
    if size > MAX_NOTE:
        raise CheckpointRefused(problem=N_("it is too long"))
    if _CONTROL.search(note) is not None:
        raise CheckpointRefused(problem=N_("it has control characters"))
    text, blank, rest = note.rpartition("\n\n")
    if not text or not blank or not rest.endswith("\n"):
        raise CheckpointRefused(problem=N_("it is no signed note"))
    lines = rest[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise CheckpointRefused(problem=N_("it has too many signatures"))
    return text + "\n", [_parse_signature_line(line) for line in lines]


def _parse_signature_line(line: str) -> tuple[str, bytes]:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "—" or not is_origin(parts[1]):
        raise CheckpointRefused(problem=N_("a signature line is malformed"))
    value = _decode_base64(parts[2])
    if len(value) <= _KEY_ID_SIZE:
        raise CheckpointRefused(problem=N_("a signature line is malformed"))
    return parts[1], value


def _the_one_of(signatures: list[tuple[str, bytes]], name: str, key_id: bytes) -> bytes:
    """The one signature by this key. Two would be two forms of one checkpoint."""
    found = [value[_KEY_ID_SIZE:] for by, value in signatures if by == name and value[:_KEY_ID_SIZE] == key_id]
    if len(found) != 1:
        raise CheckpointRefused(problem=N_("it is not signed, once, by the key expected"))
    return found[0]


def _parse_text(text: str) -> Checkpoint:
    lines = text[:-1].split("\n")
    if len(lines) != 4 or not lines[3].startswith("time "):
        raise CheckpointRefused(problem=N_("it has not the four lines of a checkpoint"))
    origin, size, root = lines[0], _parse_decimal(lines[1]), _decode_base64(lines[2])
    seconds = _parse_decimal(lines[3].removeprefix("time "))
    if len(root) != Digest.length:
        raise CheckpointRefused(problem=N_("its root has not 32 bytes"))
    if seconds > _LAST_SECOND:
        raise CheckpointRefused(problem=N_("the time is out of range"))
    return Checkpoint(origin=origin, size=size, root=Digest(root), time=datetime.fromtimestamp(seconds, UTC))


def _parse_decimal(text: str) -> int:
    if _DECIMAL.fullmatch(text) is None:
        raise CheckpointRefused(problem=N_("a number is malformed"))
    return int(text)


def _decode_base64(text: str) -> bytes:
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise CheckpointRefused(problem=N_("the base64 is malformed")) from error
    if base64.b64encode(value).decode("ascii") != text:  # the decoder takes "QUJ=" for "QUI="
        raise CheckpointRefused(problem=N_("the base64 is not canonical"))
    return value


def _hybrid_key_id(name: str, key: SigningPublicKey) -> bytes:
    return _key_id(name, _HYBRID_TYPE, key.ed25519 + key.mldsa65)


def _key_id(name: str, signature_type: bytes, public_key: bytes) -> bytes:
    return hashlib.sha256(name.encode("utf-8") + b"\n" + signature_type + public_key).digest()[:_KEY_ID_SIZE]
