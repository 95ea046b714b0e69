"""Who may use which page: the one table of the node's pages. A route that is not in it can be used by nobody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cordee.errors import RoleMissing
from node.people import Role

if TYPE_CHECKING:
    from node.people import Handler

__all__ = ["ROUTES", "check"]

_ANYONE = frozenset(Role)
_CASE_TEAM = frozenset({Role.HANDLER, Role.LEAD})
_HANDLERS = frozenset({Role.HANDLER})  # what leaves and what comes in is theirs to decide
_READERS = frozenset({Role.HANDLER, Role.LEAD, Role.AUDITOR})
_OVERSEERS = frozenset({Role.LEAD, Role.ADMINISTRATOR, Role.AUDITOR})
_LOOKING_AFTER = frozenset({Role.LEAD, Role.ADMINISTRATOR})
_ADMINISTRATORS = frozenset({Role.ADMINISTRATOR})
_DRAFTERS = _CASE_TEAM | _ADMINISTRATORS  # of a long form; one about a case is the case team's

ROUTES: Mapping[str, frozenset[Role]] = {
    "today": _ANYONE,
    "sign_out": _ANYONE,
    "leave": _ANYONE,
    "cases": _CASE_TEAM,
    "case_new": _CASE_TEAM,
    "case": _CASE_TEAM,
    "case_section": _CASE_TEAM,
    "case_reveal": _CASE_TEAM,
    "acts": _CASE_TEAM,
    "act_new": _CASE_TEAM,
    "act": _CASE_TEAM,
    "act_receipt": _CASE_TEAM,
    "act_withdraw": _HANDLERS,
    "members": _ANYONE,
    "member": _ANYONE,
    "send_who": _HANDLERS,
    "send_why": _HANDLERS,
    "send_what": _HANDLERS,
    "send_confirm": _HANDLERS,
    "send_reveal": _HANDLERS,
    "transfers": _READERS,
    "transfer": _READERS,
    "transfer_proof": _READERS,
    "transfer_erased": _READERS,
    "transfer_accept": _HANDLERS,
    "transfer_decline": _HANDLERS,
    "transfer_withdraw": _HANDLERS,
    "transfer_ship": _HANDLERS,
    "transfer_return": _HANDLERS,
    "transfer_erasure": _CASE_TEAM,
    "transfer_update": _HANDLERS,
    "case_versions": _CASE_TEAM,
    "report": _CASE_TEAM,
    "live": _READERS,
    "lock": _ANYONE,
    "access": _ANYONE,
    "access_recovery": _ANYONE,
    "access_password": _ANYONE,
    "access_passkey": _ANYONE,
    "access_passkey_remove": _ANYONE,
    "notices": _ANYONE,
    "notices_test": _ANYONE,
    "people": _ADMINISTRATORS,
    "person_new": _ADMINISTRATORS,
    "person": _ADMINISTRATORS,
    "person_change": _ADMINISTRATORS,
    "teams": _LOOKING_AFTER,
    "team_new": _ADMINISTRATORS,
    "team": _LOOKING_AFTER,
    "team_change": _ADMINISTRATORS,
    "orphans": _LOOKING_AFTER,
    "practice": _ANYONE,
    "places": frozenset({Role.HANDLER, Role.LEAD, Role.ADMINISTRATOR}),  # whoever is there at night knows
    "profile": _LOOKING_AFTER,
    "profile_edit": _ADMINISTRATORS,
    "profile_publish": _ADMINISTRATORS,
    "health": _OVERSEERS,
    "object": _ADMINISTRATORS,
    "journal": _OVERSEERS,
    "journal_verify": _OVERSEERS,
    "journal_export": _OVERSEERS,
    "evidence": _OVERSEERS,
    "evidence_file": _OVERSEERS,
    "evidence_present": _OVERSEERS,
    "figures": _OVERSEERS,
    "figures_year": _OVERSEERS,
    "figures_file": _OVERSEERS,
    "case_reason": _CASE_TEAM,
    "case_team": _CASE_TEAM,
    "openings": frozenset({Role.LEAD}),
    "association": _ANYONE,
    "six_words": _ANYONE,
    "six_words_of": _ANYONE,
    "files": _CASE_TEAM,
    "file": _CASE_TEAM,
    "draft": _DRAFTERS,
    "draft_discard": _DRAFTERS,
}
"""Name of a route → who may use it. Those for somebody who is not signed in stand in `site.py`, and are no page."""


def check(handler: Handler, route: str) -> None:
    """Raises RoleMissing with a role that could; KeyError for a route that is missing: a fault of ours."""
    allowed = ROUTES[route]
    if not handler.roles & allowed:
        raise RoleMissing(role=min(allowed))
