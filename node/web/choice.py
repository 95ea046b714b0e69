"""What a person chose to send: read from a page's address, and judged by nobody here.

An address carries ids and codes only. It can be changed by anybody who can type; `node.sending` decides anew at each
step, so a changed one can narrow what leaves, or be refused, and never widen it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from cordee.act import Act
from cordee.case import PURPOSES, SECTIONS, Case
from cordee.case.labels import field_label, section_label
from cordee.errors import N_, MalformedStatement, NotFound
from cordee.ids import MemberId
from node.sending import Preview
from node.web.lines import Line, lines_of

__all__ = ["NEVER", "Choice", "SectionView", "address", "sections_of"]

NEVER: Final = frozenset({"notes", "consents"})
"""Sections that leave for no purpose at all."""

_KEYS: Final = (
    *("q", "need", "dep", "far", "age", "gender", "lang", "name", "tonight", "runaways", "free", "avoid"),
    *("to", "purpose", "kind", "act", "own", "s", "x", "file", "v"),
)
_MANY: Final = 400  # values that an address may carry


@dataclass(frozen=True, slots=True)
class Choice:
    """So far: to whom, what for, under which act, and what of the case. What is not chosen yet is empty."""

    to: str = ""
    purpose: str = ""
    kind: str = ""
    act: str = ""
    own: bool = False  # sections were chosen by hand
    kept: frozenset[str] = frozenset()  # sections that may leave, where they were
    held_back: frozenset[str] = frozenset()  # fields, as section.field
    files: tuple[str, ...] = ()
    version: int = 0  # of the case that the person looked at; 0 where none was

    @classmethod
    def read(cls, params: QueryParams) -> Choice:
        """As the address says it."""
        purpose, version = params.get("purpose", ""), params.get("v", "")
        return cls(
            to=params.get("to", "")[:64],
            purpose=purpose if purpose in PURPOSES else "",
            kind=params.get("kind", "")[:20],
            act=params.get("act", "")[:64],
            own="own" in params,
            kept=frozenset(params.getlist("s")[:_MANY]),
            held_back=frozenset(params.getlist("x")[:_MANY]),
            files=tuple(dict.fromkeys(params.getlist("file")[:_MANY])),
            version=int(version) if version.isascii() and version.isdecimal() and len(version) < 10 else 0,
        )

    @property
    def recipient(self) -> MemberId:
        """Raises NotFound where it names none."""
        try:
            return MemberId(bytes.fromhex(self.to))
        except (ValueError, MalformedStatement):
            raise NotFound(what=N_("member")) from None

    @property
    def ticked(self) -> frozenset[str]:
        """The sections that go only where somebody asks for it, and somebody did."""
        modes = PURPOSES[self.purpose].modes
        return frozenset(name for name in self.kept if modes.get(name) == "C") - {"attachments"}

    @property
    def unticked(self) -> frozenset[str]:
        """The sections and fields that somebody took out."""
        modes = PURPOSES[self.purpose].modes
        taken_out = {name for name, mode in modes.items() if mode in ("D", "M") and name not in self.kept}
        return self.held_back | (taken_out if self.own else frozenset())

    def asked(self) -> dict[str, Any]:
        """As `Sending.preview` and `Sending.offer` take it."""
        return {
            "recipient": self.recipient,
            "purpose": self.purpose,
            "act_id": self.act,
            "kind": self.kind,
            "ticked": self.ticked,
            "unticked": self.unticked,
            "attachments": self.files,
        }


def address(params: QueryParams, *without: str, **changes: str) -> str:
    """The same choices as an address carries them, some taken out, some changed; only keys that we know."""
    kept = [
        (key, value)
        for key, value in params.multi_items()[:_MANY]
        if key in _KEYS and key not in without and key not in changes
    ]
    return urlencode([*kept, *changes.items()])


@dataclass(frozen=True, slots=True)
class SectionView:
    """One section, as the page shows what of it leaves."""

    name: str
    label: str
    goes: bool
    open_to_choice: bool  # it can be taken out, or asked for
    note: str  # why it stays, or why it has to go
    entries: tuple[tuple[Line, ...], ...]
    may_stay: tuple[tuple[str, str, bool], ...]  # fields that can be held back: path, label, whether it is
    left_out: tuple[str, ...]  # labels of the fields that do not go and that nobody can let go here


def sections_of(
    case: Case, choice: Choice, preview: Preview | None, act: Act | None, *, revealed: Iterable[str] = ()
) -> tuple[SectionView, ...]:
    """Every section of the record: what leaves of it, and why the rest does not. `preview` is None where refused."""
    asked_for = frozenset(revealed)
    package: Mapping[str, Any] = preview.package if preview else {}
    covered = act.sections | {"meta"} if act else frozenset(SECTIONS)
    return tuple(
        _view(name, case, choice, package, covered, asked_for) for name in SECTIONS if name not in ("attachments",)
    )


def _view(
    name: str,
    case: Case,
    choice: Choice,
    package: Mapping[str, Any],
    covered: frozenset[str],
    revealed: frozenset[str],
) -> SectionView:
    mode = PURPOSES[choice.purpose].modes[name]
    goes = name in package
    there = bool(case.section(name))
    possible = mode != "X" and name in covered and there
    fields = _fields_in(case.section(name))
    leaving = _fields_in(package.get(name))
    held = {each.partition(".")[2] for each in choice.held_back if each.startswith(f"{name}.")}
    return SectionView(
        name=name,
        label=section_label(name),
        goes=goes,
        open_to_choice=possible and mode in ("D", "M", "C"),
        note=_note(mode, goes=goes, there=there, covered=name in covered),
        entries=lines_of(name, package.get(name), revealed=revealed) if goes else (),
        may_stay=tuple(
            (f"{name}.{field}", field_label(f"{name}.{field}"), field in held)
            for field in fields
            if field in leaving or field in held
        )
        if name != "meta"
        else (),
        left_out=tuple(field_label(f"{name}.{field}") for field in fields if field not in leaving and field not in held)
        if goes and name != "meta"
        else (),
    )


def _fields_in(value: Any) -> tuple[str, ...]:
    """The names of the fields that hold something, in a section or in any entry of one."""
    entries = value if isinstance(value, list) else [value or {}]
    found = dict.fromkeys(
        name for entry in entries for name, each in entry.items() if each not in (None, "", []) and name[:2] != "x_"
    )
    return tuple(found)


def _note(mode: str, *, goes: bool, there: bool, covered: bool) -> str:
    if mode == "X":
        return N_("never leaves for this purpose")
    if not there:
        return N_("nothing is written there")
    if not covered:
        return N_("the act does not cover it")
    if mode == "R":
        return N_("always goes for this purpose")
    if mode == "C" and not goes:
        return N_("stays here unless you ask for it")
    if mode == "M" and goes:
        return N_("only what this purpose needs of it goes")
    return "" if goes else N_("taken out: it stays here")
