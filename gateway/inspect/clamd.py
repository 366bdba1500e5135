"""Malware scan by clamd (`ports.Scanner`): its INSTREAM command over a socket.

Source: clamd(8), section COMMANDS; clamd.conf(5), StreamMaxLength.

The rules:
1. Clean is only what clamd said is OK. An error, an early end, a time limit, no daemon: not scanned.
2. clamd takes no stream longer than its StreamMaxLength. A longer file goes in several streams that overlap, and the answer
   says so: what a scanner finds only in a whole archive it does not find in pieces of one.
3. clamd keeps a stream in its TemporaryDirectory while it scans. That must be memory (tmpfs): plaintext is never at rest.
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Final

from gateway.ports import Scanned

OVERLAP: Final = 1 << 20  # bytes that two streams of one file share: longer than any signature of a pattern
_CHUNK: Final = 1 << 18
_ANSWER: Final = 4_096
_LENGTH: Final = struct.Struct(">I")
_FOUND: Final = re.compile(r"stream: ([\x21-\x7e]{1,200})(?:\([0-9a-f]+:\d+\))? FOUND")


class Clamd:
    """A clamd daemon.

    Args:
        address: Path of its socket, or `host:port`.
        stream: Bytes of one stream; its StreamMaxLength or less.
        timeout: Seconds it may be silent.
    """

    def __init__(self, address: str, *, stream: int, timeout: float) -> None:
        self._address = address
        self._stream = max(stream, 2 * OVERLAP)
        self._timeout = timeout

    def scan(self, pieces: Iterable[bytes]) -> Scanned:
        """See `ports.Scanner`."""
        streams = 0
        for part in _parts(pieces, self._stream):
            streams += 1
            try:
                answer = self._ask(part)
            except (OSError, EOFError) as wrong:
                return Scanned("unscanned", f"clamd: {type(wrong).__name__}")
            if found := _FOUND.fullmatch(answer):
                return Scanned("found", found[1])
            if answer != "stream: OK":
                return Scanned("unscanned", "clamd did not take the file: see its StreamMaxLength and its log")
        return Scanned("clean", "" if streams <= 1 else f"in {streams} pieces")

    def _ask(self, part: Iterator[bytes]) -> str:
        """One stream's answer; the part is read to its end whatever clamd says."""
        with closing(self._connected()) as link:
            link.sendall(b"zINSTREAM\0")
            try:
                for chunk in part:
                    link.sendall(_LENGTH.pack(len(chunk)))
                    link.sendall(chunk)
                link.sendall(_LENGTH.pack(0))
            except OSError:  # it may hang up with its reason said
                for _ in part:
                    pass
            return _answer(link)

    def _connected(self) -> socket.socket:
        if self._address.startswith("/"):
            link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            link.settimeout(self._timeout)
            try:
                link.connect(self._address)
            except OSError:
                link.close()
                raise
            return link
        host, _, port = self._address.rpartition(":")
        return socket.create_connection((host.strip("[]"), int(port)), timeout=self._timeout)


def _answer(link: socket.socket) -> str:
    told = b""
    while not told.endswith(b"\0"):
        piece = link.recv(_ANSWER)
        if not piece:
            raise EOFError
        told += piece
        if len(told) > _ANSWER:
            raise EOFError
    return told[:-1].decode("ascii", "replace")


def _parts(pieces: Iterable[bytes], stream: int) -> Iterator[Iterator[bytes]]:
    """The file as streams of at most `stream` bytes; each but the first begins with the last OVERLAP bytes of the one before."""
    source = _cut(pieces)
    pending = next(source, None)
    tail = b""
    first = True

    def part() -> Iterator[bytes]:
        nonlocal pending, tail
        sent = len(tail)
        if tail:
            yield tail
        while pending is not None and sent + len(pending) <= stream:
            chunk = pending
            pending = next(source, None)
            sent += len(chunk)
            tail = (tail + chunk)[-OVERLAP:]
            yield chunk

    while first or pending is not None:
        first = False
        yield part()


def _cut(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        for at in range(0, len(piece), _CHUNK):
            yield bytes(piece[at : at + _CHUNK])
