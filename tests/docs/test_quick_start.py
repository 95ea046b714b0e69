"""What the quick-start pages tell people to type exists, with these options; their example files can be used."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import pytest

from cordee.act import RecipientFacts, decide, parse_act
from cordee.case import minimise, parse_case
from cordee.members import registration_digest
from cordee.profile import Profile
from cordee.runtime.command import root

ROOT = Path(__file__).resolve().parents[2]
PAGES = {"en": ROOT / "docs/quick-start.md", "fr": ROOT / "docs/fr/demarrage.md"}
EXAMPLES = ROOT / "docs" / "examples"


def typed(page: Path) -> list[str]:
    """Every command of ours in a page's shell blocks."""
    return [line for line in shell(page) if line.startswith("cordee ")]


def mentioned(page: Path) -> list[str]:
    """Every command of ours within the text, where required options may be left out."""
    outside = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.findall(r"`(cordee [^`]+)`", outside.replace("\n", " "))


def shell(page: Path) -> list[str]:
    """The lines of the shell blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def parse(line: str) -> str:
    """Let click parse one line, down to the last subcommand; nothing is run. Returns the command's path."""
    words = shlex.split(line)[1:]
    command: click.Command = root
    context: click.Context | None = None
    name = "cordee"
    while True:
        context = command.make_context(name, words, parent=context)
        if not isinstance(command, click.Group):
            return context.command_path
        rest = [*context._protected_args, *context.args]
        if not rest:
            return context.command_path
        found, subcommand, words = command.resolve_command(context, rest)
        assert subcommand is not None
        name, command = str(found), subcommand


@pytest.fixture(autouse=True)
def folder_with_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a command asks for a file that exists."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log.bin").write_bytes(b"")


@pytest.mark.parametrize("language", PAGES)
def test_every_command_to_be_typed_exists_with_these_options(language: str) -> None:
    found = typed(PAGES[language])
    assert len(found) > 30
    for line in found:
        try:
            parse(line)
        except click.exceptions.Exit:
            assert "--version" in line
        except click.ClickException as wrong:
            pytest.fail(f"{line}: {wrong.format_message()}")


def require_commands(mentioned: Sequence[str]) -> None:
    """Each names a command and options that exist; in a sentence what it is given may be left out."""
    for line in mentioned:
        try:
            parse(line)
        except click.MissingParameter:
            continue
        except click.ClickException as wrong:
            pytest.fail(f"{line}: {wrong.format_message()}")


@pytest.mark.parametrize("language", PAGES)
def test_every_command_mentioned_exists(language: str) -> None:
    found = mentioned(PAGES[language])
    assert len(found) > 5
    require_commands(found)


def test_an_option_that_does_not_exist_is_found_out() -> None:
    with pytest.raises(click.NoSuchOption):
        parse("cordee node join invitation.json --profil profile.json --passphrase-file p")
    with pytest.raises(click.UsageError):
        parse("cordee transfer receive TRANSFER")


def test_both_pages_tell_the_same_commands_in_the_same_order() -> None:
    assert shell(PAGES["fr"]) == shell(PAGES["en"])


# ---- the example files ----


def example(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((EXAMPLES / name).read_text(encoding="utf-8"))
    return loaded


def test_the_example_profile_can_be_used() -> None:
    profile = example("profile.json")
    parsed = Profile.parse(json.dumps(profile).encode(), registration_digest(profile["legal_name"], profile["siret"]))
    assert parsed.org_id == profile["org_id"]


def test_the_example_case_may_leave_under_the_example_act() -> None:
    case, act = parse_case((EXAMPLES / "case.json").read_bytes()), parse_act((EXAMPLES / "act.json").read_bytes())
    recipient = RecipientFacts(
        org_id=example("act.json")["recipients"][0]["org_id"],
        active=True,
        card_valid=True,
        bound_by_secrecy=True,
        categories=frozenset(),
        departement="13",
    )
    decision = decide(
        act=act,
        acts_on_record=[],
        case=case,
        purpose="specialised_support",
        recipient=recipient,
        now=datetime.fromisoformat("2026-11-24T10:00:00+01:00"),
    )
    assert decision.allowed
    package = minimise(case, purpose="specialised_support", act=act)
    assert {"identity", "situation", "risk"} <= set(package)
