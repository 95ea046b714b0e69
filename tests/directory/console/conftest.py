from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.directory.town import Town

from .office import Office


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """A founded directory that serves, with two administrators who must both sign."""
    town = Town.make(tmp_path / "directory")
    async with town.open():
        await town.found()
        made = Office(town, tmp_path)
        yield made
        await made.close()
