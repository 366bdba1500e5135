"""The process that classifies what streams through the gateway: locked down first, then many files, piece by piece.

Started as `python -m gateway.inspect.classifying SOCKET MEMORYFILE SIZE LIMIT`. The first line it reads has the detectors'
tables. Then come requests of `beside`; pieces lie in memory that the two share and are copied out of it before they are read, so
that the gateway may go on. It is given no key and no descriptor of the vault.
"""

from __future__ import annotations

import json
import mmap
import os
import socket
import struct
import sys
from typing import Final

from gateway.core.classify import Classifier, FileFindings
from gateway.core.detectors import DetectorTables
from gateway.core.detectors.pack import tables_of
from gateway.inspect import told
from gateway.inspect.allocator import CLASSIFYING, keep_freed_memory
from gateway.inspect.sandbox import lock

REQUEST: Final = struct.Struct(
    ">cII"
)  # what, which file, bytes: of a name that follows, or of a piece in the shared memory
NEW, FEED, CLOSE, DROP = b"n", b"f", b"c", b"d"
TAKEN: Final = b"k"  # the piece was copied out
READY: Final = b"ready"
NOTHING: Final = bytes(told.LENGTHS.size)  # instead of findings: the classifier failed


class Desk:
    """The files under way.

    Args:
        tables: What detectors look up.
    """

    def __init__(self, tables: DetectorTables) -> None:
        self._tables = tables
        self._files: dict[int, Classifier | None] = {}

    def begin(self, number: int, path: str) -> None:
        """A new file."""
        self._files[number] = Classifier(path, self._tables)

    def feed(self, number: int, piece: bytes) -> None:
        """The next bytes of one; of one that failed they are passed over."""
        classifier = self._files.get(number)
        if classifier is None:
            return
        try:
            classifier.feed(piece)
        except Exception:  # noqa: BLE001  # said when it is closed: the gateway gives that file up, and others go on here
            self._files[number] = None

    def close(self, number: int) -> FileFindings | None:
        """What it holds; None where nobody can say."""
        classifier = self._files.pop(number, None)
        try:
            return classifier.close() if classifier is not None else None
        except Exception:  # noqa: BLE001  # the same
            return None

    def drop(self, number: int) -> None:
        """It was given up."""
        self._files.pop(number, None)


def main() -> None:
    """Serve the socket that was handed over until its other end is closed."""
    keep_freed_memory(CLASSIFYING)
    handed, memory, size, limit = map(int, sys.argv[1:])
    shared = mmap.mmap(memory, size, prot=mmap.PROT_READ)
    os.close(memory)
    with socket.socket(fileno=handed) as link, link.makefile("rb") as asked:
        tables = tables_of(json.loads(asked.readline()))
        walls = lock(memory=limit)
        link.sendall(READY + bytes([walls.landlock, walls.seccomp]))
        desk = Desk(tables)
        while len(request := asked.read(REQUEST.size)) == REQUEST.size:
            what, number, count = REQUEST.unpack(request)
            if what == FEED:
                piece = shared[:count]
                link.sendall(TAKEN)
                desk.feed(number, piece)
            elif what == NEW:
                desk.begin(number, asked.read(count).decode("utf-8", "surrogatepass"))
            elif what == CLOSE:
                found = desk.close(number)
                link.sendall(told.encode(found) if found is not None else NOTHING)
            elif what == DROP:
                desk.drop(number)
            else:
                raise ValueError("a request that nobody makes")


if __name__ == "__main__":
    main()
