"""A network's policy in words: each setting with its name and its value, as people read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final

from cordee.errors import N_
from cordee.policy import Policy
from cordee.runtime.texts import text

__all__ = ["SETTINGS", "changes", "value_text"]

SETTINGS: Final[Mapping[str, str]] = {
    "threshold": N_("administrators who must sign"),
    "freshness_limit": N_("age at which a node no longer trusts its roster"),
    "offer_life_limit": N_("longest wait of an offer for its answer"),
    "shipping_limit": N_("longest time from an acceptance to the case"),
    "content_size_limit": N_("largest case with its files"),
    "mailbox_quota": N_("most that may wait for one sender"),
    "recovery_delay": N_("from the announcement of a recovery to the new key"),
    "act_life_limit": N_("longest that an act counts"),
    "shared_secrecy_closed": N_("sharing on professional secrecy alone is closed"),
    "holders_alone_closed": N_("sharing on the holders’ word alone, where the minor cannot judge, is closed"),
}
"""Every setting of a policy, in the order in which it is told."""

_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)


def value_text(policy: Policy, setting: str, language: str) -> str:
    """One setting's value for people."""
    value = getattr(policy, setting)
    if value is None:
        return text(N_("none") if setting == "recovery_delay" else N_("as long as it says"), language)
    if isinstance(value, bool):
        return text(N_("yes") if value else N_("no"), language)
    if isinstance(value, timedelta):
        return _span(value, language)
    return _size(value, language) if setting in ("content_size_limit", "mailbox_quota") else str(value)


def changes(old: Policy, new: Policy, language: str) -> Iterator[tuple[str, str, str]]:
    """What differs: the setting's name, its value before and after."""
    for setting, name in SETTINGS.items():
        if getattr(old, setting) != getattr(new, setting):
            before, after = (value_text(each, setting, language) for each in (old, new))
            yield text(name, language), before, after


def _span(length: timedelta, language: str) -> str:
    """Exactly: what is signed must not be rounded."""
    for unit, message in (
        (_DAY, N_("{count} days")),
        (_HOUR, N_("{count} h")),
        (timedelta(minutes=1), N_("{count} min")),
    ):
        if length % unit == timedelta(0):
            return text(message, language).format(count=length // unit)
    return text(N_("{count} s"), language).format(count=length // timedelta(seconds=1))


def _size(count: int, language: str) -> str:
    for unit, message in ((2**30, N_("{count} GiB")), (2**20, N_("{count} MiB")), (2**10, N_("{count} KiB"))):
        if count % unit == 0:
            return text(message, language).format(count=count // unit)
    return text(N_("{count} bytes"), language).format(count=count)
