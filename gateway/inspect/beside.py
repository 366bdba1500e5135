"""Classifiers of large texts in processes beside the gateway, where they do not share the interpreter's lock with the event loop.

What it is not: classification (`core.classify`), or the inspection of what needs seeking (`process`).

The rules:
1. Whatever process classifies, findings are the same. What is small or no text is classified here: handing over costs more.
2. A process starts when the first text comes that is worth it, and until it stands, texts are classified here. Where none can be
   started, all are, and a start is tried again a minute later.
3. A process that died, or takes longer than `PATIENCE` over a request, is killed; the files it had are refused, to be sent
   again. The next texts are classified here, and after `AGAIN` in a new process.
4. It is locked down (`sandbox`), holds no key, and its answers are read as a stranger's (`told`).
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import socket
import subprocess
import sys
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from threading import Event, Lock, Thread
from time import monotonic
from typing import Final

from gateway.core.classify import Classifier, FileFindings
from gateway.core.detectors.pack import tables_of
from gateway.core.errors import StoreError, Unusable
from gateway.core.formats import HEAD, sniff
from gateway.inspect import told
from gateway.inspect.classifying import CLOSE, DROP, FEED, NEW, READY, REQUEST, TAKEN
from gateway.inspect.process import START, TableDocuments, environment, reader
from gateway.inspect.sandbox import Walls
from gateway.ports import Classifying

SHARED: Final = 1 << 20  # bytes of a piece
MEMORY: Final = 4 << 30  # bytes of address space of a process
PATIENCE: Final = 20.0  # seconds for a piece or for findings, a hundred times the slowest known; others wait meanwhile
AGAIN: Final = 60.0  # seconds until another process takes the place of one that was lost
_FUTURE_WRITE: Final = 0x10  # F_SEAL_FUTURE_WRITE of <linux/fcntl.h>, Linux 5.1

Raw = bytes | bytearray | memoryview


def lost() -> StoreError:
    """What a sender is told whose file was under way in a process that is gone, or failed in it."""
    return StoreError(
        "this file could not be classified: send it again, and tell the gateway's operator if that fails too",
        code="classifier-lost",
    )


class Side:
    """One process: started by a thread that then waits for its end, as its life is bound to that thread's.

    Args:
        tables: Documents of the detectors' tables, as a line of JSON.
        ended: Called with `stood` when it is over.
    """

    def __init__(self, tables: bytes, ended: Callable[..., None]) -> None:
        self._tables = tables
        self._tell = ended
        self._lock = Lock()
        self._numbers = count(1)
        self._dropped = deque[int]()  # what was given up, told with the next request
        self._memory, self._shared = _shared_memory()
        self._link, self._theirs = socket.socketpair()
        self._until = 0.0  # when the request under way has to be answered
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = False
        self.walls = Walls(landlock=False, seccomp=False)
        self.stands = Event()
        self.over = Event()
        self._open = set[int]()  # numbers of files; a set, as what is collected as garbage leaves it in any thread
        Thread(target=self._live, name="beside", daemon=True).start()

    def _live(self) -> None:
        try:
            self._begin()
        except (OSError, EOFError, Unusable):
            self._ended = True
        finally:
            self._end()

    def _end(self) -> None:
        if self._process is not None:
            if self._ended or not self.stands.is_set():
                self._process.kill()
            self._process.wait()
        self._ended = True
        self._link.close()
        try:
            self._tell(stood=self.stands.is_set())
        finally:
            self.over.set()

    def _begin(self) -> None:
        with self._theirs, _closing(self._memory):
            if self._ended:
                raise EOFError("not wanted any more")
            self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and module; no word of it is a stranger's
                [
                    sys.executable, "-m", "gateway.inspect.classifying",
                    *map(str, (self._theirs.fileno(), self._memory, SHARED, MEMORY)),
                ],
                pass_fds=[self._theirs.fileno(), self._memory],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # words about a stranger's bytes are the stranger's words
                env=environment(),
                cwd="/",
            )  # fmt: skip
        self._link.settimeout(START)
        self._link.sendall(self._tables)
        standing = reader(self._link)(len(READY) + 2)
        if not standing.startswith(READY):
            raise Unusable("a classifying process said something else than that it is ready")
        self.walls = Walls(*map(bool, standing[-2:]))
        self.stands.set()

    @property
    def files(self) -> int:
        """Files that are under way."""
        return len(self._open)

    @property
    def alive(self) -> bool:
        """Whether files may go there."""
        return self.stands.is_set() and not self._ended

    def stop(self) -> None:
        """Kill it; whoever waits for it comes back."""
        self._ended = True
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()

    def begin(self, path: str) -> int:
        """A new file; returns its number."""
        number, name = next(self._numbers), path.encode("utf-8", "surrogatepass")
        with self._asking():
            self._say(NEW, number, len(name), name)
        self._open.add(number)
        return number

    def feed(self, number: int, piece: memoryview) -> None:
        """The next bytes of a file, SHARED at most; returns when they may be overwritten."""
        with self._asking():
            self._shared[: len(piece)] = piece
            self._say(FEED, number, len(piece))
            if self._heard(1) != TAKEN:
                raise lost()

    def close(self, number: int, path: str, size: int) -> FileFindings:
        """Findings of a file."""
        self._open.discard(number)
        with self._asking():
            self._say(CLOSE, number, 0)
            words, numbers = told.read_frame(self._heard)
            if words:
                return told.decode(words, numbers, path=path, size=size)
        raise lost()  # it failed there; the process itself is well

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """One request and its answer; what goes wrong between ends the process, which would answer the next request with it."""
        if not self._lock.acquire(timeout=PATIENCE):
            raise lost()
        try:
            if self._ended:
                raise lost()
            self._until = monotonic() + PATIENCE
            yield
        except BaseException as failure:
            self.stop()
            if isinstance(failure, OSError | EOFError | Unusable):
                raise lost() from failure
            raise
        finally:
            self._lock.release()

    def drop(self, number: int) -> None:
        """A file is given up, or done with; nothing waits. Called by whoever collects garbage, in any thread."""
        self._open.discard(number)
        self._dropped.append(number)

    def _say(self, what: bytes, number: int, size: int, name: bytes = b"") -> None:
        gone = [REQUEST.pack(DROP, self._dropped.popleft(), 0) for _ in range(len(self._dropped))]
        self._link.settimeout(PATIENCE)
        self._link.sendall(b"".join([*gone, REQUEST.pack(what, number, size), name]))

    def _heard(self, size: int) -> bytes:
        """So many bytes, before the time of the whole request is over."""
        pieces, left = [], size
        while left:
            self._link.settimeout(max(0.001, self._until - monotonic()))
            piece = self._link.recv(min(left, SHARED))
            if not piece:
                raise EOFError
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)


def _shared_memory() -> tuple[int, mmap.mmap]:
    """Memory that this process writes, and whoever else has its descriptor can only read: not cut, grow or write."""
    memory = os.memfd_create("pieces", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(memory, SHARED)
        shared = mmap.mmap(memory, SHARED)
        sealed = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        try:
            fcntl.fcntl(memory, fcntl.F_ADD_SEALS, sealed | _FUTURE_WRITE)
        except (
            OSError
        ):  # an older kernel: what is there can be scribbled on by the process it is for, which reads it anyway
            fcntl.fcntl(memory, fcntl.F_ADD_SEALS, sealed)
    except BaseException:
        os.close(memory)
        raise
    return memory, shared


@contextmanager
def _closing(descriptor: int) -> Iterator[None]:
    """Close it at the end of the block."""
    try:
        yield
    finally:
        os.close(descriptor)


class Remote:
    """A file that a process classifies (`ports.Classifying`)."""

    def __init__(self, side: Side, path: str) -> None:
        self._side = side
        self._path = path
        self._size = 0
        self._number = side.begin(path)
        weakref.finalize(self, side.drop, self._number).atexit = False

    def feed(self, chunk: Raw) -> None:
        """See `ports.Classifying`."""
        with memoryview(chunk) as view:
            for at in range(0, len(view), SHARED):
                self._side.feed(self._number, view[at : at + SHARED])
            self._size += len(view)

    def close(self) -> FileFindings:
        """See `ports.Classifying`."""
        return self._side.close(self._number, self._path, self._size)


class Adaptive:
    """A file that is classified where it is best: told by its first bytes (`ports.Classifying`).

    Args:
        path: Its name.
        near: Makes a classifier in this process.
        far: Begins with a file in another process, if one stands.
    """

    def __init__(self, path: str, near: Callable[[str], Classifying], far: Callable[[str], Classifying | None]) -> None:
        self._path = path
        self._near = near
        self._far = far
        self._chosen: Classifying | None = None

    def feed(self, chunk: Raw) -> None:
        """See `ports.Classifying`."""
        if self._chosen is None:
            worth = len(chunk) >= HEAD and sniff(bytes(chunk[:HEAD]), self._path).interpretation == "text"
            self._chosen = (self._far(self._path) if worth else None) or self._near(self._path)
        self._chosen.feed(chunk)

    def close(self) -> FileFindings:
        """See `ports.Classifying`."""
        return (self._chosen or self._near(self._path)).close()


class Beside:
    """Makes classifiers (`flow.incoming.Reception`), and keeps the processes.

    Args:
        documents: Documents of the detectors' tables, as `core.detectors.pack.tables_of` takes them.
        most: Processes; 0 for none.
        told: Called with `start` or `died` where one was lost, in a thread of its own.
    """

    def __init__(
        self, documents: TableDocuments, most: int = 1, *, told: Callable[[str], None] = lambda _: None
    ) -> None:
        self._line = json.dumps(documents).encode() + b"\n"
        self._tables = tables_of(documents)
        self._most = most
        self._sides: list[Side] = []
        self._lock = Lock()
        self._told = told
        self._not_before = 0.0
        self._closed = False

    def classifier(self, path: str) -> Adaptive:
        """For a new file."""
        return Adaptive(path, self._near, self._begun)

    def _near(self, path: str) -> Classifier:
        return Classifier(path, self._tables)

    def _begun(self, path: str) -> Remote | None:
        try:
            side = self._free()
            return Remote(side, path) if side is not None else None
        except StoreError:  # it died just now
            return None

    def _free(self) -> Side | None:
        """The process with the fewest files, once it stands; one more is started where all have some."""
        with self._lock:
            now = monotonic()
            if any(side.over.is_set() for side in self._sides):
                self._not_before = now + AGAIN
            self._sides = [side for side in self._sides if not side.over.is_set()]
            standing = [side for side in self._sides if side.alive]
            busy = len(standing) == len(self._sides) and all(side.files for side in standing)
            if busy and len(self._sides) < self._most and now >= self._not_before and not self._closed:
                self._start(now)
            return min(standing, key=lambda side: side.files, default=None)

    def _start(self, now: float) -> None:
        try:
            self._sides.append(Side(self._line, self._over))
        except (OSError, RuntimeError, AttributeError):  # no descriptors, no threads, a system without such memory
            self._not_before = now + AGAIN
            self._over(stood=False)

    def _over(self, *, stood: bool) -> None:
        if not self._closed:
            self._told("died" if stood else "start")

    def stand(self, timeout: float = START) -> bool:
        """Have a process started and wait until it stands; for who measures and for tests."""
        self._free()
        with self._lock:
            sides = list(self._sides)
        return any(side.stands.wait(timeout) for side in sides)

    def close(self) -> None:
        """End the processes, and wait for their ends."""
        with self._lock:
            self._closed, sides = True, list(self._sides)
        for side in sides:
            side.stop()
        for side in sides:
            side.over.wait(START)
