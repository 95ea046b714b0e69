from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ..association import PASSWORD
from ..rpc.conftest import association, network, socket

__all__ = ["Result", "association", "cordee", "network", "signed_in", "socket"]

Cordee = Callable[..., Awaitable["Result"]]


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """The last line of stderr: what programs read."""
        return json.loads(self.err.splitlines()[-1])


@pytest.fixture
def cordee(tmp_path: Path, request: pytest.FixtureRequest) -> Cordee:
    """Types a command, as a process of its own: `await cordee("case", "list")`."""
    listening = request.getfixturevalue("socket") if "socket" in request.fixturenames else tmp_path / "none"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "home"),
        "CORDEE_NODE_SOCKET": str(listening),
        "CORDEE_SESSION_FILE": str(tmp_path / "state" / "session.json"),
    }

    async def run(*arguments: str, stdin: str = "", output: str | None = "json") -> Result:
        options = ["--output", output] if output else []
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from cordee.runtime.command import main; main()",
            *options,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
        )
        out, err = await asyncio.wait_for(process.communicate(stdin.encode()), timeout=60)
        return Result(process.returncode, out.decode(), err.decode())

    return run


@pytest.fixture
async def signed_in(socket: Path, cordee: Cordee) -> Cordee:
    """The same, with Hélène signed in."""
    result = await cordee("node", "login", "Hélène", "--password-file", "-", stdin=PASSWORD)
    assert result.code == 0, result.err
    return cordee
