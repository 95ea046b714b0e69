"""Every place in the code that writes a log line: its event is a name, its fields are on the list, its values are not
free text. What a value may look like is enforced when it is written (tests/cordee/runtime/test_logs.py).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from cordee.runtime.logs import FIELDS

ROOT = Path(__file__).resolve().parents[1]
_LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
_EVENT = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*")


def calls(source: str) -> Iterator[ast.Call]:
    """`log.warning(…)` and `self._log.error(…)`."""
    for each in ast.walk(ast.parse(source)):
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr in _LEVELS:
            of = each.func.value
            name = of.id if isinstance(of, ast.Name) else of.attr if isinstance(of, ast.Attribute) else ""
            if name.strip("_") == "log":
                yield each


def wrong_with(call: ast.Call) -> str:
    """What of a call is not as it must be; empty where nothing is."""
    first = call.args[0] if len(call.args) == 1 else None
    for event in (first.body, first.orelse) if isinstance(first, ast.IfExp) else (first,):
        if not isinstance(event, ast.Constant) or not isinstance(event.value, str):
            return "the event is no constant"
        if not _EVENT.fullmatch(event.value):
            return f"{event.value} is no event"
    for field in call.keywords:
        if field.arg is None:
            if not (isinstance(field.value, ast.Name) and field.value.id == "fields"):
                return "fields that cannot be read here"
        elif field.arg not in FIELDS:
            return f"{field.arg} is on no list"
        elif isinstance(field.value, ast.JoinedStr):
            return f"{field.arg} is put together"
        elif any(isinstance(each, ast.Call) and _name(each) in ("repr", "format") for each in ast.walk(field.value)):
            return f"{field.arg} is a text of an object"
    return ""


def _name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def test_every_log_call_has_an_event_and_fields_from_the_list() -> None:
    found = {}
    count = 0
    for package in ("cordee", "node", "directory"):
        for path in (ROOT / package).rglob("*.py"):
            for call in calls(path.read_text(encoding="utf-8")):
                count += 1
                if wrong := wrong_with(call):
                    found[f"{path.relative_to(ROOT)}:{call.lineno}"] = wrong
    assert not found
    assert count > 60, "the calls are found"


def test_a_call_that_tells_too_much_is_found() -> None:
    told = {
        'log.info("case.read", pseudonym=case.pseudonym)': "pseudonym is on no list",
        'log.info(f"case {name}")': "the event is no constant",
        'self._log.error("x.failed", reason=f"{error}")': "reason is put together",
        'log.error("x.failed", reason=repr(error))': "reason is a text of an object",
        'log.error("Something failed")': "Something failed is no event",
        'log.error("x.failed", **facts)': "fields that cannot be read here",
        'log.info("x.done", count=3)': "",
    }
    for source, wrong in told.items():
        (call,) = calls(source)
        assert wrong_with(call) == wrong


_BESIDE = {
    "cordee/runtime/logs.py": "the log itself",
    "cordee/runtime/lean.py": "structlog for the log",
    "cordee/runtime/output.py": "answers of commands",
    "node/cli/demo.py": "the demonstration's own cases",
    "node/cli/progress.py": "whether somebody looks on",
    "node/demo/telling.py": "the demonstration's own cases",
}
"""Who may write to a terminal, or log in another way, and why."""


def past_the_log(source: str) -> set[str]:
    """By what a module could write a text of its own to where the log goes."""
    found = set()
    for each in ast.walk(ast.parse(source)):
        if isinstance(each, ast.Import | ast.ImportFrom):
            modules = [each.module or ""] if isinstance(each, ast.ImportFrom) else [name.name for name in each.names]
            found |= {name for name in modules if name.partition(".")[0] in ("logging", "structlog", "warnings")}
        elif isinstance(each, ast.Call) and isinstance(each.func, ast.Name) and each.func.id == "print":
            found.add("print")
        elif isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute):
            if each.func.attr in ("print", "print_exception", "print_exc", "print_stack"):
                found.add(each.func.attr)
        elif isinstance(each, ast.Attribute) and each.attr in ("stderr", "__stderr__"):
            of = each.value
            if isinstance(of, ast.Name) and of.id == "sys":
                found.add("sys.stderr")
    return found


def test_nothing_is_written_past_the_log() -> None:
    """No `print`, no `logging` of one's own: other libraries' lines lose their text (cordee.runtime.logs)."""
    found = {}
    for package in ("cordee", "node", "directory"):
        for path in (ROOT / package).rglob("*.py"):
            name = str(path.relative_to(ROOT))
            if name.startswith("cordee/v1/"):
                continue  # generated, and written by nobody
            if ways := past_the_log(path.read_text(encoding="utf-8")):
                found[name] = ways
    assert not {name: ways for name, ways in found.items() if name not in _BESIDE}
    assert found.keys() >= _BESIDE.keys(), "whoever needs no leave any more has none"


def test_what_is_written_past_the_log_is_found() -> None:
    for source in (
        "print(name)",
        "import sys\nprint(name, file=sys.stderr)",
        "import sys\nsys.stderr.write(name)",
        "import logging",
        "from logging import getLogger",
        "from structlog import get_logger",
        "import traceback\ntraceback.print_exc()",
        "console.print(name)",
        "import warnings\nwarnings.warn(name)",
    ):
        assert past_the_log(source), source
    assert not past_the_log("log.info('case.read', count=3)\nsubprocess.run(stderr=None)")
