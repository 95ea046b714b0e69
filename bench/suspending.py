"""W9: how long it takes until the last of 200 connected nodes takes nothing any more from a member that is suspended.

From the moment the second administrator's signature is sent: the directory verifies it, writes the entry, signs the
log, ends the member's calls, and tells every stream; each node verifies both signatures of the entry and the
checkpoint's, writes them down, and decides by its own roster. Against an event that asks for nothing, over the same
streams. All nodes share this machine's processors, in two processes: on machines of their own they would not wait for
one another.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from bench.crowd.network import crowd
from bench.goals import GOALS
from bench.report import Report, Result
from bench.rounds import Spread, interleaved
from bench.scale import Scale

__all__ = ["measure_suspending"]

_QUIET = 2.0
"""Seconds until the nodes have said what they hold, of the change before: at most one, and a little."""


def measure_suspending(folder: Path, scale: Scale, report: Report) -> None:
    """W9. Raises: CrowdFailed, RuntimeError where a process fails."""
    place = folder / "w9"
    place.mkdir()
    print(f"{scale.listening} nodes that listen: a suspension …", flush=True)
    with crowd(place, scale.listening) as network:

        def suspended() -> float:
            seconds = network.suspended()
            time.sleep(_QUIET)
            back.append(network.reinstated())
            return seconds

        back: list[float] = []
        contenders = {"ours": suspended, "an empty event": network.empty_event}
        measured = interleaved(contenders, scale.rounds, say=print, settle=lambda: time.sleep(_QUIET))
        memory = network.memory()
    ours, theirs = measured["ours"], measured["an empty event"]
    report.keep(measured | {"reinstated": back}, under=f"W9, {scale.listening} nodes")
    told = f"{statistics.median(ours):.2f} s", f"{statistics.median(theirs):.3f} s"
    report.add(Result(GOALS["W9"], spread=Spread.of(ours), ours=told[0]))
    ratio = Spread.of([mine / peer for mine, peer in zip(ours, theirs, strict=True)])
    report.add(Result(GOALS["W9 ratio"], spread=ratio, ours=told[0], theirs=told[1]))
    peaks = ", ".join(f"{name} {peak / 2**20:.0f} MiB" for name, peak in memory.items())
    report.notes.append(
        f"W9, {scale.listening} nodes: a member that comes back is taken from again after"
        f" {statistics.median(back):.2f} s; highest memory: {peaks}."
    )
