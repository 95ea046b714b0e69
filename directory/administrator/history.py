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
    message.DESCRIPTOR.full_name: sentence
    for message, sentence in (
        (v1.Genesis, N_("The network was founded.")),
        (v1.MemberAdmitted, N_("{who} was admitted.")),
        (v1.MemberSuspended, N_("{who} was suspended.")),
        (v1.MemberReinstated, N_("{who} was reinstated.")),
        (v1.MemberRemoved, N_("{who} was removed for good.")),
        (v1.MemberCorrected, N_("What the network says of {who} was corrected.")),
        (v1.MemberRecovered, N_("{who} was given a new identity key by the administrators.")),
        (v1.IdentityRotated, N_("{who} changed its identity key itself.")),
        (v1.NodeRestored, N_("{who} restored its node from a backup.")),
        (v1.AdministratorAdded, N_("An administrator was added: {who}.")),
        (v1.AdministratorRemoved, N_("An administrator was removed: {who}.")),
        (v1.PolicyChanged, N_("The network’s policy was changed.")),
        (v1.DirectoryKeyRotated, N_("The directory’s log was given a new key.")),
    )
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
    return Told(
        index=index,
        sentence=_SENTENCES.get(entry.type, _OTHER),
        kind=entry.type.rpartition(".")[2],
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
