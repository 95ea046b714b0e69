"""Our errors on the wire: `google.rpc.Status` with `ErrorInfo` and `BadRequest`, there and back.

The reason code and the facts travel; the text for people is made where they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from cordee.errors import (
    Conflict,
    CordeeError,
    InvalidInput,
    NotFound,
    Refused,
    RemoteFailure,
    Unreachable,
    by_reason,
)

__all__ = ["DOMAIN", "from_rpc_error", "reaching", "to_status"]

DOMAIN = "cordee"

# gRPC limits what a client reads of the trailer to 8 KiB.
_MAX_FACTS = 12
_MAX_VALUE = 240
_MAX_TEXT = 480

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
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
    message = _bounded(str(error), _MAX_TEXT)
    number: int = code.value[0]
    status = status_pb2.Status(code=number, message=message)
    _pack(status.details.add(), error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=facts))
    if isinstance(error, InvalidInput):
        field = facts.get("field") or facts.get("path") or ""
        violation = error_details_pb2.BadRequest.FieldViolation(field=field, description=facts.get("problem", ""))
        _pack(status.details.add(), error_details_pb2.BadRequest(field_violations=[violation]))
    answer: grpc.Status = rpc_status.to_status(status)
    return answer


def from_rpc_error(error: grpc.RpcError, *, peer: str = "The other end") -> CordeeError:
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
    return kind(field="request", problem=code.name, what="item", code=code.name)


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
            restored = found()
            items = list(info.metadata.items())[:_MAX_FACTS]
            restored.facts = {name: _bounded(value, _MAX_VALUE) for name, value in items if _NAME.fullmatch(name)}
            return restored
    return None


def _bounded(text: str, limit: int) -> str:
    """Printable and short. The limit is in bytes, for text in any language."""
    text = _UNPRINTABLE.sub(" ", text)
    return text.encode()[:limit].decode(errors="ignore")


def _pack(detail: Any, message: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest) -> None:
    detail.Pack(message)
