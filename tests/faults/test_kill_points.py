"""Kill one process at each named point of a transfer, start it again: the same end, imported exactly once.

Real processes, SIGKILL, real files. The network is founded once; each point gets a case and a transfer of its own.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from cordee.runtime.crashpoint import registered
from node.demo.stage import Stage
from tests.faults.scenes import FirstTransfer, small_stage
from tests.faults.slow_line import slow_line

pytestmark = pytest.mark.journey


@dataclass(frozen=True)
class Point:
    """A name, and which process reaches it."""

    process: str
    name: str


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

ELSEWHERE = {
    "node.arrival.withdrawal.after_write": "a withdrawal: such a transfer does not arrive",
    "node.decline.after_write": "a refusal by people: such a transfer does not arrive",
}


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


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with small_stage(tmp_path_factory.mktemp("stage")) as made:
        yield made


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
def test_a_process_killed_at_any_point_and_started_again_ends_the_same(stage: Stage, point: Point) -> None:
    scene = FirstTransfer(stage)
    scene.prepare()
    with scene.armed(point.process, point.name) as died:
        scene.play()
    assert died(), f"{point.process} never reached {point.name}"
    scene.ends_well()


@pytest.mark.parametrize("point", RETURNING, ids=lambda point: point.name)
def test_a_process_killed_while_a_case_is_returned_leaves_one_holder(stage: Stage, point: Point) -> None:
    scene = FirstTransfer(stage)
    scene.prepare()
    scene.play()
    with scene.armed(point.process, point.name) as died:
        scene.give_back()
    assert died(), f"{point.process} never reached {point.name}"
    scene.ends_with_the_sender()


@pytest.mark.parametrize("point", ALONG, ids=lambda point: point.name)
def test_a_recipient_killed_while_it_reads_along_ends_the_same(stage: Stage, point: Point) -> None:
    scene = FirstTransfer(stage)
    scene.prepare(size=9_000_000)
    breaks_after = 7_000_000 if point.name == "node.prefetch.fetched" else None
    with (
        slow_line(scene.helpline, rate=2_200_000, breaks_after=breaks_after) as line,
        scene.armed(point.process, point.name) as died,
    ):
        scene.play()
    assert line.broke == (breaks_after is not None)
    assert died(), f"{point.process} never reached {point.name}"
    scene.ends_well()


def test_a_sender_killed_once_it_has_spooled_ends_the_same(stage: Stage) -> None:
    scene = FirstTransfer(stage)
    scene.prepare(size=14_000_000)  # more than is kept in memory while the line is weighed
    with slow_line(scene.helpline, rate=4_000_000), scene.armed(SLOW.process, SLOW.name) as died:
        scene.play()
    assert died(), f"{SLOW.process} never reached {SLOW.name}"
    scene.ends_well()


@pytest.mark.parametrize("point", ROTATING, ids=lambda point: point.name)
def test_a_node_killed_while_a_key_of_its_own_is_replaced_ends_with_the_new_one(stage: Stage, point: Point) -> None:
    kind = point.name.split(".")[1]
    scene = FirstTransfer(stage)
    with scene.armed(point.process, point.name) as died:
        scene.rotates(scene.helpline, kind)
    assert died(), f"{point.process} never reached {point.name}"
    scene.prepare()
    scene.play()
    scene.ends_well()


def test_the_points_are_those_that_the_code_names() -> None:
    importlib.import_module("node.app")  # with everything that a node is made of
    assert len(POINTS) >= 20
    killed = (*POINTS, *RETURNING, *ALONG, *ROTATING, SLOW)
    assert len(set(killed)) == len(killed)
    named = {point.name for point in killed}
    there = {name for name in registered() if name.startswith("node.")}
    assert len(there) >= 20, "the modules are imported"
    assert there - named == ELSEWHERE.keys(), "each point of a node is killed at, or says why it is not"
