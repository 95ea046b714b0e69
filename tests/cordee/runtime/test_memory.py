from __future__ import annotations

import subprocess
import sys

from cordee.runtime.contract import CHUNK
from cordee.runtime.memory import WINDOW
from cordee.runtime.server import SERVER_OPTIONS
from cordee.runtime.tls import CLIENT_OPTIONS
from tests.lacking import lacking

_PROGRAM = """
import sys, threading
from pathlib import Path
from cordee.runtime.memory import keep_few_arenas

def allocate():
    held.append(set(range(10_000)))  # larger than what Python keeps for itself: malloc gives it
    ready.wait()
    done.wait()

if sys.argv[1] == "few" and not keep_few_arenas():
    sys.exit(77)
held, ready, done = [], threading.Barrier(13), threading.Event()
threads = [threading.Thread(target=allocate) for _ in range(12)]
for each in threads:
    each.start()
ready.wait()
# Each arena but the first begins at a multiple of 64 MiB.
begins = [int(line.split("-")[0], 16) for line in Path("/proc/self/maps").read_text().splitlines() if " rw-p " in line]
print(sum(begin % (64 << 20) == 0 for begin in begins))
done.set()
"""


def arenas(how: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, how], capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode == 77:
        lacking("malloc is not glibc's")
    return int(done.stdout)


def test_threads_share_few_arenas() -> None:
    assert arenas("few") <= 1 < arenas("as many as it likes")


def test_what_is_under_way_is_bounded_on_both_sides() -> None:
    options = dict(WINDOW)
    assert options["grpc.http2.bdp_probe"] == 0
    assert 2 * CHUNK <= options["grpc.http2.lookahead_bytes"] <= 4 * 1024 * 1024
    assert options.items() <= dict(SERVER_OPTIONS).items()
    assert options.items() <= dict(CLIENT_OPTIONS).items()


_KEEPING = """
import sys
from cordee.runtime.memory import keep_freed_memory
def faults():
    return int(open("/proc/self/stat").read().rpartition(")")[2].split()[7])
def used():
    before = faults()
    for _ in range(200):
        pieces = [bytearray(262_144) for _ in range(8)]
        del pieces
    return faults() - before
if not keep_freed_memory():
    sys.exit(77)
used()
print(used())
"""


def test_memory_that_was_freed_is_used_again_without_a_page_fault() -> None:
    done = subprocess.run([sys.executable, "-c", _KEEPING], capture_output=True, text=True, check=False, timeout=60)
    if done.returncode == 77:
        lacking("malloc is not glibc's")
    assert int(done.stdout) < 2_000


def test_what_serves_holds_nothing_that_only_a_terminal_would_use() -> None:
    look = (
        "import sys, directory.app, node.app, node.web.app, node.web.server; "
        "print(sorted({'rich', 'pygments', 'attr'} & set(sys.modules))); import rich.console"
    )
    assert subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout == "[]\n"
