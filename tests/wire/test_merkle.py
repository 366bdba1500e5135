"""RFC 6962 trees against the reference roots and against the definitions, written as naively as the RFC states them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire import merkle

VECTORS = json.loads((Path(__file__).parent / "vectors" / "rfc6962.json").read_text("utf-8"))
LEAVES = [merkle.leaf_hash(bytes.fromhex(entry)) for entry in VECTORS["entries"]]
ROOTS = [bytes.fromhex(one) for one in VECTORS["roots"]]


def leaves_of(count: int) -> list[bytes]:
    return [merkle.leaf_hash(b"%d" % number) for number in range(count)]


def split(count: int) -> int:
    half = 1
    while half * 2 < count:
        half *= 2
    return half


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1."""
    if len(leaves) == 1:
        return leaves[0]
    half = split(len(leaves))
    return merkle.node_hash(naive_root(leaves[:half]), naive_root(leaves[half:]))


def naive_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962 section 2.1.1."""
    if len(leaves) == 1:
        return []
    half = split(len(leaves))
    if index < half:
        return [*naive_path(index, leaves[:half]), naive_root(leaves[half:])]
    return [*naive_path(index - half, leaves[half:]), naive_root(leaves[:half])]


def naive_subproof(old: int, leaves: list[bytes], *, whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962 section 2.1.2."""
    if old == len(leaves):
        return [] if whole else [naive_root(leaves)]
    half = split(len(leaves))
    if old <= half:
        return [*naive_subproof(old, leaves[:half], whole=whole), naive_root(leaves[half:])]
    return [*naive_subproof(old - half, leaves[half:], whole=False), naive_root(leaves[:half])]


def test_the_empty_tree():
    assert merkle.EMPTY_ROOT.hex() == VECTORS["empty"]
    assert merkle.root([]) == merkle.EMPTY_ROOT
    assert merkle.Frontier().root() == merkle.EMPTY_ROOT


@pytest.mark.parametrize("size", range(1, 9))
def test_reference_roots(size):
    assert merkle.root(LEAVES[:size]) == ROOTS[size - 1]


@pytest.mark.parametrize("vector", VECTORS["inclusion"])
def test_reference_audit_paths(vector):
    index, size = vector["index"], vector["size"]
    proof = merkle.inclusion_proof(LEAVES[:size], index)
    assert [one.hex() for one in proof] == vector["path"]
    assert merkle.verify_inclusion(LEAVES[index], index, size, proof, ROOTS[size - 1])


@pytest.mark.parametrize("vector", VECTORS["consistency"])
def test_reference_consistency_proofs(vector):
    old, new = vector["old"], vector["new"]
    proof = merkle.consistency_proof(LEAVES[:new], old)
    assert [one.hex() for one in proof] == vector["path"]
    assert merkle.verify_consistency(old, new, ROOTS[old - 1], ROOTS[new - 1], proof)


@pytest.mark.parametrize("size", range(1, 34))
def test_every_proof_of_small_trees_is_that_of_the_definition_and_verifies(size):
    leaves = leaves_of(size)
    tree = naive_root(leaves)
    assert merkle.root(leaves) == tree
    for index in range(size):
        path = merkle.inclusion_proof(leaves, index)
        assert list(path) == naive_path(index, leaves)
        assert merkle.verify_inclusion(leaves[index], index, size, path, tree)
    for old in range(1, size + 1):
        path = merkle.consistency_proof(leaves, old)
        assert list(path) == naive_subproof(old, leaves, whole=True)
        assert merkle.verify_consistency(old, size, naive_root(leaves[:old]), tree, path)


@given(
    st.integers(1, 300).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1), st.integers(0, size)))
)
@settings(deadline=None, max_examples=50)
def test_larger_trees_follow_the_definition(case):
    size, index, old = case
    leaves = leaves_of(size)
    tree = naive_root(leaves)
    assert merkle.Frontier().extend(leaves).root() == tree
    path = merkle.inclusion_proof(leaves, index)
    assert list(path) == naive_path(index, leaves)
    assert merkle.verify_inclusion(leaves[index], index, size, path, tree)
    old_root = naive_root(leaves[:old]) if old else merkle.EMPTY_ROOT
    assert merkle.verify_consistency(old, size, old_root, tree, merkle.consistency_proof(leaves, old))


@given(st.integers(1, 40).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1))), st.data())
@settings(deadline=None)
def test_a_proof_shows_its_own_leaf_at_its_own_place_only(case, data):
    size, index = case
    leaves = leaves_of(size)
    tree = merkle.root(leaves)
    path = list(merkle.inclusion_proof(leaves, index))
    change = data.draw(st.sampled_from(["leaf", "index", "root", "longer", "shorter", "hash", "truncated"]))
    leaf = leaves[index]
    if change == "leaf":
        leaf = merkle.leaf_hash(b"another")
    elif change == "index":
        index = data.draw(st.integers(-1, size).filter(lambda other: other != index))
    elif change == "root":
        tree = merkle.leaf_hash(b"another")
    elif change == "longer":
        path.insert(data.draw(st.integers(0, len(path))), merkle.leaf_hash(b"another"))
    elif path and change == "shorter":
        path.pop(data.draw(st.integers(0, len(path) - 1)))
    elif path:
        at = data.draw(st.integers(0, len(path) - 1))
        path[at] = path[at][:-1] if change == "truncated" else merkle.leaf_hash(path[at])
    else:
        leaf = leaf[:-1]
    assert not merkle.verify_inclusion(leaf, index, size, path, tree)


@given(st.integers(1, 40).flatmap(lambda size: st.tuples(st.integers(1, size), st.just(size))), st.data())
@settings(deadline=None)
def test_a_consistency_proof_shows_its_own_two_trees_only(case, data):
    old, new = case
    leaves = leaves_of(new)
    roots = [merkle.root(leaves[:old]), merkle.root(leaves)]
    path = list(merkle.consistency_proof(leaves, old))
    change = data.draw(st.sampled_from(["old root", "new root", "longer", "shorter", "hash", "truncated"]))
    if change in {"old root", "new root"}:
        roots[change == "new root"] = merkle.leaf_hash(b"another")
    elif change == "longer" or not path:
        path.insert(data.draw(st.integers(0, len(path))), merkle.leaf_hash(b"another"))
    else:
        at = data.draw(st.integers(0, len(path) - 1))
        changed = {"shorter": [], "hash": [merkle.leaf_hash(path[at])], "truncated": [path[at][:-1]]}[change]
        path[at : at + 1] = changed
    assert not merkle.verify_consistency(old, new, roots[0], roots[1], path)


def test_verification_answers_no_to_sizes_that_make_no_sense():
    root = ROOTS[7]
    assert not merkle.verify_consistency(8, 7, root, ROOTS[6], [])
    assert not merkle.verify_consistency(-1, 7, root, root, [])
    assert not merkle.verify_consistency(0, 8, root, root, [])
    assert not merkle.verify_consistency(0, 8, merkle.EMPTY_ROOT, root, [root])
    assert not merkle.verify_consistency(0, 0, root, root, [])
    assert not merkle.verify_consistency(3, 8, ROOTS[2], root, [])
    assert merkle.verify_consistency(0, 0, merkle.EMPTY_ROOT, merkle.EMPTY_ROOT, [])
    assert merkle.verify_consistency(0, 8, merkle.EMPTY_ROOT, root, [])
    assert not merkle.verify_inclusion(LEAVES[0], 0, 0, [], LEAVES[0])


def test_proofs_of_what_is_not_there_are_refused():
    for index in (-1, 8):
        with pytest.raises(ValueError, match="no leaf"):
            merkle.inclusion_proof(LEAVES, index)
    with pytest.raises(ValueError, match="cannot extend"):
        merkle.consistency_proof(LEAVES, 9)


@pytest.mark.parametrize("size", [1, 7, 8, 100])
def test_grow_reports_every_complete_subtree_once_and_they_serve_all_proofs(size):
    leaves = leaves_of(size)
    stored: dict[tuple[int, int], bytes] = {}
    frontier = merkle.Frontier()
    for leaf in leaves:
        frontier, nodes = frontier.grow(leaf)
        for node in nodes:
            assert (node.level, node.index) not in stored
            stored[node.level, node.index] = node.hash
    assert len(stored) == sum(size >> level for level in range(size.bit_length()))

    def reader(level: int, index: int) -> bytes:
        return stored[level, index]

    for old in range(1, size + 1):
        tree = merkle.root(leaves[:old])
        for index in range(0, old, 3):
            path = merkle.inclusion_proof_from(reader, index, old)
            assert merkle.verify_inclusion(leaves[index], index, old, path, tree)
        assert merkle.consistency_proof_from(reader, old, size) == merkle.consistency_proof(leaves, old)


def test_a_proof_in_a_large_log_reads_few_hashes():
    reads: list[tuple[int, int]] = []

    def reader(level: int, index: int) -> bytes:
        reads.append((level, index))
        return merkle.leaf_hash(b"%d/%d" % (level, index))

    merkle.inclusion_proof_from(reader, 123_456_789, 2**40 + 12_345)
    merkle.consistency_proof_from(reader, 123_456_789, 2**40 + 12_345)
    assert len(reads) < 200
    assert all((index + 1) << level <= 2**40 + 12_345 for level, index in reads)


@pytest.mark.parametrize(("size", "hashes"), [(1, ()), (0, (b"x" * 32,)), (1, (b"x" * 31,)), (-1, (b"x" * 32,))])
def test_a_frontier_that_cannot_be_is_refused(size, hashes):
    with pytest.raises(ValueError, match="frontier"):
        merkle.Frontier(size, hashes)


def test_what_is_no_hash_is_no_leaf():
    one = merkle.Frontier().append(LEAVES[0])
    for add in (merkle.Frontier().append, one.append, lambda leaf: merkle.root([LEAVES[0], leaf])):
        with pytest.raises(ValueError, match="32-byte hash"):
            add(b"x" * 31)
