"""The summary that goes before a case: a question of capacity that names nobody (domain §1.5, purpose 12).

Only coded values and numbers are copied. Free text is not: people write names into it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from cordee.case.form import SECTIONS
from cordee.case.minimisation import PURPOSES
from cordee.errors import N_, InvalidInput
from cordee.jsonform import package_data
from cordee.v1 import statements_pb2 as v1

if TYPE_CHECKING:
    from cordee.case.record import Case

__all__ = ["capacity_summary"]

_CONSTRAINTS_LIMIT = 800  # characters, as the sealed summary allows
_LANGUAGES_LIMIT = 32
_OLDEST = 30  # an age beyond this is a slip of the pen
_NEEDS: Final = frozenset(
    package_data("directory_entry.schema.json")["properties"]["services"]["items"]["properties"]["specialities"][
        "items"
    ]["enum"]
)


def capacity_summary(
    case: Case,
    *,
    purpose: str,
    kind: str,
    sections: Iterable[str],
    attachments: int = 0,
    need: str = "",
    first_transfer: bytes = b"",
    now: datetime | None = None,
) -> v1.Summary:
    """What the recipient learns before it accepts.

    `kind`: "transfer", "referral" or "update"; `sections`: those offered; `attachments`: how many; `need`: the
    speciality that is looked for; `first_transfer`: the one that an update follows. The age is the one at `now` where
    a birth date is known and `now` is given, else the one at opening; 0 stands for unknown.

    Raises: InvalidInput for an unknown purpose, section or need.
    """
    offered = tuple(sections)
    if purpose not in PURPOSES:
        raise InvalidInput(field="purpose", problem=N_("it must be one of {options}"), options=", ".join(PURPOSES))
    if not set(offered) <= set(SECTIONS):
        raise InvalidInput(field="sections", problem=N_("it names a section that does not exist"))
    if need and need not in _NEEDS:
        raise InvalidInput(field="need", problem=N_("it must be one of {options}"), options=", ".join(sorted(_NEEDS)))
    departement = case.value("housing.departement") or case.value("situation.departement_of_residence")
    return v1.Summary(
        kind=kind,
        purpose=purpose,
        sections=offered,
        need=need,
        departement=departement or "",
        age=_age(case, now),
        gender=case.value("identity.gender") or "",
        urgency=case.value("housing.shelter_need") or "",
        constraints=_constraints(case),
        attachments=attachments,
        first_transfer_id=first_transfer,
        risk_level=case.value("risk.level") or "",
        languages=(case.value("identity.languages") or [])[:_LANGUAGES_LIMIT],
    )


def _age(case: Case, now: datetime | None) -> int:
    born = case.birth_date
    if born is not None and now is not None and born <= now.date():
        return min(_years(born, now.date()), _OLDEST)
    told = case.value("identity.age_at_opening") or 0
    return min(max(int(told), 0), _OLDEST)


def _years(born: date, today: date) -> int:
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def _constraints(case: Case) -> str:
    """Coded answers as `field=value,value; …`, within the bound; an answer that would not fit is left out whole."""
    measures: list[dict[str, Any]] = case.value("judicial.measures") or []
    answers = {
        "immediate_danger": [case.value("risk.immediate_danger")],
        "interpreter_needed": [case.value("identity.interpreter_needed")],
        "areas_to_avoid": case.value("housing.areas_to_avoid") or [],
        "urgent_need": [case.value("health.urgent_need")],
        "exploitation_status": [case.value("situation.exploitation_status")],
        "forms": case.value("exploitation.forms") or [],
        "measures": list(dict.fromkeys(measure.get("kind") for measure in measures)),
    }
    text = ""
    for field, values in answers.items():
        told = [str(value) for value in values if value is not None]
        more = f"{'; ' if text else ''}{field}={','.join(told)}"
        if told and len(text) + len(more) <= _CONSTRAINTS_LIMIT:
            text += more
    return text
