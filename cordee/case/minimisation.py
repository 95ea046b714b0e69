"""What of a case may leave: the matrix of the purpose ∩ the act − what never leaves − what was unticked (domain §1.5).

One function, `_narrowed`, says what may stay of a set of sections. The sender lets it make the package; the recipient
lets it read the package and refuses whatever it would have taken away. Keys of one's own (`x_…`) never leave: nobody
has said what they hold. Neither does the section `consents`: the one act that covers a transfer travels in the
manifest, the others are nobody else's business.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NoReturn

from cordee.case.form import LIST_SECTIONS, SECTIONS, is_field, known_part
from cordee.errors import N_, InvalidInput, NotCovered, NotFound, OutOfScope, Problem
from cordee.jsonform import package_data

if TYPE_CHECKING:
    from cordee.act import Act
    from cordee.case.record import Case

__all__ = ["PURPOSES", "Purpose", "check_scope", "mandatory_sections", "minimise"]

_DATA: Final[Mapping[str, Any]] = package_data("minimisation.json")
_NEVER: Final = frozenset(_DATA["always_out"]["sections"])
_FIELDS_NEVER: Final = frozenset(_DATA["always_out"]["fields"])
_UNLESS_FALSE: Final[Mapping[str, str]] = _DATA["always_out"]["unless_false"]
_UNLESS_HANDED_OVER: Final = frozenset(_DATA["always_out"]["unless_handed_over"])
_ENTRIES_UNLESS_TRUE: Final[Mapping[str, str]] = _DATA["always_out"]["entries_unless_true"]
_ALWAYS_COVERED: Final = frozenset(_DATA["always_covered"])
_NOTHING: Final[frozenset[str]] = frozenset()
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Purpose:
    """One purpose of sharing, and what may leave for it."""

    name: str
    title: str  # French, as people read it
    moves_responsibility: bool
    needs_act: bool
    modes: Mapping[str, str]  # of each section: R always, D unless unticked, C if ticked, M fields listed, X never
    fields: Mapping[str, tuple[str, ...]]  # of each section of mode M; `measures.kind` names a field of an entry

    @classmethod
    def of(cls, name: str, facts: Mapping[str, Any]) -> Purpose:
        """Read one purpose of `minimisation.json`."""
        sections = facts["sections"]
        return cls(
            name=name,
            title=facts["title"],
            moves_responsibility=facts["moves_responsibility"],
            needs_act=facts["needs_act"],
            modes={section: mode if isinstance(mode, str) else "M" for section, mode in sections.items()},
            fields={section: tuple(mode["M"]) for section, mode in sections.items() if not isinstance(mode, str)},
        )


PURPOSES: Final[Mapping[str, Purpose]] = MappingProxyType(
    {name: Purpose.of(name, facts) for name, facts in _DATA["purposes"].items()}
)
"""The thirteen purposes, by name."""


def mandatory_sections(purpose: str) -> frozenset[str]:
    """The sections without which a package for this purpose is refused (R). Raises: InvalidInput."""
    return frozenset(name for name, mode in _purpose(purpose).modes.items() if mode == "R")


def minimise(
    case: Case,
    *,
    purpose: str,
    act: Act | None,
    ticked: Collection[str] = _NOTHING,
    unticked: Collection[str] = _NOTHING,
    attachments: Collection[str] = (),
    taken: Collection[str] | None = None,
    hands_over: bool | None = None,
    update: bool = False,
) -> dict[str, Any]:
    """The sections that leave, each with the fields that leave; sections that would be empty are not among them.

    `ticked`: the sections of mode C that the handler chose. `unticked`: sections, or fields as `section.field`, that
    the handler takes out. `attachments`: ids of those chosen, one by one. `taken`: the sections that the recipient
    wants, None for all. `hands_over`: whether the recipient takes the follow-up over; None for what the purpose says.
    `update`: the recipient has the mandatory sections already, so that fewer may leave. `act` is None only for a
    purpose that needs none. `meta` is covered by every act.

    Raises: NotCovered, naming a mandatory section that is empty or taken out, or what was chosen and is not covered;
    InvalidInput for an unknown purpose, section or field; NotFound for an unknown attachment.
    """
    rule = _purpose(purpose)
    _check_act(rule, act)
    _check_choice(rule, act, ticked, unticked)
    _check_attachments(case, rule, act, attachments)
    package = _narrowed(
        {name: case.section(name) for name in case.sections()},
        rule=rule,
        act=act,
        ticked={*ticked, "attachments"} if attachments else set(ticked) - {"attachments"},
        excluded={each for each in unticked if "." in each},
        attachments=attachments,
        hands_over=rule.moves_responsibility if hands_over is None else hands_over,
    )
    left = {name: value for name, value in package.items() if name not in unticked and (taken is None or name in taken)}
    for name in SECTIONS:
        if rule.modes[name] == "R" and name not in left and not update:
            raise NotCovered(missing=N_("the section {section}"), section=name, rule="R")
    return left


def check_scope(
    sections: Mapping[str, Any],
    attachments: Iterable[str],
    *,
    purpose: str,
    act: Act,
    taken: Collection[str],
) -> None:
    """The recipient's check: what came is what these rules would let leave, whole and unchanged.

    `attachments`: the ids of those that came. `taken`: the sections that were offered and taken.

    Raises: OutOfScope(item=…) with the name of a section, the path of a field or the id of an attachment.
    """
    rule = PURPOSES.get(purpose)
    if rule is None or purpose not in act.purposes:
        _outside(N_("the purpose"))
    came = list(attachments)
    for name in sections:
        if name not in SECTIONS:
            _outside(N_("an unknown section"))
        if name not in taken:
            _outside(name)
    if came and not ("attachments" in taken and "attachments" in sections):
        _outside("attachments")
    for attachment in came:
        if attachment not in act.attachment_ids or came.count(attachment) > 1:
            if not _UUID.fullmatch(attachment):
                _outside(N_("an attachment"))
            _outside(N_("attachment {attachment}"), attachment=attachment)
    allowed = _narrowed(
        sections,
        rule=rule,
        act=act,
        ticked=set(SECTIONS),
        excluded=_NOTHING,
        attachments=came,
        hands_over=rule.moves_responsibility,
    )
    for name, value in sections.items():
        if name not in allowed:
            _outside(name)
        found = _difference(value, allowed[name], name)
        if found is not None:
            _outside(found.problem, place=found.path)
    described = {entry["attachment_id"] for entry in allowed.get("attachments", ())}
    if described != set(came) or len(allowed.get("attachments", ())) != len(came):
        _outside("attachments")


# ---- the rules ----


def _narrowed(
    sections: Mapping[str, Any],
    *,
    rule: Purpose,
    act: Act | None,
    ticked: Collection[str],
    excluded: Collection[str],
    attachments: Collection[str],
    hands_over: bool,
) -> dict[str, Any]:
    """The part of these sections that may leave. Applied to its own result, it changes nothing."""
    without = {*excluded, *_FIELDS_NEVER, *(act.excluded_fields if act else ())}
    if not hands_over:
        without |= _UNLESS_HANDED_OVER
    package: dict[str, Any] = {}
    for name in SECTIONS:
        if name not in sections or not _may_leave(name, rule, act, ticked):
            continue
        value = known_part(name, sections[name])
        if rule.modes[name] == "M":
            value = _each(name, value, lambda entry, listed=rule.fields[name]: _only(entry, listed))
        value = _each(name, value, lambda entry, name=name: _reduced(name, entry, without))
        if name in _ENTRIES_UNLESS_TRUE:
            value = [entry for entry in value if entry.get(_ENTRIES_UNLESS_TRUE[name]) is True]
        if name == "attachments":
            value = [entry for entry in value if entry.get("attachment_id") in attachments]
        if value:
            package[name] = value
    return package


def _may_leave(name: str, rule: Purpose, act: Act | None, ticked: Collection[str]) -> bool:
    mode = rule.modes[name]
    if mode == "X" or name in _NEVER or (mode == "C" and name not in ticked):
        return False
    return act is None or name in _ALWAYS_COVERED or name in act.sections


def _each(name: str, value: Any, change: Any) -> Any:
    """Apply a change to a section, or to each entry of a list section; entries that are left empty go."""
    if name not in LIST_SECTIONS:
        return change(value)
    return [changed for entry in value if isinstance(entry, dict) and (changed := change(entry))]


def _only(entry: dict[str, Any], listed: Iterable[str]) -> dict[str, Any]:
    """The listed fields of an entry; `measures.kind` stands for that field of each of its measures."""
    inner: dict[str, set[str]] = {}
    for path in listed:
        field, _, nested = path.partition(".")
        inner.setdefault(field, set()).update({nested} - {""})
    return {
        key: [{k: v for k, v in each.items() if k in inner[key]} for each in value] if inner[key] else value
        for key, value in entry.items()
        if key in inner
    }


def _reduced(name: str, entry: dict[str, Any], without: Collection[str]) -> dict[str, Any]:
    left = {key: value for key, value in entry.items() if f"{name}.{key}" not in without}
    # Judged by what is left: an answer that does not travel is none that the recipient could check.
    for path, question in _UNLESS_FALSE.items():
        section, _, field = path.partition(".")
        if section == name and left.get(question.partition(".")[2]) is not False:
            left.pop(field, None)
    return left


# ---- checks of what was asked for ----


def _purpose(name: str) -> Purpose:
    if name not in PURPOSES:
        raise InvalidInput(field="purpose", problem=N_("it must be one of {options}"), options=", ".join(PURPOSES))
    return PURPOSES[name]


def _check_act(rule: Purpose, act: Act | None) -> None:
    if act is None and rule.needs_act:
        raise NotCovered(missing=N_("an act"), rule=10)
    if act is not None and rule.name not in act.purposes:
        raise NotCovered(missing=N_("the purpose {purpose} in the act"), purpose=rule.name, rule=10)


def _check_choice(rule: Purpose, act: Act | None, ticked: Collection[str], unticked: Collection[str]) -> None:
    for each in (*ticked, *unticked):
        if each not in SECTIONS and not ("." in each and each in unticked and is_field(each)):
            raise InvalidInput(field="sections", problem=N_("it names a section or a field that does not exist"))
    for name in ticked:
        if not _may_leave(name, rule, act, ticked):
            raise NotCovered(
                missing=N_("the section {section} in the act, or for this purpose"), section=name, rule="C"
            )
    for name in unticked:
        if rule.modes.get(name) == "R":
            raise NotCovered(missing=N_("the section {section}"), section=name, rule="R")


def _check_attachments(case: Case, rule: Purpose, act: Act | None, attachments: Collection[str]) -> None:
    if attachments and not _may_leave("attachments", rule, act, {"attachments"}):
        raise NotCovered(
            missing=N_("the section {section} in the act, or for this purpose"), section="attachments", rule="C"
        )
    known = {entry["attachment_id"]: entry for entry in case.attachments}
    for attachment in attachments:
        if attachment not in known:
            raise NotFound(what=N_("attachment"))
        if act is None or attachment not in act.attachment_ids:
            raise NotCovered(missing=N_("the attachment {attachment} in the act"), attachment=attachment, rule="C")
        if known[attachment].get("may_be_sent") is not True:
            raise NotCovered(
                missing=N_("the mark “may be sent” on the attachment {attachment}"), attachment=attachment, rule="C"
            )


# ---- where two documents differ ----

_PLACE: Final = "{place}"


def _outside(item: str, **facts: str) -> NoReturn:
    raise OutOfScope(item=item, **facts)


def _difference(found: Any, allowed: Any, place: str) -> Problem | None:
    """The first place where something is that is not allowed. Names only keys that the schema knows."""
    if found == allowed and type(found) is type(allowed):
        return None
    if isinstance(found, dict) and isinstance(allowed, dict):
        section = place.partition("[")[0].partition(".")[0]
        for key, value in found.items():
            if key not in allowed:
                if is_field(f"{section}.{key}"):
                    return Problem(f"{place}.{key}", _PLACE)
                return Problem(place, N_("{place}: an unlisted field"))
            inner = _difference(value, allowed[key], f"{place}.{key}")
            if inner is not None:
                return inner
    if isinstance(found, list) and isinstance(allowed, list) and len(found) == len(allowed):
        for index, (left, right) in enumerate(zip(found, allowed, strict=True)):
            inner = _difference(left, right, f"{place}[{index}]")
            if inner is not None:
                return inner
    return Problem(place, _PLACE)
