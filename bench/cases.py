"""W4: many cases of 20 kB, 16 at a time, against the same remote calls with nothing behind them.

Read by a ceiling: the same hollow calls with the cryptography that the protocol demands, in the same rounds.
"""

from __future__ import annotations

import contextlib
import functools
import statistics
from collections.abc import Sequence
from pathlib import Path

from bench.goals import GOALS
from bench.network import network
from bench.report import Line, Report, Result
from bench.rounds import interleaved, ratios, slope
from bench.scale import Scale
from bench.skeleton.trio import skeleton

__all__ = ["lines", "measure_cases"]

_OURS, _HOLLOW, _CEILING = "cordee", "same calls, hollow", "same calls, with the cryptography"
_CEILING_MEANS = "the hollow calls with the protocol's cryptography, against the hollow calls"
_OURS_MEANS = "Cordée, against the hollow calls with the protocol's cryptography"


def measure_cases(folder: Path, scale: Scale, report: Report) -> None:
    """W4, its slope and its ceiling. Raises: PeerFailed, TransferFailed."""
    *smaller, most = scale.cases
    print("Setting up a directory and two nodes …", flush=True)
    with contextlib.ExitStack() as running:
        ours = running.enter_context(network(_room(folder, "m")))
        sizes = ours.sizes()
        report.notes.append(f"W4, bytes of a transfer's statements and ciphertext: {sizes.to_json()}")
        hollow = running.enter_context(skeleton(_room(folder, "h"), sizes))
        ceiling = running.enter_context(skeleton(_room(folder, "c"), sizes, protected=True))
        seconds = {}
        for count in smaller:
            measured = interleaved({_OURS: functools.partial(ours.drive, count)}, 1, say=print)
            report.keep(measured, under=f"{count} cases")
            seconds[count] = measured[_OURS][0]
        contenders = {
            name: functools.partial(each.drive, most)
            for name, each in {_OURS: ours, _HOLLOW: hollow, _CEILING: ceiling}.items()
        }
        print(f"{most} cases of 20 kB: {', '.join(contenders)}", flush=True)
        measured = interleaved(contenders, scale.rounds, say=print)
    report.keep(measured, under=f"{most} cases")
    seconds[most] = statistics.median(measured[_OURS])
    our, their = _rate(measured[_OURS], most), _rate(measured[_HOLLOW], most)
    spread = ratios(measured[_HOLLOW], measured[_OURS])
    report.add(Result(GOALS["W4"], spread=spread, slope=slope(seconds), ours=our, theirs=their))
    report.lines += lines(measured[_OURS], measured[_HOLLOW], measured[_CEILING], cases=most)


def lines(ours: Sequence[float], hollow: Sequence[float], ceiling: Sequence[float], *, cases: int) -> list[Line]:
    """What W4 is read by: how far the cryptography alone leaves one below the hollow calls, and us below that."""
    return [
        Line("W4 ceiling", _CEILING_MEANS, ratios(hollow, ceiling), told=_rate(ceiling, cases)),
        Line("W4 against its ceiling", _OURS_MEANS, ratios(ceiling, ours), told=_rate(ours, cases)),
    ]


def _rate(seconds: Sequence[float], cases: int) -> str:
    return f"{cases / statistics.median(seconds):.1f} cases/s"


def _room(folder: Path, name: str) -> Path:
    path = folder / name  # a short name: unix sockets lie below it
    path.mkdir(mode=0o700)
    return path
