"""Who may call what: the one table of the node's own API. A method that is not in it can be called by nobody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cordee.errors import RoleMissing
from node.people import Role

if TYPE_CHECKING:
    from node.people import Handler

__all__ = ["ACCESS", "PUBLIC", "check"]

PUBLIC: frozenset[Role] | None = None  # no session needed
_ANYONE = frozenset(Role)
_CASE_TEAM = frozenset({Role.HANDLER, Role.LEAD})
_HANDLERS = frozenset({Role.HANDLER})  # what leaves and what comes in is theirs to decide
_LEADS = frozenset({Role.LEAD})
_LOOKING_AFTER = frozenset({Role.LEAD, Role.ADMINISTRATOR})
_ADMINISTRATORS = frozenset({Role.ADMINISTRATOR})
_READERS = frozenset({Role.HANDLER, Role.LEAD, Role.AUDITOR})  # of transfers, which name nobody
_OVERSEERS = frozenset({Role.LEAD, Role.ADMINISTRATOR, Role.AUDITOR})  # of the journal, which names nobody either

ACCESS: Mapping[str, frozenset[Role] | None] = {
    "Sessions.SignIn": PUBLIC,
    "Sessions.SignOut": _ANYONE,
    "Sessions.WhoAmI": _ANYONE,
    "Accounts.AddAccount": _ADMINISTRATORS,
    "Accounts.ListAccounts": _ADMINISTRATORS,
    "Accounts.DisableAccount": _ADMINISTRATORS,
    "Accounts.GiveSecondFactor": _ADMINISTRATORS,
    "Teams.AddTeam": _ADMINISTRATORS,
    "Teams.ListTeams": _LOOKING_AFTER,
    "Teams.ChangeTeam": _ADMINISTRATORS,
    "Teams.DissolveTeam": _ADMINISTRATORS,
    "Teams.ListOrphans": _LOOKING_AFTER,
    "Teams.GiveOrphans": _LOOKING_AFTER,
    "Cases.CreateCase": _CASE_TEAM,
    "Cases.ReadCase": _CASE_TEAM,
    "Cases.ListCases": _CASE_TEAM,
    "Cases.OpenCase": _CASE_TEAM,
    "Cases.UpdateCase": _CASE_TEAM,
    "Cases.ListVersions": _CASE_TEAM,
    "Cases.CloseCase": _CASE_TEAM,
    "Cases.EraseCase": _LEADS,
    "Cases.AttachFile": _CASE_TEAM,
    "Cases.ReadAttachment": _CASE_TEAM,
    "Consents.RecordAct": _CASE_TEAM,
    "Consents.ReadAct": _CASE_TEAM,
    "Consents.ListActs": _CASE_TEAM,
    "Consents.WithdrawAct": _HANDLERS,
    "Members.ListMembers": _ANYONE,
    "Members.FindMembers": _ANYONE,
    "Members.ShowMember": _ANYONE,
    "Transfers.PreviewTransfer": _HANDLERS,
    "Transfers.OfferTransfer": _HANDLERS,
    "Transfers.ListTransfers": _READERS,
    "Transfers.ReadTransfer": _READERS,
    "Transfers.WatchTransfers": _READERS,
    "Transfers.ReadSummary": _CASE_TEAM,
    "Transfers.AcceptTransfer": _HANDLERS,
    "Transfers.DeclineTransfer": _HANDLERS,
    "Transfers.PreviewUpdate": _HANDLERS,
    "Transfers.UpdateTransfer": _HANDLERS,
    "Transfers.ShipTransfer": _HANDLERS,
    "Transfers.WithdrawTransfer": _HANDLERS,
    "Transfers.AnswerErasure": _CASE_TEAM,  # handlers erase, leads decide that the law makes us keep it
    "Transfers.ReturnTransfer": _HANDLERS,
    "Transfers.ExportProof": _READERS,
    "Audit.ListJournal": _OVERSEERS,
    "Audit.VerifyJournal": _OVERSEERS,
    "Audit.ExportJournal": _OVERSEERS,
    "Audit.ListEvidence": _OVERSEERS,  # of the roster, which names nobody
    "Audit.ExportEvidence": _OVERSEERS,
    "Audit.MakeReport": _OVERSEERS,
    "NodeInfo.GetStatus": PUBLIC,
    "NodeInfo.Examine": PUBLIC,
    "NodeInfo.ListLeftToDo": _LOOKING_AFTER,
    "NodeInfo.ListKeys": _LOOKING_AFTER,
    "NodeInfo.RotateKey": _ADMINISTRATORS,
    "NodeInfo.ObjectToRecovery": _ADMINISTRATORS,
}


def check(handler: Handler, method: str) -> None:
    """Let a handler call `Service.Method`, or raise RoleMissing with a role that could.

    A method that is missing from the table is refused with a KeyError: a fault of ours, never an open door.
    """
    allowed = ACCESS[method]
    if allowed is None or handler.roles & allowed:
        return
    raise RoleMissing(role=min(allowed))
