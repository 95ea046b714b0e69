"""The demonstration's first transfer, played on a small stage while processes are killed."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cordee.runtime.crashpoint import VARIABLE
from cordee.transfer import Kind, State
from node.demo import cases
from node.demo.evidence import Evidence
from node.demo.processes import CommandFailed, Program
from node.demo.stage import ADMINISTRATOR, House, Stage, until
from tests.faults.founded import ForkedStage, fill, move_in
from tests.faults.nursery import forked, nursery

_PURPOSE = "relocation"


@contextmanager
def small_stage(folder: Path, **options: Any) -> Iterator[Stage]:
    """A directory and two associations, everything running. The options are the Stage's."""
    stage = Stage(folder, **options)
    with stage.open():
        fill(stage)
        yield stage


@contextmanager
def quick_stage(folder: Path, founded: Path) -> Iterator[Stage]:
    """The same, a copy of `founded`, its processes forked from a nursery: for who starts them again and again."""
    with nursery() as place, ForkedStage(folder, place).open() as stage:
        move_in(stage, founded, commands=place.run)
        stage.directory.start()
        for house in stage.houses.values():
            house.program = forked(house.program, place)
            house.program.start()
            stage.sign_in(house)
        yield stage


class FirstTransfer:
    """One case with a file, from the helpline to Marseille."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.helpline: House = stage.houses["helpline"]
        self.marseille: House = stage.houses["marseille"]
        self.transfer = ""

    def prepare(self, *, size: int = 1_000_000) -> None:
        """A fresh case, a file of so many bytes, an act."""
        now = datetime.now(UTC)
        folder = self.stage.folder / "made"
        folder.mkdir(exist_ok=True)
        self.record = cases.cases(now=now, owner=self.helpline.profile["org_id"], random=os.urandom)[0]
        self.case_id = self.record["meta"]["case_id"]
        path = folder / f"{self.case_id}.json"
        path.write_text(json.dumps(self.record, ensure_ascii=False), encoding="utf-8")
        self.helpline.command("case", "new", str(path))
        self.file = folder / f"{self.case_id}.bin"
        self.file.write_bytes(os.urandom(size))
        self.attached = self.helpline.command("case", "attach", self.case_id, str(self.file), "--section", "actions")
        act = cases.act(
            self.record,
            purpose=_PURPOSE,
            recipients=[self.marseille.profile["org_id"]],
            attachments=[self.attached["attachment_id"]],
            now=now,
            random=os.urandom,
        )
        path.write_text(json.dumps(act, ensure_ascii=False), encoding="utf-8")
        self.helpline.command("consent", "record", self.case_id, str(path))
        self.act_id = act["act_id"]

    def program(self, name: str) -> Program:
        return self.stage.directory if name == "directory" else self.stage.houses[name].program

    @contextmanager
    def armed(self, name: str, point: str) -> Iterator[Callable[[], bool]]:
        """Start a process anew with a crash point; whenever it dies, start it again without."""
        program = self.program(name)
        program.stop()
        program.start(**{VARIABLE: point})
        ended = threading.Event()
        deaths: list[bool] = []

        def watch() -> None:
            while not ended.is_set():
                if program.process is not None and program.process.poll() is not None:
                    deaths.append(True)
                    program.wait_for_end(0)
                    program.start()
                    return
                ended.wait(0.02)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield lambda: bool(deaths)
        finally:
            ended.set()
            watcher.join(60)
            if program.process is None or program.process.poll() is not None:
                program.wait_for_end(0)
                program.start()

    def play(self) -> None:
        """Offer, accept, wait. A command that meets a dead process is typed again, as a person would."""
        self.transfer = self._offered()
        until(lambda: self._line(self.marseille), seconds=240)
        self._accepted()
        until(lambda: self._state(self.helpline) == State.RECEIVED, seconds=240)
        until(lambda: self._state(self.marseille) == State.RECEIVED, seconds=120)

    def give_back(self) -> None:
        """What arrived is not for Marseille. A command that meets a dead process is typed again."""

        def try_it() -> bool:
            line = self._line(self.marseille)
            if line is not None and line["erasure"] == "returned":
                return True
            try:
                self.marseille.command("transfer", "return", self.transfer, "--code", "wrong_recipient")
            except CommandFailed as failed:
                if failed.code not in (6, 7):
                    raise
                return False
            return True

        until(try_it, seconds=60)
        until(lambda: (self._line(self.helpline) or {}).get("erasure") == "returned", seconds=60)
        until(lambda: (self._line(self.marseille) or {"waits": True})["waits"] is False, seconds=30)

    def rotates(self, house: House, kind: str) -> None:
        """A key of a node is replaced, by an administrator of that association who types the command once."""

        def keys() -> dict[str, set[str]]:
            try:
                rows = house.command("node", "keys", "list")
            except CommandFailed as failed:
                if failed.code not in (6, 7):
                    raise
                return {}
            return {
                state: {each["id"] for each in rows if each["kind"] == kind and each["state"] == state}
                for state in ("in_force", "waiting")
            }

        self.stage.sign_in(house, ADMINISTRATOR)
        before = until(keys)["in_force"]
        try:
            house.command("node", "keys", "rotate", f"--{kind}", "--despite-transfers")
        except CommandFailed as failed:
            if failed.code not in (6, 7):
                raise
        until(lambda: (now := keys()) and now["in_force"] != before and not now["waiting"], seconds=60)
        self.stage.sign_in(house)

    def ends_with_the_sender(self) -> None:
        """Erased there without a trace, held here; each side has journalled it once."""
        assert self._case(self.marseille) is None
        assert (self._case(self.helpline) or {})["holder"] == "here"
        here, there = Evidence(self.helpline), Evidence(self.marseille)
        there.same_chain(self.transfer, here, Kind.ERASURE)
        for house in (self.helpline, self.marseille):
            with sqlite3.connect(f"file:{house.data_dir / 'node.db'}?mode=ro", uri=True) as db:
                query = "SELECT count(*) FROM journal WHERE action = 'transfer.returned' AND subject = ?"
                assert db.execute(query, (self.transfer,)).fetchone()[0] == 1
        stones = (self.marseille.data_dir / "tombstones").read_text("ascii")
        assert f"case {self.case_id} " in stones
        assert f"transfer {self.transfer} " in stones
        with sqlite3.connect(f"file:{self.marseille.data_dir / 'node.db'}?mode=ro", uri=True) as db:
            for table in ("case_key", "attachment"):
                assert not db.execute(f"SELECT 1 FROM {table} WHERE case_id = ?", (self.case_id,)).fetchall()
            known = {row[0] for row in db.execute("SELECT file_id FROM attachment")}
        files = {path.name for path in (self.marseille.data_dir / "attachments").rglob("*") if path.is_file()}
        assert all(any(each in name for each in known) for name in files)
        here.journal()
        there.journal()

    def _case(self, house: House) -> dict[str, Any] | None:
        return next((each for each in house.command("case", "list") if each["case_id"] == self.case_id), None)

    def _offered(self, *options: str) -> str:
        def try_it() -> str | None:
            for line in self._lines(self.helpline):
                if line["case_id"] == self.case_id:
                    return str(line["transfer"])
            try:
                done = self.helpline.command(
                    *("transfer", "offer", self.case_id, "--to", self.marseille.member, "--purpose", _PURPOSE),
                    *("--act", self.act_id, "--tick", "health", "--attachment", self.attached["attachment_id"]),
                    *options,
                )
            except CommandFailed as failed:
                if failed.code in (6, 7):  # it may have been done before the process died: look, then try again
                    return None
                raise
            return str(done["transfer"])

        return str(until(try_it, seconds=60))

    def _accepted(self) -> None:
        def try_it() -> bool:
            line = self._line(self.marseille)
            if line is not None and line["state"] != State.OFFERED:
                return True
            try:
                self.marseille.command("transfer", "accept", self.transfer)
            except CommandFailed as failed:
                if failed.code not in (6, 7):
                    raise
                return False
            return True

        until(try_it, seconds=60)

    def _lines(self, house: House) -> list[dict[str, Any]]:
        try:
            found: list[dict[str, Any]] = house.command("transfer", "list")
        except CommandFailed as failed:
            if failed.code != 7:
                raise
            return []
        return found

    def _line(self, house: House) -> dict[str, Any] | None:
        return next((line for line in self._lines(house) if line["transfer"] == self.transfer), None)

    def _state(self, house: House) -> str | None:
        line = self._line(house)
        return None if line is None or line["waits"] else str(line["state"])

    def ends_well(self) -> None:
        """The same end whatever happened, read from databases and keys."""
        here, there = Evidence(self.helpline), Evidence(self.marseille)
        there.case_equals(self.transfer, here)
        there.attachments(self.case_id, {self.attached["attachment_id"]: self.attached["sha256"]})
        there.same_chain(self.transfer, here)
        until(lambda: here.nothing_in_flight(self.transfer) and there.nothing_in_flight(self.transfer), seconds=20)
        with sqlite3.connect(f"file:{self.marseille.data_dir / 'node.db'}?mode=ro", uri=True) as db:
            imported = db.execute(
                "SELECT count(*) FROM journal WHERE action = 'transfer.received' AND subject = ?", (self.transfer,)
            ).fetchone()[0]
        assert imported == 1
        mailbox = self.stage.folder / "directory" / "mailbox"
        until(lambda: not any(path.is_file() for path in mailbox.rglob(f"*{self.transfer}*")), seconds=20)
        here.journal()
        there.journal()


class Scene(FirstTransfer):
    """A first transfer whose databases are looked at before a command is started, which takes half a second."""

    def _line(self, house: House) -> dict[str, Any] | None:
        return super()._line(house) if self.kept(house) else None

    def _state(self, house: House) -> str | None:
        state = self.kept(house)
        return super()._state(house) if state in (State.RECEIVED, State.DECLINED, State.WITHDRAWN) else state

    def erased(self) -> None:
        """The directory has erased what waited, and has written down that it did."""
        query = "SELECT count(*) FROM mailbox_erasure WHERE transfer_id = ?"
        until(lambda: self.broker(query, bytes.fromhex(self.transfer)) == 0, seconds=60, what="the erasure")

    def broker(self, query: str, *values: object) -> Any:
        """The first value of a row in the directory's database; None where there is no row."""
        rows = rows_of(self.stage.folder / "directory" / "directory.db", query, *values)
        return rows[0][0] if rows else None

    def kept(self, house: House) -> str | None:
        """The state in that node's database."""
        return one_of(house, "SELECT state FROM transfer WHERE id = ?", bytes.fromhex(self.transfer))

    def offered(self, *options: str) -> None:
        """And arrived."""
        self.transfer = self._offered(*options)
        until(lambda: self._line(self.marseille), seconds=120)

    def types(self, house: House, *command: str, done: Callable[[], bool]) -> None:
        """A command that meets a dead process is typed again, as a person would, unless it turns out to be done."""

        def try_it() -> bool:
            if done():
                return True
            try:
                house.command(*command)
            except CommandFailed as failed:
                if failed.code not in (6, 7):
                    raise
                return False
            return True

        until(try_it, seconds=120)

    def declined(self) -> None:
        self.types(
            self.marseille,
            *("transfer", "decline", self.transfer, "--code", "no_capacity"),
            done=lambda: self.kept(self.marseille) == State.DECLINED,
        )
        until(lambda: self._state(self.helpline) == State.DECLINED, seconds=120)
        until(lambda: self._state(self.marseille) == State.DECLINED, seconds=60)

    def withdrawn(self) -> None:
        """After it was received: the recipient is asked to erase."""
        self.types(
            self.helpline,
            *("transfer", "withdraw", self.transfer),
            done=lambda: self.kinds(self.helpline).count("withdrawal") == 1,
        )
        until(lambda: (self._line(self.marseille) or {}).get("erasure") == "asked", seconds=120)
        until(lambda: (self._line(self.helpline) or {"waits": True})["waits"] is False, seconds=60)

    def expires(self) -> None:
        """Nobody answers the offer, and time ends it."""
        for house in (self.helpline, self.marseille):
            until(lambda house=house: self.kept(house) == State.EXPIRED, seconds=120, what="the expiry")

    def adds_a_file(self) -> None:
        """Which no act covers."""
        other = self.file.with_suffix(".other")
        other.write_bytes(b"not agreed to")
        self.helpline.command("case", "attach", self.case_id, str(other), "--section", "actions")

    def refused(self) -> None:
        """The recipient refuses what came, and the sender hears of it."""
        self._accepted()
        for house in (self.marseille, self.helpline):
            until(lambda house=house: self.kept(house) == State.REFUSED, seconds=120, what="the refusal")
        until(lambda: (self._line(self.marseille) or {"waits": True})["waits"] is False, seconds=60)

    def replaces_the_log_key(self) -> None:
        """The directory's operator makes the next key; an administrator, who types until it is done, signs for it."""
        size, data = self.entries(), str(self.stage.folder / "directory")
        public = self.stage.folder / "made" / f"log-{size}.pub"
        public.parent.mkdir(exist_ok=True)
        made = self.stage.office("directory", "rotate-key", "--data-dir", data, "--out", str(public))
        words = " ".join(made["words"])

        def try_it() -> bool:
            if self.entries() > size:
                return True
            try:
                self.stage.office(
                    "admin", "rotate-key", str(public), "--words", words, who=self.stage.administrators[0]
                )
            except CommandFailed as failed:
                if failed.code not in (6, 7):
                    raise
                return False
            return True

        until(try_it, seconds=120)
        self.all_follow(size + 1)

    def all_follow(self, size: int) -> None:
        """Everybody holds a log of so many entries, signed by its present key, which is the only one left."""
        for house in (self.helpline, self.marseille):
            query = "SELECT count(*) FROM roster_entry"
            until(lambda house=house, query=query: one_of(house, query) == size, seconds=120, what="the entries")
            until(lambda house=house: not all_of(house, "SELECT reason FROM roster_alarm"), seconds=60)
            assert not all_of(house, "SELECT reason FROM evidence"), "nobody was shown another roster"
        assert self.entries() == size
        assert len(list((self.stage.folder / "directory").glob("log*.key"))) == 1

    def entries(self) -> int:
        """Of the directory's log."""
        return int(self.broker("SELECT count(*) FROM entry"))

    def directory_loses(self, act: Callable[[], None]) -> None:
        """What is done meanwhile: the directory is killed, and its database is the one of before. It stays down."""
        path, before = self.stage.folder / "directory" / "directory.db", self.stage.folder / "before.db"
        before.unlink(missing_ok=True)
        with closing(sqlite3.connect(path)) as there, closing(sqlite3.connect(before)) as copy:
            there.backup(copy)
        act()
        self.stage.directory.kill()
        for each in path.parent.glob("directory.db*"):
            each.unlink()
        before.rename(path)

    def stands_still(self, *kinds: str) -> None:
        """Both keep these statements and no others, and each is journalled once."""
        for house in (self.helpline, self.marseille):
            assert self.kinds(house) == list(kinds)
            for action, times in all_of(
                house, "SELECT action, count(*) FROM journal WHERE subject = ? GROUP BY action", self.transfer
            ):
                assert times == 1, action

    def kinds(self, house: House) -> list[str]:
        query = "SELECT kind FROM statement WHERE transfer_id = ? ORDER BY position"
        return [row[0] for row in all_of(house, query, bytes.fromhex(self.transfer))]


def all_of(house: House, query: str, *values: object) -> list[tuple[Any, ...]]:
    return rows_of(house.data_dir / "node.db", query, *values)


def rows_of(path: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as db:
        return db.execute(query, values).fetchall()


def one_of(house: House, query: str, *values: object) -> Any:
    rows = all_of(house, query, *values)
    return rows[0][0] if rows else None
