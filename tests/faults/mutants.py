"""Mutation testing of what guards a case: `python -m tests.faults.mutants [FILE…] --minutes 10 --seed 1`.

Each mutant (`tests/faults/mutating.py`) is planted in memory, and the tests that run its line are run against it, the
quickest first. One that none of them notices has survived: a test is missing, or docs/mutants.md says why none is.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.faults.forked import Result, Trial, run
from tests.faults.mutating import Mutant, mutants_of
from tests.faults.planting import ROOT, module_of, text_of

__all__ = ["TESTS", "Fate", "explained", "main"]

FOLDER = ROOT / "build" / "mutants"
EXPLAINED = ROOT / "docs" / "mutants.md"

_STATEMENTS = ("tests/cordee/test_statements.py", "tests/cordee/test_recall.py")
_ROSTER = (
    *("tests/cordee/test_roster.py", "tests/cordee/test_roster_attacks.py", "tests/cordee/test_recovery.py"),
    *("tests/cordee/test_wrong_entries.py", "tests/cordee/test_entry_contents.py"),
)
_ACT = ("tests/cordee/test_act.py", "tests/cordee/test_act_limits.py", "tests/cordee/test_decision.py")
_CONTENT = ("tests/cordee/test_content.py", "tests/cordee/test_layout.py")
TESTS: dict[str, tuple[str, ...]] = {
    "cordee/transfer.py": ("tests/cordee/test_transfer.py",),
    "cordee/statements/base.py": _STATEMENTS,
    "cordee/statements/checks.py": _STATEMENTS,
    "cordee/statements/offers.py": _STATEMENTS,
    "cordee/statements/answers.py": _STATEMENTS,
    "cordee/statements/shipments.py": _STATEMENTS,
    "cordee/statements/withdrawals.py": _STATEMENTS,
    "cordee/statements/writing.py": _STATEMENTS,
    "cordee/statements/recall.py": _STATEMENTS,
    "cordee/act/decision.py": _ACT,
    "cordee/act/arrival.py": _ACT,
    "cordee/act/holders.py": _ACT,
    "cordee/act/limits.py": _ACT,
    "cordee/act/form.py": _ACT,
    "cordee/case/minimisation.py": ("tests/cordee/test_minimisation.py",),
    "cordee/entry_checks.py": _ROSTER,
    "cordee/government.py": _ROSTER,
    "cordee/roster.py": _ROSTER,
    "cordee/recovery.py": _ROSTER,
    "cordee/members.py": _ROSTER,
    "cordee/policy.py": _ROSTER,
    "cordee/content.py": _CONTENT,
    "cordee/layout.py": _CONTENT,
    "cordee/checkpoint.py": ("tests/cordee/test_checkpoint.py",),
    "cordee/log.py": ("tests/cordee/test_log.py",),
    "cordee/frame.py": ("tests/cordee/test_frame.py", "tests/cordee/test_signing.py"),
    "cordee/sealing.py": ("tests/cordee/test_sealing.py",),
    "cordee/signing.py": ("tests/cordee/test_signing.py",),
    "cordee/card.py": ("tests/cordee/test_card.py",),
    "cordee/summary.py": ("tests/cordee/test_summary.py",),
    "node/sending.py": ("tests/node/halves/test_sending.py",),
    "node/shipping.py": ("tests/node/halves/test_shipping.py",),
    "node/answers.py": ("tests/node/halves/test_answers.py",),
    "node/outbox.py": ("tests/node/halves/test_outbox.py",),
    "node/arrivals.py": ("tests/node/halves/test_arrivals.py",),
    "node/receiving.py": ("tests/node/halves/test_receiving.py", "tests/node/halves/test_returning.py"),
    "node/fetching.py": ("tests/node/halves/test_fetching.py",),
    "node/returning.py": ("tests/node/halves/test_returning.py",),
    "directory/broker.py": ("tests/directory/test_steps.py",),
    "directory/transfers.py": ("tests/directory/test_steps.py",),
}
"""The modules that are changed, and the tests beside them."""

_BASELINE = 600.0  # seconds that all tests of a module may take, with their lines noted
_LEAST = 30.0  # seconds for the tests of one mutant; more where they take longer without it
_TABLE_ROW = re.compile(r"\| `([^`]+)` \| `(.+?)` \| (.+) \|")


@dataclass(frozen=True)
class Fate:
    """What became of one mutant."""

    file: str
    line: int
    change: str
    operator: str
    decisive: bool
    tests: int  # that run its line
    killed: str  # by which test, or "late"; empty where it survived
    seconds: float

    @property
    def key(self) -> tuple[str, str]:
        """By which it is explained."""
        return self.file, self.change


def explained(page: Path = EXPLAINED) -> dict[tuple[str, str], str]:
    """The survivors that need no test, and why: the rows of a table in the documentation."""
    rows = (_TABLE_ROW.fullmatch(line) for line in page.read_text(encoding="utf-8").splitlines())
    return {(row[1], row[2].replace("\\|", "|")): row[3] for row in rows if row}


class Campaign:
    """One bounded run."""

    def __init__(self, *, seed: int, most: int, jobs: int, until: float, decisive: bool, again: bool = False) -> None:
        self.fates = [each for each in _former() if each.killed or not again]
        self.made: dict[str, int] = {}
        self._seed, self._most, self._jobs, self._until, self._decisive = seed, most, jobs, until, decisive

    def go_through(self, files: Sequence[str]) -> None:
        """Each module in turn, as far as the time reaches."""
        for file in files:
            if time.monotonic() > self._until:
                return
            found = [each for each in mutants_of(text_of(file)) if each.decisive or not self._decisive]
            self.made[file] = len(found)
            known = {(each.line, each.change) for each in self.fates if each.file == file}
            found = [each for each in found if (each.line, each.told) not in known]
            survived = {(each.line, each.change) for each in _former() if each.file == file and not each.killed}
            if not found:
                continue
            # A shuffle of its own for each module: which ones are tried does not depend on the modules before.
            random.Random(f"{self._seed} {file}").shuffle(found)
            found.sort(key=lambda each: (each.line, each.told) not in survived)
            self._try_all(file, found[: self._most])

    def _try_all(self, file: str, chosen: list[Mutant]) -> None:
        before = self._as_it_is(TESTS[file])
        always = set(before.lines[file].get("", ()))
        under_way: dict[str, tuple[Mutant, tuple[str, ...]]] = {}

        def trials() -> Iterator[Trial]:
            for number, mutant in enumerate(chosen):
                if time.monotonic() > self._until:
                    return
                text = mutant.text()
                if text is None:
                    self.made[file] -= 1
                    continue
                tests = _running(mutant, file, before, always)
                if not tests:
                    self._keep(file, mutant, 0, "", 0.0)
                    continue
                under_way[str(number)] = (mutant, tests)
                yield Trial(str(number), tests, module_of(file), text)

        def ended(result: Result) -> None:
            mutant, tests = under_way.pop(result.name)
            killer = next(iter([*result.failed, *result.errors]), "late" if result.late else "")
            self._keep(file, mutant, len(tests), killer, result.seconds)

        run(trials(), ended, jobs=self._jobs, seconds=max(_LEAST, 3 * before.seconds))

    def _as_it_is(self, tests: tuple[str, ...]) -> Result:
        """The tests pass, and which lines each of them runs; noted once for all modules that they are of."""
        files = tuple(file for file, others in TESTS.items() if others == tests)
        texts = "".join(text_of(each) for each in (*files, *tests))  # other tests, or other lines, are noted anew
        kept = FOLDER / f"{hashlib.sha256(texts.encode()).hexdigest()[:16]}.json"
        if kept.exists():
            return Result(**json.loads(kept.read_text(encoding="utf-8")))
        found: list[Result] = []
        run([Trial("as it is", tests, stop=False, trace=files)], found.append, jobs=1, seconds=_BASELINE)
        before = found[0]
        if before.failed or before.errors or before.late:
            raise SystemExit(f"the tests fail as everything is: {before.failed or before.errors or 'late'}")
        FOLDER.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(asdict(before)), encoding="utf-8")
        return before

    def _keep(self, file: str, mutant: Mutant, tests: int, killed: str, seconds: float) -> None:
        fate = Fate(file, mutant.line, mutant.told, mutant.operator, mutant.decisive, tests, killed, seconds)
        self.fates.append(fate)
        FOLDER.mkdir(parents=True, exist_ok=True)
        with (FOLDER / "fates.jsonl").open("a", encoding="utf-8") as kept:
            kept.write(json.dumps(asdict(fate), ensure_ascii=False) + "\n")
        if not killed:
            print(f"survived {file}:{fate.line} {fate.change} ({tests} tests)", flush=True)  # noqa: T201


def _running(mutant: Mutant, file: str, before: Result, always: set[int]) -> tuple[str, ...]:
    """The tests that run a mutant's line, the quickest first; all of them for what is run on importing."""
    lines = set(range(mutant.line, mutant.line + mutant.old.count("\n") + 1))
    tests = [name for name, ran in before.lines[file].items() if name and not lines.isdisjoint(ran)]
    if not tests and not lines.isdisjoint(always):
        tests = list(before.passed)
    return tuple(sorted(tests, key=lambda name: before.took.get(name, 0.0)))


def _former() -> list[Fate]:
    """Of the runs before: a bounded run goes on where the last one ended, until build/mutants/ is removed."""
    path = FOLDER / "fates.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    fates = (Fate(**json.loads(line)) for line in lines)
    return list({(each.file, each.line, each.change): each for each in fates}.values())  # the last word counts


def report(campaign: Campaign) -> list[Fate]:
    """Print what became of them, and give the survivors that nobody has explained."""
    known = explained()
    table = Table("module", title="Mutants")
    for name in ("made", "tried", "killed", "survived", "explained"):
        table.add_column(name, justify="right")
    unexplained = []
    for file, made in campaign.made.items():
        fates = [each for each in campaign.fates if each.file == file]
        survived = [each for each in fates if not each.killed]
        open_ = [each for each in survived if each.key not in known]
        unexplained += open_
        numbers = (made, len(fates), len(fates) - len(survived), len(survived), len(survived) - len(open_))
        table.add_row(file, *map(str, numbers))
    Console(width=100).print(table)
    return unexplained


def main() -> int:
    """See the module; 1 where a survivor is not explained."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.mutants")
    parser.add_argument("files", nargs="*", metavar="FILE", help="modules, all of the list unless named")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1, help="which mutants are tried")
    parser.add_argument("--most", type=int, default=10_000, help="mutants of one module")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--decisive", action="store_true", help="only changes to what is decided")
    parser.add_argument("--again", action="store_true", help="try those that survived before once more")
    chosen = parser.parse_args()
    files = chosen.files or list(TESTS)
    campaign = Campaign(
        seed=chosen.seed,
        most=chosen.most,
        jobs=chosen.jobs,
        until=time.monotonic() + 60 * chosen.minutes,
        decisive=chosen.decisive,
        again=chosen.again,
    )
    campaign.go_through(files)
    left = report(campaign)
    for each in left:
        Console(width=200).print(f"{each.file}:{each.line} {each.change}", markup=False)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
