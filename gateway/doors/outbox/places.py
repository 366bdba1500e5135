"""Paths of the virtual tree: bytes of a request in, a `Place` out, or a refusal.

What it is not: the tree itself (`tree`). Nothing is looked up here.

A change must keep these:
1. Two spellings of one place give one `Place`: `//`, `.`, `..` and a trailing slash are resolved before anything is looked
   at. There are no links, so resolving by words alone is exact, and nothing lies above the root.
2. What is in a dataset passes `core.names`, the same gate as every other door: refused, never mended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.core import declaration
from gateway.core.errors import NotFound, Unusable
from gateway.core.names import DatasetName, parse_identifier, parse_path, parse_segment, settled_name

OUTBOX: Final = "outbox"
STATUS: Final = "status"
RECEIPTS: Final = "receipts"
README: Final = "README.txt"
AREAS: Final = (OUTBOX, RECEIPTS, STATUS)
SUBMIT: Final = "SUBMIT"
WITHDRAW: Final = "WITHDRAW"
DECLARATION: Final = declaration.DECLARATION
MAX_REQUEST: Final = 4096  # bytes of a path as it comes; what is in a dataset is bounded further by `core.names`


@dataclass(frozen=True)
class Place:
    """Somewhere in the tree.

    Attributes:
        area: The first folder or file; empty for the root.
        endpoint: Empty above it; so are the others.
        project: Under the endpoint.
        leaf: In the outbox a dataset, elsewhere a file's name.
        path: Below the dataset; empty for the dataset itself.
    """

    area: str = ""
    endpoint: str = ""
    project: str = ""
    leaf: str = ""
    path: str = ""

    @property
    def order(self) -> str:
        """`SUBMIT` or `WITHDRAW` where this is the name of one, also under a temporary name; else empty."""
        settled = settled_name(self.path)
        return settled if self.area == OUTBOX and self.path and settled in {SUBMIT, WITHDRAW} else ""

    def dataset(self, institution: str) -> DatasetName:
        """The dataset this is or is in."""
        return DatasetName(institution, self.endpoint, self.project, self.leaf)


def canonical(raw: bytes) -> bytes:
    """An absolute path without `.`, `..` and empty segments: what REALPATH answers."""
    kept: list[bytes] = []
    for segment in raw.split(b"/"):
        if segment == b"..":
            del kept[-1:]
        elif segment not in {b"", b"."}:
            kept.append(segment)
    return b"/" + b"/".join(kept)


def parse_place(raw: bytes) -> Place:
    """The place a request names.

    Raises:
        Unusable: Bytes that are no name in a dataset.
        NotFound: Nothing can be there.
    """
    if len(raw) > MAX_REQUEST:
        raise Unusable(f"the path is longer than {MAX_REQUEST} bytes: shorten it", code="bad-path")
    segments = canonical(raw)[1:].split(b"/")
    if segments == [b""]:
        return Place()
    area = segments[0]
    if area == README.encode() and len(segments) == 1:
        return Place(README)
    if area.decode("ascii", "replace") not in AREAS:
        raise nothing_there()
    endpoint, project = (_identifier(segments, position) for position in (1, 2))
    leaf = parse_segment(segments[3]) if len(segments) > 3 else ""
    path = parse_path(b"/".join(segments[4:])) if len(segments) > 4 else ""
    if path and area != OUTBOX.encode():
        raise nothing_there()
    return Place(area.decode("ascii"), endpoint, project, leaf, path)


def nothing_there() -> NotFound:
    """The answer for a place that is not in the caller's tree."""
    return NotFound("there is nothing here: files go to /outbox/<endpoint>/<project>/<dataset>/", code="no-such-file")


def _identifier(segments: list[bytes], position: int) -> str:
    if len(segments) <= position:
        return ""
    try:
        return parse_identifier(segments[position].decode("ascii"))
    except (UnicodeDecodeError, Unusable):
        raise nothing_there() from None
