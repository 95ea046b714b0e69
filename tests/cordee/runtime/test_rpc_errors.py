from __future__ import annotations

from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from cordee import errors
from cordee.errors import Problem
from cordee.runtime.rpc_errors import from_rpc_error, reaching, to_status
from cordee.runtime.texts import problems

REASONS = sorted(errors._REASONS)


def over_the_wire(status: Any) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(
        status.code, grpc.aio.Metadata(), grpc.aio.Metadata(*status.trailing_metadata), status.details
    )


@pytest.mark.parametrize("reason", REASONS)
def test_every_error_comes_back_as_itself_with_its_facts(reason: str) -> None:
    error = errors._REASONS[reason](what="offer", section="health", size=12)
    again = from_rpc_error(over_the_wire(to_status(error)))
    assert type(again) is type(error)
    assert again.facts == {"what": "offer", "section": "health", "size": "12"}
    assert str(again) == str(error)


def test_invalid_input_also_tells_the_field_the_usual_way() -> None:
    status = to_status(errors.InvalidInput(field="statement.body", problem="empty"))
    details = status_pb2.Status.FromString(status.trailing_metadata[0][1]).details
    bad = error_details_pb2.BadRequest()
    assert details[1].Unpack(bad)
    assert [(v.field, v.description) for v in bad.field_violations] == [("statement.body", "empty")]


def test_a_violation_is_told_in_full_for_readers_that_know_no_facts() -> None:
    status = to_status(errors.InvalidInput(field="name", problem="it has more than {limit} characters", limit=64))
    bad = error_details_pb2.BadRequest()
    assert status_pb2.Status.FromString(status.trailing_metadata[0][1]).details[1].Unpack(bad)
    assert bad.field_violations[0].description == "it has more than 64 characters"


def test_every_problem_of_a_record_comes_back_with_its_facts() -> None:
    given = [
        Problem.of("status", "must be one of {options}", options="open, closed"),
        Problem.of("family[0].role", "missing"),
        Problem.of("{file}: {place}", "must be at most {limit}", file="a.json", place="age", limit=25),
    ]
    again = from_rpc_error(over_the_wire(to_status(errors.InvalidRecord(problems=given))))
    assert isinstance(again, errors.InvalidRecord)
    assert again.facts == {"path": "status", "problem": "must be one of {options}", "options": "open, closed"}
    assert list(again.problems) == given
    assert str(again) == "INVALID_RECORD: status: must be one of open, closed."


def test_one_problem_given_as_facts_comes_back_as_a_problem_too() -> None:
    error = errors.InvalidRecord(path="the act", problem="longer than {limit} bytes", limit=100)
    again = from_rpc_error(over_the_wire(to_status(error)))
    assert isinstance(again, errors.InvalidRecord)
    assert again.problems == error.problems == (Problem.of("the act", "longer than {limit} bytes", limit=100),)
    assert again.facts == error.facts


def test_of_many_problems_twenty_travel_and_long_ones_fewer() -> None:
    def travelled(given: list[Problem]) -> tuple[Problem, ...]:
        status = to_status(errors.InvalidRecord(problems=given))
        assert len(status.trailing_metadata[0][1]) < 6000
        again = from_rpc_error(over_the_wire(status))
        assert isinstance(again, errors.InvalidRecord)
        return again.problems

    short = [Problem.of(f"notes[{at}].text", "must have at most {limit} character(s)", limit=4000) for at in range(50)]
    assert list(travelled(short)) == short[:20]
    long = [Problem.of("é" * 500, "é" * 500, **{f"f{name}": "é" * 500 for name in range(30)}) for _ in range(50)]
    assert 1 <= len(travelled(long)) < 20


def test_problems_from_a_hostile_end_are_bounded_and_do_no_harm() -> None:
    info = error_details_pb2.ErrorInfo(
        reason="INVALID_RECORD",
        domain="cordee",
        metadata={"path": "p", "problem": "{a}", "problems": "x", "self": "y", "p2_self": "z", "p0_a": "n", "a": "{b}"}
        | {name: ("{c}" if name == "b" else "{b}") * 80 for name in "bc"},
    )
    status = status_pb2.Status(code=3, message="m")
    status.details.add().Pack(info)
    bad = error_details_pb2.BadRequest()
    for _ in range(100):
        bad.field_violations.add(field="f\n" * 1000, description="{a.__class__}{a:>999999}")
    status.details.add().Pack(bad)
    answer = rpc_status.to_status(status)
    error = from_rpc_error(over_the_wire(answer))
    assert isinstance(error, errors.InvalidRecord)
    assert len(error.problems) == 20
    assert all(len(each.path) <= 240 and "\n" not in each.path for each in error.problems)
    assert error.problems[1].facts == ()
    told = str(error)
    assert len(told) < 5000
    assert [each.problem for each in problems(error)] == ["{a.__class__}{a:>999999}"] * 20


def test_facts_are_bounded_so_that_they_fit_into_a_trailer() -> None:
    error = errors.Refused(**{f"fact{number}": "é\n" * 100_000 for number in range(100)})
    status = to_status(error)
    assert len(status.trailing_metadata[0][1]) < 6000
    facts = from_rpc_error(over_the_wire(status)).facts
    assert len(facts) == 12
    assert all(len(value.encode()) <= 240 and "\n" not in value for value in facts.values())


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (grpc.StatusCode.UNAVAILABLE, errors.Unreachable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, errors.Unreachable),
        (grpc.StatusCode.PERMISSION_DENIED, errors.Refused),
        (grpc.StatusCode.NOT_FOUND, errors.NotFound),
        (grpc.StatusCode.ABORTED, errors.Conflict),
        (grpc.StatusCode.INVALID_ARGUMENT, errors.InvalidInput),
        (grpc.StatusCode.INTERNAL, errors.RemoteFailure),
        (grpc.StatusCode.UNIMPLEMENTED, errors.RemoteFailure),
    ],
)
def test_without_a_reason_of_ours_the_code_decides(code: grpc.StatusCode, expected: type) -> None:
    bare = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "some text")
    assert type(from_rpc_error(bare)) is expected
    assert "some text" not in str(from_rpc_error(bare))


def hostile(detail: error_details_pb2.ErrorInfo | None, **change: Any) -> grpc.aio.AioRpcError:
    status = status_pb2.Status(code=7, message="m")
    if detail is not None:
        status.details.add().Pack(detail)
    answer = rpc_status.to_status(status)
    return grpc.aio.AioRpcError(
        change.get("code", answer.code),
        grpc.aio.Metadata(),
        grpc.aio.Metadata(("grpc-status-details-bin", change.get("raw", answer.trailing_metadata[0][1]))),
        "m",
    )


@pytest.mark.parametrize(
    "error",
    [
        hostile(None),
        hostile(None, raw=b"\xff\xff junk"),
        hostile(None, code=grpc.StatusCode.UNAUTHENTICATED),
        hostile(error_details_pb2.ErrorInfo(reason="NO_SUCH_REASON", domain="cordee")),
        hostile(error_details_pb2.ErrorInfo(reason="NOT_A_MEMBER", domain="elsewhere")),
    ],
    ids=["no detail", "junk", "another code", "unknown reason", "another domain"],
)
def test_whatever_the_other_end_sends_an_error_comes_out(error: grpc.aio.AioRpcError) -> None:
    assert type(from_rpc_error(error)) is errors.Refused


def test_facts_with_odd_names_are_left_out() -> None:
    info = error_details_pb2.ErrorInfo(
        reason="REFUSED", domain="cordee", metadata={"self": "x", "__class__": "y", "a b": "z", "ok": "fine\n"}
    )
    facts = from_rpc_error(hostile(info)).facts
    assert facts["ok"] == "fine "
    assert set(facts) <= {"ok", "self"}


def test_reaching_names_the_peer_that_cannot_be_reached() -> None:
    with pytest.raises(errors.Unreachable) as unreachable, reaching("The directory"):
        raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata())
    assert unreachable.value.facts["peer"] == "The directory"


def test_who_has_to_wait_is_told_how_long_the_usual_way_too() -> None:
    status = to_status(errors.TooManyRequests(seconds="1.5"))
    details = status_pb2.Status.FromString(status.trailing_metadata[0][1]).details
    retry = error_details_pb2.RetryInfo()
    assert details[-1].Unpack(retry)
    assert retry.retry_delay.ToMilliseconds() == 1500
    again = from_rpc_error(over_the_wire(status))
    assert isinstance(again, errors.TooManyRequests)
    assert again.retry_after == 1.5


@pytest.mark.parametrize("told", ["", "-1", "1e9", "nan", "soon", "1_0"])
def test_a_time_to_wait_that_is_none_is_passed_over(told: str) -> None:
    assert errors.TooManyRequests(seconds=told).retry_after == 0


def test_nobody_can_make_us_wait_for_days() -> None:
    assert errors.TooManyRequests(seconds="999999").retry_after == 3600
