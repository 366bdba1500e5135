"""The ledger's tree inside a transaction: appending entries and the subtrees they complete.

What it is not: the tree's arithmetic (`gateway.wire.merkle`), nor the lock that makes this the only writer.

A change must keep these:
1. An entry, the nodes it completes and the new size are written together, in this order: triggers check the order.
2. The right edge is read from the stored nodes once a transaction, never from a cache that outlives it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import CursorResult, Executable, and_, insert, or_, select, update

from gateway.core.errors import BrokenPromise
from gateway.core.facts import Entry, Tag
from gateway.stores import tables
from gateway.wire import merkle

Run = Callable[[Executable, Any], Awaitable[CursorResult[Any]]]
"""Executes a statement with its values; raises the gateway's errors."""


class Tree:
    """The growing tree of one transaction.

    Args:
        run: How to execute a statement inside the transaction.
        size: Entries in the ledger, read under the lock.
    """

    def __init__(self, run: Run, size: int) -> None:
        self._run = run
        self._size = size
        self._frontier: merkle.Frontier | None = None

    async def append(self, tag: Tag, subject: str, at: datetime, entry: Entry, sealed_opening: bytes) -> int:
        """Write an entry and what it completes, amortised O(1) rows; returns its index.

        Raises:
            BrokenPromise: Where stored nodes are missing: somebody tampered with the database.
        """
        frontier = self._frontier or await self._load()
        index = frontier.size
        grown, nodes = frontier.grow(merkle.leaf_hash(entry.body))
        row = {"tag": tag.value, "subject": subject, "at": at, "body": entry.body, "opening": sealed_opening}
        await self._run(insert(tables.entries), {"index": index, **row})
        await self._run(insert(tables.tree_nodes), [_node_row(node) for node in nodes])
        await self._run(update(tables.tree_head).values(size=grown.size), None)
        self._frontier = grown
        return index

    async def _load(self) -> merkle.Frontier:
        """The right edge: one stored node for each set bit of the size, largest subtree first."""
        edge = right_edge(self._size)
        if not edge:
            return merkle.Frontier()
        columns = tables.tree_nodes.c
        named = or_(*(and_(columns.level == level, columns.index == index) for level, index in edge))
        found = await self._run(select(columns.hash).where(named).order_by(columns.level.desc()), None)
        hashes = tuple(bytes(row.hash) for row in found)
        if len(hashes) != len(edge):
            raise BrokenPromise(f"the ledger says it has {self._size} entries but nodes of its tree are missing")
        return merkle.Frontier(self._size, hashes)


def right_edge(size: int) -> Sequence[tuple[int, int]]:
    """`(level, index)` of the complete subtrees that make up a tree of `size` leaves, from left to right."""
    levels = [level for level in range(size.bit_length()) if size >> level & 1]
    return [(level, (size >> level) - 1) for level in reversed(levels)]


def _node_row(node: merkle.Node) -> dict[str, Any]:
    return {"level": node.level, "index": node.index, "hash": node.hash}
