"""What file managers leave beside files: taken, believed for a while, and never part of a dataset.

What it is not: storage. A name, a size and a time are remembered, so that a client that looks for what it wrote a moment ago
finds it; the bytes are read and dropped.

A change must keep these:
1. Nothing of it reaches the flow: no fact, no file, no version.
2. It is bounded, and of one process: another worker may not know of it, which clients take for a file that is gone.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from gateway.core.identity import Principal
from gateway.doors.outbox.tree import Node

MAX_REMEMBERED: Final = 2_048


class Forgotten:
    """Names that were taken and not kept, by caller."""

    def __init__(self) -> None:
        self._nodes: OrderedDict[tuple[str, str], Node] = OrderedDict()

    def put(self, principal: Principal, path: str, size: int, at: float) -> bool:
        """Remember one; whether it is new."""
        known = self._nodes.pop((principal.client, path), None)
        self._nodes[principal.client, path] = Node(folder=False, size=size, modified=at, writable=True)
        if len(self._nodes) > MAX_REMEMBERED:
            self._nodes.popitem(last=False)
        return known is None

    def find(self, principal: Principal, path: str) -> Node | None:
        """What is remembered under a path."""
        return self._nodes.get((principal.client, path))

    def drop(self, principal: Principal, path: str) -> Node | None:
        """Forget one; what it was."""
        return self._nodes.pop((principal.client, path), None)
