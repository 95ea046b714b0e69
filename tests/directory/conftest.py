from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.directory.town import Town


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    """A founded directory that serves, with two administrators who must both sign."""
    made = Town.make(tmp_path / "directory")
    async with made.open():
        await made.found()
        yield made
