"""A bound for every field of every request, checked before a servicer sees it.

A table of requests says what each field may hold; `register` refuses a table that forgets a field, so a new field in
a .proto stops the server from starting until somebody has thought about its size. Bounds keep memory and time small;
they are no proof that a value is right: parsing does that.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message as Protobuf

from cordee.errors import N_, InvalidInput

__all__ = [
    "Binary",
    "Bound",
    "Choice",
    "Flag",
    "Message",
    "Number",
    "Repeated",
    "Text",
    "Time",
    "check",
    "is_registered",
    "register",
    "register_bounded",
]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


class Bound(ABC):
    """What one field may hold."""

    types: ClassVar[frozenset[int]]
    absent = True  # a field with presence may be missing

    @abstractmethod
    def check(self, value: Any, path: str) -> None:
        """Raise InvalidInput, naming the field and the limit, never the value."""

    def fits(self, field: Any, path: str) -> None:
        """Raise ValueError where this bound is of another kind than the field."""
        if field.is_repeated or field.type not in self.types:
            raise ValueError(f"{path}: {type(self).__name__} does not fit this field")


class Binary(Bound):
    """Bytes: `minimum` to `maximum` of them, or of one exact length; `empty` allows none at all as well."""

    types = frozenset({FieldDescriptor.TYPE_BYTES})

    def __init__(self, maximum: int, *, minimum: int = 1, empty: bool = False) -> None:
        self._minimum, self._maximum, self._empty = minimum, maximum, empty

    @classmethod
    def exactly(cls, length: int, *, empty: bool = False) -> Binary:
        """Bytes of one length."""
        return cls(length, minimum=length, empty=empty)

    def check(self, value: Any, path: str) -> None:
        """Check the length."""
        size = len(value)
        if self._minimum <= size <= self._maximum or (not size and self._empty):
            return
        raise InvalidInput(
            field=path,
            problem=N_("it has {size} bytes; {minimum} to {maximum} are possible"),
            size=size,
            minimum=self._minimum,
            maximum=self._maximum,
        )


class Text(Bound):
    """Text of `maximum` characters without control characters; `lines` allows tabs and line ends."""

    types = frozenset({FieldDescriptor.TYPE_STRING})

    def __init__(
        self, maximum: int, *, minimum: int = 1, empty: bool = False, lines: bool = False, pattern: str | None = None
    ) -> None:
        self._minimum, self._maximum, self._empty = minimum, maximum, empty
        self._control = _CONTROL_BUT_LINES if lines else _CONTROL
        self._pattern = re.compile(pattern) if pattern is not None else None

    def check(self, value: Any, path: str) -> None:
        """Check length and characters."""
        size = len(value)
        if not size and self._empty:
            return
        if not self._minimum <= size <= self._maximum:
            raise InvalidInput(
                field=path,
                problem=N_("it has {size} characters; {minimum} to {maximum} are possible"),
                size=size,
                minimum=self._minimum,
                maximum=self._maximum,
            )
        if self._control.search(value):
            raise InvalidInput(field=path, problem=N_("it has control characters"))
        if self._pattern is not None and not self._pattern.fullmatch(value):
            raise InvalidInput(field=path, problem=N_("it has not the form that is asked for"))


class Number(Bound):
    """A whole number."""

    types = frozenset(
        {
            FieldDescriptor.TYPE_UINT64,
            FieldDescriptor.TYPE_UINT32,
            FieldDescriptor.TYPE_INT64,
            FieldDescriptor.TYPE_INT32,
        }
    )

    def __init__(self, maximum: int, *, minimum: int = 0) -> None:
        self._minimum, self._maximum = minimum, maximum

    def check(self, value: Any, path: str) -> None:
        """Check the range."""
        if not self._minimum <= value <= self._maximum:
            raise InvalidInput(
                field=path,
                problem=N_("{minimum} to {maximum} is possible"),
                minimum=self._minimum,
                maximum=self._maximum,
            )


class Flag(Bound):
    """Yes or no."""

    types = frozenset({FieldDescriptor.TYPE_BOOL})

    def check(self, value: Any, path: str) -> None:
        """Both are possible."""


class Choice(Bound):
    """A value of an enumeration that this version knows, other than zero unless `unspecified`."""

    types = frozenset({FieldDescriptor.TYPE_ENUM})

    def __init__(self, *, unspecified: bool = False) -> None:
        self._unspecified = unspecified
        self._known: frozenset[int] = frozenset()

    def fits(self, field: Any, path: str) -> None:
        """Learn the values."""
        super().fits(field, path)
        self._known = frozenset(field.enum_type.values_by_number)

    def check(self, value: Any, path: str) -> None:
        """Check that the value is known."""
        if value not in self._known or (value == 0 and not self._unspecified):
            raise InvalidInput(field=path, problem=N_("there is no such choice"))


class Time(Bound):
    """A google.protobuf.Timestamp or Duration, of a magnitude that can be handled; `absent` allows none."""

    types = frozenset({FieldDescriptor.TYPE_MESSAGE})
    _MAX_SECONDS = 7_258_118_400  # the year 2200

    def __init__(self, *, absent: bool = False) -> None:
        self.absent = absent

    def fits(self, field: Any, path: str) -> None:
        """Check that the field is a time."""
        super().fits(field, path)
        if field.message_type.full_name not in ("google.protobuf.Timestamp", "google.protobuf.Duration"):
            raise ValueError(f"{path}: Time does not fit this field")

    def check(self, value: Any, path: str) -> None:
        """Check the magnitude."""
        if not (0 <= value.seconds <= self._MAX_SECONDS and 0 <= value.nanos < 1_000_000_000):
            raise InvalidInput(field=path, problem=N_("it is no time between 1970 and 2200"))


class Repeated(Bound):
    """A list of at most `maximum` values, each within `each`."""

    types = frozenset()

    def __init__(self, each: Bound, maximum: int) -> None:
        self._each, self._maximum = each, maximum

    def fits(self, field: Any, path: str) -> None:
        """Check that the field is a list of what `each` is for."""
        if not field.is_repeated or field.type not in self._each.types:
            raise ValueError(f"{path}: Repeated does not fit this field")
        if isinstance(self._each, Message):
            self._each.bind(field.message_type, path)

    def check(self, value: Any, path: str) -> None:
        """Check how many there are, then each."""
        if len(value) > self._maximum:
            raise InvalidInput(
                field=path,
                problem=N_("there are {size} of them; {maximum} at most are possible"),
                size=len(value),
                maximum=self._maximum,
            )
        for index, item in enumerate(value):
            self._each.check(item, f"{path}[{index}]")


class Message(Bound):
    """A message, with a bound for each of its fields; `absent` allows it not to be there.

    Of a `oneof`, only the member that is set is checked, and one must be.
    """

    types = frozenset({FieldDescriptor.TYPE_MESSAGE})

    def __init__(self, fields: Mapping[str, Bound] | None = None, /, *, absent: bool = False, **more: Bound) -> None:
        self._fields = {**(fields or {}), **more}
        self.absent = absent
        self._always: tuple[tuple[str, Bound, bool], ...] = ()  # name, bound, whether presence is asked for
        self._one_ofs: tuple[str, ...] = ()

    def fits(self, field: Any, path: str) -> None:
        """Check that the field is such a message, and every field below it."""
        super().fits(field, path)
        self.bind(field.message_type, path)

    def bind(self, descriptor: Any, path: str) -> None:
        """Tie the bounds to a message type. Raises: ValueError where a field has none, or a bound has no field."""
        names = {field.name for field in descriptor.fields}
        if forgotten := names - self._fields.keys():
            raise ValueError(f"{path}: no bound for {', '.join(sorted(forgotten))}")
        if unknown := self._fields.keys() - names:
            raise ValueError(f"{path}: no such field: {', '.join(sorted(unknown))}")
        for field in descriptor.fields:
            self._fields[field.name].fits(field, f"{path}.{field.name}")
        real = [one_of for one_of in descriptor.oneofs if not _is_optional(one_of)]
        inside = {field.name for one_of in real for field in one_of.fields}
        self._one_ofs = tuple(one_of.name for one_of in real)
        self._always = tuple(
            (field.name, self._fields[field.name], field.has_presence)
            for field in descriptor.fields
            if field.name not in inside
        )

    def check(self, value: Any, path: str) -> None:
        """Check every field."""
        for name, bound, has_presence in self._always:
            if has_presence and not value.HasField(name):
                if bound.absent:
                    continue
                raise InvalidInput(field=_join(path, name), problem=N_("missing"))
            bound.check(getattr(value, name), _join(path, name))
        for one_of in self._one_ofs:
            name = value.WhichOneof(one_of)
            if name is None:
                raise InvalidInput(field=_join(path, one_of), problem=N_("missing"))
            self._fields[name].check(getattr(value, name), _join(path, name))


_TABLE: dict[str, Message] = {}
_BOUNDED: set[type] = set()


def register(request: type[Protobuf], bound: Message) -> None:
    """Set the bounds of a request type. Raises: ValueError where they do not fit it."""
    bound.bind(request.DESCRIPTOR, request.DESCRIPTOR.full_name)
    _TABLE[request.DESCRIPTOR.full_name] = bound


def register_bounded(kind: type) -> None:
    """A type whose objects cannot be out of bounds, since they are not made then."""
    _BOUNDED.add(kind)


def is_registered(request: Any) -> bool:
    """Whether a request type has bounds."""
    return request.full_name in _TABLE


def check(request: Any) -> None:
    """Check a request against its bounds.

    Raises: InvalidInput; LookupError for a request type without bounds, which no server starts with.
    """
    if type(request) in _BOUNDED:
        return
    bound = _TABLE.get(request.DESCRIPTOR.full_name)
    if bound is None:
        raise LookupError(request.DESCRIPTOR.full_name)
    bound.check(request, "")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _is_optional(one_of: Any) -> bool:
    """`optional uint32 x` is a oneof of one inside protobuf."""
    return len(one_of.fields) == 1 and bool(one_of.name.startswith("_"))
