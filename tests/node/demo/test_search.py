"""The demonstration's search finds what was planted, wherever it stands."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from node.demo import cases
from node.demo.holding import DoesNotHold
from node.demo.needles import needles_of
from node.demo.search import Search, sample_of

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
# The dates of the cases move with today; this is one of them on NOW.
PLANTED = {
    "a name": "Gourmelec",
    "a date": "2026-09-07",
    "a telephone number": "+33639980005",
    "a phrase": "sans relance de notre part",
}


@pytest.fixture
def attachment(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(Random(2).randbytes(100_000))
    return path


@pytest.fixture
def search(tmp_path: Path, attachment: Path) -> Search:
    (tmp_path / "directory" / "mailbox").mkdir(parents=True)
    profiles = cases.profiles(now=NOW)
    made = cases.cases(now=NOW, owner=profiles["helpline"]["org_id"], random=Random(1).randbytes)
    return Search(
        needles_of(made, profiles.values(), today=NOW.date()), [sample_of(attachment)], [tmp_path / "directory"]
    )


def plant(search: Search, what: bytes, *, at: int = 1000) -> None:
    noise = Random(3).randbytes(at) + what + Random(4).randbytes(1000)
    (search.places[0] / "mailbox" / "directory.db-wal").write_bytes(noise)


def test_a_folder_without_any_of_it_holds(search: Search) -> None:
    search.before()
    plant(search, b"6938320 4b076647 16fcbfa0 Message point local notre Situation")
    assert search.after() > 200


@pytest.mark.parametrize("kind", list(PLANTED))
def test_one_of_them_in_a_file_is_found(search: Search, kind: str) -> None:
    search.before()
    plant(search, PLANTED[kind].encode())
    with pytest.raises(DoesNotHold, match="found in clear: "):
        search.after()


def test_a_slice_of_an_attachment_is_found(search: Search, attachment: Path) -> None:
    search.before()
    plant(search, attachment.read_bytes()[45_000:55_000])
    with pytest.raises(DoesNotHold, match="found in clear: "):
        search.after()


def test_what_lies_across_two_blocks_is_found(search: Search) -> None:
    plant(search, b"Gourmelec", at=4 * 1024 * 1024 - 4)
    with pytest.raises(DoesNotHold, match="'Gourmelec'"):
        search.after()


def test_what_was_there_before_is_nobodys_leak_even_where_it_overlaps(search: Search) -> None:
    plant(search, PLANTED["a phrase"].encode() + b". Elle dit qu" + "’elle veut que ça".encode())
    search.before()
    known = len(search.there_before)
    assert known > 3
    assert search.after() == len(search.words) + 1 - known


def test_it_is_found_in_the_memory_of_a_process(search: Search) -> None:
    program = "import sys; held = sys.stdin.buffer.readline()[::-1]; print(len(held), flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        search.pid = process.pid
        search.before()
        process.stdin.write(("+33639980005"[::-1] + "\n").encode())
        process.stdout.readline()
        try:
            with pytest.raises(DoesNotHold, match=r"'\+33639980005'"):
                search.after()
        finally:
            process.stdin.close()
