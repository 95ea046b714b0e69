from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from bench.place import make_file
from bench.relay.trio import plain_relay
from bench.skeleton.sizes import Sizes
from bench.skeleton.trio import skeleton
from bench.workload import RECORD, record
from cordee.case import parse_case
from cordee.v1 import statements_pb2

SIZES = Sizes(offer=2_600, answer=2_800, shipment=1_900, receipt=400, ciphertext=300_000)


def test_the_plain_relay_carries_a_file_whole(tmp_path):
    file = make_file(tmp_path / "file", 3_000_001)
    room = tmp_path / "relay"
    room.mkdir()
    with plain_relay(room) as carry:
        assert carry(file, 30) > 0
        assert carry(file, 30) > 0
    assert not list(room.glob("arrived"))


def test_hollow_nodes_take_a_transfer_from_its_offer_to_its_receipt(tmp_path):
    with skeleton(tmp_path, SIZES) as hollow:
        assert hollow.drive(20) > 0


@pytest.mark.parametrize("name", ["offer", "answer", "shipment", "receipt"])
def test_a_hollow_statement_is_as_large_as_the_real_one(name):
    statement = SIZES.statement(name, bytes(16))
    assert len(statement.body) == asdict(SIZES)[name]
    assert statement.type == f"cordee.v1.{name.capitalize()}"


def test_sizes_are_read_off_the_statements_of_a_real_transfer():
    shipment = statements_pb2.Shipment(ciphertext_size=70_000).SerializeToString()
    bodies = {"Offer": b"o" * 9, "Answer": b"a" * 8, "Shipment": shipment, "Receipt": b"r" * 7}
    sizes = Sizes.of(statements_pb2.Signed(type=f"cordee.v1.{name}", body=body) for name, body in bodies.items())
    assert sizes == Sizes(offer=9, answer=8, shipment=len(shipment), receipt=7, ciphertext=70_000)
    assert Sizes.from_json(sizes.to_json()) == sizes


@pytest.mark.parametrize("size", [RECORD, 45_000])
def test_a_case_is_as_large_as_it_is_said_to_be(size):
    body = json.dumps(
        record(owner="39180f55-0764-463c-b133-7c32a83fe466", size=size), ensure_ascii=False, separators=(",", ":")
    ).encode()
    assert len(body) == size
    parse_case(body)
