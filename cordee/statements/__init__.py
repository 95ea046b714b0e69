"""The statements of a transfer, read and made: an `Offer` in hand is true (protocol §3, §5, §6).

Each `parse` reads a signed statement against the roster and the statements before it. Three degrees of strictness:

- `fresh=True`, the broker taking it for the first time: its time is within five minutes of `now`, its signer's present
  key signed it, offer and token are in force;
- neither (a node that reads what the broker forwards, perhaps a week late): an offer, acceptance or shipment still
  needs both parties active and keeps the policy's limits, but time may have passed; ask `Offer.require_in_force` or
  the transfer table before acting on it;
- `history=True`, what was verified before (one's own store, a proof): nothing is asked that changes with time.

All raise MalformedStatement, NotAMember, MemberIsSuspended, RosterBehind, BadSignature, WrongNetwork, WrongParty,
BrokenChain, StatementRefused, TooLarge; fresh ones also ClockSkew and TransferOver; those that name a checkpoint also
SplitView.
"""

from __future__ import annotations

from cordee.statements.answers import Acceptance, Answer
from cordee.statements.base import Peek, Statement, peek, time_of
from cordee.statements.checks import MAX_STATEMENT_BODY, SKEW, RootAt, TreeHead
from cordee.statements.offers import Offer, Token
from cordee.statements.recall import Recall
from cordee.statements.shipments import Receipt, Shipment
from cordee.statements.withdrawals import Erasure, Withdrawal
from cordee.statements.writing import (
    accept,
    erase,
    give_back,
    new_token,
    new_transfer_id,
    offer,
    receive,
    redate,
    refuse,
    refuse_erasure,
    refuse_shipment,
    ship,
    withdraw,
)
from cordee.summary import Parties, transcript

__all__ = [
    "MAX_STATEMENT_BODY",
    "SKEW",
    "Acceptance",
    "Answer",
    "Erasure",
    "Offer",
    "Parties",
    "Peek",
    "Recall",
    "Receipt",
    "RootAt",
    "Shipment",
    "Statement",
    "Token",
    "TreeHead",
    "Withdrawal",
    "accept",
    "erase",
    "give_back",
    "new_token",
    "new_transfer_id",
    "offer",
    "peek",
    "receive",
    "redate",
    "refuse",
    "refuse_erasure",
    "refuse_shipment",
    "ship",
    "time_of",
    "transcript",
    "withdraw",
]
