"""`--dry-run` does nothing: a command that cannot rehearse refuses it before it does anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from cordee.runtime.command import root

WORDS = "This command has no dry run; nothing was done."


@pytest.mark.parametrize(
    "arguments",
    [
        ("case", "erase", "6d9f8f0e-0000-4000-8000-000000000000"),
        ("transfer", "withdraw", "ab" * 16),
        ("transfer", "accept", "ab" * 16),
        ("consent", "withdraw", "6d9f8f0e-0000-4000-8000-000000000000", "--by-role", "minor"),
    ],
)
def test_a_command_on_a_node_without_rehearsal_refuses_a_dry_run(arguments: tuple[str, ...], tmp_path: Path) -> None:
    environment = {"CORDEE_NODE_SOCKET": str(tmp_path / "nobody"), "CORDEE_SESSION_FILE": str(tmp_path / "session")}
    done = CliRunner().invoke(root, ["--lang", "en", "--dry-run", *arguments], env=environment)
    assert done.exit_code == 2
    assert WORDS in done.output


def test_a_directory_is_not_made_in_a_dry_run(tmp_path: Path) -> None:
    folder = tmp_path / "directory"
    arguments = ["--lang", "en", "--dry-run", "directory", "init", "--data-dir", str(folder), "--name", "example.org"]
    done = CliRunner().invoke(root, arguments)
    assert done.exit_code == 2
    assert WORDS in done.output
    assert not folder.exists()
