"""What is said aloud when somebody is asked: plain sentences for a person of fifteen, by kind of act and by purpose.

Whoever changes a sentence here changes what people answered to: `NOTICE` stands in each act that was recorded with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cordee.errors import N_, filled
from cordee.runtime.texts import text

__all__ = ["ALOUD", "HINTS", "KINDS", "NOTICE", "PURPOSES", "STATES", "say"]

NOTICE: Final = "aloud-1"
"""The version of the sentences below."""

KINDS: Final[Mapping[str, str]] = {
    "consent": N_("They agree"),
    "refusal": N_("They refuse"),
    "information_only": N_("They are told (professionals bound by secrecy)"),
    "override": N_("We decide: danger, or duty"),
}
"""The four kinds of act, as one chooses between them."""

HINTS: Final[Mapping[str, str]] = {
    "consent": N_("Somebody was asked and said yes. Start here whenever you can."),
    "refusal": N_("Somebody was asked and said no. Nothing goes to whom they refused, for what they refused."),
    "information_only": N_(
        "The law lets both sides share what is strictly necessary; those concerned are told before."
    ),
    "override": N_(
        "A child is in danger, or the law obliges. A written reason, a second person and a review are needed."
    ),
}

PURPOSES: Final[Mapping[str, str]] = {
    "specialised_support": N_("so that people who know these situations well can help you from now on"),
    "relocation": N_("so that you can live somewhere safe, further away"),
    "emergency_shelter": N_("so that you have a safe place right now"),
    "joint_followup": N_("so that they help you too, while we stay by your side"),
    "health_care": N_("so that you can see somebody for your health"),
    "legal_support": N_("so that a lawyer, or people who help victims, can defend you"),
    "parent_support": N_("so that your parents get help as well"),
    "crip_ip": N_("so that the département, which must protect children, knows that you need help"),
    "prosecutor_report": N_("so that the prosecutor can act to protect you"),
    "ase_handover": N_("so that child welfare (ASE) can look after you"),
    "missing_child": N_("so that you can be found and kept safe"),
}
"""What the sharing is for, as the end of “We would like to tell … about you, …”."""

ALOUD: Final[Mapping[str, tuple[str, ...]]] = {
    "consent": (
        N_("We would like to tell {who} about you, {purpose}."),
        N_("We tell only what is needed. I read you the list; you can say: not that."),
        N_("You can say yes or no. If you say no, we go on helping you just the same."),
        N_("You can change your mind whenever you like, and you need not say why. From then on nothing more is sent."),
        N_("Is that all right with you?"),
    ),
    "refusal": (
        N_("You do not want us to tell {who} about you."),
        N_("We write down that you said no. We go on helping you just the same."),
        N_("If you change your mind, tell us."),
        N_("If you are in serious danger, we may have to call for help even so. We would tell you."),
    ),
    "information_only": (
        N_("We are going to tell {who} about you, {purpose}."),
        N_("They must keep it secret, as we must. We tell only what they need to protect you."),
        N_("The law lets us do that, but you have a right to know it before."),
        N_("You can tell us that you do not agree. We write it down, and we look again together at what is needed."),
    ),
    "override": (
        N_("We are worried about you. We have to tell {who}, {purpose}."),
        N_("We do not ask you this time: it is our duty to protect you. You can still tell us what you think."),
        N_("We tell only what is needed, and somebody else here checks that we are right."),
    ),
}
"""To be read aloud, by kind of act; `who` and `purpose` are put in."""

STATES: Final[Mapping[str, str]] = {
    "future": N_("not in force yet"),
    "active": N_("in force"),
    "used": N_("in force, used for a transfer"),
    "ended": N_("over"),
    "refused": N_("refused"),
    "withdrawn": N_("withdrawn"),
    "requested": N_("asked, no answer yet"),
    "expired": N_("over"),
    "superseded": N_("replaced by a later one"),
}


def say(message: str, language: str, **facts: str) -> str:
    """A marked text in a language, with its facts put in as they are."""
    return filled(text(message, language), facts)
