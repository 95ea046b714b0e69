"""`cordee` as installed, but for one thing: every random value it draws is also told to a file, by whoever drew it.

python tests/faults/recording.py FILE node serve …
python tests/faults/recording.py FILE -m node.demo.cheating …

The value goes to the kernel from the buffer that the program itself got: recording leaves no copy in its memory.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Callable

_DEPTH = 8  # frames in which the one that asked is looked for


def recording(path: str, real: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """A source of randomness that writes down `who, length, value` for each value."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def drawn(count: int) -> bytes:
        value = real(count)
        os.writev(descriptor, [f"{_who()} {count} ".encode(), value])
        return value

    return drawn


def _who() -> str:
    """The module of ours that asked, innermost first, past the pure rooms: `cordee.sealing/node.receiving`."""
    found: list[str] = []
    frame = sys._getframe(2)  # there is no other way to know who asked
    for _ in range(_DEPTH):
        name = str(frame.f_globals.get("__name__", ""))
        if name.startswith(("node.", "cordee.", "directory.")) and name not in found:
            found.append(name)
        if frame.f_back is None:
            break
        frame = frame.f_back
    return "/".join(found) or "-"


def main() -> None:
    """Run the command, or the module, that follows the file's name."""
    os.urandom = recording(sys.argv[1], os.urandom)  # before anything of ours is imported: it becomes every default
    if sys.argv[2] == "-m":
        del sys.argv[:3]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        return
    from cordee.runtime.command import main as command

    command(sys.argv[2:])


if __name__ == "__main__":
    main()
