from __future__ import annotations

import pytest

from cordee.profile.numbers import DOUBTS, doubt_about, is_siret


@pytest.mark.parametrize("number", ["00097228100034", "000 972 281 00034", "W598693030", "w 598 693 030", "2A0001234"])
def test_a_number_of_which_nothing_looks_wrong_raises_no_doubt(number: str) -> None:
    assert doubt_about(number) is None


@pytest.mark.parametrize(
    ("number", "doubt"),
    [
        ("00097228100035", "siret_checksum"),
        ("60487647500499", "siret_checksum"),  # in an official example
        ("W2A0001234", "rna_form"),
        ("W59869303", "rna_form"),
        ("732829320", "siren_or_finess"),
        ("1234", "unknown_form"),
        ("732 829 320 0007", "unknown_form"),
    ],
)
def test_a_doubt_about_a_number_says_which_one(number: str, doubt: str) -> None:
    assert doubt_about(number) == doubt
    assert doubt in DOUBTS


def test_la_poste_s_numbers_follow_a_rule_of_their_own() -> None:
    assert is_siret("35600000000048")
    assert is_siret("35600000049837")
    assert not is_siret("35600000049838")
