"""Checkpoints: the published signed note, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from nacl.signing import SigningKey as Ed25519Key

from cordee.checkpoint import (
    MAX_NOTE,
    Checkpoint,
    open_checkpoint,
    peek_checkpoint,
    sign_checkpoint,
    verify_ed25519_note,
)
from cordee.errors import CheckpointRefused
from cordee.ids import Digest
from cordee.signing import SigningKey
from tests.builders import seeded_random

EXAMPLE = json.loads((Path(__file__).parent.parent / "vectors" / "signed-note" / "example.json").read_text())
ORIGIN = "cordee.example/réseau"
RANDOM = seeded_random("checkpoints")
KEY, STRANGER = SigningKey.generate(RANDOM), SigningKey.generate(RANDOM)
CHECKPOINT = Checkpoint(ORIGIN, 42, Digest(bytes(range(32))), datetime(2026, 1, 1, 12, tzinfo=UTC))
NOTE = sign_checkpoint(CHECKPOINT, KEY)
TEXT, _, SIGNATURES = NOTE.rpartition("\n\n")


def signed(text: str, key: SigningKey = KEY, name: str = ORIGIN) -> str:
    """A note with any text at all, truly signed: what a malicious directory can make."""
    signature = key.sign_entry("cordee/v1/checkpoint", text.encode())
    key_id = base64.b64decode(SIGNATURES.split(" ")[2])[:4]
    blob = key_id + signature.ed25519_signature + signature.mldsa65_signature
    return f"{text}\n— {name} {base64.b64encode(blob).decode()}\n"


def example_note() -> tuple[str, str, bytes]:
    name, _, encoded = EXAMPLE["verifier_key"].split("+", 2)
    return EXAMPLE["text"] + "\n" + EXAMPLE["signature_line"], name, base64.b64decode(encoded)[1:]


def test_the_published_signed_note_verifies() -> None:
    note, name, key = example_note()
    assert verify_ed25519_note(note, name=name, public_key=key) == EXAMPLE["text"]


@pytest.mark.parametrize(
    "alter",
    [
        lambda note: note.replace("cryptography", "Cryptography"),
        lambda note: note.replace("x08go/ZJ", "x08go/ZK"),
        lambda note: note.replace("x08go", "y08go"),
        lambda note: note.replace("— PeterNeumann", "— Peterneumann"),
        lambda note: note.replace("\n\n—", "\n—"),
    ],
)
def test_the_published_signed_note_altered_is_refused(alter: Callable[[str], str]) -> None:
    note, name, key = example_note()
    assert alter(note) != note
    with pytest.raises(CheckpointRefused):
        verify_ed25519_note(alter(note), name=name, public_key=key)


@pytest.mark.parametrize(
    ("text", "good"), [("one\n\ntwo\n", True), ("one\ttwo\n", False), ("one\r\n", False), ("\n", False)]
)
def test_a_note_has_some_text_and_no_control_characters_though_truly_signed(text: str, good: bool) -> None:
    key, name = Ed25519Key(bytes(32)), "example.org/log"
    public = bytes(key.verify_key)
    key_id = hashlib.sha256(name.encode() + b"\n\x01" + public).digest()[:4]
    blob = base64.b64encode(key_id + key.sign(text.encode()).signature).decode()
    note = f"{text}\n— {name} {blob}\n"
    if good:
        assert verify_ed25519_note(note, name=name, public_key=public) == text
    else:
        with pytest.raises(CheckpointRefused):
            verify_ed25519_note(note, name=name, public_key=public)


def test_a_checkpoint_is_read_as_it_was_signed() -> None:
    assert open_checkpoint(NOTE, KEY.public, ORIGIN) == CHECKPOINT


def test_a_checkpoint_is_written_as_the_page_says() -> None:
    root = base64.b64encode(bytes(range(32))).decode()
    assert CHECKPOINT.text == f"{ORIGIN}\n42\n{root}\ntime 1767268800\n"
    assert NOTE.startswith(CHECKPOINT.text + "\n— " + ORIGIN + " ")
    assert len(base64.b64decode(SIGNATURES.split(" ")[2])) == 4 + 64 + 3309


@pytest.mark.parametrize("origin", ["a", "é" * 127 + "a"])
@pytest.mark.parametrize("size", [1, 2**62])
@pytest.mark.parametrize("second", [0, 253_402_300_799])
def test_a_checkpoint_at_the_ends_of_its_ranges_is_read_as_it_was_signed(origin: str, size: int, second: int) -> None:
    outermost = Checkpoint(origin, size, CHECKPOINT.root, datetime.fromtimestamp(second, UTC))
    assert open_checkpoint(sign_checkpoint(outermost, KEY), KEY.public, origin) == outermost


def test_a_key_may_have_another_name_than_the_origin() -> None:
    note = sign_checkpoint(CHECKPOINT, KEY, name="cordee.example/key")
    assert open_checkpoint(note, KEY.public, ORIGIN, name="cordee.example/key") == CHECKPOINT
    with pytest.raises(CheckpointRefused):
        open_checkpoint(note, KEY.public, ORIGIN)
    with pytest.raises(CheckpointRefused):
        sign_checkpoint(CHECKPOINT, KEY, name="two words")


def test_what_a_note_says_of_itself_is_read_unverified_and_as_strictly() -> None:
    assert peek_checkpoint(NOTE.replace("\n42\n", "\n43\n")) == replace(CHECKPOINT, size=43)
    for malformed in (NOTE.replace("\n42\n", "\n042\n"), CHECKPOINT.text):
        with pytest.raises(CheckpointRefused):
            peek_checkpoint(malformed)


def line(name: str, value: bytes) -> str:
    """A signature line by some other key."""
    return f"— {name} {base64.b64encode(value).decode()}\n"


def test_signatures_of_other_keys_are_passed_over() -> None:
    key_id = base64.b64decode(SIGNATURES.split(" ")[2])[:4]
    for witness in (
        line("witness.example/w1", b"idid" + bytes(72)),
        line(ORIGIN, b"idid" + bytes(72)),  # the directory's former key, say
        line("witness.example/w1", key_id + bytes(72)),  # four bytes may meet by chance
    ):
        assert open_checkpoint(NOTE + witness, KEY.public, ORIGIN) == CHECKPOINT
        assert open_checkpoint(TEXT + "\n\n" + witness + SIGNATURES, KEY.public, ORIGIN) == CHECKPOINT


def test_a_note_has_room_for_16_signatures_and_16_kib() -> None:
    witness = "— w AAAAAAAA\n"
    assert open_checkpoint(NOTE + 15 * witness, KEY.public, ORIGIN) == CHECKPOINT
    left = 16_384 - len((NOTE + line("", b"")).encode())
    name = "w" * (4 + left % 4)  # base64 comes in fours
    full = NOTE + line(name, bytes((left - len(name)) // 4 * 3))
    assert len(full.encode()) == 16_384 > len(full)
    assert open_checkpoint(full, KEY.public, ORIGIN) == CHECKPOINT
    with pytest.raises(CheckpointRefused):
        open_checkpoint(full.replace(f"— {name}", f"— {name}w"), KEY.public, ORIGIN)


def test_another_directorys_key_or_origin_is_refused() -> None:
    with pytest.raises(CheckpointRefused):
        open_checkpoint(NOTE, STRANGER.public, ORIGIN)
    with pytest.raises(CheckpointRefused):
        open_checkpoint(NOTE, KEY.public, "cordee.example/other")
    other = sign_checkpoint(replace(CHECKPOINT, origin="cordee.example/other"), KEY, name=ORIGIN)
    with pytest.raises(CheckpointRefused):
        open_checkpoint(other, KEY.public, ORIGIN)


def test_a_signature_on_a_statement_is_none_on_a_checkpoint() -> None:
    signature = KEY.sign_entry("cordee.v1.Offer", CHECKPOINT.text.encode())
    blob = base64.b64decode(SIGNATURES.split(" ")[2])[:4] + signature.ed25519_signature + signature.mldsa65_signature
    with pytest.raises(CheckpointRefused):
        open_checkpoint(f"{TEXT}\n\n— {ORIGIN} {base64.b64encode(blob).decode()}\n", KEY.public, ORIGIN)


ROOT = base64.b64encode(bytes(range(32))).decode()


def text(origin: str = ORIGIN, size: str = "42", root: str = ROOT, time: str = "time 1767268800") -> str:
    return f"{origin}\n{size}\n{root}\n{time}\n"


MALFORMED_TEXTS = {
    "no entries": text(size="0"),
    "leading zero": text(size="042"),
    "plus sign": text(size="+42"),
    "minus sign": text(size="-42"),
    "underscore": text(size="4_2"),
    "space before": text(size=" 42"),
    "space behind": text(size="42 "),
    "other digits": text(size="٤٢"),
    "full width digits": text(size="４２"),
    "hexadecimal": text(size="0x2a"),
    "too large": text(size=str(2**62 + 1)),
    "absurdly large": text(size="9" * 4000),
    "no size": text(size=""),
    "root too short": text(root=base64.b64encode(bytes(31)).decode()),
    "root too long": text(root=base64.b64encode(bytes(33)).decode()),
    "root not canonical": text(root=ROOT[:-2] + "9="),
    "root without padding": text(root=ROOT[:-1]),
    "root with junk": text(root=ROOT[:4] + "*" + ROOT[4:]),
    "root with a space": text(root=ROOT + " "),
    "root in the other alphabet": text(root=base64.urlsafe_b64encode(b"\xff" * 32).decode()),
    "no time": f"{ORIGIN}\n42\n{ROOT}\n",
    "time without its word": text(time="1767268800"),
    "time twice": text(time="time 1767268800\ntime 1767268800"),
    "another extension": text(time="time 1767268800\nmore"),
    "another extension first": text(time="more\ntime 1767268800"),
    "time with a fraction": text(time="time 1767268800.5"),
    "negative time": text(time="time -1"),
    "time after 9999": text(time="time 253402300800"),
    "two spaces": text(time="time  1767268800"),
    "empty origin": text(origin=""),
    "origin with a space": text(origin="cordee example"),
    "another origin": text(origin="cordee.example/autre"),
    "an empty line": f"{ORIGIN}\n\n42\n{ROOT}\ntime 1767268800\n",
    "lines in another order": f"42\n{ORIGIN}\n{ROOT}\ntime 1767268800\n",
    "control character": text(time="time 1767268800\r"),
    "a nul": text(origin=ORIGIN + "\x00"),
    "an origin that does not show": text(origin="cordee\u200b.example"),
}


def test_the_text_that_the_table_alters_is_good_itself() -> None:
    assert open_checkpoint(signed(text()), KEY.public, ORIGIN) == CHECKPOINT


@pytest.mark.parametrize("malformed", MALFORMED_TEXTS.values(), ids=MALFORMED_TEXTS.keys())
def test_a_malformed_text_is_refused_though_it_is_truly_signed(malformed: str) -> None:
    with pytest.raises(CheckpointRefused):
        open_checkpoint(signed(malformed), KEY.public, ORIGIN)


BLOB = SIGNATURES.split(" ")[2].rstrip("\n")
MALFORMED_NOTES = {
    "nothing": "",
    "newlines only": "\n\n\n",
    "no signature": CHECKPOINT.text,
    "no signature line": CHECKPOINT.text + "\n",
    "no blank line": NOTE.replace("\n\n", "\n"),
    "no newline at the end": NOTE[:-1],
    "two newlines at the end": NOTE + "\n",
    "something behind": NOTE + "x",
    "something for the last newline": NOTE[:-1] + "x",
    "windows newlines": NOTE.replace("\n", "\r\n"),
    "byte order mark": "\ufeff" + NOTE,
    "surrogate": NOTE.replace("é", "\ud800"),
    "hyphen for dash": NOTE.replace("— ", "- "),
    "no dash": NOTE.replace("— ", ""),
    "no name": NOTE.replace(f"— {ORIGIN} ", "— "),
    "two spaces": NOTE.replace("— ", "—  "),
    "no base64": f"{TEXT}\n\n— {ORIGIN} !!!!\n",
    "empty base64": f"{TEXT}\n\n— {ORIGIN} \n",
    "key id alone": f"{TEXT}\n\n— {ORIGIN} {base64.b64encode(base64.b64decode(BLOB)[:4]).decode()}\n",
    "Ed25519 alone": f"{TEXT}\n\n— {ORIGIN} {base64.b64encode(base64.b64decode(BLOB)[:68]).decode()}\n",
    "truncated": f"{TEXT}\n\n— {ORIGIN} {base64.b64encode(base64.b64decode(BLOB)[:-1]).decode()}\n",
    "longer": f"{TEXT}\n\n— {ORIGIN} {base64.b64encode(base64.b64decode(BLOB) + b'x').decode()}\n",
    "signed twice": NOTE + SIGNATURES,
    "17 signatures": NOTE + "— w AAAAAAAA\n" * 16,
    "a line of another's with a part more": NOTE + "— w AAAAAAAA AAAA\n",
    "a line of another's whose name is none": NOTE + "— a+b AAAAAAAA\n",
    "a line of another's without a signature": NOTE + "— w AAAAAA==\n",
    "too long": NOTE + "— w " + base64.b64encode(bytes(MAX_NOTE)).decode() + "\n",
    "a megabyte": "x" * 1_000_000,
}


@pytest.mark.parametrize("malformed", MALFORMED_NOTES.values(), ids=MALFORMED_NOTES.keys())
def test_a_malformed_note_is_refused(malformed: str) -> None:
    with pytest.raises(CheckpointRefused):
        open_checkpoint(malformed, KEY.public, ORIGIN)


def test_any_bit_flipped_in_a_note_is_refused() -> None:
    data = NOTE.encode()
    refused = 0
    # every bit of the text and of the first bytes of the signature line, then one bit in every seventh byte
    head = len(TEXT.encode()) + 140
    for bit in [*range(8 * head), *range(8 * head, 8 * len(data), 57)]:
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            note = flipped.decode()
        except UnicodeDecodeError:
            continue
        with pytest.raises(CheckpointRefused):
            open_checkpoint(note, KEY.public, ORIGIN)
        refused += 1
    assert refused > 2000


@pytest.mark.parametrize(
    "change",
    [
        {"size": 0},
        {"size": 2**62 + 1},
        {"origin": ""},
        {"origin": "a b"},
        {"origin": "a+b"},
        {"origin": "a\nb"},
        {"origin": "a\u200bb"},
        {"origin": "é" * 128},
        {"time": datetime(2026, 1, 1)},  # noqa: DTZ001  # a naive time is the point
        {"time": CHECKPOINT.time + timedelta(microseconds=1)},
        {"time": datetime(1969, 1, 1, tzinfo=UTC)},
    ],
)
def test_the_directory_cannot_make_a_checkpoint_that_nobody_would_read(change: dict[str, object]) -> None:
    with pytest.raises(CheckpointRefused):
        replace(CHECKPOINT, **change)  # type: ignore[arg-type]  # one field at a time
