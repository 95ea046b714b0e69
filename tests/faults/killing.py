"""Processes that die at named points, several in one scene, and come back in one of three orders."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from cordee.runtime.crashpoint import VARIABLE
from node.demo.processes import Program
from node.demo.stage import Stage

_LOOK = 0.02  # seconds
_KILLED_AT = re.compile(rb"^killed at (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Point:
    """A name, which process reaches it, and how many times it does in one life before it dies there."""

    process: str
    name: str
    times: int = 1


class Order(StrEnum):
    """What happens to the other processes when one has died."""

    ALONE = "alone"
    """Nothing: it comes back while they go on."""
    FIRST = "first"
    """They are killed too, and come back after it: it finds nobody there."""
    LAST = "last"
    """They are killed too, and come back before it: they miss it."""


class Killing:
    """Arms processes with points, and brings back whatever dies."""

    def __init__(self, stage: Stage, order: Order, points: Sequence[Point]) -> None:
        self._stage = stage
        self._order = order
        self._left: dict[str, list[Point]] = {}
        for point in points:
            self._left.setdefault(point.process, []).append(point)
        # The logs hold what happened in earlier scenes too.
        self._read = {name: self._program(name).log.stat().st_size for name in self._programs()}
        self._ended = threading.Event()
        self._wrong: list[BaseException] = []
        self.reached: list[Point] = []

    @property
    def left(self) -> list[Point]:
        """The points that nobody has reached."""
        return [point for points in self._left.values() for point in points]

    @contextmanager
    def armed(self) -> Iterator[None]:
        """As long as the block lasts. At its end everything runs, unarmed."""
        # Killed, not asked to end: a directory waits five seconds for the nodes that listen to it.
        for name in self._left:
            self._program(name).kill()
        self._together(list(self._left))
        if self._wrong:
            raise self._wrong[0]
        watcher = threading.Thread(target=self._watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            self._ended.set()
            watcher.join(240)
            for name in self._programs():
                reached = len(self.reached)
                self._note(name)
                if len(self.reached) > reached:  # it says so before it dies: in the last moment it may live still
                    self._program(name).kill()
            self._left, left = {}, self._left
            again = []
            for name in self._programs():
                program = self._program(name)
                if program.process is None or program.process.poll() is not None:
                    program.wait_for_end(0)
                    again.append(name)
                elif left.get(name):  # it would die of them in the next scene
                    program.kill()
                    again.append(name)
            self._together(again)
            self._left = left
        if self._wrong:
            raise self._wrong[0]

    def _programs(self) -> list[str]:
        return ["directory", *self._stage.houses]

    def _program(self, name: str) -> Program:
        return self._stage.directory if name == "directory" else self._stage.houses[name].program

    def _watch(self) -> None:
        try:
            while not self._ended.wait(_LOOK):
                for name in self._programs():
                    process = self._program(name).process
                    if process is not None and process.poll() is not None:
                        self._program(name).wait_for_end(0)
                        self._bring_back(name)
        except BaseException as wrong:
            self._wrong.append(wrong)

    def _bring_back(self, name: str) -> None:
        self._note(name)
        others = [each for each in self._programs() if each != name]
        if self._order is not Order.ALONE:
            for each in others:
                self._program(each).kill()
                self._note(each)  # it may have died by itself a moment before
        if self._order is Order.LAST:
            self._together(others)
        self._start(name)
        if self._order is Order.FIRST:
            self._together(others)

    def _together(self, names: Sequence[str]) -> None:
        threads = [threading.Thread(target=self._try, args=(each,)) for each in names]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

    def _try(self, name: str) -> None:
        try:
            self._start(name)
        except BaseException as wrong:
            self._wrong.append(wrong)

    def _start(self, name: str) -> None:
        """It may reach a point of its own before it is ready: then it is started again."""
        program = self._program(name)
        while True:
            points = ",".join(f"{each.name}:{each.times}" for each in self._left.get(name, []))
            armed = {VARIABLE: points} if points else {}
            before = len(self.reached)
            try:
                program.start(**armed)
            except RuntimeError:
                self._note(name)
                if len(self.reached) == before:
                    raise
                continue
            return

    def _note(self, name: str) -> None:
        """Which points it has died at since the last look."""
        log = self._program(name).log
        text = log.read_bytes() if log.exists() else b""
        for found in _KILLED_AT.findall(text[self._read.get(name, 0) :]):
            for point in [each for each in self._left.get(name, []) if each.name == found.decode()]:
                self._left[name].remove(point)
                self.reached.append(point)
        self._read[name] = len(text)
