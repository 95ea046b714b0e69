"""Who asks to join, checked on the administrator's own machine: what the directory says of them does not count."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime

from cordee.card import Card
from cordee.errors import N_, InvitationRefused, NotAnAdministrator, WordsDiffer, WrongNetwork
from cordee.ids import Digest, MemberId
from cordee.invitation import secret_digest
from cordee.joining import Progress
from cordee.members import Roster, registration_digest
from cordee.signing import MAX_SIGNED, Signed, SigningPublicKey, member_id_of, parse_body, verify
from cordee.times import moment_of
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import statements_pb2 as v1
from cordee.words import six_words

__all__ = ["Applicant", "Invited", "check_words", "read_applicant", "read_invited"]


@dataclass(frozen=True)
class Applicant:
    """An association that holds an invitation which an administrator signed, and the key with which it asks."""

    member: MemberId
    key: SigningPublicKey
    legal_name: str
    registration_number: str
    bound_by_secrecy: bool
    asked: datetime
    progress: Progress
    """How far it has come, as the directory tells."""

    @property
    def registration(self) -> Digest:
        """What the log will say of name and number."""
        return registration_digest(self.legal_name, self.registration_number)

    def words(self) -> list[str]:
        """The six words of the key."""
        return six_words(self.key)


def read_applicant(record: pb.JoinRequestRecord, roster: Roster) -> Applicant:
    """Check a request and the invitation behind it. Name, number and secrecy are those that the administrator signed.

    Raises: MalformedStatement, BadSignature, WrongNetwork, NotAnAdministrator, InvitationRefused, CardRefused.
    """
    signed = Signed.from_message(record.join_request)
    body = parse_body(signed, v1.JoinRequest, max_size=MAX_SIGNED)
    key = SigningPublicKey.from_message(body.identity_key)
    verify(signed, key)
    invitation = Signed.from_message(record.invitation)
    invited = parse_body(invitation, v1.CreateInvitation)
    administrator = roster.administrators.get(invitation.signer)
    if administrator is None:
        raise NotAnAdministrator()
    verify(invitation, administrator)
    if body.network != roster.network or invited.network != roster.network:
        raise WrongNetwork(what=N_("JoinRequest"))
    if body.invitation != invited.invitation or secret_digest(body.secret) != invited.secret_digest:
        raise InvitationRefused(problem=N_("the request does not hold it"))
    member, asked = member_id_of(key), moment_of(body.time)
    Card.parse_for(
        Signed.from_message(body.card),
        network=roster.network,
        member=member,
        identity=key,
        now=asked,
        profile=body.profile,
    )
    return Applicant(
        member=member,
        key=key,
        legal_name=invited.legal_name,
        registration_number=invited.registration_number,
        bound_by_secrecy=invited.bound_by_secrecy,
        asked=asked,
        progress=Progress.from_message(record.progress, record.refusal_reason),
    )


@dataclass(frozen=True)
class Invited:
    """An association that has an invitation and has not asked yet."""

    legal_name: str
    registration_number: str
    bound_by_secrecy: bool
    expires: datetime
    progress: Progress


def read_invited(signed: v1.Signed, roster: Roster) -> Invited:
    """Check an open invitation. Raises: MalformedStatement, NotAnAdministrator, BadSignature, WrongNetwork."""
    invitation = Signed.from_message(signed)
    invited = parse_body(invitation, v1.CreateInvitation)
    administrator = roster.administrators.get(invitation.signer)
    if administrator is None:
        raise NotAnAdministrator()
    verify(invitation, administrator)
    if invited.network != roster.network:
        raise WrongNetwork(what=N_("invitation"))
    return Invited(
        legal_name=invited.legal_name,
        registration_number=invited.registration_number,
        bound_by_secrecy=invited.bound_by_secrecy,
        expires=moment_of(invited.expire_time),
        progress=Progress(invited=moment_of(invited.time), threshold=roster.policy.threshold),
    )


def check_words(key: SigningPublicKey, words: str) -> None:
    """The words that were read out are this key's, in French or in English. Case and accents do not count.

    Raises: WordsDiffer.
    """
    given = [_plain(word) for word in words.replace(",", " ").split()]
    for language in ("fr", "en"):
        if given == [_plain(word) for word in six_words(key, language=language)]:
            return
    raise WordsDiffer()


def _plain(word: str) -> str:
    letters = unicodedata.normalize("NFKD", word.casefold())
    return "".join(each for each in letters if not unicodedata.combining(each))
