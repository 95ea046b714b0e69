from __future__ import annotations

import subprocess
import sys

from tests.lacking import lacking

_PROGRAM = """
import os, resource, subprocess, sys
from cordee.runtime.process import forbid_core_dumps
print(resource.getrlimit(resource.RLIMIT_CORE)[0])
forbid_core_dumps()
print(resource.getrlimit(resource.RLIMIT_CORE))
print(subprocess.check_output(["sh", "-c", "ulimit -c; ulimit -Hc"], text=True).split())
"""


def test_no_core_dump_is_written_by_the_process_or_by_one_that_it_starts() -> None:
    before, after, child = subprocess.run(
        ["sh", "-c", 'ulimit -Sc "$(ulimit -Hc)"; exec "$0" -c "$1"', sys.executable, _PROGRAM],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.splitlines()
    if before == "0":
        lacking("this machine forbids core dumps already, so that nothing is shown")
    assert after == "(0, 0)"
    assert child == "['0', '0']"


_MANY_FILES = """
import resource
from cordee.runtime.process import allow_many_files
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
for soft in (256, hard):
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    allow_many_files()
    print(resource.getrlimit(resource.RLIMIT_NOFILE) == (max(soft, min(hard, 16_384)), hard))
"""


def test_a_server_may_open_more_files_than_a_program_gets_unasked() -> None:
    done = subprocess.run([sys.executable, "-c", _MANY_FILES], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["True", "True"]
