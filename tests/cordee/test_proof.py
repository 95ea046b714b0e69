"""A proof of transfer stands alone, says how the transfer ended, and falls with any byte."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta

import pytest

from cordee.errors import (
    BrokenChain,
    CheckpointRefused,
    CordeeError,
    EntryRefused,
    MalformedStatement,
    NotInThisState,
    ProofRefused,
    SplitView,
    WrongNetwork,
)
from cordee.ids import Digest, NetworkId
from cordee.proof import CHECKS, MAX_PROOF, ProofReport, export, verify
from cordee.signing import Signed
from cordee.statements import Offer, TreeHead
from cordee.transfer import Kind, Party, State
from cordee.v1 import statements_pb2 as v1
from tests.builders import Network
from tests.transfers import Story


def exported(story: Story, statements: list[Signed] | None = None, size: int | None = None) -> bytes:
    network = story.network
    size = network.tree.size if size is None else size
    return export(
        network.entries,
        tree=network.tree,
        note=network.checkpoint(size=size),
        size=size,
        statements=story.statements if statements is None else statements,
    )


def checked(story: Story) -> ProofReport:
    return verify(exported(story), network=story.network.roster.network)


def a_story(network: Network | None = None) -> Story:
    network = Network.found() if network is None else network
    network.admit("Lille")
    story = Story.between(network, "Paris", "Marseille")
    network.admit("Lyon")
    story.now = network.now
    return story


@pytest.fixture
def story() -> Story:
    return a_story()


@pytest.fixture(scope="module")
def received() -> Story:
    return a_story().offer().accept().ship().receive()


@pytest.fixture(scope="module")
def proof(received: Story) -> bytes:
    return exported(received)


def test_a_received_transfer_is_told_with_its_parties_times_and_checks(received: Story, proof: bytes) -> None:
    report = verify(proof, network=received.network.roster.network)
    assert report.outcome is State.RECEIVED
    assert (report.sender, report.recipient) == (received.sender.id, received.recipient.id)
    assert report.transfer_id == received.parties.transfer_id
    assert [(step.kind, step.by) for step in report.steps] == [
        (Kind.OFFER, Party.SENDER),
        (Kind.ACCEPTANCE, Party.RECIPIENT),
        (Kind.SHIPMENT, Party.SENDER),
        (Kind.RECEIPT_TAKEN, Party.RECIPIENT),
    ]
    assert [step.time for step in report.steps] == [
        received.offered.time,
        received.answered.time,
        received.shipped.time,
        received.received.time,
    ]
    assert [step.digest for step in report.steps] == [signed.digest for signed in received.statements]
    assert report.checkpoint.size == received.network.tree.size
    assert report.erased is None
    assert report.checks == CHECKS


OUTCOMES: list[tuple[Callable[[Story], Story], State, bool | None]] = [
    (lambda s: s.offer(), State.OFFERED, None),
    (lambda s: s.offer().decline(), State.DECLINED, None),
    (lambda s: s.offer().accept(), State.ACCEPTED, None),
    (lambda s: s.offer().accept().withdraw(), State.WITHDRAWN, None),
    (lambda s: s.offer().accept().ship().refuse_receipt(), State.REFUSED, None),
    (lambda s: s.offer().accept().ship().withdraw().receive(), State.RECEIVED, None),
    (lambda s: s.offer().accept().ship().receive().withdraw().erase(), State.RECEIVED, True),
    (lambda s: s.offer().accept().ship().withdraw().receive().keep_by_law(), State.RECEIVED, False),
]


@pytest.mark.parametrize(("steps", "outcome", "erased"), OUTCOMES)
def test_every_way_that_a_transfer_goes_can_be_proven(
    story: Story, steps: Callable[[Story], Story], outcome: State, erased: bool | None
) -> None:
    report = checked(steps(story))
    assert report.outcome is outcome
    assert report.erased is erased


def test_a_proof_holds_no_other_members_entries(received: Story, proof: bytes) -> None:
    message = v1.TransferProof.FromString(proof)
    members = {v1.MemberAdmitted.FromString(proven.entry.body).member for proven in message.entries[1:]}
    assert members == {received.sender.id, received.recipient.id}
    assert received.network.tree.size == 5


def test_keys_that_change_on_the_way_and_government_are_followed(story: Story) -> None:
    network = story.network
    story.offer()
    network.rotate(network.members["Lille"])
    network.add_administrator()
    network.rotate(story.sender)
    story.accept()
    network.rotate_directory_key()
    network.remove_administrator(network.administrators[0])
    network.change_policy(threshold=1, offer_life_limit=timedelta(hours=1))
    story.ship()
    network.recover(story.recipient)
    story.receive()
    network.suspend(story.recipient)
    network.remove(story.sender)
    assert checked(story).outcome is State.RECEIVED


def test_a_checkpoint_older_than_the_offer_proves_nothing(story: Story) -> None:
    story.offer()
    with pytest.raises(CordeeError):
        exported(story, size=story.network.tree.size - 1)


def test_another_network_is_refused(proof: bytes) -> None:
    with pytest.raises(WrongNetwork):
        verify(proof, network=NetworkId(bytes(32)))


def changed(proof: bytes, change: Callable[[v1.TransferProof], object]) -> bytes:
    message = v1.TransferProof.FromString(proof)
    change(message)
    return message.SerializeToString(deterministic=True)


CHEATS: list[tuple[str, Callable[[v1.TransferProof], object], type[CordeeError]]] = [
    ("no statements", lambda p: p.ClearField("statements"), ProofRefused),
    ("no offer", lambda p: p.statements.pop(0), ProofRefused),
    ("no answer", lambda p: p.statements.pop(1), ProofRefused),
    ("no shipment", lambda p: p.statements.pop(2), ProofRefused),
    ("the offer twice", lambda p: p.statements.append(p.statements[0]), CordeeError),
    ("out of order", lambda p: p.statements.insert(0, p.statements.pop()), ProofRefused),
    ("a genesis without proof", lambda p: p.entries.pop(0), ProofRefused),
    ("a party's admission left out", lambda p: p.entries.pop(1), CordeeError),
    ("entries out of order", lambda p: p.entries.insert(1, p.entries.pop()), CordeeError),
    ("an entry at another place", lambda p: setattr(p.entries[2], "index", 4), ProofRefused),
    ("an entry twice", lambda p: p.entries.append(p.entries[-1]), ProofRefused),
    ("a hash left out", lambda p: p.entries[1].inclusion.pop(), ProofRefused),
    ("no checkpoint", lambda p: p.ClearField("checkpoint"), ProofRefused),
    ("no genesis", lambda p: p.ClearField("genesis"), WrongNetwork),
    ("an unsigned genesis", lambda p: p.genesis.ClearField("signatures"), EntryRefused),
    ("a half-signed admission", lambda p: p.entries[1].entry.signatures.pop(), EntryRefused),
    (
        "a witness that nobody checks",
        lambda p: setattr(p, "checkpoint", p.checkpoint + "— someone AAAAAAAA\n"),
        ProofRefused,
    ),
]


@pytest.mark.parametrize(("what", "change", "reason"), CHEATS, ids=[what for what, *_ in CHEATS])
def test_a_proof_that_was_tampered_with_is_refused(
    received: Story,
    proof: bytes,
    what: str,
    change: Callable[[v1.TransferProof], object],
    reason: type[CordeeError],
) -> None:
    with pytest.raises(reason):
        verify(changed(proof, change), network=received.network.roster.network)


def test_statements_of_two_transfers_do_not_mix(received: Story) -> None:
    other = Story.between(received.network, "Paris", "Marseille")
    other.offer().accept().ship().receive()
    for place in range(1, 4):
        mixed = [*received.statements[:place], *other.statements[place:]]
        with pytest.raises(CordeeError):
            exported(received, mixed)


def test_a_step_that_the_table_does_not_allow_is_refused(story: Story) -> None:
    story.offer().accept().ship().receive()
    late = story.make_refused_receipt()
    with pytest.raises(CordeeError):
        exported(story, [*story.statements, late])
    declined = a_story().offer().decline()
    declined.withdrawn = declined.read_withdrawal(declined.make_withdrawal())
    with pytest.raises(NotInThisState):
        exported(declined, [*declined.statements, declined.withdrawn.signed])


def test_a_return_is_proven_as_an_erasure_that_nobody_asked_for(story: Story) -> None:
    story.offer().accept().ship().receive().give_back()
    report = verify(exported(story, story.statements), network=story.network.roster.network)
    assert (report.outcome, report.erased) == (State.RECEIVED, True)
    assert report.steps[-1].kind is Kind.ERASURE
    with pytest.raises(NotInThisState):
        exported(story, [*story.statements, story.read_withdrawal(story.make_withdrawal()).signed])


def test_a_return_that_follows_no_shipment_of_this_proof_is_refused(story: Story) -> None:
    story.offer().accept().ship().receive().give_back()
    with pytest.raises(ProofRefused):
        exported(story, [*story.statements[:2], story.statements[-1]])


def test_an_erasure_of_another_withdrawal_is_refused(story: Story) -> None:
    story.offer().accept().ship().receive().withdraw()
    first = story.statements[-1]
    story.withdrawn = story.read_withdrawal(story.make_withdrawal())
    erasure = story.make_erasure()
    with pytest.raises(BrokenChain):
        exported(story, [*story.statements[:-1], first, erasure])


def test_a_log_that_the_directory_did_not_sign_is_refused(received: Story, proof: bytes) -> None:
    network = received.network
    forged = changed(proof, lambda p: setattr(p, "checkpoint", _signed_by_another(network)))
    with pytest.raises(CheckpointRefused):
        verify(forged, network=network.roster.network)


def _signed_by_another(network: Network) -> str:
    key, network.directory = network.directory, network.administrators[0]
    try:
        return network.checkpoint()
    finally:
        network.directory = key


def test_a_signed_note_over_another_log_is_refused(received: Story, proof: bytes) -> None:
    twin = a_story()  # the same seeds and so the same keys, but another log after the offer's size
    assert twin.network.roster.network == received.network.roster.network
    twin.network.admit("Nantes")
    forged = changed(proof, lambda p: setattr(p, "checkpoint", twin.network.checkpoint()))
    with pytest.raises(ProofRefused):
        verify(forged, network=received.network.roster.network)


def test_parties_that_saw_another_root_at_the_checkpoint_are_noticed(story: Story) -> None:
    head = TreeHead(size=story.network.tree.size, root=Digest(bytes(32)))
    signed = story.make_offer(checkpoint=head)
    assert Offer.parse(signed, story.network.roster, now=story.now, history=True)
    with pytest.raises(SplitView):
        exported(story, [signed])


def test_bytes_added_or_cut_are_refused(received: Story, proof: bytes) -> None:
    network = received.network.roster.network
    for damaged in (b"", proof[:-1], proof[: len(proof) // 2], proof + b"\0", proof + proof, proof + b"\xfa\x3e\x01\0"):
        with pytest.raises(CordeeError):
            verify(damaged, network=network)
    with pytest.raises(MalformedStatement, match="limit"):
        verify(bytes(MAX_PROOF + 1), network=network)


def test_any_bit_flipped_in_a_proof_is_refused(received: Story, proof: bytes) -> None:
    network = received.network.roster.network
    draw = random.Random(20260301)
    ends = range(min(64, len(proof)))
    places = [*ends, *(len(proof) - 1 - place for place in ends), *draw.sample(range(len(proof)), 600)]
    for place in places:
        damaged = bytearray(proof)
        damaged[place] ^= 1 << draw.randrange(8)
        with pytest.raises(CordeeError):
            verify(bytes(damaged), network=network)


def test_a_proof_says_nothing_of_what_is_sealed(received: Story, proof: bytes) -> None:
    for word in (b"specialised_support", b"hebergement", b"situation", b"needs", b"Paris", b"Marseille"):
        assert word not in proof
