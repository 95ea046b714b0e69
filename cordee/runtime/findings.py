"""What evidence shows, told by a command: in sentences for people, in facts for programs."""

from __future__ import annotations

from typing import Any

from cordee.errors import N_
from cordee.evidence import Finding, Said
from cordee.runtime.output import Output
from cordee.runtime.texts import text

__all__ = ["in_words", "shape", "tell"]


def in_words(said: Said, language: str) -> str:
    """A sentence in the reader's language."""
    return text(said.message, language).format(**said.facts)


def shape(found: Finding, language: str) -> dict[str, Any]:
    """`{valid: true, kind, shows: [], shows_not: [], …}`."""
    shows, shows_not = ([in_words(each, language) for each in part] for part in (found.shows, found.shows_not))
    return {"valid": True, "kind": str(found.sort), "shows": shows, "shows_not": shows_not, **found.facts}


def tell(found: Finding, output: Output) -> None:
    """As a command's whole answer."""
    facts = shape(found, output.language)
    if output.for_programs:
        output.record(facts)
        return
    holds = text(N_("It holds. What it shows:"), output.language)
    but = text(N_("What it does not show:"), output.language)
    lines = [holds, *(f"  {each}" for each in facts["shows"]), but, *(f"  – {each}" for each in facts["shows_not"]), ""]
    output.text("\n".join(lines))
    output.record(facts, hide=("valid", "shows", "shows_not", "checks"))
