"""What a person looks for among the associations: out of a page's address, into a query, and back.

Codes and numbers only: an address may stand in a history. The départements that a minor has to avoid are never in it,
only that they are to be respected.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from starlette.datastructures import QueryParams

from cordee.case import Case
from cordee.errors import N_
from cordee.jsonform import package_data
from cordee.profile import Query, departement_name

__all__ = ["DEPARTEMENTS", "GENDERS", "SPECIALITIES", "Criteria", "Mistake", "departement_code", "folded"]

_SERVICE: Final = package_data("directory_entry.schema.json")["properties"]["services"]["items"]["properties"]
SPECIALITIES: Final[tuple[str, ...]] = tuple(_SERVICE["specialities"]["items"]["enum"])
GENDERS: Final[tuple[str, ...]] = tuple(_SERVICE["genders_accepted"]["items"]["enum"])
DEPARTEMENTS: Final[Mapping[str, str]] = package_data("departements.json")
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}")
_OLDEST: Final = 120
_LONGEST: Final = 100  # characters of a name that is looked for
_MANY: Final = 101  # départements
_TONIGHT: Final = "emergency_shelter"


@dataclass(frozen=True, slots=True)
class Mistake:
    """What was typed and cannot be used: the field's place on the page, its label and what is wrong, as texts."""

    anchor: str
    label: str
    problem: str


@dataclass(frozen=True, slots=True)
class Criteria:
    """What is looked for, as it was typed. `avoid`: keep away from the départements that the case says to avoid."""

    need: str = ""
    departement: str = ""
    far: str = ""
    age: str = ""
    gender: str = ""
    language: str = ""
    name: str = ""
    tonight: bool = False
    runaways: bool = False
    free: bool = False
    avoid: bool = True

    @classmethod
    def read(cls, params: QueryParams, otherwise: Criteria | None = None) -> Criteria:
        """As the form says it; `otherwise` where no form was filled in yet. What is no code of ours says nothing."""
        if "q" not in params:
            return otherwise or cls()
        typed = {key: params.get(key, "").strip() for key in ("need", "dep", "far", "age", "gender", "lang", "name")}
        return cls(
            need=typed["need"] if typed["need"] in SPECIALITIES else "",
            departement=typed["dep"] if typed["dep"] in DEPARTEMENTS else "",
            far=typed["far"][: 5 * _MANY],
            age=typed["age"][:10],
            gender=typed["gender"] if typed["gender"] in GENDERS else "",
            language=typed["lang"] if _LANGUAGE.fullmatch(typed["lang"]) else "",
            name=typed["name"][:_LONGEST],
            tonight="tonight" in params,
            runaways="runaways" in params,
            free="free" in params,
            avoid="avoid" in params,
        )

    @classmethod
    def of_case(cls, case: Case, *, today: date, purpose: str) -> Criteria:
        """What a case says already, so that nobody types it again. For a shelter at night, what that asks for."""
        night = purpose == _TONIGHT
        spoken = [str(each).partition("-")[0] for each in case.value("identity.languages") or ()]
        return cls(
            need=_TONIGHT if night else "",
            departement=_known(case.value("situation.departement_of_residence"), DEPARTEMENTS),
            age=_age(case, today),
            gender=_known(case.value("identity.gender"), GENDERS),
            language=spoken[0] if spoken and "fr" not in spoken else "",
            tonight=night,
            runaways=night and bool(case.section("runaways")),
            free=night,
        )

    def query(self, avoided: Collection[str] = ()) -> tuple[Query, tuple[Mistake, ...]]:
        """The search, and what of it cannot be used. `avoided`: the départements of the case to keep away from."""
        mistakes = []
        age = int(self.age) if self.age.isascii() and self.age.isdecimal() else None
        if self.age and (age is None or age > _OLDEST):
            mistakes.append(Mistake("age", N_("Age"), N_("write it as a number of years, such as 15")))
            age = None
        far, unknown = _codes(self.far)
        if unknown:
            problem = N_("write the numbers of départements, such as 13, 83, 2A")
            mistakes.append(Mistake("far", N_("Far from"), problem))
        query = Query(
            speciality=self.need or None,
            departement=self.departement or None,
            far_from=tuple(sorted({*far, *(avoided if self.avoid else ())})),
            age=age,
            gender=self.gender or None,
            language=self.language or None,
            tonight=self.tonight,
            runaways=self.runaways,
            free_places=self.free,
        )
        return query, tuple(mistakes)


def departement_code(typed: str) -> str:
    """The code of a département that somebody wrote by its number or its name; empty where there is no such."""
    plain = folded(typed)
    if not plain:
        return ""
    padded = plain.zfill(2).upper()
    if padded in DEPARTEMENTS:
        return padded
    return next((code for code in DEPARTEMENTS if folded(departement_name(code)) == plain), "")


def folded(name: str) -> str:
    """Without accents, capitals, hyphens and apostrophes: nobody types them in a hurry."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    return "".join(each for each in plain if each.isalnum())


def _codes(typed: str) -> tuple[tuple[str, ...], bool]:
    """The départements named in a text, and whether some of it names none."""
    found = [departement_code(each) for each in re.split(r"[\s,;]+", typed) if each]
    return tuple(each for each in found if each), "" in found


def _known(value: object, codes: Collection[str]) -> str:
    return str(value) if value in codes else ""


def _age(case: Case, today: date) -> str:
    born = case.birth_date
    if born is not None and born <= today:
        return str(today.year - born.year - ((today.month, today.day) < (born.month, born.day)))
    told = case.value("identity.age_at_opening")
    return "" if told is None else str(told)
