"""Paramiko's SFTP client with pipelined writes and reads all of whose answers are heard.

What this is not: an SFTP implementation; packets, channel and cryptography are paramiko's.

Why it is here: paramiko's own pipelined writes forget answers that come out of order (a server may reorder them, SFTP
draft 02 section 6.1) and never look at those still outstanding at close, so a full disk at the far end could pass for
success; its read-ahead thread spins for ever on a file that shrank; and its errors keep only two of the status codes.

The rules a change must keep:
1. Every write is answered before `write` returns; the first refusal ends it.
2. At most `WINDOW` requests are unanswered, so a resume that goes back `WINDOW_BYTES` passes every possible hole.
3. Only this module touches paramiko's internals; the names it uses are listed in one place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from paramiko import SFTPAttributes, SFTPClient
from paramiko.message import Message
from paramiko.sftp import (
    CMD_CLOSE,
    CMD_DATA,
    CMD_EXTENDED,
    CMD_HANDLE,
    CMD_OPEN,
    CMD_READ,
    CMD_STATUS,
    CMD_WRITE,
    SFTP_FLAG_CREATE,
    SFTP_FLAG_EXCL,
    SFTP_FLAG_READ,
    SFTP_FLAG_WRITE,
    int64,
)

REQUEST_BYTES = 32_768  # every server must take 34,000-byte packets (draft 02 section 3); more is not promised
WINDOW = 64  # as OpenSSH's client: 2 MiB in flight, what a channel's window holds
WINDOW_BYTES = WINDOW * REQUEST_BYTES

# Status codes of SFTP version 3 (draft 02 section 7).
OK, END_OF_FILE, NO_SUCH_FILE, PERMISSION_DENIED, UNSUPPORTED = 0, 1, 2, 3, 8


class Refused(Exception):
    """The server answered with a status other than OK."""

    def __init__(self, code: int) -> None:
        super().__init__(f"SFTP status {code}")
        self.code = code


class Answers:
    """Collects the answers to a run of requests, in whatever order they come."""

    def __init__(self) -> None:
        self.outstanding = 0
        self.last: tuple[int, Message] | None = None
        self.refusal: int | None = None

    def _async_response(self, kind: int, message: Message, number: int) -> None:
        """Paramiko's call-back for each answer."""
        del number
        self.outstanding -= 1
        self.last = (kind, message)
        if kind == CMD_STATUS and (code := message.get_int()) != OK and self.refusal is None:
            self.refusal = code


class Client(SFTPClient):
    """An SFTP session."""

    if TYPE_CHECKING:  # what we use of paramiko's internals, which its type stubs leave out

        def _async_request(self, fileobj: object, t: int, *args: object) -> int: ...
        def _read_response(self, waitfor: int | None = None) -> object: ...

    def open_new(self, path: str) -> bytes:
        """A handle for writing to a file that must not exist.

        Raises:
            Refused: The server's status; SFTP version 3 has none that says "it exists".
        """
        return self._opened(path, SFTP_FLAG_WRITE | SFTP_FLAG_CREATE | SFTP_FLAG_EXCL)

    def open_existing(self, path: str) -> bytes:
        """A handle for writing into a file that exists, which is not truncated."""
        return self._opened(path, SFTP_FLAG_WRITE)

    def write(self, handle: bytes, offset: int, content: Iterable[bytes | memoryview]) -> int:
        """Write `content` from `offset` on; returns its bytes once every one of them was acknowledged.

        Raises:
            Refused: The first status that is not OK.
        """
        answers, position = Answers(), offset
        for piece in content:
            for start in range(0, len(piece), REQUEST_BYTES):
                chunk = bytes(piece[start : start + REQUEST_BYTES])
                self._ask(answers, CMD_WRITE, handle, int64(position), chunk)
                position += len(chunk)
                self._await(answers, WINDOW - 1)
        self._await(answers, 0)
        return position - offset

    def read(self, path: str, offset: int, length: int) -> Iterator[bytes]:
        """A file's bytes from `offset` on, at most `length`, in order; ends early where the file does.

        Raises:
            Refused: The server's status.
        """
        handle, end = self._opened(path, SFTP_FLAG_READ), offset + length
        asked: deque[tuple[Answers, int, int]] = deque()
        while offset < end or asked:
            while offset < end and len(asked) < WINDOW:
                size = min(REQUEST_BYTES, end - offset)
                asked.append((self._ask_read(handle, offset, size), offset, size))
                offset += size
            answers, start, size = asked.popleft()
            data = self._awaited_data(answers)
            if not data:
                break
            yield data
            if len(data) < size:  # a short answer is allowed; what it left out comes first
                rest = start + len(data), size - len(data)
                asked.appendleft((self._ask_read(handle, *rest), *rest))
        self._settle(answers for answers, _, _ in asked)
        self.close_handle(handle)

    def sync(self, handle: bytes) -> bool:
        """Ask for fsync (`fsync@openssh.com`, OpenSSH PROTOCOL section 4.4); False where the server knows none."""
        try:
            self._converse(CMD_EXTENDED, "fsync@openssh.com", handle)
        except Refused as refused:
            if refused.code != UNSUPPORTED:
                raise
            return False
        return True

    def close_handle(self, handle: bytes) -> None:
        """Close, and hear the answer: a quota may speak up only now."""
        self._converse(CMD_CLOSE, handle)

    def _opened(self, path: str, flags: int) -> bytes:
        kind, message = self._converse(CMD_OPEN, path, flags, SFTPAttributes())
        if kind != CMD_HANDLE:
            raise Refused(kind)
        return message.get_string()

    def _ask_read(self, handle: bytes, offset: int, size: int) -> Answers:
        answers = Answers()
        self._ask(answers, CMD_READ, handle, int64(offset), size)
        return answers

    def _awaited_data(self, answers: Answers) -> bytes:
        while answers.outstanding:
            self._read_response()
        if answers.refusal == END_OF_FILE:
            return b""
        if answers.refusal is not None or answers.last is None or answers.last[0] != CMD_DATA:
            raise Refused(answers.refusal or 0)
        return answers.last[1].get_string()

    def _settle(self, unheard: Iterable[Answers]) -> None:
        """Hear the answers to reads beyond the end, so that none is taken for another request's."""
        for answers in unheard:
            while answers.outstanding:
                self._read_response()

    def _converse(self, command: int, *arguments: object) -> tuple[int, Message]:
        answers = Answers()
        self._ask(answers, command, *arguments)
        self._await(answers, 0)
        assert answers.last is not None
        return answers.last

    def _ask(self, answers: Answers, command: int, *arguments: object) -> None:
        answers.outstanding += 1
        self._async_request(answers, command, *arguments)

    def _await(self, answers: Answers, at_most: int) -> None:
        while answers.outstanding > at_most:
            self._read_response()
        if answers.refusal is not None:
            raise Refused(answers.refusal)
