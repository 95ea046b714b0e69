"""What is explored: which faults, how many of each at most, in one history of one case."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic

from tests.faults.model.engine import Found, Model, explore
from tests.faults.model.facts import Luck
from tests.faults.model.log import log_model
from tests.faults.model.transfer import EVERY_HOUR, SOON_OVER, build

__all__ = ["EXHAUSTIVE", "QUICK", "Scene", "explored"]


@dataclass(frozen=True)
class Scene:
    """One model, by its budgets."""

    name: str
    luck: Luck = field(default_factory=Luck)
    offered_to: int = 1
    clock: tuple[int, ...] = EVERY_HOUR
    burns: str = ""
    liveness: bool = True
    log: int = 0
    """Not a transfer but the log, with so many restores of the directory."""

    def model(self, planted: str = "") -> Model:
        if self.log:
            return log_model(self.name, restores=self.log, planted=planted)
        return build(
            self.name,
            self.luck,
            offered_to=self.offered_to,
            clock=self.clock,
            burns=self.burns,
            planted=planted,
        )

    def run(self, planted: str = "") -> Found:
        """Explore it. Raises: TooManyStates."""
        return explore(self.model(planted), liveness=self.liveness)


def explored(scene: Scene) -> tuple[Scene, Found, float]:
    """A scene with what was found in it and how many seconds that took: for a pool of processes."""
    began = monotonic()
    return scene, scene.run(), monotonic() - began


PLAIN = Scene("every order of steps, withdrawals, deadlines")
NETWORK = Scene("an answer lost, an event twice, a statement too old", Luck(lose=1, twice=1, old=1))
LATE = Scene("a statement late and twice", Luck(late=1))
DISKS = Scene("a crash, a damaged spool", Luck(spoil=1, crash=1))
ROSTER = Scene("a suspension or a removal", Luck(govern=1))
SENDER_BURNS = Scene("the sender restored from a backup", Luck(burn=1), clock=SOON_OVER, burns="sender")
RECIPIENT_BURNS = Scene("the recipient restored from a backup", Luck(burn=1), clock=SOON_OVER, burns="recipient")
DIRECTORY_BURNS = Scene("the directory restored from a backup", Luck(strike=1), clock=SOON_OVER)
TWO = Scene("one case offered to two", offered_to=2, clock=(0,), liveness=False)
LOG = Scene("the log, two restores of the directory", log=2)

QUICK = (PLAIN, LATE, DISKS, LOG)
"""A second or two: for `make test`."""

EXHAUSTIVE = (
    Scene("the directory restored, an answer lost", Luck(strike=1, lose=1), clock=SOON_OVER),
    NETWORK,
    Scene("the recipient restored, an answer lost", Luck(burn=1, lose=1), clock=SOON_OVER, burns="recipient"),
    Scene("the sender restored, an answer lost", Luck(burn=1, lose=1), clock=SOON_OVER, burns="sender"),
    TWO,
    ROSTER,
    Scene("a statement late and twice, an answer lost", Luck(late=1, lose=1)),
    DISKS,
    LOG,
)
"""`make faults`: the largest first, so that two processes end at about the same time."""
