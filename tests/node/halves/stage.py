"""Two or three associations' halves of a transfer, each step taken by hand: nothing listens, sends or works by itself.

transfer = await stage.shipped(paris, marseille)     # offered, accepted, shipped; each heard by the other
await marseille.fetching.run(transfer)
await stage.carry(transfer, Kind.RECEIPT_TAKEN)      # Paris hears it
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from cordee.case import case_of, mandatory_sections
from cordee.errors import CordeeError, NotFound, Unreachable
from cordee.ids import TransferId
from cordee.runtime.clock import ManualClock
from cordee.runtime.crashpoint import Crashpoints
from cordee.signing import Signed
from cordee.transfer import Kind, State
from cordee.v1 import directory_pb2 as pb
from node import journal, need_to_know, records, transfer_store
from node.answers import Answers
from node.app import Node
from node.arrivals import Arrivals
from node.attachments import StoredAttachment
from node.chain import Chain
from node.demo import cases as synthetic
from node.fetching import Fetching
from node.house import Changes, House
from node.outbox import Outbox
from node.people import Handler, Role
from node.prefetching import Prefetching
from node.receiving import Receiving
from node.sending import Sending, write_withdrawal
from node.shipping import Shipping
from node.terms import Terms
from node.transfer_store import Transfer
from tests.builders import MemberKeys, Network
from tests.directory.town import profile_of
from tests.recording_acts import recorded_act

from ..association import opened, registered

__all__ = ["NOBODY", "PERSON", "REFERRAL", "Ear", "Half", "Line", "Stage", "optional", "staged"]

PERSON = Handler("camille", "Camille", frozenset({Role.HANDLER, Role.LEAD}), bound_by_secrecy=True)
NOBODY = Handler("aude", "Aude", frozenset({Role.AUDITOR}), bound_by_secrecy=True)
REFERRAL: dict[str, Any] = {"purpose": "joint_followup", "kind": "referral"}
"""Of `Stage.offer`: a case that is shared, not handed over."""

_RECIPIENTS = (Kind.ACCEPTANCE, Kind.REFUSAL, Kind.RECEIPT_TAKEN, Kind.RECEIPT_REFUSED, Kind.ERASURE)


class Points(Crashpoints):
    """Writes down what is reached."""

    def __init__(self) -> None:
        super().__init__()
        self.reached: list[str] = []
        self.then: dict[str, Callable[[], None]] = {}

    def reach(self, name: str) -> None:
        self.reached.append(name)
        self.then.pop(name, lambda: None)()


class News(Changes):
    """Writes down which transfers others were told of."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[TransferId] = []

    def tell(self, transfer: TransferId) -> None:
        self.told.append(transfer)
        super().tell(transfer)


@dataclass
class Line:
    """One member's end of a line to a directory that takes everything, unless it is told otherwise."""

    held: dict[TransferId, bytes]
    """What waits in the mailbox, the same for all."""
    submitted: list[Signed] = field(default_factory=list)
    answers: list[CordeeError | None] = field(default_factory=list)
    """What it answers to the next statements, in turn; None where it takes one."""
    state: State | CordeeError = State.OFFERED
    """What it says of a transfer."""
    puts: list[tuple[int, bool]] = field(default_factory=list)
    """Where each upload began, and whether anew."""
    gets: list[int] = field(default_factory=list)
    put_breaks: list[int | CordeeError] = field(default_factory=list)
    """After how many bytes the next uploads break, or what they are answered; 0 takes nothing and says so."""
    get_breaks: list[int | CordeeError] = field(default_factory=list)
    asked: int = 0
    meanwhile: Callable[[], Any] = lambda: None
    """What happens here while a statement is on its way."""

    async def submit(self, signed: Signed) -> str:
        self.submitted.append(signed)
        self.meanwhile()
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        return ""

    async def transfer(self, transfer: TransferId) -> pb.GetTransferResponse:
        self.asked += 1
        if isinstance(self.state, CordeeError):
            raise self.state
        return pb.GetTransferResponse(state=str(self.state))

    async def waiting_bytes(self, transfer: TransferId, *, begins: bytes = b"") -> int:
        held = self.held.get(transfer, b"")
        return len(held) if begins.startswith(held[: len(begins)]) else 0

    async def put(
        self,
        transfer: TransferId,
        *,
        offset: int,
        pieces: AsyncIterator[bytes],
        anew: bool = False,
        begins: bytes = b"",
    ) -> int:
        self.puts.append((offset, anew))
        breaks = self.put_breaks.pop(0) if self.put_breaks else None
        if isinstance(breaks, CordeeError):
            raise breaks
        held = b"" if anew else self.held.get(transfer, b"")
        assert begins.startswith(held[: len(begins)]), "nothing after another packing"
        assert len(held) == offset, "no gap and nothing twice"
        async for piece in pieces:
            held += piece if breaks is None else piece[: max(0, breaks - len(held))]
            self.held[transfer] = held
            if breaks is not None and len(held) >= breaks > 0:
                raise Unreachable(peer="mailbox")
        self.held[transfer] = held
        return len(held)

    async def get(self, transfer: TransferId, *, offset: int) -> AsyncGenerator[bytes, None]:
        self.gets.append(offset)
        breaks = self.get_breaks.pop(0) if self.get_breaks else None
        if isinstance(breaks, CordeeError):
            raise breaks
        if transfer not in self.held:
            raise NotFound(what="transfer")
        data = self.held[transfer][offset : None if breaks is None else offset + breaks]
        for start in range(0, len(data), 40_000):
            yield data[start : start + 40_000]
        if breaks:
            raise Unreachable(peer="mailbox")


@dataclass
class Ear:
    """Stands for the listener, as the outbox knows it."""

    gives_back: bool | CordeeError = False
    settles: CordeeError | None = None
    reconciled: list[tuple[TransferId, Kind | None, CordeeError | None]] = field(default_factory=list)
    given: list[TransferId] = field(default_factory=list)
    key_waits: CordeeError | None = None

    async def settle_key(self) -> None:
        if self.key_waits is not None:
            raise self.key_waits

    async def give_back(self, transfer: TransferId) -> bool:
        self.given.append(transfer)
        if isinstance(self.gives_back, CordeeError):
            raise self.gives_back
        return self.gives_back

    async def reconcile(self, transfer: TransferId, *, dropped: Kind | None, refused: CordeeError | None) -> None:
        self.reconciled.append((transfer, dropped, refused))
        if self.settles is not None:
            raise self.settles


class Half:
    """One association."""

    def __init__(self, node: Node, keys: MemberKeys, profile: dict[str, Any], line: Line) -> None:
        self.node, self.keys, self.profile, self.line = node, keys, profile, line
        self.ear = Ear()
        self.work(node.house)

    def work(self, house: House) -> None:
        """Its parts, in this house: also after a stop, for they keep nothing of their own that matters."""
        line: Any = self.line
        ear: Any = self.ear
        self.house = house
        self.sending, self.receiving = Sending(house), Receiving(house)
        self.answers, self.arrivals = Answers(house), Arrivals(house)
        self.shipping = Shipping(house, line)
        self.fetching = Fetching(house, line, Prefetching(house, line))
        self.outbox = Outbox(house, line, ear, ear.settle_key)

    @property
    def points(self) -> list[str]:
        """The crash points that were reached."""
        assert isinstance(self.house.crashpoints, Points)
        return self.house.crashpoints.reached

    @property
    def news(self) -> list[TransferId]:
        """The transfers that others were told of."""
        assert isinstance(self.house.changes, News)
        return self.house.changes.told

    def chain(self, transfer: TransferId) -> Chain:
        return self.house.db.read_sync(lambda tx: Chain.read(self.house, tx, transfer))

    def terms(self, transfer: TransferId) -> Terms:
        """What was decided here when it was offered."""
        row, house = self.row(transfer), self.house
        key = house.db.read_sync(lambda tx: records.data_key_of(tx, house.vault, row.case_id or ""))
        return Terms.unsealed(row.sealed_terms, key, transfer)

    async def keep_to(self, case_id: str, name: str) -> None:
        """Nobody else may open the case."""
        house, now = self.house, self.house.clock.now()

        def keep(tx: Connection) -> None:
            stored = records.read_case(tx, house.vault, case_id)
            kept = need_to_know.with_team(stored.case, restriction="named_users", owner=name, others=[], now=now)
            records.update_case(tx, house.vault, case_id, kept, expected_version=stored.version, by="node", now=now)

        await house.db.write(keep)

    def row(self, transfer: TransferId) -> Transfer:
        return self.house.db.read_sync(lambda tx: transfer_store.read_transfer(tx, transfer))

    def state(self, transfer: TransferId) -> State:
        return self.row(transfer).state

    def statement(self, transfer: TransferId, kind: Kind) -> Signed | None:
        return self.house.db.read_sync(lambda tx: transfer_store.statement(tx, transfer, kind))

    def kinds(self, transfer: TransferId) -> dict[Kind, bool]:
        """What was said, and whether it still waits for the directory."""
        return dict(self.house.db.read_sync(lambda tx: transfer_store.kinds(tx, transfer)))

    def holder(self, case_id: str) -> str:
        return self.house.db.read_sync(lambda tx: records.holder_of(tx, case_id))

    def cursor(self) -> int:
        return self.house.db.read_sync(transfer_store.cursor)

    def told(self, subject: TransferId | str) -> list[tuple[str, str, str]]:
        """The journal about something: by whom, what, and the outcome."""
        about = subject if isinstance(subject, str) else subject.hex()
        lines = self.house.db.read_sync(lambda tx: journal.of_subject(tx, about))
        return [(each.actor, each.action, each.outcome) for each in lines]

    def files(self) -> set[str]:
        """The attachments on disk."""
        return {each.name for each in (self.house.data_dir / "attachments").iterdir()}

    def spools(self) -> set[str]:
        """What lies in the spool, by its ending."""
        folder = self.house.data_dir / "spool"
        return {each.suffix for each in folder.iterdir()} if folder.exists() else set()

    async def change(self, transfer: TransferId, **values: Any) -> None:
        """Its row, by hand."""
        now = self.house.clock.now()
        await self.house.db.write(lambda tx: transfer_store.set_fields(tx, transfer, now=now, **values))

    def withdraw_at_once(self, transfer: TransferId) -> None:
        """A person withdraws it, where nobody can wait for it."""
        house = self.house
        now = house.clock.now()

        def step(tx: Connection) -> None:
            write_withdrawal(house, tx, transfer_store.read_transfer(tx, transfer), actor="camille", now=now)

        house.db.write_sync(step)

    def at(self, point: str, act: Callable[[], None]) -> None:
        """Do something in the moment in which a crash point is reached, once."""
        points = self.house.crashpoints
        assert isinstance(points, Points)
        points.then[point] = act

    async def attach(self, case_id: str, data: bytes, **changes: Any) -> str:
        """A file of a case. Its id."""
        house, attachment_id = self.house, str(uuid.uuid4())
        stored = await house.db.read(lambda tx: records.read_case(tx, house.vault, case_id))
        written = await asyncio.to_thread(house.attachments.write, stored.data_key, attachment_id, [data])
        attachment = StoredAttachment(
            **{
                "attachment_id": attachment_id,
                "file_id": written.file_id,
                "file_name": "note.pdf",
                "media_type": "application/pdf",
                "kind": "report",
                "section": "actions",
                "size": written.size,
                "sha256": written.sha256,
                "may_be_sent": True,
                "third_party_data": False,
                **changes,
            }
        )
        now = house.clock.now()
        await house.db.write(
            lambda tx: records.add_attachment(tx, house.vault, case_id, attachment, by="camille", now=now)
        )
        return attachment_id


@dataclass
class Offered:
    """What was offered."""

    case_id: str
    act_id: str
    transfer: TransferId


@dataclass
class Stage:
    """All of them, on one network and one clock."""

    network: Network
    clock: ManualClock
    halves: list[Half]
    sequence: int = 0

    async def look(self) -> None:
        """Everybody reads the log and the cards as they are now."""
        self.network.now = max(self.network.now, self.clock.now())
        for each in self.halves:
            await each.house.roster.sync()

    async def pass_time(self, step: timedelta) -> None:
        """The clock moves, and the list of members is as fresh as before."""
        self.clock.advance(step.total_seconds())
        await self.look()

    async def case(self, half: Half, **sections: dict[str, Any]) -> dict[str, Any]:
        """A new case of an invented person, with what is to stand in its `sections` besides."""
        house, now = half.house, self.clock.now()
        record = synthetic.cases(now=now, owner=half.profile["org_id"], random=os.urandom)[0]
        for name, more in sections.items():
            record[name] = record[name] | more
        await house.db.write(
            lambda tx: records.create_case(tx, house.vault, case_of(record), by="camille", now=now, random=os.urandom)
        )
        return record

    async def act(self, half: Half, record: dict[str, Any], *recipients: Half, **options: Any) -> str:
        """As `recorded_act`, at this one."""
        organisations = [each.profile["org_id"] for each in recipients]
        return await recorded_act(half.house, record, organisations, now=self.clock.now(), **options)

    async def offer(
        self,
        sender: Half,
        recipient: Half,
        *,
        files: int = 0,
        act: dict[str, Any] | None = None,
        also: tuple[Half, ...] = (),
        purpose: str = "relocation",
        **options: Any,
    ) -> Offered:
        """A new case, an act that names the recipient (`also` others), and an offer that has not left yet."""
        record = await self.case(sender)
        case_id = str(record["meta"]["case_id"])
        attached = [await sender.attach(case_id, os.urandom(50_000)) for _ in range(files)]
        act_id = await self.act(sender, record, recipient, *also, purpose=purpose, attachments=attached, **(act or {}))
        if files:
            options.setdefault("attachments", attached)
        return Offered(case_id, act_id, await self.again(sender, recipient, case_id, act_id, purpose, **options))

    async def again(
        self, sender: Half, recipient: Half, case_id: str, act_id: str, purpose: str = "relocation", **options: Any
    ) -> TransferId:
        """The same case to somebody under the same act."""
        return await sender.sending.offer(
            PERSON, case_id=case_id, recipient=recipient.keys.id, purpose=purpose, act_id=act_id, **options
        )

    async def offered(self, sender: Half, recipient: Half, **options: Any) -> Offered:
        """As `offer`, and it has come."""
        made = await self.offer(sender, recipient, **options)
        await self.carry(made.transfer, Kind.OFFER)
        return made

    async def accepted(self, sender: Half, recipient: Half, **options: Any) -> Offered:
        made = await self.offered(sender, recipient, **options)
        await recipient.receiving.accept(PERSON, made.transfer)
        await self.carry(made.transfer, Kind.ACCEPTANCE)
        return made

    async def shipped(self, sender: Half, recipient: Half, **options: Any) -> Offered:
        made = await self.accepted(sender, recipient, **options)
        await sender.shipping.run(made.transfer)
        await self.carry(made.transfer, Kind.SHIPMENT)
        return made

    async def received(self, sender: Half, recipient: Half, **options: Any) -> Offered:
        made = await self.shipped(sender, recipient, **options)
        await recipient.fetching.run(made.transfer)
        await self.carry(made.transfer, Kind.RECEIPT_TAKEN)
        return made

    async def asked_to_erase(self, sender: Half, recipient: Half, **options: Any) -> Offered:
        made = await self.received(sender, recipient, **options)
        await sender.sending.withdraw(PERSON, made.transfer)
        await self.carry(made.transfer, Kind.WITHDRAWAL)
        return made

    async def carry(self, transfer: TransferId, kind: Kind, *, sequence: int | None = None) -> None:
        """A statement reaches the directory, and then the other party. Raises what that one's checks raise."""
        author, other = self._parties(transfer, kind)
        signed = author.statement(transfer, kind)
        assert signed is not None
        await author.house.db.write(lambda tx: transfer_store.mark_taken(tx, transfer, kind))
        await self.hears(other, signed, kind, sequence=sequence)

    async def hears(self, half: Half, signed: Signed, kind: Kind, *, sequence: int | None = None) -> None:
        self.sequence += 1
        ear = half.answers if kind in _RECIPIENTS else half.arrivals
        await ear.hear(signed, kind, sequence=self.sequence if sequence is None else sequence)

    def _parties(self, transfer: TransferId, kind: Kind) -> tuple[Half, Half]:
        for author in self.halves:
            try:
                row = author.row(transfer)
            except NotFound:
                continue
            if row.outgoing != (kind in _RECIPIENTS):
                return author, next(each for each in self.halves if each.keys.id == row.peer)
        raise AssertionError("nobody has it")


def optional(sections: tuple[str, ...], purpose: str = "relocation") -> str:
    """One that a recipient may leave out."""
    return next(each for each in sections if each not in {*mandatory_sections(purpose), "attachments"})


@contextmanager
def staged(folder: Path, *names: str) -> Iterator[Stage]:
    """The nodes of these associations, each with an empty database. Await `look` before anything else."""
    profiles = [profile_of(name, number) for number, name in enumerate(names)]
    network = registered(profiles)
    clock, held = ManualClock(network.now), dict[TransferId, bytes]()
    with ExitStack() as stack:
        halves = []
        for keys, profile in zip(network.members.values(), profiles, strict=True):
            place = folder / keys.name
            place.mkdir(mode=0o700)
            node = stack.enter_context(opened(place, network=network, member=keys, random=os.urandom, clock=clock))
            half = Half(node, keys, profile, Line(held))
            half.work(replace(node.house, crashpoints=Points(), changes=News()))
            halves.append(half)
        yield Stage(network, clock, halves)
