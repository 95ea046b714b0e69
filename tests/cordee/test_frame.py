"""The frame: no two inputs give the same bytes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordee.frame import Label, blake2b_128, blake2b_256, frame

PARTS = st.lists(st.binary(max_size=20), max_size=5)


def unframe(data: bytes) -> tuple[str, list[bytes]]:
    """Read a frame back: that this is possible is what makes it injective."""
    end = 1 + data[0]
    label, parts = data[1:end].decode("ascii"), []
    while end < len(data):
        start = end + 4
        end = start + int.from_bytes(data[end:start], "big")
        assert end <= len(data)
        parts.append(data[start:end])
    return label, parts


@given(st.sampled_from(Label), PARTS)
def test_a_frame_can_be_read_back(label: Label, parts: list[bytes]) -> None:
    assert unframe(frame(label, *parts)) == (label.value, parts)


@given(st.sampled_from(Label), PARTS, st.sampled_from(Label), PARTS)
def test_different_inputs_give_different_frames(a: Label, a_parts: list[bytes], b: Label, b_parts: list[bytes]) -> None:
    assert (frame(a, *a_parts) == frame(b, *b_parts)) == ((a, a_parts) == (b, b_parts))


@given(st.binary(max_size=40))
def test_where_one_part_ends_and_the_next_begins_matters(data: bytes) -> None:
    framed = {frame(Label.ACT, data[:at], data[at:]) for at in range(len(data) + 1)}
    assert len(framed) == len(data) + 1
    assert frame(Label.ACT, data) not in framed
    assert frame(Label.ACT, data, b"") != frame(Label.ACT, data)


def test_the_form_is_the_one_of_the_protocol_page() -> None:
    assert frame(Label.ACT, b"ab", b"") == b"\x0dcordee/v1/act" + b"\0\0\0\2ab" + b"\0\0\0\0"


class Sized(bytes):
    """Says that it is of another size: nobody has 4 GiB to try it with."""

    size = 0

    def __len__(self) -> int:
        return self.size


def test_a_label_and_a_part_are_no_longer_than_their_length_can_say() -> None:
    part = Sized()
    part.size = 2**32 - 1
    assert frame(Label.ACT, part).endswith(b"\xff\xff\xff\xff")
    part.size = 2**32
    with pytest.raises(ValueError, match="4 GiB"):
        frame(Label.ACT, part)
    longest: Any = SimpleNamespace(value="x" * 255)
    assert frame(longest) == b"\xff" + b"x" * 255
    for label in ("", "x" * 256):
        other: Any = SimpleNamespace(value=label)
        with pytest.raises(ValueError, match="1 to 255"):
            frame(other)


def test_labels_differ_and_are_ascii() -> None:
    assert len({label.value for label in Label}) == len(Label)
    assert all(label.value.isascii() and label.value.startswith("cordee/v1/") for label in Label)


def test_digests_have_their_lengths_and_depend_on_the_label() -> None:
    assert len(blake2b_256(Label.ACT, b"x")) == 32
    assert len(blake2b_128(Label.ACT, b"x")) == 16
    assert blake2b_256(Label.ACT, b"x") != blake2b_256(Label.RECORD, b"x")
    assert blake2b_128(Label.ACT, b"x") != blake2b_128(Label.RECORD, b"x")
