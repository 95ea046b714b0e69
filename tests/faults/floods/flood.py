"""One flood: attackers in a process of their own, the honest beside them, the server's memory, a row of the table."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from tests.faults.floods.honest import Served
from tests.faults.floods.lines import Target
from tests.faults.floods.scene import Growth
from tests.faults.tally import Row, count

__all__ = ["SECONDS", "endured"]

SECONDS = 2.5
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
    attack: str = "",
    seconds: float = SECONDS,
) -> Row:
    """Attack the server (its process id) for some seconds. The row is counted; what it holds, the test asserts.

    `bound` is how many MiB the server may grow by.
    """
    path = target.save(folder / "target.json")
    growth = Growth(server)
    arguments = (sys.executable, "-m", "tests.faults.floods.attacks", attack or name, str(path), str(seconds))
    async with honest:
        attacker = await asyncio.create_subprocess_exec(*arguments, cwd=_ROOT, stdout=asyncio.subprocess.PIPE)
        told, _ = await attacker.communicate()
    assert attacker.returncode == 0, "the attacker itself failed"
    found = json.loads(told)
    row = Row(
        f"flood: {fault or name}",
        tries=found["done"],
        stuck=len(served.failed),
        served=f"{served.done} of {served.all}",
        memory=f"+{growth.mebibytes} MiB (bound {bound})",
        note=f"slowest {served.slowest:.1f} s, server busy {growth.processor_seconds:.1f} s",
    )
    count(row)
    assert not served.failed, served.failed[:5]
    assert served.done > 0, "the honest client did nothing"
    assert row.tries > 0
    assert growth.mebibytes <= bound, row
    return row
