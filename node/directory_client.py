"""The node's line to the directory: one channel, its services, and errors with their reason restored."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence

import grpc

from cordee.ids import MemberId, TransferId
from cordee.runtime.tls import TransportKey, channel, server_name_of
from cordee.signing import Signed
from cordee.v1 import directory_pb2, directory_pb2_grpc, statements_pb2
from node.hearsay import microseconds_of, reading_the_roster
from node.mailbox_line import CALL_SECONDS, TRANSFER_SECONDS, MailboxLine, answered, ending_as_ours

__all__ = ["DirectoryClient"]


class DirectoryClient:
    """Calls of one member to the directory. Every method raises the CordeeError that the directory answered with,
    or Unreachable when it did not answer.
    """

    def __init__(self, target: str, *, root: bytes, key: TransportKey, certificate: bytes) -> None:
        """`target` is "host:port"; `root` and `certificate` are DER."""
        self._target = target
        self._root = root
        self.restored = 0
        """When the directory last came back from a backup, **as it says**, in microseconds since 1970; 0 for never."""
        self._connect(key, certificate)

    @property
    def identity(self) -> tuple[TransportKey, bytes]:
        """The key and the certificate (DER) that we call with now."""
        return self._identity

    @property
    def root(self) -> bytes:
        """The network's CA, DER; while one is exchanged, both."""
        return self._root

    def channel_to(self, member: MemberId, endpoint: str) -> grpc.aio.Channel:
        """A channel to a member's own mailbox, as whom we are to the directory. The caller closes it."""
        key, certificate = self._identity
        return channel(endpoint, root=self._root, key=key, certificate=certificate, server_name=server_name_of(member))

    def _connect(self, key: TransportKey, certificate: bytes) -> None:
        self._identity = (key, certificate)
        self._channel = channel(self._target, root=self._root, key=key, certificate=certificate)
        self._roster = directory_pb2_grpc.RosterStub(self._channel)
        self._broker = directory_pb2_grpc.BrokerStub(self._channel)
        self._events = directory_pb2_grpc.EventsStub(self._channel)
        self._membership = directory_pb2_grpc.MembershipStub(self._channel)
        self._mailbox = MailboxLine(self._channel)

    async def reconnect(self, *, key: TransportKey, certificate: bytes, root: bytes | None = None) -> None:
        """Go on with a renewed certificate, or with other CAs to trust. Calls under way end with Unreachable and are
        made again.
        """
        old = self._channel
        self._root = root or self._root
        self._connect(key, certificate)
        await old.close()

    async def close(self) -> None:
        """End all calls and the connection."""
        await self._channel.close()

    async def checkpoint(self) -> str:
        """The directory's newest signed checkpoint."""
        with reading_the_roster():
            call = self._roster.GetCheckpoint(directory_pb2.GetCheckpointRequest(), timeout=CALL_SECONDS)
            answer = await answered(call)
        self.restored = microseconds_of(answer.restored)
        return answer.checkpoint

    async def entries(self, *, start: int) -> AsyncGenerator[statements_pb2.Entry, None]:
        """The log's entries from an index on."""
        call = self._roster.ListEntries(directory_pb2.ListEntriesRequest(start=start), timeout=TRANSFER_SECONDS)
        with reading_the_roster(), ending_as_ours():
            async for answer in call:
                yield answer.entry

    async def append_entry(self, entry: statements_pb2.Entry) -> int:
        """Put an entry that this member signed about itself into the log. Its index. Safe to repeat."""
        request = directory_pb2.AppendEntryRequest(entry=entry)
        return (await answered(self._roster.AppendEntry(request, timeout=CALL_SECONDS))).index

    async def tell_held(self, held: Signed) -> None:
        """Say how much of the log this node holds; `held` is a HeldCheckpoint."""
        request = directory_pb2.TellHeldCheckpointRequest(held=held.to_message())
        await answered(self._roster.TellHeldCheckpoint(request, timeout=CALL_SECONDS))

    async def cards(self, *, after_revision: int) -> AsyncIterator[directory_pb2.ListCardsResponse]:
        """The cards published after a revision."""
        request = directory_pb2.ListCardsRequest(after_revision=after_revision)
        call = self._roster.ListCards(request, timeout=TRANSFER_SECONDS)
        with reading_the_roster(), ending_as_ours():
            async for answer in call:
                yield answer

    async def publish_card(self, card: Signed, *, profile: bytes) -> None:
        """Replace our own card and profile."""
        request = directory_pb2.PublishCardRequest(card=card.to_message(), profile=profile)
        await answered(self._roster.PublishCard(request, timeout=CALL_SECONDS))

    async def renew_certificate(self, certificate_request: bytes) -> bytes:
        """A new certificate (DER) for the transport key on our newest card; `certificate_request` is PKCS #10, DER."""
        request = directory_pb2.RenewCertificateRequest(certificate_request=certificate_request)
        return (await answered(self._membership.RenewCertificate(request, timeout=CALL_SECONDS))).certificate

    async def authorities(self) -> list[bytes]:
        """The certificates (DER) of the CAs that the directory says are trusted: to be compared with the log."""
        request = directory_pb2.ListAuthoritiesRequest()
        answer = await answered(self._membership.ListAuthorities(request, timeout=CALL_SECONDS))
        return list(answer.certificates)

    async def submit(self, statement: Signed) -> str:
        """One step of a transfer; the state after it. Safe to repeat."""
        request = directory_pb2.SubmitRequest(statement=statement.to_message())
        return (await answered(self._broker.Submit(request, timeout=CALL_SECONDS))).state

    async def transfer(self, transfer: TransferId) -> directory_pb2.GetTransferResponse:
        """All that the broker keeps of a transfer of ours."""
        request = directory_pb2.GetTransferRequest(transfer_id=transfer)
        return await answered(self._broker.GetTransfer(request, timeout=CALL_SECONDS))

    async def give_back_transfer(
        self, statements: Sequence[statements_pb2.Signed]
    ) -> directory_pb2.GiveBackTransferResponse:
        """To a broker that came back from a backup: what it had taken of one transfer of ours."""
        request = directory_pb2.GiveBackTransferRequest(statements=statements)
        return await answered(self._broker.GiveBackTransfer(request, timeout=CALL_SECONDS))

    async def own_transfers(self) -> AsyncIterator[directory_pb2.ListOwnTransfersResponse]:
        """Every transfer of ours that the broker knows, with its state and how many statements it took."""
        call = self._broker.ListOwnTransfers(directory_pb2.ListOwnTransfersRequest(), timeout=TRANSFER_SECONDS)
        with ending_as_ours():
            async for each in call:
                yield each

    async def events(self, *, cursor: int) -> AsyncIterator[directory_pb2.Event]:
        """What concerns us, from after `cursor`, until the connection ends."""
        call = self._events.Watch(directory_pb2.WatchRequest(cursor=cursor))
        try:
            with ending_as_ours():
                async for event in call:
                    yield event
        finally:
            call.cancel()

    async def waiting_bytes(self, transfer: TransferId, *, begins: bytes = b"") -> int:
        """As `MailboxHost.waiting_bytes`, of the directory's mailbox."""
        return await self._mailbox.waiting_bytes(transfer, begins=begins)

    async def put(
        self,
        transfer: TransferId,
        *,
        offset: int,
        pieces: AsyncIterator[bytes],
        anew: bool = False,
        begins: bytes = b"",
    ) -> int:
        """As `MailboxHost.put`, to the directory's mailbox."""
        return await self._mailbox.put(transfer, offset=offset, pieces=pieces, anew=anew, begins=begins)

    def get(self, transfer: TransferId, *, offset: int) -> AsyncGenerator[bytes | memoryview, None]:
        """Read the mailbox from an offset to the end."""
        return self._mailbox.get(transfer, offset=offset)
