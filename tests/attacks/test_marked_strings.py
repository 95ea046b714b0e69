"""Nothing of a case is where it may not be: marks in every field, every outcome played, everything searched.

The network is real: a directory and two nodes as processes, commanded as people command them. It is played once.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message

from cordee.case import parse_case
from cordee.content import ciphertext_size, padme
from cordee.summary import (
    SEALED_CONTENT_KEY_SIZE,
    SEALED_REASON_SIZE,
    SEALED_REPORT_SIZE,
    SEALED_SECTIONS_SIZE,
    SEALED_SUMMARY_SIZE,
)
from cordee.transfer import END_STATES
from cordee.v1 import statements_pb2 as v1
from node.demo.stage import Stage
from tests.attacks.looking import Look, writings
from tests.attacks.marked_network import MarkedNetwork
from tests.attacks.marked_records import marked_act, marked_case
from tests.attacks.marks import SCHEMA, Marks, fields_of, leaves_of, why_unmarked
from tests.attacks.watched_stage import PLACES
from tests.typist import run, typist

pytestmark = pytest.mark.journey

NOW = datetime.now(UTC)
SET_BY_THE_PROTOCOL = {  # of an act that is in force: its times are real, and it names whom the network knows
    "decided_at": "a time that is now",
    "decided_by[].answered_at": "a time that is now",
    "valid_from": "a time that is now",
    "valid_until": "a time that is now",
    "recipients[].org_id": "an association of the network, which publishes its id",
    "recipients[].category": "the act names an association instead; the record's own acts name a category",
    "excluded_fields[]": "the name of a field; the record's own acts hold a mark",
    "attachment_ids[]": "ids that the node gives; they are searched for",
    "withdrawal.at": "the time of the command",
    "withdrawal.by_role": "given to the command; searched for",
    "withdrawal.reason": "given to the command; searched for",
}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MarkedNetwork]:
    folder = tmp_path_factory.mktemp("marked")
    temporary = folder / "tmp"
    temporary.mkdir()
    typist()  # its own folder lies elsewhere

    def typed(*arguments: str, environment: Mapping[str, str], **options: Any) -> Any:
        return run(*arguments, environment={**environment, "TMPDIR": str(temporary)}, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TMPDIR", str(temporary))
        made = MarkedNetwork(Stage(folder / "stage", run_command=typed), temporary, _free_port())
        with made.stage.open():
            made.prepare()
            made.accounts()
            made.write()
            made.expire_later()
            made.decline()
            made.withdraw()
            made.receive_and_erase()
            made.receive_and_keep()
            made.share_and_update()
            made.cheat()
            made.end()
        made.search("stopped", running=False)
        made.search_outside()
        yield made


# ---- every field ----


def test_every_field_of_the_record_holds_a_mark_or_can_hold_none() -> None:
    marks = Marks()
    record = marked_case(marks, "one", now=NOW)
    parse_case(_json(record))  # it is one that a node takes
    assert set(record) >= set(SCHEMA["properties"])
    fields = dict(fields_of(SCHEMA))
    assert len(fields) >= 226
    values = defaultdict(list)
    for path, value in leaves_of(record):
        values[path].append(value)
    assert not fields.keys() - values.keys(), "fields without a value"
    look = Look(marks)
    for path, node in fields.items():
        if not why_unmarked(node):
            for value in values[path]:
                assert look.in_bytes(str(value).encode(), path), f"{path} holds nothing that is searched for"
    unmarked = [path for path, node in fields.items() if why_unmarked(node)]
    assert all(fields[path].get("type") != "string" or "nationalities" in path for path in unmarked)


def test_every_field_of_an_act_holds_a_mark_or_can_hold_none() -> None:
    marks = Marks()
    act = marked_act(marks, marked_case(marks, "one", now=NOW), recipients=["-"], attachments=["-"], now=NOW)
    values = dict(leaves_of(act))
    look = Look(marks)
    for path, node in fields_of(SCHEMA["$defs"]["consent_act"]):
        if not why_unmarked(node) and path not in SET_BY_THE_PROTOCOL:
            assert look.in_bytes(str(values[path]).encode(), path), f"{path} holds nothing that is searched for"


def test_every_outcome_was_played(network: MarkedNetwork) -> None:
    with sqlite3.connect(f"file:{network.stage.folder}/directory/directory.db?mode=ro", uri=True) as db:
        played = dict(db.execute("SELECT lower(hex(id)), state FROM transfer"))
        kinds = {row[0] for row in db.execute("SELECT kind FROM statement")}
        erasures = [v1.Signed.FromString(row[0]) for row in db.execute("SELECT signed FROM statement")]
    assert set(played.values()) == {str(each) for each in END_STATES}
    assert {played[network.outcomes[name]] for name in ("received", "kept", "shared")} == {"received"}
    assert {"offer", "acceptance", "refusal", "shipment", "receipt_taken", "receipt_refused", "withdrawal"} < kinds
    answers = [v1.Erasure.FromString(each.body) for each in erasures if each.type == v1.Erasure.DESCRIPTOR.full_name]
    assert {each.WhichOneof("outcome") for each in answers} == {"erased", "refused"}


# ---- where no mark may be ----


@pytest.mark.parametrize("place", PLACES)
def test_no_mark_is_in(network: MarkedNetwork, place: str) -> None:
    told = [f"{moment}: {each.what} in {each.place}, as {each.writing}" for moment, each in network.found[place]]
    assert not told, "\n".join(sorted(told)[:40])
    assert place == "a temporary file" or network.looked_at[place] > 500, "there was nothing to look at"


def test_the_search_was_made_while_and_after_transfers_were_under_way(network: MarkedNetwork) -> None:
    wanted = ["before anything", "an offer waits", "ciphertext waits", "received", "refused", "at the end", "stopped"]
    assert network.moments == wanted
    assert network.waited > 300_000
    assert b'cordee_transfers_total{state="received"}' in network.metrics
    assert network.looked_at["the directory's memory"] > 100 << 20


def test_the_marks_were_in_circulation(network: MarkedNetwork) -> None:
    """They did arrive, and the same search finds them in the memory of the nodes, which hold cases to work with."""
    record = network.records["received"]
    sections = set(record) - {"meta", "notes", "consents"}
    arrived = {
        path
        for path, value in leaves_of({name: record[name] for name in sections})
        if isinstance(value, str) and value in network.arrived
    }
    assert len(arrived) > 100
    assert {each.place.split()[0] for each in network.in_nodes} == {"helpline", "marseille"}


def test_no_process_ever_put_anything_into_the_folder_for_temporary_files(network: MarkedNetwork) -> None:
    assert list(network.temporary.iterdir()) == []
    assert network.temporary.stat().st_mtime_ns == network.touched, "something was there for a moment"


def test_no_server_leaves_a_core_dump(network: MarkedNetwork) -> None:
    assert set(network.core_limits) == {"directory", "helpline", "marseille"}
    for limit in network.core_limits.values():
        assert limit.split()[4:6] == ["0", "0"]


# ---- what lengths tell ----


def test_what_the_directory_holds_has_a_length_that_tells_nothing(network: MarkedNetwork) -> None:
    with sqlite3.connect(f"file:{network.stage.folder}/directory/directory.db?mode=ro", uri=True) as db:
        signed = [v1.Signed.FromString(row[0]) for row in db.execute("SELECT signed FROM statement")]
    lengths: dict[str, set[int]] = defaultdict(set)
    shipped = set()
    for each in signed:
        name = each.type.rpartition(".")[2]
        body = getattr(v1, name).FromString(each.body)
        for path, value in _byte_strings(body, name):
            lengths[path].add(len(value))
        if name == "Shipment":
            shipped.add(body.ciphertext_size)
    assert all(len(found) == 1 for found in lengths.values()), lengths
    sealed = {path.rpartition(".")[2]: max(found) for path, found in lengths.items() if ".sealed_" in path}
    assert sealed == {
        "sealed_summary": SEALED_SUMMARY_SIZE,
        "sealed_sections": SEALED_SECTIONS_SIZE,
        "sealed_reason": SEALED_REASON_SIZE,
        "sealed_report": SEALED_REPORT_SIZE,
        "sealed_content_key": SEALED_CONTENT_KEY_SIZE,
    }
    # Five were shipped: whole records, one without its narratives, an update, one with a file of 300 kB.
    smallest = ciphertext_size(padme(0))
    assert len(shipped) == 2
    assert min(shipped) == smallest, "a short record and a longer one have the same size"
    for size in shipped:
        assert size in {ciphertext_size(padme(plain)) for plain in range(65_536, 400_000, 512)}


# ---- the search can find ----


@pytest.mark.parametrize("kind", ["text", "language", "id", "row", "digest", "day", "integer", "birth"])
def test_a_planted_mark_is_found_in_a_file_however_it_is_written(tmp_path: Path, kind: str) -> None:
    marks = Marks()
    made = {
        "row": lambda path: marks.id(path, row=True),
        "birth": lambda path: marks.birth(path, today=NOW.date()),
    }.get(kind) or getattr(marks, kind)
    mark = str(made("planted: here"))
    for writing, data in writings(mark).items():
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        path.write_bytes(b"\x00" * 1000 + data + b"\x00" * 1000)
        found = Look(marks).in_file(path, "file")
        assert any(each.what == "planted: here" for each in found), f"{kind} as {writing}"
    assert Look(marks).in_folder(tmp_path, "folder")
    assert bool(Look(marks, rows=False).in_folder(tmp_path, "folder")) is (kind != "row")


def test_a_mark_at_the_edge_of_two_blocks_in_a_name_and_packed_is_found(tmp_path: Path) -> None:
    marks = Marks()
    mark = marks.text("planted")
    block = 32 << 20
    (tmp_path / "large").write_bytes(b"\x00" * (block - 5) + mark.encode() + b"\x00" * 100)
    assert {each.what for each in Look(marks).in_folder(tmp_path, "")} == {"planted"}
    (tmp_path / "large").unlink()
    (tmp_path / f"{mark}.part").touch()
    assert Look(marks).in_folder(tmp_path, "")
    packed = zlib.compressobj(wbits=31)
    assert Look(marks).in_bytes(b"..." + packed.compress(b" " * 99 + mark.encode()) + packed.flush(), "")


def test_a_mark_planted_anywhere_on_the_stage_is_found_there(network: MarkedNetwork) -> None:
    folder, temporary = network.stage.folder, network.temporary
    mark = network.marks.text("planted").encode()
    planted = {
        folder / "directory" / "mailbox" / "left": "the directory's folder",
        folder / "backup" / "left": "the directory's folder",
        folder / "logs" / "directory.log": "the directory's log",
        folder / "logs" / "helpline-cheating.log": "a node's log",
        folder / "marseille" / "node" / "spool" / "left": "a node's folder",
        folder / "proofs" / "received": "a proof",
        temporary / "left": "a temporary file",
    }
    for path, place in planted.items():
        before = path.read_bytes() if path.exists() else None
        path.parent.mkdir(exist_ok=True)
        path.write_bytes((before or b"") + mark)
        again = replace(network, found=defaultdict(set), looked_at=defaultdict(int), moments=[])
        again.search("planted", running=False)
        path.unlink() if before is None else path.write_bytes(before)
        where = {each for each, found in again.found.items() if "planted" in {one.what for _, one in found}}
        assert where == {place}, path.name
    os.utime(temporary, ns=(network.touched, network.touched))


def test_what_is_no_mark_is_not_found() -> None:
    other = Marks()
    assert not Look(Marks()).in_bytes(_json(marked_case(other, "other", now=NOW)), "")


def test_a_planted_mark_is_found_in_the_memory_of_a_process_and_in_a_file_without_a_name(tmp_path: Path) -> None:
    marks = Marks()
    program = """
import sys, tempfile
kept = sys.stdin.readline()
file = tempfile.TemporaryFile(dir=sys.argv[1])
file.write(kept.encode() if sys.argv[2] == "write" else b"nothing"); file.flush()
kept = kept if sys.argv[2] == "keep" else ""
print("ready", flush=True)
sys.stdin.readline()
"""
    for doing in ("keep", "write"):
        mark = marks.text(f"planted, {doing}")
        with subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path), doing], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{mark}\n".encode())
            process.stdin.flush()
            assert process.stdout.readline() == b"ready\n"
            held = Look(marks).in_memory(process.pid, "memory")
            nameless = Look(marks).in_open_files(process.pid, "file")
            process.stdin.close()
        assert f"planted, {doing}" in {each.what for each in (held if doing == "keep" else nameless)}
        assert bool(nameless) is (doing == "write")


# ---- helpers ----


def _byte_strings(message: Message, path: str) -> Iterator[tuple[str, bytes]]:
    for described, value in message.ListFields():
        place = f"{path}.{described.name}"
        if isinstance(value, bytes | str):
            yield place, value if isinstance(value, bytes) else value.encode()
        elif described.message_type is not None:
            for each in [value] if isinstance(value, Message) else value:
                yield from _byte_strings(each, place)


def _json(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
