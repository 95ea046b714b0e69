"""The transfer table, decided cell by cell, and what no sequence of steps can break."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordee.errors import AnotherStatement, Conflict, MalformedStatement, NotInThisState
from cordee.transfer import (
    END_STATES,
    RULES,
    Kind,
    Party,
    Pause,
    State,
    expires_at,
    kind_of,
    may,
    next_state,
    replay,
    sentence,
    step_of,
)
from cordee.v1 import statements_pb2 as v1

# Written by hand from protocol §6, not from the code. Columns are kinds; who takes each step stands above. A dot is a
# refusal; "*" means: only if the case had been shipped; "-": unless it was erased.
GRID = """
by         sender  recipient   recipient  sender    recipient      recipient        sender      recipient  broker
state      offer   acceptance  refusal    shipment  receipt_taken  receipt_refused  withdrawal  erasure    expiry
none       offered .           .          .         .              .                .           .          .
offered    .       accepted    declined   .         .              .                withdrawn   .          expired
accepted   .       .           .          shipped   .              .                withdrawn   .          expired
shipped    .       .           .          .         received       refused          withdrawn   .          expired
received   .       .           .          .         .              .                received-   received   .
declined   .       .           .          .         .              .                .           .          .
refused    .       .           .          .         .              .                .           .          .
withdrawn  .       .           .          .         received*      withdrawn*       .           .          .
expired    .       .           .          .         received*      expired*         .           .          .
"""
_ROWS = [line.split() for line in GRID.strip().splitlines()]
AUTHOR = {Kind(kind): Party(by) for by, kind in zip(_ROWS[0][1:], _ROWS[1][1:], strict=True)}
CELLS = {
    (None if row[0] == "none" else State(row[0]), Kind(kind)): cell
    for row in _ROWS[2:]
    for kind, cell in zip(_ROWS[1][1:], row[1:], strict=True)
}
CONDITION = {"*": Kind.SHIPMENT}
EXCEPTION = {"-": Kind.ERASURE}
# What must have been taken for a transfer to stand in a state at all.
HISTORY: dict[State | None, frozenset[Kind]] = {
    None: frozenset(),
    State.OFFERED: frozenset({Kind.OFFER}),
    State.ACCEPTED: frozenset({Kind.OFFER, Kind.ACCEPTANCE}),
    State.SHIPPED: frozenset({Kind.OFFER, Kind.ACCEPTANCE, Kind.SHIPMENT}),
    State.RECEIVED: frozenset({Kind.OFFER, Kind.ACCEPTANCE, Kind.SHIPMENT, Kind.RECEIPT_TAKEN}),
    State.DECLINED: frozenset({Kind.OFFER, Kind.REFUSAL}),
    State.REFUSED: frozenset({Kind.OFFER, Kind.ACCEPTANCE, Kind.SHIPMENT, Kind.RECEIPT_REFUSED}),
    State.WITHDRAWN: frozenset({Kind.OFFER, Kind.WITHDRAWAL}),
    State.EXPIRED: frozenset({Kind.OFFER, Kind.EXPIRY}),
}
ALL_CELLS = list(product([None, *State], Kind, Party))


def test_the_grid_decides_every_cell() -> None:
    assert set(CELLS) == set(product([None, *State], Kind))
    assert set(AUTHOR) == set(Kind)


@pytest.mark.parametrize(("state", "kind", "party"), ALL_CELLS)
def test_each_cell_is_as_the_protocol_says(state: State | None, kind: Kind, party: Party) -> None:
    cell = CELLS[state, kind] if party is AUTHOR[kind] else "."
    taken = HISTORY[state]
    if cell == ".":
        with pytest.raises(Conflict):
            next_state(state, kind, party, taken=taken | {Kind.SHIPMENT})
        assert kind not in may(state, party, taken=taken)
        return
    if cell[-1] in CONDITION:
        if CONDITION[cell[-1]] not in taken:
            with pytest.raises(NotInThisState):
                next_state(state, kind, party, taken=taken)
            assert kind not in may(state, party, taken=taken)
        taken |= {CONDITION[cell[-1]]}
    if cell[-1] in EXCEPTION:
        with pytest.raises(NotInThisState):
            next_state(state, kind, party, taken=taken | {EXCEPTION[cell[-1]]})
        assert kind not in may(state, party, taken=taken | {EXCEPTION[cell[-1]]})
    assert next_state(state, kind, party, taken=taken) == State(cell.rstrip("*-"))
    assert kind in may(state, party, taken=taken)


def test_no_two_rules_stand_in_one_cell() -> None:
    assert len({(rule.state, rule.statement, rule.by) for rule in RULES}) == len(RULES)


def test_another_answer_after_an_answer_is_called_so() -> None:
    for first, second in product((Kind.ACCEPTANCE, Kind.REFUSAL), repeat=2):
        state = next_state(State.OFFERED, first, Party.RECIPIENT, taken=[Kind.OFFER])
        with pytest.raises(AnotherStatement) as refusal:
            next_state(state, second, Party.RECIPIENT, taken=[Kind.OFFER, first])
        assert refusal.value.facts == {"statement": "answer"}
        assert refusal.value.status == "ABORTED"


def test_a_late_receipt_makes_a_withdrawn_transfer_received_and_the_withdrawal_a_request() -> None:
    steps = [
        (Kind.OFFER, Party.SENDER),
        (Kind.ACCEPTANCE, Party.RECIPIENT),
        (Kind.SHIPMENT, Party.SENDER),
        (Kind.WITHDRAWAL, Party.SENDER),
        (Kind.RECEIPT_TAKEN, Party.RECIPIENT),
        (Kind.ERASURE, Party.RECIPIENT),
    ]
    assert replay(steps[:4]) is State.WITHDRAWN
    assert replay(steps[:5]) is State.RECEIVED
    assert replay(steps) is State.RECEIVED
    with pytest.raises(AnotherStatement):
        replay([*steps, (Kind.WITHDRAWAL, Party.SENDER)])


def test_a_receipt_for_what_was_never_shipped_is_refused() -> None:
    offered = [(Kind.OFFER, Party.SENDER), (Kind.ACCEPTANCE, Party.RECIPIENT)]
    for end in ((Kind.WITHDRAWAL, Party.SENDER), (Kind.EXPIRY, Party.BROKER)):
        with pytest.raises(NotInThisState):
            replay([*offered, end, (Kind.RECEIPT_TAKEN, Party.RECIPIENT)])


@given(st.lists(st.tuples(st.sampled_from(Kind), st.sampled_from(Party)), max_size=40))
def test_no_sequence_of_attempts_breaks_the_tables_promises(attempts: list[tuple[Kind, Party]]) -> None:
    state: State | None = None
    taken: list[Kind] = []
    for kind, by in attempts:
        allowed = kind in may(state, by, taken=taken)
        try:
            then = next_state(state, kind, by, taken=taken)
        except Conflict:
            assert not allowed
            continue
        assert allowed
        assert by is AUTHOR[kind]
        if state in END_STATES:  # the only ways on from an end
            assert (state, then) in {
                (State.RECEIVED, State.RECEIVED),
                (State.WITHDRAWN, State.RECEIVED),
                (State.EXPIRED, State.RECEIVED),
                (State.WITHDRAWN, State.WITHDRAWN),
                (State.EXPIRED, State.EXPIRED),
            }
        state, taken = then, [*taken, kind]
    steps = [step_of(kind) for kind in taken]
    assert len(set(steps)) == len(steps)  # each step once
    assert (state is State.RECEIVED) == (Kind.RECEIPT_TAKEN in taken)  # received if, and only if, they said so
    assert Kind.RECEIPT_TAKEN not in taken or Kind.SHIPMENT in taken
    assert Kind.SHIPMENT not in taken or Kind.ACCEPTANCE in taken
    assert (state is State.DECLINED) == (Kind.REFUSAL in taken)
    assert Kind.ERASURE not in taken or Kind.RECEIPT_TAKEN in taken
    assert Kind.ERASURE not in taken or taken[-1] is Kind.ERASURE  # nothing is left to be spoken of
    assert state is None or taken[0] is Kind.OFFER


@given(st.data())
def test_every_walk_ends(data: st.DataObject) -> None:
    state: State | None = None
    taken: list[Kind] = []
    while choices := [(kind, by) for by in Party for kind in may(state, by, taken=taken)]:
        kind, by = data.draw(st.sampled_from(choices))
        state = next_state(state, kind, by, taken=taken)
        taken.append(kind)
        assert len(taken) <= len(Kind)
    assert state in END_STATES


def test_a_case_that_was_returned_unasked_cannot_be_withdrawn_any_more() -> None:
    steps = [
        (Kind.OFFER, Party.SENDER),
        (Kind.ACCEPTANCE, Party.RECIPIENT),
        (Kind.SHIPMENT, Party.SENDER),
        (Kind.RECEIPT_TAKEN, Party.RECIPIENT),
        (Kind.ERASURE, Party.RECIPIENT),
    ]
    assert replay(steps) is State.RECEIVED
    with pytest.raises(NotInThisState):
        replay([*steps, (Kind.WITHDRAWAL, Party.SENDER)])


def test_what_is_over_is_told_as_it_ended_whatever_stands_still() -> None:
    for state in END_STATES:
        for party in (Party.SENDER, Party.RECIPIENT):
            assert {sentence(state, party, pause=pause) for pause in Pause} == {sentence(state, party)}


def test_the_one_who_waits_is_not_told_that_the_other_holds_it_back() -> None:
    told = sentence(State.ACCEPTED, Party.RECIPIENT, pause=Pause.HELD)
    assert told == sentence(State.ACCEPTED, Party.RECIPIENT)


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_an_offer_ends_with_itself_or_its_token() -> None:
    assert expires_at(State.OFFERED, offer_expires=NOON, token_expires=NOON + HOUR) == NOON
    assert expires_at(State.OFFERED, offer_expires=NOON + HOUR, token_expires=NOON) == NOON


@pytest.mark.parametrize("state", [State.ACCEPTED, State.SHIPPED])
def test_what_was_accepted_ends_with_the_one_time_key_or_the_token(state: State) -> None:
    def end(key: datetime, token: datetime) -> datetime | None:
        return expires_at(state, offer_expires=NOON - HOUR, token_expires=token, key_expires=key)

    assert end(NOON, NOON + HOUR) == NOON
    assert end(NOON + HOUR, NOON) == NOON
    with pytest.raises(ValueError, match="one-time key"):
        expires_at(state, offer_expires=NOON, token_expires=NOON)


@pytest.mark.parametrize("state", sorted(END_STATES))
def test_time_ends_nothing_that_is_over(state: State) -> None:
    assert expires_at(state, offer_expires=NOON, token_expires=NOON, key_expires=NOON) is None


def test_each_body_has_its_kind() -> None:
    assert kind_of(v1.Offer()) is Kind.OFFER
    assert kind_of(v1.Answer(acceptance=v1.Acceptance())) is Kind.ACCEPTANCE
    assert kind_of(v1.Answer(refusal=v1.Refusal())) is Kind.REFUSAL
    assert kind_of(v1.Shipment()) is Kind.SHIPMENT
    assert kind_of(v1.Receipt(taken=v1.Taken())) is Kind.RECEIPT_TAKEN
    assert kind_of(v1.Receipt(refused=v1.Refused())) is Kind.RECEIPT_REFUSED
    assert kind_of(v1.Withdrawal()) is Kind.WITHDRAWAL
    assert kind_of(v1.Erasure(erased=v1.Erased())) is Kind.ERASURE
    assert kind_of(v1.Erasure(refused=v1.ErasureRefused())) is Kind.ERASURE
    assert kind_of(v1.Erasure(returned=v1.Returned())) is Kind.ERASURE


@pytest.mark.parametrize("body", [v1.Answer(), v1.Receipt(), v1.Erasure(), v1.Card(), v1.Signed()])
def test_a_body_without_outcome_or_of_another_sort_has_no_kind(body: v1.Card) -> None:
    with pytest.raises(MalformedStatement):
        kind_of(body)


def test_every_state_is_told_to_both_in_one_sentence_of_its_own() -> None:
    told = [sentence(state, party) for state in State for party in (Party.SENDER, Party.RECIPIENT)]
    after = [Kind.WITHDRAWAL], [Kind.WITHDRAWAL, Kind.ERASURE], [Kind.ERASURE]
    told += [
        sentence(State.RECEIVED, party, taken=taken) for taken in after for party in (Party.SENDER, Party.RECIPIENT)
    ]
    for taken in ([], [Kind.ERASURE]):
        told += [sentence(State.RECEIVED, party, shared=True, taken=taken) for party in (Party.SENDER, Party.RECIPIENT)]
    told.append(sentence(State.ACCEPTED, Party.SENDER, pause=Pause.HELD))
    for pause in (Pause.SUSPENDED, Pause.UNHEARD):
        told += [sentence(State.SHIPPED, party, pause=pause) for party in (Party.SENDER, Party.RECIPIENT)]
    assert len(set(told)) == len(told)
    assert all(text.endswith(".") and text.count(".") == 1 for text in told)
    with pytest.raises(ValueError, match="sender or the recipient"):
        sentence(State.OFFERED, Party.BROKER)


@pytest.mark.parametrize(
    ("taken", "shared", "to_the_sender", "to_the_recipient"),
    [
        ((), False, "the case is theirs now", "the case is yours now"),
        ((), True, "you both follow the case now", "you both follow the case now"),
        ((Kind.WITHDRAWAL,), False, "they were asked to erase it", "you are asked to erase it"),
        ((Kind.WITHDRAWAL,), True, "they were asked to erase it", "you are asked to erase it"),
        ((Kind.WITHDRAWAL, Kind.ERASURE), False, "read their answer", "you have answered the request"),
        ((Kind.ERASURE,), False, "the case is yours again", "the case is theirs again"),
        ((Kind.ERASURE,), True, "erased what you shared", "what they shared is erased here"),
    ],
)
def test_who_has_the_case_after_it_was_received_is_told_by_what_came_afterwards(
    taken: tuple[Kind, ...], shared: bool, to_the_sender: str, to_the_recipient: str
) -> None:
    before = (Kind.OFFER, Kind.ACCEPTANCE, Kind.SHIPMENT, Kind.RECEIPT_TAKEN)
    for party, words in ((Party.SENDER, to_the_sender), (Party.RECIPIENT, to_the_recipient)):
        assert words in sentence(State.RECEIVED, party, taken=(*before, *taken), shared=shared)


def test_that_both_follow_a_case_is_told_of_none_that_was_not_received() -> None:
    for state in set(State) - {State.RECEIVED}:
        for party in (Party.SENDER, Party.RECIPIENT):
            assert sentence(state, party, shared=True) == sentence(state, party)


def test_what_was_withdrawn_before_it_was_received_is_no_request_to_erase() -> None:
    taken = (Kind.OFFER, Kind.ACCEPTANCE, Kind.SHIPMENT, Kind.WITHDRAWAL)
    for party in (Party.SENDER, Party.RECIPIENT):
        assert sentence(State.WITHDRAWN, party, taken=taken) == sentence(State.WITHDRAWN, party)
