"""The journal's codes in words. What has none here is shown as its code."""

from __future__ import annotations

from collections.abc import Mapping

from cordee.errors import N_

__all__ = ["ACTIONS", "OUTCOMES", "TOPICS"]

TOPICS: Mapping[str, str] = {
    "case.": N_("cases"),
    "field.": N_("hidden fields that were shown"),
    "act": N_("acts"),
    "transfer.": N_("transfers"),
    "session.": N_("signing in and out"),
    "account.": N_("accounts"),
    "team.": N_("teams"),
    "second_factor.": N_("second step"),
    "roster.": N_("roster"),
    "journal.": N_("journal"),
}
"""The beginning of an action → what it is about."""

ACTIONS: Mapping[str, str] = {
    "account.added": N_("account added"),
    "account.changed": N_("roles changed"),
    "account.disabled": N_("account disabled"),
    "account.enabled": N_("account enabled again"),
    "account.password": N_("password changed"),
    "account.pause_lifted": N_("pause lifted"),
    "act.read": N_("act read"),
    "act.recorded": N_("act recorded"),
    "act.withdrawn": N_("act withdrawn"),
    "acts.read": N_("acts of a case read"),
    "attachment.read": N_("file read"),
    "card.published": N_("card published"),
    "case.attached": N_("file added"),
    "case.changed": N_("case changed"),
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
    "case.team_changed": N_("team of a case changed"),
    "case.versions_read": N_("other versions read"),
    "event.refused": N_("message refused"),
    "field.viewed": N_("hidden field shown"),
    "journal.exported": N_("journal exported"),
    "journal.signed": N_("journal signed"),
    "node.initialised": N_("node set up"),
    "notice.tested": N_("test message sent"),
    "notice.unwanted": N_("messages by e-mail stopped"),
    "notice.wanted": N_("messages by e-mail wanted"),
    "passkey.added": N_("passkey added"),
    "passkey.removed": N_("passkey removed"),
    "profile.published": N_("profile published"),
    "recovery_code.used": N_("recovery code used"),
    "recovery_codes.drawn": N_("recovery codes drawn"),
    "roster.alarm": N_("alarm about the roster"),
    "second_factor.confirmed": N_("second step set up"),
    "second_factor.given": N_("second step given"),
    "second_factor.reset": N_("second step reset"),
    "session.closed": N_("signed out"),
    "session.locked": N_("screen locked"),
    "session.opened": N_("signed in"),
    "session.refused": N_("sign-in refused"),
    "session.unlocked": N_("screen unlocked"),
    "team.added": N_("team made"),
    "team.dissolved": N_("team dissolved"),
    "team.joined": N_("put into a team"),
    "team.left": N_("taken out of a team"),
    "team.renamed": N_("team renamed"),
    "transfer.accepted": N_("offer accepted"),
    "transfer.declined": N_("offer declined"),
    "transfer.erasure": N_("erasure answered"),
    "transfer.expired": N_("offer expired"),
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
}

OUTCOMES: Mapping[str, str] = {"done": "", "mended": N_("mended")}
"""What is said beside an action; what was simply done needs no word."""
