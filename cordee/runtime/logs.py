"""Logs are events with fields: JSON lines, and only fields on the list below, of the form that stands there.

A name, an address or a text from a case has no way into a log: not through a field that nobody allowed, not through
a value of another form, not through another library's message, of which only the library's name and level are kept.
Where one lone word could be a value, it must be one that stands in the code: a first name has the form of a state.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any, TextIO

import grpc

from cordee.errors import CordeeError, by_reason
from cordee.runtime.clock import SystemClock
from cordee.runtime.interceptors import Finished
from cordee.runtime.lean import structlog

__all__ = ["FIELDS", "LEVELS", "CallLog", "configure", "logger", "take_over"]

LEVELS: Mapping[str, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}


def _form(pattern: str) -> Callable[[object], bool]:
    compiled = re.compile(pattern)
    return lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _one_of(words: Callable[[], frozenset[str]]) -> Callable[[object], bool]:
    known = functools.cache(words)  # asked at the first line that needs it: what it imports is not always wanted
    return lambda value: isinstance(value, str) and value in known()


def _states() -> frozenset[str]:
    from cordee.transfer import State

    return frozenset(State)


def _statements() -> frozenset[str]:
    from cordee.transfer import Kind

    return frozenset(Kind)


def _entries() -> frozenset[str]:
    from cordee.v1 import statements_pb2

    return frozenset(statements_pb2.DESCRIPTOR.message_types_by_name)


def _kinds() -> frozenset[str]:
    return _statements() | {f"cordee.v1.{each}" for each in _entries()}


_exceptions: set[str] = set()


def _reason(value: object) -> bool:
    """A reason code, or the class of an exception that some module defines."""
    if not isinstance(value, str):
        return False
    if value == CordeeError.reason or by_reason(value) is not None:
        return True
    if value not in _exceptions:  # a module may have come since
        _exceptions.update(each.__name__ for each in _below(BaseException))
    return value in _exceptions


def _below(kind: type[BaseException]) -> Iterator[type[BaseException]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _below(each)


def _fault(value: object) -> bool:
    return _PLACE(value) and _reason(str(value).partition(" ")[0])


def _module(value: object) -> bool:
    return isinstance(value, str) and (value in _OF_LOGGING or value in sys.modules)


def _module_of(name: str) -> str:
    """The module that a library's logger stands for: it has the module's name, or one below."""
    while name and not _module(name):
        name = name.rpartition(".")[0]
    return name


_PLACE = _form(r"[A-Za-z]{1,64} [A-Za-z0-9_]{0,64}\.pyx?:[0-9]{1,6}")
_OF_LOGGING = frozenset({"root", "py.warnings"})  # names of loggers that are no modules
_id = _form(r"[0-9a-f]{8}")

FIELDS: Mapping[str, Callable[[object], bool]] = {
    "transfer": _id,  # short: the first four bytes
    "member": _id,
    "reason": _reason,
    "code": _one_of(lambda: frozenset(grpc.StatusCode.__members__)),
    "method": _form(r"/[A-Za-z0-9_.]{1,80}/[A-Za-z]{1,40}"),
    "fault": _fault,
    "state": _one_of(_states),
    "statement": _one_of(_statements),
    "entry": _one_of(_entries),
    "kind": _one_of(_kinds),
    "module": _module,
    "address": _form(r"[0-9a-f.:\[\]]{3,45}:[0-9]{1,5}"),
    "bytes": _number,
    "cards": _number,
    "count": _number,
    "entries": _number,
    "index": _number,
    "ms": _number,
    "number": _number,
    "port": _number,
    "revision": _number,
    "seconds": _number,
    "sequence": _number,
    "size": _number,
    "statements": _number,
}

_EVENT = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*")
_LOGGER = re.compile(r"[a-z][a-z0-9_.]{0,63}")


class _Sink:
    """Where lines go. One for the process, as standard error is."""

    def __init__(self) -> None:
        self.level = LEVELS["info"]
        self.stream: TextIO | None = None

    def write(self, line: str) -> None:
        """Or lose it: a disk without room for the log must not end what is being logged."""
        stream = self.stream or sys.stderr
        with contextlib.suppress(OSError):
            stream.write(line + "\n")
            stream.flush()

    debug = info = warning = error = exception = critical = write


_sink = _Sink()


def logger(name: str) -> Any:
    """A structlog logger: `logger("node.outbox").info("outbox.waits", transfer=transfer_id.short)`."""
    if not _LOGGER.fullmatch(name):
        raise ValueError(f"not the name of a logger: {name}")
    return structlog.wrap_logger(
        _sink,
        processors=[_by_level, _allow, _render],
        wrapper_class=structlog.BoundLogger,
        context_class=dict,
        source=name,
    )


def configure(*, level: str = "info", stream: TextIO | None = None) -> None:
    """Set the level and the stream (standard error unless told) and take over what other libraries log."""
    _sink.level = LEVELS[level]
    _sink.stream = stream
    root = logging.getLogger()
    root.handlers[:] = [_Foreign()]
    root.setLevel(logging.WARNING)


def take_over() -> None:
    """In a server's process: of an exception that nobody caught in a thread or in a destructor, and of a warning,
    Python prints the text, and that may be what somebody wrote. A line without it stands for it.
    """
    threading.excepthook = lambda lost: _lost("python.uncaught", lost.exc_type)
    sys.unraisablehook = lambda lost: _lost("python.unraisable", lost.exc_type)
    warnings.showwarning = lambda message, category, *_, **__: _lost("python.warning", category)


def _lost(event: str, kind: type[BaseException] | None) -> None:
    logger("python").error(event, reason=getattr(kind, "__name__", ""))


class CallLog:
    """An observer of calls: one line for each, with nothing of what was asked or answered."""

    def __init__(self) -> None:
        self._log = logger("rpc")

    def started(self, method: str) -> None:
        """Nothing: the line is written at the end."""

    def finished(self, call: Finished) -> None:
        """Write the line; a fault of ours is an error."""
        if _sink.level > LEVELS["info"] and not call.fault:
            return
        fields: dict[str, object] = {"method": call.method, "code": call.code, "ms": round(call.seconds * 1000, 1)}
        if call.member is not None:
            fields["member"] = call.member.short
        if call.reason:
            fields["reason"] = call.reason
        if call.fault:
            self._log.error("rpc.failed", fault=call.fault, **fields)
        else:
            self._log.info("rpc.done", **fields)


class _Foreign(logging.Handler):
    """Other libraries' messages may hold anything: only where they come from is kept."""

    def emit(self, record: logging.LogRecord) -> None:
        level = "error" if record.levelno >= logging.ERROR else "warning"
        fields: dict[str, object] = {"module": _module_of(record.name)}
        if record.exc_info and record.exc_info[0] is not None:
            fields["reason"] = record.exc_info[0].__name__
        getattr(logger("library"), level)("library.message", **fields)


def _by_level(_: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if LEVELS.get(method, 50) < _sink.level:
        raise structlog.DropEvent
    return event


def _allow(_: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Keep what is on the list and of its form. How many fields were dropped is told, so that it can be mended."""
    name = event.pop("event", None)
    source = event.pop("source", "")
    kept: dict[str, Any] = {
        "time": SystemClock().now().isoformat(timespec="milliseconds"),
        "level": "error" if method == "exception" else method,
        "logger": source,
        "event": name if isinstance(name, str) and _EVENT.fullmatch(name) else "unnamed",
    }
    if method == "exception" or event.get("exc_info") is True:  # the class of what is being handled, never its text
        event.pop("exc_info", None)
        event.setdefault("reason", getattr(sys.exc_info()[0], "__name__", ""))
    dropped = 0
    for field, value in event.items():
        allowed = FIELDS.get(field)
        if allowed is not None and allowed(value):
            kept[field] = value
        else:
            dropped += 1
    if dropped:
        kept["dropped"] = dropped
    return kept


def _render(_: object, __: str, event: MutableMapping[str, Any]) -> str:
    return json.dumps(event)
