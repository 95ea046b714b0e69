"""Tells people by e-mail that something waits, once they are not at their pages: seldom, late by chance, in one text.

Nothing here can hold a transfer up: it looks at what waits once a minute, on its own, and a server that fails is tried
again with pauses and told to the administrator.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from cordee.errors import N_, CordeeError, InvalidInput
from cordee.runtime.logs import logger
from cordee.transfer import State
from node import agenda, journal, need_to_know, people, transfer_store
from node.house import House
from node.mailing import MailFailed, Server, checked_address, deliver, message
from node.people import IDLE, Handler, Role, Stage
from node.store import table_of
from node.store.notices import NoticeRow
from node.store.people import SessionRow
from node.transfer_access import sight_of_transfers
from node.vault import Vault

__all__ = ["EVERY", "Condition", "Notices", "Wish", "forget_wish", "keep_wish", "waits_for", "wish_of"]

log = logger("node.notices")

EVERY = timedelta(hours=1)
_SHORTEST, _LONGEST = timedelta(minutes=15), timedelta(days=1)
_LATE = 600  # seconds at most by which one is late, so that its time mirrors no event
_TICK = 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)
_RECENT = timedelta(days=1)
_TEST_PAUSE = timedelta(minutes=1)
_HASH = 8  # bytes
_PLACE, _KNOWN = "notice.sealed_wish", "notice.sealed_known"
_WALL = ZoneInfo("Europe/Paris")
_CASE_TEAM = frozenset({Role.HANDLER, Role.LEAD})
_UNWANTED = (State.DECLINED, State.REFUSED, State.EXPIRED)

_NOTICE = table_of(NoticeRow)
_SESSION = table_of(SessionRow)


@dataclass(frozen=True)
class Wish:
    """Where somebody wants to be told, and in which language."""

    address: str
    language: str

    def __repr__(self) -> str:
        return "Wish(…)"


@dataclass(frozen=True)
class Condition:
    """How it goes, for the administrator."""

    reason: str = ""  # why the last attempt failed; empty if it did not
    failing_since: datetime | None = None
    oldest: datetime | None = None  # since when the longest waiting one should have left
    sent_at: datetime | None = None

    @property
    def well(self) -> bool:
        """Nothing is stuck."""
        return not self.reason


# ---- wishes ----


def keep_wish(
    tx: Connection, vault: Vault, account_id: str, wish: Wish, known: Iterable[bytes], *, now: datetime
) -> None:
    """Tell them from now on: of what comes, not of what is there. Raises InvalidInput."""
    wish = replace(wish, address=checked_address(wish.address))
    sealed = vault.seal(json.dumps([wish.address, wish.language]).encode(), place=_PLACE, row=account_id)
    row = {"account_id": account_id, "sealed_wish": sealed, "sealed_known": _sealed(vault, account_id, known)}
    statement = upsert(_NOTICE).values(row)
    tx.execute(
        statement.on_conflict_do_update(index_elements=["account_id"], set_={"sealed_wish": sealed, "due_at": None})
    )
    journal.append(tx, now=now, actor=account_id, action="notice.wanted", subject=account_id)


def forget_wish(tx: Connection, account_id: str, *, now: datetime) -> None:
    """Tell them no more, and forget the address."""
    if tx.execute(delete(_NOTICE).where(_NOTICE.c.account_id == account_id)).rowcount:
        journal.append(tx, now=now, actor=account_id, action="notice.unwanted", subject=account_id)


def wish_of(tx: Connection, vault: Vault, account_id: str) -> Wish | None:
    """Somebody's wish, or None. Raises CannotOpen."""
    sealed = tx.execute(select(_NOTICE.c.sealed_wish).where(_NOTICE.c.account_id == account_id)).scalar()
    return None if sealed is None else _wish(vault, account_id, sealed)


# ---- what waits ----


def waits_for(tx: Connection, house: House, handler: Handler, *, now: datetime) -> frozenset[bytes]:
    """What waits for somebody on their first page, each thing as a short hash: enough to tell whether there is more."""
    found: list[tuple[object, ...]] = []
    if handler.roles & _CASE_TEAM:
        sees = sight_of_transfers(tx, house.vault, handler, now=now)
        for each in filter(sees, transfer_store.lately(tx, since=now - _RECENT)):
            offered = not each.outgoing and each.state is State.OFFERED
            unwanted = each.outgoing and (each.state in _UNWANTED or each.erasure == "returned")
            came = not each.outgoing and each.state is State.RECEIVED
            if offered or each.held or unwanted or came or each.erasure == "asked":
                found.append(("transfer", each.id.hex(), each.state, each.erasure))
        today = now.astimezone(_WALL).date()
        told = agenda.waiting(
            tx, house.vault, handler, house.agenda, house.cases, today=today, now=now, everybody=False
        )
        found += [("case", each.case_id, each.due.what, each.due.about, each.due.at) for each in told.asked]
    if Role.LEAD in handler.roles:
        found += [("opening", each.opening_id) for each in need_to_know.openings(tx, house.vault)]
    return frozenset(hashlib.blake2b(repr(each).encode(), digest_size=_HASH).digest() for each in found)


def is_here(tx: Connection, account_id: str, *, now: datetime) -> bool:
    """Whether they are at their pages, unlocked, and not idle for so long that the session has ended."""
    mine = (_SESSION.c.account_id == account_id) & (_SESSION.c.stage == Stage.FULL.value)
    return (
        tx.execute(select(_SESSION.c.seen_at).where(mine, _SESSION.c.seen_at > now - IDLE).limit(1)).first() is not None
    )


# ---- sending ----


@dataclass
class _Pause:
    """After a failure: when to try again, and how long to wait after the next one."""

    until: datetime
    length: timedelta


@dataclass(frozen=True)
class _Seen:
    """What waits for one person now, what of it they know, and when they are to be told of the rest."""

    present: frozenset[bytes]
    known: frozenset[bytes]
    due: datetime | None
    changed: bool
    gone: bool = False  # the account is disabled


class Notices:
    """Looks once a minute who has something waiting that they do not know of, and tells them in their time."""

    def __init__(
        self,
        house: House,
        server: Server,
        *,
        every: timedelta = EVERY,
        send: Callable[[Server, str, bytes], None] = deliver,
    ) -> None:
        """`every`: between two messages to one person. Raises InvalidInput outside 15 minutes to a day."""
        if not _SHORTEST <= every <= _LONGEST:
            raise InvalidInput(field="mail-every", problem=N_("it must be between 15 minutes and a day"))
        server.require_sound()
        self._house = house
        self._server = server
        self._every = every
        self._send = send
        self._pause: _Pause | None = None
        self._tested: dict[str, datetime] = {}
        self.condition = Condition()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.look()
            except CordeeError as failed:
                log.warning("notices.failed", reason=failed.reason)
            except Exception as unforeseen:  # whatever it is, it must not stop the node
                log.error("notices.failed", reason=type(unforeseen).__name__)
            await self._house.clock.sleep(_TICK)

    async def look(self) -> None:
        """One look at everybody who wants to be told."""
        house, now = self._house, self._house.clock.now()
        stuck: list[datetime] = []
        for account_id in await house.db.read(lambda tx: list(tx.execute(select(_NOTICE.c.account_id)).scalars())):
            seen = await house.db.read(partial(self._seen, account_id=account_id, now=now))
            if seen is None:
                continue
            if seen.gone:
                await house.db.write(partial(forget_wish, account_id=account_id, now=now))
            elif seen.due is not None and now >= seen.due:
                if not await self._tell(account_id, seen.present, now):
                    stuck.append(seen.due)
            elif seen.changed:
                await house.db.write(partial(self._note, account_id=account_id, seen=seen))
        self.condition = replace(self.condition, oldest=min(stuck, default=None))

    async def test(self, account_id: str) -> None:
        """Send somebody the very message, now. Raises MailFailed; InvalidInput without an address, or too soon."""
        house, now = self._house, self._house.clock.now()
        wish = await house.db.read(lambda tx: wish_of(tx, house.vault, account_id))
        if wish is None:
            raise InvalidInput(field=N_("address"), problem=N_("keep an address first"))
        last = self._tested.get(account_id)
        if last is not None and now - last < _TEST_PAUSE:
            raise InvalidInput(field=N_("address"), problem=N_("wait a minute before the next one"))
        self._tested[account_id] = now
        await self._deliver(wish, now)

    # ---- steps ----

    def _seen(self, tx: Connection, account_id: str, now: datetime) -> _Seen | None:
        """How it stands with one person, and when they are to be told."""
        vault = self._house.vault
        row = tx.execute(select(_NOTICE).where(_NOTICE.c.account_id == account_id)).one_or_none()
        if row is None:
            return None
        account = people.account_named(tx, vault, account_id)
        if account.disabled:
            return _Seen(frozenset(), frozenset(), None, changed=True, gone=True)
        handler = Handler(account.account_id, account.name, account.roles, account.bound_by_secrecy)
        present = waits_for(tx, self._house, handler, now=now)
        before = _known(vault, account_id, row.sealed_known)
        known = present if is_here(tx, account_id, now=now) else present & before
        due = None
        if present - known:
            earliest = now if row.sent_at is None else max(now, row.sent_at + self._every)
            due = row.due_at or earliest + timedelta(seconds=self._chance(_LATE))
        return _Seen(present, known, due, changed=known != before or due != row.due_at)

    def _note(self, tx: Connection, account_id: str, seen: _Seen) -> None:
        sealed = _sealed(self._house.vault, account_id, seen.known)
        tx.execute(
            update(_NOTICE).where(_NOTICE.c.account_id == account_id).values(sealed_known=sealed, due_at=seen.due)
        )

    async def _tell(self, account_id: str, present: frozenset[bytes], now: datetime) -> bool:
        """Tell one person, unless the server is left alone for a while; whether that is done with."""
        house = self._house
        if self._pause is not None and now < self._pause.until:
            return False
        wish = await house.db.read(lambda tx: wish_of(tx, house.vault, account_id))
        if wish is None:
            return True
        try:
            await self._deliver(wish, now)
        except MailFailed as failed:
            if failed.reason != "AddressRefused":  # trying again would not help, and the next one shows it again
                return False
        values = {"sealed_known": _sealed(house.vault, account_id, present), "sent_at": now, "due_at": None}
        await house.db.write(
            lambda tx: tx.execute(update(_NOTICE).where(_NOTICE.c.account_id == account_id).values(values)).rowcount
        )
        return True

    async def _deliver(self, wish: Wish, now: datetime) -> None:
        data = message(self._server, wish.address, wish.language, now=now, random=self._house.random)
        try:
            await asyncio.to_thread(self._send, self._server, wish.address, data)
        except MailFailed as failed:
            log.warning("notice.not_sent", reason=failed.reason)
            since = self.condition.failing_since or now
            self.condition = replace(self.condition, reason=failed.reason, failing_since=since)
            if failed.reason != "AddressRefused":
                length = _FIRST_PAUSE if self._pause is None else min(self._pause.length * 2, _LONGEST_PAUSE)
                self._pause = _Pause(now + length, length)
            raise
        self._pause = None
        self.condition = Condition(sent_at=now)
        log.info("notice.sent")

    def _chance(self, below: int) -> int:
        return int.from_bytes(self._house.random(4), "big") % (below + 1)


def _wish(vault: Vault, account_id: str, sealed: bytes) -> Wish:
    address, language = json.loads(vault.unseal(sealed, place=_PLACE, row=account_id))
    return Wish(address, language)


def _sealed(vault: Vault, account_id: str, known: Iterable[bytes]) -> bytes:
    return vault.seal(b"".join(sorted(known)), place=_KNOWN, row=account_id)


def _known(vault: Vault, account_id: str, sealed: bytes) -> frozenset[bytes]:
    plain = vault.unseal(sealed, place=_KNOWN, row=account_id)
    return frozenset(plain[start : start + _HASH] for start in range(0, len(plain), _HASH))
