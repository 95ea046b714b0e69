"""Goes through the images of one machine's trace, and keeps those that are not as they must be."""

from __future__ import annotations

import pickle
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.faults.power_cuts.disk import Choice, Disk, Image, Moment, unpack
from tests.faults.power_cuts.judge import Judge, Wrong
from tests.faults.power_cuts.telling import PASSPHRASE
from tests.faults.power_cuts.trace import Trace

__all__ = ["Bad", "Outcome", "go_through", "memory_folder", "replay"]

_STARTED = frozenset({2, 6, 20, 60, 180})  # of the images of a step: over these the application is started
_KEEP = 20  # bad images of one machine that are kept whole


@dataclass(frozen=True)
class Bad:
    """One image that must not be."""

    machine: str
    step: str
    position: int
    choices: Mapping[int, Choice]
    wrong: tuple[Wrong, ...]
    ordered: bool
    """Whether ext4, too, could have left it."""

    def told(self, disk: Disk) -> str:
        """What went wrong, and what had happened, in words."""
        moment = next(each for each in disk.moments() if each.position == self.position)
        model = "ext4 could leave that" if self.ordered else "POSIX allows that, ext4 does not"
        lines = [f"{self.machine}, step “{self.step}”, power cut at stop {self.position} ({model}):"]
        lines += [f"  {each.kind}: {each.what}" for each in self.wrong]
        for index in moment.pending:
            choice = self.choices.get(index, "whole")
            lines.append(
                f"    {choice if isinstance(choice, str) else f'sectors {sorted(choice)}'}: {disk.told(index)}"
            )
        return "\n".join(lines[:60])


@dataclass
class Outcome:
    """What was tried of one machine. `steps`: images of each step; `seen`: digests of those that differ."""

    machine: str
    steps: Counter[str] = field(default_factory=Counter)
    different: Counter[str] = field(default_factory=Counter)
    ordered: int = 0
    started: int = 0
    bad: list[Bad] = field(default_factory=list)
    wrong: Counter[str] = field(default_factory=Counter)

    @property
    def images(self) -> int:
        return sum(self.steps.values())


def go_through(trace: Trace, machine: str, *, most: int, seed: int, start_every: int = 0) -> Outcome:
    """Every moment of the trace, at most so many images of each.

    Over some of those that differ of each step, and every so-manieth, the application itself is started.
    """
    from tests.faults.power_cuts.starting import Starter  # with gRPC, which no story must have before it is forked

    random = Random(f"{seed} {machine}")
    outcome = Outcome(machine)
    seen: set[bytes] = set()
    told: dict[tuple[Wrong, ...], Bad] = {}  # of those that are wrong alike, one that ext4 leaves too
    disk = Disk(trace, machine)
    with memory_folder() as folder:
        judge = Judge.of(disk, folder)
        starter = Starter(folder, judge.base, judge.database, PASSPHRASE)
        for moment in disk.moments():
            judge.whole(moment, disk.image(moment, {}))
            for choices in disk.choices(moment, random, most=most):
                image = disk.image(moment, choices)
                wrong = tuple(judge.wrong_with(image))
                if image.digest not in seen:
                    seen.add(image.digest)
                    outcome.different[judge.step] += 1
                    wrong += tuple(_unreadable(starter, image))
                    due = outcome.different[judge.step] in _STARTED or len(seen) % (start_every or len(seen) + 1) == 0
                    if not wrong and start_every and due:
                        outcome.started += 1
                        problem = starter.start(image)
                        wrong = (Wrong("broken", problem),) if problem else ()
                ordered = disk.is_ordered(moment, choices)
                outcome.steps[judge.step] += 1
                outcome.ordered += ordered
                if wrong:
                    outcome.wrong[wrong[0].kind] += 1
                    known = told.get(wrong)
                    if (known is None and len(told) < _KEEP) or (known is not None and ordered and not known.ordered):
                        told[wrong] = Bad(machine, judge.step, moment.position, choices, wrong, ordered)
    outcome.bad = list(told.values())
    return outcome


def keep(trace: Trace, bad: Bad, target: Path) -> None:
    """So that it can be looked at again: the trace, what was chosen, and the folder as the power cut left it."""
    target.mkdir(parents=True)
    (target / "trace.pickle").write_bytes(pickle.dumps((trace, bad)))
    disk = Disk(trace, bad.machine)
    (target / "told.txt").write_text(bad.told(disk) + "\n", encoding="utf-8")
    image = _image_of(Disk(trace, bad.machine), bad)[1]
    unpack(image, target / "image")


def replay(kept: Path) -> tuple[str, list[Wrong]]:
    """Judge an image again that `keep` kept: what happened, and what is wrong with it now."""
    from tests.faults.power_cuts.starting import Starter

    trace, bad = pickle.loads((kept / "trace.pickle").read_bytes())
    disk = Disk(trace, bad.machine)
    with memory_folder() as folder:
        judge = Judge.of(disk, folder)
        for moment in disk.moments():
            judge.whole(moment, disk.image(moment, {}))
            if moment.position == bad.position:
                image = disk.image(moment, bad.choices)
                starter = Starter(folder, judge.base, judge.database, PASSPHRASE)
                problem = starter.start(image)
                wrong = [*judge.wrong_with(image), *_unreadable(starter, image)]
                wrong += [Wrong("broken", problem)] if problem else []
                return bad.told(Disk(trace, bad.machine)), wrong
    raise ValueError("the trace has no such moment")


@contextmanager
def memory_folder() -> Iterator[Path]:
    """A folder in memory, where there is one: what is opened there waits for no disk."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="cordee-power-", dir=memory if memory.is_dir() else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unreadable(starter: Any, image: Image) -> Iterator[Wrong]:
    for path, content in image.files.items():
        if problem := starter.parse(path, content):
            yield Wrong("half", f"{path} cannot be read: {problem}")


def _image_of(disk: Disk, bad: Bad) -> tuple[Moment, Image]:
    for moment in disk.moments():
        if moment.position == bad.position:
            return moment, disk.image(moment, bad.choices)
    raise ValueError("the trace has no such moment")
