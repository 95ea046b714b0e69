"""What can be wrong with the keys in a statement, and with those of several together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import Any

from hypothesis import strategies as st

from cordee.policy import MAX_ADMINISTRATORS
from cordee.roster import Rule
from cordee.signing import SigningKey, member_id_of
from tests.cordee.entry_rows import (
    Draw,
    Good,
    Row,
    Wrong,
    announced_key,
    copy_of,
    descriptor_of,
    of_statement,
    other_length,
    setting,
    signed_by,
    world,
)

NO_POINTS = [bytes(32), b"\x01" + bytes(31), b"\xff" * 32, b"\x02" + bytes(31)]
"""Small order, the neutral element, not canonical, not on the curve."""


def key_part_rows(path: str, _name: str) -> list[Row]:
    if path.endswith("ed25519"):
        return [
            of_statement(path, "no point", Rule.MALFORMED, setting(path, st.sampled_from(NO_POINTS))),
            of_statement(path, "too long or short", Rule.MALFORMED, setting(path, other_length(32))),
        ]
    return [of_statement(path, "too long or short", Rule.MALFORMED, setting(path, other_length(1952)))]


def taken_keys(name: str) -> list[SigningKey]:
    """Keys that have a holder, or had one. A member's first key gives its id, which an admission fails for first."""
    town = world()
    keys = [town.network.directory, town.former["directory"], town.former["administrator"]]
    keys += [*town.network.administrators[:3], town.marseille.identity]
    if name != "MemberRecovered":
        keys.append(announced_key())
    if name != "MemberAdmitted":
        keys += [town.former["member"], town.nice.identity, town.lille.identity, town.paris.identity]
    return keys


def taken_key_rows(path: str, name: str) -> list[Row]:
    def taken(good: Good, draw: Draw) -> Wrong:
        keys = [key for key in taken_keys(name) if name != "IdentityRotated" or key != good.signers[0]]
        key, statement = draw(st.sampled_from(keys)), copy_of(good.statement)
        getattr(statement, path).CopyFrom(key.public.to_message())
        if name == "MemberAdmitted":
            statement.member = member_id_of(key.public)
        signers = (good.signers[0], key) if name == "IdentityRotated" else good.signers
        return Wrong(good.roster, signed_by(statement, *signers))

    # A recovery is to the key that was announced: no other is even looked at.
    rule = Rule.NOT_THE_ANNOUNCED_KEY if name == "MemberRecovered" else Rule.KEY_TAKEN
    rows = [Row(path, "a key that has or had a holder", rule, taken)]
    if name == "MemberAdmitted":

        def again(good: Good, draw: Draw) -> Wrong:
            town, statement = world(), copy_of(good.statement)
            member = draw(st.sampled_from([town.nice, town.lille, town.paris]))
            statement.identity_key.CopyFrom(member.identity.public.to_message())
            statement.member = member.id
            return Wrong(good.roster, signed_by(statement, *good.signers))

        rows.append(Row(path, "a member who was admitted before", Rule.MEMBER_ID_TAKEN, again))
    return rows


# -- several fields at once --


@cache
def crowd() -> list[SigningKey]:
    """As many keys as a network may have administrators, the three in force among them."""
    more = [SigningKey.from_seed(number.to_bytes(64)) for number in range(1, MAX_ADMINISTRATORS - 2)]
    return [*world().network.administrators[:3], *more]


def _too_many_founders(statement: Any, draw: Draw) -> None:
    if draw(st.booleans()):
        del statement.administrators[:]
    else:
        more = [*crowd()[3:], world().attacker]
        statement.administrators.extend(key.public.to_message() for key in more)


def _one_too_many(good: Good, _draw: Draw) -> Wrong:
    assert good.roster is not None
    full = MappingProxyType({key.public.key_id: key.public for key in crowd()})
    return Wrong(replace(good.roster, administrators=full), good.entry)


def _a_founder_twice(statement: Any, draw: Draw) -> None:
    statement.administrators.append(draw(st.sampled_from(list(statement.administrators))))


def _directory_is_a_founder(statement: Any, draw: Draw) -> None:
    statement.directory_key.CopyFrom(draw(st.sampled_from(list(statement.administrators))))


def whole_rows(name: str) -> Iterator[Row]:
    if name == "Genesis":
        too_many = Rule.TOO_MANY_ADMINISTRATORS
        yield of_statement("administrators", "none or too many", too_many, _too_many_founders)
        yield of_statement("administrators", "one twice", Rule.KEY_TAKEN, _a_founder_twice)
        yield of_statement("directory_key", "an administrator's", Rule.KEY_TAKEN, _directory_is_a_founder)
        return
    for path in ("identity_key", "key"):
        if path in descriptor_of(name).fields_by_name:
            yield from taken_key_rows(path, name)
    if name == "AdministratorAdded":
        yield Row("key", "one more than there may be", Rule.TOO_MANY_ADMINISTRATORS, _one_too_many)
