"""The journal's codes in words, its facts with their labels. What has no word here is shown as its code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cordee.case.labels import field_label, section_label, value_label
from cordee.errors import N_, by_reason
from cordee.runtime.texts import text
from node.web.following import REASONS
from node.web.rendering import size_text

__all__ = ["ACTIONS", "OUTCOMES", "TOPICS", "Fact", "facts_told", "outcome_told"]

TOPICS: Mapping[str, str] = {
    "case.": N_("cases"),
    "field.": N_("hidden fields that were shown"),
    "act": N_("acts"),
    "transfer.": N_("transfers"),
    "session.": N_("signing in and out"),
    "account.": N_("accounts"),
    "team.": N_("teams"),
    "second_factor.": N_("second step"),
    "node.": N_("the node, its backups"),
    "recovery.": N_("recovery kit"),
    "restored.": N_("after a restore"),
    "roster.": N_("roster"),
    "journal.": N_("journal"),
    "figures.": N_("yearly reports"),
}
"""The beginning of an action → what it is about."""

ACTIONS: Mapping[str, str] = {
    "account.added": N_("account added"),
    "account.changed": N_("roles changed"),
    "account.disabled": N_("account disabled"),
    "account.enabled": N_("account enabled again"),
    "account.password": N_("password changed"),
    "account.pause_lifted": N_("pause lifted"),
    "act.printed": N_("sheet for the family made"),
    "act.read": N_("act read"),
    "act.recorded": N_("act recorded"),
    "act.withdrawn": N_("act withdrawn"),
    "acts.read": N_("acts of a case read"),
    "attachment.read": N_("file read"),
    "card.published": N_("card published"),
    "case.attached": N_("file added"),
    "case.changed": N_("case changed"),
    "case.came_back": N_("case came back"),
    "case.closed": N_("case closed"),
    "case.created": N_("case opened"),
    "case.erased": N_("case erased"),
    "case.found_by_name": N_("case kept to others found by its name"),
    "case.given": N_("case without anybody given to somebody"),
    "case.given_to_team": N_("case given to a team"),
    "case.imported": N_("case received"),
    "case.opened_for_reason": N_("opened without being of the team"),
    "case.opening_looked_at": N_("opening looked at"),
    "case.read": N_("case read"),
    "case.report_made": N_("report to child protection made"),
    "case.team_changed": N_("team of a case changed"),
    "case.version_came": N_("another version of a case came"),
    "case.versions_read": N_("other versions read"),
    "evidence.exported": N_("evidence about the roster taken along"),
    "event.refused": N_("message refused"),
    "field.viewed": N_("hidden field shown"),
    "figures.made": N_("yearly report made"),
    "identity.in_force": N_("another identity key in force"),
    "journal.exported": N_("journal exported"),
    "journal.signed": N_("journal signed"),
    "node.backed_up": N_("backup made"),
    "node.initialised": N_("node set up"),
    "node.restored": N_("node restored from a backup"),
    "node.restored_told": N_("network told that the node was restored"),
    "notice.tested": N_("test message sent"),
    "notice.unwanted": N_("messages by e-mail stopped"),
    "notice.wanted": N_("messages by e-mail wanted"),
    "page.refused": N_("page asked for without the role for it"),
    "passkey.added": N_("passkey added"),
    "passkey.removed": N_("passkey removed"),
    "profile.published": N_("profile published"),
    "recovery.kit_made": N_("recovery kit made"),
    "recovery.objected": N_("objected to another identity key"),
    "recovery.proven": N_("recovery kit tried, and it works"),
    "restored.handed_on": N_("after the backup, a case went, or may have gone, to another association: ask them which"),
    "restored.lost": N_("a case that had to be kept was lost with the machine: tell the association that sent it"),
    "restored.refused": N_("after the restore, a transfer could not be read"),
    "recovery_code.used": N_("recovery code used"),
    "recovery_codes.drawn": N_("recovery codes drawn"),
    "roster.alarm": N_("alarm about the roster"),
    "roster.given_back": N_("entries given back to the directory, which had lost them"),
    "second_factor.confirmed": N_("second step set up"),
    "second_factor.given": N_("second step given"),
    "second_factor.reset": N_("second step reset"),
    "session.closed": N_("signed out"),
    "session.locked": N_("screen locked"),
    "session.opened": N_("signed in"),
    "session.refused": N_("sign-in refused"),
    "session.unlocked": N_("screen unlocked"),
    "statement.acceptance": N_("our acceptance was not taken"),
    "statement.erasure": N_("our answer about the erasure was not taken"),
    "statement.offer": N_("our offer was not taken"),
    "statement.receipt_refused": N_("our refusal on arrival was not taken"),
    "statement.receipt_taken": N_("our receipt was not taken"),
    "statement.refusal": N_("our decline was not taken"),
    "statement.shipment": N_("our shipment was not taken"),
    "statement.withdrawal": N_("our withdrawal was not taken"),
    "team.added": N_("team made"),
    "team.dissolved": N_("team dissolved"),
    "team.joined": N_("put into a team"),
    "team.left": N_("taken out of a team"),
    "team.renamed": N_("team renamed"),
    "transfer.accepted": N_("offer accepted"),
    "transfer.compatible": N_("compatibility asked before accepting"),
    "transfer.declined": N_("offer declined"),
    "transfer.erasure": N_("erasure answered"),
    "transfer.expired": N_("offer expired"),
    "transfer.given_back": N_("steps told again to the directory, which had lost them"),
    "transfer.let_go": N_("case let go"),
    "transfer.offer_came": N_("offer came"),
    "transfer.offered": N_("case offered"),
    "transfer.returned": N_("case given back, not for us"),
    "transfer.received": N_("case arrived"),
    "transfer.refused": N_("shipment refused"),
    "transfer.shipment_came": N_("shipment came"),
    "transfer.shipped": N_("case sent"),
    "transfer.withdrawal_came": N_("withdrawal came"),
    "transfer.withdrawn": N_("transfer withdrawn"),
    "transfer.wrong_recipient": N_("said by the sender: it went to the wrong association"),
}

OUTCOMES: Mapping[str, str] = {
    "done": "",
    "mended": N_("mended"),
    "overtaken": N_("overtaken by another step"),
    "lost": N_("it was not in the backup"),
    "refused": N_("refused"),
    "restored": N_("found after the restore"),
    "returned": N_("given back"),
    "tombstone": N_("what was left of it, after its time"),
}
"""What is said beside an action; what was simply done needs no word."""

FACTS: Final[Mapping[str, str]] = {
    "account": N_("person"),
    "act": N_("act"),
    "areas": N_("in an area to avoid"),
    "attachment": N_("file"),
    "attachments": N_("files"),
    "backup": N_("backup of"),
    "bound_by_secrecy": N_("bound by professional secrecy"),
    "bytes": N_("size"),
    "case": N_("case"),
    "cases": N_("cases whose keys it opened"),
    "conflict": N_("a minor of the same group is here"),
    "departement": N_("département"),
    "digest": N_("digest of the sheet"),
    "entries": N_("how many"),
    "field": N_("field"),
    "fields": N_("what is new"),
    "files": N_("files"),
    "incarnation": N_("mark of its new life"),
    "kit": N_("kit"),
    "needed": N_("sheets needed"),
    "form": N_("as"),
    "number": N_("card number"),
    "opening": N_("opening"),
    "page": N_("page"),
    "peer": N_("other association"),
    "restriction": N_("kept to"),
    "roles": N_("roles"),
    "rule": N_("row of the decision table"),
    "schema": N_("version of the database"),
    "section": N_("section"),
    "sender": N_("from"),
    "statements": N_("how many"),
    "sheets": N_("sheets"),
    "team": N_("team"),
    "transfer": N_("transfer"),
    "version": N_("version"),
    "year": N_("year"),
}
"""What a fact of a line is about."""

_AS_IT_IS: Final = frozenset(
    {
        "attachments",
        "cases",
        "departement",
        "files",
        "form",
        "kit",
        "needed",
        "number",
        "rule",
        "schema",
        "sheets",
        "version",
        "year",
    }
)
_IDS: Final = frozenset({"act", "attachment", "case", "opening", "transfer"})
_ANSWERS: Final = {"true": N_("yes"), "false": N_("no"), "yes": N_("yes"), "no": N_("no")}
_SECTIONS: Final = {"versions": N_("versions side by side"), "sending": N_("what would leave")}
_EVERYBODY: Final = {"everybody": N_("the whole association")}


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact of a line, in words. `id` is set where it leads to other lines, `code` where there is no word for it."""

    label: str
    value: str
    id: str = ""
    code: bool = False


def facts_told(facts: Mapping[str, str], names: Mapping[str, str], language: str) -> list[Fact]:
    """All facts of a line. `names`: of people, teams and associations, by their ids."""
    return [_fact(key, value, names, language) for key, value in facts.items()]


def outcome_told(outcome: str, language: str) -> tuple[str, bool]:
    """What is said of how it went, and whether that is a code that has no word."""
    known = OUTCOMES.get(outcome)
    if known is None and outcome in REASONS:
        known = REASONS[outcome]
    refusal = by_reason(outcome)
    if known is None and refusal is not None and "{" not in refusal.message:  # the journal keeps no facts of it
        known = refusal.message
    return (outcome, True) if known is None else (text(known, language), False)


def _fact(key: str, value: str, names: Mapping[str, str], language: str) -> Fact:
    label = text(FACTS.get(key, key), language)
    if key in _IDS:
        return Fact(label, value, id=value)
    told = names.get(value) or _worded(key, value, language)
    return Fact(label, told or value, code=not told)


def _worded(key: str, value: str, language: str) -> str:
    """The value as people read it; empty where there is no word for it."""
    if key == "bytes" and value.isdecimal():
        return size_text(int(value), language=language)
    if key in _AS_IT_IS:
        return value
    if key == "roles":
        return ", ".join(text(each, language) for each in value.split(","))
    if key == "fields":
        return ", ".join(_field(f"profile.{each}", language) or each for each in value.split())
    if key == "field":
        section = value.partition(".")[0]
        return " · ".join(filter(None, (_section(section, language), _field(value, language))))
    if key == "section":
        return _section(value, language)
    if key == "restriction":
        return _value("meta.access_restriction", value, language)
    if key in ("areas", "bound_by_secrecy", "conflict"):
        return text(_ANSWERS.get(value, ""), language)
    return text(_EVERYBODY.get(value, ""), language) if key == "team" else ""


def _section(name: str, language: str) -> str:
    try:
        return text(_SECTIONS.get(name) or section_label(name), language)
    except KeyError:
        return ""


def _field(path: str, language: str) -> str:
    try:
        return text(field_label(path), language)
    except KeyError:
        return ""


def _value(path: str, value: str, language: str) -> str:
    try:
        return text(value_label(path, value), language)
    except KeyError:
        return ""
