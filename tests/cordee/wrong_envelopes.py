"""What can be wrong around a statement: signatures, their number and order, and the entry's form."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from hypothesis import strategies as st

from cordee.entries import add_signature
from cordee.ids import KeyId
from cordee.roster import Rule
from cordee.signing import MAX_SIGNED
from cordee.v1 import statements_pb2 as v1
from tests.cordee.entry_rows import (
    MEMBER_SIGNED,
    Draw,
    Good,
    Row,
    Wrong,
    copy_of,
    flipped,
    of_entry,
    other_length,
    signed_by,
    strangers,
    world,
)

# -- signatures, their threshold and order --


def _resort(entry: v1.Entry) -> None:
    ordered = sorted(entry.signatures, key=lambda one: one.signer)
    del entry.signatures[:]
    entry.signatures.extend(ordered)


def _half_flipped(half: str) -> Callable[[v1.Entry, Good, Draw], None]:
    def change(entry: v1.Entry, _good: Good, draw: Draw) -> None:
        one = entry.signatures[draw(st.integers(0, len(entry.signatures) - 1))]
        setattr(one, half, flipped(getattr(one, half), draw))

    return change


def _half_of_another_key(half: str) -> Callable[[v1.Entry, Good, Draw], None]:
    def change(entry: v1.Entry, good: Good, draw: Draw) -> None:
        one = entry.signatures[draw(st.integers(0, len(entry.signatures) - 1))]
        other = draw(st.sampled_from(strangers(good))).sign_entry(entry.type, entry.body)
        setattr(one, half, getattr(other, half))

    return change


def _half_of_another_entry(half: str) -> Callable[[v1.Entry, Good, Draw], None]:
    def change(entry: v1.Entry, good: Good, draw: Draw) -> None:
        at = draw(st.integers(0, len(entry.signatures) - 1))
        signer = next(key for key in good.signers if key.public.key_id == entry.signatures[at].signer)
        type_name, body = draw(st.sampled_from([(entry.type, entry.body + b"\0"), (entry.type + "X", entry.body)]))
        setattr(entry.signatures[at], half, getattr(signer.sign_entry(type_name, body), half))

    return change


def _half_of_wrong_length(half: str, right: int) -> Callable[[v1.Entry, Good, Draw], None]:
    def change(entry: v1.Entry, _good: Good, draw: Draw) -> None:
        one = entry.signatures[draw(st.integers(0, len(entry.signatures) - 1))]
        value = getattr(one, half)
        size = draw(st.integers(0, right + 40).filter(lambda size: size != right))
        setattr(one, half, value[:size].ljust(size, b"\0"))

    return change


def _another_signers_name(entry: v1.Entry, _good: Good, draw: Draw) -> None:
    one = entry.signatures[draw(st.integers(0, len(entry.signatures) - 1))]
    one.signer = flipped(one.signer, draw)
    _resort(entry)


def _name_of_wrong_length(entry: v1.Entry, _good: Good, draw: Draw) -> None:
    entry.signatures[draw(st.integers(0, len(entry.signatures) - 1))].signer = draw(other_length(KeyId.length))


def _unknown_in_a_signature(entry: v1.Entry, _good: Good, draw: Draw) -> None:
    entry.signatures[draw(st.integers(0, len(entry.signatures) - 1))].MergeFromString(draw(unknown_fields(3)))


def _a_stranger_besides(entry: v1.Entry, good: Good, draw: Draw) -> None:
    entry.CopyFrom(add_signature(entry, draw(st.sampled_from(strangers(good)))))


def _a_stranger_instead(entry: v1.Entry, good: Good, draw: Draw) -> None:
    del entry.signatures[draw(st.integers(0, len(entry.signatures) - 1))]
    _a_stranger_besides(entry, good, draw)


def _fewer(entry: v1.Entry, _good: Good, draw: Draw) -> None:
    kept = draw(
        st.lists(st.sampled_from(range(len(entry.signatures))), unique=True, max_size=len(entry.signatures) - 1)
    )
    signatures = [entry.signatures[index] for index in sorted(kept)]
    entry.CopyFrom(v1.Entry(type=entry.type, body=entry.body, signatures=signatures))


def _one_more_is_asked_for(good: Good, _draw: Draw) -> Wrong:
    assert good.roster is not None
    policy = replace(good.roster.policy, threshold=len(good.signers) + 1)
    return Wrong(replace(good.roster, policy=policy), good.entry)


def _a_founder_does_not_sign(good: Good, draw: Draw) -> Wrong:
    statement = copy_of(good.statement)
    statement.administrators.insert(draw(st.integers(0, 3)), world().attacker.public.to_message())
    return Wrong(None, signed_by(statement, *good.signers))


def _repeated(entry: v1.Entry, _good: Good, draw: Draw) -> None:
    at = draw(st.integers(0, len(entry.signatures) - 1))
    entry.signatures.insert(at, entry.signatures[at])


def _out_of_order(entry: v1.Entry, _good: Good, draw: Draw) -> None:
    right = list(entry.signatures)
    order = draw(st.permutations(range(len(right))).filter(lambda order: list(order) != sorted(order)))
    del entry.signatures[:]
    entry.signatures.extend(right[index] for index in order)


ED25519, MLDSA65 = ("ed25519_signature", 64), ("mldsa65_signature", 3309)


def signature_rows(name: str) -> Iterator[Row]:
    for half, right in (ED25519, MLDSA65):
        yield of_entry("signature", f"a bit of {half}", Rule.BAD_SIGNATURE, _half_flipped(half))
        yield of_entry("signature", f"{half} by another key", Rule.BAD_SIGNATURE, _half_of_another_key(half))
        yield of_entry("signature", f"{half} of another entry", Rule.BAD_SIGNATURE, _half_of_another_entry(half))
        yield of_entry("signature", f"{half} too long or short", Rule.MALFORMED, _half_of_wrong_length(half, right))
    yield of_entry("signature", "another signer's name", Rule.UNKNOWN_SIGNER, _another_signers_name)
    yield of_entry("signature", "a name too long or short", Rule.MALFORMED, _name_of_wrong_length)
    yield of_entry("signature", "an unknown field", Rule.MALFORMED, _unknown_in_a_signature)
    yield of_entry("signature", "a stranger's besides", Rule.UNKNOWN_SIGNER, _a_stranger_besides)
    yield of_entry("signature", "a stranger's instead", Rule.UNKNOWN_SIGNER, _a_stranger_instead)
    yield of_entry("threshold", "fewer signatures", Rule.TOO_FEW_SIGNATURES, _fewer)
    if name == "Genesis":
        yield Row("threshold", "a founder does not sign", Rule.TOO_FEW_SIGNATURES, _a_founder_does_not_sign)
    elif name not in MEMBER_SIGNED:
        yield Row("threshold", "one more is asked for", Rule.TOO_FEW_SIGNATURES, _one_more_is_asked_for)
    yield of_entry("order", "a signature twice", Rule.SIGNATURE_ORDER, _repeated)
    if name not in ("NodeRestored", "RecoveryObjected"):  # they have one signature
        yield of_entry("order", "another order", Rule.SIGNATURE_ORDER, _out_of_order)


# -- the entry's form --


def unknown_fields(known: int) -> st.SearchStrategy[bytes]:
    """A field of a number that the message does not have: a varint, or some bytes."""
    numbers = st.integers(known + 1, 2**29 - 1).filter(lambda number: not 19_000 <= number < 20_000)
    varint = st.builds(lambda number: _varint(number << 3) + b"\x01", numbers)
    return varint | st.builds(lambda number: _varint(number << 3 | 2) + b"\x03abc", numbers)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _body_resigned(entry: v1.Entry, good: Good, body: bytes) -> None:
    changed = v1.Entry(type=entry.type, body=body)
    for key in good.signers:
        changed = add_signature(changed, key)
    entry.CopyFrom(changed)


def _unknown_in_the_statement(entry: v1.Entry, good: Good, draw: Draw) -> None:
    _body_resigned(
        entry, good, entry.body + draw(unknown_fields(max(each.number for each in good.statement.DESCRIPTOR.fields)))
    )


def _unknown_within(entry: v1.Entry, good: Good, draw: Draw) -> None:
    """In any message that the statement contains."""
    statement = copy_of(good.statement)
    inner = [f for f in statement.DESCRIPTOR.fields if f.message_type is not None]
    field = draw(st.sampled_from(inner))
    value = getattr(statement, field.name)
    known = max(each.number for each in field.message_type.fields)
    (value[0] if field.is_repeated else value).MergeFromString(draw(unknown_fields(known)))
    _body_resigned(entry, good, statement.SerializeToString(deterministic=True))


def _unknown_in_the_entry(entry: v1.Entry, _good: Good, draw: Draw) -> None:
    entry.MergeFromString(draw(unknown_fields(3)))


def _not_to_be_parsed(entry: v1.Entry, good: Good, draw: Draw) -> None:
    broken = draw(st.sampled_from([b"\x0a\x7f", b"\x0f", b"\xff" * 11]))
    _body_resigned(entry, good, entry.body + broken)


def _absurdly_long(entry: v1.Entry, _good: Good, draw: Draw) -> None:
    entry.body += bytes(MAX_SIGNED + draw(st.integers(0, 1000)))


def _no_type(entry: v1.Entry, _good: Good, draw: Draw) -> None:
    names = st.sampled_from(["", "cordee.v1.Offer", "cordee.v1.Card", "google.protobuf.Timestamp"])
    entry.type = draw(names | st.just(entry.type + "2") | st.just(entry.type.lower()))


def _first_of_a_log(good: Good, _draw: Draw) -> Wrong:
    return Wrong(None, good.entry)


def _a_second_genesis(good: Good, _draw: Draw) -> Wrong:
    return Wrong(world().network.roster, good.entry)


def form_rows(name: str) -> Iterator[Row]:
    yield of_entry("form", "an unknown field in the statement", Rule.MALFORMED, _unknown_in_the_statement)
    yield of_entry("form", "an unknown field further in", Rule.MALFORMED, _unknown_within)
    yield of_entry("form", "an unknown field in the entry", Rule.MALFORMED, _unknown_in_the_entry)
    yield of_entry("form", "a body that cannot be parsed", Rule.MALFORMED, _not_to_be_parsed)
    yield of_entry("form", "a body of absurd length", Rule.MALFORMED, _absurdly_long)
    if name == "Genesis":
        yield of_entry("form", "no such type", Rule.NO_GENESIS, _no_type)
        yield Row("form", "a second genesis", Rule.UNKNOWN_TYPE, _a_second_genesis)
    else:
        yield of_entry("form", "no such type", Rule.UNKNOWN_TYPE, _no_type)
        yield Row("form", "the first of a log", Rule.NO_GENESIS, _first_of_a_log)
