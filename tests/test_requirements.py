"""What is installed is what was chosen: each package by its version and digest, and nothing is built on the way."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("requirements.lock", "requirements-mutants.lock", "requirements-fuzz.lock")  # in the Makefile's order
_PIP_INSTALL = re.compile(r"\bpip\b[^\n]* install [^\n]*")


@pytest.mark.parametrize(("name", "fewest"), list(zip(LOCKS, (40, 5, 1), strict=True)))
def test_every_package_of_the_lock_has_a_version_and_a_digest(name: str, fewest: int) -> None:
    lock = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    packages = [line for line in lock.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(packages) >= fewest
    whole = re.compile(r"[A-Za-z0-9._-]+(\[[a-z0-9,-]+\])?==\S+( ; [^#]*?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*")
    assert [line.split()[0] for line in packages if not whole.fullmatch(line)] == []


def test_pip_is_asked_for_digests_and_for_nothing_that_it_would_have_to_build() -> None:
    commands = _PIP_INSTALL.findall((ROOT / "Makefile").read_text(encoding="utf-8"))
    fetching = [each for each in commands if "--no-deps --no-build-isolation --editable ." not in each]
    assert len(commands) == len(LOCKS) + 1
    assert len(fetching) == len(LOCKS), "the other one installs this project and fetches nothing"
    for each, name in zip(fetching, LOCKS, strict=True):
        assert f"--require-hashes --only-binary :all: -r {name}" in each
