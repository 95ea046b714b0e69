"""Our errors on the wire: `google.rpc.Status` with `ErrorInfo`, `BadRequest` and `RetryInfo`, there and back.

The reason code and the facts travel; the text for people is made where they are. So facts that are texts travel as
they are in the source, in English, with their facts beside them.

A record that breaks its schema in several places has a field violation for each. Its description is the problem's
text; the facts of the second violation stand in the metadata as `p2_limit`, and so on. Those of the first are the
error's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from cordee.errors import (
    N_,
    Conflict,
    CordeeError,
    InvalidInput,
    InvalidRecord,
    NotFound,
    Problem,
    Refused,
    RemoteFailure,
    TooManyRequests,
    Unreachable,
    by_reason,
    filled,
)

__all__ = ["DOMAIN", "from_rpc_error", "reaching", "to_status"]

DOMAIN = "cordee"

# gRPC limits what a client reads of the trailer to 8 KiB.
_MAX_FACTS = 12
_MAX_VALUE = 240
_MAX_TEXT = 480
_MAX_PROBLEMS = 20
_MAX_STATUS = 5_400  # bytes; base64 makes 7,200 of them

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_OF_PROBLEM = re.compile(r"p([1-9][0-9]?)_([a-z][a-z0-9_]{0,39})")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

_KINDS: dict[grpc.StatusCode, type[CordeeError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidInput,
    grpc.StatusCode.OUT_OF_RANGE: InvalidInput,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.PERMISSION_DENIED: Refused,
    grpc.StatusCode.UNAUTHENTICATED: Refused,
    grpc.StatusCode.FAILED_PRECONDITION: Refused,
    grpc.StatusCode.ABORTED: Conflict,
    grpc.StatusCode.ALREADY_EXISTS: Conflict,
    grpc.StatusCode.UNAVAILABLE: Unreachable,
    grpc.StatusCode.DEADLINE_EXCEEDED: Unreachable,
}


def to_status(error: CordeeError) -> grpc.Status:
    """What a servicer answers for an error: code, reason and facts, bounded so that it fits into a trailer."""
    code = grpc.StatusCode[error.status]
    facts = {name: _bounded(value, _MAX_VALUE) for name, value in list(error.facts.items())[:_MAX_FACTS]}
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=facts)
    bad = error_details_pb2.BadRequest()
    if isinstance(error, InvalidRecord):
        _add_problems(error.problems, info, bad)
    elif isinstance(error, InvalidInput):
        field = facts.get("field") or facts.get("path") or ""
        description = _bounded(filled(facts.get("problem", ""), facts), _MAX_VALUE)
        bad.field_violations.add(field=field, description=description)
    number: int = code.value[0]
    status = status_pb2.Status(code=number, message=_bounded(str(error), _MAX_TEXT))
    _pack(status.details.add(), info)
    if bad.field_violations:
        _pack(status.details.add(), bad)
    if isinstance(error, TooManyRequests) and error.retry_after:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(int(error.retry_after * 1000))
        _pack(status.details.add(), retry)
    answer: grpc.Status = rpc_status.to_status(status)
    return answer


def from_rpc_error(error: grpc.RpcError, *, peer: str = N_("The other end")) -> CordeeError:
    """The error that the servicer raised: its class and its facts.

    Without a reason of ours it is Unreachable for a lost connection or deadline, else the kind that the code tells.
    Whatever the other end sends, this returns an error and does not raise.
    """
    if not isinstance(error, grpc.aio.AioRpcError):
        return RemoteFailure(peer=peer, code="UNKNOWN")
    known = _known(error)
    if known is not None:
        return known
    code = error.code()
    kind = _KINDS.get(code, RemoteFailure)
    if kind is RemoteFailure or kind is Unreachable:
        return kind(peer=peer, code=code.name)
    return kind(field="request", problem=code.name, what=N_("item"), code=code.name)


@contextmanager
def reaching(peer: str) -> Iterator[None]:
    """Around calls to another machine: what gRPC raises becomes one of our errors."""
    try:
        yield
    except grpc.RpcError as error:
        raise from_rpc_error(error, peer=peer) from None


def _known(error: grpc.aio.AioRpcError) -> CordeeError | None:
    try:
        status = rpc_status.from_call(error)
    except (ValueError, DecodeError):  # a status that contradicts itself: the plain code counts
        return None
    if status is None:
        return None
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        try:
            if not detail.Unpack(info):
                continue
        except DecodeError:
            continue
        found = by_reason(info.reason) if info.domain == DOMAIN else None
        if found is not None:
            items = [(name, value) for name, value in info.metadata.items() if not _OF_PROBLEM.fullmatch(name)]
            facts = {name: _bounded(value, _MAX_VALUE) for name, value in items[:_MAX_FACTS] if _is_name(name)}
            more = {"problems": _problems(status, info)} if found is InvalidRecord else {}
            return found(**more, **facts)
    return None


def _add_problems(
    problems: Iterable[Problem], info: error_details_pb2.ErrorInfo, bad: error_details_pb2.BadRequest
) -> None:
    """The first of them, as many as there is room for. The first's facts are the error's, which are there already."""
    for number, problem in enumerate(islice(problems, _MAX_PROBLEMS), start=1):
        facts = problem.facts[:_MAX_FACTS] if number > 1 else ()
        of_it = {f"p{number}_{name}": _bounded(value, _MAX_VALUE) for name, value in facts}
        path, text = _bounded(problem.path, _MAX_VALUE), _bounded(problem.problem, _MAX_VALUE)
        violation = error_details_pb2.BadRequest.FieldViolation(field=path, description=text)
        if not violation.ByteSize():  # an error without facts
            return
        more = violation.ByteSize() + sum(len(name) + len(value.encode()) + 8 for name, value in of_it.items())
        if number > 1 and info.ByteSize() + bad.ByteSize() + more > _MAX_STATUS - _MAX_TEXT:
            return
        info.metadata.update(of_it)
        bad.field_violations.append(violation)


def _problems(status: status_pb2.Status, info: error_details_pb2.ErrorInfo) -> tuple[Problem, ...]:
    """What `_add_problems` put there; none where the other end sent something else."""
    bad = error_details_pb2.BadRequest()
    try:
        if not any(detail.Unpack(bad) for detail in status.details):
            return ()
    except DecodeError:
        return ()
    facts: dict[str, dict[str, str]] = {}
    for name, value in info.metadata.items():
        found = _OF_PROBLEM.fullmatch(name)
        number, of_it = (found[1], found[2]) if found is not None else ("1", name)
        if _is_name(of_it) and (found is not None or of_it not in ("path", "problem")):
            facts.setdefault(number, {})[of_it] = _bounded(value, _MAX_VALUE)
    return tuple(
        Problem(
            _bounded(each.field, _MAX_VALUE),
            _bounded(each.description, _MAX_VALUE),
            tuple(sorted(facts.get(str(number), {}).items())[:_MAX_FACTS]),
        )
        for number, each in enumerate(islice(bad.field_violations, _MAX_PROBLEMS), start=1)
    )


def _is_name(name: str) -> bool:
    """Whether it can name a fact: the two others are arguments of every error."""
    return _NAME.fullmatch(name) is not None and name not in ("self", "problems")


def _bounded(text: str, limit: int) -> str:
    """Printable and short. The limit is in bytes, for text in any language."""
    text = _UNPRINTABLE.sub(" ", text)
    return text.encode()[:limit].decode(errors="ignore")


def _pack(
    detail: Any, message: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest | error_details_pb2.RetryInfo
) -> None:
    detail.Pack(message)
