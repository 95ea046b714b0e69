"""A node's own mailbox lets a suspended member in over no connection: an open one, a new one, a resumed session."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import grpc.aio
import pytest
from grpc._cython import cygrpc

from cordee.errors import MemberIsSuspended, NotFound
from cordee.ids import TransferId
from cordee.members import MemberState
from cordee.runtime.tls import server_name_of
from cordee.v1 import statements_pb2 as v1
from node.direct_mailbox import Door
from node.joining import CERTIFICATE, open_keys
from node.mailbox_line import MailboxLine
from tests.neighbours import eventually, knows, neighbourhood
from tests.tls_sessions import plain_context, resuming_channel, shake_hands


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def test_a_suspended_member_is_refused_at_a_nodes_own_mailbox_also_over_a_resumed_session(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille", start=False) as (street, (paris, marseille)):
        port = free_port()
        await paris.start()
        await marseille.start(door=Door(listen=f"127.0.0.1:{port}", endpoint=f"127.0.0.1:{port}"))
        await eventually(lambda: knows(marseille, 2), what="cards")
        assert paris.member is not None
        assert marseille.member is not None
        _, key = await paris.here.db.read(lambda tx: open_keys(tx, paris.here.vault))
        certificate, name = (paris.folder / CERTIFICATE).read_bytes(), server_name_of(marseille.member)
        transfer, cache = TransferId(os.urandom(16)), cygrpc.SSLSessionCacheLRU(4)

        async def asks(line: MailboxLine) -> None:
            await line.waiting_bytes(transfer)  # there is no such transfer: who is let in hears that

        def connects() -> grpc.aio.Channel:
            return resuming_channel(
                f"127.0.0.1:{port}", street.town.ca, key, certificate, cache=cache, server_name=name
            )

        context = plain_context(street.town.ca, key, certificate, tmp_path)
        _, session = await shake_hands(port, context, server_name=name)
        resumed, session = await shake_hands(port, context, session, server_name=name)
        assert resumed, "what is tested here does happen"
        async with connects() as open_before:
            with pytest.raises(NotFound):
                await asks(MailboxLine(open_before))
            network, suspect = street.town.network, paris.member
            network.now = max(network.now, street.clock.now())
            statement = v1.MemberSuspended(**network.roster.head(suspect, street.clock.now()), member=suspect)
            await street.town.append(network.append(network.signed_entry(statement)))
            roster = marseille.here.roster
            await eventually(
                lambda: roster.roster.members[suspect].state is MemberState.SUSPENDED, what="the suspension"
            )
            with pytest.raises(MemberIsSuspended):
                await asks(MailboxLine(open_before))
        for _ in range(2):
            async with connects() as line:
                with pytest.raises(MemberIsSuspended):
                    await asks(MailboxLine(line))
        resumed, session = await shake_hands(port, context, session, server_name=name)
        assert not resumed, "the ticket from before counts for nothing"
        resumed, _ = await shake_hands(port, context, session, server_name=name)
        assert resumed, "so that what was refused above was refused on a resumed session too"
