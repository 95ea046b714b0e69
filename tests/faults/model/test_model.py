"""The model of a transfer holds its promises, and is able to find a mistake."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cordee.transfer import Kind, State
from tests.faults.model import scenes
from tests.faults.model.__main__ import row_of
from tests.faults.model.engine import Found, Invariant, Model, Move, Rule, TooManyStates, explore
from tests.faults.model.mutants import MUTANTS, Mutant
from tests.faults.model.scenes import PLAIN, QUICK, Scene


@pytest.mark.parametrize("scene", QUICK, ids=lambda scene: scene.name)
def test_whatever_the_order_of_steps_every_promise_holds(scene: Scene) -> None:
    found = scene.run()
    assert not found.broken, found.told()
    assert found.states > 1_000
    assert found.resting > 100


SLOW = (scenes.ROSTER, scenes.SENDER_BURNS, scenes.RECIPIENT_BURNS)


@pytest.mark.parametrize(
    "mutant",
    [pytest.param(each, marks=[pytest.mark.fault] if each.scene in SLOW else [], id=each.name) for each in MUTANTS],
)
def test_each_mistake_is_found(mutant: Mutant) -> None:
    found = mutant.hunt()
    assert found.broken, f"“{mutant.name}” breaks no promise in {found.states} states of “{mutant.scene.name}”"


def test_there_are_enough_mistakes_each_once() -> None:
    names = [each.name for each in MUTANTS]
    assert len(names) == len(set(names)) >= 25


def test_a_counterexample_is_told_step_by_step() -> None:
    told = next(each for each in MUTANTS if each.name == "the import leaves its job").hunt().told()
    assert "I1: a case was stored twice for one transfer" in told
    assert "sender offers the case" in told
    assert told.splitlines()[-1].endswith("recipient imports the case and signs the receipt")


def test_every_end_of_a_transfer_is_there() -> None:
    desks = [part for name, part in PLAIN.model().begin.items() if name.startswith("desk")]
    assert len(desks) == 1
    reached = {each.missing for each in PLAIN.model().reached}
    assert reached >= {f"no transfer is ever {state.value}" for state in (State.RECEIVED, State.WITHDRAWN)}
    assert any(Kind.ERASURE.value in each for each in reached)


# ---- the checker itself, on a model that can be counted by hand ----


def counter(*, most: int, falls: bool = False, fair: bool = True) -> Model:
    """A number that goes up to `most`, where it rests; one that `falls` goes into a hole on its way."""

    def steps(number: int) -> Iterator[Move]:
        if 0 <= number < most:
            yield Move(f"to {number + 1}", {"number": number + 1}, fair=fair)
        if falls and number == 2:
            yield Move("into the hole", {"number": -1}, fair=False)

    rest = Invariant("rest", ("number",), lambda number: "" if number == most else f"it is {number}")
    low = Invariant("low", ("number",), lambda number: "too high" if number > 5 else "")
    return Model("counter", {"number": 0}, [Rule(("number",), steps)], [low], rest)


def test_each_state_is_counted_once() -> None:
    found = explore(counter(most=5))
    assert (found.states, found.edges, found.resting, found.broken) == (6, 5, 1, "")


def test_what_does_not_hold_is_found_with_the_shortest_way_to_it() -> None:
    found = explore(counter(most=9))
    assert found.broken == "low: too high"
    assert found.trace == [f"to {number}" for number in range(1, 7)]


def test_a_state_from_which_nothing_leads_to_rest_is_stuck() -> None:
    found = explore(counter(most=5, falls=True))
    assert found.broken == "stuck: it is -1"
    assert found.trace == ["to 1", "to 2", "into the hole"]


def test_only_fair_steps_lead_to_rest() -> None:
    assert explore(counter(most=5, fair=False)).broken == "stuck: it is 0"
    assert not explore(counter(most=5, fair=False), liveness=False).broken


def test_more_states_than_allowed_are_refused() -> None:
    with pytest.raises(TooManyStates):
        explore(counter(most=5), most=3)


def test_what_is_broken_has_its_column_in_the_table() -> None:
    found = [Found(states=10), Found(states=5, broken="stuck: it is 3"), Found(broken="I1: a case was stored twice")]
    row = row_of([*found, Found(broken="I3: a key is left"), Found(broken="at rest: nobody holds the case")])
    assert (row.tries, row.lost, row.twice, row.leaked, row.stuck) == (15, 1, 1, 1, 1)
