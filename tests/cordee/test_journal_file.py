"""A whole journal in a file: checked with the network's id alone, and every change to it is found."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cordee.errors import CordeeError, JournalBroken, MalformedStatement, ProofRefused, WrongNetwork
from cordee.excerpt import make_excerpt
from cordee.ids import NetworkId
from cordee.journal import JournalFile, canonical, chained, first_line, sign_head, to_json, told_time, verify_file
from cordee.signing import SigningKey
from tests.builders import MemberKeys, Network

NOW = datetime(2026, 3, 14, 9, 30, tzinfo=UTC)


class Journal:
    """Lines and signatures as a node writes them."""

    def __init__(self, network: Network, member: MemberKeys) -> None:
        self.network, self.member = network, member
        self.lines: list[bytes] = []
        self.heads: list[bytes] = []
        self.previous = bytes(32)

    def add(self, action: str = "case.read", at: datetime = NOW, subject: str = "c-1") -> Journal:
        line = len(self.lines) + 1
        plain = canonical(line=line, at=at, actor="node", action=action, subject=subject, outcome="done", facts="{}")
        self.previous = chained(self.previous, plain)
        self.lines.append(to_json(json.loads(plain) | {"hash": self.previous.hex()}) + b"\n")
        return self

    def sign(self, key: SigningKey | None = None, at: datetime = NOW) -> Journal:
        self.add("journal.signed", at, "")
        line = len(self.lines)
        signature = sign_head(key or self.member.identity, line=line, head=self.previous, at=at)
        head = {"at": told_time(at), "hash": self.previous.hex(), "line": line, "signature": signature.hex()}
        self.heads.append(to_json({"head": head}) + b"\n")
        return self

    def opening(self, member: MemberKeys | None = None) -> bytes:
        network, member = self.network, member or self.member
        excerpt = make_excerpt(
            network.entries, tree=network.tree, note=network.checkpoint(), size=network.tree.size, members={member.id}
        )
        return first_line(member.id, network.roster.network, excerpt)

    def file(self) -> bytes:
        return self.opening() + b"".join(self.lines) + b"".join(self.heads)


def a_journal() -> Journal:
    network = Network.found()
    network.admit("Paris")
    return Journal(network, network.admit("Marseille"))


@pytest.fixture(scope="module")
def kept() -> Journal:
    return a_journal().add().add(at=NOW + timedelta(minutes=1)).sign().add().sign(at=NOW + timedelta(hours=1))


@pytest.fixture(scope="module")
def written(kept: Journal) -> bytes:
    return kept.file()


def verified(journal: Journal, data: bytes) -> JournalFile:
    return verify_file(data.splitlines(keepends=True), network=journal.network.roster.network)


def test_a_whole_journal_is_told_with_its_member_and_its_times(kept: Journal, written: bytes) -> None:
    report = verified(kept, written)
    assert (report.lines, report.signatures, report.member) == (5, 2, kept.member.id)
    assert (report.begins, report.ends) == (told_time(NOW), told_time(NOW + timedelta(hours=1)))
    assert report.head == kept.previous
    assert report.checkpoint.size == 3


def test_another_networks_id_is_refused(written: bytes) -> None:
    with pytest.raises(WrongNetwork):
        verify_file(written.splitlines(keepends=True), network=NetworkId(bytes(32)))


def test_keys_that_were_replaced_signed_what_is_older() -> None:
    journal = a_journal().add().sign()
    old = journal.member.identity
    journal.network.rotate(journal.member)
    journal.add().sign()
    assert verified(journal, journal.file()).signatures == 2
    journal.add().sign(old)
    with pytest.raises(JournalBroken, match="replaced"):
        verified(journal, journal.file())


def test_a_key_that_the_log_does_not_know_signs_nothing(kept: Journal) -> None:
    stranger = a_journal().add().sign(SigningKey.generate(lambda size: bytes(range(size))))
    with pytest.raises(JournalBroken, match="signature"):
        verified(stranger, stranger.file())
    other = a_journal().add().sign()
    other.member = other.network.members["Paris"]  # somebody else's journal under one's own name
    with pytest.raises(JournalBroken, match="signature"):
        verified(other, other.file())


def test_a_journal_whose_end_was_cut_off_is_refused(kept: Journal) -> None:
    opening, lines, heads = kept.opening(), kept.lines, kept.heads
    for cut in (
        [opening, *lines, heads[0]],
        [opening, *lines],
        [opening, *lines[:4], *heads],
        [opening, *lines[:4], heads[0]],
        [opening],
        [opening, *heads],
        [],
    ):
        with pytest.raises(CordeeError):
            verified(kept, b"".join(cut))


def test_what_was_cut_off_with_every_signature_over_it_cannot_be_seen(kept: Journal) -> None:
    """As the page of evidence says: a copy of a later head, kept elsewhere, shows it."""
    assert verified(kept, b"".join([kept.opening(), *kept.lines[:3], kept.heads[0]])).lines == 3


def test_a_chain_made_anew_does_not_fit_its_signatures(kept: Journal) -> None:
    forged = Journal(kept.network, kept.member).add(subject="c-2").add().add("journal.signed")
    with pytest.raises(JournalBroken):
        verified(kept, b"".join([kept.opening(), *forged.lines, kept.heads[0]]))


def test_one_that_an_older_version_wrote_says_to_export_it_again(kept: Journal) -> None:
    with pytest.raises(ProofRefused, match="export it again"):
        verified(kept, b"".join([*kept.lines, *kept.heads]))


def edited(raw: bytes, /, **changes: Any) -> bytes:
    return to_json(json.loads(raw) | changes) + b"\n"


CHEATS: list[tuple[str, Callable[[Journal], list[bytes]]]] = [
    ("an action", lambda j: [*j.lines[:1], edited(j.lines[1], action="case.erased"), *j.lines[2:], *j.heads]),
    ("a number", lambda j: [*j.lines[:1], edited(j.lines[1], line=7), *j.lines[2:], *j.heads]),
    ("a number as a text", lambda j: [edited(j.lines[0], line="1"), *j.lines[1:], *j.heads]),
    ("true for one", lambda j: [edited(j.lines[0], line=True), *j.lines[1:], *j.heads]),
    ("a time", lambda j: [edited(j.lines[0], at="2026-03-14T09:30:00+00:00"), *j.lines[1:], *j.heads]),
    ("a field more", lambda j: [edited(j.lines[0], note="x"), *j.lines[1:], *j.heads]),
    ("a line left out", lambda j: [*j.lines[:1], *j.lines[2:], *j.heads]),
    ("a line twice", lambda j: [*j.lines[:2], *j.lines[1:], *j.heads]),
    ("two lines exchanged", lambda j: [j.lines[1], j.lines[0], *j.lines[2:], *j.heads]),
    ("a signature left out", lambda j: [*j.lines, *j.heads[1:]]),
    ("a signature twice", lambda j: [*j.lines, j.heads[0], *j.heads]),
    ("signatures exchanged", lambda j: [*j.lines, *reversed(j.heads)]),
    ("a signature before its time", lambda j: [*j.lines[:3], j.heads[0], *j.lines[3:], j.heads[1]]),
    ("a line that is no object", lambda j: [b"[]\n", *j.lines[1:], *j.heads]),
    ("a line that is nothing", lambda j: [b"\n", *j.lines, *j.heads]),
    ("a line too deep", lambda j: [b'{"a":' + b"[" * 100_000 + b"\n", *j.lines, *j.heads]),
    ("spaces", lambda j: [j.lines[0].replace(b",", b", "), *j.lines[1:], *j.heads]),
    ("a head that is a text", lambda j: [*j.lines, b'{"head":"x"}\n', *j.heads]),
    ("a head of another time", lambda j: [*j.lines, _later(j.heads[0]), j.heads[1]]),
    ("capital letters", lambda j: [*j.lines, _capitals(j.heads[0]), j.heads[1]]),
    ("more after the end", lambda j: [*j.lines, *j.heads, b"{}\n"]),
]


def _later(head: bytes) -> bytes:
    plain = json.loads(head)
    plain["head"]["at"] = told_time(NOW + timedelta(days=1))
    return to_json(plain) + b"\n"


def _capitals(head: bytes) -> bytes:
    plain = json.loads(head)
    plain["head"]["signature"] = plain["head"]["signature"].upper()
    return to_json(plain) + b"\n"


@pytest.mark.parametrize(("what", "change"), CHEATS, ids=[what for what, _ in CHEATS])
def test_a_journal_that_was_tampered_with_is_refused(
    kept: Journal, what: str, change: Callable[[Journal], list[bytes]]
) -> None:
    with pytest.raises(JournalBroken):
        verified(kept, kept.opening() + b"".join(change(kept)))


OPENINGS: list[tuple[str, dict[str, Any], type[CordeeError]]] = [
    ("another version", {"journal": "cordee journal 2"}, ProofRefused),
    ("another member", {"member": "00" * 16}, ProofRefused),
    ("no member", {"member": "zz"}, ProofRefused),
    ("another network", {"network": "00" * 32}, ProofRefused),
    ("no excerpt", {"roster": ""}, WrongNetwork),
    ("no base64", {"roster": "!"}, ProofRefused),
    ("rubbish", {"roster": base64.b64encode(b"\xff" * 9).decode()}, MalformedStatement),
    ("a field more", {"note": ""}, ProofRefused),
]


@pytest.mark.parametrize(("what", "changes", "reason"), OPENINGS, ids=[what for what, *_ in OPENINGS])
def test_a_first_line_that_was_tampered_with_is_refused(
    kept: Journal, what: str, changes: dict[str, Any], reason: type[CordeeError]
) -> None:
    with pytest.raises(reason):
        verified(kept, edited(kept.opening(), **changes) + b"".join([*kept.lines, *kept.heads]))


def test_any_bit_flipped_in_a_journal_is_refused(kept: Journal, written: bytes) -> None:
    draw = random.Random(20261126)
    body = len(kept.opening())
    places = [
        *range(64),
        *draw.sample(range(body), 200),
        *draw.sample(range(body, len(written)), 600),
        *range(len(written) - 64, len(written)),
    ]
    for place in places:
        damaged = bytearray(written)
        damaged[place] ^= 1 << draw.randrange(8)
        with pytest.raises(CordeeError):
            verified(kept, bytes(damaged))
