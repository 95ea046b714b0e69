"""A workflow as its guide tells it: each step in words, ticked by what has really happened, and the next one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter
from typing import TYPE_CHECKING

from node.practice.facts import Attempt, Facts
from node.practice.workflows import WORKFLOWS, Workflow

if TYPE_CHECKING:
    from node.practice.town import Practice

__all__ = ["Told", "ToldStep", "guide_of", "overview"]


@dataclass(frozen=True)
class ToldStep:
    """One step: a marked text with its facts, whether it is done, and where to go for it."""

    text: str
    facts: Mapping[str, str]
    done: bool
    where: str = ""


@dataclass(frozen=True)
class Told:
    """A workflow, and how far the newcomer is."""

    number: int
    workflow: Workflow
    begun: bool
    steps: tuple[ToldStep, ...]
    once: bool = False
    """Whether it was done from beginning to end, this time or an earlier one."""

    @property
    def done(self) -> int:
        """How many steps."""
        return len([each for each in self.steps if each.done])

    @property
    def over(self) -> bool:
        """All of them."""
        return self.begun and self.done == len(self.steps)

    @property
    def next(self) -> ToldStep | None:
        """The first step that is not done."""
        return next((each for each in self.steps if not each.done), None) if self.begun else None


def overview(practice: Practice, facts: Facts) -> list[Told]:
    """All ten, each as `guide_of` tells it."""
    return [guide_of(practice, facts, each) for each in WORKFLOWS]


def guide_of(practice: Practice, facts: Facts, workflow: Workflow) -> Told:
    """One workflow. Begun more than once, it is told as it was begun last: what was done before that ticks nothing."""
    number, attempt = WORKFLOWS.index(workflow) + 1, practice.latest(workflow.id)
    if attempt is None:
        known = _names(practice, facts, None)
        return Told(number, workflow, False, tuple(ToldStep(each.told, known, False) for each in workflow.steps))
    once = any(
        all(step.done(facts, each) for step in workflow.steps)
        for each in practice.attempts
        if each.workflow == workflow.id
    )
    return Told(number, workflow, True, _steps(practice, facts, workflow, attempt), once)


def _steps(practice: Practice, facts: Facts, workflow: Workflow, attempt: Attempt) -> tuple[ToldStep, ...]:
    known = _names(practice, facts, attempt)
    steps = []
    for each in workflow.steps:
        needed = {name for _, name, _, _ in Formatter().parse(each.where) if name}
        reachable = all(known.get(name) for name in needed)
        where = each.where.format(**known) if reachable else ""
        steps.append(ToldStep(each.told, known, each.done(facts, attempt), where))
    return tuple(steps)


def _names(practice: Practice, facts: Facts, attempt: Attempt | None) -> dict[str, str]:
    """What texts and addresses of steps name."""
    case_id = facts.mine(attempt) if attempt else ""
    other = attempt.cases[1] if attempt and len(attempt.cases) > 1 else ""
    account = facts.accounts.get(attempt.account) if attempt else None
    return {
        "case": case_id,
        "case_name": _pseudonym(facts, case_id),
        "other": _pseudonym(facts, other),
        "other_id": other or "…",
        "own_id": practice.node.roster.card(practice.node.member, now=practice.node.clock.now()).profile.org_id,
        "relay": practice.relay.name,
        "shelter": practice.shelter.name,
        "relay_id": facts.relay.hex(),
        "shelter_id": facts.shelter.hex(),
        "colleague": account.name if account else "…",
        "account": attempt.account if attempt else "",
        "transfer": _transfer(facts, attempt, case_id),
    }


def _pseudonym(facts: Facts, case_id: str) -> str:
    stored = facts.cases.get(case_id)
    return str(stored.case.value("meta.pseudonym")) if stored is not None else "…"


def _transfer(facts: Facts, attempt: Attempt | None, case_id: str) -> str:
    """The one that was laid ready, else the first of this case."""
    if attempt is None:
        return ""
    if attempt.transfer:
        return attempt.transfer if facts.came(attempt) else ""
    first = [each for each in facts.transfers if case_id and each.case_id == case_id and each.direction == "out"]
    return first[-1].transfer_id.hex() if first else ""
