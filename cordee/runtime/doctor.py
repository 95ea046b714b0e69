"""What can be wrong with a server, each with its words and what to do: for `doctor`, readiness, the handbook."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from cordee.errors import N_, ExitCode
from cordee.runtime.output import Output
from cordee.runtime.texts import text

__all__ = ["Ailment", "Ailments", "Finding", "Severity", "exit_code", "ready", "shape", "sorted_findings", "tell"]


class Severity(StrEnum):
    """How soon somebody must act."""

    BROKEN = "broken"  # the server cannot do its work, or must not be trusted with it
    SOON = "soon"  # it works, and will not for ever
    ADVICE = "advice"  # it could be safer


_ORDER = tuple(Severity)
_MARKS = {Severity.BROKEN: "✗", Severity.SOON: "!", Severity.ADVICE: "·"}
_NAMES = {Severity.BROKEN: N_("broken"), Severity.SOON: N_("soon"), Severity.ADVICE: N_("advice")}


@dataclass(frozen=True)
class Ailment:
    """One thing that can be wrong. The facts of a finding go into `words` and `remedy` by name; nothing of a case does.

    `exit`: what `doctor` ends with where this is the worst that it found (docs/errors.md).
    """

    code: str
    severity: Severity
    words: str
    remedy: str
    exit: ExitCode = ExitCode.INVALID


@dataclass(frozen=True)
class Finding:
    """An ailment found, with its facts: paths, times, numbers, reason codes."""

    ailment: Ailment
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def broken(self) -> bool:
        """The server cannot do its work."""
        return self.ailment.severity is Severity.BROKEN


class Ailments:
    """The list of one kind of server, by code."""

    def __init__(self, known: Iterable[Ailment]) -> None:
        listed = list(known)
        self.by_code: Mapping[str, Ailment] = {each.code: each for each in listed}
        if len(self.by_code) != len(listed):
            raise ValueError("two ailments of one code")

    def found(self, code: str, **facts: object) -> Finding:
        """A finding; a fact `problem` is a marked text. Raises KeyError for a code that is not on the list."""
        return Finding(self.by_code[code], {name: str(value) for name, value in facts.items()})


def sorted_findings(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first, each once."""
    once = {(each.ailment.code, tuple(sorted(each.facts.items()))): each for each in findings}
    return sorted(once.values(), key=lambda each: _ORDER.index(each.ailment.severity))


def ready(findings: Iterable[Finding]) -> bool:
    """Whether nothing of it is broken."""
    return not any(each.broken for each in findings)


def exit_code(findings: Iterable[Finding]) -> ExitCode:
    """DONE unless something is broken; else what the first broken thing says."""
    return next((each.ailment.exit for each in sorted_findings(findings) if each.broken), ExitCode.DONE)


def shape(finding: Finding, language: str) -> dict[str, Any]:
    """`{finding, severity, message, remedy, facts: {}}`."""
    facts = finding.facts
    told = {name: text(value, language) if name == "problem" else value for name, value in facts.items()}
    return {
        "finding": finding.ailment.code,
        "severity": finding.ailment.severity.value,
        "message": text(finding.ailment.words, language).format(**told),
        "remedy": text(finding.ailment.remedy, language).format(**told),
        "facts": dict(facts),
    }


def tell(findings: Iterable[Finding], output: Output) -> ExitCode:
    """As a command's whole answer. JSON: [{finding, severity, message, remedy, facts: {}}]"""
    listed = sorted_findings(findings)
    if output.for_programs:
        output.rows([shape(each, output.language) for each in listed], ())
        return exit_code(listed)
    if not listed:
        output.text(text(N_("Nothing is wrong, as far as can be seen from here."), output.language))
    for each in listed:
        told, severity = shape(each, output.language), each.ailment.severity
        output.text(f"{_MARKS[severity]} {text(_NAMES[severity], output.language)}: {told['message']}")
        output.text(f"  → {told['remedy']}")
    return exit_code(listed)
