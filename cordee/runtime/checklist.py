"""The checklist of joining as this tool shows it: the applicant's node shows the same (`cordee.joining`)."""

from __future__ import annotations

from typing import Any

from cordee.joining import STEPS, Progress
from cordee.runtime.texts import text

__all__ = ["checklist", "in_words"]


def checklist(progress: Progress, language: str) -> dict[str, Any]:
    """`{steps: [{step, at, text}], turn, next, signatures, threshold, reason}`; a step to come has no `at`."""
    turn, message, facts = progress.next
    return {
        "steps": [
            {
                "step": each.code,
                "at": None if each.at is None else each.at.isoformat(timespec="seconds"),
                "text": text(STEPS[each.code], language).format(
                    signatures=progress.signatures, threshold=progress.threshold
                ),
            }
            for each in progress.steps
        ],
        "turn": turn.value,
        "next": text(message, language).format(**facts),
        "signatures": progress.signatures,
        "threshold": progress.threshold,
        "reason": text(progress.reason, language) or None,  # mostly a person's own words, which nobody translates
    }


def in_words(told: dict[str, Any]) -> list[str]:
    """The checklist for people, line by line: done or not, when, and who must act next."""
    lines = [
        f"  {'✓' if each['at'] else '·'} {each['text']}" + (f"  ({each['at']})" if each["at"] else "")
        for each in told["steps"]
    ]
    reason = [f"  ✗ {told['reason']}"] if told["reason"] else []
    return [*lines, *reason, f"  → {told['next']}"]
