"""What the form of an act offers: the sections of its purpose, the family's holders, grounds and durations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from cordee.act.form import LEGAL
from cordee.case import PURPOSES
from cordee.case.form import LIST_SECTIONS, SECTIONS, is_field, known_part
from cordee.case.record import Case

__all__ = ["BASES", "DURATIONS", "Choice", "Holder", "Offered", "holders_of", "of_age_on", "offered"]

_AUTHORITY = {"joint": "parental_authority_holder", "sole": "parental_authority_holder", "delegated": "guardian"}
_PARENTS = frozenset({"mother", "father"})
_UNTOLD = frozenset({None, "", "unknown"})
_NEVER = frozenset({"meta", "notes", "consents", "attachments"})  # always covered, never sent, or chosen one by one

DURATIONS: Final[Mapping[str, timedelta]] = {
    "72h": timedelta(hours=72),
    "90d": timedelta(days=90),
    "180d": timedelta(days=180),
}
"""Proposed (domain §2.3): an emergency, one transfer, following together."""

BASES: Final = tuple(name for name, rule in LEGAL["bases"].items() if rule["path"] == "C")
"""The legal bases of a decision for danger or duty."""


@dataclass(frozen=True)
class Choice:
    """What is chosen first: the kind, the purpose, and to whom."""

    kind: str
    purpose: str
    org_id: str = ""
    category: str = ""
    departement: str = ""

    @property
    def recipient(self) -> dict[str, str]:
        """As an act names it."""
        if self.org_id:
            return {"kind": "organisation", "org_id": self.org_id}
        place = {"departement": self.departement} if self.departement else {}
        return {"kind": "category", "category": self.category, **place}


@dataclass(frozen=True)
class Holder:
    """Somebody in the family who holds parental authority, or may."""

    person_id: str
    role: str  # of the act
    family_role: str
    first_name: str
    careful: bool  # the record says that one should not simply call
    unclear: bool  # nobody has noted whether they hold it

    @property
    def field(self) -> str:
        """The name of their answer in the form."""
        return f"holder-{self.person_id}"


@dataclass(frozen=True)
class Offered:
    """A section that may leave for the purpose: by which mode, and which of its fields are filled."""

    name: str
    mode: str  # R always, D unless unticked, C if ticked, M in part
    fields: tuple[str, ...]


def offered(case: Case, purpose: str) -> tuple[Offered, ...]:
    """The sections of the matrix for this purpose, in the record's order; what never leaves is not among them."""
    rule = PURPOSES[purpose]
    return tuple(
        Offered(name, rule.modes[name], _filled(case, name, rule.fields.get(name)))
        for name in SECTIONS
        if name not in _NEVER and rule.modes[name] != "X"
    )


def holders_of(case: Case) -> tuple[Holder, ...]:
    """Those of the family who hold parental authority, and the parents of whom nobody has noted it."""
    found = []
    for each in case.section("family") or ():
        authority, role = each.get("parental_authority"), each.get("role", "other")
        unclear = authority in _UNTOLD and role in _PARENTS
        if "person_id" not in each or not (authority in _AUTHORITY or unclear or role == "legal_guardian"):
            continue
        found.append(
            Holder(
                person_id=each["person_id"],
                role="guardian" if role == "legal_guardian" else _AUTHORITY.get(authority, "parental_authority_holder"),
                family_role=role,
                first_name=each.get("first_name", ""),
                careful=each.get("contact_allowed") in ("forbidden", "with_caution") or each.get("implicated") == "yes",
                unclear=unclear,
            )
        )
    return tuple(found)


def of_age_on(case: Case, *, after: date, within: timedelta) -> date | None:
    """The 18th birthday, where it lies ahead and soon: an act that was given before it ends with it (domain §2.3)."""
    born = case.birth_date
    if born is None:
        return None
    years = int(LEGAL["adult_at"])
    leap_day = (born.month, born.day) == (2, 29)
    birthday = date(born.year + years, 3, 1) if leap_day else born.replace(year=born.year + years)
    return birthday if after < birthday <= after + within else None


def _filled(case: Case, name: str, listed: Sequence[str] | None) -> tuple[str, ...]:
    """The fields of a section that hold something and could leave, as `section.field`."""
    content = known_part(name, case.section(name) or ([] if name in LIST_SECTIONS else {}))
    entries = content if isinstance(content, list) else [content]
    only = None if listed is None else {each.partition(".")[0] for each in listed}
    keys = dict.fromkeys(key for entry in entries for key, value in entry.items() if value not in (None, "", [], {}))
    paths = (f"{name}.{key}" for key in keys if only is None or key in only)
    return tuple(path for path in paths if not path.endswith(("_id", "_ids")) and is_field(path))
