"""What machines of one network were shown of the roster log, and whether it can have been one log (protocol §4).

A *view* is one checkpoint that the directory signed, with the leaf hashes of the whole log under it where they were to
be had, and the entries that say which key was the directory's. A file of evidence holds one view (what this machine was
shown), or two (what it had verified, and what it was shown then), and perhaps the statement of a member who was shown
another root. Files of several machines are judged together: `judge`.

What can be shown to anybody, with nothing but the network's id:

* FORGED: the directory signed a log with an entry that is not signed by those who must sign it. Only a view with
  *every* entry up to that one shows it: with one left out, a good entry can look like a bad one;
* FORK: the directory signed two logs, neither of which continues the other;
* ROLLBACK: it signed a log, and after that, by its own clock, a smaller one;
* SPLIT_VIEW: a member signed that it was shown another root than the directory signed here. One of the two is wrong;
  the member's own file of evidence turns it into a fork, or into a member who says what is not so.

What cannot: that the directory itself did it, and not somebody who stole its key; who of two was shown the truth; nor
that nothing was withheld. The time in a checkpoint is the directory's own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import combinations

from cordee.checkpoint import Checkpoint, open_checkpoint, peek_checkpoint
from cordee.entries import entry_leaf, network_id
from cordee.entry_checks import Rule
from cordee.errors import N_, CordeeError, EntryRefused, MalformedStatement, ProofRefused, WrongNetwork
from cordee.excerpt import about, one_signature, replay_places
from cordee.ids import Digest, KeyId, MemberId, NetworkId
from cordee.log import HASH_SIZE, MerkleTree
from cordee.members import Roster
from cordee.roster import apply
from cordee.signing import Signed, parse_body, parse_message, verify
from cordee.statements import peek
from cordee.statements.base import body_of
from cordee.times import moment_of
from cordee.transfer import Kind
from cordee.v1 import statements_pb2 as v1

__all__ = [
    "HEAD",
    "MAX_EVIDENCE",
    "PROVEN",
    "Claim",
    "Seen",
    "Verdict",
    "ViewsReport",
    "author_of",
    "export_views",
    "is_evidence",
    "judge",
    "make_view",
    "shown_view",
]

HEAD = b"cordee evidence 1\n"
"""How a file of evidence begins; a serialised RosterEvidence follows."""
MAX_EVIDENCE = 64 * 2**20
"""Bytes of a file: two views of a log of a million entries."""
_MAX_WHOLE = 16 * 2**20
"""Bytes of entries in a view that shows a forged one: a network of a thousand entries has less."""
_MAX_VIEWS = 64
_MAX_STATEMENTS = 64
_HELD = v1.HeldCheckpoint.DESCRIPTOR.full_name
_UNSIGNED = frozenset({Rule.UNKNOWN_SIGNER, Rule.TOO_FEW_SIGNATURES, Rule.BAD_SIGNATURE})
"""Other rules may be a newer version's to know; these are looked at before all others, and as old as the log."""


class Verdict(StrEnum):
    """What views show, the gravest first."""

    FORGED = "forged"
    FORK = "fork"
    ROLLBACK = "rollback"
    SPLIT_VIEW = "split_view"
    AGREE = "agree"
    """All of them can be of one log."""
    UNPROVEN = "unproven"
    """Some cannot be compared: a longer one without the hashes of its entries."""


PROVEN = frozenset({Verdict.FORGED, Verdict.FORK, Verdict.ROLLBACK, Verdict.SPLIT_VIEW})
"""Verdicts that say that something is wrong."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One view, verified: a log of this size and root is under the directory's signature."""

    checkpoint: Checkpoint
    key: KeyId
    """The directory's key that signed it, in force at that size."""
    tree: MerkleTree | None
    roster: Roster | None
    """Of the government, and of those members whose entries the view has; None without a tree."""
    forged: int | None = None
    """The index of the entry that is not signed by those who must."""

    def root_at(self, size: int) -> bytes | None:
        """The root that this view's log has at a size; None where that cannot be known from it."""
        if size == self.checkpoint.size:
            return self.checkpoint.root
        if self.tree is None or not 1 <= size < self.checkpoint.size:
            return None
        return self.tree.root(size)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a member signed of the root that it was shown."""

    member: MemberId
    kind: str
    """"offer", "acceptance" or "refusal"; "held" for what its node says now and then of the log that it holds."""
    time: datetime
    size: int
    root: Digest
    digest: Digest


@dataclass(frozen=True, slots=True)
class ViewsReport:
    """What files of evidence that verified say together."""

    network: NetworkId
    verdict: Verdict
    views: tuple[Seen, ...]
    claims: tuple[Claim, ...]
    between: tuple[int, ...] = ()
    """Which views show it: two; one, for FORGED, or that a claim contradicts."""
    claim: int | None = None
    """Which claim, for SPLIT_VIEW."""
    differs_at: int | None = None
    """The smallest size known at which the two roots differ; the entry before it is the first that may be another. For
    FORGED, the size of the log up to the forged entry."""
    same_key: bool = True
    """Both are signed by one key. If not, one of the two had been replaced in the other's log."""


def make_view(
    entries: Sequence[v1.Entry], *, note: str, size: int, members: Collection[MemberId] = ()
) -> v1.RosterView:
    """The view of somebody who has the first `size` entries of a log, and the checkpoint over them.

    Raises: MalformedStatement.
    """
    shown = entries[:size]
    placed = [v1.ViewedEntry(index=0, entry=each) for each in shown[:1]]
    placed += [v1.ViewedEntry(index=index, entry=entry) for index, entry in about(shown, members, size=size)]
    return v1.RosterView(checkpoint=note, leaves=b"".join(map(entry_leaf, shown)), entries=placed)


def shown_view(entries: Sequence[v1.Entry], *, note: str) -> v1.RosterView | None:
    """The view of a note that was refused, from the entries that were served with it; None where they are not what was
    signed. It replays the log, so it takes a while. Where an entry is refused the view holds all up to that one, if
    they are not too large.
    """
    try:
        size, root = (signed := peek_checkpoint(note)).size, signed.root
        shown = entries[:size]
        leaves = [entry_leaf(each) for each in shown]
        if len(leaves) != size or MerkleTree(leaves).root() != root:
            return None
        upto = _refused(shown)
        if upto is None or sum(each.ByteSize() for each in shown[: upto + 1]) > _MAX_WHOLE:
            return make_view(shown, note=note, size=size)
        placed = [v1.ViewedEntry(index=index, entry=entry) for index, entry in enumerate(shown[: upto + 1])]
        return v1.RosterView(checkpoint=note, leaves=b"".join(leaves), entries=placed)
    except CordeeError:
        return None


def _refused(entries: Sequence[v1.Entry]) -> int | None:
    """The index of the first entry that the rules refuse."""
    roster: Roster | None = None
    for index, entry in enumerate(entries):
        try:
            roster = apply(roster, entry)
        except EntryRefused:
            return index
    return None


def export_views(views: Iterable[v1.RosterView], statements: Iterable[Signed] = ()) -> bytes:
    """The bytes of a file of evidence. Nothing of it is verified here."""
    made = v1.RosterEvidence(views=views, statements=[each.to_message() for each in statements])
    return HEAD + made.SerializeToString(deterministic=True)


def is_evidence(data: bytes) -> bool:
    """Whether a file says of itself that it is one of these."""
    return data.startswith(HEAD)


def author_of(signed: Signed) -> MemberId | None:
    """The member who signed an offer, an answer or what it holds of the log, by its own word, **unverified**; None for
    anything else.
    """
    try:
        if signed.type == _HELD:
            return MemberId(parse_body(signed, v1.HeldCheckpoint).member)
        claimed = peek(signed)
    except MalformedStatement:
        return None
    if claimed.kind is Kind.OFFER:
        return claimed.parties.sender
    return claimed.parties.recipient if claimed.kind in (Kind.ACCEPTANCE, Kind.REFUSAL) else None


def judge(files: Sequence[bytes], *, network: NetworkId) -> ViewsReport:
    """Verify files of evidence and compare all that they hold. Any byte altered, added or left out is refused.

    Raises: WrongNetwork, ProofRefused, EntryRefused, CheckpointRefused, MalformedStatement, BadSignature, NotAMember.
    """
    views: list[Seen] = []
    claims: list[Claim] = []
    for data in files:
        message = _parsed(data, network)
        here = _seen(message, network)
        views += here
        claims += [_claim(Signed.from_message(each), here, network) for each in message.statements]
    if len(views) > _MAX_VIEWS:
        raise ProofRefused(problem=N_("there are too many views"))
    known = ViewsReport(network=network, verdict=Verdict.AGREE, views=tuple(views), claims=tuple(claims))
    return _verdict(known)


# ---- reading ----


def _parsed(data: bytes, network: NetworkId) -> v1.RosterEvidence:
    if not is_evidence(data):
        raise ProofRefused(problem=N_("it is no file of evidence"))
    inside = data[len(HEAD) :]
    message = parse_message(inside, v1.RosterEvidence, max_size=MAX_EVIDENCE)
    if message.SerializeToString(deterministic=True) != inside:
        raise ProofRefused(problem=N_("its form is not canonical"))
    if not 1 <= len(message.views) <= _MAX_VIEWS or len(message.statements) > _MAX_STATEMENTS:
        raise ProofRefused(problem=N_("it holds no view, or too many"))
    return message


def _seen(message: v1.RosterEvidence, network: NetworkId) -> list[Seen]:
    """The first view has its log; one without it is checked by the key that the first one knows for its size."""
    first, *others = message.views
    found = [_whole(first, network)]
    for view in others:
        found.append(_whole(view, network) if view.leaves else _bare(view, first))
    return found


def _whole(view: v1.RosterView, network: NetworkId) -> Seen:
    count, rest = divmod(len(view.leaves), HASH_SIZE)
    if rest or not count:
        raise ProofRefused(problem=N_("the hashes of the entries are missing or cut off"))
    leaves = [view.leaves[at : at + HASH_SIZE] for at in range(0, len(view.leaves), HASH_SIZE)]
    if not view.entries or view.entries[0].index != 0:
        raise ProofRefused(problem=N_("the genesis is not proven"))
    if network_id(view.entries[0].entry) != network:
        raise WrongNetwork(what=N_("Genesis"))
    for each in view.entries:
        if each.index >= count or leaves[each.index] != entry_leaf(each.entry):
            raise ProofRefused(problem=N_("an entry is not in the log that the view shows"))
    roster, forged = _good_part(view)
    one_signature(view.checkpoint)
    checkpoint = open_checkpoint(view.checkpoint, roster.directory_key, roster.origin)
    tree = MerkleTree(leaves)
    if checkpoint.size != count or checkpoint.root != tree.root():
        raise ProofRefused(problem=N_("it leads to another root"))
    return Seen(checkpoint, roster.directory_key.key_id, tree, replace(roster, size=count), forged)


def _good_part(view: v1.RosterView) -> tuple[Roster, int | None]:
    """The roster after the view's entries; and which of them is forged: the last, if those before it are all there are.

    Raises: EntryRefused, ProofRefused, MalformedStatement.
    """
    good: list[Roster] = []
    try:
        for roster in _replayed(view):
            good.append(roster)
    except EntryRefused as refused:
        every = [each.index for each in view.entries] == list(range(len(good) + 1))
        if not good or not every or refused.facts["rule"] not in _UNSIGNED:
            raise
        return good[-1], len(good)
    return good[-1], None


def _replayed(view: v1.RosterView) -> Iterator[Roster]:
    return replay_places(view.entries[0].entry, ((each.index, each.entry) for each in view.entries[1:]))


def _bare(view: v1.RosterView, first: v1.RosterView) -> Seen:
    if view.entries:
        raise ProofRefused(problem=N_("an entry is not in the log that the view shows"))
    one_signature(view.checkpoint)
    refused: CordeeError = ProofRefused(problem=N_("there are no views"))
    # The note itself says its size, so the keys are tried; each counts only for the sizes at which it was in force.
    for begins, ends, roster in _reigns(first):
        try:
            checkpoint = open_checkpoint(view.checkpoint, roster.directory_key, roster.origin)
        except CordeeError as error:
            refused = error
            continue
        if not begins <= checkpoint.size < ends:
            raise ProofRefused(problem=N_("it is signed by a key that was not in force at its size"))
        return Seen(checkpoint, roster.directory_key.key_id, None, None)
    raise refused


def _reigns(first: v1.RosterView) -> list[tuple[int, float, Roster]]:
    """The directory's keys by the first view: from which size of the log to before which each was in force."""
    found: list[tuple[int, float, Roster]] = []
    for roster in _replayed(first):
        if found and found[-1][2].directory_key == roster.directory_key:
            continue
        if found:
            found[-1] = (found[-1][0], roster.size, found[-1][2])
        found.append((roster.size, float("inf"), roster))
    return found


def _claim(signed: Signed, views: Sequence[Seen], network: NetworkId) -> Claim:
    """What a member signed of the root that it was shown. Raises: BadSignature, NotAMember, WrongNetwork."""
    author, roster = author_of(signed), views[0].roster
    if author is None or roster is None:
        raise ProofRefused(problem=N_("it is no statement that names a root"))
    if signed.type == _HELD:
        held = parse_body(signed, v1.HeldCheckpoint)
        kind, of, time, size, root = "held", held.network, moment_of(held.time), held.size, held.root
    else:
        claimed, body = peek(signed), body_of(signed)
        if not isinstance(body, v1.Offer | v1.Answer) or not body.HasField("checkpoint"):
            raise ProofRefused(problem=N_("it is no statement that names a root"))
        kind, of, time = str(claimed.kind), claimed.parties.network, claimed.time
        size, root = body.checkpoint.size, body.checkpoint.root
    if of != network:
        raise WrongNetwork(what=N_("Signed"))
    verify(signed, roster.identity_at(author, min(size, roster.size)))
    return Claim(author, kind, time, size, Digest(root), signed.digest)


# ---- judging ----


def _verdict(known: ViewsReport) -> ViewsReport:
    for place, seen in enumerate(known.views):
        if seen.forged is not None:
            return replace(known, verdict=Verdict.FORGED, between=(place,), differs_at=seen.forged + 1)
    pairs = list(combinations(range(len(known.views)), 2))
    compared = True
    for one, two in pairs:
        size, sure = _difference(known.views[one], known.views[two])
        compared = compared and sure
        if size is not None:
            same = known.views[one].key == known.views[two].key
            return replace(known, verdict=Verdict.FORK, between=(one, two), differs_at=size, same_key=same)
    for one, two in pairs:
        small, large = sorted((known.views[one].checkpoint, known.views[two].checkpoint), key=lambda each: each.size)
        if small.size < large.size and small.time > large.time:
            same = known.views[one].key == known.views[two].key
            return replace(known, verdict=Verdict.ROLLBACK, between=(one, two), same_key=same)
    for place, claim in enumerate(known.claims):
        roots = {view: each.root_at(claim.size) for view, each in enumerate(known.views)}
        for view, root in roots.items():
            if root is not None and root != claim.root:
                return replace(known, verdict=Verdict.SPLIT_VIEW, between=(view,), claim=place, differs_at=claim.size)
        compared = compared and any(root is not None for root in roots.values())
    return known if compared else replace(known, verdict=Verdict.UNPROVEN)


def _difference(one: Seen, two: Seen) -> tuple[int | None, bool]:
    """The smallest size known at which their roots differ, if any; and whether they could be compared at all."""
    common = min(one.checkpoint.size, two.checkpoint.size)
    here, there = one.root_at(common), two.root_at(common)
    if here is None or there is None:
        return None, False
    if here == there:
        return None, True
    if one.tree is None or two.tree is None:
        return common, True
    return _first(lambda size: one.root_at(size) != two.root_at(size), common), True


def _first(differs: Callable[[int], bool], known: int) -> int:
    """The smallest size for which it holds; once two logs differ they do so for ever."""
    low, high = 1, known
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if differs(middle) else (middle + 1, high)
    return low
