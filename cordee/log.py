"""The roster log's Merkle tree: hashing and proofs of RFC 9162 §2.1, with SHA-256 (protocol §4).

Three conventions for the empty tree, which the RFC leaves open: its root is the hash of nothing (§2.1.1); nothing is
included in it; and no consistency proof starts from it, because such a proof would show nothing (a roster log holds
its genesis from the first moment, so no party ever knows an empty one).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Self

from cordee.errors import N_, ProofRefused

__all__ = ["HASH_SIZE", "MAX_SIZE", "MerkleTree", "leaf_hash", "verify_consistency", "verify_inclusion"]

HASH_SIZE = 32
MAX_SIZE = 2**62
"""Entries; a bound far above any real log, so that a hostile size cannot make a loop long (security.md 7.5)."""
_MAX_PROOF = 2 * 62  # a consistency proof has at most two hashes for each level


def leaf_hash(entry_bytes: bytes) -> bytes:
    """Hash of one entry: SHA-256 over 0x00 and the bytes (RFC 9162 §2.1.1). For a roster entry see `entry_leaf`."""
    return hashlib.sha256(b"\x00" + entry_bytes).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _split(size: int) -> int:
    """The largest power of two smaller than `size` (size > 1)."""
    return 1 << (size - 1).bit_length() - 1


class MerkleTree:
    """An append-only tree of leaf hashes that remembers every complete subtree.

    Appending costs one hash on average; a root or a proof at any past size costs O(log n) and O(log² n) hashes.
    """

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self._levels: list[list[bytes]] = [[]]  # _levels[k][i] covers the leaves i·2^k … (i+1)·2^k
        for leaf in leaves:
            self.append(leaf)

    @property
    def size(self) -> int:
        """How many leaves there are."""
        return len(self._levels[0])

    def append(self, leaf: bytes) -> None:
        """Add a leaf hash at the end. Raises ValueError if it is no SHA-256 hash."""
        if len(leaf) != HASH_SIZE:
            raise ValueError("a leaf hash has 32 bytes")
        node, level = bytes(leaf), 0
        while True:
            if level == len(self._levels):
                self._levels.append([])
            row = self._levels[level]
            row.append(node)
            if len(row) % 2:
                return
            node, level = _node(row[-2], row[-1]), level + 1

    def copy(self) -> Self:
        """A second tree with the same leaves: to try entries on, before they are kept."""
        twin = type(self)()
        twin._levels = [list(row) for row in self._levels]
        return twin

    def root(self, size: int | None = None) -> bytes:
        """The root over the first `size` leaves, or over all. Raises ValueError for a size that it never had."""
        size = self._known(self.size if size is None else size)
        return self._subtree(0, size) if size else hashlib.sha256(b"").digest()

    def inclusion_proof(self, index: int, size: int | None = None) -> list[bytes]:
        """Proof that leaf `index` is in the tree of `size` leaves (§2.1.3.1). Raises ValueError outside the tree."""
        size = self._known(self.size if size is None else size)
        if not 0 <= index < size:
            raise ValueError("no such leaf in a tree of this size")
        proof: list[bytes] = []
        start = 0
        while size > 1:
            left = _split(size)
            if index < left:
                proof.append(self._subtree(start + left, size - left))
                size = left
            else:
                proof.append(self._subtree(start, left))
                start, index, size = start + left, index - left, size - left
        return proof[::-1]

    def consistency_proof(self, old: int, new: int | None = None) -> list[bytes]:
        """Proof that the tree of `new` leaves continues that of `old` (§2.1.4.1).

        Raises ValueError unless 0 < old <= new <= size.
        """
        size = self._known(self.size if new is None else new)
        if not 0 < old <= size:
            raise ValueError("a consistency proof leads from a tree with leaves to one at least as large")
        proof: list[bytes] = []
        start, whole = 0, True  # whole: the old tree is exactly the subtree looked at, so its hash is already known
        while old != size:
            left = _split(size)
            if old <= left:
                proof.append(self._subtree(start + left, size - left))
                size = left
            else:
                proof.append(self._subtree(start, left))
                start, old, size, whole = start + left, old - left, size - left, False
        if not whole:
            proof.append(self._subtree(start, size))
        return proof[::-1]

    def _known(self, size: int) -> int:
        if not 0 <= size <= self.size:
            raise ValueError("the tree never had this size")
        return size

    def _subtree(self, start: int, size: int) -> bytes:
        """Hash over `size` leaves from `start`, which is a multiple of the power of two not below `size`."""
        if size & (size - 1) == 0:
            level = size.bit_length() - 1
            return self._levels[level][start >> level]
        left = _split(size)
        return _node(self._subtree(start, left), self._subtree(start + left, size - left))


def verify_inclusion(*, leaf: bytes, index: int, size: int, root: bytes, proof: Sequence[bytes]) -> None:
    """Check that `leaf` (a leaf hash) stands at `index` in the tree of `size` leaves with this root (§2.1.3.2).

    Raises: ProofRefused, also for a hash that has not 32 bytes or a proof longer or shorter than the tree asks for.
    """
    if not 0 <= index < size <= MAX_SIZE:
        raise ProofRefused(problem=N_("the leaf lies outside the tree"))
    _require_hashes(leaf, root, *_bounded(proof))
    here, last = index, size - 1
    node = leaf
    for sibling in proof:
        if last == 0:
            raise ProofRefused(problem=N_("the proof is too long"))
        if here & 1 or here == last:
            node = _node(sibling, node)
            while not here & 1 and here:  # a last node without a sibling moves up unhashed
                here, last = here >> 1, last >> 1
        else:
            node = _node(node, sibling)
        here, last = here >> 1, last >> 1
    if last != 0:
        raise ProofRefused(problem=N_("the proof is too short"))
    if node != root:
        raise ProofRefused(problem=N_("it leads to another root"))


def verify_consistency(*, old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree of `new` leaves continues that of `old` leaves (§2.1.4.2).

    Raises: ProofRefused, also where `old` is zero (see above), a hash has not 32 bytes, or for equal sizes a proof is
    given or the roots differ.
    """
    if not 0 < old <= new <= MAX_SIZE:
        raise ProofRefused(problem=N_("the sizes cannot be compared"))
    _require_hashes(old_root, new_root, *_bounded(proof))
    if old == new:
        if proof:
            raise ProofRefused(problem=N_("the proof is too long"))
        if old_root != new_root:
            raise ProofRefused(problem=N_("two roots for one size"))
        return
    path = list(proof)
    if old & (old - 1) == 0:  # a complete tree is a node of the new one: its root starts the path
        path.insert(0, old_root)
    if not path:
        raise ProofRefused(problem=N_("the proof is too short"))
    here, last = old - 1, new - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    old_node = new_node = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofRefused(problem=N_("the proof is too long"))
        if here & 1 or here == last:
            old_node, new_node = _node(sibling, old_node), _node(sibling, new_node)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            new_node = _node(new_node, sibling)
        here, last = here >> 1, last >> 1
    if last != 0:
        raise ProofRefused(problem=N_("the proof is too short"))
    if old_node != old_root or new_node != new_root:
        raise ProofRefused(problem=N_("it leads to another root"))


def _bounded(proof: Sequence[bytes]) -> Sequence[bytes]:
    if len(proof) > _MAX_PROOF:
        raise ProofRefused(problem=N_("the proof is too long"))
    return proof


def _require_hashes(*hashes: bytes) -> None:
    # Without this, a byte could move from one hash to its neighbour without changing their parent.
    if any(len(value) != HASH_SIZE for value in hashes):
        raise ProofRefused(problem=N_("a hash has not 32 bytes"))
