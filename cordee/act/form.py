"""A consent act as it was recorded: one decision, for named purposes, sections and recipients (domain §2.3)."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from cordee.case.form import ACT_FORM, is_field
from cordee.errors import N_, InvalidRecord, Problem
from cordee.jsonform import canonical, load_json, package_data

__all__ = ["ACT_LIMIT", "LEGAL", "Act", "Decider", "Path", "parse_act"]

ACT_LIMIT = 256 * 1024
"""Bytes of one act."""

LEGAL: Final[Mapping[str, Any]] = package_data("legal_bases.json")
"""The legal bases, and what each asks for: data that a network can change with its lawyer."""

_NO_HANDLER = "-"
_TIMES = ("decided_at", "valid_from", "valid_until", "review_due_at")


class Path(StrEnum):
    """The three paths of domain §2.2."""

    AGREEMENT = "A"
    SHARED_SECRECY = "B"
    DUTY = "C"


@dataclass(frozen=True, slots=True)
class Decider:
    """One person or authority, and what they answered."""

    role: str
    answer: str
    person_id: str
    discernment: str  # able, partly, not_able, not_assessed; empty where it was not asked

    @property
    def is_minor(self) -> bool:
        """The minor whose case it is."""
        return self.role == "minor"

    @property
    def is_holder(self) -> bool:
        """Someone who holds or exercises parental authority."""
        return self.role in ("parental_authority_holder", "guardian", "ase", "ad_hoc_administrator")

    @property
    def agrees(self) -> bool:
        """Agreement, or a young minor's assent."""
        return self.answer in ("agrees", "assents")

    @property
    def refuses(self) -> bool:
        """Refusal, or a young minor's dissent."""
        return self.answer in ("refuses", "dissents")


class Act:
    """A consent act that has been checked. Its bytes are those that were recorded: a token commits to them."""

    __slots__ = ("_data", "_document")

    def __init__(self, document: Mapping[str, Any], data: bytes) -> None:
        self._document = document
        self._data = data

    @classmethod
    def parse(cls, data: bytes | Mapping[str, Any]) -> Act:
        """As `parse_act`."""
        return parse_act(data)

    def __repr__(self) -> str:
        return f"Act({self.act_id})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Act) and self._data == other._data

    def __hash__(self) -> int:
        return hash(self._data)

    def to_bytes(self) -> bytes:
        """The bytes that were recorded, unchanged."""
        return self._data

    def to_dict(self) -> dict[str, Any]:
        """A copy of what it says."""
        return copy.deepcopy(dict(self._document))

    def for_travel(self) -> Act:
        """The act as it may leave: without the handler's id and without keys of one's own (`x_…`)."""
        document = {key: value for key, value in self.to_dict().items() if not key.startswith("x_")}
        document["recorded_by"] = _NO_HANDLER
        return parse_act(document)

    # ---- what it says ----

    @property
    def act_id(self) -> str:
        """Its id."""
        return str(self._document["act_id"])

    @property
    def case_id(self) -> str:
        """The case that it is about."""
        return str(self._document["case_id"])

    @property
    def kind(self) -> str:
        """`consent`, `refusal`, `information_only` or `override`."""
        return str(self._document["kind"])

    @property
    def legal_basis(self) -> str:
        """One of seven codes."""
        return str(self._document["legal_basis"])

    @property
    def path(self) -> Path:
        """The path that its legal basis follows."""
        return Path(LEGAL["bases"][self.legal_basis]["path"])

    @property
    def status(self) -> str:
        """`requested`, `active`, `refused`, `withdrawn`, `expired`, `superseded` or `used`."""
        return str(self._document["status"])

    @property
    def decided_at(self) -> datetime:
        """When it was decided."""
        return _time(self._document["decided_at"])

    @property
    def deciders(self) -> tuple[Decider, ...]:
        """Who answered what."""
        return tuple(
            Decider(
                role=each["role"],
                answer=each["answer"],
                person_id=each.get("person_id", ""),
                discernment=each.get("discernment", {}).get("result", ""),
            )
            for each in self._document["decided_by"]
        )

    @property
    def purposes(self) -> frozenset[str]:
        """What the sharing is for."""
        return frozenset(self._document["purposes"])

    @property
    def sections(self) -> frozenset[str]:
        """The sections of the record in scope; `meta` always is."""
        return frozenset(self._document["sections"])

    @property
    def excluded_fields(self) -> frozenset[str]:
        """Fields that are held back, as `section.field`."""
        return frozenset(self._document.get("excluded_fields", ()))

    @property
    def attachment_ids(self) -> frozenset[str]:
        """The attachments in scope."""
        return frozenset(self._document.get("attachment_ids", ()))

    @property
    def recipients(self) -> tuple[Mapping[str, str], ...]:
        """Organisations by `org_id`, or a `category` with or without a `departement`."""
        return tuple(dict(each) for each in self._document["recipients"])

    @property
    def valid_from(self) -> datetime:
        """From when it holds."""
        return _time(self._document["valid_from"])

    @property
    def valid_until(self) -> datetime:
        """From when it does not hold any more."""
        return _time(self._document["valid_until"])

    @property
    def review_due_at(self) -> datetime | None:
        """When an override has to be looked at again."""
        return _time(self._document["review_due_at"]) if "review_due_at" in self._document else None

    @property
    def single_use(self) -> bool:
        """Whether one transfer uses it up."""
        return bool(self._document.get("single_use", True))

    @property
    def justification(self) -> str:
        """The written reason, or necessity; empty where nothing but spaces was written."""
        return str(self._document.get("justification", "")).strip()

    @property
    def validated_by_role(self) -> str:
        """The second person's function; empty where nobody confirmed it."""
        return str(self._document.get("validated_by_role", "")).strip()

    @property
    def minor_informed(self) -> str:
        """`done`, `not_possible` or `against_interest`."""
        return str(self._document["information"]["minor"])

    @property
    def parents_informed(self) -> str:
        """`done`, `not_possible`, `against_child_interest`, `not_required_minor_asked_secrecy` or `none_known`."""
        return str(self._document["information"]["parents"])

    @property
    def reason_not_informed(self) -> str:
        """Why somebody was not informed; empty where nothing was written."""
        return str(self._document["information"].get("reason_not_informed", "")).strip()


def parse_act(data: bytes | Mapping[str, Any]) -> Act:
    """Check an act: its schema, its times, and that the fields it holds back exist.

    An act given as a mapping gets one canonical form of bytes.

    Raises: InvalidRecord with every problem; never with a value.
    """
    document: Any = load_json(data, limit=ACT_LIMIT, what=N_("the act")) if isinstance(data, bytes) else dict(data)
    ACT_FORM.check(document)
    problems = tuple(_own_rules(document))
    if problems:
        raise InvalidRecord(problems=problems)
    kept = data if isinstance(data, bytes) else canonical(document)
    if len(kept) > ACT_LIMIT:
        raise InvalidRecord(path=N_("the act"), problem=N_("longer than {limit} bytes"), limit=ACT_LIMIT)
    return Act(copy.deepcopy(document), kept)


def _own_rules(document: Mapping[str, Any]) -> Iterator[Problem]:
    no_times = [field for field in _TIMES if field in document and not _is_time(document[field])]
    if no_times:
        yield from (Problem(field, N_("is no time that can be")) for field in no_times)
        return
    starts, ends = _time(document["valid_from"]), _time(document["valid_until"])
    if starts >= ends:
        yield Problem("valid_until", N_("must be later than valid_from"))
    hours = LEGAL["bases"][document["legal_basis"]].get("longest_hours")
    if hours is not None and ends - starts > timedelta(hours=hours):
        text = N_("must be within {hours} hours of valid_from under this legal basis")
        yield Problem.of("valid_until", text, hours=hours)
    # A field that does not exist holds nothing back: a slip of the pen here would send what was to stay.
    for index, field in enumerate(document.get("excluded_fields", ())):
        if not is_field(field):
            yield Problem(f"excluded_fields[{index}]", N_("names no field of the record"))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.upper())


def _is_time(text: str) -> bool:
    """The schema lets RFC 3339 pass, which knows the year 0 and leap seconds; Python knows neither."""
    try:
        _time(text)
    except ValueError:
        return False
    return True
