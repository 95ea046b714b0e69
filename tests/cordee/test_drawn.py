from __future__ import annotations

import pytest

from cordee.drawn import DrawnSecret
from tests.builders import seeded_random


def test_a_secret_is_256_bits_of_the_randomness_that_is_given() -> None:
    random = seeded_random("drawn")
    assert bytes(DrawnSecret(random)) == seeded_random("drawn")(32).hex().encode()


@pytest.mark.parametrize("typed", [b"x" * 64, "x" * 64, 64])
def test_nothing_that_is_there_already_is_taken_for_one(typed: object) -> None:
    with pytest.raises(TypeError):
        DrawnSecret(typed)  # type: ignore[arg-type]  # that is the test


def test_it_does_not_show_itself() -> None:
    secret = DrawnSecret(seeded_random("drawn"))
    assert bytes(secret).decode() not in f"{secret!r} {secret!s} {secret}"
