"""An event loop whose clock jumps: where every task waits, time goes on to whatever comes next.

Everything that runs belongs to a *process* of the simulation (or to nobody: the network, the people). What belongs to
a process that has died is never run again: not its tasks, not its `finally`, as after SIGKILL.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
from collections.abc import Callable, Coroutine
from typing import Any

from . import threads
from .owner import PROCESS, Died, Owner

__all__ = ["PROCESS", "Died", "Loop", "Owner"]


class _Jumping:
    """In the place of a selector: nothing ever comes from outside, so that waiting is moving the clock."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("everything waits for something that nobody will do")
        if timeout > 0:
            self._loop.jump(timeout)
        return []

    def close(self) -> None:
        pass


class Loop(asyncio.BaseEventLoop):
    """Virtual time, in seconds from 0. `step` hears of each round in which something ran."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Jumping(self)
        self._moment = 0.0
        self._clock_resolution = 1e-6
        self.rounds = 0
        self.graves: list[Any] = []  # what must not be collected before the end: its `finally` would run

    def time(self) -> float:
        return self._moment

    def jump(self, seconds: float) -> None:
        self._moment += seconds
        self.rounds += 1

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    # ---- the dead run no more ----

    # As asyncio's own two, but for its checks of who calls: in each seed these are called some two thousand times.

    def call_soon(self, callback: Any, *args: Any, context: contextvars.Context | None = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)  # type: ignore[attr-defined]
        self._unless_dead(handle)
        return handle

    def call_at(
        self, when: float, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._scheduled, handle)  # type: ignore[attr-defined]
        handle._scheduled = True  # type: ignore[attr-defined]
        self._unless_dead(handle)
        return handle

    def _unless_dead(self, handle: Any) -> None:
        owner = handle._context.get(PROCESS)
        if owner is not None and not owner.alive:
            self._bury(handle)

    def bury(self, owner: Owner) -> None:
        """Nothing of this process runs again."""
        threads.bury(owner)
        for handle in (*self._ready, *self._scheduled):  # type: ignore[attr-defined]
            if handle._context.get(PROCESS) is owner:
                self._bury(handle)

    def _bury(self, handle: Any) -> None:
        self.graves.append((handle._callback, handle._args, handle._context))
        handle.cancel()

    def call_soon_threadsafe(
        self, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    # ---- threads ----

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        future = self.create_future()

        def work() -> None:
            try:
                result = func(*args)
            except Died:
                raise
            except BaseException as error:
                if not future.done():
                    future.set_exception(RuntimeError("StopIteration") if isinstance(error, StopIteration) else error)
            else:
                if not future.done():
                    future.set_result(result)

        threads.start(self, work)
        return future

    def spawn(self, owner: Owner | None, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task of a process."""
        context = contextvars.Context()
        context.run(PROCESS.set, owner)
        task = self.create_task(work, context=context)
        self.graves.append(task)
        return task
