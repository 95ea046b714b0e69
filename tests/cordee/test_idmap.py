"""The immutable mapping does what a dictionary does, and leaves its elders alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordee.idmap import IdMap

KEYS = st.binary(min_size=1, max_size=2)


@given(st.lists(st.tuples(KEYS, st.one_of(st.none(), st.integers()))))
def test_it_does_what_a_dictionary_does_and_every_earlier_one_stays(steps: list[tuple[bytes, int | None]]) -> None:
    mapping: IdMap[bytes, int] = IdMap()
    model: dict[bytes, int] = {}
    history = [(mapping, dict(model))]
    for key, value in steps:
        if value is not None:
            mapping, model = mapping.with_item(key, value), {**model, key: value}
        elif key in model:
            mapping = mapping.without(key)
            del model[key]
        else:
            with pytest.raises(KeyError):
                mapping.without(key)
        history.append((mapping, dict(model)))
    for earlier, expected in history:
        assert dict(earlier) == expected
        assert len(earlier) == len(expected)
        assert earlier == expected


def test_what_is_not_there_is_not_there() -> None:
    mapping: IdMap[bytes, int] = IdMap()
    assert b"" not in mapping
    assert b"a" not in mapping
    assert mapping.get(b"a") is None
    with pytest.raises(TypeError):
        mapping[b"a"] = 1  # type: ignore[index]  # that it cannot be set is the point
