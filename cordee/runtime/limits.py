"""How much one caller may ask for: calls at a time, calls a second, refusals, and what else is counted (token buckets).

Each caller has its own account, so that one cannot take the others' share. Time comes from the clock that is passed in.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cordee.errors import TooManyCallsOpen, TooManyRefusals, TooManyRequests
from cordee.runtime.clock import Clock

__all__ = ["Budget", "CallerLimits"]

_MAX_CALLERS = 10_000


@dataclass
class _Account:
    tokens: float
    time: float


class Budget:
    """So many of something for each caller: `rate` a second on average, `burst` at once."""

    def __init__(self, clock: Clock, *, rate: float, burst: float) -> None:
        self._clock = clock
        self._rate = rate
        self._burst = burst
        self._accounts: OrderedDict[Hashable, _Account] = OrderedDict()

    def wait(self, caller: Hashable, amount: float = 1) -> float:
        """Seconds until there is room for that much; 0 where there is now."""
        return self._wait(self._account(caller), amount)

    def spend(self, caller: Hashable, amount: float = 1, *, error: Callable[..., TooManyRequests]) -> None:
        """Take it out. Raises what `error` makes, with the `seconds` until there is room."""
        account = self._account(caller)
        seconds = self._wait(account, amount)
        if seconds:
            raise error(seconds=told(seconds))
        account.tokens -= amount

    def note(self, caller: Hashable) -> None:
        """One has happened, whether there was room for it or not."""
        account = self._account(caller)
        account.tokens = max(0.0, account.tokens - 1)

    def _wait(self, account: _Account, amount: float) -> float:
        lacking = min(amount, self._burst) - account.tokens
        return lacking / self._rate if lacking > 0 else 0.0

    def _account(self, caller: Hashable) -> _Account:
        now = self._clock.now().timestamp()
        account = self._accounts.get(caller)
        if account is None:
            account = self._accounts[caller] = _Account(self._burst, now)
            if len(self._accounts) > _MAX_CALLERS:
                self._accounts.popitem(last=False)  # who has been quiet longest
        # A clock that is set back gives nothing and takes nothing.
        account.tokens = min(self._burst, account.tokens + max(0.0, now - account.time) * self._rate)
        account.time = now
        self._accounts.move_to_end(caller)
        return account


class CallerLimits:
    """`rate` calls a second on average, `burst` at once; `concurrent` at a time, streams included; and of those that
    are refused, `refusals` at once and a sixtieth of them a second, since looking at what is wrong costs as well.
    """

    def __init__(
        self, clock: Clock, *, concurrent: int = 24, rate: float = 200, burst: float = 400, refusals: float = 600
    ) -> None:
        self._calls = Budget(clock, rate=rate, burst=burst)
        self._refusals = Budget(clock, rate=refusals / 60, burst=refusals)
        self._concurrent = concurrent
        self._running: dict[Hashable, int] = {}

    @contextmanager
    def taken(self, caller: Hashable) -> Iterator[None]:
        """One call of the caller's, from here to the end of the block.

        Raises: TooManyRequests, TooManyCallsOpen, TooManyRefusals.
        """
        running = self._running.get(caller, 0)
        if running >= self._concurrent:
            raise TooManyCallsOpen(limit=self._concurrent)
        if seconds := self._refusals.wait(caller):
            raise TooManyRefusals(seconds=told(seconds))
        self._calls.spend(caller, error=TooManyRequests)
        self._running[caller] = running + 1
        try:
            yield
        finally:
            left = self._running[caller] - 1
            if left:
                self._running[caller] = left
            else:
                del self._running[caller]

    def refused(self, caller: Hashable) -> None:
        """A call of the caller's was refused, for another reason than that there were too many."""
        self._refusals.note(caller)


def told(seconds: float) -> str:
    """Rounded up to a tenth: whoever waits that long finds room."""
    return f"{math.ceil(seconds * 10) / 10:.1f}"
