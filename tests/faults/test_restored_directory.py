"""The directory dies with its disk and comes back from an old backup: real processes, SIGKILL, real files.

Its members give back what it lost. A transfer that was under way goes on, one that was over is over still, and what
is withdrawn afterwards reaches whom it concerns.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cordee.runtime.crashpoint import VARIABLE
from cordee.transfer import Kind, State
from node.demo import cases
from node.demo.evidence import Evidence
from node.demo.processes import CommandFailed
from node.demo.stage import House, Stage, until
from tests.faults.scenes import FirstTransfer, small_stage
from tests.typist import run

pytestmark = pytest.mark.journey


class Disaster:
    """What happens to a directory on a stage."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.data = stage.folder / "directory"

    def back_up(self) -> Path:
        backup = self.stage.folder / f"backup-{len(list(self.stage.folder.glob('backup-*')))}"
        self.stage.office("directory", "backup", "--data-dir", str(self.data), "--to", str(backup))
        return backup

    def strike(self, backup: Path) -> None:
        """Killed at once; nothing of its database is left but a copy, and no ciphertext."""
        program = self.stage.directory
        assert program.process is not None
        program.process.kill()
        program.wait_for_end(0)
        for each in self.data.glob("directory.db*"):
            each.unlink()
        shutil.copy(backup / "directory.db", self.data / "directory.db")
        program.start()

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.stage.office("directory", "status", "--data-dir", str(self.data))
        return found

    def mends(self) -> None:
        until(lambda: not self.status()["log_behind"], seconds=60, what="the log")

    def states(self) -> dict[str, str]:
        """Of every transfer that the directory knows."""
        with sqlite3.connect(f"file:{self.data / 'directory.db'}?mode=ro", uri=True) as db:
            return {row[0].hex(): row[1] for row in db.execute("SELECT id, state FROM transfer")}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with small_stage(tmp_path_factory.mktemp("stage"), run_command=run) as made:
        yield made


def settle(stage: Stage, name: str) -> House:
    """One more association: an entry, a card, a certificate that an older database does not know."""
    house = stage.house(name, cases.profiles(now=datetime.now(UTC))[name])
    stage.join(house)
    stage.start(house)
    until(lambda: len(members(house)) == len(stage.houses), what="the members")
    return house


def members(house: House) -> list[dict[str, Any]]:
    return [each for each in house.command("members", "list") if each["card_expires"]]


def alarms(house: House) -> list[Any]:
    with sqlite3.connect(f"file:{house.data_dir / 'node.db'}?mode=ro", uri=True) as db:
        return db.execute("SELECT reason FROM evidence").fetchall()


def test_a_directory_restored_from_a_backup_has_lost_nothing(stage: Stage) -> None:
    disaster = Disaster(stage)
    over = FirstTransfer(stage)
    over.prepare()
    before = disaster.back_up()
    over.play()  # a transfer of which the backup knows nothing, and which is over
    under_way = FirstTransfer(stage)
    under_way.prepare()
    under_way.transfer = under_way._offered()
    until(lambda: under_way._line(under_way.marseille), seconds=60)
    newcomer = settle(stage, "lille")
    size = disaster.status()["entries"]

    disaster.strike(before)
    disaster.mends()
    assert disaster.status()["entries"] == size
    until(lambda: disaster.states().get(under_way.transfer) == State.OFFERED, seconds=60, what="the open transfer")
    until(lambda: disaster.states().get(over.transfer) == State.RECEIVED, seconds=60, what="the one that is over")

    under_way._accepted()
    until(lambda: under_way._state(under_way.helpline) == State.RECEIVED, seconds=90)
    until(lambda: under_way._state(under_way.marseille) == State.RECEIVED, seconds=30)
    under_way.ends_well()
    over.ends_well()
    until(lambda: len(members(newcomer)) == 3, what="the newcomer's look at the members")
    for house in stage.houses.values():
        assert alarms(house) == [], "nobody was shown an older roster"


def test_a_withdrawal_reaches_whom_it_concerns_though_the_directory_had_forgotten_the_transfer(stage: Stage) -> None:
    disaster = Disaster(stage)
    before = disaster.back_up()
    scene = FirstTransfer(stage)
    scene.prepare()
    scene.play()
    disaster.strike(before)
    until(lambda: withdrawn(scene), seconds=60, what="the withdrawal")
    until(lambda: (scene._line(scene.marseille) or {}).get("erasure") == "asked", seconds=60, what="its way")
    here, there = Evidence(scene.helpline), Evidence(scene.marseille)
    there.same_chain(scene.transfer, here, Kind.WITHDRAWAL)


def test_what_was_shipped_and_not_fetched_arrives_once(stage: Stage) -> None:
    disaster = Disaster(stage)
    before = disaster.back_up()
    scene = FirstTransfer(stage)
    scene.prepare()
    program = scene.marseille.program
    program.stop()
    program.start(**{VARIABLE: "node.arrival.shipment.before_write"})  # it dies of it, and nobody starts it again
    scene.transfer = scene._offered()
    until(lambda: scene._line(scene.marseille), seconds=60)
    scene.marseille.command("transfer", "accept", scene.transfer)
    assert program.wait_for_end(60)
    assert disaster.states()[scene.transfer] == State.SHIPPED
    disaster.strike(before)
    until(lambda: disaster.states().get(scene.transfer) == State.SHIPPED, seconds=60, what="the shipment again")
    stage.start(scene.marseille)
    until(lambda: scene._state(scene.helpline) == State.RECEIVED, seconds=90)
    until(lambda: scene._state(scene.marseille) == State.RECEIVED, seconds=30)
    scene.ends_well()


def test_where_its_own_record_was_taken_back_too_its_members_find_out_and_mend_it(stage: Stage) -> None:
    disaster = Disaster(stage)
    before, record = disaster.back_up(), (disaster.data / "last-signed").read_bytes()
    marseille = stage.houses["marseille"]
    for what in ("suspend", "reinstate"):
        for name in stage.administrators:
            stage.office("admin", what, marseille.member, who=name)
    size = disaster.status()["entries"]
    until(lambda: all(entries(house) == size for house in stage.houses.values()), seconds=60, what="the entries")
    (disaster.data / "last-signed").write_bytes(record)
    disaster.strike(before)
    until(lambda: disaster.status()["entries"] == size, seconds=60, what="the log")
    for house in stage.houses.values():
        until(lambda house=house: alarm_of(house) == "", seconds=60, what="the end of its alarm")
    assert ("ROSTER_ROLLED_BACK",) in [row for house in stage.houses.values() for row in alarms(house)]


def entries(house: House) -> int:
    with sqlite3.connect(f"file:{house.data_dir / 'node.db'}?mode=ro", uri=True) as db:
        return int(db.execute("SELECT count(*) FROM roster_entry").fetchone()[0])


def alarm_of(house: House) -> str:
    with sqlite3.connect(f"file:{house.data_dir / 'node.db'}?mode=ro", uri=True) as db:
        return "".join(row[0] for row in db.execute("SELECT reason FROM roster_alarm"))


def withdrawn(scene: FirstTransfer) -> bool:
    try:
        scene.helpline.command("transfer", "withdraw", scene.transfer)
    except CommandFailed as failed:
        if failed.code != 7:  # the node is away
            raise
        return False
    return True
