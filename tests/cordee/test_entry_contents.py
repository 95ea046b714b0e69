"""Nobody can write on the roster log: an entry holds keys, digests, ids and times, each of one length, and no text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.internal.encoder import _VarintBytes  # type: ignore[attr-defined]
from google.protobuf.message import Message

from cordee.entries import add_signature
from cordee.errors import EntryRefused
from cordee.government import _GOVERNMENT
from cordee.roster import _ABOUT_MEMBERS, _ADMITTED, apply
from cordee.v1 import statements_pb2 as v1
from tests.cordee.entry_rows import signed_by
from tests.cordee.test_roster_attacks import LATER, message_of, specimens

KINDS = {v1.Genesis.DESCRIPTOR.full_name, _ADMITTED, *_ABOUT_MEMBERS, *_GOVERNMENT}
THE_ONLY_TEXT = {"cordee.v1.Genesis.origin"}  # of the directory, seen by whoever founds the network


def texts_of(kind: Descriptor) -> set[str]:
    """Fields of a message, at any depth, that hold text."""
    found = set()
    for field in kind.fields:
        if field.type == FieldDescriptor.TYPE_STRING:
            found.add(field.full_name)
        elif field.message_type is not None:
            found |= texts_of(field.message_type)
    return found


def bytes_in(message: Message) -> Iterator[tuple[Any, str]]:
    """Each field of bytes of a message, at any depth: the message that holds it, and its name."""
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_BYTES:
            yield message, field.name
        elif isinstance(value, Message):
            yield from bytes_in(value)


def test_no_kind_of_entry_has_a_field_for_text() -> None:
    kinds = [v1.DESCRIPTOR.message_types_by_name[name.rpartition(".")[2]] for name in KINDS]
    assert len(kinds) >= 12
    assert set().union(*map(texts_of, kinds)) == THE_ONLY_TEXT
    assert texts_of(v1.Entry.DESCRIPTOR) == {"cordee.v1.Entry.type"}, "which is one of the kinds"


@pytest.mark.parametrize("name", LATER)
@pytest.mark.parametrize("more", [b"\0", b"A name and an address that nobody could ever take out again"])
def test_nothing_can_be_added_to_a_field_though_truly_signed(name: str, more: bytes) -> None:
    roster, entry, signers = specimens()[name]
    places = list(bytes_in(message_of(entry)))
    assert len(places) >= 2
    for position in range(len(places)):
        statement = message_of(entry)
        holder, field = list(bytes_in(statement))[position]
        setattr(holder, field, getattr(holder, field) + more)
        with pytest.raises(EntryRefused):
            apply(roster, signed_by(statement, *signers))


@pytest.mark.parametrize("name", LATER)
def test_nothing_is_hidden_in_a_field_that_is_written_twice_though_truly_signed(name: str) -> None:
    """Of one field protobuf reads the last and passes over those before it, however long they are."""
    roster, entry, signers = specimens()[name]
    hidden = b"A name and an address that nobody could ever take out again"
    previous = type(message_of(entry)).DESCRIPTOR.fields_by_name["previous"].number
    body = bytes([previous << 3 | 2]) + _VarintBytes(len(hidden)) + hidden + entry.body
    assert type(message_of(entry)).FromString(body) == message_of(entry), "it reads as the true one does"
    made = v1.Entry(type=entry.type, body=body)
    for key in signers:
        made = add_signature(made, key)
    with pytest.raises(EntryRefused):
        apply(roster, made)
