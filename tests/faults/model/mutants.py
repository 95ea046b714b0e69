"""Plausible mistakes, each planted alone: of the table, of the broker, of a node's durable order, of the log.

A mistake of the table changes `cordee.transfer` itself while it is planted, so that every part of the model asks the
wrong table; the others are names that the model's parts know.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from unittest.mock import patch

from cordee import transfer
from cordee.transfer import Kind, Party, Rule, State
from tests.faults.model import scenes
from tests.faults.model.engine import Found
from tests.faults.model.scenes import Scene

__all__ = ["MUTANTS", "Mutant"]

_S, _R = Party.SENDER, Party.RECIPIENT


@dataclass(frozen=True)
class Mutant:
    """A mistake, and the scene in which it must be found."""

    name: str
    scene: Scene = scenes.PLAIN
    without: tuple[tuple[State, Kind], ...] = ()
    instead: tuple[Rule, ...] = ()
    """Rows of the table that are missing, and others that are there."""

    def hunt(self) -> Found:
        """Explore the scene with the mistake in it."""
        with self.planted():
            return self.scene.run(self.name)

    @contextmanager
    def planted(self) -> Iterator[None]:
        """The table is wrong meanwhile, where this is a mistake of the table."""
        if not self.without and not self.instead:
            yield
            return
        rules = tuple(each for each in transfer.RULES if (each.state, each.statement) not in self.without)
        rules += self.instead
        cells = {(each.state, each.statement, each.by): each for each in rules}
        with patch.object(transfer, "RULES", rules), patch.object(transfer, "_BY_CELL", cells):
            yield


def _missing(name: str, *cells: tuple[State, Kind], scene: Scene = scenes.PLAIN) -> Mutant:
    return Mutant(name, scene, without=cells)


def _changed(name: str, *rules: Rule, scene: Scene = scenes.PLAIN) -> Mutant:
    cells = tuple((each.state, each.statement) for each in rules if each.state is not None)
    return Mutant(name, scene, without=cells, instead=rules)


_TABLE = (
    _missing("no late receipt after a withdrawal", (State.WITHDRAWN, Kind.RECEIPT_TAKEN)),
    _missing("no late receipt after an expiry", (State.EXPIRED, Kind.RECEIPT_TAKEN)),
    _missing("no late refused receipt after an expiry", (State.EXPIRED, Kind.RECEIPT_REFUSED)),
    _missing("an offer never expires", (State.OFFERED, Kind.EXPIRY)),
    _missing("an accepted transfer never expires", (State.ACCEPTED, Kind.EXPIRY)),
    _missing("a received case cannot be returned", (State.RECEIVED, Kind.ERASURE), scene=scenes.RECIPIENT_BURNS),
    _missing("a received case cannot be asked back", (State.RECEIVED, Kind.WITHDRAWAL)),
    _missing("no refused receipt", (State.SHIPPED, Kind.RECEIPT_REFUSED), scene=scenes.DISKS),
    _changed(
        "a late receipt leaves it expired",
        Rule(State.EXPIRED, Kind.RECEIPT_TAKEN, _R, State.EXPIRED, after=Kind.SHIPMENT),
    ),
    _changed(
        "a late receipt leaves it withdrawn",
        Rule(State.WITHDRAWN, Kind.RECEIPT_TAKEN, _R, State.WITHDRAWN, after=Kind.SHIPMENT),
    ),
    _changed(
        "a withdrawal makes what was received withdrawn", Rule(State.RECEIVED, Kind.WITHDRAWAL, _S, State.WITHDRAWN)
    ),
    _changed(
        "a refused receipt counts as received",
        Rule(State.SHIPPED, Kind.RECEIPT_REFUSED, _R, State.RECEIVED),
        scene=scenes.DISKS,
    ),
    _changed("an acceptance ships at once", Rule(State.OFFERED, Kind.ACCEPTANCE, _R, State.SHIPPED)),
    _changed("a shipment counts as received", Rule(State.ACCEPTED, Kind.SHIPMENT, _S, State.RECEIVED)),
)

_BROKER = (
    Mutant("the same statement again is a conflict", Scene("an answer lost", scenes.Luck(lose=1))),
    Mutant("no event is kept with a receipt"),
    Mutant("an expiry is not told to the recipient"),
    Mutant("ciphertext stays after the end"),
    Mutant("a removal ends no transfer", scenes.ROSTER),
    Mutant("a restored directory says nothing of it", scenes.DIRECTORY_BURNS),
    Mutant("a restore ends no transfer", scenes.RECIPIENT_BURNS),
)

_SENDER = (
    Mutant("a second acceptance is let go ahead", scenes.TWO),
    Mutant("a shipment is signed and taken before its ciphertext is there"),
    Mutant("an end keeps the key"),
    Mutant("the case stays open after its receipt"),
    Mutant("a case that was erased there is not taken back"),
    Mutant("a refused erasure takes the case back"),
    Mutant("a withdrawal is not sent"),
    Mutant("a withdrawal is not signed anew with its offer", scenes.NETWORK),
    Mutant("an offer that ran out at home is forgotten"),
    Mutant("an offer to a removed member waits for ever", scenes.ROSTER),
    Mutant("a withdrawal that expiry overtook asks for nothing"),
    Mutant("what was given up is forgotten", scenes.LATE),
    Mutant("a withdrawal stands though they had declined"),
    Mutant("a withdrawal stands though it came too late"),
)

_RECIPIENT = (
    Mutant("the answer is sent before the key is kept"),
    Mutant("the case is imported and no receipt kept"),
    Mutant("the import leaves its job"),
    Mutant("the receipt is kept before the case"),
    Mutant("an erasure is signed and nothing erased"),
    Mutant("no tombstone is set"),
    Mutant("a withdrawal is kept and the transfer goes on"),
    Mutant("an expiry erases what was imported"),
    Mutant("a refusal stands though it came too late"),
    Mutant("a refused receipt stands though it came too late"),
)

_RESTORED = (
    Mutant("a backup has the in-flight keys", scenes.RECIPIENT_BURNS),
    Mutant("a restored node does not tell", scenes.RECIPIENT_BURNS),
    Mutant("a restored recipient gives nothing back", scenes.RECIPIENT_BURNS),
    Mutant("tombstones are not applied after a restore", scenes.RECIPIENT_BURNS),
    Mutant("what its tombstone erased again is not given back", scenes.RECIPIENT_BURNS),
    Mutant("what was over is not kept after a restore", scenes.RECIPIENT_BURNS),
    Mutant("what was kept by law and lost is not noted", scenes.RECIPIENT_BURNS),
    Mutant("what may have arrived is not noted after a restore", scenes.SENDER_BURNS),
    Mutant("a request to erase is forgotten with a restore", scenes.SENDER_BURNS),
)

_LOG = (
    Mutant("last-signed comes back from the backup as well", scenes.LOG),
    Mutant("what was signed is not looked at", scenes.LOG),
    Mutant("signed before the file is written", scenes.LOG),
)

MUTANTS: Sequence[Mutant] = (*_TABLE, *_BROKER, *_SENDER, *_RECIPIENT, *_RESTORED, *_LOG)
