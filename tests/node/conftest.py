from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cordee.runtime.database import Database
from node import passwords
from node.vault import Vault

from .association import empty_database
from .mail_server import Authority, MailServer

NOW = datetime(2026, 3, 14, 9, 30, tzinfo=UTC)


class Chance:
    """Randomness that a test can repeat."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, size: int) -> bytes:
        self.count += 1
        return hashlib.shake_256(b"chance" + self.count.to_bytes(8, "big")).digest(size)


@pytest.fixture
def chance() -> Callable[[int], bytes]:
    return Chance()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def post(authority: Authority) -> Iterator[MailServer]:
    with MailServer(context=authority.context("localhost")).running() as running:
        yield running


@pytest.fixture(autouse=True)
def passwords_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four accounts are made for most tests here: their passwords' true cost is test_people's."""
    monkeypatch.setattr(passwords, "_OPSLIMIT", 1)
    monkeypatch.setattr(passwords, "_MEMLIMIT", 8192)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault.create(tmp_path / "vault.json", b"correct horse", opslimit=1, memlimit=8192)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with empty_database(tmp_path / "node.db") as database:
        yield database


def everything(folder: Path) -> bytes:
    """All bytes of all files under a folder: databases, their logs, keys, attachments."""
    return b"\n".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def holds(folder: Path, *marks: bytes) -> list[str]:
    """Which of these bytes stand in clear in any file under a folder."""
    data = everything(folder)
    assert data
    return [mark.decode() for mark in marks if mark in data]
