"""A policy as a form: each setting as a number with its unit, or yes and no; and the form back into a policy.

It is made from the policy's own fields, so that a setting that is added to it stands in the form as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any, Final

from starlette.datastructures import FormData

from cordee.errors import N_, InvalidInput, MalformedStatement
from cordee.policy import Policy
from directory.administrator.policy_words import SETTINGS

__all__ = ["UNITS", "Setting", "policy_from", "settings_of"]

_SPANS: Final[Mapping[str, int]] = {"days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
_SIZES: Final[Mapping[str, int]] = {"GiB": 2**30, "MiB": 2**20, "KiB": 2**10, "bytes": 1}
UNITS: Final[Mapping[str, str]] = {
    "days": N_("days"),
    "hours": N_("hours"),
    "minutes": N_("minutes"),
    "seconds": N_("seconds"),
    "GiB": N_("GiB"),
    "MiB": N_("MiB"),
    "KiB": N_("KiB"),
    "bytes": N_("bytes"),
}
_OF_BYTES: Final = frozenset({"content_size_limit", "mailbox_quota"})
_MOST_DIGITS = 13


@dataclass(frozen=True)
class Setting:
    """One line of the form."""

    name: str
    label: str
    """A marked text."""
    kind: str
    """number, span, size or yes."""
    value: str
    """As it is typed; for yes and no, yes or no."""
    unit: str = ""
    units: tuple[str, ...] = ()
    may_be_empty: bool = False


def settings_of(policy: Policy, typed: FormData | None = None) -> Iterator[Setting]:
    """The form's lines, with what was typed where something was."""
    for field in fields(Policy):
        made = _setting(field.name, str(field.type), getattr(policy, field.name))
        if typed is not None and f"{field.name}" in typed:
            unit = str(typed.get(f"{field.name}:unit", made.unit))
            value = str(typed.get(field.name, ""))[: _MOST_DIGITS + 1]
            made = replace(made, value=value, unit=unit if unit in made.units else made.unit)
        yield made


def policy_from(policy: Policy, form: FormData) -> Policy:
    """The policy with what the form says; what is not in the form stays. Raises: InvalidInput, naming the setting."""
    changed: dict[str, Any] = {}
    for each in settings_of(policy, form):
        if each.name in form:
            changed[each.name] = _value(each)
    for name, value in changed.items():  # one after the other, so that it is known which one is out of range
        try:
            policy = replace(policy, **{name: value})
        except MalformedStatement:
            raise InvalidInput(field=name, problem=N_("this is out of the range that a network may have")) from None
    return policy


def _setting(name: str, type_: str, value: Any) -> Setting:
    label = SETTINGS.get(name, name)
    if type_ == "bool":
        return Setting(name, label, "yes", "yes" if value else "no")
    if "timedelta" in type_:
        empty = "None" in type_
        if value is None:
            return Setting(name, label, "span", "", "days", tuple(_SPANS), may_be_empty=True)
        count, unit = _in_largest(value // timedelta(seconds=1), _SPANS)
        return Setting(name, label, "span", str(count), unit, tuple(_SPANS), may_be_empty=empty)
    if name in _OF_BYTES:
        count, unit = _in_largest(value, _SIZES)
        return Setting(name, label, "size", str(count), unit, tuple(_SIZES))
    return Setting(name, label, "number", str(value))


def _value(setting: Setting) -> Any:
    typed = setting.value.strip().replace("\u00a0", "").replace("\u202f", "").replace(" ", "")
    if setting.kind == "yes":
        return typed == "yes"
    if not typed and setting.may_be_empty:
        return None
    if not typed.isascii() or not typed.isdecimal() or len(typed) > _MOST_DIGITS:
        raise InvalidInput(field=setting.name, problem=N_("a whole number is asked for"))
    count = int(typed)
    if setting.kind == "span":
        return timedelta(seconds=min(count * _SPANS[setting.unit], 10**10))
    return count * _SIZES[setting.unit] if setting.kind == "size" else count


def _in_largest(count: int, units: Mapping[str, int]) -> tuple[int, str]:
    """In the largest unit that tells it exactly: what is signed is not rounded."""
    unit = next(name for name, size in units.items() if count % size == 0)
    return count // units[unit], unit
