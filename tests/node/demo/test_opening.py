from __future__ import annotations

from pathlib import Path
from typing import Any

from node.demo.opening import stay_up
from node.demo.stage import House


class Shown:
    """What was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


class Coded(House):
    """A house whose codes are counted."""

    def code(self, name: str) -> str:
        self.words.append(name)
        return f"{len(self.words):06}"


class Place:
    """A stage that stands already."""

    def __init__(self, folder: Path) -> None:
        self.password = folder / "password"
        self.password.write_text("a password for practice\n", encoding="utf-8")
        program: Any = type("Program", (), {"ready": {"pages": "http://localhost:40404/"}})()
        profile = {"display_name": "Ligne Coquelicot"}
        self.houses = {"helpline": Coded("helpline", folder, profile, program, folder)}


def stayed(folder: Path, lines: list[str]) -> list[str]:
    shown: Any = Shown()
    place: Any = Place(folder)
    stay_up(place, shown, str, lines)
    said: list[str] = shown.lines
    return said


def test_addresses_accounts_and_codes_are_told(tmp_path: Path) -> None:
    said = stayed(tmp_path, [])
    assert "Ligne Coquelicot : http://localhost:40404/" in said
    assert any("camille" in line and "a password for practice" in line for line in said)
    assert said[-1] == "Ligne Coquelicot : camille 000001, direction 000002"


def test_each_line_that_is_typed_gives_fresh_codes(tmp_path: Path) -> None:
    said = stayed(tmp_path, ["\n", "\n"])
    assert said[-1] == "Ligne Coquelicot : camille 000005, direction 000006"
    assert len([line for line in said if "direction 0" in line]) == 3
