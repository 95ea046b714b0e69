"""The consent act: what it says, whether it lets a case leave, and how a recipient checks it (domain §2, protocol §5).

French law knows three paths: agreement (A), sharing between professionals bound by secrecy (B), duty or danger (C).
An act stands for one decision on one of them; nothing leaves without one.
"""

from cordee.act.arrival import check_act, commitment
from cordee.act.decision import ROWS, Decision, Row, decide, outweighs
from cordee.act.facts import CATEGORIES, RecipientFacts
from cordee.act.form import ACT_LIMIT, Act, Path, parse_act
from cordee.act.limits import NO_LIMITS, ActLimits

__all__ = [
    "ACT_LIMIT",
    "CATEGORIES",
    "NO_LIMITS",
    "ROWS",
    "Act",
    "ActLimits",
    "Decision",
    "Path",
    "RecipientFacts",
    "Row",
    "check_act",
    "commitment",
    "decide",
    "outweighs",
    "parse_act",
]
