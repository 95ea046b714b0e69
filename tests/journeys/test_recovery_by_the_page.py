"""docs/recovery.md, typed from its first command to its last: envelopes, backup, fire, a new machine; a lost key."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import shutil
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from node.demo import cases as synthetic
from node.demo.processes import CommandFailed, Program, command_line
from node.demo.stage import House, Stage, until
from tests.directory.town import profile_of
from tests.docs.test_recovery_pages import commands
from tests.terminal import sheet_typist, typed
from tests.typist import run

pytestmark = pytest.mark.journey

_PRINTER = f"""#!{sys.executable}
import os, pathlib, sys
tray = pathlib.Path(os.environ["TRAY"])
(tray / f"{{len(list(tray.iterdir()))}}.pdf").write_bytes(sys.stdin.buffer.read())
"""


class Person:
    """Somebody with the page in hand, two sheets, and the machine of an association or an administrator's."""

    def __init__(self, stage: Stage, house: House) -> None:
        self.stage, self.house = stage, house
        self.desk = stage.folder / "desk"
        (self.desk / "usb").mkdir(parents=True)
        shutil.copy(house.folder / "passphrase", self.desk / "secret")
        self.left = commands("en")
        self.sheets: list[list[str]] = []

    def next(self, *, wrong: dict[tuple[int, int], str] | None = None) -> tuple[str, dict[str, Any], str]:
        """The page's next command, as it stands there: the command, what it printed, all that was shown."""
        line = self.left.pop(0)
        words = shlex.split(line)
        environment = {
            **self.house.environment,
            "CORDEE_ADMIN_HOME": str(self.desk / "home"),
            "PATH": f"{self.printer()}:{os.environ['PATH']}",
            "TRAY": str(self.tray()),
        }
        environment.pop("CORDEE_NODE_PASSPHRASE_FILE")  # the page says it each time
        code, shown = typed(
            command_line("--lang", "en", "--output", "json", *words[1:]),
            sheet_typist(self.sheets, wrong),
            environment=environment,
            folder=self.desk,
        )
        if code:
            raise CommandFailed(words, code, shown[-2000:])
        answer = re.search(r"^\{.*?^\}", shown, re.M | re.S)
        return line, json.loads(answer[0]) if answer else {}, shown

    def printer(self) -> Path:
        folder = self.desk / "bin"
        folder.mkdir(exist_ok=True)
        (folder / "lp").write_text(_PRINTER)
        (folder / "lp").chmod(0o755)
        return folder

    def tray(self) -> Path:
        (self.desk / "tray").mkdir(exist_ok=True)
        return self.desk / "tray"

    def take_sheets(self) -> list[list[str]]:
        """The words on the paper in the tray, which is empty afterwards."""
        found = [_words(each.read_bytes()) for each in sorted(self.tray().iterdir())]
        shutil.rmtree(self.tray())
        return found


def _words(pdf: bytes) -> list[str]:
    """The numbered words of a printed sheet, as somebody reads them off."""
    pages = b"".join(zlib.decompress(each) for each in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.S))
    shown = [each.decode("windows-1252") for each in re.findall(rb"\(((?:[^()\\]|\\.)*)\) Tj", pages)]
    pairs = [(int(at), word) for at, word in itertools.pairwise(shown) if at.isdecimal() and word.isalpha()]
    return [word for _, word in sorted(pairs)]


def test_the_page_from_its_first_command_to_its_last(tmp_path: Path) -> None:
    with Stage(tmp_path / "stage", administrators=("anne",), run_command=run).open() as stage:
        stage.found()
        house = stage.house("estuaire", profile_of("Foyer de l'Estuaire", 0))
        stage.join(house)
        stage.start(house)
        record = _case(stage, house)
        person = Person(stage, house)

        line, told, _ = person.next()
        assert line.startswith("cordee node recovery-kit --print")
        sheets = person.take_sheets()
        assert [len(each) for each in sheets] == [20, 20, 20]
        assert (told["needed"], told["sheets"], told["files"]) == (2, 3, [])

        person.sheets = [sheets[2], sheets[0]]
        off_list = "zzzzz"
        of_the_list = "academic" if sheets[0][10] != "academic" else "acid"
        _, told, shown = person.next(wrong={(1, 4): off_list, (2, 11): of_the_list})
        assert (told["tried"], told["cases"], told["people"]) == ([1, 3], 1, 2)
        assert "Sheet 1, word 4: it is not on the list of words" in shown
        assert "Sheet 2, word 11: it does not go with the other words" in shown

        _, told, _ = person.next()  # the weekly backup
        assert told["missing"] == 0
        person.sheets = sheets[:2]
        assert person.next()[1]["people"] == 3  # the yearly rehearsal
        assert person.next()[1]["kit"]["set_up"] is True

        _fire(house)
        (person.desk / "secret").write_text("une phrase de passe pour la nouvelle machine\n")
        person.sheets = [sheets[1], sheets[2]]
        line, told, _ = person.next()
        assert line.startswith("cordee node restore")
        assert (told["cases"], told["accounts"]) == (1, 2)
        line = person.left.pop(0)
        assert line.startswith("cordee node serve")
        _serve(person, shlex.split(line))
        assert until(lambda: house.command("node", "status")["connected"], what="the network")
        assert person.next()[1]["kit"]["people"] == 3
        stage.sign_in(house)
        assert house.command("case", "show", record["meta"]["case_id"])["case"]["identity"] == record["identity"]
        assert person.next()[1]["file"] == "usb/cordee.backup"

        office = stage.folder / "office"
        shutil.copy(office / "anne", person.desk / "anne.key")
        shutil.copy(office / "anne.pub", person.desk / "anne.key.pub")
        shutil.copy(stage.passphrase, person.desk / "secret")
        words = person.stage.office("admin", "key", "show", str(office / "anne.pub"))["words"]
        person.next()
        sheets = person.take_sheets()
        assert [len(each) for each in sheets] == [59, 59, 59]
        person.sheets = sheets[1:]
        assert person.next()[1]["people"] == 2
        for each in person.desk.glob("anne.key*"):
            each.unlink()
        person.sheets = [sheets[2], sheets[0]]
        assert person.next()[1]["words"] == words
        assert person.next()[1]["words"] == words
        assert person.left == []
        (office / "anne").unlink()
        shutil.copy(person.desk / "anne.key", office / "anne")
        stage.office("admin", "suspend", house.member, who="anne")  # it signs as the lost one did
        assert stage.office("admin", "members", who="anne")[0]["state"] == "suspended"


def _case(stage: Stage, house: House) -> dict[str, Any]:
    from datetime import UTC, datetime

    record = synthetic.cases(now=datetime.now(UTC), owner=house.profile["org_id"], random=os.urandom)[0]
    path = stage.folder / "case.json"
    path.write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")
    house.command("case", "new", str(path))
    return record


def _fire(house: House) -> None:
    """The machine is gone, with all that was on it."""
    house.program.kill()
    shutil.rmtree(house.data_dir)


def _serve(person: Person, words: list[str]) -> None:
    old = person.house.program
    secret = str(person.desk / "secret")
    arguments = tuple(secret if each == "secret" else each for each in words[1:])
    shutil.copy(secret, person.house.folder / "passphrase")
    person.house.program = Program(old.name, arguments, old.environment, old.log)
    person.house.program.start()
