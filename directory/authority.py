"""The network's CA at work: certificates for members, and the directory's own, renewed in time.

While two CAs are trusted, members' certificates come from the one in force, and the directory shows one of the oldest:
a node that was away over the change knows that one only, and learns of the other once it is in.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from cordee.errors import N_, MalformedKey
from cordee.ids import Digest, MemberId
from cordee.runtime.clock import Clock
from cordee.runtime.tls import LEAF_LIFE, TransportKey, bundle_of, spki_digest_of_request
from directory.holdings import Authorities

__all__ = ["RENEWAL", "Authority"]

RENEWAL = LEAF_LIFE * 2 / 3
"""Age at which a certificate is made anew."""


class Authority:
    """Issues certificates. A certificate says nothing but "this key was issued here": who may call is asked anew at
    every call, of the cards.
    """

    def __init__(
        self,
        authorities: Authorities,
        *,
        trusted: Callable[[], tuple[Digest, ...]],
        server_key: TransportKey,
        names: tuple[str, ...],
        clock: Clock,
    ) -> None:
        """`trusted` says which CAs are, now, by the digests of their certificates: the one in force first."""
        self._authorities = authorities
        self._trusted = trusted
        self._server_key = server_key
        self._names = names
        self._clock = clock
        self._own = b""
        self._own_since: datetime | None = None
        self._own_issuer: Digest | None = None
        self._root = b""
        self._root_of: tuple[Digest, ...] = ()
        self.sessions = 0
        """Another number ends the TLS sessions from before."""

    @property
    def certificate(self) -> bytes:
        """Of the CA in force, DER."""
        return self._authorities.of(self._trusted()[0]).certificate

    def certificates(self) -> list[bytes]:
        """Of every CA that is trusted, DER, the one in force first."""
        here = self._authorities.certificates()
        return [here[digest] for digest in self._trusted() if digest in here]

    def root(self) -> bytes:
        """What members' certificates are measured by, asked for at every handshake."""
        trusted = self._trusted()
        if trusted != self._root_of:
            self._root, self._root_of = bundle_of(self.certificates()), trusted
            self._authorities.forget(trusted)
        return self._root

    @property
    def own_expiry(self) -> datetime | None:
        """When the directory's own certificate runs out; None before the first handshake."""
        return self._own_since + LEAF_LIFE if self._own_since is not None else None

    def issue(self, request: bytes, *, member: MemberId, key_digest: Digest) -> bytes:
        """A member's certificate (DER), if the request is for the key on its card. Raises: MalformedKey."""
        if spki_digest_of_request(request) != key_digest:
            raise MalformedKey(what=N_("certificate request: its key is not the one on the card"))
        return self._authorities.of(self._trusted()[0]).issue(request, member=member, now=self._clock.now())

    def server_certificate(self) -> tuple[TransportKey, bytes]:
        """The directory's key and certificate (DER), asked for at every handshake; new at two thirds of a life, and
        when the CA that it came from is trusted no more.
        """
        now, issuer = self._clock.now(), self._trusted()[-1]
        if self._own_since is None or now - self._own_since >= RENEWAL or issuer != self._own_issuer:
            self._own = self._authorities.of(issuer).issue_server(self._server_key, names=self._names, now=now)
            self._own_since, self._own_issuer = now, issuer
        return self._server_key, self._own

    def end_sessions(self) -> None:
        """Somebody may not call any more: no TLS session from before is resumed, though each call is refused anyhow.
        Everybody else shakes hands once more, the next time they connect.
        """
        self.sessions += 1
