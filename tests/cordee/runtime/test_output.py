from __future__ import annotations

import json
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from cordee.runtime.output import Output, clean, to_json

ROWS = [{"id": "a1", "state": "offered", "sections": ["health", "school"]}, {"id": "b2", "state": None, "sections": []}]


def typed(body: Any, *options: str, given: str = "") -> Result:
    @click.group()
    @click.option("--output", default="table")
    @click.option("--yes", is_flag=True)
    @click.option("--quiet", is_flag=True)
    @click.option("--lang", default="en")
    def root(**_: object) -> None:
        pass

    @root.command()
    @click.pass_context
    def part(ctx: click.Context) -> None:
        body(Output(ctx))

    return CliRunner().invoke(root, [*options, "part"], input=given)


def test_rows_are_a_plain_table_where_nobody_looks() -> None:
    lines = typed(lambda output: output.rows(ROWS, ["id", "state", "sections"])).stdout.splitlines()
    assert lines == ["id  state    sections", "a1  offered  health school", "b2  –        –"]


def test_rows_are_an_array_in_json_and_lines_in_ndjson() -> None:
    assert json.loads(typed(lambda output: output.rows(ROWS, ["id"]), "--output", "json").stdout) == ROWS
    lines = typed(lambda output: output.rows(ROWS, ["id"]), "--output", "ndjson").stdout.splitlines()
    assert [json.loads(line) for line in lines] == ROWS


def test_one_record_is_an_object_or_lines() -> None:
    assert json.loads(typed(lambda output: output.record(ROWS[0]), "--output", "json").stdout) == ROWS[0]
    shown = typed(lambda output: output.record(ROWS[0], hide=["sections"])).stdout
    assert shown == "id        a1\nstate     offered\n"


@pytest.mark.parametrize(("language", "shown"), [("fr", "oui non"), ("en", "yes no")])
def test_yes_and_no_are_said_in_the_readers_language(language: str, shown: str) -> None:
    body = lambda output: output.rows([{"a": True, "b": False}], ["a", "b"])  # noqa: E731 - it stands for a command
    lines = typed(body, "--lang", language).stdout.splitlines()
    assert lines[1].split() == shown.split()


def test_messages_go_to_stderr_and_can_be_silenced() -> None:
    loud = typed(lambda output: output.say("waiting"))
    assert (loud.stdout, loud.stderr) == ("", "waiting\n")
    assert typed(lambda output: output.say("waiting"), "--quiet").stderr == ""


def test_nobody_is_asked_where_nobody_can_answer() -> None:
    assert typed(lambda output: output.confirm("Erase?")).exit_code == 2
    assert typed(lambda output: output.confirm("Erase?"), "--yes").exit_code == 0


@pytest.mark.parametrize("mark", ["\x1b", "\x07", "\x9b", "\u202e", "\u2066", "\r"])
def test_what_comes_from_elsewhere_cannot_steer_the_terminal(mark: str) -> None:
    text = f"a{mark}b"
    assert mark not in clean(text)
    assert mark not in to_json({"name": text})
    assert json.loads(to_json({"name": text})) == {"name": text}
    assert mark not in typed(lambda output: output.rows([{"id": text}], ["id"])).stdout
