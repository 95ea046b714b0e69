"""How much one caller may ask for: calls at a time, and calls a second (a token bucket)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cordee.errors import TooManyRequests
from cordee.runtime.clock import Clock

__all__ = ["CallerLimits"]

_MAX_CALLERS = 10_000


@dataclass
class _Account:
    tokens: float
    time: float
    running: int = 0


class CallerLimits:
    """Counts for each caller by itself, so that one cannot take the others' share.

    `rate` calls a second on average, `burst` at once; `concurrent` calls at a time, streams included.
    """

    def __init__(self, clock: Clock, *, concurrent: int = 24, rate: float = 200, burst: float = 400) -> None:
        self._clock = clock
        self._concurrent = concurrent
        self._rate = rate
        self._burst = burst
        self._accounts: OrderedDict[Hashable, _Account] = OrderedDict()

    @contextmanager
    def taken(self, caller: Hashable) -> Iterator[None]:
        """One call of the caller's, from here to the end of the block. Raises: TooManyRequests."""
        account = self._account(caller)
        now = self._clock.now().timestamp()
        # A clock that is set back gives nothing and takes nothing.
        account.tokens = min(self._burst, account.tokens + max(0.0, now - account.time) * self._rate)
        account.time = now
        if account.tokens < 1 or account.running >= self._concurrent:
            raise TooManyRequests()
        account.tokens -= 1
        account.running += 1
        try:
            yield
        finally:
            account.running -= 1

    def _account(self, caller: Hashable) -> _Account:
        account = self._accounts.get(caller)
        if account is None:
            account = self._accounts[caller] = _Account(self._burst, self._clock.now().timestamp())
            if len(self._accounts) > _MAX_CALLERS:
                self._forget_one()
        self._accounts.move_to_end(caller)
        return account

    def _forget_one(self) -> None:
        """Drop whoever has been quiet longest and has nothing running."""
        for caller, account in self._accounts.items():
            if not account.running:
                del self._accounts[caller]
                return
