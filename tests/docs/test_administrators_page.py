"""What the guide for a network's office tells people to type exists, in both languages; no alarm is left out."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import click
import pytest

from cordee import errors
from tests.docs.test_quick_start import ROOT, mentioned, parse, require_commands

PAGES = {"en": ROOT / "docs/administrators.md", "fr": ROOT / "docs/fr/administrateurs.md"}
FILES = (
    "paris.evidence",
    "marseille.evidence",
    "log-next.pub",
    "ca-next.der",
    "log.bin",
    "genesis.json",
    "dora.key.pub",
    "proof.bin",
)


@pytest.fixture(autouse=True)
def folder_with_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a command asks for a file that exists, and the key that the guide names once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CORDEE_ADMIN_KEY", str(tmp_path / "anne.key"))
    (tmp_path / "report").mkdir()
    for name in FILES:
        (tmp_path / name).write_bytes(b"")


@pytest.mark.parametrize("language", PAGES)
def test_every_command_to_be_typed_exists_with_these_options(language: str) -> None:
    found = typed(PAGES[language])
    assert len(found) > 30
    for line in found:
        try:
            parse(line)
        except click.ClickException as wrong:
            pytest.fail(f"{line}: {wrong.format_message()}")


@pytest.mark.parametrize("language", PAGES)
def test_every_command_mentioned_exists(language: str) -> None:
    found = mentioned(PAGES[language])
    assert len(found) > 8
    require_commands(found)


def shell(page: Path) -> list[str]:
    """The lines of the shell blocks, also of those within lists."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


def typed(page: Path) -> list[str]:
    """Every command of ours in them."""
    return [line for line in shell(page) if line.startswith("cordee ")]


def plain(line: str) -> str:
    """Without what differs between languages: names and sentences between quotes."""
    return re.sub(r'"[^"]*"', '"…"', line)


def test_both_pages_tell_the_same_commands_in_the_same_order() -> None:
    assert [plain(each) for each in shell(PAGES["fr"])] == [plain(each) for each in shell(PAGES["en"])]


def test_every_administrators_command_stands_in_the_guide() -> None:
    """Whoever adds a command says in the guide what it is for."""
    from directory.cli.admin import group

    told = " ".join([*typed(PAGES["en"]), *mentioned(PAGES["en"])])
    assert {name for name in group.commands if f"cordee admin {name}" not in told} <= {"members", "words"}


@pytest.mark.parametrize("language", PAGES)
def test_each_alarm_in_the_table_is_one_and_says_what_to_do(language: str) -> None:
    rows = re.findall(r"^\| (`[A-Z_`, ]+`) \| .+ \| .+ \|$", PAGES[language].read_text(encoding="utf-8"), re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"[A-Z_]+", row)}
    refusals = {each.reason for _, each in inspect.getmembers(errors, inspect.isclass) if hasattr(each, "reason")}
    names = ("ROSTER_", "CHECKPOINT_", "SPLIT_", "LOG_BEHIND")
    about_the_roster = {each for each in refusals if each.startswith(names)} - {"ROSTER_BEHIND"}  # which heals itself
    assert told <= refusals
    assert about_the_roster <= told


def test_the_guide_is_in_both_languages_heading_by_heading() -> None:
    levels = {
        language: [
            line.split(" ", 1)[0] for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("#")
        ]
        for language, page in PAGES.items()
    }
    assert levels["fr"] == levels["en"]
    assert len(levels["en"]) > 12
