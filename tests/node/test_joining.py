from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cordee.errors import AlreadyExists
from cordee.runtime.clock import ManualClock
from node import joining
from node.store.migrations import node_database
from node.vault import FILE, Vault
from tests.node.conftest import NOW

PASSPHRASE = b"correct horse"


def made(folder: Path, chance: Callable[[int], bytes]) -> None:
    joining.initialise(folder, passphrase=PASSPHRASE, random=chance, clock=ManualClock(NOW))


def opens(folder: Path) -> bool:
    vault = Vault.open(folder / FILE, PASSPHRASE)
    with node_database(folder / joining.DATABASE) as db:
        return bool(db.read_sync(lambda tx: joining.open_keys(tx, vault)))


@pytest.mark.parametrize("with_database", [False, True])
def test_a_node_whose_making_a_power_cut_ended_is_made_anew(
    tmp_path: Path, chance: Callable[[int], bytes], with_database: bool
) -> None:
    Vault.create(tmp_path / FILE, b"of the first attempt", opslimit=1, memlimit=8192)
    if with_database:
        node_database(tmp_path / joining.DATABASE).create()
    made(tmp_path, chance)
    assert opens(tmp_path)


def test_a_node_that_is_there_is_never_made_anew(tmp_path: Path, chance: Callable[[int], bytes]) -> None:
    made(tmp_path, chance)
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(AlreadyExists):
        made(tmp_path, chance)
    assert (tmp_path / FILE).read_bytes() == before
    assert opens(tmp_path)


def test_a_vault_beside_anything_of_a_nodes_work_is_left_alone(tmp_path: Path, chance: Callable[[int], bytes]) -> None:
    Vault.create(tmp_path / FILE, PASSPHRASE, opslimit=1, memlimit=8192)
    (tmp_path / "attachments").mkdir()  # its database was lost: the vault may still open a copy of it
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(AlreadyExists):
        made(tmp_path, chance)
    assert (tmp_path / FILE).read_bytes() == before
