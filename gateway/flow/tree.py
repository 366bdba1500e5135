"""The ledger's tree as the database holds it: roots, inclusion proofs, signed checkpoints.

The rules:
1. Nothing here changes an entry; checkpoints are the only thing written, inside the caller's transaction.
2. A proof is checked before it is given out: a tree that does not verify is an incident, not a receipt.

Source: RFC 6962 section 2.1; C2SP tlog-checkpoint.
"""

from __future__ import annotations

from gateway.core.errors import BrokenPromise, StoreError
from gateway.core.receipt import LedgerProof
from gateway.ports import Keyring, LedgerSigner, Reading, Writing
from gateway.wire import Malformed, checkpoint, merkle

LEDGER = "ledger"
HIGH_WATER = "high-water"


async def high_water(keyring: Keyring) -> bytes | None:
    """The newest checkpoint kept outside the database, or None before the first receipt."""
    try:
        return await keyring.get(LEDGER, HIGH_WATER)
    except StoreError as missing:
        if missing.code == "key-destroyed":
            return None
        raise


async def keep_high_water(keyring: Keyring, note: bytes) -> None:
    """Keep a checkpoint outside the database; call it once the transaction that signed it is durable.

    Kept too late (a crash in between) it is a little low; kept too early it would speak of entries that never came. One
    that is lower than what another process kept meanwhile is not kept.
    """
    kept = await high_water(keyring)
    if kept is None or _size(kept) <= _size(note):
        await keyring.put(LEDGER, HIGH_WATER, note)


def _size(note: bytes) -> int:
    """The tree a checkpoint speaks of; -1 where it cannot be read."""
    try:
        return checkpoint.parse_checkpoint(checkpoint.parse_note(note).text).size
    except Malformed:
        return -1


async def root_of(view: Reading, size: int) -> bytes:
    """The root of the first `size` entries (RFC 6962: of none, SHA-256 of nothing)."""
    if size == 0:
        return merkle.root([])
    return await _range_root(view, 0, size)


async def _range_root(view: Reading, start: int, end: int) -> bytes:
    """The root of entries `start` to `end`, where `start` is a multiple of the largest power of two below the length."""
    width = end - start
    if width & (width - 1) == 0:
        level = width.bit_length() - 1
        return await view.tree_node(level, start >> level)
    split = 1 << (width - 1).bit_length() - 1
    left = await _range_root(view, start, start + split)
    return merkle.node_hash(left, await _range_root(view, start + split, end))


async def inclusion(view: Reading, index: int, size: int) -> tuple[bytes, ...]:
    """The inclusion proof of an entry in the tree of `size` entries, leaf to root (RFC 6962 section 2.1.1)."""
    proof: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        split = start + (1 << (end - start - 1).bit_length() - 1)
        if index < split:
            proof.append(await _range_root(view, split, end))
            end = split
        else:
            proof.append(await _range_root(view, start, split))
            start = split
    return tuple(reversed(proof))


async def prove(tx: Writing, index: int, signer: LedgerSigner) -> LedgerProof:
    """Sign a checkpoint over the tree as it is and prove an entry in it.

    Raises:
        BrokenPromise: Where the proof does not verify: the tree in the database was altered.
    """
    size = await tx.tree_size()
    root = await root_of(tx, size)
    hashes = await inclusion(tx, index, size)
    ((_, entry),) = await tx.entries(index, 1)
    if not merkle.verify_inclusion(merkle.leaf_hash(entry), index, size, hashes, root):
        raise BrokenPromise(f"ledger entry {index} is not in its own tree: the database was altered; open an incident")
    note = signer.sign_checkpoint(size, root)
    await tx.put_checkpoint(size, note)
    return LedgerProof(index, entry, hashes, note)
