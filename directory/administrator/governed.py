"""The office's yearly report: what this machine's own verified log says, and what the directory tells of transfers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from cordee.errors import N_, InvalidRecord
from cordee.figures.catalogue import BY_NAME, NETWORK
from cordee.figures.protection import Protected
from cordee.figures.report import Report, Scope, Table, exact, is_plausible, told
from cordee.figures.years import begin
from cordee.ids import KeyId, MemberId
from cordee.practice import is_practice
from cordee.times import moment_of
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import statements_pb2 as v1
from directory.administrator.entries import about_of

__all__ = ["network_report"]

_OF_LOG: Final = ("members", "incidents", "changes")
_PRESENT: Final = {"MemberAdmitted": "active", "MemberSuspended": "suspended", "MemberReinstated": "active"}
_COUNTED: Final = {
    "MemberAdmitted": ("members", "admitted"),
    "MemberRemoved": ("members", "removed"),
    "MemberSuspended": ("incidents", "suspended"),
    "MemberReinstated": ("incidents", "reinstated"),
    "RecoveryAnnounced": ("incidents", "announced"),
    "RecoveryObjected": ("incidents", "objected"),
    "MemberRecovered": ("incidents", "identity_lost"),
    "IdentityRevoked": ("incidents", "identity_revoked"),
    "NodeRestored": ("incidents", "node_restored"),
    "IdentityRotated": ("changes", "identity_rotated"),
    "AdministratorAdded": ("changes", "administrators_added"),
    "AdministratorRemoved": ("changes", "administrators_removed"),
    "PolicyChanged": ("changes", "rules_changed"),
    "DirectoryKeyRotated": ("changes", "directory_key"),
    "AuthorityRotated": ("changes", "authority"),
    "MemberCorrected": ("changes", "corrected"),
}
"""Each kind of entry → the row that counts it. A kind that is not here counts among the others."""
_FOUNDING: Final = "Genesis"
_Read = tuple[str, MemberId | KeyId | None, datetime]


def network_report(
    entries: Iterable[v1.Entry], figures: pb.YearFigures, *, year: int, origin: str, made: datetime
) -> Report:
    """Everything about one year. `entries`: the whole log, verified.

    Raises: InvalidRecord where what the directory told of transfers is not protected: then nothing is made of it.
    """
    by_name = {each.name: each for each in figures.tables}
    numbers = _of_log(entries, year)
    tables = [
        exact(kind, numbers[kind.code]) if kind.code in _OF_LOG else _of_directory(by_name.get(kind.code), kind.code)
        for kind in NETWORK
    ]
    return Report(
        scope=Scope.NETWORK,
        year=year,
        name=origin,
        made=made,
        tables=tuple(tables),
        since=moment_of(figures.since) if figures.HasField("since") else None,
        stamp=N_("Practice – nothing here is real") if is_practice(origin) else "",
    )


def _of_log(entries: Iterable[v1.Entry], year: int) -> dict[str, Counter[str]]:
    numbers: dict[str, Counter[str]] = {name: Counter() for name in _OF_LOG}
    read = [(entry.type.rpartition(".")[2], *about_of(entry)) for entry in entries]
    for kind, _, time in read:
        if begin(year) <= time < begin(year + 1) and kind != _FOUNDING:
            table, row = _COUNTED.get(kind, ("changes", "other"))
            numbers[table][row] += 1
    at_end = _present(read, begin(year + 1))
    numbers["members"]["at_beginning"] = len(_present(read, begin(year)))
    numbers["members"]["at_end"] = len(at_end)
    numbers["members"]["suspended_at_end"] = at_end.count("suspended")
    return numbers


def _present(read: Iterable[_Read], before: datetime) -> list[str]:
    """The states of those who were members at a time. Entries may be a little out of order: their time counts."""
    states: dict[MemberId | KeyId | None, str] = {}
    for kind, about, time in read:
        if time >= before:
            continue
        if kind == "MemberRemoved":
            states.pop(about, None)
        elif kind in _PRESENT:
            states[about] = _PRESENT[kind]
    return list(states.values())


def _of_directory(given: pb.FigureTable | None, name: str) -> Table:
    if given is None:
        return told(BY_NAME[name], Protected())
    cells = {each.name: each.count if each.HasField("count") else None for each in given.figures}
    total = given.total if given.HasField("total") else None
    if not is_plausible([*cells.values(), total]):
        raise InvalidRecord(path=name, problem=N_("the directory told numbers that are not rounded or too small"))
    return told(BY_NAME[name], Protected(cells, total))
