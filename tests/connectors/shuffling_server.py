"""A tiny SFTP version 3 server on one end of a socket pair that answers out of order and gives short reads.

asyncssh and paramiko answer strictly in order, which the draft does not ask for (draft-ietf-secsh-filexfer-02 section 6.1).
"""

from __future__ import annotations

import select
import socket
import struct
import threading
from contextlib import suppress

INIT, VERSION, OPEN, CLOSE, READ, WRITE = 1, 2, 3, 4, 5, 6
STATUS, HANDLE, DATA, EXTENDED = 101, 102, 103, 200


class ShufflingServer:
    """Keeps one file in memory.

    Attributes:
        content: The file.
        refuse_write_at: Offset at which a write is answered with `status`.
        status: The status code for it.
        short: Give at most so many bytes for a read.
        largest: Most requests that were unanswered at one time.
    """

    def __init__(self) -> None:
        self.content = bytearray()
        self.refuse_write_at: int | None = None
        self.status = 4
        self.short: int | None = None
        self.fsync_status = 0
        self.close_status = 0
        self.largest = 0
        self._ours, theirs = socket.socketpair()
        self.channel = _Channel(theirs)
        self._held: list[bytes] = []
        self._thread = threading.Thread(target=self._serve_until_the_end, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.channel.close()
        self._thread.join(5)
        self._ours.close()

    def _serve_until_the_end(self) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # the client went away with answers unheard
            self._serve()

    def _serve(self) -> None:
        while True:
            if self._held and not select.select([self._ours], [], [], 0.005)[0]:
                self._flush()
            head = self._exactly(4)
            if not head:
                return
            packet = self._exactly(struct.unpack(">I", head)[0])
            self._answer(packet[0], packet[1:])

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._ours.recv(size - len(data))
            if not piece:
                return b""
            data += piece
        return data

    def _answer(self, kind: int, body: bytes) -> None:
        if kind == INIT:
            self._send(bytes([VERSION]) + struct.pack(">I", 3))
            return
        number, rest = body[:4], body[4:]
        if kind == OPEN:
            self._send(bytes([HANDLE]) + number + _string(b"h"))
        elif kind == WRITE:
            self._hold(self._write(number, rest))
        elif kind == READ:
            self._hold(self._read(number, rest))
        elif kind == EXTENDED:
            self._hold(_status(number, self.fsync_status))
        elif kind == CLOSE:
            self._hold(_status(number, self.close_status))

    def _write(self, number: bytes, rest: bytes) -> bytes:
        offset, data = struct.unpack(">Q", rest[5:13])[0], rest[17:]
        if self.refuse_write_at is not None and offset + len(data) > self.refuse_write_at:
            return _status(number, self.status)
        if len(self.content) < offset:
            self.content += bytes(offset - len(self.content))
        self.content[offset : offset + len(data)] = data
        return _status(number, 0)

    def _read(self, number: bytes, rest: bytes) -> bytes:
        offset, size = struct.unpack(">QI", rest[5:17])
        data = bytes(self.content[offset : offset + min(size, self.short or size)])
        return bytes([DATA]) + number + _string(data) if data else _status(number, 1)

    def _hold(self, answer: bytes) -> None:
        self._held.append(answer)
        self.largest = max(self.largest, len(self._held))

    def _flush(self) -> None:
        held, self._held = self._held, []
        for answer in [*held[1::2], *reversed(held[::2])]:
            self._send(answer)

    def _send(self, packet: bytes) -> None:
        self._ours.sendall(struct.pack(">I", len(packet)) + packet)


class _Channel:
    """What paramiko's SFTP client asks of its channel."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        sock.settimeout(10)

    def get_name(self) -> str:
        return "test"

    def send(self, data: bytes) -> int:
        return self._sock.send(data)

    def recv(self, size: int) -> bytes:
        return self._sock.recv(size)

    def close(self) -> None:
        self._sock.close()


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _status(number: bytes, code: int) -> bytes:
    return bytes([STATUS]) + number + struct.pack(">I", code) + _string(b"text") + _string(b"")
