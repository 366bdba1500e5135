"""The parent of the inspecting processes: starts them, asks them, and kills those that take too long.

The rules:
1. A worker sees files of one transfer only, and ends with it: what one sender's file did to it touches nobody else's.
2. A worker that dies, runs out of memory or time, or answers nonsense makes its file uninspectable, which holds it (D10). The
   next file gets a new worker.
3. The keys of a file go to its worker and nowhere else, through a socket that only the two have.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

from gateway.core.classify import FileFindings, Finding
from gateway.core.classify.nested import Outer, nest
from gateway.core.errors import BrokenPromise, StoreError, Unusable
from gateway.inspect import told
from gateway.inspect.limits import Limits
from gateway.inspect.parsers import PARSERS
from gateway.inspect.worker import DESCRIPTORS, READY
from gateway.wire import crypt4gh

TableDocuments = Mapping[str, Mapping[str, object]]
START: Final = 60.0  # seconds for a worker to stand, on a machine under load


@dataclass(frozen=True)
class Allowance:
    """What a worker may use.

    Attributes:
        memory: Bytes of address space; libraries of columnar formats reserve much that they never touch.
        seconds: For any file.
        speed: Bytes a second that a file must be read with, beyond that.
        limits: Of members and expansion.
    """

    memory: int = 3 * 1024**3
    seconds: float = 120.0
    speed: int = 2 * 1024 * 1024
    limits: Limits = Limits()  # noqa: RUF009  # a frozen value


@dataclass(frozen=True)
class Subject:
    """A file to inspect.

    Attributes:
        path: Within its dataset.
        size: Bytes of plaintext.
        parts: (descriptor, bytes that count); one plain file where there are no keys.
        keys: Session keys of a sealed file.
    """

    path: str
    size: int
    parts: Sequence[tuple[int, int]]
    keys: Sequence[bytes] = ()


class Inspector:
    """Inspects files one after another, for one transfer (`ports.Inspecting`). A context manager.

    Blocking, for one thread at a time; `stop` alone may be called from another.

    Args:
        tables: Documents of the detectors' tables, as `core.detectors.pack.tables_of` takes them.
        allowance: What a worker may use.
    """

    def __init__(self, tables: TableDocuments, allowance: Allowance | None = None) -> None:
        self._tables = json.dumps(tables).encode() + b"\n"
        self._allowance = allowance or Allowance()
        self._worker: subprocess.Popen[bytes] | None = None
        self._link: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def inspect(self, path: str, parts: Sequence[tuple[BinaryIO, int]], keys: Sequence[bytes]) -> FileFindings:
        """See `ports.Inspecting`."""
        size = crypt4gh.plain_size(sum(count for _, count in parts))
        return self.ask(Subject(path, size, [(part.fileno(), count) for part, count in parts], keys))

    def inspect_plain(self, path: str, file: BinaryIO) -> FileFindings:
        """The same of a plain file on this machine; its position does not matter."""
        return self.ask(Subject(path, os.fstat(file.fileno()).st_size, [(file.fileno(), 0)]))

    def stop(self) -> None:
        """Kill the worker: whoever waits for it comes back."""
        worker = self._worker
        if worker is not None:
            with suppress(ProcessLookupError):
                worker.kill()

    def ask(self, subject: Subject) -> FileFindings:
        """What a worker finds in a file.

        Raises:
            BrokenPromise: The sealed bytes do not open: the vault was altered.
            StoreError: No worker can be started on this machine.
        """
        if len(subject.parts) > DESCRIPTORS:
            return refused(subject, f"in more than {DESCRIPTORS} parts: send the file again in one piece")
        link = self._started()
        try:
            link.settimeout(self._allowance.seconds + subject.size / self._allowance.speed)
            self._ask(link, subject)
            words, numbers = told.read_frame(reader(link))
            if not words:
                raise BrokenPromise("a sealed part in the vault does not open: it was altered")
            return told.decode(words, numbers, path=subject.path, size=subject.size)
        except TimeoutError:
            self.close()
            return refused(subject, "the inspector took too long")
        except (OSError, EOFError):
            self.close()
            return refused(subject, "the inspector died")
        except Unusable:
            self.close()
            return refused(subject, "the inspector gave no answer that can be read")

    def close(self) -> None:
        """End the worker."""
        link, worker, self._link, self._worker = self._link, self._worker, None, None
        if link is not None:
            link.close()
        if worker is not None:
            with suppress(ProcessLookupError):
                worker.kill()
            worker.wait()

    def _ask(self, link: socket.socket, subject: Subject) -> None:
        request: dict[str, Any] = {"path": subject.path, "limits": asdict(self._allowance.limits)}
        if subject.keys:
            request |= {"keys": [key.hex() for key in subject.keys], "sizes": [size for _, size in subject.parts]}
        text = json.dumps(request).encode() + b"\n"
        sent = socket.send_fds(link, [text], [descriptor for descriptor, _ in subject.parts])
        link.sendall(text[sent:])

    def _started(self) -> socket.socket:
        if self._link is not None and self._worker is not None and self._worker.poll() is None:
            return self._link
        self.close()
        ours, theirs = socket.socketpair()
        with theirs:
            self._worker = subprocess.Popen(  # noqa: S603  # our own interpreter and module; no word of it is a stranger's
                [sys.executable, "-m", "gateway.inspect.worker", str(theirs.fileno()), str(self._allowance.memory)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # a library's words about a stranger's bytes are the stranger's words
                env=environment(),
                cwd="/",
            )
        self._link = ours
        ours.settimeout(START)
        try:
            ours.sendall(self._tables)
            standing = reader(ours)(len(READY) + 2)
        except (OSError, EOFError) as wrong:
            self.close()
            raise StoreError(
                "an inspecting process cannot be started: see `hetao doctor`", code="no-inspector"
            ) from wrong
        if not standing.startswith(READY):
            self.close()
            raise StoreError("an inspecting process said something else than that it is ready", code="no-inspector")
        return ours


class Workers:
    """Inspection by worker processes (`ports.Inspection`).

    Args:
        tables: Documents of the detectors' tables.
        allowance: What a worker may use.
    """

    def __init__(self, tables: TableDocuments, allowance: Allowance | None = None) -> None:
        self._tables = tables
        self._allowance = allowance

    def reads(self, format_name: str) -> bool:
        """Whether there is a parser."""
        return format_name in PARSERS

    def open(self) -> Inspector:
        """Begin with a transfer; no process starts before the first file."""
        return Inspector(self._tables, self._allowance)


def refused(subject: Subject, why: str) -> FileFindings:
    """The findings of a file that nobody could inspect."""
    finding = Finding("uninspectable", why, 1, 1, "strong")
    return nest(Outer(subject.path, subject.size, "unknown", findings=[finding], readable=False), [])


def environment() -> Mapping[str, str]:
    """Nothing of ours: no secret travels in it. Libraries with pools of threads make none."""
    quiet = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "ARROW_IO_THREADS", "NUMEXPR_NUM_THREADS")
    paths = {name: os.environ[name] for name in ("PYTHONPATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {
        **dict.fromkeys(quiet, "1"),
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        **paths,
    }


def reader(link: socket.socket) -> Callable[[int], bytes]:
    """What reads exactly as many bytes as asked for; raises EOFError where they do not come."""

    def read(size: int) -> bytes:
        pieces, left = [], size
        while left:
            piece = link.recv(min(left, 1 << 20))
            if not piece:
                raise EOFError
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)

    return read
