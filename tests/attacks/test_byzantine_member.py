"""A member with valid keys that mixes what is right with what is not, thousands of times, against a real directory.

What must be allowed and what must not is said by an oracle in plain Python (`Deal.may`, `Deal.proper`), written from
protocol §5, §6 and §8 and not from the code. A step that is right must be taken; what is taken must be right.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine
from datetime import timedelta
from typing import Any, ClassVar

import pytest
import pytest_asyncio
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from cordee.card import profile_digest
from cordee.entries import add_signature, propose
from cordee.signing import Signed, SigningKey
from cordee.statements import peek
from cordee.times import timestamp_of
from cordee.transfer import Kind, State
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import mailbox_pb2
from cordee.v1 import statements_pb2 as v1
from tests.attacks.byzantine import BODIES, MARK, Deal, Yard, outcome, yard_in
from tests.attacks.lies import NUMBERS, garbled
from tests.attacks.soaking import examples
from tests.faults.tally import Row, count

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.fault]

_KINDS = [kind for kind in Kind if kind is not Kind.EXPIRY]
_CIPHERTEXT = bytes(range(256)) * 256
_BY_SENDER = (Kind.OFFER, Kind.SHIPMENT, Kind.WITHDRAWAL)

kinds = st.sampled_from(_KINDS)
numbers = st.integers(0, 100_000)
which = st.integers(0, 1000)


class Mallory(RuleBasedStateMachine):
    """What she does. The yard is shared by all examples; its transfers are new in each."""

    yard: ClassVar[Yard]
    loop: ClassVar[asyncio.AbstractEventLoop]
    steps: ClassVar[int] = 0
    card_number: ClassVar[int] = 1

    def __init__(self) -> None:
        super().__init__()
        self.yard.deals.clear()
        self.own: list[Deal] = []

    def does(self, step: Coroutine[Any, Any, Any]) -> Any:
        type(self).steps += 1
        self.yard.town.move(timedelta(seconds=2))  # so that her share of calls is not what refuses them
        return asyncio.run_coroutine_threadsafe(step, self.loop).result(120)

    @initialize(steps=st.sampled_from(["", "o", "oa", "oas", "oasr", "oasrw", "ow", "od"]), back=st.booleans())
    def others_deal(self, steps: str, back: bool) -> None:
        """Lyon and Nantes have a transfer that is none of her business."""
        yard = self.yard
        self.foreign = yard.deal(yard.nantes, yard.lyon) if back else yard.deal(yard.lyon, yard.nantes)
        by_letter = {
            "o": Kind.OFFER,
            "a": Kind.ACCEPTANCE,
            "s": Kind.SHIPMENT,
            "r": Kind.RECEIPT_TAKEN,
            "w": Kind.WITHDRAWAL,
            "d": Kind.REFUSAL,
        }
        for each in "o" + steps[1:]:
            self.does(self._properly(self.foreign, by_letter[each]))

    async def _properly(self, deal: Deal, kind: Kind, which: int = 0) -> None:
        """The author of a step does it as it should be done: taken if, and only if, the protocol has such a step."""
        yard = self.yard
        if kind is Kind.SHIPMENT and deal.state is State.ACCEPTED and not deal.held:
            assert (await yard.put(deal.sender, deal.id, 0, _CIPHERTEXT))[0] == "OK"
            deal.held = len(_CIPHERTEXT)
        signed = yard.made(deal, kind, which)
        if signed is None:
            return
        reason, _ = await yard.submit(deal.author(kind), signed)
        if deal.may(kind) and not deal.proper(signed, yard.now, yard.town):
            assert reason == "OK", f"{kind} in {deal.state} after {deal.kinds}: {reason}"
            yard.keep(deal, signed)
        else:
            assert reason in ("ANOTHER_STATEMENT", "NOT_IN_THIS_STATE", "NOT_FOUND", "STATEMENT_REFUSED"), reason

    @rule(towards=st.booleans())
    def begins(self, towards: bool) -> None:
        yard = self.yard
        deal = yard.deal(yard.mallory, yard.lyon) if towards else yard.deal(yard.lyon, yard.mallory)
        self.own.append(deal)
        self.does(self._properly(deal, Kind.OFFER))

    @precondition(lambda self: self.own)
    @rule(number=which, kind=kinds, how=which)
    def does_any_step(self, number: int, kind: Kind, how: int) -> None:
        self.does(self._properly(self.own[number % len(self.own)], kind, how))

    @precondition(lambda self: self.own)
    @rule(number=which, ahead=st.sampled_from([Kind.ACCEPTANCE, Kind.SHIPMENT, Kind.RECEIPT_TAKEN]))
    def goes_ahead(self, number: int, ahead: Kind) -> None:
        self.does(self._properly(self.own[number % len(self.own)], ahead))

    @precondition(lambda self: self.own)
    @rule(number=which, kind=kinds, how=which, fields=st.lists(numbers, min_size=1, max_size=3))
    def alters_a_statement_and_signs_it(self, number: int, kind: Kind, how: int, fields: list[int]) -> None:
        """Any field of a right statement is another one, and the signature is right again."""
        deal = self.own[number % len(self.own)]
        self.does(self._altered(deal, kind, how, fields))

    async def _altered(self, deal: Deal, kind: Kind, how: int, fields: list[int]) -> None:
        yard = self.yard
        signed = yard.made(deal, kind, how)
        if signed is None:
            return
        body = BODIES[signed.type].FromString(signed.body)
        for each in fields:
            body = garbled(body, each)
        again = yard.mallory.keys.identity.sign(body)
        reason, _ = await yard.submit(yard.mallory, again)
        if reason != "OK":
            return
        seen = peek(again)
        known = next((each for each in yard.deals if each.id == seen.parties.transfer_id), None)
        if known is None:  # she has offered something under another id
            assert seen.kind is Kind.OFFER
            assert seen.parties.sender == yard.mallory.keys.id
            return
        assert known in self.own, "a step of somebody else's transfer was taken"
        assert known.author(seen.kind) is yard.mallory, "she has spoken for another"
        if again.digest not in [each.digest for _, each in known.taken]:
            assert known.may(seen.kind), f"{seen.kind} after {known.kinds}"
            assert not known.proper(again, yard.now, yard.town)
            yard.keep(known, again)

    @rule(kind=kinds, how=which, signer=st.sampled_from(["own", "none", "old"]), own_name=st.booleans())
    def meddles(self, kind: Kind, how: int, signer: str, own_name: bool) -> None:
        """A step of somebody else's transfer, in her own name or in theirs."""
        self.does(self._meddles(kind, how, signer, own_name))

    async def _meddles(self, kind: Kind, how: int, signer: str, own_name: bool) -> None:
        yard, deal = self.yard, self.foreign
        signed = yard.made(deal, kind, how)
        if signed is None:
            return
        body = BODIES[signed.type].FromString(signed.body)
        if own_name and kind in _BY_SENDER:
            body.sender = yard.mallory.keys.id
        elif own_name:
            body.recipient = yard.mallory.keys.id
        if signer == "none":
            again = Signed(signed.type, body.SerializeToString(), yard.mallory.keys.identity.public.key_id,
                           bytes(64), bytes(3309))  # fmt: skip
        else:
            key = yard.mallory.keys.identity if signer == "own" else SigningKey.generate(os.urandom)
            again = key.sign(body)
        reason, _ = await yard.submit(yard.mallory, again)
        assert reason in ("WRONG_PARTY", "NOT_FOUND", "BAD_SIGNATURE", "ANOTHER_STATEMENT"), reason
        assert own_name or reason == "WRONG_PARTY", reason

    @rule(number=which)
    def replays(self, number: int) -> None:
        """Every statement that was ever taken, hers and others': hers are answered as they were, and change nothing."""
        everything = [(deal, kind, signed) for deal in self.yard.deals for kind, signed in deal.taken]
        deal, kind, signed = everything[number % len(everything)]
        reason, answer = self.does(self.yard.submit(self.yard.mallory, signed))
        if deal.author(kind) is self.yard.mallory:
            assert reason == "OK"
            assert State(answer.state)
        else:
            assert reason == "WRONG_PARTY"

    @rule(number=which, offset=st.sampled_from([0, 1, 65_535, 65_536, 65_537, *NUMBERS]),
          size=st.sampled_from([0, 1, 1000, 65_536, 300_001, 1_048_576]), anew=st.booleans())  # fmt: skip
    def puts(self, number: int, offset: int, size: int, anew: bool) -> None:
        everybody = [*self.yard.deals, None]
        self.does(self._puts(everybody[number % len(everybody)], offset, size, anew))

    @precondition(lambda self: any(deal.state is State.ACCEPTED for deal in self.own))
    @rule(size=st.sampled_from([1, 1000]))
    def puts_where_something_is_expected(self, size: int) -> None:
        """Right at the end of what waits: only who sends may."""
        for deal in [each for each in self.own if each.state is State.ACCEPTED]:
            self.does(self._puts(deal, deal.held, size, False))

    async def _puts(self, deal: Deal | None, offset: int, size: int, anew: bool) -> None:
        yard = self.yard
        transfer = deal.id if deal is not None else os.urandom(16)
        reason, answer = await yard.put(yard.mallory, transfer, offset, bytes(size), anew=anew)
        bound = deal.story.offered.size_bound if deal is not None and deal.taken else 0
        if reason != "OK":
            right = deal is not None and deal.sender is yard.mallory and deal.state is State.ACCEPTED
            end = offset + size
            assert not (right and offset <= deal.held and end <= bound and not (anew and offset)), reason
            return
        assert deal is not None
        assert deal.sender is yard.mallory
        assert deal.state is State.ACCEPTED
        deal.held = answer.size
        assert answer.size <= bound
        assert offset <= bound

    @rule(number=which, offset=st.sampled_from([0, 1, 65_536, *NUMBERS]))
    def gets(self, number: int, offset: int) -> None:
        everybody = [*self.yard.deals, None]
        self.does(self._gets(everybody[number % len(everybody)], offset))

    async def _gets(self, deal: Deal | None, offset: int) -> None:
        yard = self.yard
        transfer = deal.id if deal is not None else os.urandom(16)
        mailbox = yard.mallory.mailbox

        async def read() -> int:
            call = mailbox.Get(mailbox_pb2.GetRequest(transfer_id=transfer, offset=offset), timeout=20)
            return sum([len(each.data) async for each in call])

        reason, size = await outcome(read())
        assert (await outcome(mailbox.Stat(mailbox_pb2.StatRequest(transfer_id=transfer))))[0] == "OK" or reason != "OK"
        if reason == "OK" and size:
            assert deal is not None
            assert deal.recipient is yard.mallory
            assert deal.state in (State.ACCEPTED, State.SHIPPED)

    @rule(number=which)
    def probes(self, number: int) -> None:
        """Of what is not hers she cannot even learn whether it is there: its id is answered as one of no transfer."""
        self.does(self._probes(number))

    async def _probes(self, number: int) -> None:
        yard = self.yard
        answers = []
        for transfer in (self.foreign.id, os.urandom(16)):
            asked = [
                lambda id_=transfer: yard.mallory.broker.GetTransfer(pb.GetTransferRequest(transfer_id=id_)),
                lambda id_=transfer: yard.mallory.mailbox.Stat(mailbox_pb2.StatRequest(transfer_id=id_)),
                lambda id_=transfer: yard.put(yard.mallory, id_, 0, b"x"),
            ][number % 3]()
            answers.append((await asked)[0] if number % 3 == 2 else (await outcome(asked))[0])
        assert answers[0] == answers[1] == "NOT_FOUND"
        listed = [each async for each in yard.mallory.broker.ListOwnTransfers(pb.ListOwnTransfersRequest(), timeout=20)]
        assert self.foreign.id not in [each.transfer_id for each in listed]

    @rule(cursor=st.sampled_from([0, 1, 5, *NUMBERS]), times=st.integers(1, 4))
    def listens(self, cursor: int, times: int) -> None:
        self.does(self._listens(min(cursor, 3) if cursor < 2**53 + 1 else cursor, times))

    async def _listens(self, cursor: int, times: int) -> None:
        """Many streams at once, from any place on: nothing but what is hers comes on any."""
        mine = self.yard.mallory.keys.id

        async def read() -> None:
            call = self.yard.mallory.events.Watch(pb.WatchRequest(cursor=cursor), timeout=20)
            try:
                async for event in call:
                    if event.WhichOneof("kind") == "stream_ready":
                        return
                    if event.WhichOneof("kind") == "statement":
                        parties = peek(Signed.from_message(event.statement)).parties
                        assert mine in (parties.sender, parties.recipient)
            finally:
                call.cancel()

        for reason, _ in await asyncio.gather(*(outcome(read()) for _ in range(times))):
            assert reason in ("OK", "STREAM_REPLACED", "INVALID_INPUT", "TOO_MANY_REQUESTS")

    @rule(way=st.sampled_from(["next", "far", "low", "theirs", "key", "name", "large", "odd"]), field=numbers)
    def publishes(self, way: str, field: int) -> None:
        self.does(self._publishes(way, field))

    async def _publishes(self, way: str, field: int) -> None:
        yard, keys = self.yard, self.yard.mallory.keys
        profile, changes = keys.profile, {}
        number = type(self).card_number + 1
        if way == "far":
            number = NUMBERS[field % len(NUMBERS)]
            if number == 2**62:
                return  # the last that there is: she would have shut herself out, and has more to do
        elif way == "low":
            number = 1
        elif way == "theirs":
            changes["member"] = yard.lyon.keys.id
        elif way == "key":
            changes["transport_key_digest"] = yard.lyon.keys.transport_key_digest
        elif way == "name":
            profile = yard.lyon.keys.profile
        elif way == "large":
            profile = profile[:-1] + b',"x":"' + b"a" * 200_000 + b'"}'
        elif way == "odd":
            profile = [b"", b"{}", b"\xff", b"[" * 5000, f'{{"legal_name":"{MARK}"}}'.encode()][field % 5]
        body = v1.Card.FromString(yard.town.card(keys, number=1).body)
        body.number, body.profile_digest = number, profile_digest(profile)
        for name, value in changes.items():
            setattr(body, name, value)
        card = keys.identity.sign(body)
        reason, answer = await outcome(
            yard.mallory.roster.PublishCard(pb.PublishCardRequest(card=card.to_message(), profile=profile))
        )
        if reason == "OK":
            assert way in ("next", "far")
            type(self).card_number = number
            assert answer.revision < 2**40

    @rule(about=st.sampled_from(["lyon", "mallory"]), kind=st.sampled_from([v1.NodeRestored, v1.IdentityRotated,
          v1.RecoveryObjected, v1.MemberRemoved, v1.MemberSuspended]), field=numbers)  # fmt: skip
    def appends(self, about: str, kind: Any, field: int) -> None:
        self.does(self._appends(about, kind, field))

    async def _appends(self, about: str, kind: Any, field: int) -> None:
        """Entries of the log, each of them wrong in one way at least: none is taken."""
        yard, node = self.yard, getattr(self.yard, about)
        roster = yard.town.network.roster
        body = kind(**roster.head(node.keys.id, yard.now), member=node.keys.id)
        if hasattr(body, "incarnation"):
            body.incarnation = os.urandom(15)
        entry = add_signature(propose(garbled(body, field)), yard.mallory.keys.identity)
        reason, _ = await outcome(yard.mallory.roster.AppendEntry(pb.AppendEntryRequest(entry=entry)))
        assert reason != "OK"

    @rule(size=st.sampled_from(NUMBERS), seconds=st.sampled_from([0, 299, 301, 10**9]))
    def tells(self, size: int, seconds: int) -> None:
        yard = self.yard
        time = timestamp_of(yard.now + timedelta(seconds=min(seconds, 10**8)))
        held = v1.HeldCheckpoint(
            network=yard.town.network.roster.network, member=yard.mallory.keys.id, size=size, root=bytes(32), time=time
        )
        request = pb.TellHeldCheckpointRequest(held=yard.mallory.keys.identity.sign(held).to_message())
        call = yard.mallory.roster.TellHeldCheckpoint
        reason, _ = self.does(asked(call, request))
        assert reason != "OK", "nobody holds such a log"

    @rule(number=which, field=numbers)
    def gives_back(self, number: int, field: int) -> None:
        """Where nothing was restored, nothing comes of it, whosesoever it is."""
        deal = self.yard.deals[number % len(self.yard.deals)]
        given = [signed.to_message() for _, signed in deal.taken]
        request = pb.GiveBackTransferRequest(statements=given)
        if field % 2:
            request = garbled(request, field)
        reason, answer = self.does(asked(self.yard.mallory.broker.GiveBackTransfer, request))
        if reason == "OK":
            assert answer.added == 0
            assert deal is not self.foreign
        elif deal is self.foreign and not field % 2:
            assert reason == "WRONG_PARTY"

    @rule(minutes=st.sampled_from([1, 6, 61]))
    def waits(self, minutes: int) -> None:
        self.yard.town.move(timedelta(minutes=minutes))

    def teardown(self) -> None:
        if self.yard.deals:
            self.does(self.yard.unchanged())


async def asked(call: Any, request: Any) -> tuple[str, Any]:
    """Called from within the loop."""
    return await outcome(call(request, timeout=20))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def yard(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Yard]:
    async with yard_in(tmp_path_factory.mktemp("byzantine")) as yard:
        yield yard


async def test_whatever_a_member_does_nobody_elses_transfer_changes_and_every_refusal_has_a_reason(yard: Yard) -> None:
    Mallory.yard, Mallory.loop = yard, asyncio.get_running_loop()
    await asyncio.to_thread(run_state_machine_as_test, Mallory, settings=examples(45, steps=60))
    assert not yard.watcher.faults
    count(Row("Byzantine member", tries=Mallory.steps))
