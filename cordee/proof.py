"""A transfer's proof: one file that anybody checks offline, with nothing but the network's id (protocol §6).

It holds the genesis, the directory's signed checkpoint, every entry of the roster log about the network's government
and about the two parties, each with its inclusion proof, and the transfer's statements. It holds no personal data: what
the statements say of a person is sealed in them, and stays so.

What it shows: that these two associations, admitted by the network's administrators, signed these statements, each
after the one before it. What it cannot show:

* that *no later* entry about a party was left out. Inclusion proofs show what is in the log, not what is not: a proof
  made by someone who hides a suspension or a new identity key verifies. Who doubts it compares with a whole log.
* that a transfer expired: time passes unsigned, so such a transfer stands where its last statement left it.
* when things happened, but by the parties' own clocks; the broker took each within five minutes of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cordee.checkpoint import Checkpoint
from cordee.entries import network_id
from cordee.errors import N_, ProofRefused, SplitView, WrongNetwork
from cordee.excerpt import MAX_EXCERPT, check_excerpt, make_excerpt
from cordee.ids import Digest, MemberId, NetworkId, TransferId
from cordee.log import MerkleTree
from cordee.roster import Roster
from cordee.signing import Signed, parse_message
from cordee.statements import Answer, Erasure, Offer, Receipt, Shipment, Statement, TreeHead, Withdrawal, peek
from cordee.transfer import Kind, Party, State, next_state
from cordee.v1 import statements_pb2 as v1

__all__ = ["CHECKS", "MAX_PROOF", "ProofReport", "Step", "export", "verify"]

MAX_PROOF = MAX_EXCERPT
"""Bytes of a proof; one of a network with ten administrators and a few changes has about 200 kB."""

CHECKS = (
    N_("The network is the one named: the genesis has its digest, and all its founders signed it."),
    N_("Every entry about administrators, rules, sender and recipient follows the one before it and is signed."),
    N_("The directory signed the checkpoint, and every entry is in the log under its root."),
    N_("Every statement is signed by the party that it names, with both signatures."),
    N_("Every statement names the digest of the one before it, and the transfer table allows it."),
)
"""What `verify` has checked when it returns, in its order."""


@dataclass(frozen=True, slots=True)
class Step:
    """One statement: what it did, who signed it, when by the signer's clock, and its digest."""

    kind: Kind
    by: Party
    time: datetime
    digest: Digest


@dataclass(frozen=True, slots=True)
class ProofReport:
    """What a proof that verified says."""

    network: NetworkId
    transfer_id: TransferId
    sender: MemberId
    recipient: MemberId
    outcome: State
    steps: tuple[Step, ...]
    erased: bool | None
    """What was received: erased, asked for or unasked, or kept with a reason. None while neither was said."""
    checkpoint: Checkpoint
    checks: tuple[str, ...] = CHECKS


def export(
    entries: Iterable[v1.Entry], *, tree: MerkleTree, note: str, size: int, statements: Sequence[Signed]
) -> bytes:
    """Make the proof of a transfer, and verify it before it is given out.

    `entries` is the whole log in its order, `tree` the tree over it, `note` the directory's signed checkpoint at
    `size`, `statements` what the broker took, in its order. What comes out is bytes for a file.

    Raises: ProofRefused where something is missing; whatever `verify` raises.
    """
    if not statements:
        raise ProofRefused(problem=N_("there are no statements"))
    parties = peek(statements[0]).parties
    excerpt = make_excerpt(entries, tree=tree, note=note, size=size, members={parties.sender, parties.recipient})
    proof = v1.TransferProof(
        genesis=excerpt.genesis,
        checkpoint=excerpt.checkpoint,
        entries=excerpt.entries,
        statements=[signed.to_message() for signed in statements],
    )
    data = proof.SerializeToString(deterministic=True)
    verify(data, network=parties.network)
    return data


def verify(proof: bytes, *, network: NetworkId) -> ProofReport:
    """Check a proof from the genesis to the last statement. Any byte altered, added or left out is refused.

    Raises: ProofRefused, WrongNetwork, EntryRefused, CheckpointRefused, MalformedStatement, SplitView, and what the
    statements' `parse` and the transfer table raise.
    """
    message = parse_message(proof, v1.TransferProof, max_size=MAX_PROOF)
    # The wrapper is not signed, so only one form of it counts; what is signed inside is never serialised again.
    if message.SerializeToString(deterministic=True) != proof:
        raise ProofRefused(problem=N_("its form is not canonical"))
    if not message.statements:
        raise ProofRefused(problem=N_("there are no statements"))
    statements = [Signed.from_message(signed) for signed in message.statements]
    parties = peek(statements[0]).parties
    if network_id(message.genesis) != network or parties.network != network:
        raise WrongNetwork(what=N_("TransferProof"))
    roster, checkpoint = check_excerpt(message, network=network, members={parties.sender, parties.recipient})
    state, taken = _read(statements, roster, checkpoint)
    answered = next((statement for statement in taken if isinstance(statement, Erasure)), None)
    return ProofReport(
        network=network,
        transfer_id=parties.transfer_id,
        sender=parties.sender,
        recipient=parties.recipient,
        outcome=state,
        steps=tuple(Step(kind=one.kind, by=one.by, time=one.time, digest=one.digest) for one in taken),
        erased=None if answered is None else answered.erased,
        checkpoint=checkpoint,
    )


def _read(statements: Sequence[Signed], roster: Roster, checkpoint: Checkpoint) -> tuple[State, list[Statement]]:
    """Read the statements one after the other; each needs those before it, and the table's leave."""
    state: State | None = None
    taken: list[Statement] = []
    for signed in statements:
        statement = _parse(signed, taken, roster, checkpoint)
        state = next_state(state, statement.kind, statement.by, taken=[before.kind for before in taken])
        taken.append(statement)
    if state is None:
        raise ProofRefused(problem=N_("there are no statements"))
    return state, taken


def _parse(signed: Signed, taken: Sequence[Statement], roster: Roster, checkpoint: Checkpoint) -> Statement:
    """Read one statement after those `taken`. Raises: as its `parse`; ProofRefused where one before it is missing."""
    found = {type(one): one for one in taken}
    offer, answer = found.get(Offer), found.get(Answer)
    shipment = found.get(Shipment)
    now = checkpoint.time
    statement: Statement
    if signed.type == v1.Offer.DESCRIPTOR.full_name:
        statement = Offer.parse(signed, roster, now=now, history=True)
        _same_root(statement.checkpoint, checkpoint)
    elif not isinstance(offer, Offer):
        raise ProofRefused(problem=N_("it does not begin with an offer"))
    elif signed.type == v1.Answer.DESCRIPTOR.full_name:
        statement = Answer.parse(signed, roster, offer=offer, now=now, history=True)
        _same_root(statement.checkpoint, checkpoint)
    elif signed.type == v1.Shipment.DESCRIPTOR.full_name and isinstance(answer, Answer):
        statement = Shipment.parse(signed, roster, offer=offer, answer=answer, now=now, history=True)
    elif signed.type == v1.Receipt.DESCRIPTOR.full_name and isinstance(shipment, Shipment):
        statement = Receipt.parse(signed, roster, offer=offer, shipment=shipment, now=now, history=True)
    elif signed.type == v1.Withdrawal.DESCRIPTOR.full_name:
        statement = Withdrawal.parse(signed, roster, offer=offer, now=now, history=True)
    elif signed.type == v1.Erasure.DESCRIPTOR.full_name and (follows := _followed(signed, taken)):
        statement = Erasure.parse(signed, roster, before=follows, now=now, history=True)
    else:
        raise ProofRefused(problem=N_("a statement is missing before another"))
    return statement


def _followed(erasure: Signed, taken: Sequence[Statement]) -> Withdrawal | Shipment | None:
    """The statement that an erasure names, of those before it. Raises: MalformedStatement."""
    kind = Withdrawal if Erasure.follows(erasure) is Kind.WITHDRAWAL else Shipment
    return next((one for one in taken if isinstance(one, kind)), None)


def _same_root(head: TreeHead, checkpoint: Checkpoint) -> None:
    """At the checkpoint's own size the roots must be one; other sizes the two nodes compared when they met."""
    if head.size == checkpoint.size and head.root != checkpoint.root:
        raise SplitView(size=head.size)
