"""Spans of time as people type them."""

from __future__ import annotations

import re
from datetime import timedelta

from cordee.errors import N_, InvalidInput

__all__ = ["span"]

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_SPAN = re.compile(r"([1-9][0-9]{0,5})([smhd])")


def span(text: str, *, field: str) -> timedelta:
    """`90s`, `15m`, `36h` or `7d`. Raises InvalidInput, naming the field, for anything else."""
    found = _SPAN.fullmatch(text.strip())
    if not found:
        raise InvalidInput(
            field=field, problem=N_("“{given}” is no span of time; write 90s, 15m, 36h or 7d"), given=text
        )
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
