"""Whole nodes and a real directory in one process: each outcome of a transfer."""

from __future__ import annotations

import os
from pathlib import Path

from cordee.transfer import State
from node import records, transfer_store
from tests.neighbours import neighbourhood


async def test_a_case_with_files_arrives_and_is_held_once(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)):
        record = await paris.case()
        files = [os.urandom(20_000), os.urandom(1_000_000)]
        attached = [await paris.attach(record["meta"]["case_id"], data) for data in files]
        act = await paris.act(record, marseille, attachments=attached)
        transfer = await paris.offer(record, marseille, act, ticked={"health"}, attachments=attached)
        await marseille.reaches(transfer, State.OFFERED)
        await marseille.here.receiving.accept(marseille.person, transfer)
        await paris.reaches(transfer, State.RECEIVED)
        await marseille.reaches(transfer, State.RECEIVED)
        case_id = record["meta"]["case_id"]
        there = await marseille.here.db.read(lambda tx: records.read_case(tx, marseille.here.vault, case_id))
        assert there.case.section("identity") == record["identity"]
        assert there.holder == "here"
        assert [b"".join(marseille.here.attachments.read(there.data_key, each)) for each in there.attachments] == files
        here = await paris.here.db.read(lambda tx: records.read_case(tx, paris.here.vault, case_id))
        assert here.holder == "handed_over"
        for node in (paris.here, marseille.here):
            row = await node.db.read(lambda tx: transfer_store.read_transfer(tx, transfer))
            assert row.sealed_content_key is None
            assert row.sealed_one_time_seed is None
