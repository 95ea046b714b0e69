"""Evidence of what machines were shown: it stands alone, says what it shows and no more, and falls with any byte."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest

from cordee.checkpoint import Checkpoint, sign_checkpoint
from cordee.entries import add_signature, entry_leaf, propose
from cordee.errors import CheckpointRefused, CordeeError, EntryRefused, ProofRefused, WrongNetwork
from cordee.ids import Digest, NetworkId
from cordee.log import MerkleTree
from cordee.roster import apply
from cordee.signing import Signed, SigningKey
from cordee.statements import TreeHead
from cordee.times import timestamp_of
from cordee.v1 import statements_pb2 as v1
from cordee.views import HEAD, Verdict, ViewsReport, export_views, judge, make_view, shown_view
from tests.builders import FOUNDED, MemberKeys, Network
from tests.transfers import Story


def a_network() -> Network:
    network = Network.found()
    for name in ("Paris", "Marseille"):
        network.admit(name)
    return network


def other_of(network: Network, *names: str, drop: int = 0) -> Network:
    """The same network's log by a directory that hides the last `drop` entries and shows others instead."""
    genesis = network.entries[0]
    twin = Network(
        administrators=network.administrators,
        directory=network.directory,
        random=network.random,
        now=FOUNDED,
        roster=apply(None, genesis),
        entries=[genesis],
        tree=MerkleTree([entry_leaf(genesis)]),
    )
    for entry in network.entries[1 : len(network.entries) - drop]:
        twin.append(entry)
    for name in names:
        twin.append(twin.signed_entry(twin.admission(_stranger(name))))
    return twin


def _stranger(name: str) -> MemberKeys:
    return Network.found(seed=name).new_member(name)


def view(
    network: Network, *, size: int | None = None, members: Sequence[MemberKeys] = (), minutes: int = 0
) -> v1.RosterView:
    size = network.tree.size if size is None else size
    note = network.checkpoint(network.now + timedelta(minutes=minutes), size=size)
    return make_view(network.entries, note=note, size=size, members={each.id for each in members})


def bare(network: Network, *, size: int | None = None, minutes: int = 0) -> v1.RosterView:
    """What is left where the hashes of the entries were not to be had."""
    shown = view(network, size=size, minutes=minutes)
    return v1.RosterView(checkpoint=shown.checkpoint)


def file_of(*views: v1.RosterView, statements: Sequence[Signed] = ()) -> bytes:
    return export_views(views, statements)


def judged(network: Network, *files: bytes) -> ViewsReport:
    return judge(files, network=network.roster.network)


@pytest.fixture(scope="module")
def network() -> Network:
    return a_network()


@pytest.fixture(scope="module")
def forked(network: Network) -> bytes:
    return file_of(view(network), view(other_of(network, "Nulle part", "Ailleurs", drop=1)))


def test_two_logs_of_one_size_are_a_fork_even_without_their_entries(network: Network) -> None:
    other = other_of(network, "Nulle part", drop=1)
    report = judged(network, file_of(view(network), bare(other)))
    assert (report.verdict, report.between, report.differs_at, report.same_key) == (Verdict.FORK, (0, 1), 3, True)
    assert [each.checkpoint.size for each in report.views] == [3, 3]


def test_a_longer_log_that_does_not_continue_is_a_fork_and_the_first_other_entry_is_named(network: Network) -> None:
    other = other_of(network, "Nulle part", "Ailleurs", "Au loin", drop=1)
    report = judged(network, file_of(view(network), view(other)))
    assert (report.verdict, report.differs_at) == (Verdict.FORK, 3)
    assert [each.checkpoint.size for each in report.views] == [3, 5]


def test_a_shorter_log_is_compared_at_its_own_size(network: Network) -> None:
    other = other_of(network, "Nulle part", drop=2)
    report = judged(network, file_of(view(network), bare(other)))
    assert (report.verdict, report.differs_at) == (Verdict.FORK, 2)


def test_a_smaller_log_signed_later_is_a_rollback(network: Network) -> None:
    report = judged(network, file_of(view(network), bare(network, size=2, minutes=1)))
    assert (report.verdict, report.between, report.differs_at) == (Verdict.ROLLBACK, (0, 1), None)


@pytest.mark.parametrize("minutes", [0, -1])
def test_a_smaller_log_signed_before_or_in_the_same_second_shows_nothing(network: Network, minutes: int) -> None:
    assert judged(network, file_of(view(network), bare(network, size=2, minutes=minutes))).verdict is Verdict.AGREE


def test_a_log_that_grew_shows_nothing(network: Network) -> None:
    grown = other_of(network, "Nantes")
    for longer in (view(grown), view(grown, size=3, minutes=30)):
        assert judged(network, file_of(view(network), longer)).verdict is Verdict.AGREE


def test_a_longer_note_alone_proves_nothing(network: Network) -> None:
    other = other_of(network, "Nulle part", "Ailleurs", drop=1)
    assert judged(network, file_of(view(network), bare(other))).verdict is Verdict.UNPROVEN


def test_files_of_two_machines_are_judged_together(network: Network) -> None:
    other = other_of(network, "Nulle part", "Ailleurs", drop=1)
    mine, theirs = file_of(view(network)), file_of(view(other))
    assert judged(network, mine).verdict is judged(network, theirs).verdict is Verdict.AGREE
    assert judged(network, mine, theirs).verdict is Verdict.FORK
    assert judged(network, mine, mine, file_of(view(other_of(network, "Nantes")))).verdict is Verdict.AGREE


def test_a_fork_counts_more_than_a_rollback(network: Network) -> None:
    other = other_of(network, "Nulle part", drop=1)
    files = [file_of(view(network)), file_of(view(network, size=2, minutes=9)), file_of(view(other))]
    assert judged(network, *files).verdict is Verdict.FORK


# ---- an entry that nobody signed ----


def forged_by(network: Network, *keys: SigningKey, then: int = 0) -> Network:
    """A log of the directory's with an admission that these keys signed, and good ones after it."""
    forged = other_of(network)
    statement = forged.admission(_stranger("Nulle part"))
    entry = propose(statement)
    for key in keys:
        entry = add_signature(entry, key)
    forged.entries.append(entry)
    forged.tree.append(entry_leaf(entry))
    for number in range(then):
        good = forged.signed_entry(forged.admission(_stranger(f"Ailleurs {number}")))
        forged.entries.append(good)
        forged.tree.append(entry_leaf(good))
    return forged


def shown_of(network: Network) -> v1.RosterView:
    shown = shown_view(network.entries, note=network.checkpoint())
    assert shown is not None
    return shown


@pytest.mark.parametrize(
    ("what", "signers"),
    [
        ("nobody", lambda network: ()),
        ("one administrator of two", lambda network: network.administrators[:1]),
        ("the directory itself", lambda network: (network.directory,)),
        ("a member", lambda network: (network.members["Paris"].identity,)),
    ],
)
def test_an_entry_that_was_not_signed_by_those_who_must_is_shown_to_anybody(
    what: str, signers: Callable[[Network], Sequence[SigningKey]]
) -> None:
    network = a_network()
    forged = forged_by(network, *signers(network), then=1)
    report = judged(network, file_of(view(network), shown_of(forged)))
    assert (report.verdict, report.between, report.differs_at) == (Verdict.FORGED, (1,), 4)
    assert judged(network, file_of(shown_of(forged))).verdict is Verdict.FORGED, "it needs no other view"


def test_a_signature_that_does_not_verify_is_a_forgery_too() -> None:
    network = a_network()
    forged = forged_by(network, *network.administrators)
    forged.entries[-1].signatures[0].ed25519_signature = bytes(64)
    forged.tree = MerkleTree(map(entry_leaf, forged.entries))
    assert judged(network, file_of(shown_of(forged))).verdict is Verdict.FORGED


def test_a_good_entry_does_not_look_forged_because_others_were_left_out() -> None:
    network = a_network()
    network.add_administrator()
    network.remove_administrator(network.administrators[0])
    network.admit("Lyon")  # signed by the new one
    whole = [v1.ViewedEntry(index=index, entry=entry) for index, entry in enumerate(network.entries)]
    leaves = b"".join(map(entry_leaf, network.entries))
    for left_out in range(1, len(whole) - 1):
        entries = [each for each in whole if each.index != left_out]
        crafted = v1.RosterView(checkpoint=network.checkpoint(), leaves=leaves, entries=entries)
        try:
            report = judged(network, file_of(crafted))
        except CordeeError:
            continue
        assert report.verdict is Verdict.AGREE
    complete = v1.RosterView(checkpoint=network.checkpoint(), leaves=leaves, entries=whole)
    assert judged(network, file_of(complete)).verdict is Verdict.AGREE


def test_what_a_newer_version_may_know_is_no_forgery() -> None:
    network = a_network()
    unknown = other_of(network)
    entry = unknown.signed_entry(v1.MemberAdmitted())
    entry.type = "cordee.v1.SomethingNew"
    unknown.entries.append(entry)
    unknown.tree.append(entry_leaf(entry))
    with pytest.raises(EntryRefused):
        judged(network, file_of(view(network), shown_of(unknown)))


def test_entries_that_are_not_what_was_signed_make_no_view() -> None:
    network = a_network()
    other = other_of(network, "Nulle part", drop=1)
    assert shown_view(other.entries, note=network.checkpoint()) is None
    assert shown_view(network.entries[:2], note=network.checkpoint()) is None
    assert shown_view(network.entries, note="nothing") is None


# ---- the directory's key in force ----


def test_each_view_is_checked_with_the_key_that_was_in_force_at_its_size() -> None:
    network = a_network()
    before = view(network)
    network.rotate_directory_key()
    network.admit("Nantes")
    report = judged(network, file_of(view(network), before))
    assert report.verdict is Verdict.AGREE
    assert report.views[0].key != report.views[1].key
    assert judged(network, file_of(view(network), v1.RosterView(checkpoint=before.checkpoint))).verdict is Verdict.AGREE


def test_a_key_that_was_replaced_signs_nothing_of_a_later_size() -> None:
    network = a_network()
    old = network.directory
    network.rotate_directory_key()
    network.admit("Nantes")
    good = view(network)
    stolen = sign_checkpoint(
        Checkpoint(network.roster.origin, network.tree.size, Digest(bytes(32)), network.now.replace(microsecond=0)), old
    )
    with pytest.raises(ProofRefused):
        judged(network, file_of(good, v1.RosterView(checkpoint=stolen)))


def test_a_fork_that_hides_a_change_of_the_key_says_that_two_keys_signed() -> None:
    network = a_network()
    fork = other_of(network, "Nulle part", "Ailleurs")
    network.rotate_directory_key()
    report = judged(network, file_of(view(network), view(fork)))
    assert (report.verdict, report.same_key, report.differs_at) == (Verdict.FORK, False, 4)


# ---- what a member signed ----


def claiming(network: Network, root: bytes | None = None, *, size: int | None = None) -> tuple[Story, Signed]:
    story = Story.between(network, "Paris", "Marseille")
    at = network.tree.size if size is None else size
    head = TreeHead(size=at, root=Digest(root or network.tree.root(at)))
    return story, story.make_offer(checkpoint=head)


def test_a_member_who_signed_another_root_is_a_split_view() -> None:
    network = a_network()
    story, signed = claiming(network, bytes(32))
    mine = view(network, members=[story.sender])
    report = judged(network, file_of(mine, statements=[signed]))
    assert (report.verdict, report.between, report.claim, report.differs_at) == (Verdict.SPLIT_VIEW, (0,), 0, 3)
    assert [(each.member, each.size, each.root) for each in report.claims] == [(story.sender.id, 3, bytes(32))]
    assert report.claims[0].digest == signed.digest


def held(network: Network, member: MemberKeys, root: bytes, *, size: int = 3) -> Signed:
    """What a node says now and then of the log that it holds."""
    body = v1.HeldCheckpoint(
        network=network.roster.network, member=member.id, size=size, root=root, time=timestamp_of(network.now)
    )
    return member.identity.sign(body)


def test_what_a_node_says_that_it_holds_is_a_claim_too() -> None:
    network = a_network()
    paris, marseille = network.members["Paris"], network.members["Marseille"]
    mine = view(network, members=[paris])
    report = judged(network, file_of(mine, statements=[held(network, paris, bytes(32))]))
    assert (report.verdict, report.claims[0].kind, report.claims[0].member) == (Verdict.SPLIT_VIEW, "held", paris.id)
    same = held(network, paris, network.tree.root())
    assert judged(network, file_of(mine, statements=[same])).verdict is Verdict.AGREE
    forged = marseille.identity.sign(v1.HeldCheckpoint.FromString(same.body))
    of_another = held(Network.found(seed="other"), paris, bytes(32))
    for wrong in (forged, of_another):
        with pytest.raises(CordeeError):
            judged(network, file_of(mine, statements=[wrong]))


def test_a_claim_and_the_members_own_file_make_a_fork() -> None:
    network = a_network()
    other = other_of(network, "Nulle part", drop=0)
    network.append(network.signed_entry(network.admission(_stranger("Ailleurs"))))
    story, signed = claiming(network, other.tree.root())
    mine = file_of(view(network, members=[story.sender]), statements=[signed])
    assert judged(network, mine).verdict is Verdict.SPLIT_VIEW
    assert judged(network, mine, file_of(view(other))).verdict is Verdict.FORK


def test_a_member_who_signed_the_same_root_shows_nothing() -> None:
    network = a_network()
    story, signed = claiming(network)
    assert judged(network, file_of(view(network, members=[story.sender]), statements=[signed])).verdict is Verdict.AGREE


def test_a_claim_about_a_longer_log_waits_for_one_to_compare_with() -> None:
    network = a_network()
    story, signed = claiming(network, bytes(32), size=9)
    mine = file_of(view(network, members=[story.sender]), statements=[signed])
    assert judged(network, mine).verdict is Verdict.UNPROVEN


def test_an_answer_is_a_claim_of_the_recipients() -> None:
    network = a_network()
    story = Story.between(network, "Paris", "Marseille").offer()
    story.accept()
    mine = view(network, members=[story.sender, story.recipient])
    report = judged(network, file_of(mine, statements=story.statements))
    assert [each.member for each in report.claims] == [story.sender.id, story.recipient.id]


def test_a_claim_that_its_author_did_not_sign_is_refused() -> None:
    network = a_network()
    story, signed = claiming(network, bytes(32))
    forged = story.recipient.identity.sign(v1.Offer.FromString(signed.body))
    for statement in (forged, Signed(signed.type, signed.body, *_other_signature(signed))):
        with pytest.raises(CordeeError):
            judged(network, file_of(view(network, members=[story.sender]), statements=[statement]))
    with pytest.raises(CordeeError):  # nor one by somebody of whom the view says nothing
        judged(network, file_of(view(network), statements=[signed]))


def _other_signature(signed: Signed) -> tuple[object, ...]:
    return signed.signer, bytes(64), signed.mldsa65_signature


def test_a_statement_without_a_root_is_refused() -> None:
    network = a_network()
    story = Story.between(network, "Paris", "Marseille").offer().accept().ship()
    with pytest.raises(ProofRefused):
        judged(network, file_of(view(network, members=[story.sender]), statements=[story.statements[-1]]))


# ---- tampering ----


CHEATS: list[tuple[str, Callable[[v1.RosterEvidence], object]]] = [
    ("no view", lambda e: e.ClearField("views")),
    ("no genesis", lambda e: e.views[1].entries.pop(0)),
    ("an unsigned genesis", lambda e: e.views[0].entries[0].entry.ClearField("signatures")),
    ("no checkpoint", lambda e: e.views[0].ClearField("checkpoint")),
    ("no hashes", lambda e: e.views[0].ClearField("leaves")),
    ("a hash cut off", lambda e: setattr(e.views[1], "leaves", e.views[1].leaves[:-1])),
    ("a hash left out", lambda e: setattr(e.views[1], "leaves", e.views[1].leaves[32:])),
    ("a hash more", lambda e: setattr(e.views[1], "leaves", e.views[1].leaves + bytes(32))),
    ("two hashes exchanged", lambda e: setattr(e.views[1], "leaves", _exchanged(e.views[1].leaves))),
    ("the notes exchanged", lambda e: _exchange_notes(e)),
    (
        "a witness that nobody checks",
        lambda e: setattr(e.views[1], "checkpoint", e.views[1].checkpoint + "— x AAAAAAAA\n"),
    ),
    (
        "a root written anew",
        lambda e: setattr(e.views[1], "checkpoint", e.views[1].checkpoint.replace("time 1", "time 2")),
    ),
    ("entries beside no hashes", lambda e: _with_entries(e)),
]


def _exchanged(leaves: bytes) -> bytes:
    return leaves[:32] + leaves[64:96] + leaves[32:64] + leaves[96:]


def _exchange_notes(evidence: v1.RosterEvidence) -> None:
    one, two = evidence.views
    one.checkpoint, two.checkpoint = two.checkpoint, one.checkpoint


def _with_entries(evidence: v1.RosterEvidence) -> None:
    evidence.views[1].ClearField("leaves")
    evidence.views[1].entries.add(index=1, entry=evidence.views[0].entries[0].entry)


@pytest.mark.parametrize(("what", "change"), CHEATS, ids=[what for what, _ in CHEATS])
def test_evidence_that_was_tampered_with_is_refused(
    network: Network, forked: bytes, what: str, change: Callable[[v1.RosterEvidence], object]
) -> None:
    message = v1.RosterEvidence.FromString(forked[len(HEAD) :])
    change(message)
    with pytest.raises(CordeeError):
        judged(network, HEAD + message.SerializeToString(deterministic=True))


def test_an_entry_about_the_government_at_another_place_or_left_out_is_refused() -> None:
    network = a_network()
    network.rotate_directory_key()
    network.admit("Nantes")
    for change in (
        lambda shown: setattr(shown.entries[1], "index", 1),
        lambda shown: shown.entries.pop(),  # then the old key would be in force
        lambda shown: shown.entries.append(shown.entries[1]),
        lambda shown: shown.entries[1].entry.signatures.pop(),
    ):
        shown = view(network)
        change(shown)
        with pytest.raises(CordeeError):
            judged(network, file_of(shown))


def test_a_log_that_the_directory_did_not_sign_is_refused(network: Network) -> None:
    shown = view(network)
    stranger = SigningKey.generate(lambda size: bytes(range(size)))
    checkpoint = Checkpoint(network.roster.origin, 3, Digest(network.tree.root()), network.now.replace(microsecond=0))
    for forged in (v1.RosterView(checkpoint=sign_checkpoint(checkpoint, stranger)),):
        with pytest.raises(CheckpointRefused):
            judged(network, file_of(shown, forged))


def test_another_network_is_refused(network: Network, forked: bytes) -> None:
    with pytest.raises(WrongNetwork):
        judge([forked], network=NetworkId(bytes(32)))


def test_bytes_added_or_cut_are_refused(network: Network, forked: bytes) -> None:
    for damaged in (
        b"",
        HEAD,
        forked[:-1],
        forked[: len(forked) // 2],
        forked + b"\0",
        forked + forked,
        forked + b"\xfa\x3e\x01\0",
    ):
        with pytest.raises(CordeeError):
            judged(network, damaged)


def test_any_bit_flipped_in_evidence_is_refused(network: Network, forked: bytes) -> None:
    draw = random.Random(20261126)
    ends = range(min(64, len(forked)))
    places = [*ends, *(len(forked) - 1 - place for place in ends), *draw.sample(range(len(forked)), 500)]
    for place in places:
        damaged = bytearray(forked)
        damaged[place] ^= 1 << draw.randrange(8)
        with pytest.raises(CordeeError):
            judged(network, bytes(damaged))


def test_evidence_names_nobody(forked: bytes) -> None:
    for word in (b"Paris", b"Marseille", b"Nulle part", b"Ailleurs"):
        assert word not in forked
