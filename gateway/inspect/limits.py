"""How much work one file may make: what a bomb runs into; and what is held that no inspector can see."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import BinaryIO, Final, Literal

MIB: Final = 1 << 20


class Unreadable(Exception):
    """A file, or a part of one, that could not be interpreted; the message says why, without content.

    Attributes:
        kind: Of the finding: `uninspectable`, `encrypted_content` or `archive_limit`.
    """

    def __init__(self, message: str, *, kind: str = "uninspectable") -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Limits:
    """Bounds of one file with everything in it.

    Attributes:
        depth: Members within members.
        members: Of all archives together.
        expanded: Decompressed bytes of all members together.
        ratio: Decompressed bytes per byte of the file, beyond `spared`.
        spared: Decompressed bytes that need no ratio: small files compress well.
        held: Bytes of a member that must be in memory as a whole.
        columns: Of a table.
        pictures: `held`: pixels that may show text or faces make a file uninspectable; `noted`: they are a weak finding.
    """

    depth: int = 6
    members: int = 100_000
    expanded: int = 1 << 40
    ratio: int = 250
    spared: int = 256 * MIB
    held: int = 256 * MIB
    columns: int = 100_000
    pictures: Literal["held", "noted"] = "held"


@dataclass
class Budget:
    """What is left of the limits. One for a file and everything in it."""

    limits: Limits
    size: int
    _members: int = 0
    _expanded: int = 0
    _most: int = field(init=False)

    def __post_init__(self) -> None:
        limits = self.limits
        self._most = min(limits.expanded, max(limits.spared, self.size * limits.ratio))

    def member(self, depth: int) -> None:
        """One more member, at a depth.

        Raises:
            Unreadable: Too many, or too deep.
        """
        self._members += 1
        if self._members > self.limits.members:
            raise Unreadable(f"more than {self.limits.members} members", kind="archive_limit")
        if depth > self.limits.depth:
            raise Unreadable(f"more than {self.limits.depth} archives within one another", kind="archive_limit")

    def expand(self, size: int) -> None:
        """So many bytes were decompressed.

        Raises:
            Unreadable: More than the file's size explains.
        """
        self._expanded += size
        if self._expanded > self._most:
            raise Unreadable(f"expands to more than {self._most} bytes", kind="archive_limit")

    def room(self, size: int) -> None:
        """A piece of `size` bytes is wanted in memory at once.

        Raises:
            Unreadable: It is too large.
        """
        if size > self.limits.held:
            raise Unreadable(f"needs more than {self.limits.held} bytes of memory at once", kind="archive_limit")


class Metered:
    """A decompressed stream that pays for what it gives out."""

    def __init__(self, stream: BinaryIO, budget: Budget) -> None:
        self._stream = stream
        self._budget = budget

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, all that the budget allows for a negative one; none at the end.

        Raises:
            Unreadable: The budget is spent.
        """
        if size >= 0:
            piece = self._stream.read(size)
            self._budget.expand(len(piece))
            return piece
        pieces, held = [], 0
        while piece := self.read(MIB):
            held += len(piece)
            self._budget.room(held)
            pieces.append(piece)
        return b"".join(pieces)
