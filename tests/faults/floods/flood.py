"""One flood: attackers in a process of their own, the honest beside them, the server's memory, a row of the table.

A server that answers nobody while it floods, and everybody afterwards, would keep each deadline, since a flood is much
shorter than that. So the flood is looked at in stretches of one length, and goes on until in each of them calls of
every kind were begun and answered: a slow machine makes it longer, and only a server that stands still makes it fail.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path

from tests.faults.floods.honest import Served
from tests.faults.floods.lines import Target
from tests.faults.floods.scene import Growth
from tests.faults.tally import ANSWERED, Row, count, wrong_with

__all__ = ["SECONDS", "endured", "flooded"]

SECONDS = 2.5
_STRETCHES = 3
_PATIENCE = 20.0  # seconds that a stretch goes on for at most until all is answered; less than a call's deadline
_ROOT = Path(__file__).parents[3]


async def endured(
    name: str,
    target: Target,
    *,
    folder: Path,
    server: int,
    honest: AbstractAsyncContextManager[None],
    served: Served,
    bound: int,
    fault: str = "",
    seconds: float = SECONDS,
) -> Row:
    """Attack the server (its process id) for some seconds. The row is counted; what it holds, the test asserts.

    `bound` is how many MiB the server may grow by.
    """
    growth = Growth(server)
    tries, during = await flooded(name, target, folder=folder, honest=honest, served=served, seconds=seconds)
    row = Row(
        f"flood: {fault or name}",
        tries=tries,
        stuck=len(served.failed),
        served=f"{served.done} of {served.all}",
        during=during,
        memory=f"+{growth.mebibytes} MiB (bound {bound})",
        note=f"slowest {served.slowest:.1f} s, server busy {growth.processor_seconds:.1f} s",
    )
    count(row)
    assert not served.failed, served.failed[:5]
    wrong = wrong_with([row], expected=frozenset())
    assert not wrong, (wrong, row)
    assert growth.mebibytes <= bound, row
    return row


async def flooded(
    name: str,
    target: Target,
    *,
    folder: Path,
    honest: AbstractAsyncContextManager[None],
    served: Served,
    seconds: float = SECONDS,
    patience: float = _PATIENCE,
) -> tuple[int, int]:
    """Attack for as many seconds at least, the honest beside it.

    Returns how often the attackers did it, and of which kind the fewest calls were begun and answered within one
    stretch of the flood: how many.
    """
    path = target.save(folder / "target.json")
    longest = seconds + _STRETCHES * patience + 10
    arguments = (sys.executable, "-m", "tests.faults.floods.attacks", name, str(path), str(longest))
    async with honest:
        attacker = await asyncio.create_subprocess_exec(*arguments, cwd=_ROOT, stdout=asyncio.subprocess.PIPE)
        assert attacker.stdout is not None
        begun = await attacker.stdout.readline()
        fewest = [await _stretch(served, seconds / _STRETCHES, patience) for _ in range(_STRETCHES)]
        assert (begun, attacker.returncode) == (b"begun\n", None), "the attacker ended before the flood"
        with suppress(ProcessLookupError):
            attacker.terminate()
        told, _ = await attacker.communicate()
    assert attacker.returncode == 0, "the attacker itself failed"
    return json.loads(told)["done"], min(fewest)


async def _stretch(served: Served, seconds: float, patience: float) -> int:
    """Let some seconds go by, and more while a kind of call lacks its answers. The fewest answered of any kind."""
    served.look_again()
    await asyncio.sleep(seconds)
    with suppress(TimeoutError):
        async with asyncio.timeout(patience):
            await served.answered(ANSWERED)
    return min(served.lately.values())
