"""The roster log: a directory that signs it, two nodes that follow it, restores of the directory (protocol §4, §10).

An entry is a number of its own, so two logs that grew apart differ. A node's head is what it has verified; the
directory has its database, and beside it, in no backup, what it signed last (`directory/lastsigned.py`).

I5: of two views one begins with the other, or a node that was shown otherwise has an alarm. I6: a node's log never gets
shorter. I7: the directory never signs a log that does not continue what it signed before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.faults.model.engine import Invariant, Model, Move, Rule

__all__ = ["log_model"]

_NODES = ("one node", "other node")
_MOST = 3

Log = tuple[int, ...]


class Directory(NamedTuple):
    """Its database, its file, its memory."""

    entries: Log = ()
    unsigned: Log | None = None
    """The log whose signature is being made: `advance` has written, the note is not out yet."""
    last_signed: Log = ()
    """The size and root in `last-signed`: a root stands for the whole log."""
    shown: Log = ()
    """The newest checkpoint that left it."""
    saved: Log | None = None
    restores: int = 0
    made: int = 0
    """How many entries administrators ever signed."""
    wrong: str = ""


class View(NamedTuple):
    """A node's verified log."""

    entries: Log = ()
    alarm: bool = False
    wrong: str = ""


def log_model(name: str, *, restores: int, planted: str = "") -> Model:
    """`restores`: how often the database comes back from a backup."""

    def directory(at: Directory) -> Iterator[Move]:
        behind = len(at.entries) < len(at.last_signed) and planted != "what was signed is not looked at"
        if at.made < _MOST and not behind and at.unsigned is None:
            made = at.made + 1
            grown = at._replace(entries=(*at.entries, made), made=made)
            yield Move("an entry is appended", {"directory": grown}, fair=False)
        if not behind and at.entries != at.shown and at.unsigned is None:
            yield from _advances(at, planted)
        if at.unsigned is not None:
            wrong = "" if _continues(at.unsigned, at.shown) else "it signed a log that does not continue the last one"
            shown = at._replace(shown=at.unsigned, unsigned=None, wrong=at.wrong or wrong)
            yield Move("a checkpoint leaves", {"directory": shown})
            yield Move("the directory dies before its checkpoint leaves", {"directory": at._replace(unsigned=None)})
        if at.saved is None and at.restores < restores:
            yield Move("the database is backed up", {"directory": at._replace(saved=at.entries)}, fair=False)
        if at.saved is not None:
            back = at._replace(entries=at.saved, unsigned=None, saved=None, restores=at.restores + 1)
            if planted == "last-signed comes back from the backup as well":
                back = back._replace(last_signed=at.saved)
            yield Move("the database is restored", {"directory": back}, fair=False)

    def with_node(node: str, at: Directory, view: View) -> Iterator[Move]:
        behind = len(at.entries) < len(at.last_signed)
        if behind:
            if len(view.entries) > len(at.entries) and _may_give(at, view):
                yield Move(f"the {node} gives back", {"directory": at._replace(entries=view.entries)})
            return
        if view.alarm or view.entries == at.shown:
            return
        yield Move(f"the {node} synchronises", {node: _shown(view, at.shown)})

    rules = [Rule(("directory",), directory)]
    for node in _NODES:
        rules.append(Rule(("directory", node), lambda at, view, node=node: with_node(node, at, view)))
    begin = {"directory": Directory(), **{node: View() for node in _NODES}}
    invariants = [
        Invariant("I5", _NODES, _prefixes),
        *(Invariant("I6", (node,), lambda view: view.wrong) for node in _NODES),
        Invariant("I7", ("directory",), lambda at: at.wrong),
    ]
    return Model(name, begin, rules, invariants, Invariant("rest", ("directory", *_NODES), _unrest))


def _advances(at: Directory, planted: str) -> Iterator[Move]:
    """`LastSigned.advance`: the file is written before the checkpoint leaves; what does not continue it is refused."""
    checked = planted == "what was signed is not looked at" or _continues(at.entries, at.last_signed)
    if not checked:
        return
    last = at.last_signed if planted == "signed before the file is written" else at.entries
    parts = {"directory": at._replace(unsigned=at.entries, last_signed=last)}
    yield Move("the directory writes down what it is about to sign", parts)


def _may_give(at: Directory, view: View) -> bool:
    """`Recovery.take`: the giver's log continues this one, and what was signed last is among it."""
    return _continues(view.entries, at.entries) and _continues(view.entries, at.last_signed)


def _shown(view: View, shown: Log) -> View:
    """`RosterSync`: a log that does not continue ours is an alarm, and what was known stays."""
    if _continues(shown, view.entries):
        return view._replace(entries=shown)
    return view._replace(alarm=True)


def _continues(log: Log, before: Log) -> bool:
    return log[: len(before)] == before


def _prefixes(one: View, other: View) -> str:
    if one.alarm or other.alarm or _continues(one.entries, other.entries) or _continues(other.entries, one.entries):
        return ""
    return "two nodes have two logs, and neither knows"


def _unrest(at: Directory, *views: View) -> str:
    """Everybody has what was shown; or nobody here has what was signed last, and people must look for it."""
    if at.unsigned is not None:
        return "a checkpoint is being signed"
    if len(at.entries) < len(at.last_signed):
        helps = any(_continues(view.entries, at.last_signed) for view in views)
        return "the directory waits for what a node has" if helps else ""
    if at.entries != at.shown:
        return "the log has grown and is not signed"
    return "a node has not synchronised" if any(v.entries != at.shown and not v.alarm for v in views) else ""
