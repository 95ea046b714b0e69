"""Who is calling, asked anew at every call (security: a resumed or long-lived connection proves nothing about today).

Identity is the SHA-256 of the public key in the client's certificate, looked up among the members' cards. The names
in the certificate are never read: a member could otherwise call itself another.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from cryptography import x509

from cordee.errors import CertificateExpired, NotAMember, WeakConnection
from cordee.ids import Digest, MemberId
from cordee.runtime.clock import Clock
from cordee.runtime.tls import spki_digest

__all__ = ["Caller", "ConnectionGuard", "Guard", "StrongConnection", "caller"]

Resolve = Callable[[Digest], Awaitable[MemberId]]

_TLS = b"TLSv1.3"
_GROUP = b"X25519MLKEM768"
_MAX_CERTIFICATES = 4096


@dataclass(frozen=True)
class Caller:
    """A member in good standing, as of this call."""

    member: MemberId
    key_digest: Digest


_caller: ContextVar[Caller] = ContextVar("caller")


def caller(context: object) -> Caller:
    """Who makes the present call. For servicers behind a ConnectionGuard; `context` is the servicer's own.

    Raises: NotAMember where nobody was identified (a servicer on the wrong listener).
    """
    found = _caller.get(None)
    if found is None:
        raise NotAMember()
    return found


class Guard(Protocol):
    """Decides, at every call, whether it may go on."""

    async def identify(self, context: Any) -> Caller | None:
        """Who is calling; None where that is not asked. Raises what refuses the call."""
        ...

    def running(self, who: Caller | None) -> Any:
        """A context manager around the call."""
        ...


class StrongConnection:
    """For the listener without client certificates: TLS 1.3 with the hybrid key exchange, from anybody."""

    async def identify(self, context: Any) -> None:
        """Raises: WeakConnection."""
        _require_strong(context.auth_context())

    @contextmanager
    def running(self, who: Caller | None) -> Iterator[None]:
        """Nothing to keep account of."""
        yield


class ConnectionGuard:
    """For members: TLS 1.3 with the hybrid key exchange, a certificate in force, and a key on a member's card.

    `resolve` gives the member of a key digest, now; it raises NotAMember or MemberIsSuspended.
    """

    def __init__(self, resolve: Resolve, clock: Clock) -> None:
        self._resolve = resolve
        self._clock = clock
        self._certificates: OrderedDict[bytes, tuple[Digest, datetime]] = OrderedDict()
        self._running: dict[MemberId, dict[asyncio.Task[Any], None]] = {}  # in the order in which they began
        self._revoked: set[asyncio.Task[Any]] = set()

    async def identify(self, context: Any) -> Caller:
        """Raises: WeakConnection, CertificateExpired, NotAMember, MemberIsSuspended."""
        connection = context.auth_context()
        _require_strong(connection)
        digest, expired = self._certificate(_only(connection, "x509_pem_cert"))
        if self._clock.now() > expired:
            raise CertificateExpired(expired=expired.date())
        return Caller(await self._resolve(digest), digest)

    @contextmanager
    def running(self, who: Caller | None) -> Iterator[None]:
        """Keep account of the call, so that `revoke` can end it."""
        task = asyncio.current_task()
        if who is None or task is None:
            raise NotAMember()
        token = _caller.set(who)
        tasks = self._running.setdefault(who.member, {})
        tasks[task] = None
        try:
            yield
        except asyncio.CancelledError:
            if task not in self._revoked:
                raise
            task.uncancel()
            raise NotAMember() from None
        finally:
            _caller.reset(token)
            self._revoked.discard(task)
            tasks.pop(task, None)
            if not tasks and self._running.get(who.member) is tasks:
                del self._running[who.member]

    async def revoke(self, member: MemberId) -> None:
        """End every call of a member that was suspended or removed, or whose key was replaced; streams above all.

        Call it after `resolve` has learnt of the change: calls that begin later are refused by that.
        """
        for task in list(self._running.get(member, ())):
            if task is not asyncio.current_task():
                self._revoked.add(task)
                task.cancel()
        await asyncio.sleep(0)

    def _certificate(self, pem: bytes) -> tuple[Digest, datetime]:
        found = self._certificates.get(pem)
        if found is None:
            if not pem:
                raise NotAMember()
            found = spki_digest(pem), x509.load_pem_x509_certificate(pem).not_valid_after_utc
            self._certificates[pem] = found
            if len(self._certificates) > _MAX_CERTIFICATES:
                self._certificates.popitem(last=False)
        return found


def _require_strong(connection: Any) -> None:
    if _only(connection, "ssl_tls_version") != _TLS or _only(connection, "ssl_negotiated_key_exchange_group") != _GROUP:
        raise WeakConnection()


def _only(connection: Any, name: str) -> bytes:
    values = list(connection.get(name, ()))
    if len(values) != 1:
        return b""
    value: bytes = values[0]
    return value
