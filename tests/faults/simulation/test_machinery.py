"""What the simulation stands on: a clock that jumps, threads that take turns, deaths, and disks that lose."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from . import threads
from .disk import Disk, copied
from .invariants import _hollow
from .loop import Loop
from .owner import PROCESS


class Somebody:
    """A process of its own."""

    place = "somewhere"
    disk: Any = None

    def __init__(self) -> None:
        self.alive = True

    def thread_pause(self) -> float:
        return 0.001

    def touches_disk(self, what: str, *, grows: bool) -> None:
        pass


def played(work: Callable[[Loop], Any]) -> Any:
    loop = Loop()
    try:
        return loop.run_until_complete(work(loop))
    finally:
        threads.forget()


def test_waiting_costs_no_time() -> None:
    async def work(loop: Loop) -> float:
        await asyncio.sleep(86_400)
        return loop.time()

    assert played(work) == pytest.approx(86_400)


def test_where_everything_waits_for_nothing_the_simulation_says_so() -> None:
    async def work(loop: Loop) -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="nobody will do"):
        played(work)


def test_of_a_process_that_has_died_nothing_runs_again_not_even_its_finally() -> None:
    async def work(loop: Loop) -> list[str]:
        owner, done = Somebody(), []

        async def life() -> None:
            try:
                done.append("begun")
                await asyncio.sleep(1)
                done.append("gone on")
            finally:
                done.append("cleared up")

        loop.spawn(owner, life())
        await asyncio.sleep(0.5)
        owner.alive = False
        loop.bury(owner)
        await asyncio.sleep(5)
        return list(done)

    assert played(work) == ["begun"]


def test_what_others_tell_the_dead_is_not_heard() -> None:
    async def work(loop: Loop) -> list[str]:
        owner, heard, news = Somebody(), [], asyncio.Event()

        async def life() -> None:
            await news.wait()
            heard.append("news")

        loop.spawn(owner, life())
        await asyncio.sleep(0.5)
        owner.alive = False
        loop.bury(owner)
        news.set()
        await asyncio.sleep(1)
        return heard

    assert played(work) == []


def test_a_thread_waits_for_what_another_brings() -> None:
    async def work(loop: Loop) -> list[int]:
        queue, got = threads.SimpleQueue(), []

        def reading() -> None:
            got.extend((queue.get(), queue.get()))

        def writing() -> None:
            queue.put(1)
            queue.put(2)

        await asyncio.gather(loop.run_in_executor(None, reading), loop.run_in_executor(None, writing))
        return got

    assert played(work) == [1, 2]


def test_a_thread_gives_up_waiting_when_its_time_is_over() -> None:
    async def work(loop: Loop) -> tuple[bool, float]:
        condition = threads.Condition()
        found = await loop.run_in_executor(None, lambda: condition.wait_for(lambda: False, 3.0))
        return found, loop.time()

    found, time = played(work)
    assert not found
    assert time >= 3.0


def test_what_a_thread_raises_reaches_whoever_waits_for_it() -> None:
    async def work(loop: Loop) -> None:
        await asyncio.to_thread(int, "no number")

    with pytest.raises(ValueError, match="no number"):
        played(work)


def test_a_thread_belongs_to_whoever_began_it() -> None:
    async def work(loop: Loop) -> Any:
        owner = Somebody()
        return await loop.spawn(owner, asyncio.to_thread(PROCESS.get)) is owner

    assert played(work)


@pytest.mark.parametrize("power_cut", [False, True])
def test_a_kill_loses_nothing_and_a_power_cut_what_was_not_synchronised(tmp_path: Path, power_cut: bool) -> None:
    sizes = set()
    for seed in range(20):
        folder = tmp_path / f"disk-{seed}"
        folder.mkdir()
        disk = Disk(folder, Random(seed))
        with (folder / "tombstones").open("wb", buffering=0) as file:
            disk.opened(file.fileno(), True)
            file.write(b"synchronised")
            disk.fsynced(file.fileno())
            file.write(b", and not")
        disk.image(tmp_path / f"image-{seed}", power_cut=power_cut)
        left = (tmp_path / f"image-{seed}" / "tombstones").read_bytes()
        assert b"synchronised, and not".startswith(left)
        assert left.startswith(b"synchronised")
        sizes.add(len(left))
    assert (len(sizes) > 1) is power_cut


def test_what_sqlite_wrote_since_its_last_sync_may_be_lost_or_torn(tmp_path: Path) -> None:
    found = set()
    for seed in range(40):
        folder = tmp_path / f"disk-{seed}"
        folder.mkdir()
        path = folder / "node.db-wal"
        path.write_bytes(b"a" * 2048)
        disk = Disk(folder, Random(seed))
        disk.dies_in = 5
        disk.wrote(str(path), 0, 2048)
        with path.open("r+b") as file:
            file.write(b"b" * 2048)
        disk.image(tmp_path / f"image-{seed}", power_cut=True)
        data = (tmp_path / f"image-{seed}" / "node.db-wal").read_bytes()
        found.add((data.count(b"a"), data.count(b"b")))
    assert {(0, 2048), (2048, 0)} <= found
    assert any(a and b and not b % 512 for a, b in found), "torn at a sector"


def test_a_copy_that_sqlite_writes_elsewhere_is_left_as_it_is_by_a_power_cut(tmp_path: Path) -> None:
    folder, copy = tmp_path / "disk", tmp_path / "copy.db"
    folder.mkdir()
    copy.write_bytes(b"a" * 2048)
    disk = Disk(folder, Random(0))
    disk.dies_in = 5
    disk.wrote(str(copy), 0, 2048)
    copy.write_bytes(b"b" * 2048)
    disk.image(tmp_path / "image", power_cut=True)
    assert copy.read_bytes() == b"b" * 2048
    assert list((tmp_path / "image").iterdir()) == []


def test_a_full_disk_refuses_what_grows_and_nothing_else(tmp_path: Path) -> None:
    disk = Disk(tmp_path, Random(0))
    disk.full = True
    assert disk.fault(grows=True)
    assert not disk.fault(grows=False)


def test_it_dies_at_the_change_that_was_chosen(tmp_path: Path) -> None:
    disk = Disk(tmp_path, Random(0))
    disk.dies_in = 3
    assert [disk.due() for _ in range(3)] == [False, False, True]


def test_a_copy_of_a_folder_reads_the_same_and_its_ballast_takes_no_room(tmp_path: Path) -> None:
    folder, target = tmp_path / "disk", tmp_path / "image"
    (folder / "spool").mkdir(parents=True)
    (folder / "ballast").write_bytes(bytes(1 << 20))
    (folder / "spool" / "one").write_bytes(b"ciphertext")
    (folder / "node.db-shm").write_bytes(b"memory")
    copied(folder, target)
    assert sorted(path.name for path in target.rglob("*")) == ["ballast", "one", "spool"]
    assert (target / "ballast").read_bytes() == bytes(1 << 20)
    assert (target / "ballast").stat().st_blocks == 0
    assert (target / "spool" / "one").read_bytes() == b"ciphertext"


@pytest.mark.parametrize(("written", "hollow"), [(b"", True), (b"one word", False)])
def test_what_was_written_in_the_midst_of_a_hole_is_looked_at(tmp_path: Path, written: bytes, hollow: bool) -> None:
    with (tmp_path / "ballast").open("wb") as file:
        file.truncate(8 << 20)
        file.seek(5 << 20)
        file.write(written)
    assert _hollow(tmp_path / "ballast") is hollow
