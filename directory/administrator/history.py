"""What stands in the log, told in words: for whoever reads it long after it was signed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cordee.entries import entry_digest
from cordee.errors import N_
from cordee.ids import Digest, KeyId, MemberId
from cordee.v1 import statements_pb2 as v1
from directory.administrator.entries import about_of

__all__ = ["Told", "told", "told_all"]

_SENTENCES: Mapping[str, str] = {
    "Genesis": N_("The network was founded."),
    "MemberAdmitted": N_("{who} was admitted."),
    "MemberSuspended": N_("{who} was suspended."),
    "MemberReinstated": N_("{who} was reinstated."),
    "MemberRemoved": N_("{who} was removed for good."),
    "MemberCorrected": N_("What the network says of {who} was corrected."),
    "MemberRecovered": N_("{who} was given a new identity key by the administrators."),
    "RecoveryAnnounced": N_("A new identity key was announced for {who}."),
    "RecoveryObjected": N_("{who} objected to the key that was announced."),
    "IdentityRevoked": N_("The identity key of {who} was revoked."),
    "IdentityRotated": N_("{who} changed its identity key itself."),
    "NodeRestored": N_("{who} restored its node from a backup."),
    "AdministratorAdded": N_("An administrator was added: {who}."),
    "AdministratorRemoved": N_("An administrator was removed: {who}."),
    "PolicyChanged": N_("The network’s policy was changed."),
    "DirectoryKeyRotated": N_("The directory’s log was given a new key."),
    "AuthorityRotated": N_("The network was given a new certificate authority."),
}
_OTHER = N_("An entry of the kind {kind}.")


@dataclass(frozen=True)
class Told:
    """One entry."""

    index: int
    sentence: str
    """A marked text with a place for `who`, or for `kind`."""
    kind: str
    about: MemberId | KeyId | None
    """One member or one administrator; none for what concerns the network."""
    dated: datetime
    signers: tuple[KeyId, ...]
    digest: Digest


def told(index: int, entry: v1.Entry) -> Told:
    """One entry of a verified log. Raises: KeyError for a kind that this version does not know."""
    about, dated = about_of(entry)
    kind = entry.type.rpartition(".")[2]
    return Told(
        index=index,
        sentence=_SENTENCES.get(kind, _OTHER),
        kind=kind,
        about=about,
        dated=dated,
        signers=tuple(KeyId(one.signer) for one in entry.signatures),
        digest=entry_digest(entry),
    )


def told_all(entries: Sequence[v1.Entry], about: MemberId | KeyId | None = None) -> Iterator[Told]:
    """Every entry, newest first; with `about`, those about one member or administrator."""
    for index in range(len(entries) - 1, -1, -1):
        found = told(index, entries[index])
        if about is None or found.about == about:
            yield found
