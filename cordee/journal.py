"""The lines of a node's audit journal, their chain of hashes, and the file in which a whole journal is taken along.

A file holds one JSON object a line, each in its one form (keys sorted, ASCII, no spaces):

    {"journal":"cordee journal 1","member":…,"network":…,"roster":…}      what it is; the RosterExcerpt, base64
    {"action":…,"actor":…,"at":…,"facts":…,"hash":…,"line":1,…}           the lines, from 1, without a gap
    {"head":{"at":…,"hash":…,"line":…,"signature":…}}                     the signatures over the chain, in order

The excerpt of the roster log says which keys were the member's, so whoever has the network's id can check all of it.
Each hash covers its line and the hash before; each signature covers the chain up to its line; the last line is always
one that is signed. What a file cannot show: that the newest lines were not cut off together with every signature over
them, and that a node wrote down all that was done with it.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cordee.checkpoint import Checkpoint
from cordee.errors import N_, CordeeError, JournalBroken, MalformedStatement, ProofRefused
from cordee.excerpt import MAX_EXCERPT, check_excerpt
from cordee.frame import Label, blake2b_256, frame
from cordee.ids import MemberId, NetworkId
from cordee.members import Roster
from cordee.signing import SigningKey, SigningPublicKey, parse_message, verify_signature
from cordee.v1 import statements_pb2 as v1

__all__ = [
    "FORMAT",
    "MAX_LINE",
    "SIGNED_ACTION",
    "START",
    "JournalFile",
    "canonical",
    "chained",
    "check_head",
    "first_line",
    "is_journal",
    "sign_head",
    "to_json",
    "told_time",
    "verify_file",
]

FORMAT = "cordee journal 1"
SIGNED_ACTION = "journal.signed"
START = bytes(32)
"""What the first line follows."""
MAX_LINE = 32 * 2**20
"""Bytes of the first line, which holds the excerpt; any other has far less."""

_HEAD_TYPE = "cordee.v1.JournalHead"
_FIELDS = frozenset({"line", "at", "actor", "action", "subject", "outcome", "facts", "hash"})
_HEAD_FIELDS = frozenset({"at", "hash", "line", "signature"})
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00")
_MAX_SIGNATURE = 8 * 1024


@dataclass(frozen=True, slots=True)
class JournalFile:
    """What a journal that verified is."""

    network: NetworkId
    member: MemberId
    lines: int
    signatures: int
    head: bytes
    begins: str
    """Times as they stand in the file: ISO 8601, UTC."""
    ends: str
    checkpoint: Checkpoint
    """What the excerpt of the roster rests on."""


# ---- lines ----


def canonical(*, line: int, at: datetime, actor: str, action: str, subject: str, outcome: str, facts: str) -> bytes:
    """The bytes that are hashed: one JSON object, sorted, ASCII, without spaces; times in UTC to the microsecond."""
    document = {
        "line": line,
        "at": told_time(at),
        "actor": actor,
        "action": action,
        "subject": subject,
        "outcome": outcome,
        "facts": facts,
    }
    return to_json(document)


def chained(previous: bytes, line: bytes) -> bytes:
    """The hash of a line (as `canonical` gives it) after the one before."""
    return blake2b_256(Label.JOURNAL, previous, line)


def to_json(document: Mapping[str, object]) -> bytes:
    """The one form of an object."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii")


def told_time(at: datetime) -> str:
    """A time as it stands in the journal."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


# ---- signatures ----


def sign_head(key: SigningKey, *, line: int, head: bytes, at: datetime) -> bytes:
    """Sign the chain as far as one line: a serialised cordee.v1.Signature."""
    return key.sign_entry(_HEAD_TYPE, _head_body(line, head, told_time(at))).SerializeToString(deterministic=True)


def check_head(
    signature: bytes, *, line: int, head: bytes, at: str, keys: Mapping[bytes, SigningPublicKey]
) -> SigningPublicKey:
    """Which of the keys signed the chain as far as this line. Raises: JournalBroken."""
    try:
        parsed = parse_message(signature, v1.Signature, max_size=_MAX_SIGNATURE)
        signer = keys.get(parsed.signer)
        if signer is not None:
            verify_signature(parsed, _HEAD_TYPE, _head_body(line, head, at), signer)
            return signer
    except CordeeError as refused:
        raise JournalBroken(line=line, problem=N_("its signature does not verify")) from refused
    raise JournalBroken(line=line, problem=N_("its signature does not verify"))


def _head_body(line: int, head: bytes, at: str) -> bytes:
    return frame(Label.JOURNAL, b"head", line.to_bytes(8, "big"), head, at.encode())


# ---- the file ----


def first_line(member: MemberId, network: NetworkId, excerpt: v1.RosterExcerpt) -> bytes:
    """How a file begins."""
    written = base64.b64encode(excerpt.SerializeToString(deterministic=True)).decode("ascii")
    return to_json({"journal": FORMAT, "member": member.hex(), "network": network.hex(), "roster": written}) + b"\n"


def is_journal(data: bytes) -> bool:
    """Whether a file, by how it begins, is one of these, or one that an older version wrote."""
    return data.startswith(b'{"')


def verify_file(lines: Iterable[bytes], *, network: NetworkId) -> JournalFile:
    """Check a whole journal, line by line, each with its newline. Any byte altered, added or left out is refused.

    Raises: JournalBroken with the line; ProofRefused where it is no such file; WrongNetwork, and what
    `cordee.excerpt.check_excerpt` raises.
    """
    read = iter(lines)
    member, roster, checkpoint = _opening(next(read, b""), network)
    known = roster.members.get(member)
    if known is None:
        raise ProofRefused(problem=N_("the roster does not know whose journal it is"))
    ages = [*(key for _, key in known.former_identities), known.identity]
    chain = _Chain({bytes(key.key_id): key for key in ages}, {bytes(key.key_id): age for age, key in enumerate(ages)})
    for raw in read:
        document = _parsed(raw, chain.lines + 1)
        if set(document) == {"head"}:
            chain.sign(document["head"], raw)
        else:
            chain.add(document, raw)
    chain.close()
    return JournalFile(
        network=network,
        member=member,
        lines=chain.lines,
        signatures=chain.signatures,
        head=chain.head,
        begins=chain.begins,
        ends=chain.ends,
        checkpoint=checkpoint,
    )


def _opening(raw: bytes, network: NetworkId) -> tuple[MemberId, Roster, Checkpoint]:
    document = _object(raw)
    if document is None or set(document) != {"journal", "member", "network", "roster"}:
        raise ProofRefused(problem=N_("it does not begin as a journal; export it again with a newer version"))
    if document["journal"] != FORMAT:
        raise ProofRefused(problem=N_("it is a journal of another version"))
    try:
        member, named = MemberId(bytes.fromhex(document["member"])), bytes.fromhex(document["network"])
        written = base64.b64decode(document["roster"], validate=True)
    except (ValueError, TypeError, binascii.Error) as malformed:
        raise ProofRefused(problem=N_("its first line is malformed")) from malformed
    excerpt = parse_message(written, v1.RosterExcerpt, max_size=MAX_EXCERPT)
    roster, checkpoint = check_excerpt(excerpt, network=network, members={member})
    if named != network or first_line(member, network, excerpt) != raw:
        raise ProofRefused(problem=N_("its form is not canonical"))
    return member, roster, checkpoint


class _Chain:
    """The chain as it grows, and the lines that still want their signature."""

    def __init__(self, keys: Mapping[bytes, SigningPublicKey], ages: Mapping[bytes, int]) -> None:
        self._keys, self._ages, self._youngest = keys, ages, 0
        self._unsigned: dict[int, bytes] = {}
        self.lines, self.signatures, self.head = 0, 0, START
        self.begins = self.ends = self._action = ""

    def add(self, document: dict[str, Any], raw: bytes) -> None:
        """The next line."""
        line = self.lines + 1
        if self.signatures:
            raise JournalBroken(line=line, problem=N_("a line stands after the signatures"))
        texts = _FIELDS - {"line"}
        well_formed = (
            set(document) == _FIELDS
            and type(document["line"]) is int
            and all(isinstance(document[each], str) for each in texts)
            and _TIME.fullmatch(document["at"]) is not None
        )
        if not well_formed:
            raise JournalBroken(line=line, problem=N_("the line is malformed"))
        if document["line"] != line:
            raise JournalBroken(line=line, problem=N_("the line is missing"))
        hashed = chained(self.head, to_json({key: value for key, value in document.items() if key != "hash"}))
        if document["hash"] != hashed.hex() or to_json(document) + b"\n" != raw:
            raise JournalBroken(line=line, problem=N_("the line was altered, or follows another one"))
        if document["action"] == SIGNED_ACTION:
            self._unsigned[line] = hashed
        self.lines, self.head, self.ends, self._action = line, hashed, document["at"], document["action"]
        self.begins = self.begins or self.ends

    def sign(self, head: Any, raw: bytes) -> None:
        """The next signature: each covers a line that says so, in their order, and none by an older key."""
        well_formed = (
            isinstance(head, dict)
            and set(head) == _HEAD_FIELDS
            and type(head["line"]) is int
            and all(isinstance(head[each], str) for each in _HEAD_FIELDS - {"line"})
        )
        if not well_formed or to_json({"head": head}) + b"\n" != raw:
            raise JournalBroken(line=self.lines, problem=N_("a signature is malformed"))
        line = head["line"]
        expected = next(iter(self._unsigned), None)
        if line != expected:
            raise JournalBroken(line=line if expected is None else expected, problem=N_("its signature is missing"))
        hashed = self._unsigned.pop(line)
        if head["hash"] != hashed.hex():
            raise JournalBroken(line=line, problem=N_("the signed hash is another"))
        try:
            signature = bytes.fromhex(head["signature"])
        except ValueError as malformed:
            raise JournalBroken(line=line, problem=N_("its signature does not verify")) from malformed
        if signature.hex() != head["signature"] or not self._is_canonical(signature):
            raise JournalBroken(line=line, problem=N_("a signature is malformed"))
        age = self._ages[check_head(signature, line=line, head=hashed, at=head["at"], keys=self._keys).key_id]
        if age < self._youngest:
            raise JournalBroken(line=line, problem=N_("it is signed by a key that had been replaced"))
        self._youngest, self.signatures = age, self.signatures + 1

    @staticmethod
    def _is_canonical(signature: bytes) -> bool:
        try:
            parsed = parse_message(signature, v1.Signature, max_size=_MAX_SIGNATURE)
        except MalformedStatement:
            return False
        return parsed.SerializeToString(deterministic=True) == signature

    def close(self) -> None:
        """All is there, and all of it is signed."""
        if self._unsigned:
            raise JournalBroken(line=min(self._unsigned), problem=N_("its signature is missing"))
        if self._action != SIGNED_ACTION:
            raise JournalBroken(line=self.lines, problem=N_("no signature covers it: the end was cut off"))


def _parsed(raw: bytes, line: int) -> dict[str, Any]:
    document = _object(raw)
    if document is None:
        raise JournalBroken(line=line, problem=N_("the line is malformed"))
    return document


def _object(raw: bytes) -> dict[str, Any] | None:
    if len(raw) > MAX_LINE or not raw.endswith(b"\n"):
        return None
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
