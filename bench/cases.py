"""W4: many cases of 20 kB, 16 at a time, against the same remote calls with nothing behind them."""

from __future__ import annotations

import contextlib
import functools
import statistics
from pathlib import Path

from bench.goals import GOALS
from bench.network import network
from bench.report import Report, Result
from bench.rounds import interleaved, ratios, slope
from bench.scale import Scale
from bench.skeleton.trio import skeleton

__all__ = ["measure_cases"]

_OURS, _HOLLOW = "cordee", "same calls, hollow"


def measure_cases(folder: Path, scale: Scale, report: Report) -> None:
    """W4 and its slope. Raises: PeerFailed, TransferFailed."""
    *smaller, most = scale.cases
    print("Setting up a directory and two nodes …", flush=True)
    with contextlib.ExitStack() as running:
        ours = running.enter_context(network(_room(folder, "m")))
        sizes = ours.sizes()
        report.notes.append(f"W4, bytes of a transfer's statements and ciphertext: {sizes.to_json()}")
        hollow = running.enter_context(skeleton(_room(folder, "h"), sizes))
        seconds = {}
        for count in smaller:
            measured = interleaved({_OURS: functools.partial(ours.drive, count)}, 1, say=print)
            report.keep(measured, under=f"{count} cases")
            seconds[count] = measured[_OURS][0]
        contenders = {_OURS: functools.partial(ours.drive, most), _HOLLOW: functools.partial(hollow.drive, most)}
        print(f"{most} cases of 20 kB: {', '.join(contenders)}", flush=True)
        measured = interleaved(contenders, scale.rounds, say=print)
    report.keep(measured, under=f"{most} cases")
    seconds[most] = statistics.median(measured[_OURS])
    ours_told, hollow_told = (f"{most / statistics.median(measured[name]):.1f} cases/s" for name in (_OURS, _HOLLOW))
    spread = ratios(measured[_HOLLOW], measured[_OURS])
    report.add(Result(GOALS["W4"], spread=spread, slope=slope(seconds), ours=ours_told, theirs=hollow_told))


def _room(folder: Path, name: str) -> Path:
    path = folder / name  # a short name: unix sockets lie below it
    path.mkdir(mode=0o700)
    return path
