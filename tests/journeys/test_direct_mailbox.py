"""A recipient that can be reached hosts its own mailbox (protocol §8); where that fails, the directory carries all."""

from __future__ import annotations

import asyncio
import functools
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cordee.errors import MemberIsSuspended, NotAMember, NotInThisState, TooLarge, Unreachable, WrongParty
from cordee.ids import MemberId, TransferId
from cordee.members import MemberState
from cordee.runtime.bulk import BLOCK
from cordee.runtime.mailbox import MailboxStore
from cordee.runtime.tls import CertificateAuthority, TransportKey, channel, server_name_of
from cordee.transfer import State
from cordee.v1 import statements_pb2 as v1
from node import transfer_store
from node.chain import Chain
from node.direct_mailbox import Door
from node.directory_client import DirectoryClient
from node.joining import CERTIFICATE, Membership, open_keys
from node.mailbox_line import MailboxLine
from node.shipping import Shipping
from node.transfer_store import Transfer
from tests.journeys import one_file
from tests.neighbours import Neighbour, Street, eventually, neighbourhood

FILE = os.urandom(5 * BLOCK)
HELD_UP = 3 * BLOCK  # bytes
PUT = MailboxLine.put


class Uploads:
    """What every upload brought, and to whom; it can be held up at a byte."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.direct: list[tuple[int, int]] = []  # offset, bytes after it
        self.to_the_directory: list[tuple[int, int]] = []
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        line_put, directory_put = MailboxLine.put, DirectoryClient.put
        of_the_directory: set[MailboxLine] = set()

        async def noted(
            put: Any, seen: list[tuple[int, int]], transfer: TransferId, offset: int, pieces: Any, options: Any
        ) -> int:
            seen.append((offset, 0))
            place = len(seen) - 1

            async def through() -> AsyncIterator[bytes]:
                sent = 0
                async for piece in pieces:
                    if offset + sent >= HELD_UP:
                        await self.goes_on.wait()
                    yield piece
                    sent += len(piece)
                    seen[place] = (offset, sent)

            size: int = await put(transfer, offset=offset, pieces=through(), **options)
            return size

        async def put_by_line(line: MailboxLine, transfer: TransferId, *, offset: int, pieces: Any, **more: Any) -> int:
            if line in of_the_directory:
                return await line_put(line, transfer, offset=offset, pieces=pieces, **more)
            bound = line_put.__get__(line)
            return await noted(bound, self.direct, transfer, offset, pieces, more)

        async def put_by_client(
            client: DirectoryClient, transfer: TransferId, *, offset: int, pieces: Any, **more: Any
        ) -> int:
            of_the_directory.add(client._mailbox)
            bound = directory_put.__get__(client)
            return await noted(bound, self.to_the_directory, transfer, offset, pieces, more)

        monkeypatch.setattr(MailboxLine, "put", put_by_line)
        monkeypatch.setattr(DirectoryClient, "put", put_by_client)


@pytest.fixture
async def uploads(monkeypatch: pytest.MonkeyPatch) -> Uploads:
    return Uploads(monkeypatch)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def a_door(*, reached_at: int | None = None) -> Door:
    port = free_port()
    return Door(listen=f"127.0.0.1:{port}", endpoint=f"127.0.0.1:{reached_at or port}")


async def started(*neighbours: Neighbour, door: Door) -> None:
    """All of them, the second with a mailbox of its own."""
    for number, each in enumerate(neighbours):
        await each.start(door=door if number == 1 else None)
    for each in neighbours:
        await eventually(functools.partial(_knows_all, each, len(neighbours)), what="cards")


def _knows_all(neighbour: Neighbour, count: int) -> bool:
    return len([each for each in neighbour.here.roster.members() if each.card_expires]) >= count


def lies_with(neighbour: Neighbour, transfer: TransferId) -> int:
    path = neighbour.folder / "mailbox" / transfer.hex()
    return path.stat().st_size if path.exists() else 0


async def offered_and_accepted(paris: Neighbour, marseille: Neighbour) -> tuple[str, TransferId]:
    return await one_file.accepted(paris, marseille, FILE)


async def test_a_case_goes_from_node_to_node_and_the_directory_carries_none_of_it(
    tmp_path: Path, uploads: Uploads
) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille", start=False) as (street, (paris, marseille)):
        await started(paris, marseille, door=a_door())
        case_id, transfer = await offered_and_accepted(paris, marseille)
        await one_file.arrives(paris, marseille, case_id, transfer, street, FILE)
        assert uploads.to_the_directory == []
        ((offset, size),) = uploads.direct
        assert offset == 0
        assert size > len(FILE)


async def test_the_card_tells_where_the_mailbox_is_and_no_longer_once_there_is_none(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille", start=False) as (street, (paris, marseille)):
        door = a_door()
        await started(paris, marseille, door=door)

        async def told() -> str:
            assert marseille.member is not None
            return paris.here.roster.card(marseille.member, now=street.clock.now()).card.endpoint

        await eventually(lambda: _is(told, door.endpoint), what="the endpoint on the card")
        await marseille.stop()
        await marseille.start()
        await eventually(lambda: _is(told, ""), what="a card without it")


async def _is(ask: Any, wanted: str) -> bool:
    return bool(await ask() == wanted)


async def test_where_the_mailbox_cannot_be_reached_all_goes_through_the_directory_and_is_not_tried_again_soon(
    tmp_path: Path, uploads: Uploads, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[str] = []
    async with neighbourhood(tmp_path, "Paris", "Marseille", start=False) as (street, (paris, marseille)):
        await started(paris, marseille, door=a_door(reached_at=free_port()))
        channel_to = DirectoryClient.channel_to

        def counted(client: DirectoryClient, member: MemberId, endpoint: str) -> Any:
            tries.append(endpoint)
            return channel_to(client, member, endpoint)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(DirectoryClient, "channel_to", counted)
            case_id, transfer = await offered_and_accepted(paris, marseille)
            await one_file.arrives(paris, marseille, case_id, transfer, street, FILE)
            record = await paris.case(1)
            act = await paris.act(record, marseille)
            second = await paris.offer(record, marseille, act)
            await marseille.reaches(second, State.OFFERED)
            await marseille.here.receiving.accept(marseille.person, second)
            await paris.reaches(second, State.RECEIVED)
        assert uploads.direct == []
        assert len(tries) == 1


async def test_what_a_broken_line_had_brought_is_left_and_the_directory_gets_all_of_it(
    tmp_path: Path, uploads: Uploads
) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille", start=False) as (street, (paris, marseille)):
        await started(paris, marseille, door=a_door())
        uploads.goes_on.clear()
        case_id, transfer = await offered_and_accepted(paris, marseille)
        await eventually(lambda: lies_with(marseille, transfer) >= 2 * BLOCK, what="a part of it")
        await marseille.stop()
        uploads.goes_on.set()
        await marseille.start()
        await one_file.arrives(paris, marseille, case_id, transfer, street, FILE)
        assert uploads.to_the_directory[-1][0] == 0, "from its first byte: no host holds a part that another lacks"
        assert uploads.to_the_directory[-1][1] > len(FILE)


async def test_a_sender_that_starts_again_goes_on_where_the_recipients_own_mailbox_ends(
    tmp_path: Path, uploads: Uploads
) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille", start=False) as (street, (paris, marseille)):
        await started(paris, marseille, door=a_door())
        uploads.goes_on.clear()
        case_id, transfer = await offered_and_accepted(paris, marseille)
        await eventually(lambda: lies_with(marseille, transfer) >= 2 * BLOCK, what="a part of it")
        await eventually(lambda: (paris.folder / "spool" / f"{transfer.hex()}.out").exists(), what="the spool")
        packed = paris.here.house
        await eventually(lambda: _is_packed(packed.db, transfer), what="all of it packed")
        await paris.stop()
        uploads.goes_on.set()
        await paris.start()
        await one_file.arrives(paris, marseille, case_id, transfer, street, FILE)
        assert uploads.to_the_directory == []
        assert uploads.direct[-1][0] >= 2 * BLOCK


async def _is_packed(db: Any, transfer: TransferId) -> bool:
    row = await db.read(lambda tx: transfer_store.read_transfer(tx, transfer))
    return row.ciphertext_header is not None


async def test_what_came_before_the_mailbox_was_closed_is_still_collected(
    tmp_path: Path, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_open_again, close = asyncio.Event(), Shipping._close

    async def close_later(shipping: Shipping, job: Transfer) -> None:
        await is_open_again.wait()
        await close(shipping, job)

    monkeypatch.setattr(Shipping, "_close", close_later)
    async with neighbourhood(tmp_path, "Paris", "Marseille", start=False) as (street, (paris, marseille)):
        await started(paris, marseille, door=a_door())
        case_id, transfer = await offered_and_accepted(paris, marseille)
        await eventually(lambda: lies_with(marseille, transfer) > len(FILE), what="all of it")
        await marseille.stop()
        await marseille.start()
        assert lies_with(marseille, transfer) > len(FILE), "a start sweeps only what is over"
        is_open_again.set()
        await one_file.arrives(paris, marseille, case_id, transfer, street, FILE)
        assert uploads.to_the_directory == []


async def test_what_is_lost_in_the_own_mailbox_is_refused_at_once_so_that_it_can_be_offered_again(
    tmp_path: Path, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(store: MailboxStore, transfer: TransferId, to: Path, **facts: Any) -> bool:
        store.drop(transfer)
        return False

    async with neighbourhood(tmp_path, "Paris", "Marseille", start=False) as (_street, (paris, marseille)):
        await started(paris, marseille, door=a_door())
        monkeypatch.setattr(MailboxStore, "hand_over", lost)
        _case, transfer = await offered_and_accepted(paris, marseille)
        await paris.reaches(transfer, State.REFUSED)
        await marseille.reaches(transfer, State.REFUSED)


async def calling_card(neighbour: Neighbour) -> tuple[TransportKey, bytes]:
    """The key and the certificate that a member's node calls with."""
    house = neighbour.here.house
    _, transport = await house.db.read(lambda tx: open_keys(tx, house.vault))
    return transport, (neighbour.folder / CERTIFICATE).read_bytes()


async def put(
    caller: tuple[TransportKey, bytes], to: Neighbour, transfer: TransferId, door: Door, *, offset: int = 0
) -> int:
    """As a member's node would, whatever it was told."""
    key, certificate = caller
    root = Membership.load(to.folder).ca_certificate
    assert to.member is not None

    async def pieces() -> AsyncIterator[bytes]:
        yield b"x"

    name = server_name_of(to.member)
    async with channel(door.endpoint, root=root, key=key, certificate=certificate, server_name=name) as line:
        return await PUT(MailboxLine(line), transfer, offset=offset, pieces=pieces())


async def test_only_the_sender_writes_only_while_it_is_accepted_and_no_more_than_it_announced(
    tmp_path: Path, uploads: Uploads
) -> None:
    names = ("Paris", "Marseille", "Lille")
    async with neighbourhood(tmp_path, *names, start=False) as (street, (paris, marseille, lille)):
        door = a_door()
        await started(paris, marseille, lille, door=door)
        uploads.goes_on.clear()
        case_id, transfer = await offered_and_accepted(paris, marseille)
        await eventually(lambda: lies_with(marseille, transfer) >= 2 * BLOCK, what="a part of it")
        before = lies_with(marseille, transfer)
        with pytest.raises(WrongParty):
            await put(await calling_card(lille), marseille, transfer, door)
        house = paris.here.house
        bound = (await house.db.read(lambda tx: Chain.read(house, tx, transfer))).offer.size_bound
        with pytest.raises(TooLarge):
            await put(await calling_card(paris), marseille, transfer, door, offset=bound + 1)
        assert lies_with(marseille, transfer) >= before
        uploads.goes_on.set()
        await one_file.arrives(paris, marseille, case_id, transfer, street, FILE)
        with pytest.raises(NotInThisState):
            await put(await calling_card(paris), marseille, transfer, door)
        assert lies_with(marseille, transfer) == 0


async def test_strangers_and_suspended_members_get_in_nowhere(tmp_path: Path, uploads: Uploads) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille", start=False) as (street, (paris, marseille)):
        door = a_door()
        await started(paris, marseille, door=door)
        uploads.goes_on.clear()
        _case, transfer = await offered_and_accepted(paris, marseille)
        await eventually(lambda: lies_with(marseille, transfer) >= 2 * BLOCK, what="a part of it")

        key, elsewhere = TransportKey.generate(), CertificateAuthority.create(now=street.clock.now())
        assert paris.member is not None
        forged = elsewhere.issue(key.request(), member=paris.member, now=street.clock.now())
        with pytest.raises(Unreachable):  # its handshake ends there
            await put((key, forged), marseille, transfer, door)

        own = street.town.directory.authority
        issued = own.issue(key.request(), member=paris.member, key_digest=key.digest)
        with pytest.raises(NotAMember):  # of the network's own CA, in Paris's name, but on nobody's card
            await put((key, issued), marseille, transfer, door)

        caller, roster, suspect = await calling_card(paris), marseille.here.roster, paris.member
        await suspended(street, suspect)
        await eventually(lambda: roster.roster.members[suspect].state is MemberState.SUSPENDED, what="the suspension")
        with pytest.raises(MemberIsSuspended):
            await put(caller, marseille, transfer, door)
        uploads.goes_on.set()
        await asyncio.sleep(1.2)
        assert await marseille.state(transfer) is State.ACCEPTED, "it stands still"


async def suspended(street: Street, member: MemberId) -> None:
    network = street.town.network
    statement = v1.MemberSuspended(**network.roster.head(member, street.clock.now()), member=member)
    await street.town.append(network.append(network.signed_entry(statement)))
