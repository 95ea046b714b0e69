"""The pages about recovery tell commands that exist, the same in both languages. A journey types them all."""

from __future__ import annotations

import re

import click
import pytest

from .test_quick_start import ROOT, parse

PAGES = {"en": ROOT / "docs/recovery.md", "fr": ROOT / "docs/fr/recuperation.md"}


def commands(language: str) -> list[str]:
    """Those in shell blocks, also in a list's."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGES[language].read_text(encoding="utf-8"), re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


def mentioned(language: str) -> list[str]:
    outside = re.sub(r"```.*?```", "", PAGES[language].read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.findall(r"`(cordee [^`]+)`", outside.replace("\n", " "))


@pytest.mark.parametrize("language", PAGES)
def test_every_command_exists_with_these_options(language: str) -> None:
    assert len(commands(language)) > 10
    for line in [*commands(language), *mentioned(language)]:
        try:
            parse(line)
        except click.MissingParameter:
            assert line in mentioned(language), line
        except click.ClickException as wrong:
            pytest.fail(f"{line}: {wrong.format_message()}")


def test_both_pages_tell_the_same_commands_in_the_same_order() -> None:
    assert commands("fr") == commands("en")
    assert mentioned("fr") == mentioned("en")
