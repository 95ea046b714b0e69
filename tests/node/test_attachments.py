from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cordee.errors import ContentDamaged
from node.attachments import PIECE, AttachmentStore, StoredAttachment, Written
from node.vault import DataKey
from tests.flushing import Flushed

KEY = DataKey(bytes(range(32)))
MEBIBYTE = 1024 * 1024


@pytest.fixture
def store(tmp_path: Path, chance: Callable[[int], bytes]) -> AttachmentStore:
    return AttachmentStore(tmp_path / "attachments", random=chance)


def _stored(written: Written, attachment_id: str = "a1") -> StoredAttachment:
    return StoredAttachment(
        attachment_id=attachment_id,
        file_id=written.file_id,
        file_name="report.pdf",
        media_type="application/pdf",
        kind="report",
        section="situation",
        size=written.size,
        sha256=written.sha256,
        may_be_sent=True,
        third_party_data=False,
    )


@pytest.mark.parametrize("size", [0, 1, 16_383, 16_384, 16_385, PIECE - 1, PIECE, PIECE + 1, 1_000_000])
def test_an_attachment_comes_back_byte_for_byte(store: AttachmentStore, size: int) -> None:
    data = os.urandom(size)
    written = store.write(KEY, "a1", [data[:7], b"", data[7:]])
    assert written.size == size
    assert written.sha256 == hashlib.sha256(data).digest()
    pieces = list(store.read(KEY, _stored(written)))
    assert b"".join(pieces) == data
    assert all(0 < len(each) <= PIECE for each in pieces)


def test_nothing_of_an_attachment_is_on_disk_in_clear(store: AttachmentStore, tmp_path: Path) -> None:
    seen: list[bytes] = []

    def chunks() -> Iterator[bytes]:
        for _ in range(300):
            yield b"MARKED-CONTENT " * 1000
            if len(seen) < 3:
                seen.extend(each.read_bytes() for each in (tmp_path / "attachments").iterdir())

    written = store.write(KEY, "a1", chunks())
    seen.append((tmp_path / "attachments" / written.file_id).read_bytes())
    assert len(seen[-1]) > 4_000_000
    assert all(b"MARKED-CONTENT" not in each for each in seen)


def test_64_mebibytes_are_written_and_read_with_flat_memory(store: AttachmentStore) -> None:
    chunk = os.urandom(MEBIBYTE)
    tracemalloc.start()
    try:
        written = store.write(KEY, "a1", (chunk for _ in range(64)))
        read = sum(len(each) for each in store.read(KEY, _stored(written)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert written.size == read == 64 * MEBIBYTE
    assert peak < 8 * MEBIBYTE


@pytest.mark.parametrize("size", [0, 5, 16_384, 50_000])
def test_a_file_cut_short_or_made_longer_is_refused_before_anything_is_released(
    store: AttachmentStore, tmp_path: Path, size: int
) -> None:
    written = store.write(KEY, "a1", [bytes(size)])
    path = tmp_path / "attachments" / written.file_id
    whole = path.read_bytes()
    for broken in (b"", whole[:1], whole[:56], whole[:-16], whole[:-1], whole + b"\0", whole + whole):
        path.write_bytes(broken)
        with pytest.raises(ContentDamaged):
            next(store.read(KEY, _stored(written)))


def test_every_altered_byte_of_a_file_is_noticed(store: AttachmentStore, tmp_path: Path) -> None:
    written = store.write(KEY, "a1", [b"x" * 300])
    path = tmp_path / "attachments" / written.file_id
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x20]) + whole[position + 1 :])
        with pytest.raises(ContentDamaged):
            b"".join(store.read(KEY, _stored(written)))


def test_swapped_chunks_are_noticed(store: AttachmentStore, tmp_path: Path) -> None:
    written = store.write(KEY, "a1", [b"a" * 16_384, b"b" * 16_384, b"c"])
    path = tmp_path / "attachments" / written.file_id
    whole = path.read_bytes()
    chunk = 16_400
    path.write_bytes(whole[:56] + whole[56 + chunk : 56 + 2 * chunk] + whole[56 : 56 + chunk] + whole[56 + 2 * chunk :])
    with pytest.raises(ContentDamaged):
        b"".join(store.read(KEY, _stored(written)))


def test_a_file_opens_only_as_the_attachment_and_with_the_key_it_was_sealed_for(
    store: AttachmentStore, tmp_path: Path
) -> None:
    written = store.write(KEY, "a1", [b"x" * 300])
    other = store.write(KEY, "a2", [b"y" * 300])
    folder = tmp_path / "attachments"
    with pytest.raises(ContentDamaged):
        list(store.read(DataKey(bytes(32)), _stored(written)))
    with pytest.raises(ContentDamaged):
        list(store.read(KEY, _stored(written, "a2")))
    (folder / written.file_id).write_bytes((folder / other.file_id).read_bytes())
    with pytest.raises(ContentDamaged):
        list(store.read(KEY, _stored(written)))
    with pytest.raises(ContentDamaged):
        list(store.read(KEY, replace(_stored(written), file_id="../" + "a" * 29)))
    store.erase(written.file_id)
    with pytest.raises(ContentDamaged):
        list(store.read(KEY, _stored(written)))
    store.erase(written.file_id)


def test_a_stream_that_breaks_off_leaves_nothing_behind(store: AttachmentStore, tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x" * 3 * MEBIBYTE
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        store.write(KEY, "a1", broken())
    writer = store.writer(KEY, "a2")
    writer.write(b"y")
    writer.abandon()
    assert list((tmp_path / "attachments").iterdir()) == []


def test_a_push_writer_gives_what_write_gives(store: AttachmentStore) -> None:
    writer = store.writer(KEY, "a1")
    for _ in range(3):
        writer.write(b"z" * 100_000)
    written = writer.finish()
    writer.abandon()  # too late: what is finished stays
    assert b"".join(store.read(KEY, _stored(written))) == b"z" * 300_000


def test_sweeping_removes_only_what_no_record_knows(store: AttachmentStore, tmp_path: Path) -> None:
    known = store.write(KEY, "a1", [b"1"])
    store.write(KEY, "a2", [b"2"])
    assert store.sweep({known.file_id}) == 1
    assert [each.name for each in (tmp_path / "attachments").iterdir()] == [known.file_id]


def test_a_crash_before_the_flush_leaves_an_orphan_that_is_swept(
    tmp_path: Path, chance: Callable[[int], bytes]
) -> None:
    program = textwrap.dedent(
        """
        import os, sys
        from pathlib import Path
        from cordee.runtime.crashpoint import Crashpoints
        from node.attachments import AttachmentStore
        from node.vault import DataKey
        store = AttachmentStore(Path(sys.argv[1]), random=os.urandom, crashpoints=Crashpoints.from_environment())
        store.write(DataKey(bytes(32)), "a1", [b"x" * 1000000])
        """
    )
    environment = os.environ | {"CORDEE_CRASH_AT": "attachments.write.before_fsync"}
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "attachments")], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    store = AttachmentStore(tmp_path / "attachments", random=chance)
    assert store.sweep([]) == 1
    assert list((tmp_path / "attachments").iterdir()) == []


def test_a_full_disk_is_told_and_leaves_no_file(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import os, resource, signal, sys
        from pathlib import Path
        import errno
        from cordee.errors import StorageFull
        from node import attachments
        from node.vault import DataKey
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000000, 2000000))
        store = attachments.AttachmentStore(Path(sys.argv[1]), random=os.urandom)
        try:
            store.write(DataKey(bytes(32)), "a1", (b"x" * 100000 for _ in range(100)))
        except (OSError, StorageFull) as failed:
            assert isinstance(failed, StorageFull) or failed.errno == errno.EFBIG, failed
            sys.exit(len(os.listdir(sys.argv[1])))
        sys.exit(99)
        """
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "attachments")], check=False)
    assert done.returncode == 0


def test_what_is_finished_was_flushed_before(
    store: AttachmentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed = Flushed(monkeypatch)
    written = store.write(KEY, "a1", [os.urandom(100_000)])
    assert flushed.whole(tmp_path / "attachments" / written.file_id)
    assert flushed.whole(tmp_path / "attachments")
