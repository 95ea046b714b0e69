"""How the node is, in facts: what an administrator should know before anything stands still."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509

from cordee.errors import CordeeError
from cordee.runtime.checkup import DISK_LOW
from node import journal, transfer_store
from node.backup import last_backup
from node.joining import CERTIFICATE
from node.notices import Condition
from node.recovery import Standing, standing

if TYPE_CHECKING:
    from node.app import Node

__all__ = ["Health", "health_of"]

_UNSIGNED = timedelta(hours=3)  # it is signed once an hour, the first time soon after the start
_SAVED_LATELY = timedelta(days=8)  # once a week, and a day
_SOON = timedelta(days=7)  # certificates and cards are renewed at two thirds of their life: this near, it failed


@dataclass(frozen=True)
class Health:
    """Facts, and for each whether it is well."""

    connected: bool
    alarm: CordeeError | None
    roster_time: datetime | None
    roster_fresh: bool
    certificate_ends: datetime | None
    certificate_well: bool
    card_ends: datetime | None
    card_well: bool
    disk_free: int
    disk_total: int
    disk_well: bool
    waiting: int  # messages that could not be handed over yet
    journal_lines: int
    journal_signed_at: datetime | None
    journal_well: bool
    recovery: Standing
    recovery_well: bool
    backup_at: datetime | None
    backup_well: bool
    mail: Condition | None = None  # None where nobody is told by e-mail
    certificate_damaged: bool = False  # its file is there and cannot be read

    @property
    def well(self) -> bool:
        """All of it."""
        return (
            self.connected
            and self.alarm is None
            and self.roster_fresh
            and self.certificate_well
            and self.card_well
            and self.disk_well
            and self.journal_well
            and self.recovery_well
            and self.backup_well
            and (self.mail is None or self.mail.well)
        )


async def health_of(node: Node) -> Health:
    """Looked at now; nothing is kept."""
    now, status = node.clock.now(), node.roster.status()
    disk = shutil.disk_usage(node.data_dir)
    certificate, damaged = _certificate_ends(node)
    card, limit = _card_ends(node), _freshness_limit(node)
    waiting = await node.db.read(lambda tx: len(transfer_store.waiting(tx)))
    last = await node.db.read(lambda tx: journal.latest(tx, limit=1))
    first = await node.db.read(lambda tx: journal.entries(tx, limit=1))
    signed = await node.db.read(lambda tx: journal.latest(tx, action="journal.signed", limit=1))
    stands, saved = await node.db.read(lambda tx: (standing(tx, node.vault), last_backup(tx)))
    return Health(
        recovery=stands,
        recovery_well=stands.set_up and not stands.is_due(now),
        backup_at=saved,
        backup_well=saved is not None and now - saved < _SAVED_LATELY,
        connected=status.connected,
        alarm=status.alarm,
        roster_time=status.checkpoint_time,
        roster_fresh=status.checkpoint_time is not None and now - status.checkpoint_time <= limit,
        certificate_ends=certificate,
        certificate_damaged=damaged,
        certificate_well=certificate is not None and certificate - now > _SOON,
        card_ends=card,
        card_well=card is not None and card - now > _SOON,
        disk_free=disk.free,
        disk_total=disk.total,
        disk_well=disk.free > DISK_LOW,
        waiting=waiting,
        journal_lines=last[0].line if last else 0,
        journal_signed_at=signed[0].at if signed else None,
        journal_well=all(now - each.at < _UNSIGNED for each in (signed or first)),
        mail=None if node.notices is None else node.notices.condition,
    )


def _card_ends(node: Node) -> datetime | None:
    """Also of a card that ran out: that it did is no matter of the roster's age."""
    try:
        return node.roster.own_card().card.expire_time
    except CordeeError:
        return None


def _freshness_limit(node: Node) -> timedelta:
    try:
        return node.roster.roster.policy.freshness_limit
    except CordeeError:  # none was ever verified
        return timedelta(0)


def _certificate_ends(node: Node) -> tuple[datetime | None, bool]:
    """None where there is no end to be read, and whether that is because the file is damaged."""
    try:
        read = (node.data_dir / CERTIFICATE).read_bytes()
    except FileNotFoundError:
        return None, False
    try:
        return x509.load_der_x509_certificate(read).not_valid_after_utc, False
    except ValueError:
        return None, True
