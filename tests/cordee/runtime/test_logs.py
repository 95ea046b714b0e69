from __future__ import annotations

import contextlib
import importlib
import io
import json
import logging
import string
import subprocess
import sys
from collections.abc import Iterable, Iterator

import grpc
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cordee.ids import MemberId, TransferId
from cordee.runtime import logs
from cordee.runtime.interceptors import Finished
from cordee.runtime.logs import FIELDS, CallLog, configure, logger
from cordee.transfer import Kind, State
from cordee.v1.statements_pb2 import Offer

PLANTED = "Lina Haddad, 14 ans"


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    stream = io.StringIO()
    configure(stream=stream)
    yield stream
    configure()
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_has_a_time_a_level_and_its_fields(written: io.StringIO) -> None:
    logger("node.outbox").warning("outbox.waits", transfer=TransferId(bytes(16)).short, count=3, reason="UNREACHABLE")
    (line,) = lines(written)
    assert line.pop("time")
    assert line == {
        "level": "warning",
        "logger": "node.outbox",
        "event": "outbox.waits",
        "transfer": "00000000",
        "count": 3,
        "reason": "UNREACHABLE",
    }


@pytest.mark.parametrize("field", [*sorted(FIELDS), "pseudonym", "exc_info", "stack_info", "_record", "level", "time"])
@pytest.mark.parametrize("value", [PLANTED, [PLANTED], {"name": PLANTED}, PLANTED.encode(), ValueError(PLANTED)])
def test_a_planted_text_leaves_no_trace_in_any_field(written: io.StringIO, field: str, value: object) -> None:
    logger("node").error("something.happened", **{field: value})
    logger("node").bind(**{field: value}).error("something.happened")
    assert "Lina" not in written.getvalue()
    assert [line["dropped"] for line in lines(written)] == [1, 1]


@pytest.mark.parametrize("event", [PLANTED, "Lina", f"case.read {PLANTED}", "", None])
def test_a_planted_text_leaves_no_trace_as_an_event(written: io.StringIO, event: str) -> None:
    logger("node").error(event)
    assert "Lina" not in written.getvalue()
    assert lines(written)[0]["event"] == "unnamed"


@pytest.mark.parametrize(
    ("name", "told"), [("grpc.aio.Lina", "grpc.aio"), ("uvicorn.error", "uvicorn"), ("Lina", ""), ("root", "root")]
)
def test_of_another_librarys_logger_the_module_is_told(written: io.StringIO, name: str, told: str) -> None:
    importlib.import_module("uvicorn")
    logging.getLogger(None if name == "root" else name).error("a message")
    (line,) = lines(written)
    assert line.get("module", "") == told
    assert "Lina" not in written.getvalue()


def test_an_exception_being_handled_leaves_no_trace(written: io.StringIO) -> None:
    try:
        raise ValueError(PLANTED)
    except ValueError:
        logger("node").exception("something.failed")
        logger("node").error("something.failed", exc_info=True)
    assert "Lina" not in written.getvalue()
    assert [line["reason"] for line in lines(written)] == ["ValueError", "ValueError"]


def test_other_libraries_messages_are_not_repeated(written: io.StringIO) -> None:
    try:
        raise KeyError(PLANTED)
    except KeyError:
        logging.getLogger("grpc.aio").exception("request was %s", PLANTED, extra={"case": PLANTED})
    logging.getLogger("sqlalchemy.engine").info(PLANTED)
    assert "Lina" not in written.getvalue()
    (line,) = lines(written)
    assert (line["module"], line["reason"], line["level"]) == ("grpc.aio", "KeyError", "error")


@given(st.text())
def test_no_free_text_passes_any_field(text: str) -> None:
    for free in (f"{text} {text} é", f"Lina {text}"):
        assert not [field for field, allowed in FIELDS.items() if allowed(free)]


@given(st.text(alphabet=string.ascii_letters + "_", max_size=40))
@example("")
def test_no_lone_word_passes_any_field_unless_it_stands_in_the_code(text: str) -> None:
    """A first name has the form of a state, of a class, of a code: the form alone tells nothing."""
    word = f"Lina{text}"
    for lone in (word, word.lower(), word.upper(), f"cordee.v1.{word}", f"{word}.{word}", f"{word} broker.py:12"):
        assert not [field for field, allowed in FIELDS.items() if allowed(lone)]


def test_each_word_of_the_code_passes_its_field() -> None:
    class NeverRaised(Exception):
        """Of a module that came after the first line was written."""

    words: dict[str, Iterable[str]] = {
        "reason": ("UNREACHABLE", "NOT_IN_THIS_STATE", "CORDEE_ERROR", "ValueError", "UserWarning", "NeverRaised"),
        "code": [each.name for each in grpc.StatusCode],
        "state": [each.value for each in State],
        "statement": list(Kind),
        "entry": ("Genesis", "MemberAdmitted"),
        "kind": [str(Kind.RECEIPT_TAKEN), Offer.DESCRIPTOR.full_name],
        "module": ("grpc.aio", "asyncio", "py.warnings", "root"),
        "fault": ("ValueError broker.py:12", "NeverRaised cygrpc.pyx:1"),
    }
    assert not [(field, word) for field, many in words.items() for word in many if not FIELDS[field](word)]


UNCAUGHT = f"""
import sys, threading, warnings
from cordee.runtime import logs
logs.configure()
logs.take_over()
class Left:
    def __del__(self):
        raise KeyError("{PLANTED}")
def fails():
    raise ValueError("{PLANTED}")
thread = threading.Thread(target=fails, name="{PLANTED}")
thread.start()
thread.join()
Left()
warnings.warn("{PLANTED}")
"""


def test_what_nobody_catches_in_a_servers_process_leaves_no_text() -> None:
    done = subprocess.run([sys.executable, "-c", UNCAUGHT], capture_output=True, text=True, timeout=60, check=True)
    assert "Lina" not in done.stderr + done.stdout
    told = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["event"], line["reason"]) for line in told] == [
        ("python.uncaught", "ValueError"),
        ("python.unraisable", "KeyError"),
        ("python.warning", "UserWarning"),
    ]


def test_the_level_can_be_chosen(written: io.StringIO) -> None:
    log = logger("node")
    configure(level="warning", stream=written)
    log.info("not.told")
    log.warning("told")
    assert [line["event"] for line in lines(written)] == ["told"]


def test_a_logger_has_a_plain_name() -> None:
    with pytest.raises(ValueError, match="not the name"):
        logger("Lina Haddad")


def test_a_call_is_one_line(written: io.StringIO) -> None:
    log = CallLog()
    log.started("/cordee.v1.Broker/Submit")
    log.finished(Finished("/cordee.v1.Broker/Submit", "ABORTED", "NOT_IN_THIS_STATE", 0.01234, MemberId(bytes(16))))
    log.finished(Finished("/cordee.v1.Broker/Submit", "INTERNAL", "", 0.1, None, "ValueError broker.py:12"))
    done, failed = lines(written)
    for line in (done, failed):
        line.pop("time")
    assert done == {
        "level": "info",
        "logger": "rpc",
        "event": "rpc.done",
        "method": "/cordee.v1.Broker/Submit",
        "code": "ABORTED",
        "ms": 12.3,
        "member": "00000000",
        "reason": "NOT_IN_THIS_STATE",
    }
    assert failed["level"] == "error"
    assert failed["fault"] == "ValueError broker.py:12"
    assert "dropped" not in failed


def test_without_being_configured_the_same_rules_hold(capsys: pytest.CaptureFixture[str]) -> None:
    assert logs._sink.stream is None
    logger("node").error("told", name=PLANTED)
    assert "Lina" not in capsys.readouterr().err


def test_a_line_that_finds_no_room_is_lost_and_nothing_else(written: io.StringIO) -> None:
    full = open("/dev/full", "w", encoding="ascii")  # noqa: SIM115  # its end fails as each line does
    with pytest.raises(OSError, match="No space left"):
        print("to see that it is full", file=full, flush=True)
    configure(stream=full)
    logger("node.outbox").error("outbox.waits", reason="STORAGE_FULL")
    CallLog().finished(Finished("/cordee.v1.Broker/Submit", "OK", "", 0.1, None))
    logging.getLogger("another").warning("a library's own message")
    configure(stream=written)
    logger("node.outbox").info("outbox.went")
    assert [each["event"] for each in lines(written)] == ["outbox.went"]
    with contextlib.suppress(OSError):
        full.close()
