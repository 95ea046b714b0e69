"""Lines that break: a partition in one direction or both, and answers that are lost after the step was committed.

The nodes reach the directory through a line of ours, which carries TLS and understands none of it. Real processes.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import pytest

from cordee.transfer import State
from node.demo.processes import Program, command_line
from node.demo.stage import House, Stage, until
from node.joining import Membership
from tests.faults.lines import Line
from tests.faults.scenes import Scene
from tests.faults.tally import Row, count
from tests.lacking import lacking

pytestmark = [pytest.mark.fault, pytest.mark.timeout(900)]

PARTITION = "partition"
REPLY_LOST = "reply lost after commit"


@contextmanager
def lines(stage: Stage) -> Iterator[dict[str, Line]]:
    """Each association's own line to the directory."""
    usual = {name: Membership.load(house.data_dir) for name, house in stage.houses.items()}
    made: dict[str, Line] = {}
    try:
        for name, house in stage.houses.items():
            house.program.stop()
            made[name] = Line(usual[name].members)
            replace(usual[name], members=made[name].address).save(house.data_dir)
            house.program.start()
        yield made
    finally:
        for name, house in stage.houses.items():
            house.program.stop()
            if name in made:
                made[name].close()
            usual[name].save(house.data_dir)


@pytest.fixture(scope="module")
def lined(stage: Stage) -> Iterator[dict[str, Line]]:
    with lines(stage) as made:
        yield made


def statements(stage: Stage, scene: Scene) -> list[str]:
    """That the directory has taken of a transfer, in order."""
    path = stage.folder / "directory" / "directory.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as db:
        query = "SELECT kind FROM statement WHERE transfer_id = ? ORDER BY position"
        return [row[0] for row in db.execute(query, (bytes.fromhex(scene.transfer),))]


def newest_of(stage: Stage, known: set[str]) -> str:
    """A transfer that the directory has and that was not known before."""
    path = stage.folder / "directory" / "directory.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as db:
        found = {row[0].hex() for row in db.execute("SELECT id FROM transfer")} - known
    return next(iter(found), "")


# ---- the answer is lost ----


def test_an_answer_that_is_lost_after_the_commit_leaves_one_effect(stage: Stage, lined: dict[str, Line]) -> None:
    """For each step of a transfer: nothing comes back to whoever took it from before the step until the directory has
    committed it; then the connection is cut. Whoever took the step asks, by the transfer's id, and finds out.
    """
    scene = Scene(stage)
    scene.prepare()
    tried = 0

    def lost(who: House, act: Callable[[], object], committed: Callable[[], Any]) -> None:
        nonlocal tried
        line = lined[who.name]
        with line.deaf():
            act()
            until(committed, seconds=120, what="the commit")
            line.cut()
        tried += 1

    helpline, marseille = scene.helpline, scene.marseille
    known = {row["transfer"] for row in helpline.command("transfer", "list")}
    lost(helpline, lambda: setattr(scene, "transfer", scene._offered()), lambda: newest_of(stage, known))
    until(lambda: scene._line(marseille), seconds=120, what="the offer")
    lost(
        marseille,
        lambda: marseille.command("transfer", "accept", scene.transfer),
        lambda: "acceptance" in statements(stage, scene),
    )
    # What follows, each side does by itself: the shipment as soon as the acceptance has come, the receipt after it.
    until(lambda: "shipment" in statements(stage, scene), seconds=120, what="the shipment")
    until(lambda: scene._state(helpline) == State.RECEIVED, seconds=240, what="the receipt")
    until(lambda: scene._state(marseille) == State.RECEIVED, seconds=60)
    scene.ends_well()
    lost(
        helpline,
        lambda: helpline.command("transfer", "withdraw", scene.transfer),
        lambda: "withdrawal" in statements(stage, scene),
    )
    until(lambda: (scene._line(marseille) or {}).get("erasure") == "asked", seconds=120, what="the withdrawal")
    lost(
        marseille,
        lambda: marseille.command("transfer", "erase-answer", scene.transfer, "--erase"),
        lambda: "erasure" in statements(stage, scene),
    )
    until(lambda: (scene._line(helpline) or {}).get("erasure") == "done", seconds=120, what="the erasure")
    kinds = ["offer", "acceptance", "shipment", "receipt_taken", "withdrawal", "erasure"]
    twice = len(statements(stage, scene)) - len(set(statements(stage, scene)))
    count(Row(REPLY_LOST, tried, twice=twice, lost=int(statements(stage, scene) != kinds)))
    assert statements(stage, scene) == kinds
    scene.stands_still(*kinds)


@pytest.mark.parametrize("kind", ["shipment", "receipt_taken"])
def test_so_does_one_of_a_step_that_a_node_takes_by_itself(stage: Stage, lined: dict[str, Line], kind: str) -> None:
    scene = Scene(stage)
    scene.prepare(size=200_000)
    scene.offered()
    who = scene.helpline if kind == "shipment" else scene.marseille
    line = lined[who.name]
    # The answers before it must come: the line turns deaf at the statement's own commit in the node's database.
    scene.marseille.command("transfer", "accept", scene.transfer)
    until(lambda: kind in scene.kinds(who), seconds=120, what="the statement")
    with line.deaf():
        until(lambda: kind in statements(stage, scene), seconds=120, what="the commit")
        line.cut()
    until(lambda: scene._state(scene.helpline) == State.RECEIVED, seconds=240)
    until(lambda: scene._state(scene.marseille) == State.RECEIVED, seconds=60)
    count(Row(REPLY_LOST, 1))
    scene.ends_well()


# ---- partitions ----

CUTS: dict[str, Callable[[Line], Any]] = {
    "in both directions": lambda line: line.silent(),
    "only answers are lost": lambda line: line.deaf(),
    "only what is sent is lost": lambda line: line.mute(),
}


@pytest.mark.parametrize("who", ["helpline", "marseille"])
@pytest.mark.parametrize("how", CUTS)
def test_a_partition_that_heals_has_changed_nothing(stage: Stage, lined: dict[str, Line], who: str, how: str) -> None:
    scene = Scene(stage)
    scene.prepare()
    stuck = 1
    try:
        with CUTS[how](lined[who]):
            scene.transfer = scene._offered()
            if who == "marseille":  # the sender is well, the recipient hears of nothing
                until(lambda: "offer" in statements(stage, scene), seconds=120, what="the offer's commit")
                assert scene.kept(scene.marseille) is None or how == "only what is sent is lost"
        # Nobody resets it: the ends find out by themselves, as they would where a cable was pulled.
        until(lambda: scene._line(scene.marseille), seconds=240, what="the offer")
        with CUTS[how](lined[who]):
            scene.types(
                scene.marseille,
                *("transfer", "accept", scene.transfer),
                done=lambda: scene.kept(scene.marseille) != State.OFFERED,
            )
        until(lambda: scene._state(scene.helpline) == State.RECEIVED, seconds=240, what="the receipt")
        until(lambda: scene._state(scene.marseille) == State.RECEIVED, seconds=60)
        stuck = 0
    finally:
        count(Row(PARTITION, 1, stuck=stuck))
    scene.ends_well()


# ---- the same between network namespaces ----


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def may_have_networks() -> bool:
    """Whether network namespaces can be made here."""
    name = f"cordee-try-{os.getpid()}"
    try:
        ip("netns", "add", name)
    except (OSError, subprocess.CalledProcessError):
        return False
    try:
        ip("link", "add", f"ct{os.getpid() % 10_000}", "netns", name, "type", "veth", "peer", "name", "peer0")
    except subprocess.CalledProcessError:
        return False
    finally:
        ip("netns", "delete", name)
    return True


class Island:
    """A network namespace with one cable to ours."""

    def __init__(self) -> None:
        number = os.getpid() % 10_000
        self.name, self._outer = f"cordee-{os.getpid()}", f"co{number}"
        self.here, self._there = f"10.213.{number % 250}.1", f"10.213.{number % 250}.2"

    def __enter__(self) -> Island:
        ip("netns", "add", self.name)
        ip("link", "add", self._outer, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        ip("address", "add", f"{self.here}/24", "dev", self._outer)
        ip("link", "set", self._outer, "up")
        for words in (("address", "add", f"{self._there}/24", "dev", "eth0"), ("link", "set", "eth0", "up")):
            ip("-n", self.name, *words)
        ip("-n", self.name, "link", "set", "lo", "up")
        return self

    def __exit__(self, *_: object) -> None:
        ip("netns", "delete", self.name)

    @contextmanager
    def silent(self) -> Iterator[None]:
        """The cable is pulled."""
        ip("link", "set", self._outer, "down")
        try:
            yield
        finally:
            ip("link", "set", self._outer, "up")

    @contextmanager
    def deaf(self) -> Iterator[None]:
        """What we send goes to a card that nobody has; what comes from there arrives."""
        with self._misled((), self._there, self._outer):
            yield

    @contextmanager
    def mute(self) -> Iterator[None]:
        """The other way round."""
        with self._misled(("-n", self.name), self.here, "eth0"):
            yield

    @contextmanager
    def _misled(self, where: tuple[str, ...], address: str, device: str) -> Iterator[None]:
        ip(*where, "neigh", "replace", address, "lladdr", "02:00:00:00:00:99", "dev", device, "nud", "permanent")
        try:
            yield
        finally:
            ip(*where, "neigh", "delete", address, "dev", device)


@pytest.mark.parametrize("how", ["silent", "deaf", "mute"])
def test_a_partition_between_networks_that_heals_has_changed_nothing(stage: Stage, how: str) -> None:
    if not may_have_networks():
        lacking("network namespaces are forbidden here; the same is done above through a line of ours")
    scene = Scene(stage)
    scene.prepare()
    house = scene.marseille
    usual, program = Membership.load(house.data_dir), house.program
    port = usual.members.rpartition(":")[2]
    program.stop()
    with Island() as island, gate(island.here, int(port)):
        replace(usual, members=f"{island.here}:{port}").save(house.data_dir)
        house.program = Program(
            program.name,
            ("/usr/sbin/ip", "netns", "exec", island.name, *command_line(*program.arguments)),
            program.environment,
            program.log,
        )
        try:
            house.program.start()
            scene.offered()
            stuck = 1
            try:
                with getattr(island, how)():
                    house.command("transfer", "accept", scene.transfer)
                until(lambda: scene._state(scene.helpline) == State.RECEIVED, seconds=240, what="the receipt")
                until(lambda: scene._state(house) == State.RECEIVED, seconds=60)
                stuck = 0
            finally:
                count(Row(PARTITION, 1, stuck=stuck))
            scene.ends_well()
        finally:
            house.program.stop()
            usual.save(house.data_dir)
            house.program = program


@contextmanager
def gate(address: str, port: int) -> Iterator[None]:
    """What comes to that address goes to the directory, which listens on 127.0.0.1 alone."""
    line = Line(f"127.0.0.1:{port}", listen=(address, port))
    try:
        yield
    finally:
        line.close()
