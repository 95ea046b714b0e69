"""The practice server as its users start it: one process for the tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.demo.processes import Program
from tests.node.practice.newcomer import Newcomer


def program(folder: Path, **environment: str) -> Program:
    """`cordee practice serve`, with its folder made in this one."""
    within = folder / "temporary"
    within.mkdir(exist_ok=True)
    return Program(
        name="practice",
        arguments=("--output", "json", "practice", "serve", "--pages", "127.0.0.2:0", "--folder", str(within)),
        environment=environment,
        log=folder / "practice.log",
    )


@pytest.fixture(scope="session")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    served = program(tmp_path_factory.mktemp("practice"))
    served.start()
    try:
        yield served
    finally:
        served.stop()


@pytest.fixture(scope="session")
def newcomer(practice: Program) -> Newcomer:
    person = Newcomer(str(practice.ready["pages"]))
    person.sign_in()
    return person
