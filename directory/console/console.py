"""The console itself: one person, one browser, one key that is open for as long as somebody works with it.

Who may look is decided by three things, one after the other: the one-time link that the command prints, the passphrase
of the key, and then the cookie that the browser got for both. When nobody has used the pages for a quarter of an hour
the key is closed: its passphrase is asked again. Nothing of it is written down, and all ends with the command.
"""

from __future__ import annotations

import asyncio
import hmac
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cordee.entries import entry_digest
from cordee.errors import N_, CordeeError, InvalidInput, NotSignedIn, SessionLocked
from cordee.ids import Digest, KeyId
from cordee.invitation import Invitation
from cordee.runtime.clock import Clock
from cordee.signing import SigningKey
from cordee.v1 import statements_pb2 as v1
from directory.administrator.client import connected
from directory.administrator.desk import Desk
from directory.administrator.home import Home
from directory.administrator.keyfile import load_public, open_key

__all__ = ["Console", "LinkUsed"]

_LINK_LIFE: Final = timedelta(minutes=15)
_IDLE: Final = timedelta(minutes=15)
_TOKEN_SIZE: Final = 32
_MANY: Final = 64  # entries that were proposed and not signed, invitations that were made and not fetched
_LONGEST_PASSPHRASE: Final = 1024


class LinkUsed(CordeeError):
    """The one-time link was used, or it is too old, or it never was one."""

    status = "PERMISSION_DENIED"
    message = N_("This link opens nothing any more.")
    remedy = N_("It works once, for a quarter of an hour. If it was not you who used it, end the command at once.")


class Console:
    """What the pages share."""

    def __init__(
        self,
        home: Home,
        key_file: Path,
        *,
        clock: Clock,
        random: Callable[[int], bytes],
        key: SigningKey | None = None,
    ) -> None:
        """`key`, where the command has opened it already. Raises: NotFound without a network, InvalidRecord."""
        self.home = home
        self.network = home.network()
        self.key_file = key_file
        self.public = load_public(key_file)
        self.clock = clock
        self.random = random
        self.ended = asyncio.Event()
        self.compared: set[KeyId] = set()
        """Keys whose six words somebody has typed as they were read out, since the console began."""
        self.made: OrderedDict[str, Invitation] = OrderedDict()
        """Invitations with their secrets, until the console ends."""
        self._given = key
        self._link: str | None = random(_TOKEN_SIZE).hex()
        self._link_ends = clock.now() + _LINK_LIFE
        self._session: str | None = None
        self._desk: Desk | None = None
        self._used = clock.now()
        self._line = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._proposed: OrderedDict[str, v1.Entry] = OrderedDict()

    # ---- coming in ----

    @property
    def link(self) -> str:
        """The path of the one-time link. Raises: LinkUsed."""
        if self._link is None:
            raise LinkUsed()
        return f"/in/{self._link}"

    @property
    def asks(self) -> bool:
        """The passphrase is asked in the page: the command did not open the key."""
        return self._given is None

    def require_link(self, token: str) -> None:
        """Raises: LinkUsed."""
        if self._link is None or self.clock.now() >= self._link_ends or not _same(token, self._link):
            raise LinkUsed()

    async def come_in(self, token: str, passphrase: str) -> str:
        """Spend the link. Returns what the browser's cookie is to hold.

        Raises: LinkUsed; KeyLocked for another passphrase, and then the link still works.
        """
        self.require_link(token)
        await self._open(passphrase)
        self.require_link(token)  # two windows at once: the first one has it
        self._link = None
        self._session = self.random(_TOKEN_SIZE).hex()
        return self._session

    async def unlock(self, passphrase: str) -> None:
        """Open the key again. Raises: KeyLocked."""
        self._given = None  # what the command was given counts for the first time only
        await self._open(passphrase)

    def require_session(self, cookie: str) -> None:
        """Raises: NotSignedIn."""
        if self._session is None or not _same(cookie, self._session):
            raise NotSignedIn()

    async def at_work(self, cookie: str) -> Desk:
        """The desk, for whoever holds the session. Raises: NotSignedIn, SessionLocked after a quarter of an hour."""
        self.require_session(cookie)
        now = self.clock.now()
        if self._desk is not None and now - self._used >= _IDLE:
            await self.lock()
        if self._desk is None:
            raise SessionLocked()
        self._used = now
        return self._desk

    async def lock(self) -> None:
        """Close the key: from here on nothing can be read or signed without its passphrase."""
        self._desk = None
        self.compared.clear()
        await self._line.aclose()
        self._line = AsyncExitStack()

    def end(self) -> None:
        """End the command."""
        self.ended.set()

    async def _open(self, passphrase: str) -> None:
        async with self._opening:  # each opening takes 256 MiB for a second
            key = self._given
            if key is None:
                if not passphrase or len(passphrase) > _LONGEST_PASSPHRASE:
                    raise InvalidInput(field=N_("passphrase"), problem=N_("it is empty or too long"))
                key = await asyncio.to_thread(open_key, self.key_file, passphrase.encode())
            await self.lock()
            client = await self._line.enter_async_context(
                connected(
                    self.network.front,
                    root=self.network.ca_certificate,
                    network=self.network.id,
                    key=key,
                    clock=self.clock,
                    random=self.random,
                )
            )
            desk = await asyncio.to_thread(Desk, self.home, client, key, clock=self.clock, random=self.random)
            await desk.refresh()
            self._desk, self._used = desk, self.clock.now()

    # ---- what is proposed ----

    def propose(self, entry: v1.Entry) -> str:
        """Keep an entry, byte for byte, until it is signed. Returns what it is called in an address."""
        name = entry_digest(entry).hex()
        self._proposed[name] = entry
        self._proposed.move_to_end(name)
        while len(self._proposed) > _MANY:
            self._proposed.popitem(last=False)
        return name

    def proposed(self, digest: Digest) -> v1.Entry | None:
        """An entry that was proposed here and is not begun yet."""
        return self._proposed.get(digest.hex())

    def forget(self, digest: Digest) -> None:
        """It is signed."""
        self._proposed.pop(digest.hex(), None)

    def keep(self, made: Invitation) -> str:
        """Keep an invitation until the console ends. Returns what it is called in an address."""
        name = made.invitation.hex()
        self.made[name] = made
        while len(self.made) > _MANY:
            self.made.popitem(last=False)
        return name

    @property
    def locks_at(self) -> datetime:
        """When the key is closed, if nobody does anything until then."""
        return self._used + _IDLE


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
