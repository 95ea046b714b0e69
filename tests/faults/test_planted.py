"""Each defect planted by hand is noticed by the test that is there for it (Done-when 2 of the faults' issue)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.forked import Result, Trial, run_apart
from tests.faults.planted import PLANTED, Defect
from tests.faults.planting import NotThere, changed, module_of, text_of
from tests.faults.tally import Row, count

JOBS = 3  # some wait for what a defect keeps from happening; two cores do the work
_SECONDS = 240.0  # for one test, on a machine with other work
PARTS = 6


def test_there_are_at_least_twenty_in_as_many_places_and_each_says_whom_it_harms() -> None:
    assert len(PLANTED) >= 24
    assert len({each.name for each in PLANTED}) == len(PLANTED)
    assert len({(each.file, each.patch) for each in PLANTED}) == len(PLANTED)
    for each in PLANTED:
        assert each.harm.endswith("."), each.name
        file, _, test = each.caught_by.partition("::")
        assert f"def {test}(" in Path(file).read_text(encoding="utf-8"), each.name


@pytest.mark.parametrize("defect", PLANTED, ids=lambda defect: defect.name)
def test_what_a_defect_replaces_stands_there_once_and_what_it_puts_there_is_python(defect: Defect) -> None:
    compile(changed(defect.file, defect.patch), defect.file, "exec")


def test_each_defect_is_in_one_part() -> None:
    assert sorted(each.name for part in parts() for each in part) == sorted(each.name for each in PLANTED)
    assert len(parts()) == PARTS


def test_a_text_that_is_not_there_any_more_is_an_error() -> None:
    for lines in ("-nothing of this kind", "-", "+what comes, and nowhere", "-    pass\n+    return"):
        with pytest.raises(NotThere):
            changed("cordee/transfer.py", lines)
    for no_patch in ("from __future__ import annotations", " from __future__ import annotations", ""):
        with pytest.raises(ValueError, match="no patch"):
            changed("cordee/transfer.py", no_patch)


def caught(defect: Defect, result: Result) -> bool:
    """Whether that very test failed, because of what the code then does: not because it is no code."""
    return any(each.partition("[")[0] == defect.caught_by for each in result.failed) and not result.broken_code


def test_only_the_test_itself_failing_for_a_wrong_deed_is_a_catch() -> None:
    defect = PLANTED[0]
    assert caught(defect, Result("x", failed={defect.caught_by: "AssertionError: two holders"}))
    assert caught(defect, Result("x", failed={f"{defect.caught_by}[a]": "Failed: DID NOT RAISE"}))
    assert not caught(defect, Result("x", passed=[defect.caught_by]))
    assert not caught(defect, Result("x", failed={f"{defect.caught_by}_as_well": "AssertionError: "}))
    assert not caught(defect, Result("x", failed={defect.caught_by: "NameError: name 'x' is not defined"}))
    assert not caught(defect, Result("x", errors={defect.caught_by: "AssertionError: the fixture"}))
    assert not caught(defect, Result("x", late=True))


@pytest.mark.fault
def test_where_a_changed_text_gives_a_test_another_id_it_is_run_all_the_same(tmp_path: Path) -> None:
    file, gone = "cordee/idmap.py", "tests/cordee/test_idmap.py::test_of_another_limit[65536]"
    (result,) = run_apart([Trial("x", (gone,), module_of(file), text_of(file))], jobs=1, seconds=60, folder=tmp_path)
    assert (result.failed, result.errors, result.late) == ({}, {}, False)
    assert result.passed, "else a mutant that nobody tried would count as one that survived"


def parts() -> list[list[Defect]]:
    """The list in a few parts of one length, each with the tests of few files."""
    ordered = sorted(PLANTED, key=lambda each: each.caught_by)
    length = -(-len(ordered) // PARTS)
    return [ordered[start : start + length] for start in range(0, len(ordered), length)]


@pytest.mark.fault
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("defects", parts(), ids=lambda defects: f"{len(defects)} from {defects[0].name}")
def test_every_defect_planted_by_hand_is_caught(tmp_path: Path, defects: list[Defect]) -> None:
    tests = tuple(sorted({each.caught_by for each in defects}))
    sound = Trial("as everything is", tests, stop=False)
    trials = [
        Trial(each.name, (each.caught_by,), module_of(each.file), changed(each.file, each.patch)) for each in defects
    ]
    before, *results = sorted(
        run_apart([sound, *trials], jobs=JOBS, seconds=_SECONDS, folder=tmp_path),
        key=lambda each: each.name != sound.name,
    )
    assert (before.failed, before.errors, before.skipped, before.late) == ({}, {}, [], False)
    assert {each.partition("[")[0] for each in before.passed} == set(tests)
    of = {each.name: each for each in results}
    missed = [each for each in defects if not caught(each, of[each.name])]
    count(Row("defects planted by hand", tries=len(defects), stuck=len(missed)))
    assert not missed, "\n".join(f"{each.name} ({each.caught_by}): {_told(of[each.name])}" for each in missed)


def _told(result: Result) -> str:
    if result.late:
        return "it did not end"
    return f"failed {result.failed}, errors {result.errors}, {len(result.passed)} passed"
