"""A directory that is restarted under five hundred connected nodes: they all come back, and not all at once.

Light nodes with the product's own listener, roster and connection, over TLS, in two processes (bench/crowd).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.crowd.network import Crowd, crowd
from tests.faults.tally import Row, count

pytestmark = [pytest.mark.fault, pytest.mark.timeout(900)]

FAULT = "500 nodes reconnect"
_NODES = 500
_SECONDS = 240.0  # for all of them, on a slow machine: nodes wait half a minute at most
_FILES = 100  # file descriptors that the directory may have for itself
_MIB = 1 << 20
_MEMORY = 512 * _MIB  # of the directory, at its highest


def peak(times: Sequence[float]) -> int:
    """The most of these that fall into one second."""
    return max(bisect_left(times, at + 1.0) - index for index, at in enumerate(times))


def test_a_directory_that_is_restarted_is_not_met_by_everybody_at_once(tmp_path: Path) -> None:
    with crowd(tmp_path, _NODES) as network:
        for end in (network.directory.stop, network.directory.kill):
            asked, back = network.restarted(end, seconds=_SECONDS)
            herd = peak(asked) > _NODES / 2
            grown = network.memory()["directory"]
            told = f"in the worst second {peak(asked)} asked, on average {len(back) / back[-1]:.0f} came back"
            count(Row(FAULT, len(back), stuck=int(herd), memory=f"{grown / _MIB:.0f} MiB", note=told))
            assert len(back) == _NODES
            assert not herd, told
            assert grown <= _MEMORY
            assert files(network) <= _NODES + _FILES


def files(network: Crowd) -> int:
    """That the directory has open."""
    return len(list(Path(f"/proc/{network.directory.pid}/fd").iterdir()))
