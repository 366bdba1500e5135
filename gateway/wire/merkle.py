"""Merkle trees of RFC 6962 section 2 (the same trees as RFC 9162 section 2.1), SHA-256.

What it is not: a log. It holds no leaves; whoever stores them hands in hashes, or a reader of subtree hashes.

A change must keep these:
1. Leaves are hashed with prefix 0x00, nodes with 0x01, so that no node passes for a leaf.
2. A tree of n leaves splits at the largest power of two below n, so complete subtrees never change once written.
3. Verification follows RFC 9162 sections 2.1.3.2 and 2.1.4.2 step by step and answers False, never raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from hashlib import sha256
from typing import Final, TypeAlias

HASH_SIZE: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()
"""The root of a tree without leaves."""

Reader: TypeAlias = Callable[[int, int], bytes]
"""`(level, index)` -> hash of the complete subtree over leaves `[index << level, (index + 1) << level)`."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash of one entry (RFC 6962 section 2.1)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees (RFC 6962 section 2.1)."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True)
class Node:
    """A complete subtree: `hash` covers leaves `[index << level, (index + 1) << level)`."""

    level: int
    index: int
    hash: bytes


@dataclass(frozen=True)
class Frontier:
    """All that is needed to append and to give the root: the complete subtrees from left to right, largest first.

    Attributes:
        size: Number of leaves.
        hashes: One 32-byte hash for each bit that is set in `size`, highest first.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.hashes) != self.size.bit_count() or not _all_hashes(self.hashes):
            raise ValueError(f"a frontier of {self.size} leaves needs one 32-byte hash for each set bit")

    def append(self, leaf: bytes) -> Frontier:
        """The frontier with one more leaf hash."""
        return self.grow(leaf)[0]

    def extend(self, leaves: Iterable[bytes]) -> Frontier:
        """The frontier with all these leaf hashes appended in order."""
        hashes, size = [*self.hashes], self.size
        for leaf in leaves:
            joined, rest = _checked(leaf), size
            while rest & 1:
                joined, rest = node_hash(hashes.pop(), joined), rest >> 1
            hashes.append(joined)
            size += 1
        return Frontier(size, tuple(hashes))

    def grow(self, leaf: bytes) -> tuple[Frontier, tuple[Node, ...]]:
        """Append a leaf hash.

        Returns:
            The new frontier, and the subtrees that this leaf completes: the leaf itself at level 0, then upwards.
            Storing exactly these gives a `Reader` over every complete subtree.
        """
        hashes = [*self.hashes]
        nodes = [Node(0, self.size, _checked(leaf))]
        while (self.size >> (level := nodes[-1].level)) & 1:
            nodes.append(Node(level + 1, self.size >> (level + 1), node_hash(hashes.pop(), nodes[-1].hash)))
        return Frontier(self.size + 1, (*hashes, nodes[-1].hash)), tuple(nodes)

    def root(self) -> bytes:
        """The Merkle tree hash; `EMPTY_ROOT` without leaves."""
        return _fold(self.hashes) if self.hashes else EMPTY_ROOT


def root(leaves: Iterable[bytes]) -> bytes:
    """The Merkle tree hash of leaf hashes, in one pass and logarithmic memory."""
    return Frontier().extend(leaves).root()


def reader_over(leaves: Sequence[bytes]) -> Reader:
    """A `Reader` over leaf hashes in memory; takes linear time once."""
    levels = [list(leaves)]
    while len(below := levels[-1]) > 1:
        levels.append([node_hash(*below[at : at + 2]) for at in range(0, len(below) - 1, 2)])
    return lambda level, index: levels[level][index]


def inclusion_proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """The audit path of leaf `index` in the tree of all `leaves` (RFC 6962 section 2.1.1).

    Raises:
        ValueError: When `index` is not a leaf of the tree.
    """
    return inclusion_proof_from(reader_over(leaves), index, len(leaves))


def inclusion_proof_from(reader: Reader, index: int, size: int) -> tuple[bytes, ...]:
    """The audit path of leaf `index` in the tree of the first `size` leaves, reading O(log^2) subtree hashes.

    Raises:
        ValueError: When `index` is not a leaf of the tree.
    """
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_range_hash(reader, middle, end))
            end = middle
        else:
            path.append(_range_hash(reader, start, middle))
            start = middle
    return tuple(reversed(path))


def consistency_proof(leaves: Sequence[bytes], old_size: int) -> tuple[bytes, ...]:
    """The proof that the tree of all `leaves` extends that of the first `old_size` (RFC 6962 section 2.1.2).

    Raises:
        ValueError: When `old_size` is larger than the tree.
    """
    return consistency_proof_from(reader_over(leaves), old_size, len(leaves))


def consistency_proof_from(reader: Reader, old_size: int, new_size: int) -> tuple[bytes, ...]:
    """The proof that the tree of `new_size` leaves extends that of `old_size`; empty from 0 and between equal sizes.

    Raises:
        ValueError: When `old_size` is larger than `new_size`.
    """
    if not 0 <= old_size <= new_size:
        raise ValueError(f"a tree of {new_size} cannot extend one of {old_size}")
    if old_size in {0, new_size}:
        return ()
    path: list[bytes] = []
    start, end = 0, new_size
    while end != old_size:
        middle = start + _split(end - start)
        if old_size <= middle:
            path.append(_range_hash(reader, middle, end))
            end = middle
        else:
            path.append(_range_hash(reader, start, middle))
            start = middle
    if start:  # the old tree's last subtree; where it is the whole old tree the verifier has it as the old root
        path.append(_range_hash(reader, start, end))
    return tuple(reversed(path))


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], tree_root: bytes) -> bool:
    """Whether `proof` shows that leaf hash `leaf` stands at `index` in the tree of `size` leaves (RFC 9162 2.1.3.2)."""
    if not 0 <= index < size or not _all_hashes([leaf, tree_root, *proof]):
        return False
    node, last, result = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            result = node_hash(sibling, result)
            # A right-most node without a sibling moves up unchanged until it is a right child.
            rise = _trailing_zeros(node)
            node, last = node >> rise, last >> rise
        else:
            result = node_hash(result, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and result == tree_root


def verify_consistency(old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the new tree extends the old one (RFC 9162 section 2.1.4.2).

    Every tree extends the empty one: from 0 the proof is empty and `old_root` must be `EMPTY_ROOT`.
    """
    if not 0 <= old_size <= new_size or not _all_hashes([old_root, new_root, *proof]):
        return False
    if old_size == new_size:
        return not proof and old_root == new_root and (old_size > 0 or old_root == EMPTY_ROOT)
    if old_size == 0:
        return not proof and old_root == EMPTY_ROOT
    # Where the old tree is one complete subtree, its root is the first hash and is not sent.
    path = [old_root, *proof] if old_size.bit_count() == 1 else [*proof]
    if not path:
        return False
    rise = _trailing_zeros(~(old_size - 1))  # trailing ones of old_size - 1
    node, last = (old_size - 1) >> rise, (new_size - 1) >> rise
    old_result = new_result = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old_result, new_result = node_hash(sibling, old_result), node_hash(sibling, new_result)
            rise = _trailing_zeros(node)
            node, last = node >> rise, last >> rise
        else:
            new_result = node_hash(new_result, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and old_result == old_root and new_result == new_root


def _split(size: int) -> int:
    """The largest power of two below `size` (at least 2)."""
    return 1 << ((size - 1).bit_length() - 1)


def _trailing_zeros(number: int) -> int:
    return (number & -number).bit_length() - 1 if number else 0


def _range_hash(reader: Reader, start: int, end: int) -> bytes:
    """The tree hash of leaves `[start, end)`, where `start` is a multiple of the range's largest subtree."""
    hashes: list[bytes] = []
    while start < end:
        level = (end - start).bit_length() - 1
        hashes.append(reader(level, start >> level))
        start += 1 << level
    return _fold(hashes)


def _fold(hashes: Sequence[bytes]) -> bytes:
    """One hash of complete subtrees standing side by side, the smallest at the right joined first."""
    return reduce(lambda right, left: node_hash(left, right), reversed(hashes))


def _checked(leaf: bytes) -> bytes:
    if len(leaf) != HASH_SIZE:  # an entry handed in unhashed would make a node that nobody can prove
        raise ValueError(f"a leaf is a {HASH_SIZE}-byte hash, not {len(leaf)} bytes")
    return leaf


def _all_hashes(hashes: Iterable[bytes]) -> bool:
    return all(len(one) == HASH_SIZE for one in hashes)
