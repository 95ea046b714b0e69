from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

import cordee.runtime.contract
from cordee.errors import InvalidInput
from cordee.runtime import bounds
from cordee.runtime.bounds import Binary, Bound, Flag, Message, Number, Repeated, Text, Time, check
from cordee.v1 import directory_pb2, mailbox_pb2, statements_pb2

SERVICES = [
    service for file in (directory_pb2.DESCRIPTOR, mailbox_pb2.DESCRIPTOR) for service in file.services_by_name.values()
]
REQUESTS = {method.input_type.full_name: method.input_type for service in SERVICES for method in service.methods}


def fields_without_bound(bound: Any, descriptor: Any, path: str) -> list[str]:
    """Walks the descriptors by itself, not by the bounds' own code."""
    if not isinstance(bound, Message):
        return [path]
    missing = []
    for field in descriptor.fields:
        own = bound._fields.get(field.name)
        if isinstance(own, Repeated):
            own = own._each
        if not isinstance(own, Bound):
            missing.append(f"{path}.{field.name}")
        elif field.message_type is not None and not field.message_type.full_name.startswith("google.protobuf."):
            missing += fields_without_bound(own, field.message_type, f"{path}.{field.name}")
    return missing


@pytest.mark.parametrize("name", sorted(REQUESTS))
def test_every_field_of_every_request_has_a_bound(name: str) -> None:
    assert fields_without_bound(bounds._TABLE.get(name), REQUESTS[name], name) == []


def test_there_are_services_to_look_at() -> None:
    assert len(SERVICES) == 8
    assert len(REQUESTS) >= 20


def test_a_table_that_forgets_a_field_is_refused() -> None:
    with pytest.raises(ValueError, match="no bound for offset"):
        bounds.register(mailbox_pb2.GetRequest, Message(transfer_id=Binary.exactly(16)))
    with pytest.raises(ValueError, match="no such field: size"):
        bounds.register(mailbox_pb2.StatRequest, Message(transfer_id=Binary.exactly(16), size=Number(1)))


@pytest.mark.parametrize(
    "bound",
    [
        Message(start=Text(5)),
        Message(start=Flag()),
        Message(start=Repeated(Number(5), 1)),
        Message(start=Message()),
        Message(start=Time()),
    ],
)
def test_a_bound_of_another_kind_is_refused(bound: Message) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        bounds.register(directory_pb2.ListEntriesRequest, bound)


def test_a_request_that_nobody_bounded_is_refused() -> None:
    with pytest.raises(LookupError):
        check(statements_pb2.Genesis())


def refusal(request: Any) -> dict[str, str]:
    with pytest.raises(InvalidInput) as refused:
        check(request)
    return refused.value.facts


def test_a_request_within_its_bounds_passes(submit_request: Any) -> None:
    check(submit_request(bytes(65536)))
    check(mailbox_pb2.PutRequest(data=bytes(262_144)))
    check(mailbox_pb2.PutRequest(transfer_id=bytes(16), offset=2**63 - 1))


def test_a_statement_that_is_too_long_is_refused_by_its_path(submit_request: Any) -> None:
    assert refusal(submit_request(bytes(65537)))["field"] == "statement.body"
    assert refusal(submit_request(b""))["field"] == "statement.body"


def test_a_missing_statement_is_refused() -> None:
    assert refusal(directory_pb2.SubmitRequest()) == {"field": "statement", "problem": "missing"}


@pytest.mark.parametrize("length", [0, 15, 17])
def test_an_id_has_one_length(length: int) -> None:
    assert refusal(mailbox_pb2.StatRequest(transfer_id=bytes(length)))["field"] == "transfer_id"


def test_the_refusal_never_repeats_the_value(submit_request: Any) -> None:
    request = submit_request()
    request.statement.type = "cordee.v1.Lina Haddad"
    assert "Lina" not in str(refusal(request))


def test_a_number_that_no_database_holds_is_refused() -> None:
    assert refusal(directory_pb2.ListEntriesRequest(start=2**63))["field"] == "start"


def test_a_list_that_is_too_long_is_refused() -> None:
    entry = statements_pb2.Entry(type="cordee.v1.Genesis", body=b"x")
    for _ in range(17):
        entry.signatures.add(signer=bytes(16), ed25519_signature=bytes(64), mldsa65_signature=bytes(3309))
    assert refusal(directory_pb2.FoundRequest(genesis=entry))["field"] == "genesis.signatures"
    del entry.signatures[16]
    check(directory_pb2.FoundRequest(genesis=entry))
    entry.signatures[3].signer = b"short"
    assert refusal(directory_pb2.FoundRequest(genesis=entry))["field"] == "genesis.signatures[3].signer"


def test_of_a_oneof_one_member_must_be_set_and_only_that_is_checked() -> None:
    bound = Message(entry=cordee.runtime.contract.entry(), checkpoint=Text(5))
    bound.bind(directory_pb2.ReadLogResponse.DESCRIPTOR, "ReadLogResponse")
    bound.check(directory_pb2.ReadLogResponse(checkpoint="short"), "")
    for message in (directory_pb2.ReadLogResponse(), directory_pb2.ReadLogResponse(checkpoint="too long")):
        with pytest.raises(InvalidInput):
            bound.check(message, "")


def an_optional_number() -> Any:
    """A message type with one `optional uint32`, made here: no request of the network's has one."""
    file = descriptor_pb2.FileDescriptorProto(name="test_bounds.proto", package="test", syntax="proto3")
    message = file.message_type.add(name="Optional")
    message.oneof_decl.add(name="_age")
    kind = descriptor_pb2.FieldDescriptorProto
    message.field.add(
        name="age", number=1, type=kind.TYPE_UINT32, label=kind.LABEL_OPTIONAL, oneof_index=0, proto3_optional=True
    )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("test.Optional"))


def test_an_optional_number_may_be_missing_but_not_too_large() -> None:
    optional = an_optional_number()
    bound = Message(age=Number(25, minimum=1))
    bound.bind(optional.DESCRIPTOR, "Optional")
    bound.check(optional(), "")
    bound.check(optional(age=25), "")
    for age in (0, 26):
        with pytest.raises(InvalidInput):
            bound.check(optional(age=age), "")


@given(st.text(max_size=20))
def test_text_has_no_control_characters(text: str) -> None:
    bad = any(ord(character) < 32 or 127 <= ord(character) < 160 for character in text)
    try:
        Text(20, empty=True).check(text, "x")
    except InvalidInput:
        assert bad
    else:
        assert not bad


def test_text_in_lines_may_have_lines() -> None:
    Text(20, lines=True).check("un\ndeux\ttrois", "x")
    with pytest.raises(InvalidInput):
        Text(20, lines=True).check("un\x00", "x")


@pytest.mark.parametrize(("seconds", "nanos"), [(-1, 0), (2**40, 0), (0, 1_000_000_000), (0, -1)])
def test_a_time_outside_our_centuries_is_refused(seconds: int, nanos: int) -> None:
    with pytest.raises(InvalidInput):
        Time().check(Timestamp(seconds=seconds, nanos=nanos), "x")


def test_the_largest_requests_fit_into_a_message() -> None:
    assert cordee.runtime.contract.PROFILE_SIZE + cordee.runtime.contract.STATEMENT_SIZE + 8192 < 512 * 1024
