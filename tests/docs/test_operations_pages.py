"""The pages about running a server list every finding and every metric, in both languages, as the code has them."""

from __future__ import annotations

import re

import click
import pytest

from directory.findings import DIRECTORY
from node.findings import NODE
from tools.list_findings import PAGES, metrics, page

from .test_quick_start import parse


@pytest.mark.parametrize("language", PAGES)
def test_the_page_is_what_the_code_says(language: str) -> None:
    assert PAGES[language].read_text(encoding="utf-8") == page(language), "run tools/list_findings.py"


@pytest.mark.parametrize("language", PAGES)
def test_every_finding_and_every_metric_is_in_the_page(language: str) -> None:
    told = PAGES[language].read_text(encoding="utf-8")
    codes = {*NODE.by_code, *DIRECTORY.by_code}
    names = [name for name, _, _ in metrics()]
    assert len(codes) > 45
    assert len(names) > 30
    for each in (*codes, *names):
        assert f"| `{each}` |" in told


def test_no_metric_has_a_label_that_could_name_somebody() -> None:
    labels = {label for _, each, _ in metrics() for label in each}
    named = {"finding", "severity", "state", "direction", "job", "version", "reason", "listener"}
    assert labels == named | {"grpc_service", "grpc_method", "grpc_code", "method"}


def test_both_pages_tell_the_same_commands_and_they_exist() -> None:
    found = {language: re.findall(r"^cordee .*$", path.read_text(), re.MULTILINE) for language, path in PAGES.items()}
    assert found["fr"] == found["en"]
    assert len(found["en"]) > 1
    for line in found["en"]:
        try:
            parse(line)
        except click.ClickException as wrong:
            pytest.fail(f"{line}: {wrong.format_message()}")
