"""The process that parses: locked down first, then one file after another from the same transfer, until its parent hangs up.

Started as `python -m gateway.inspect.worker SOCKET MEMORY`. The first line it reads has the detectors' tables. A request is a
line of JSON with the file's descriptors beside it (SCM_RIGHTS, unix(7)) and the session keys in it; the answer is a frame of
`told`. Keys and descriptors are all that it is given.
"""

from __future__ import annotations

import array
import json
import os
import socket
import sys
from collections.abc import Mapping
from typing import Any, Final

from gateway.core.detectors import DetectorTables
from gateway.core.detectors.pack import tables_of
from gateway.inspect import told
from gateway.inspect.limits import Limits
from gateway.inspect.objects import inspect_file
from gateway.inspect.sandbox import lock
from gateway.inspect.source import FileStore, SealedStore, Store
from gateway.wire import Malformed

DESCRIPTORS: Final = 200  # of one request; the system passes 253 at once
REQUEST: Final = 1 << 20
READY: Final = b"ready"
DAMAGED: Final = b"\0" * 8  # an empty frame: the sealed bytes do not open


def main() -> None:
    """Serve the socket that was handed over."""
    link = socket.socket(fileno=int(sys.argv[1]))
    tables = tables_of(json.loads(_line(link, b"")))
    walls = lock(memory=int(sys.argv[2]))
    link.sendall(READY + bytes([walls.landlock, walls.seccomp]))
    while request := _receive(link):
        document, descriptors = request
        try:
            answer = _answer(document, descriptors, tables)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        link.sendall(answer)


def _answer(document: Mapping[str, Any], descriptors: list[int], tables: DetectorTables) -> bytes:
    try:
        store = _store(document, descriptors)
        return told.encode(inspect_file(store, document["path"], tables, Limits(**document["limits"])))
    except Malformed:
        return DAMAGED


def _store(document: Mapping[str, Any], descriptors: list[int]) -> Store:
    if "keys" not in document:
        return FileStore(descriptors[0])
    keys = [bytes.fromhex(key) for key in document["keys"]]
    return SealedStore(list(zip(descriptors, document["sizes"], strict=True)), keys)


def _receive(link: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """The next request; None where the parent has hung up."""
    numbers = array.array("i")
    room = socket.CMSG_SPACE(DESCRIPTORS * numbers.itemsize)
    text, ancillary, _, _ = link.recvmsg(REQUEST, room)
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            numbers.frombytes(data[: len(data) - len(data) % numbers.itemsize])
    return (json.loads(_line(link, text)), list(numbers)) if text else None


def _line(link: socket.socket, begun: bytes) -> bytes:
    """The rest of a line; what the parent says is believed, and it says one line at a time."""
    while not begun.endswith(b"\n"):
        piece = link.recv(REQUEST)
        if not piece:
            raise EOFError("the parent is gone")
        begun += piece
    return begun


if __name__ == "__main__":
    main()
