"""A person at a terminal: a command in a pseudo-terminal, and answers to what it asks."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

__all__ = ["sheet_typist", "typed"]

Answer = Callable[[str], str | None]
_CLEARING = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_ASKED = re.compile(r"Sheet (\d+), word (\d+): $")


def typed(
    command: Sequence[str], answer: Answer, *, environment: Mapping[str, str], folder: Path, seconds: float = 90
) -> tuple[int, str]:
    """Run a command as at a terminal. `answer` gets what was shown since the last answer, and gives a line or None.

    The exit code, and all that was shown.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env={**os.environ, "TERM": "dumb", **environment},
        start_new_session=True,
    )
    os.close(theirs)
    shown = since = ""
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 0.1)[0]:
                if process.poll() is not None:
                    break
                continue
            try:
                data = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            shown, since = shown + data.decode(errors="replace"), since + data.decode(errors="replace")
            line = answer(since)
            if line is not None:
                since = ""
                os.write(ours, line.encode() + b"\n")
        return process.wait(max(0.1, deadline - time.monotonic())), _CLEARING.sub("", shown).replace("\r", "")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(ours)


def sheet_typist(sheets: Sequence[Sequence[str]], wrong: Mapping[tuple[int, int], str] | None = None) -> Answer:
    """Types the words of sheets as they are asked for; once something else, where `wrong` says so for (sheet, word)."""
    mistakes = dict(wrong or {})

    def answer(shown: str) -> str | None:
        asked = _ASKED.search(shown)
        if asked is None:
            return None
        sheet, word = int(asked[1]), int(asked[2])
        return mistakes.pop((sheet, word), sheets[sheet - 1][word - 1])

    return answer
