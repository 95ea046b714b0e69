"""What is known of a recipient, and whether an act names it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cordee.act.form import Act
from cordee.jsonform import package_data

__all__ = ["CATEGORIES", "RecipientFacts", "is_named", "named_in_words_only"]

_PROFILE = package_data("directory_entry.schema.json")["properties"]

CATEGORIES: Final[frozenset[str]] = frozenset(
    {
        *_PROFILE["services"]["items"]["properties"]["specialities"]["items"]["enum"],
        *_PROFILE["authority_type"]["enum"],
        *_PROFILE["kind"]["enum"],
    }
)
"""The categories that a program can check: specialities, types of authority, kinds of organisation."""


@dataclass(frozen=True, slots=True)
class RecipientFacts:
    """A recipient as the verified roster, its card and its profile show it."""

    org_id: str
    active: bool  # a member that is neither suspended nor removed
    card_valid: bool
    bound_by_secrecy: bool  # as the administrators checked it
    categories: frozenset[str]
    departement: str


def is_named(act: Act, recipient: RecipientFacts) -> bool:
    """Whether an act names this recipient: by its id, or by a category and, where one is given, a département.

    A category in a person's own words ("shelters for girls outside the Rhône") cannot be judged by a program: it is
    taken as naming, and `named_in_words_only` tells, so that a person looks.
    """
    return any(_names(each, recipient) for each in act.recipients)


def named_in_words_only(act: Act, recipient: RecipientFacts) -> bool:
    """Whether nothing but a category in a person's own words names this recipient."""
    coded = [each for each in act.recipients if "org_id" in each or each["category"] in CATEGORIES]
    return is_named(act, recipient) and not any(_names(each, recipient) for each in coded)


def _names(entry: Mapping[str, str], recipient: RecipientFacts) -> bool:
    if "org_id" in entry:
        return entry["org_id"] == recipient.org_id
    if entry.get("departement", recipient.departement) != recipient.departement:
        return False
    return entry["category"] not in CATEGORIES or entry["category"] in recipient.categories
