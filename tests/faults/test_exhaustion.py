"""A real node and a real directory that are refused room, file descriptors or memory while they work.

The kernel's limits for one process do it on every machine (RLIMIT_FSIZE, RLIMIT_NOFILE, RLIMIT_AS); where root may
mount, a small disk is filled by somebody else as well, which is what happens to people. Each time: an error with its
reason for whoever asked, nothing half done, what is there can be read, and it goes on once there is room again.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cordee.runtime.ballast import BALLAST
from cordee.transfer import State
from node.demo import cases
from node.demo.processes import CommandFailed, Program
from node.demo.stage import House, Stage, until
from tests.faults.cramped import Cramped, filled, may_mount, small_disk
from tests.faults.scenes import Scene, quick_stage
from tests.faults.tally import Row, count
from tests.lacking import lacking

pytestmark = [pytest.mark.fault, pytest.mark.timeout(900)]

DISK = "disk full at each write"
NOTHING_LEFT = "out of file descriptors or memory"

_ROOM = 256 << 20  # bytes of the small disk
_TOLD = ("STORAGE_FULL", "DISK_FAILED", "NOTHING_LEFT")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, founded: Path) -> Iterator[Stage]:
    with contextlib.ExitStack() as stack:
        folder = tmp_path_factory.mktemp("stage")
        if may_mount():
            folder = stack.enter_context(small_disk(folder / "small", size=_ROOM))
        yield stack.enter_context(quick_stage(folder, founded))


def sound(stage: Stage) -> None:
    """No database is damaged, and nobody died."""
    for program in stage.programs:
        assert program.process is not None, program.name
        assert program.process.poll() is None, program.last_lines()
    for path in (
        stage.folder / "directory" / "directory.db",
        *(each.data_dir / "node.db" for each in stage.houses.values()),
    ):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def refused(act: Callable[[], object]) -> str:
    """The reason with which it is refused; empty where it is done. Raises: AssertionError for one without words."""
    try:
        act()
    except CommandFailed as failed:
        message = failed.message
    else:
        return ""
    reason = str(json.loads(message[message.index("{") :]).get("reason", "")) if "{" in message else ""
    assert reason in _TOLD, message
    return reason


def in_the_end(act: Callable[[], object]) -> None:
    """Done, though a refusal for want of room comes first: with that one the ballast is given up."""
    for _ in range(3):
        if not refused(act):
            return
    raise AssertionError("refused again and again")


class Desk:
    """What people do at a node, each a write of its own, and the way to see that it was done once."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def acts(self) -> dict[str, Callable[[], object]]:
        """In the order in which people do them."""
        scene = self.scene
        return {
            "a case is opened": lambda: scene.helpline.command("case", "show", scene.case_id),
            "a file is attached": self.attach,
            "an offer is made": self.offer,
        }

    def attach(self) -> None:
        scene = self.scene
        scene.helpline.command("case", "attach", scene.case_id, str(scene.file), "--section", "actions")

    def offer(self) -> None:
        scene = self.scene
        done = scene.helpline.command(
            *("transfer", "offer", scene.case_id, "--to", scene.marseille.member, "--purpose", "relocation"),
            *("--act", scene.act_id, "--tick", "health", "--attachment", scene.attached["attachment_id"]),
        )
        scene.transfer = str(done["transfer"])


def lacks_memory(program: Program, *, since: int) -> bool:
    """It has ended, or its log tells, after so many bytes, that it was refused some."""
    if program.process is None or program.process.poll() is not None:
        return True
    told = program.log.read_bytes()[since:]
    return any(each in told for each in (b"MemoryError", b"OSError", b"NOTHING_LEFT", b"RESOURCE_EXHAUSTED"))


def arrives(scene: Scene) -> None:
    until(lambda: scene._state(scene.helpline) == State.RECEIVED, seconds=300, what="the receipt")
    until(lambda: scene._state(scene.marseille) == State.RECEIVED, seconds=60)
    scene.ends_well()


def test_a_node_without_room_says_so_and_goes_on_when_there_is_some(stage: Stage) -> None:
    scene = Scene(stage)
    scene.prepare()
    reasons = []
    for name, act in Desk(scene).acts().items():
        before = scene.helpline.command("case", "show", scene.case_id)
        with Cramped(scene.helpline.program.pid).no_room():
            reasons.append((name, refused(act)))
            sound(stage)
            assert scene.helpline.command("case", "list"), "what is there can be read"
        after = scene.helpline.command("case", "show", scene.case_id)
        assert after == before, f"{name}: refused, and yet something changed"
    assert all(reason for _, reason in reasons), reasons
    scene.offered()
    for who in (scene.marseille, scene.helpline):  # an acceptance, and what each does by itself after it
        with Cramped(who.program.pid).no_room():
            if who is scene.marseille:
                assert refused(lambda: scene.marseille.command("transfer", "accept", scene.transfer))
            sound(stage)
        if who is scene.marseille:
            scene.marseille.command("transfer", "accept", scene.transfer)
    arrives(scene)
    count(Row(DISK, len(reasons) + 2))


@pytest.mark.parametrize("moment", ["offer", "acceptance", "withdrawal"])
def test_a_directory_without_room_loses_nothing_and_what_waits_goes_on(stage: Stage, moment: str) -> None:
    scene = Scene(stage)
    scene.prepare()
    directory = Cramped(stage.directory.pid)
    if moment == "offer":
        with directory.no_room():
            Desk(scene).offer()  # it is kept here, and waits
            until(lambda: _log(scene.helpline.program, "outbox.waits"), seconds=60, what="the refusal")
            sound(stage)
    else:
        scene.offered()
    until(lambda: scene._line(scene.marseille), seconds=240, what="the offer")
    if moment == "acceptance":
        with directory.no_room():  # and so the upload that follows it finds none either
            scene.marseille.command("transfer", "accept", scene.transfer)
            until(lambda: _log(scene.marseille.program, "outbox.waits"), seconds=60, what="the refusal")
            sound(stage)
    else:
        scene.marseille.command("transfer", "accept", scene.transfer)
    arrives(scene)
    if moment == "withdrawal":
        with directory.no_room():
            scene.helpline.command("transfer", "withdraw", scene.transfer)
            sound(stage)
        until(lambda: (scene._line(scene.marseille) or {}).get("erasure") == "asked", seconds=240)
    count(Row(DISK, 1))


@pytest.mark.parametrize("who", ["helpline", "marseille", "directory"])
def test_a_process_without_file_descriptors_is_back_when_there_are_some(stage: Stage, who: str) -> None:
    scene = Scene(stage)
    scene.prepare()
    program = scene.program(who)
    with Cramped(program.pid).no_descriptors():
        with contextlib.suppress(CommandFailed):  # a new connection may find no descriptor, or one that became free
            Desk(scene).offer()
        with contextlib.suppress(CommandFailed):
            scene.marseille.command("transfer", "list")
        sound(stage)
    if not scene.transfer:
        scene.transfer = scene._offered()
    until(lambda: scene._line(scene.marseille), seconds=240, what="the offer")
    scene.marseille.command("transfer", "accept", scene.transfer)
    arrives(scene)
    count(Row(NOTHING_LEFT, 1))


@pytest.mark.parametrize("who", ["helpline", "marseille", "directory"])
def test_a_process_without_memory_ends_or_goes_on_but_loses_nothing(stage: Stage, who: str) -> None:
    """Where memory ends inside gRPC or the interpreter the process ends, as in any crash; then it is started again."""
    scene = Scene(stage)
    scene.prepare(size=4_000_000)
    scene.offered()
    program = scene.program(who)
    since = program.log.stat().st_size
    with Cramped(program.pid).no_memory(more=1 << 20):
        with contextlib.suppress(CommandFailed):
            scene.marseille.command("transfer", "accept", scene.transfer)
        until(lambda: lacks_memory(program, since=since), seconds=60, what="the want of memory")
    if program.process is not None and program.process.poll() is not None:
        program.wait_for_end(0)
        program.start()
    scene._accepted()
    arrives(scene)
    sound(stage)
    count(Row(NOTHING_LEFT, 1))


# ---- a disk that somebody else has filled ----


@pytest.mark.parametrize("who", ["helpline", "directory"])
def test_a_disk_that_others_filled_is_worked_on_started_on_and_emptied(stage: Stage, who: str) -> None:
    if not may_mount():
        lacking("no file system can be mounted here; the limits above stand in for it")
    scene = Scene(stage)
    scene.prepare()
    data = stage.folder / "directory" if who == "directory" else scene.helpline.data_dir
    until(lambda: (data / BALLAST).stat().st_size > 0, seconds=90, what="the ballast")
    program = scene.program(who)
    listed = lambda: scene.helpline.command("case", "list")  # noqa: E731 - typed twice
    with filled(stage.folder):
        in_the_end(listed)
        program.kill()
        program.start()  # SQLite itself needs room for that
        in_the_end(listed)
        sound(stage)
    scene.offered()
    scene.marseille.command("transfer", "accept", scene.transfer)
    arrives(scene)
    until(lambda: (data / BALLAST).stat().st_size > 0, seconds=120, what="the ballast again")
    count(Row(DISK, 2))


def test_what_fills_a_disk_can_be_erased_on_it(stage: Stage) -> None:
    if not may_mount():
        lacking("no file system can be mounted here")
    scene = Scene(stage)
    scene.prepare(size=3_000_000)
    house = scene.helpline
    house.program.stop()
    house.program.start()  # it takes the room back by itself too, in half a minute: that is seen above
    until(lambda: (house.data_dir / BALLAST).stat().st_size > 0, seconds=120, what="the ballast")
    with filled(stage.folder) as theirs:
        in_the_end(lambda: house.command("case", "erase", scene.case_id))
        in_the_end(lambda: house.command("case", "list"))
        assert _gone(scene)
        assert theirs.stat().st_size > 0
        sound(stage)
    assert f"case {scene.case_id} " in (house.data_dir / "tombstones").read_text("ascii")
    count(Row(DISK, 1))


def test_on_a_full_disk_people_are_told_what_it_is_and_the_same_command_works_later(stage: Stage) -> None:
    """Each writes in another way: through the node, into the node's own folder, to a file of one's choice."""
    if not may_mount():
        lacking("no file system can be mounted here")
    scene = Scene(stage)
    scene.prepare()
    helpline, newcomer = scene.helpline, stage.house("lille", cases.profiles(now=datetime.now(UTC))["lille"])
    del stage.houses["lille"]  # it has no node at work, and joins nothing for long
    invitation, saved = stage.folder / "lille.invitation.json", stage.folder / "saved"
    stage.office(
        *("admin", "invite", "--legal-name", newcomer.profile["legal_name"], "--number", newcomer.profile["siret"]),
        *("--secrecy", "--out", str(invitation)),
        who=stage.administrators[0],
    )
    until(lambda: (helpline.data_dir / BALLAST).stat().st_size > 0, seconds=120, what="the ballast")
    profile = str(newcomer.folder / "profile.json")
    acts: dict[str, Callable[[], object]] = {
        "attach": Desk(scene).attach,
        "join": lambda: newcomer.command("node", "join", str(invitation), "--profile", profile),
        "backup": lambda: helpline.command("node", "backup", str(saved)),
    }
    before = _files(helpline, newcomer)
    for each in stage.folder.rglob(BALLAST):  # else whoever meets the full disk first makes room for all of them
        os.truncate(each, 0)
    with filled(stage.folder):
        told = {name: [refused(act) for _ in range(3)] for name, act in acts.items()}
        sound(stage)
    assert told == {name: ["STORAGE_FULL"] * 3 for name in acts}
    assert not saved.exists()
    assert not _files(helpline, newcomer) - before, "nothing is left half written"
    for name, act in acts.items():
        assert not refused(act), name
    assert len(_files(helpline) - before) == 1, "the attached file"
    count(Row(DISK, 9))


def _files(*houses: House) -> set[Path]:
    """What lies in these nodes' folders, but for locks, and what SQLite makes and unmakes as it likes."""
    found = {path for house in houses for path in house.data_dir.rglob("*") if path.is_file()}
    return {path for path in found if not path.name.endswith(("-wal", "-shm", "-journal", ".lock"))}


def _gone(scene: Scene) -> bool:
    return all(each["case_id"] != scene.case_id for each in scene.helpline.command("case", "list"))


def _log(program: Program, event: str) -> bool:
    return event in Path(program.log).read_text(errors="replace")[-4000:]
