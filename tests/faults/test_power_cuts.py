"""The machinery of the power cuts: what it records, what it allows a disk to forget, and that it finds defects."""

from __future__ import annotations

import os
import pickle
import re
import shutil
import subprocess
import sys
from collections import Counter
from math import inf
from pathlib import Path
from random import Random

import pytest

from tests.faults.power_cuts.campaign import go_through
from tests.faults.power_cuts.disk import DROPPED, LENGTH, Disk, Moment
from tests.faults.power_cuts.planted import PLANTED
from tests.faults.power_cuts.trace import ROOT, Add, Event, Mark, Op, Remove, Sync, Trace, Truncate, Write
from tests.lacking import lacking

_HOME = Path(__file__).parents[2]
_FOLDER, _FILE, _OTHER = 1, 2, 3
_SEEN = "write,pwrite64,fsync,fdatasync,ftruncate,unlink,rename,link"


def told(*ops: Op) -> Trace:
    """One machine `m` with these calls, one after the other."""
    events = [Event(2 * at, 2 * at + 1, op) for at, op in enumerate((Add(ROOT, "m", _FOLDER), Sync(ROOT), *ops))]
    return Trace(events, {ROOT, _FOLDER}, {_FOLDER: "m", _FILE: "m", _OTHER: "m"})


def images(trace: Trace) -> set[tuple[tuple[str, bytes], ...]]:
    """Every folder that may be found after the last call."""
    found = set()
    disk = Disk(trace, "m")
    for moment in disk.moments():
        if moment.position >= trace.length - 1:
            for choices in disk.choices(moment, Random(7), most=300):
                files = disk.image(moment, choices).files
                found.add(tuple(sorted((path, content.data) for path, content in files.items())))
    return found


def last(trace: Trace) -> tuple[Disk, Moment]:
    disk = Disk(trace, "m")
    moment = None
    for each in disk.moments():
        moment = each
    assert moment is not None
    return disk, moment


END = Mark("m", "end")


def test_what_was_synchronised_with_its_name_is_all_that_is_sure() -> None:
    made = (Add(_FOLDER, "a", _FILE), Write(_FILE, 0, b"new"))
    whole = (("a", b"new"),)
    assert images(told(*made, Sync(_FILE), Sync(_FOLDER), END)) == {whole}
    assert images(told(*made, Sync(_FILE), END)) == {whole, ()}
    assert images(told(*made, Sync(_FOLDER), END)) == {whole, (("a", b""),), (("a", bytes(3)),)}


def test_a_synchronisation_covers_only_what_had_ended_before_it_began() -> None:
    trace = told(Add(_FOLDER, "a", _FILE), Sync(_FOLDER))
    trace.events += [Event(10, 14, Write(_FILE, 0, b"late")), Event(12, 13, Sync(_FILE)), Event(20, 21, END)]
    assert (("a", b""),) in images(trace)
    trace.events[-3:-1] = [Event(10, 11, Write(_FILE, 0, b"late")), Event(12, 13, Sync(_FILE))]
    assert images(trace) == {(("a", b"late"),)}


def test_a_write_is_torn_between_sectors_and_nowhere_else() -> None:
    data = b"a" * 512 + b"b" * 512
    trace = told(Add(_FOLDER, "a", _FILE), Sync(_FOLDER), Write(_FILE, 0, data), END)
    contents = {files[0][1] for files in images(trace)}
    assert contents == {b"", data, bytes(1024), b"a" * 512, bytes(512) + b"b" * 512}


def test_an_older_length_may_come_back_and_a_later_write_may_be_there_alone() -> None:
    before = (Add(_FOLDER, "a", _FILE), Write(_FILE, 0, b"12345678"), Sync(_FILE), Sync(_FOLDER))
    trace = told(*before, Truncate(_FILE, 2), Write(_FILE, 4, b"xy"), END)
    contents = {files[0][1] for files in images(trace)}
    assert {b"12345678", b"12", b"12\0\0xy", b"1234xy78"} <= contents


def test_a_rename_within_a_folder_is_one_thing_and_between_two_it_is_two() -> None:
    before = (Add(_FOLDER, "d", _FILE), Write(_FILE, 0, b"x"), Sync(_FILE), Sync(_FOLDER))
    assert images(told(*before, Add(_FOLDER, "a", _FILE, instead_of="d"), END)) == {(("a", b"x"),), (("d", b"x"),)}
    trace = told(*before, Add(_OTHER, "a", _FILE), Remove(_FOLDER, "d", _FILE), Sync(_FOLDER), END)
    trace.folders.add(_OTHER)
    trace.events.insert(2, Event(3.1, 3.2, Add(_FOLDER, "o", _OTHER)))  # type: ignore[arg-type]
    assert () in images(trace)  # its old folder was synchronised, its new one was not


def test_the_ordered_model_takes_names_and_lengths_in_their_order() -> None:
    trace = told(Add(_FOLDER, "a", _FILE), Write(_FILE, 0, b"new"), Add(_FOLDER, "b", _OTHER), END)
    disk, moment = last(trace)
    first, bytes_of_it, second = moment.pending
    assert disk.is_ordered(moment, {})
    assert disk.is_ordered(moment, {bytes_of_it: DROPPED, second: DROPPED})
    assert not disk.is_ordered(moment, {first: DROPPED})
    assert not disk.is_ordered(moment, {bytes_of_it: LENGTH})
    assert not disk.is_ordered(moment, {bytes_of_it: DROPPED})


def test_in_the_ordered_model_what_is_synchronised_takes_the_names_before_it_along() -> None:
    trace = told(Add(_FOLDER, "a", _FILE), Add(_FOLDER, "b", _OTHER), Write(_OTHER, 0, b"x"), Sync(_OTHER), END)
    disk, moment = last(trace)
    assert len(moment.pending) == 2  # POSIX promises neither name
    assert all(not disk.is_ordered(moment, {each: DROPPED}) for each in moment.pending)


def test_a_call_that_never_ended_is_never_sure() -> None:
    trace = told(Add(_FOLDER, "a", _FILE), Sync(_FOLDER))
    trace.events += [Event(10, inf, Write(_FILE, 0, b"x")), Event(20, 21, END)]
    assert (("a", b""),) in images(trace)


def test_a_loss_is_found_with_the_step_and_what_was_dropped() -> None:
    written = (Add(_FOLDER, ".a.draft", _FILE), Write(_FILE, 0, b"new"), Sync(_FILE))
    placed = (Add(_FOLDER, "a", _FILE, instead_of=".a.draft"), Sync(_FOLDER))
    good = told(Mark("", "step writing"), *written, *placed, Mark("m", "lasts "))
    assert not go_through(good, "m", most=50, seed=1).wrong
    planted = good.without(*good.syncs([_FOLDER]))
    bad = go_through(planted, "m", most=50, seed=1)
    assert bad.wrong["lost"] >= 1
    assert {each.step for each in bad.bad} == {"writing"}
    said = bad.bad[0].told(Disk(planted, "m"))
    assert "dropped: 6: new name a instead of .a.draft" in said
    assert "ext4 could leave that" in said


def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """The command, in a process of its own: what is recorded is forked from one that has no threads."""
    command = [sys.executable, "-m", "tests.faults.power_cuts", *arguments]
    return subprocess.run(command, cwd=_HOME, capture_output=True, text=True, timeout=300, check=False)


def test_a_recorded_story_is_cut_everywhere_and_nothing_is_wrong() -> None:
    done = run("--story", "killed", "--most", "12", "--jobs", "1", "--uncounted")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 wrong" in done.stdout.replace("\n0", "\n 0")


def test_strace_saw_the_same_calls(tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        lacking("no strace here; it is only a second opinion")
    done = run("--story", "keys", "--save", str(tmp_path / "traces"))
    assert done.returncode == 0, done.stderr
    trace = pickle.loads((tmp_path / "traces").read_bytes())["keys"]
    folder, log = tmp_path / "seen", tmp_path / "log"
    folder.mkdir()
    command = ["strace", "-f", "-y", "-s", "0", "-e", f"trace={_SEEN}", "-o", str(log), sys.executable]
    again = subprocess.run(
        [*command, "-m", "tests.faults.power_cuts", "--story", "keys", "--run", str(folder)],
        cwd=_HOME,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    lines = [
        each for each in log.read_text(errors="replace").splitlines() if str(folder) in each and " = -1 " not in each
    ]
    names = Counter(found.group(1) for each in lines if (found := re.match(r"\d+ +(\w+)\(", each)))
    ours = Counter(type(each.op).__name__ for each in trace.events)
    assert ours["Sync"] == names["fsync"] + names["fdatasync"]
    assert ours["Write"] == names["write"] + names["pwrite64"]
    assert ours["Remove"] == names["unlink"]
    assert ours["Sync"] > 20


@pytest.mark.fault
@pytest.mark.parametrize("name", list(PLANTED))
def test_a_planted_defect_is_found(name: str) -> None:
    done = run("--planted", name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " wrong, as: " in done.stdout
