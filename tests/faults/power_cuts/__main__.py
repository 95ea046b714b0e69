"""`python -m tests.faults.power_cuts --jobs 2`: record each story, cut the power everywhere, open what is left.

Nothing is simulated but the disk: the stories are the product's own code, and what is recorded are its system calls.
"""

from __future__ import annotations

import argparse
import multiprocessing
import pickle
import resource
import shutil
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from rich.console import Console

from tests.faults.power_cuts import campaign
from tests.faults.power_cuts.campaign import Outcome, go_through, memory_folder
from tests.faults.power_cuts.disk import Disk
from tests.faults.power_cuts.planted import PLANTED
from tests.faults.power_cuts.recorder import record
from tests.faults.power_cuts.stories import STORIES
from tests.faults.power_cuts.trace import Trace
from tests.faults.tally import FOLDER, Row, count

FAULT = "power cut at each system call"
_KEPT = FOLDER.parent / "power-cuts"

say = Console(soft_wrap=True, highlight=False, markup=False).print

_traces: dict[str, Trace] = {}  # what the workers see of it, for they are forked


def main() -> int:
    """1 where an image was not as it must be."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--jobs", type=int, default=2)
    asked.add_argument("--story", choices=sorted(STORIES), action="append")
    asked.add_argument("--most", type=int, default=0, help="images of one moment; 0: enough for 100,000")
    asked.add_argument("--least", type=int, default=101_000, help="images in all, where --most is 0")
    asked.add_argument("--start-every", type=int, default=400, help="start the application over every so-manieth image")
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--planted", choices=[*PLANTED, "all"], help="put that defect in; 1 where it is not found")
    asked.add_argument("--replay", type=Path, help="a folder of build/power-cuts/ that an earlier run has left")
    asked.add_argument("--uncounted", action="store_true", help="leave the table of faults alone")
    asked.add_argument("--run", type=Path, help="only do what --story says, in that empty folder: nobody records it")
    asked.add_argument("--save", type=Path, help="write the traces there, as pickle, instead of cutting the power")
    asked.add_argument("--load", type=Path, help="take the traces from there instead of recording them")
    chosen = asked.parse_args()
    if chosen.replay is not None:
        told, wrong = campaign.replay(chosen.replay)
        say(told, *(f"now {each.kind}: {each.what}" for each in wrong), sep="\n")
        return 1 if wrong else 0
    if chosen.run is not None:
        for story in chosen.story:
            STORIES[story](chosen.run)
        return 0
    if chosen.planted is not None:
        names = list(PLANTED) if chosen.planted == "all" else [chosen.planted]
        found = [_found(each, chosen.most or 8, chosen.seed) for each in names]
        return 0 if all(found) else 1
    begun = time.monotonic()
    if chosen.load is not None:
        _traces.update(pickle.loads(chosen.load.read_bytes()))
    for story in chosen.story or ([] if chosen.load else STORIES):
        if story not in _traces:
            with memory_folder() as root:
                _traces[story] = record(lambda story=story, root=root: STORIES[story](root), root)
    say(f"recorded in {time.monotonic() - begun:.0f} s: {sum(len(each.events) for each in _traces.values())} events")
    if chosen.save is not None:
        chosen.save.write_bytes(pickle.dumps(_traces))
        return 0
    return _cut(chosen, begun)


def _found(name: str, most: int, seed: int) -> bool:
    """Whether the power cuts find a planted defect."""
    planted = PLANTED[name]

    def story(root: Path) -> None:
        planted.put()
        STORIES[planted.story](root)

    with memory_folder() as root:
        trace = record(lambda: story(root), root)
    outcomes = [go_through(trace, machine, most=most, seed=seed) for machine in _machines(trace)]
    found = [wrong.what for each in outcomes for bad in each.bad for wrong in bad.wrong if planted.finds in wrong.what]
    images, wrong = sum(each.images for each in outcomes), sum(sum(each.wrong.values()) for each in outcomes)
    say(f"{name}: {wrong:,} of {images:,} images wrong" + (f", as: {found[0]}" if found else ": NOT FOUND"))
    return bool(found)


def _cut(chosen: argparse.Namespace, begun: float) -> int:
    tasks = [(story, machine) for story, trace in _traces.items() for machine in _machines(trace)]
    most = chosen.most or _enough(tasks, chosen.least)
    found: dict[tuple[str, str], Outcome] = {}
    with ProcessPoolExecutor(chosen.jobs, mp_context=multiprocessing.get_context("fork")) as workers:
        largest_first = sorted(tasks, key=lambda each: -len(_traces[each[0]].of(each[1])))
        waiting = {each: workers.submit(_work, *each, most, chosen.seed, chosen.start_every) for each in largest_first}
        for each in tasks:
            found[each] = waiting[each].result()
    return _report(found, begun, counted=not chosen.uncounted)


def _work(story: str, machine: str, most: int, seed: int, start_every: int) -> Outcome:
    return go_through(_traces[story], machine, most=most, seed=seed, start_every=start_every)


def _machines(trace: Trace) -> list[str]:
    """Those that are folders; the files beside them are the story's own."""
    folders = {trace.machine_of[each] for each in trace.folders if each in trace.machine_of}
    return [each for each in trace.machines if each in folders]


def _enough(tasks: list[tuple[str, str]], least: int) -> int:
    """Images of a moment, so that all together are at least so many."""
    moments = [len(each.pending) for story, machine in tasks for each in Disk(_traces[story], machine).moments()]
    most = 8
    while sum(most if pending > 1 else min(most, 1 + 7 * pending) for pending in moments) < least:
        most += 1
    return most


def _report(found: dict[tuple[str, str], Outcome], begun: float, *, counted: bool) -> int:
    shutil.rmtree(_KEPT, ignore_errors=True)
    wrong: Counter[str] = Counter()
    images = different = ordered = started = 0
    for (story, machine), outcome in found.items():
        for step, tried in outcome.steps.items():
            say(f"{story}: {machine}: {step or 'before'}: {tried:,} images, {outcome.different[step]:,} different")
        images, ordered, started = images + outcome.images, ordered + outcome.ordered, started + outcome.started
        different += sum(outcome.different.values())
        wrong += outcome.wrong
        for number, bad in enumerate(outcome.bad):
            target = _KEPT / f"{story}-{machine}-{bad.position}-{number}"
            campaign.keep(_traces[story], bad, target)
            say(bad.told(Disk(_traces[story], machine)))
            say(f"  again: python -m tests.faults.power_cuts --replay {target}")
    say(f"{images:,} images, {different:,} different, {ordered:,} as ext4 may leave them, {started:,} started")
    worked = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = worked.ru_utime + worked.ru_stime
    say(f"{sum(wrong.values())} wrong, in {time.monotonic() - begun:.0f} s ({spent:.0f} s of processors)")
    if counted:
        count(Row(FAULT, tries=images, lost=wrong["lost"] + wrong["half"], stuck=wrong["broken"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
