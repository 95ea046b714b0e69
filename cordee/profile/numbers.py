"""Numbers by which an association is registered: SIRET, SIREN, RNA, FINESS, and what looks wrong about one.

A doubt is a warning and never a refusal: official examples fail their own check digits, La Poste's numbers follow a
rule of their own, some overseas RNA hold letters, and of FINESS no rule of check digits is published (domain §3.2).
"""

from __future__ import annotations

import re
from typing import Final

from stdnum.fr import siren, siret

from cordee.errors import N_

__all__ = ["DOUBTS", "doubt_about", "has_rna_form", "is_siren", "is_siret"]

DOUBTS: Final = {
    "siret_checksum": N_("The check digits of this SIRET are not right: type it again, unless it is so on paper."),
    "siren_or_finess": N_("A SIREN is of the association as a whole: give the SIRET, unless this is a FINESS."),
    "rna_form": N_("An RNA number is W and nine digits: type it again, unless it is so on paper."),
    "unknown_form": N_(
        "This is neither a SIRET (14 digits) nor an RNA (W and nine digits) nor a FINESS (nine characters)."
    ),
}
"""What looks wrong about a number, by code, for who types it."""

_RNA: Final = re.compile(r"W\d{9}")
_FINESS: Final = re.compile(r"(\d{2}|2[AB])\d{7}")


def is_siret(number: str) -> bool:
    """14 digits with right check digits, its SIREN included; or one of La Poste's, by its own rule."""
    return bool(siret.is_valid(number))


def is_siren(number: str) -> bool:
    """Nine digits with a right check digit."""
    return bool(siren.is_valid(number))


def has_rna_form(number: str) -> bool:
    """W and nine digits."""
    return _RNA.fullmatch(number) is not None


def doubt_about(number: str) -> str | None:
    """A code of `DOUBTS` for a number whose kind nobody said, or None where nothing looks wrong."""
    plain = "".join(each for each in number.upper() if each.isalnum())
    if plain.isdigit() and len(plain) == 14:
        return None if is_siret(plain) else "siret_checksum"
    if plain.startswith("W"):
        return None if has_rna_form(plain) else "rna_form"
    if _FINESS.fullmatch(plain) is None:
        return "unknown_form"
    # Nine digits both: only a number with the check digit of a SIREN may be one.
    return "siren_or_finess" if is_siren(plain) else None
