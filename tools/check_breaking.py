"""Refuse a change of the contract on the wire that an older node would not understand.

`buf breaking` compares `proto/` with `proto/baseline.binpb`, the contract of the last release. `--update` takes the
present contract as the new baseline: only for a release.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BASELINE = ROOT / "proto" / "baseline.binpb"
BUF = str(Path(sys.executable).with_name("buf"))


def main() -> int:
    """Exit 0 where nothing breaks."""
    if "--update" in sys.argv:
        return subprocess.run([BUF, "build", "-o", str(BASELINE)], cwd=ROOT, check=False).returncode
    if not BASELINE.exists():
        print(f"{BASELINE.relative_to(ROOT)} is missing: run {sys.argv[0]} --update")
        return 1
    return subprocess.run([BUF, "breaking", "--against", str(BASELINE)], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
