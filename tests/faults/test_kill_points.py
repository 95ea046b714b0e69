"""Kill one process at each named point, bring it back in each order: the same end, imported exactly once.

Real processes, SIGKILL, real files. The network is founded once. In one scene (a transfer, a return, a rotation) the
processes die at several points, one after the other; what a scene did not reach gets a scene of its own.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from cordee.runtime.crashpoint import registered
from node.demo.stage import Stage
from tests.faults.killing import Killing, Order, Point
from tests.faults.scenes import Scene, quick_stage
from tests.faults.slow_line import slow_line
from tests.faults.tally import Row, count

pytestmark = [pytest.mark.fault, pytest.mark.timeout(900)]

FAULT = "kill -9 at each point × each restart order"
_SCENES = 4  # among which the points of a transfer are dealt out, so that one scene has every fourth

POINTS = (
    Point("helpline", "node.offer.before_write"),
    Point("helpline", "node.offer.after_write"),
    Point("helpline", "node.outbox.offer.before_submit"),
    Point("helpline", "node.outbox.offer.after_submit"),
    Point("directory", "directory.submit.offer.before_write"),
    Point("directory", "directory.submit.offer.after_write"),
    Point("marseille", "node.arrival.offer.before_write"),
    Point("marseille", "node.arrival.offer.after_write"),
    Point("marseille", "node.accept.before_write"),
    Point("marseille", "node.accept.after_write"),
    Point("marseille", "node.outbox.acceptance.after_submit"),
    Point("directory", "directory.submit.acceptance.after_write"),
    Point("helpline", "node.answer.before_write"),
    Point("helpline", "node.answer.after_write"),
    Point("helpline", "node.ship.key_kept"),
    Point("helpline", "node.ship.packed"),
    Point("helpline", "node.ship.uploading"),
    Point("directory", "mailbox.put.before_fsync"),
    Point("directory", "mailbox.put.after_fsync"),
    Point("helpline", "node.ship.uploaded"),
    Point("helpline", "node.ship.before_write"),
    Point("helpline", "node.ship.after_write"),
    Point("directory", "directory.submit.shipment.after_write"),
    Point("marseille", "node.arrival.shipment.before_write"),
    Point("marseille", "node.arrival.shipment.after_write"),
    Point("marseille", "node.fetch.fetching"),
    Point("marseille", "node.fetch.fetched"),
    Point("marseille", "attachments.write.before_fsync"),
    Point("marseille", "node.fetch.quarantined"),
    Point("marseille", "node.import.before_write"),
    Point("marseille", "node.import.after_write"),
    Point("marseille", "node.outbox.receipt_taken.before_submit"),
    Point("directory", "directory.submit.receipt_taken.before_write"),
    Point("directory", "directory.submit.receipt_taken.after_write"),
    Point("helpline", "node.receipt.before_write"),
    Point("helpline", "node.receipt.after_write"),
)

# Passed where a large case comes over a slow line. The line breaks for the second: so reading along ends before the
# shipment ends it.
ALONG = (Point("marseille", "node.prefetch.fetching"), Point("marseille", "node.prefetch.fetched"))

# Passed where a line is not fast, so that what is packed is spooled.
SLOW = Point("helpline", "node.ship.spooled")

RETURNING = (
    Point("marseille", "node.erase.before_write"),
    Point("marseille", "node.erase.after_write"),
    Point("marseille", "node.erase.buried"),
    Point("marseille", "node.erase.unlinked"),
    Point("marseille", "node.outbox.erasure.before_submit"),
    Point("directory", "directory.submit.erasure.before_write"),
    Point("directory", "directory.submit.erasure.after_write"),
    Point("marseille", "node.outbox.erasure.after_submit"),
    Point("helpline", "node.erasure.before_write"),
    Point("helpline", "node.erasure.after_write"),
)


ROTATING = (
    Point("helpline", "node.identity.kept"),
    Point("helpline", "node.identity.appended"),
    Point("helpline", "node.identity.in_force"),
    Point("helpline", "node.transport.kept"),
    Point("helpline", "node.transport.on_card"),
    Point("helpline", "node.transport.certified"),
)


WITHDRAWING = (
    Point("helpline", "node.withdrawal.after_write"),
    Point("helpline", "node.outbox.withdrawal.before_submit"),
    Point("directory", "directory.submit.withdrawal.before_write"),
    Point("directory", "directory.submit.withdrawal.after_write"),
    Point("helpline", "node.outbox.withdrawal.after_submit"),
    Point("marseille", "node.arrival.withdrawal.after_write"),
)

DECLINING = (
    Point("marseille", "node.decline.after_write"),
    Point("marseille", "node.outbox.refusal.before_submit"),
    Point("directory", "directory.submit.refusal.before_write"),
    Point("directory", "directory.submit.refusal.after_write"),
    Point("marseille", "node.outbox.refusal.after_submit"),
    Point("helpline", "node.answer.after_write"),
)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, founded: Path) -> Iterator[Stage]:
    with quick_stage(tmp_path_factory.mktemp("stage"), founded) as made:
        yield made


def play(stage: Stage, order: Order, points: Sequence[Point], act: Callable[[Scene, Killing], None]) -> None:
    """The scene with all these points armed; then one more for each that was not reached."""
    rest = [tuple(points)]
    while rest:
        armed = rest.pop(0)
        killing = Killing(stage, order, armed)
        stuck = 1
        try:
            act(Scene(stage), killing)
            stuck = 0
        finally:
            count(Row(FAULT, len(killing.reached), stuck=stuck))
        left = [point for point in armed if point.name in killing.left]
        assert len(left) < len(armed), f"never reached: {', '.join(point.name for point in left)}"
        rest += [(point,) for point in left]


def arriving(scene: Scene, killing: Killing) -> None:
    scene.prepare()
    with killing.armed():
        scene.play()
    scene.ends_well()


def returning(scene: Scene, killing: Killing) -> None:
    scene.prepare()
    scene.play()
    with killing.armed():
        scene.give_back()
    scene.ends_with_the_sender()


def withdrawing(scene: Scene, killing: Killing) -> None:
    scene.prepare()
    scene.play()
    with killing.armed():
        scene.withdrawn()
    scene.stands_still("offer", "acceptance", "shipment", "receipt_taken", "withdrawal")


def declining(scene: Scene, killing: Killing) -> None:
    scene.prepare()
    scene.offered()
    with killing.armed():
        scene.declined()
    scene.stands_still("offer", "refusal")


def rotating(scene: Scene, killing: Killing) -> None:
    kind = killing.left[0].split(".")[1]
    with killing.armed():
        scene.rotates(scene.helpline, kind)


def along(scene: Scene, killing: Killing) -> None:
    """Over a line that breaks for the second of these points: so reading along ends before the shipment ends it."""
    scene.prepare(size=9_000_000)
    breaks_after = 7_000_000 if killing.left == ["node.prefetch.fetched"] else None
    with slow_line(scene.helpline, rate=2_200_000, breaks_after=breaks_after) as line, killing.armed():
        scene.play()
    assert line.broke == (breaks_after is not None)
    scene.ends_well()


def spooling(scene: Scene, killing: Killing) -> None:
    scene.prepare(size=14_000_000)  # more than is kept in memory while the line is weighed
    with slow_line(scene.helpline, rate=4_000_000), killing.armed():
        scene.play()
    scene.ends_well()


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("first", range(_SCENES))
def test_a_case_arrives_once_whoever_is_killed_on_its_way(stage: Stage, first: int, order: Order) -> None:
    play(stage, order, POINTS[first::_SCENES], arriving)


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("first", range(2))
def test_a_case_that_is_returned_has_one_holder(stage: Stage, first: int, order: Order) -> None:
    play(stage, order, RETURNING[first::2], returning)


@pytest.mark.parametrize("order", Order)
def test_a_withdrawal_comes_once(stage: Stage, order: Order) -> None:
    play(stage, order, WITHDRAWING, withdrawing)


@pytest.mark.parametrize("order", Order)
def test_a_refusal_comes_once(stage: Stage, order: Order) -> None:
    play(stage, order, DECLINING, declining)


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("kind", ["identity", "transport"])
def test_a_key_that_is_being_replaced_is_the_new_one_in_the_end(stage: Stage, kind: str, order: Order) -> None:
    play(stage, order, [point for point in ROTATING if point.name.split(".")[1] == kind], rotating)


@pytest.mark.parametrize("point", ALONG, ids=lambda point: point.name)
def test_a_recipient_killed_while_it_reads_along_ends_the_same(stage: Stage, point: Point) -> None:
    play(stage, Order.ALONE, [point], along)


def test_a_sender_killed_once_it_has_spooled_ends_the_same(stage: Stage) -> None:
    play(stage, Order.ALONE, [SLOW], spooling)


def test_the_points_are_those_that_the_code_names() -> None:
    importlib.import_module("node.app")  # with everything that a node is made of
    killed = {*POINTS, *RETURNING, *ALONG, *ROTATING, *WITHDRAWING, *DECLINING, SLOW}
    there = {name for name in registered() if name.startswith("node.")}
    assert len(there) >= 20, "the modules are imported"
    assert not there - {point.name for point in killed}, "each point of a node is killed at"
