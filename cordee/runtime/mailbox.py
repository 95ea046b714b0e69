"""Where ciphertext waits: one file for each transfer (protocol §8). Both the directory and a node can host it.

What was acknowledged is on disk: the file and its folder are synchronised before the answer. A crash or a lost
connection leaves a shorter file, from whose end the sender goes on.
"""

from __future__ import annotations

import asyncio
import functools
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar
from weakref import WeakValueDictionary

from cordee.errors import N_, CordeeError, InvalidInput, NotFound, OffsetBeyondEnd, TooManyBytes
from cordee.ids import MemberId, TransferId
from cordee.runtime.bulk import BLOCK, Appender, BlockReader
from cordee.runtime.contract import BEGINNING, CHUNK
from cordee.runtime.crashpoint import Crashpoints, register
from cordee.runtime.durable import private_folder, sync_folder
from cordee.runtime.exhausted import exhausted
from cordee.runtime.guard import caller
from cordee.runtime.limits import Budget
from cordee.runtime.mailbox_wire import Piece
from cordee.v1 import mailbox_pb2

__all__ = ["MailboxPolicy", "MailboxServicer", "MailboxStore"]

T = TypeVar("T")

BEFORE_FSYNC = register("mailbox.put.before_fsync")
AFTER_FSYNC = register("mailbox.put.after_fsync")

_LARGE = 4 * 1024 * 1024  # bytes, and
_SLOW = 2.0  # seconds: who may read along is told of uploads that have brought so much and take so long
_ASK_EVERY = 1.0  # seconds for which a policy's answer holds
_NAME = re.compile(r"[0-9a-f]{32}")


class MailboxStore:
    """The files of a folder (0700, made if need be), each named by its transfer's id in hexadecimal.

    It decides nothing about who may write or how much: see `MailboxPolicy`. Files are only ever appended to.
    """

    def __init__(self, folder: Path, *, crashpoints: Crashpoints | None = None, threads: int = 4) -> None:
        self._folder = private_folder(folder)
        self._crashpoints = crashpoints or Crashpoints()
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="mailbox")
        self._durable: dict[TransferId, int] = {}
        self._growing: dict[TransferId, _Growing] = {}
        self._locks: WeakValueDictionary[TransferId, asyncio.Lock] = WeakValueDictionary()

    def close(self) -> None:
        """Wait for what is being written."""
        self._threads.shutdown()

    async def append(
        self,
        transfer_id: TransferId,
        offset: int,
        chunks: AsyncIterator[bytes | memoryview],
        *,
        allow: Callable[[int], Awaitable[int]],
        anew: bool = False,
        begins: bytes = b"",
        under_way: Callable[[], None] = lambda: None,
    ) -> int:
        """Append to a transfer's file and return its size once everything is on disk.

        Bytes before the end of the file are taken to be those that it holds, and skipped; with `anew`, from offset 0,
        the file is another one, and who still appends to the one before hears NotFound. A file that does not begin as
        `begins` is another packing's, and holds nothing of this one. `allow` is asked, with the size that the file
        would have, before anything of it is written: it answers with the largest size that the file may have, and is
        asked again before the file grows over that, and once a second; what it raises ends the call. `under_way` is
        called once, where the call has brought 4 MiB and lasts longer than two seconds. When the connection breaks,
        what has come so far is kept; when the disk is full, the file goes back to what was durable before.

        Raises: OffsetBeyondEnd, StorageFull; NotFound if the transfer was erased meanwhile.
        """
        allowed = _Allowed(allow)
        await allowed.require(offset)
        lock = self._locks.setdefault(transfer_id, asyncio.Lock())
        async with lock:
            descriptor = await self._in_thread(self._open_to_append, transfer_id, offset, anew, begins)
        appender, position = Appender(descriptor), offset
        writing: asyncio.Task[None] | None = None  # one chunk, while the next one comes
        clock = asyncio.get_running_loop().time
        to_be_told, slow_from = True, clock() + _SLOW
        growing = self._growing.setdefault(transfer_id, _Growing())
        growing.writers += 1

        async def write(position: int, chunk: bytes | memoryview) -> None:
            async with lock:
                await self._in_thread(self._write, transfer_id, descriptor, appender, position, chunk)
            growing.tell()

        async def finish() -> int | None:
            try:
                if writing is not None:
                    await asyncio.wait({writing})
                    writing.exception()  # it was raised already, or something else was
                async with lock:
                    return await self._in_thread(self._synchronise, transfer_id, descriptor)
            finally:
                growing.writers -= 1
                growing.tell()
                if not growing.writers and self._growing.get(transfer_id) is growing:
                    del self._growing[transfer_id]

        try:
            async for chunk in chunks:
                end = position + len(chunk)
                await allowed.require(end)
                if writing is not None:
                    await asyncio.shield(writing)
                writing = asyncio.create_task(write(position, chunk))
                if to_be_told and end - offset >= _LARGE and clock() >= slow_from:
                    to_be_told = False
                    under_way()
                position = end
            if writing is not None:
                await asyncio.shield(writing)
        finally:
            # Also where the connection broke: what is on disk need not be sent again. However often this call is
            # cancelled, it is done to its end: readers wait for that.
            size = await asyncio.shield(asyncio.create_task(finish()))
        if size is None:
            raise NotFound(what=N_("mailbox"))
        return size

    async def read(
        self, transfer_id: TransferId, offset: int, *, allow: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[bytes]:
        """The file from an offset to its end, in pieces of 1 MiB.

        While somebody appends to it, that is as far as it comes: the end is where the last of them has ended. `allow`
        is asked first, and then once a second; what it raises ends the call, and where it answers that nothing more
        may come, nobody is waited for: a connection that is dead may not have been noticed yet.

        Raises: OffsetBeyondEnd; NotFound, also where it is erased or replaced meanwhile.
        """
        allowed = _Allowed(lambda _: _as_number(allow))
        await allowed.require(0)
        reader = await self._in_thread(self._open_to_read, transfer_id)
        ahead: asyncio.Future[list[bytes]] | None = None  # one block, while the one before is sent
        try:
            if offset > reader.size:
                raise OffsetBeyondEnd(held=reader.size, offset=offset)
            while ahead is not None or offset < await self._readable(transfer_id, reader, offset, allowed):
                await allowed.require(0)
                block = await (ahead or self._block(reader, offset))
                ahead = None
                if not block:
                    raise NotFound(what=N_("mailbox"))  # shortened while it was read
                offset += sum(map(len, block))
                if offset < self._whole(transfer_id, reader, allowed):
                    ahead = self._block(reader, offset)
                for piece in block:
                    yield piece
        finally:
            if ahead is not None:
                await asyncio.wait({ahead})
            reader.close()

    async def _readable(self, transfer_id: TransferId, reader: BlockReader, offset: int, allowed: _Allowed) -> int:
        """How far it can be read, as soon as that is beyond the offset, or final."""
        while (size := self._whole(transfer_id, reader, allowed)) <= offset:
            growing = self._growing.get(transfer_id)
            if growing is None or reader.erased or not allowed.answer:
                break
            await growing.news(_ASK_EVERY)
            await allowed.require(0)
        if size <= offset and reader.erased:
            raise NotFound(what=N_("mailbox"))  # replaced, or withdrawn
        return size

    def _whole(self, transfer_id: TransferId, reader: BlockReader, allowed: _Allowed) -> int:
        """Bytes that can be read now: whole blocks, while it grows."""
        size = reader.size
        return size - size % BLOCK if allowed.answer and transfer_id in self._growing else size

    async def size(self, transfer_id: TransferId) -> int:
        """How many bytes are durable; 0 where there is no file."""
        known = self._durable.get(transfer_id)
        if known is None:
            known = await self._in_thread(self._size_on_disk, transfer_id)
        return known

    async def held(self, transfer_id: TransferId) -> tuple[int, bytes]:
        """How many bytes are durable, and the first of them, `BEGINNING` at most."""
        async with self._locks.setdefault(transfer_id, asyncio.Lock()):  # neither replaced nor longer meanwhile
            size = await self.size(transfer_id)
            return size, await self._in_thread(self._beginning, transfer_id, size)

    async def erase(self, transfer_id: TransferId) -> None:
        """Remove a transfer's file, durably. It need not exist."""
        async with self._locks.setdefault(transfer_id, asyncio.Lock()):
            self._durable.pop(transfer_id, None)
            await self._in_thread(self._unlink, transfer_id)
        if growing := self._growing.get(transfer_id):
            growing.tell()

    async def hand_over(self, transfer_id: TransferId, to: Path, *, size: int, begins: bytes) -> bool:
        """Move a transfer's file to `to`, in the same file system, where it has that size and begins so; otherwise it
        is erased. Whether it was moved.
        """
        async with self._locks.setdefault(transfer_id, asyncio.Lock()):
            self._durable.pop(transfer_id, None)
            return await self._in_thread(self._move, transfer_id, to, size, begins)

    def drop(self, transfer_id: TransferId) -> None:
        """Remove a transfer's file at once; as `names` finds it, it is swept again at each start."""
        self._durable.pop(transfer_id, None)
        with suppress(FileNotFoundError):
            self._path(transfer_id).unlink()
        if growing := self._growing.get(transfer_id):
            growing.tell()

    def names(self) -> frozenset[TransferId]:
        """The transfers that have a file: for sweeping up after a crash."""
        found = (path.name for path in self._folder.iterdir())
        return frozenset(TransferId(bytes.fromhex(name)) for name in found if _NAME.fullmatch(name))

    def _block(self, reader: BlockReader, offset: int) -> asyncio.Future[list[bytes]]:
        return asyncio.ensure_future(self._in_thread(functools.partial(reader.read, offset, piece=CHUNK)))

    # ---- in a thread ----

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def _path(self, transfer_id: TransferId) -> Path:
        return self._folder / TransferId(transfer_id).hex()

    def _open_to_append(self, transfer_id: TransferId, offset: int, anew: bool, begins: bytes) -> int:
        path = self._path(transfer_id)
        if anew:
            self._durable.pop(transfer_id, None)
            path.unlink(missing_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        with exhausted(N_("the mailbox")):
            try:
                descriptor = os.open(path, flags)
            except FileNotFoundError:
                if offset:
                    raise OffsetBeyondEnd(held=0, offset=offset) from None
                descriptor = os.open(path, flags | os.O_CREAT, 0o600)
                sync_folder(self._folder)
        try:
            size = os.fstat(descriptor).st_size
            if offset > size:
                raise OffsetBeyondEnd(held=size, offset=offset)
            if not begins.startswith(os.pread(descriptor, len(begins), 0)):
                raise OffsetBeyondEnd(held=0, offset=offset)
            if transfer_id not in self._durable:  # what an earlier process left may not be on disk yet
                os.fsync(descriptor)
                sync_folder(self._folder)  # nor its name
                self._durable[transfer_id] = size
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _write(
        self,
        transfer_id: TransferId,
        descriptor: int,
        appender: Appender,
        position: int,
        chunk: bytes | memoryview,
    ) -> None:
        size = os.fstat(descriptor).st_size
        if position > size:
            raise OffsetBeyondEnd(held=size, offset=position)
        rest = memoryview(chunk)[size - position :]
        try:
            with exhausted(N_("the mailbox")):
                appender.append([rest], position=size)
        except CordeeError:
            os.ftruncate(descriptor, self._durable.get(transfer_id, 0))
            raise

    def _synchronise(self, transfer_id: TransferId, descriptor: int) -> int | None:
        """Make the file durable and close it. None if it was erased."""
        try:
            self._crashpoints.reach(BEFORE_FSYNC)
            with exhausted(N_("the mailbox")):
                os.fsync(descriptor)
            self._crashpoints.reach(AFTER_FSYNC)
            state = os.fstat(descriptor)
            if state.st_nlink == 0:
                return None
            self._durable[transfer_id] = state.st_size
            return state.st_size
        finally:
            os.close(descriptor)

    def _open_to_read(self, transfer_id: TransferId) -> BlockReader:
        try:
            return BlockReader(self._path(transfer_id), flags=os.O_NOFOLLOW)
        except FileNotFoundError:
            raise NotFound(what=N_("mailbox")) from None

    def _size_on_disk(self, transfer_id: TransferId) -> int:
        try:
            descriptor = os.open(self._path(transfer_id), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return 0
        try:
            os.fsync(descriptor)
            sync_folder(self._folder)
            return os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)

    def _beginning(self, transfer_id: TransferId, size: int) -> bytes:
        with suppress(FileNotFoundError), self._path(transfer_id).open("rb", buffering=0) as file:
            return file.read(min(size, BEGINNING))
        return b""

    def _move(self, transfer_id: TransferId, to: Path, size: int, begins: bytes) -> bool:
        path = self._path(transfer_id)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False
        try:
            wanted = os.fstat(descriptor).st_size == size and os.pread(descriptor, len(begins), 0) == begins
        finally:
            os.close(descriptor)
        if wanted:
            path.replace(to)
            sync_folder(to.parent)  # first: between the two it has both names, never none
        else:
            path.unlink()
        sync_folder(self._folder)
        return wanted

    def _unlink(self, transfer_id: TransferId) -> None:
        with suppress(FileNotFoundError):
            self._path(transfer_id).unlink()
            sync_folder(self._folder)


class MailboxPolicy(Protocol):
    """The host's rules. Each method returns to allow and raises to refuse."""

    async def may_write(self, caller: MemberId, transfer_id: TransferId, new_size: int) -> int:
        """Whether the caller may make the transfer's file that long, and how long at most, in bytes.

        Asked at the start of every upload, about once a second while it lasts, and before it goes over that size.
        """
        ...

    async def may_read(self, caller: MemberId, transfer_id: TransferId) -> bool:
        """Whether the caller may read the transfer's file. False is no refusal: nothing more may come.

        Asked at the start of every download, and about once a second while it lasts.
        """
        ...

    async def may_stat(self, caller: MemberId, transfer_id: TransferId) -> None:
        """Whether the caller may know the file's size."""
        ...

    def under_way(self, transfer_id: TransferId, *, anew: bool) -> None:
        """A large upload has begun, in the place of an earlier one where it is `anew`: its reader may be told."""
        ...


class MailboxServicer:
    """The Mailbox service over a store, by a policy; `add_mailbox` hosts it. It stands behind a ConnectionGuard.

    `bytes_a_day` counts what each member uploads: the policy bounds what waits, not how often it is sent anew.
    """

    def __init__(self, store: MailboxStore, policy: MailboxPolicy, bytes_a_day: Budget | None = None) -> None:
        self._store = store
        self._policy = policy
        self._bytes = bytes_a_day

    async def Put(
        self, request_iterator: AsyncIterator[mailbox_pb2.PutRequest | Piece], context: Any
    ) -> mailbox_pb2.PutResponse:
        """Append. Raises what `MailboxStore.append` and the policy raise, InvalidInput, and TooManyBytes."""
        member = caller(context).member
        first = await anext(aiter(request_iterator), None)
        if first is None or isinstance(first, Piece) or not first.transfer_id:
            raise InvalidInput(field="transfer_id", problem=N_("missing in the first message"))
        if first.anew and first.offset:
            raise InvalidInput(field="anew", problem=N_("only from offset 0"))
        transfer_id = TransferId(first.transfer_id)
        size = await self._store.append(
            transfer_id,
            first.offset,
            self._counted(member, _data(first, request_iterator)),
            allow=lambda new_size: self._policy.may_write(member, transfer_id, new_size),
            anew=first.anew,
            begins=first.begins,
            under_way=lambda: self._policy.under_way(transfer_id, anew=first.anew),
        )
        return mailbox_pb2.PutResponse(size=size)

    async def _counted(
        self, member: MemberId, pieces: AsyncIterator[bytes | memoryview]
    ) -> AsyncIterator[bytes | memoryview]:
        async for piece in pieces:
            if self._bytes is not None:
                self._bytes.spend(member, len(piece), error=TooManyBytes)
            yield piece

    async def Get(self, request: mailbox_pb2.GetRequest, context: Any) -> AsyncIterator[Piece]:
        """Read to the end. Raises what `MailboxStore.read` and the policy raise."""
        transfer_id, member = TransferId(request.transfer_id), caller(context).member
        allow = functools.partial(self._policy.may_read, member, transfer_id)
        async for data in self._store.read(transfer_id, request.offset, allow=allow):
            yield Piece(data)

    async def Stat(self, request: mailbox_pb2.StatRequest, context: Any) -> mailbox_pb2.StatResponse:
        """The durable size, and of which packing it is. Raises what the policy raises."""
        transfer_id = TransferId(request.transfer_id)
        await self._policy.may_stat(caller(context).member, transfer_id)
        size, begins = await self._store.held(transfer_id)
        return mailbox_pb2.StatResponse(size=size, begins=begins)


class _Growing:
    """A file that somebody appends to, for those who read along."""

    def __init__(self) -> None:
        self.writers = 0
        self._news = asyncio.Event()

    def tell(self) -> None:
        """It is longer, or there is one writer less."""
        self._news.set()
        self._news = asyncio.Event()

    async def news(self, seconds: float) -> None:
        """Until the next of it, and no longer than that."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), seconds)


async def _as_number(allow: Callable[[], Awaitable[bool]]) -> int:
    return int(await allow())


class _Allowed:
    """What a policy answered, as long as it holds: asking it for every chunk costs more than the chunk."""

    def __init__(self, ask: Callable[[int], Awaitable[int]]) -> None:
        self._ask = ask
        self.answer = -1
        """The newest."""
        self._until = 0.0

    async def require(self, size: int) -> None:
        """Raises what the policy raises."""
        now = asyncio.get_running_loop().time()
        if size <= self.answer and now < self._until:
            return
        self.answer = await self._ask(size)
        self._until = now + _ASK_EVERY


async def _data(
    first: mailbox_pb2.PutRequest, others: AsyncIterator[mailbox_pb2.PutRequest | Piece]
) -> AsyncIterator[bytes | memoryview]:
    if data := first.data:  # each look at the field is a copy
        yield data
    async for request in others:
        if isinstance(request, Piece):
            yield request.data
            continue
        if request.transfer_id or request.offset or request.anew or request.begins:
            raise InvalidInput(field="transfer_id", problem=N_("only the first message names transfer and offset"))
        if data := request.data:
            yield data
