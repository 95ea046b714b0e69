"""The network's CA at work: certificates for members, and the directory's own, renewed in time."""

from __future__ import annotations

from datetime import datetime

from cordee.errors import N_, MalformedKey
from cordee.ids import Digest, MemberId
from cordee.runtime.clock import Clock
from cordee.runtime.tls import LEAF_LIFE, CertificateAuthority, TransportKey, spki_digest_of_request

__all__ = ["RENEWAL", "Authority"]

RENEWAL = LEAF_LIFE * 2 / 3
"""Age at which a certificate is made anew."""


class Authority:
    """Issues certificates. A certificate says nothing but "this key was issued here": who may call is asked anew at
    every call, of the cards.
    """

    def __init__(
        self, authority: CertificateAuthority, *, server_key: TransportKey, names: tuple[str, ...], clock: Clock
    ) -> None:
        self._authority = authority
        self._server_key = server_key
        self._names = names
        self._clock = clock
        self._own = b""
        self._own_since: datetime | None = None

    @property
    def certificate(self) -> bytes:
        """The CA's own, DER."""
        return self._authority.certificate

    @property
    def own_expiry(self) -> datetime | None:
        """When the directory's own certificate runs out; None before the first handshake."""
        return self._own_since + LEAF_LIFE if self._own_since is not None else None

    def issue(self, request: bytes, *, member: MemberId, key_digest: Digest) -> bytes:
        """A member's certificate (DER), if the request is for the key on its card. Raises: MalformedKey."""
        if spki_digest_of_request(request) != key_digest:
            raise MalformedKey(what=N_("certificate request: its key is not the one on the card"))
        return self._authority.issue(request, member=member, now=self._clock.now())

    def server_certificate(self) -> tuple[TransportKey, bytes]:
        """The directory's key and certificate (DER), asked for at every handshake; new at two thirds of a life."""
        now = self._clock.now()
        if self._own_since is None or now - self._own_since >= RENEWAL:
            self._own = self._authority.issue_server(self._server_key, names=self._names, now=now)
            self._own_since = now
        return self._server_key, self._own

    def end_sessions(self) -> None:
        """Somebody may not call any more: no TLS session from before is resumed.

        gRPC resumes one without looking at the client's certificate again, unless its own configuration is a new one
        (each call is refused all the same). Everybody else shakes hands once more, the next time they connect.
        """
        self._own_since = None
