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


def test_nothing_is_written_past_the_log() -> None:
    """No `print`, no `logging` of one's own: other libraries' lines lose their text (cordee.runtime.logs)."""
    found = []
    for package in ("cordee", "node", "directory"):
        for path in (ROOT / package).rglob("*.py"):
            source = path.read_text(encoding="utf-8")
            if "import logging" in source and path.name != "logs.py":
                found.append(str(path.relative_to(ROOT)))
    assert not found
