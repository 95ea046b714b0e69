"""Scenes in which one process is killed at each named point and brought back in each order.

Real processes, SIGKILL, real files. The network is founded once. In one scene (a transfer, a return, a rotation) the
processes die at several points, one after the other; what a scene did not reach gets a scene of its own.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from cordee.runtime.crashpoint import registered
from node.demo.stage import House, Stage, _free_ports, until
from tests.faults.killing import Killing, Order, Point
from tests.faults.scenes import Scene
from tests.faults.slow_line import slow_line
from tests.faults.tally import Row, count

for _whole in ("directory.app", "node.app"):  # with everything that a server is made of
    importlib.import_module(_whole)
NAMED = registered()
"""Every crash point of both servers, read before any test names one of its own."""

FAULT = "kill -9 at each point × each restart order"
SCENES = 4  # among which the points of a transfer are dealt out, so that one scene has every fourth

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
    Point("marseille", "node.outbox.acceptance.before_submit"),
    Point("marseille", "node.outbox.acceptance.after_submit"),
    Point("directory", "directory.submit.acceptance.before_write"),
    Point("directory", "directory.submit.acceptance.after_write"),
    Point("directory", "directory.event.after_prune"),
    Point("directory", "directory.event.before_send"),
    Point("directory", "directory.event.after_send"),
    Point("helpline", "database.before_commit", times=6),
    Point("helpline", "database.after_commit", times=6),
    Point("directory", "database.before_commit", times=4),
    Point("directory", "database.after_commit", times=4),
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
    Point("helpline", "node.outbox.shipment.before_submit"),
    Point("directory", "directory.submit.shipment.before_write"),
    Point("directory", "directory.submit.shipment.after_write"),
    Point("helpline", "node.outbox.shipment.after_submit"),
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
    Point("directory", "directory.erasure.before"),
    Point("directory", "directory.erasure.after"),
    Point("marseille", "node.outbox.receipt_taken.after_submit"),
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


IDENTITY = (
    Point("helpline", "node.identity.kept"),
    Point("helpline", "node.identity.appended"),
    Point("helpline", "node.identity.in_force"),
)

TRANSPORT = (
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

REFUSING = (
    Point("marseille", "node.outbox.receipt_refused.before_submit"),
    Point("directory", "directory.submit.receipt_refused.before_write"),
    Point("directory", "directory.submit.receipt_refused.after_write"),
    Point("marseille", "node.outbox.receipt_refused.after_submit"),
)

EXPIRING = (Point("directory", "directory.expiry.after_write"),)

# A node that hosts a mailbox of its own.
HOSTING = (Point("marseille", "mailbox.put.before_fsync"), Point("marseille", "mailbox.put.after_fsync"))

# Every second one in a scene: an entry is appended once.
LOG_KEY = (
    Point("directory", "directory.roster.before_append"),
    Point("directory", "directory.roster.after_append"),
    Point("directory", "directory.roster.after_last_signed", times=2),  # the first time is its start
    Point("directory", "directory.log_key.before_erasing"),
)

RESTORING = (
    Point("directory", "directory.roster.before_bring_back"),
    Point("directory", "directory.roster.after_bring_back"),
)

KILLED: dict[tuple[str, str], set[Order]] = {}
"""In which orders each point is killed, in a node and in the directory: what the tests below are given."""

SENSELESS: dict[tuple[str, str, Order], str] = {}
"""A server, a point and an order in which it is not killed, with the reason why that would make no sense."""


def killed_in_each_order(points: Sequence[Point], *, parts: int = 1) -> pytest.MarkDecorator:
    """A test is given these points, dealt out to so many scenes, in each order."""
    for point in points:
        server = "directory" if point.process == "directory" else "node"
        KILLED.setdefault((server, point.name), set()).update(Order)
    dealt = [(points[first::parts], order) for order in Order for first in range(parts)]
    names = [f"{first}-{order}" if parts > 1 else str(order) for order in Order for first in range(parts)]
    return pytest.mark.parametrize(("points", "order"), dealt, ids=names)


def servers_of(name: str) -> tuple[str, ...]:
    """Where a point can be reached: what is shared, in both."""
    own = {"node": "node", "attachments": "node", "directory": "directory"}.get(name.split(".")[0])
    return ("node", "directory") if own is None else (own,)


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
        left = killing.left
        assert len(left) < len(armed), f"never reached: {', '.join(point.name for point in left)}"
        rest += [(point,) for point in left]


def arriving(scene: Scene, killing: Killing) -> None:
    scene.prepare()
    with killing.armed():
        scene.play()
        scene.erased()
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


def refusing(scene: Scene, killing: Killing) -> None:
    scene.prepare(size=1_000)
    scene.adds_a_file()
    with scene.stage.cheating(scene.helpline):
        scene.offered()
        with killing.armed():
            scene.refused()
    scene.stands_still("offer", "acceptance", "shipment", "receipt_refused")
    assert scene._case(scene.marseille) is None


def expiring(scene: Scene, killing: Killing) -> None:
    scene.prepare(size=1_000)
    scene.offered("--expires-in", "10s")
    with killing.armed():
        scene.expires()
    scene.stands_still("offer")


def identity(scene: Scene, killing: Killing) -> None:
    with killing.armed():
        scene.rotates(scene.helpline, "identity")


def transport(scene: Scene, killing: Killing) -> None:
    with killing.armed():
        scene.rotates(scene.helpline, "transport")


def log_key(scene: Scene, killing: Killing) -> None:
    with killing.armed():
        scene.replaces_the_log_key()


def restoring(scene: Scene, killing: Killing) -> None:
    size = scene.entries() + 1
    scene.directory_loses(scene.replaces_the_log_key)
    with killing.armed():
        until(lambda: scene.entries() == size, seconds=120, what="the log")
        scene.all_follow(size)


def hosting(scene: Scene, killing: Killing) -> None:
    scene.prepare()
    with own_mailbox(scene.marseille), killing.armed():
        scene.play()
    scene.ends_well()


@contextmanager
def own_mailbox(house: House) -> Iterator[None]:
    """As long as the block lasts, the house's node hosts a mailbox, from its next start on."""
    program, usual = house.program, house.program.environment
    address = f"127.0.0.1:{_free_ports(1)[0]}"
    program.environment = {**usual, "CORDEE_NODE_MAILBOX_LISTEN": address, "CORDEE_NODE_MAILBOX_ENDPOINT": address}
    try:
        yield
    finally:
        program.environment = usual
        program.kill()
        program.start()


def along(scene: Scene, killing: Killing) -> None:
    """Over a line that breaks for the second of these points: so reading along ends before the shipment ends it."""
    scene.prepare(size=9_000_000)
    breaks_after = 7_000_000 if [point.name for point in killing.left] == ["node.prefetch.fetched"] else None
    with slow_line(scene.helpline, rate=2_200_000, breaks_after=breaks_after) as line, killing.armed():
        scene.play()
    assert line.broke == (breaks_after is not None)
    scene.ends_well()


def spooling(scene: Scene, killing: Killing) -> None:
    scene.prepare(size=14_000_000)  # more than is kept in memory while the line is weighed
    with slow_line(scene.helpline, rate=4_000_000), killing.armed():
        scene.play()
    scene.ends_well()
