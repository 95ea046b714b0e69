"""What is installed is what was chosen: each package by its version and digest, and nothing is built on the way."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
_PIP_INSTALL = re.compile(r"\bpip\b[^\n]* install [^\n]*")


@pytest.mark.parametrize(("name", "fewest"), [("requirements.lock", 40), ("requirements-fuzz.lock", 1)])
def test_every_package_of_the_lock_has_a_version_and_a_digest(name: str, fewest: int) -> None:
    lock = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    packages = [line for line in lock.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(packages) >= fewest
    whole = re.compile(r"[A-Za-z0-9._-]+(\[[a-z0-9,-]+\])?==\S+( ; [^#]*?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*")
    assert [line.split()[0] for line in packages if not whole.fullmatch(line)] == []


def test_pip_is_asked_for_digests_and_for_nothing_that_it_would_have_to_build() -> None:
    commands = _PIP_INSTALL.findall((ROOT / "Makefile").read_text(encoding="utf-8"))
    fetching = [each for each in commands if "--no-deps --no-build-isolation --editable ." not in each]
    assert len(commands) == 3
    assert len(fetching) == 2, "the other one installs this project and fetches nothing"
    for each, name in zip(fetching, ("requirements.lock", "requirements-fuzz.lock"), strict=True):
        assert f"--require-hashes --only-binary :all: -r {name}" in each
