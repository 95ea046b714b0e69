"""Two people changed the same section at once: what both wrote, put together from what both had begun with.

A field that only one of them changed is as that one left it. Where both changed it, and not alike, a person chooses.
Nothing that either wrote is lost without somebody having said so.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any, Final, Literal

from cordee.jsonform import canonical

__all__ = ["Choice", "Difference", "Merged", "merge"]

Choice = Literal["theirs", "mine", "both"]

_IDS: Final = ("action_id", "note_id", "person_id", "trace_id", "attachment_id", "act_id")


@dataclass(frozen=True)
class Difference:
    """A field, or a whole entry of a list, that both changed. None: it was not there, or was taken out."""

    path: str
    theirs: Any
    mine: Any

    @property
    def joinable(self) -> bool:
        """Both are texts: one may stand after the other."""
        return isinstance(self.theirs, str) and isinstance(self.mine, str)


@dataclass(frozen=True)
class Merged:
    """The section put together. Where nobody has chosen yet, theirs stands."""

    content: Any
    differing: tuple[Difference, ...]  # to be chosen; those that were chosen are no longer in it
    taken: tuple[str, ...]  # the paths that only the others changed


@dataclass
class _Desk:
    choices: Mapping[str, Choice]
    differing: list[Difference] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)


def merge(section: str, base: Any, theirs: Any, mine: Any, choices: Mapping[str, Choice] | None = None) -> Merged:
    """`base` is what both began with, `theirs` what is kept now, `mine` what is to be saved.

    `choices` says for paths of differences what is to stand. A path counts entries as they stand in `theirs`, and one
    that was taken out there after them.
    """
    desk = _Desk(choices or {})
    content = _any(section, base, theirs, mine, desk)
    return Merged(content, tuple(desk.differing), tuple(desk.taken))


def _any(path: str, base: Any, theirs: Any, mine: Any, desk: _Desk) -> Any:
    if mine == theirs:
        return copy.deepcopy(theirs)
    kinds = [each for each in (base, theirs, mine) if each is not None]
    if theirs is not None and mine is not None and all(isinstance(each, dict) for each in kinds):
        return _object(path, base or {}, theirs, mine, desk)
    if all(isinstance(each, list) for each in kinds) and base not in (theirs, mine):
        lists = (base or [], theirs or [], mine or [])
        if any(isinstance(entry, dict) for each in lists for entry in each):
            return _entries(path, *lists, desk) or None
        return _values(path, *lists, desk) or None
    if mine == base:
        desk.taken.append(path)
        return copy.deepcopy(theirs)
    if theirs == base:
        return copy.deepcopy(mine)
    return _chosen(Difference(path, copy.deepcopy(theirs), copy.deepcopy(mine)), desk)


def _chosen(difference: Difference, desk: _Desk) -> Any:
    choice = desk.choices.get(difference.path)
    if choice == "mine":
        return difference.mine
    if choice == "both" and difference.joinable:
        return f"{difference.theirs}\n\n{difference.mine}"
    if choice != "theirs":
        desk.differing.append(difference)
    return difference.theirs


def _object(
    path: str, base: Mapping[str, Any], theirs: Mapping[str, Any], mine: Mapping[str, Any], desk: _Desk
) -> dict[str, Any]:
    after = {}
    for name in dict.fromkeys((*theirs, *mine)):
        value = _any(f"{path}.{name}", base.get(name), theirs.get(name), mine.get(name), desk)
        if value is not None:
            after[name] = value
    return after


def _values(path: str, base: Sequence[Any], theirs: Sequence[Any], mine: Sequence[Any], desk: _Desk) -> list[Any]:
    """A list of texts or codes, as a set: what either put in is in it, what either took out is not."""
    out = [each for each in base if each not in theirs or each not in mine]
    if list(theirs) != list(base):
        desk.taken.append(path)
    return [each for each in dict.fromkeys((*theirs, *mine)) if each not in out]


def _entries(path: str, base: Sequence[Any], theirs: Sequence[Any], mine: Sequence[Any], desk: _Desk) -> list[Any]:
    of_theirs, of_mine = _partners(base, theirs), _partners(base, mine)
    began_as = {place: index for index, place in of_theirs.items()}
    after = []
    for place, entry in enumerate(theirs):
        own, index = f"{path}[{place}]", began_as.get(place)
        if index is None:
            desk.taken.append(own)
            after.append(copy.deepcopy(entry))
        elif index in of_mine:
            after.append(_any(own, base[index], entry, mine[of_mine[index]], desk))
        elif entry != base[index]:  # taken out here, changed there
            after.append(_chosen(Difference(own, copy.deepcopy(entry), None), desk))
    gone = len(theirs)
    for place, entry in enumerate(mine):
        index = next((each for each, partner in of_mine.items() if partner == place), None)
        if index is None:
            after.append(copy.deepcopy(entry))
        elif index not in of_theirs:
            if entry != base[index]:  # taken out there, changed here
                after.append(_chosen(Difference(f"{path}[{gone}]", None, copy.deepcopy(entry)), desk))
                gone += 1
            else:
                desk.taken.append(path)
    return [each for each in after if each is not None]


def _partners(base: Sequence[Any], other: Sequence[Any]) -> dict[int, int]:
    """Which entry of `base` stands where in `other`: by its id; without one by what it holds and where it stands."""
    names = [_id_of(each) for each in (*base, *other)]
    if None not in names and len(set(names[: len(base)])) == len(base):
        places = {_id_of(each): place for place, each in enumerate(other)}
        return {index: places[name] for index, each in enumerate(base) if (name := _id_of(each)) in places}
    found: dict[int, int] = {}
    matcher = SequenceMatcher(None, [canonical(each) for each in base], [canonical(each) for each in other], False)
    for kind, begins, ends, there, there_ends in matcher.get_opcodes():
        # Between entries that are alike on both sides, as many as before are the same ones, changed.
        if kind == "equal" or (kind == "replace" and ends - begins == there_ends - there):
            found.update(zip(range(begins, ends), range(there, there_ends), strict=True))
    return found


def _id_of(entry: Any) -> str | None:
    return next((str(entry[key]) for key in _IDS if key in entry), None)
