"""The Mailbox service, with messages that hold nothing but data read and written without protobuf.

Protobuf copies the bytes of a field when they are set, when they are encoded, when they are decoded, and each time that
they are looked at: a quarter of what a large file costs. On the wire nothing differs: a message with data alone is the
field's tag, its length and its bytes (Protocol Buffers, "Encoding", wire type 2). Every other message, also one that is
out of bounds, takes the usual way.
"""

from __future__ import annotations

from typing import Any

import grpc

from cordee.runtime.bounds import register_bounded
from cordee.runtime.contract import CHUNK
from cordee.v1 import mailbox_pb2

__all__ = ["MailboxCalls", "Piece", "add_mailbox"]

_SERVICE = mailbox_pb2.DESCRIPTOR.services_by_name["Mailbox"].full_name
_LENGTHS = 3  # bytes that tell the length of a CHUNK, at most
_WIRE_TYPE = 2  # of a field that tells its length


class Piece:
    """A PutRequest or a GetResponse that holds data and nothing else: 1 byte to 1 MiB of it."""

    __slots__ = ("data",)

    def __init__(self, data: bytes | memoryview) -> None:
        """Raises: ValueError where the data has no byte, or more than the bound allows."""
        if not 1 <= len(data) <= CHUNK:
            raise ValueError(f"{len(data)} bytes in one piece")
        self.data = data


register_bounded(Piece)


def add_mailbox(servicer: Any, server: Any) -> None:
    """In the place of `add_MailboxServicer_to_server`: Put hears PutRequest or Piece, Get answers either kind too."""
    handlers = {
        "Put": grpc.stream_unary_rpc_method_handler(
            servicer.Put,
            request_deserializer=_Reader(mailbox_pb2.PutRequest),
            response_serializer=mailbox_pb2.PutResponse.SerializeToString,
        ),
        "Get": grpc.unary_stream_rpc_method_handler(
            servicer.Get,
            request_deserializer=mailbox_pb2.GetRequest.FromString,
            response_serializer=_Writer(mailbox_pb2.GetResponse),
        ),
        "Stat": grpc.unary_unary_rpc_method_handler(
            servicer.Stat,
            request_deserializer=mailbox_pb2.StatRequest.FromString,
            response_serializer=mailbox_pb2.StatResponse.SerializeToString,
        ),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))


class MailboxCalls:
    """In the place of `MailboxStub`: Put takes PutRequest or Piece, Get answers GetResponse or Piece."""

    def __init__(self, channel: Any) -> None:
        self.Put = channel.stream_unary(
            f"/{_SERVICE}/Put",
            request_serializer=_Writer(mailbox_pb2.PutRequest),
            response_deserializer=mailbox_pb2.PutResponse.FromString,
        )
        self.Get = channel.unary_stream(
            f"/{_SERVICE}/Get",
            request_serializer=mailbox_pb2.GetRequest.SerializeToString,
            response_deserializer=_Reader(mailbox_pb2.GetResponse),
        )
        self.Stat = channel.unary_unary(
            f"/{_SERVICE}/Stat",
            request_serializer=mailbox_pb2.StatRequest.SerializeToString,
            response_deserializer=mailbox_pb2.StatResponse.FromString,
        )


class _Writer:
    """Encodes messages of one type."""

    def __init__(self, message: type[mailbox_pb2.PutRequest] | type[mailbox_pb2.GetResponse]) -> None:
        self._tag = _tag_of(message)

    def __call__(self, message: Any) -> bytes:
        if not isinstance(message, Piece):
            encoded: bytes = message.SerializeToString()
            return encoded
        return b"".join((self._tag, _varint(len(message.data)), message.data))


class _Reader:
    """Decodes messages of one type. Raises: google.protobuf.message.DecodeError."""

    def __init__(self, message: type[mailbox_pb2.PutRequest] | type[mailbox_pb2.GetResponse]) -> None:
        self._tag = _tag_of(message)
        self._message = message

    def __call__(self, encoded: bytes) -> Any:
        if encoded.startswith(self._tag):
            size = shift = 0
            for at in range(len(self._tag), min(len(encoded), len(self._tag) + _LENGTHS)):
                size |= (encoded[at] & 0x7F) << shift
                shift += 7
                if encoded[at] < 0x80:  # the last byte of the length
                    if 1 <= size <= CHUNK and at + 1 + size == len(encoded):
                        return Piece(memoryview(encoded)[at + 1 :])
                    break
        return self._message.FromString(encoded)


def _tag_of(message: type[mailbox_pb2.PutRequest] | type[mailbox_pb2.GetResponse]) -> bytes:
    return _varint(message.DESCRIPTOR.fields_by_name["data"].number << 3 | _WIRE_TYPE)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
