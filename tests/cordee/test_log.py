"""RFC 9162 hashing and proofs: published vectors, and every tree of up to 33 leaves."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from cordee.errors import ProofRefused
from cordee.log import MerkleTree, leaf_hash, verify_consistency, verify_inclusion

VECTORS = Path(__file__).parent.parent / "vectors" / "merkle" / "testdata"
LARGEST = 33


def vectors(kind: str) -> list[Any]:
    files = sorted((VECTORS / kind).rglob("*.json"))
    return [pytest.param(json.loads(f.read_text()), id=str(f.relative_to(VECTORS))) for f in files]


def decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def is_accepted(check: Any, **arguments: Any) -> bool:
    try:
        check(**arguments)
    except ProofRefused:
        return False
    return True


def test_the_published_vectors_are_all_there() -> None:
    assert (len(vectors("inclusion")), len(vectors("consistency"))) == (98, 98)


@pytest.mark.parametrize("case", vectors("inclusion"))
def test_a_published_inclusion_proof_is_judged_as_published(case: dict[str, Any]) -> None:
    accepted = is_accepted(
        verify_inclusion,
        leaf=decoded(case["leafHash"]),
        index=case["leafIdx"],
        size=case["treeSize"],
        root=decoded(case["root"]),
        proof=[decoded(item) for item in case["proof"] or []],
    )
    assert accepted is not case["wantErr"]


@pytest.mark.parametrize("case", vectors("consistency"))
def test_a_published_consistency_proof_is_judged_as_published(case: dict[str, Any]) -> None:
    roots = [decoded(case["root1"]), decoded(case["root2"])]
    arguments = {
        "old": case["size1"],
        "new": case["size2"],
        "proof": [decoded(item) for item in case["proof"] or []],
    }
    if any(len(root) != 32 for root in roots) and case["size1"] == case["size2"]:
        # "don't care" placeholders: no SHA-256 hashes, so refused here; judged again with hashes in their place
        assert not is_accepted(verify_consistency, old_root=roots[0], new_root=roots[1], **arguments)
        roots = [hashlib.sha256(root).digest() for root in roots]
    accepted = is_accepted(verify_consistency, old_root=roots[0], new_root=roots[1], **arguments)
    assert accepted is not case["wantErr"]


def definition(leaves: list[bytes]) -> bytes:
    """RFC 9162 §2.1.1, word for word, over leaf hashes."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + definition(leaves[:split]) + definition(leaves[split:])).digest()


LEAVES = [leaf_hash(bytes((i,))) for i in range(LARGEST)]
TREE = MerkleTree(LEAVES)


def test_the_root_at_every_size_is_that_of_the_definition() -> None:
    growing = MerkleTree()
    for size in range(LARGEST + 1):
        assert growing.root() == TREE.root(size) == definition(LEAVES[:size])
        if size < LARGEST:
            growing.append(LEAVES[size])


def test_every_inclusion_proof_up_to_33_leaves_verifies_and_for_no_other_place() -> None:
    for size in range(1, LARGEST + 1):
        root = TREE.root(size)
        for index in range(size):
            proof = TREE.inclusion_proof(index, size)
            verify_inclusion(leaf=LEAVES[index], index=index, size=size, root=root, proof=proof)
            for other in range(size):
                if other != index:
                    assert not is_accepted(
                        verify_inclusion, leaf=LEAVES[index], index=other, size=size, root=root, proof=proof
                    )


def test_every_consistency_proof_up_to_33_leaves_verifies_and_for_no_other_root() -> None:
    for new in range(1, LARGEST + 1):
        for old in range(1, new + 1):
            proof = TREE.consistency_proof(old, new)
            good: dict[str, Any] = {
                "old": old,
                "new": new,
                "old_root": TREE.root(old),
                "new_root": TREE.root(new),
                "proof": proof,
            }
            verify_consistency(**good)
            other = hashlib.sha256(b"other").digest()
            assert not is_accepted(verify_consistency, **{**good, "old_root": other})
            assert not is_accepted(verify_consistency, **{**good, "new_root": other})
            assert not is_accepted(verify_consistency, **{**good, "proof": [*proof, other]})
            if proof:
                assert not is_accepted(verify_consistency, **{**good, "proof": proof[:-1]})
                assert not is_accepted(verify_consistency, **{**good, "proof": proof[1:]})
                assert not is_accepted(verify_consistency, **{**good, "proof": [other, *proof[1:]]})


def test_bytes_moved_between_neighbouring_hashes_are_refused() -> None:
    left, right = LEAVES[0], LEAVES[1]
    root = TREE.root(2)
    for cut in (1, 31):
        arguments = {"index": 0, "size": 2, "root": root}
        moved_left, moved_right = left + right[:cut], right[cut:]
        assert hashlib.sha256(b"\x01" + moved_left + moved_right).digest() == root
        assert not is_accepted(verify_inclusion, leaf=moved_left, proof=[moved_right], **arguments)
        moved = {"old_root": moved_left, "new_root": root, "proof": [moved_right]}
        assert not is_accepted(verify_consistency, old=1, new=2, **moved)


@pytest.mark.parametrize(("index", "size"), [(-1, 1), (1, 1), (-1, 3), (3, 3), (0, 0), (0, 2**62 + 1), (2**62, 2**62)])
def test_a_place_outside_any_tree_is_refused(index: int, size: int) -> None:
    for root in (LEAVES[0], TREE.root(3)):
        assert not is_accepted(verify_inclusion, leaf=LEAVES[0], index=index, size=size, root=root, proof=[])


def parent(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def test_a_tree_of_two_to_the_62_entries_is_the_largest() -> None:
    siblings = [hashlib.sha256(bytes((level,))).digest() for level in range(62)]
    half, root = LEAVES[0], LEAVES[0]  # of the left half, of the whole
    for sibling in siblings:
        half, root = root, parent(root, sibling)
    largest = 2**62
    verify_inclusion(leaf=LEAVES[0], index=0, size=largest, root=root, proof=siblings)
    verify_consistency(old=largest // 2, new=largest, old_root=half, new_root=root, proof=siblings[-1:])
    more = parent(root, LEAVES[1])  # the proofs for one entry more are as good, but for its number
    assert not is_accepted(verify_inclusion, leaf=LEAVES[1], index=largest, size=largest + 1, root=more, proof=[root])
    assert not is_accepted(
        verify_consistency, old=largest, new=largest + 1, old_root=root, new_root=more, proof=[LEAVES[1]]
    )


def test_a_proof_says_no_more_and_no_less_than_its_sizes_even_where_the_hashes_meet() -> None:
    """Whoever makes the roots can make them fit a proof of any length."""
    other = hashlib.sha256(b"other").digest()
    for leaf, size, root, proof in (
        (LEAVES[0], 1, parent(other, LEAVES[0]), [other]),  # one hash more
        (TREE.root(2), 2, TREE.root(2), []),  # one hash less: a node for the leaf
    ):
        assert not is_accepted(verify_inclusion, leaf=leaf, index=0, size=size, root=root, proof=proof)
    longer = {
        "proof": [*TREE.consistency_proof(3, 4), other],
        "old_root": parent(other, TREE.root(3)),
        "new_root": parent(other, TREE.root(4)),
    }
    assert not is_accepted(verify_consistency, old=3, new=4, **longer)
    assert not is_accepted(verify_consistency, old=1, new=2, old_root=LEAVES[0], new_root=LEAVES[0], proof=[])


class Unread(Sequence[bytes]):
    """A proof of which nobody may read anything but the length."""

    def __init__(self, length: int) -> None:
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Any) -> Any:
        raise AssertionError("read")


@pytest.mark.parametrize("length", [125, 1_000_000])  # two hashes for each of 62 levels, and more
def test_a_proof_of_absurd_length_is_refused_before_it_is_read(length: int) -> None:
    roots = {"old_root": LEAVES[0], "new_root": LEAVES[1]}
    assert not is_accepted(verify_inclusion, leaf=LEAVES[0], index=0, size=2**62, root=LEAVES[0], proof=Unread(length))
    assert not is_accepted(verify_consistency, old=1, new=2**62, **roots, proof=Unread(length))


@pytest.mark.parametrize(
    ("attempt", "problem"),
    [
        (lambda: TREE.root(LARGEST + 1), "never had this size"),
        (lambda: TREE.root(-1), "never had this size"),
        (lambda: TREE.inclusion_proof(3, 3), "no such leaf"),
        (lambda: TREE.inclusion_proof(-1, 3), "no such leaf"),
        (lambda: TREE.inclusion_proof(0, LARGEST + 1), "never had this size"),
        (lambda: TREE.consistency_proof(0, 3), "from a tree with leaves"),
        (lambda: TREE.consistency_proof(4, 3), "from a tree with leaves"),
        (lambda: TREE.consistency_proof(1, LARGEST + 1), "never had this size"),
        (lambda: TREE.copy().append(b"short"), "32 bytes"),
    ],
)
def test_nothing_is_proven_about_sizes_that_the_tree_never_had(attempt: Callable[[], object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        attempt()


def test_a_copy_grows_without_its_original() -> None:
    tree = MerkleTree(LEAVES[:5])
    twin = tree.copy()
    twin.append(LEAVES[5])
    assert (tree.size, tree.root()) == (5, TREE.root(5))
    assert (twin.size, twin.root()) == (6, TREE.root(6))


def test_a_tree_of_50_000_entries_answers_at_every_size_without_hashing_them_again() -> None:
    tree = MerkleTree(leaf_hash(i.to_bytes(4, "big")) for i in range(50_000))
    begun = time.perf_counter()
    for size in range(1, 50_000, 50):
        tree.root(size)
        tree.consistency_proof(size)
        tree.inclusion_proof(size - 1)
    # 1,000 of each take some 50 ms; hashing the entries again for each would take a minute
    assert time.perf_counter() - begun < 5
