"""Threads that are none: they run one at a time, by turns that the simulation's chance decides.

A thread runs until it waits for a queue, a condition or another thread, as a greenlet beside the event loop; so the
code that runs in threads is the real one, and the same seed makes the same interleaving.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import queue
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from types import TracebackType
from typing import Any

from greenlet import getcurrent, greenlet

from .owner import PROCESS, Died, Owner

__all__ = ["Condition", "Future", "SimpleQueue", "Thread", "bury", "forget", "start"]


class _Thread(greenlet):
    """One of them; `home` is the context in which it runs."""

    home: Context


_parked: dict[_Thread, Callable[[], bool]] = {}
"""Threads that wait, and for what."""


def bury(owner: Owner) -> None:
    """No thread of this process goes on."""
    for thread in [each for each in _parked if each.home.get(PROCESS) is owner]:
        del _parked[thread]


def forget() -> None:
    """Those of a simulation that is over."""
    _parked.clear()


def start(loop: Any, work: Callable[[], None]) -> greenlet:
    """Run it as a thread would be: soon, until it waits for something, and again when that has come."""

    def body() -> None:
        with contextlib.suppress(Died):
            work()

    thread = _Thread(body)
    thread.home = thread.gr_context = copy_context()
    loop.graves.append(thread)
    _parked[thread] = lambda: True
    _wake(loop, thread)
    return thread


def _wake(loop: Any, thread: _Thread, after: float | None = None) -> None:
    owner = thread.home.get(PROCESS)
    pause = after if after is not None else owner.thread_pause() if owner is not None else 0.0
    loop.call_later(pause, _resume, thread, context=thread.home.copy())


def _resume(thread: _Thread) -> None:
    if thread in _parked:
        del _parked[thread]
        thread.switch()


def _wait(ready: Callable[[], bool], seconds: float | None = None) -> bool:
    """In a thread: until it is so, or so much time has passed. In the loop itself: let the threads run until it is."""
    loop = asyncio.get_running_loop()
    here = getcurrent()
    if not isinstance(here, _Thread):
        _run_others(ready)
        return True
    ends = None if seconds is None else loop.time() + seconds
    while not ready():
        if ends is not None and loop.time() >= ends:
            return False
        _parked[here] = ready
        if ends is not None:
            _wake(loop, here, after=max(0.0, ends - loop.time()))
        here.parent.switch()
        _parked.pop(here, None)
    return True


def _run_others(ready: Callable[[], bool]) -> None:
    while not ready():
        thread = next((each for each, may in list(_parked.items()) if may()), None)
        if thread is None:
            raise RuntimeError("the loop waits for a thread that waits")
        _resume(thread)


def _tell(loop: Any) -> None:
    """Something changed: whoever waited for it gets its turn."""
    for thread, ready in list(_parked.items()):
        if ready():
            _wake(loop, thread)


class Condition:
    """In the place of `threading.Condition`."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        return _wait(predicate, timeout) or predicate()

    def notify(self) -> None:
        _tell(asyncio.get_running_loop())


class SimpleQueue:
    """In the place of `queue.SimpleQueue`."""

    def __init__(self) -> None:
        self._items: deque[Any] = deque()

    def put(self, item: Any) -> None:
        self._items.append(item)
        if len(self._items) == 1:
            _tell(asyncio.get_running_loop())

    def get(self) -> Any:
        _wait(lambda: bool(self._items))
        return self._items.popleft()

    def get_nowait(self) -> Any:
        if not self._items:
            raise queue.Empty
        return self._items.popleft()


class Future(concurrent.futures.Future[Any]):
    """In the place of `concurrent.futures.Future`."""

    def result(self, timeout: float | None = None) -> Any:
        _wait(self.done)
        return super().result(0)

    def set_result(self, result: Any) -> None:
        super().set_result(result)
        _tell(asyncio.get_running_loop())

    def set_exception(self, exception: BaseException | None) -> None:
        super().set_exception(exception)
        _tell(asyncio.get_running_loop())


class Thread:
    """In the place of `threading.Thread`."""

    def __init__(self, *, target: Callable[[], None], name: str = "", daemon: bool = False) -> None:
        self._target = target
        self._thread: greenlet | None = None
        self._ended = False

    def start(self) -> None:
        def run() -> None:
            try:
                self._target()
            finally:
                self._ended = True
                _tell(asyncio.get_running_loop())

        self._thread = start(asyncio.get_running_loop(), run)

    def join(self, timeout: float | None = None) -> None:
        _wait(lambda: self._ended)
