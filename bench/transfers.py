"""W1, W2, W3 and W7: one case at a time, of several sizes, against those who carry the same bytes."""

from __future__ import annotations

import contextlib
import functools
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from bench.goals import GOALS
from bench.network import Network, network
from bench.peers.age_nginx import age_alone, age_nginx
from bench.peers.installing import PeerMissing
from bench.peers.magic_wormhole import magic_wormhole
from bench.place import GB, KB, MB, make_file
from bench.relay.trio import plain_relay
from bench.report import Report, Result
from bench.rounds import Spread, interleaved, ratios, slope
from bench.scale import Scale
from bench.services import PeerFailed
from bench.workload import RECORD

__all__ = ["OURS", "Transfers", "measure_transfers"]

OURS = "cordee"
_PLAIN, _NGINX, _WORMHOLE = "plain gRPC relay", "age and nginx", "magic-wormhole"
_LIMIT = 600.0  # seconds that one transfer may take

Carry = Callable[[Path, float], float]


def measure_transfers(folder: Path, scale: Scale, report: Report, wanted: frozenset[str]) -> None:
    """Everything that is wanted of W1, W2, W3a, W3b, W3c and W7. Raises: PeerFailed where a peer breaks off."""
    with contextlib.ExitStack() as running:
        at_work = Transfers(folder, scale, report, running)
        if "W1" in wanted:
            at_work.invite(_PLAIN, plain_relay)
        if "W2" in wanted:
            at_work.invite(_NGINX, age_nginx)
        if wanted & {"W3a", "W3b", "W3c"}:
            at_work.invite(_WORMHOLE, magic_wormhole)
        at_work.begin()
        if "W3c" in wanted:
            at_work.meet({"W3c 20 kB": _WORMHOLE}, scale.small, scale.rounds)
            at_work.meet({"W3c 1 MB": _WORMHOLE}, scale.middle, scale.rounds)
        rows = {row: peer for row, peer in {"W1": _PLAIN, "W2": _NGINX, "W3a": _WORMHOLE}.items() if row in wanted}
        if rows or "W7" in wanted:
            large = at_work.meet(rows, scale.large, scale.rounds)
            before = at_work.peaks()
            if wanted & {"W3b", "W7"}:
                at_work.meet({"W3b": _WORMHOLE} if "W3b" in wanted else {}, scale.huge, scale.huge_rounds)
            if "W7" in wanted:
                report.memory = {name: (before[name], after) for name, after in at_work.peaks().items()}
                _tell_memory(report)
            if "W1" in wanted:
                at_work.slope(large)
                at_work.read_by()
        elif "W3b" in wanted:
            at_work.meet({"W3b": _WORMHOLE}, scale.huge, scale.huge_rounds)


class Transfers:
    """Our network and the peers that could be had, at work for as long as `running` is open."""

    def __init__(self, folder: Path, scale: Scale, report: Report, running: contextlib.ExitStack) -> None:
        self._folder = folder
        self._scale = scale
        self._report = report
        self._running = running
        self._peers: dict[str, Carry] = {}
        self._missing: dict[str, str] = {}
        self._ours: Network | None = None

    def invite(self, name: str, opened: Callable[[Path], AbstractContextManager[Carry]]) -> None:
        """Start a peer. Where it cannot be had, its rows are skipped and say why."""
        try:
            self._peers[name] = self._running.enter_context(opened(self._room(name)))
        except (PeerMissing, PeerFailed) as reason:
            self._missing[name] = str(reason)
            print(f"{name}: {reason}", flush=True)

    def begin(self) -> None:
        """Set our network up. One transfer goes unmeasured: connections and imports are made once only."""
        print("Setting up a directory and two nodes …", flush=True)
        self._ours = self._running.enter_context(network(self._room("n")))
        self._ours.carry(None)

    def peaks(self) -> dict[str, float]:
        """MiB of each of our processes, the highest so far."""
        return self._network.peaks()

    def meet(self, rows: Mapping[str, str], size: int, rounds: int) -> list[float]:
        """Our transfers and those of the peer of each row, round by round. Gives our own seconds."""
        file = self._file(size)
        contenders: dict[str, Callable[[], float]] = {OURS: functools.partial(self._carry, file)}
        for peer in rows.values():
            if peer in self._peers:
                contenders[peer] = functools.partial(self._peers[peer], file, _LIMIT)
        print(f"{_named(size)}: {', '.join(contenders)}", flush=True)
        measured = interleaved(contenders, rounds, say=print)
        self._report.keep(measured, under=_named(size))
        for row, peer in rows.items():
            if peer in measured:
                spread = ratios(measured[peer], measured[OURS])
                ours, theirs = _seconds(measured[OURS], size), _seconds(measured[peer], size)
                self._report.add(Result(GOALS[row], spread=spread, ours=ours, theirs=theirs))
            else:
                self._report.add(Result(GOALS[row], skipped=self._missing[peer]))
        file.unlink()
        return measured[OURS]

    def slope(self, large: Sequence[float]) -> None:
        """Of our own seconds over three sizes; it is told with W1."""
        seconds = {self._scale.large: statistics.median(large)}
        for size in self._scale.slope_sizes:
            if size not in seconds:
                seconds[size] = statistics.median(self.meet({}, size, self._scale.huge_rounds))
        self._report.tell_slope("W1", slope(seconds))

    def read_by(self) -> None:
        """age alone, with no network: told beside the table."""
        file, folder = self._file(self._scale.large), self._room("age-alone")
        try:
            each = [age_alone(file, folder, seconds=_LIMIT) for _ in range(self._scale.rounds)]
        except (PeerMissing, PeerFailed) as reason:
            self._report.notes.append(f"age alone was not measured: {reason}")
            return
        self._report.keep({"age alone": each}, under=_named(self._scale.large))
        told = f"{_named(self._scale.large)} in {_seconds(each, self._scale.large)}"
        self._report.notes.append(f"age | age -d on this machine, no network, nothing stored: {told}.")

    @property
    def _network(self) -> Network:
        if self._ours is None:
            raise RuntimeError("not begun")
        return self._ours

    def _carry(self, file: Path) -> float:
        return self._network.carry(file if file.stat().st_size > RECORD else None)  # a record alone is a small case

    def _room(self, name: str) -> Path:
        path = self._folder / name.replace(" ", "-")
        path.mkdir(mode=0o700)
        return path

    def _file(self, size: int) -> Path:
        return make_file(self._folder / f"{size}.bin", size)


def _tell_memory(report: Report) -> None:
    growth = {name: after - before for name, (before, after) in report.memory.items()}
    highest = {name: after for name, (_, after) in report.memory.items()}
    for row, figures in (("W7 growth", growth), ("W7 peak", highest)):
        worst = max(figures, key=figures.__getitem__)
        each = tuple(figures.values())
        spread = Spread(median=figures[worst], least=min(each), greatest=max(each), each=each)
        report.add(Result(GOALS[row], spread=spread, ours=worst, theirs="-"))


def _seconds(each: Sequence[float], size: int) -> str:
    seconds = statistics.median(each)
    return f"{seconds:.3f} s" + (f", {size / MB / seconds:.0f} MB/s" if size > MB else "")


def _named(size: int) -> str:
    unit, name = next((unit, name) for unit, name in ((GB, "GB"), (MB, "MB"), (KB, "kB")) if size >= unit)
    return f"{size / unit:g} {name}"
