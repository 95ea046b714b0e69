"""The closing table of the demonstration, and the same as JSON."""

from __future__ import annotations

import json
import platform
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from node.demo.holding import DoesNotHold, require
from node.demo.processes import CommandFailed
from node.demo.stage import Stage
from node.demo.story import Story
from node.demo.telling import Teller

__all__ = ["MEMORY_LIMIT", "peaks", "reason_of", "require_little", "show", "show_logs", "write"]

MEMORY_LIMIT = 150 * 1024 * 1024  # bytes, for each process


def peaks(stage: Stage) -> dict[str, int]:
    """The highest memory of each process, in bytes."""
    return {program.name: program.measure() for program in stage.programs}


def require_little(stage: Stage) -> None:
    """Raises DoesNotHold where a process took more memory than the limit."""
    over = [f"{name} {peak / 2**20:.0f} MiB" for name, peak in peaks(stage).items() if peak > MEMORY_LIMIT]
    require(not over, f"more memory than {MEMORY_LIMIT / 2**20:.0f} MiB: {', '.join(over)}")


def reason_of(failed: Exception) -> str:
    """Why the demonstration failed, in one line: what does not hold, or an error of its own with its place."""
    text = " ".join(str(failed).split())
    if isinstance(failed, DoesNotHold | CommandFailed | TimeoutError):
        return text
    place = traceback.extract_tb(failed.__traceback__)[-1:]
    where = "".join(f" ({Path(each.filename).name}:{each.lineno})" for each in place)
    return f"{type(failed).__name__}: {text}{where}"


def show_logs(stage: Stage, to: TextIO) -> None:
    """The ends of the logs that are not empty."""
    for program in stage.programs:
        if lines := program.last_lines().strip():
            to.write(f"--- {program.name}\n{lines}\n")
    to.flush()


def show(story: Story, teller: Teller) -> None:
    """Transfers, states, bytes, seconds; what the directory knew; memory."""
    _ = story.translate
    knew = _("who, when, at most {size} bytes, how it ended")
    rows = [
        [
            each.transfer[:8],
            each.title,
            " → ".join(_(state) for state in each.states),
            f"{each.bytes:,}".replace(",", "\u202f") if each.bytes else "–",
            f"{each.seconds:.1f}",
            knew.format(size=f"{each.bound:,}".replace(",", "\u202f")),
        ]
        for each in story.transfers
    ]
    columns = [_("transfer"), _("what"), _("states"), _("bytes"), _("seconds"), _("what the directory knew")]
    teller.table(_("Five transfers"), columns, rows)
    memory = "   ".join(f"{name} {peak / 2**20:.0f} MiB" for name, peak in peaks(story.stage).items())
    teller.say(_("Peak memory: {memory}").format(memory=memory))


def write(path: Path, story: Story, *, seconds: float, ok: bool, failure: str = "") -> None:
    """The report as JSON."""
    found: dict[str, Any] = {
        "ok": ok,
        "failure": failure,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "seconds": round(seconds, 1),
        "network": story.stage.network,
        "points": story.points,
        "transfers": [
            {
                "transfer": each.transfer,
                "what": each.title,
                "states": each.states,
                "bytes": each.bytes,
                "bound": each.bound,
                "seconds": round(each.seconds, 2),
                "directory_knew": ["sender", "recipient", "time", "size", "outcome"],
            }
            for each in story.transfers
        ],
        "peak_memory_bytes": peaks(story.stage),
        "memory_limit_bytes": MEMORY_LIMIT,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
