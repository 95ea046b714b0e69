"""A sheet for the family: what was agreed, what goes to whom, until when, how to take it back. In plain words.

It may be found in a pocket. So it bears no name of the minor or the family, no pseudonym and nothing of what happened;
the association's own name and telephone are there, for without them nobody could take anything back.
It is made in memory, with a font that every reader has: nothing of it is written to a disk.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cordee.act import Act
from cordee.errors import N_
from cordee.profile import Profile
from cordee.runtime.texts import text
from cordee.web.paper import printed
from node.web.act_told import Told, day_of
from node.web.act_words import PURPOSES, say

__all__ = ["House", "receipt", "sheet"]

_TITLES: Final = {
    "consent": N_("What you agreed to"),
    "refusal": N_("You said no: what that means"),
    "information_only": N_("What you were told"),
    "override": N_("What was decided to protect you"),
}
_OPENINGS: Final = {
    "consent": N_("On {day}, you agreed that {house} tells others something about your situation."),
    "refusal": N_("On {day}, you told {house} that you do not want others to be told about your situation."),
    "information_only": N_(
        "On {day}, {house} told you that it shares what is necessary with professionals who must keep it secret."
    ),
    "override": N_(
        "On {day}, {house} decided to call on others in order to protect you, without waiting for your agreement."
    ),
}

_AGREED_BY_OTHERS: Final = (
    N_("What was agreed"),
    N_("On {day}, those who answer for you agreed that {house} tells others something about your situation."),
)
_REFUSED_BY_OTHERS: Final = (
    N_("Somebody said no: what that means"),
    N_("On {day}, those who answer for you told {house} that others are not to be told about your situation."),
)


@dataclass(frozen=True)
class House:
    """The association that gives the sheet, and how it is reached."""

    name: str
    reach: tuple[str, ...]

    @classmethod
    def of(cls, profile: Profile) -> House:
        """From what it says of itself in the network."""
        contact = json.loads(profile.to_bytes()).get("public_contact") or {}
        reach = tuple(str(contact[key]) for key in ("phone", "email") if contact.get(key))
        return cls(profile.display_name, reach)


def receipt(act: Act, shown: Told, house: House, *, now: datetime, language: str, stamp: str = "") -> bytes:
    """The sheet as a PDF of one or two pages. `stamp`, a marked text, stands at the head of each page."""
    return printed(sheet(act, shown, house, now=now, language=language), now=now, language=language, stamp=stamp)


def sheet(act: Act, shown: Told, house: House, *, now: datetime, language: str) -> Iterator[tuple[str, str]]:
    """What stands on it: pairs of (title, heading, text, item or small) and words."""
    day = day_of(act.decided_at, language)
    # Nobody is told to have agreed, or refused, who did not: others may have answered for them.
    title, opening = _TITLES[act.kind], _OPENINGS[act.kind]
    if act.kind == "consent" and not any(each.is_minor and each.agrees for each in act.deciders):
        title, opening = _AGREED_BY_OTHERS
    elif act.kind == "refusal" and not any(each.is_minor and each.refuses for each in act.deciders):
        title, opening = _REFUSED_BY_OTHERS
    yield "title", text(title, language)
    yield "text", say(opening, language, day=day, house=house.name)
    withdrawn = act.status == "withdrawn"
    if withdrawn:
        yield "text", text(N_("This was taken back since. Nothing more is sent under it."), language)
    yield "heading", text(N_("To whom"), language)
    yield from _items(shown.recipients)
    yield "heading", text(N_("What for"), language)
    yield from _items([text(PURPOSES.get(each, ""), language) for each in sorted(act.purposes)])
    if act.kind == "refusal":
        yield "heading", text(N_("What happens now"), language)
        yield "text", text(N_("Nothing is sent to them for this. We go on helping you just the same."), language)
        yield (
            "text",
            text(
                N_("If you are in serious danger, we may have to call for help even so. We would tell you."),
                language,
            ),
        )
        yield "heading", text(N_("If you change your mind"), language)
        yield "text", text(N_("Tell us whenever you like. We write down your new answer."), language)
    else:
        yield "heading", text(N_("What they are told"), language)
        yield "text", ", ".join(shown.sections) + "."
        if shown.left_out:
            yield "text", say(N_("They are not told: {what}."), language, what=", ".join(shown.left_out))
        if act.attachment_ids:
            yield "text", say(N_("Files that go with it: {count}."), language, count=str(len(act.attachment_ids)))
        yield "text", text(N_("They may not pass it on to anybody else without asking again."), language)
        yield "heading", text(N_("Until when"), language)
        yield "text", say(N_("Until {day}. After that day nothing more is sent, unless you are asked again."), language,
                          day=day_of(act.valid_until, language))  # fmt: skip
        if not withdrawn:
            yield from _ways_back(act, house, language)
    yield "heading", text(N_("How to reach us"), language)
    yield from _items((house.name, *house.reach))
    yield "small", say(N_("Number of this sheet: {number}. Given on {day}."), language,
                       number=act.act_id[:8], day=day_of(now, language))  # fmt: skip
    yield (
        "small",
        text(
            N_("If you are in danger: 112, or 114 by text message. Childhood in danger: 119, day and night."), language
        ),
    )


def _ways_back(act: Act, house: House, language: str) -> Iterator[tuple[str, str]]:
    if act.kind == "consent":
        yield "heading", text(N_("If you change your mind"), language)
        yield "text", say(N_("Tell anybody at {house}, by word or in writing. You need not say why. Then:"), language,
                          house=house.name)  # fmt: skip
    else:
        yield "heading", text(N_("If you do not agree"), language)
        yield "text", say(N_("Tell anybody at {house}, by word or in writing. It is written down and looked at again. "
                             "If it is taken back:"), language, house=house.name)  # fmt: skip
    yield from _items(
        (
            text(N_("nothing more is sent;"), language),
            text(N_("what they have not opened yet is called back;"), language),
            text(N_("where they have opened it, we ask them to erase it, and they must answer us;"), language),
            text(N_("if they help you already, the law may oblige them to keep what they were told."), language),
        )
    )


def _items(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield from (("item", each) for each in words)
