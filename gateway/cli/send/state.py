"""What a run remembers for the next one: under which key the transfer was opened, where uploads stand, digests already made.

A change must keep these:
1. The state is replaced as a whole and durable before anything relies on it; digests are appended, and a torn last line is
   no line.
2. Nothing in it lets anybody in: no token, no key. Files and folders are for their owner alone.
3. One run at a time for one dataset: a second one is refused.

Source: XDG Base Directory Specification 0.8 (`$XDG_STATE_HOME`).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from gateway.cli.dataset import LocalFile
from gateway.core.errors import Conflict, Unusable

VERSION: Final = 1
MAX_STATE: Final = 1 << 24


@dataclass(frozen=True)
class Target:
    """What is sent where; another target has another state.

    Attributes:
        gateway: Origin of the gateway.
        client: Who sends.
        endpoint: Who receives.
        project: Under which project.
        dataset: The dataset's name.
        source: The folder or files, absolute.
    """

    gateway: str
    client: str
    endpoint: str
    project: str
    dataset: str
    source: tuple[str, ...]

    @property
    def name(self) -> str:
        """A file name for it that tells nothing."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Underway:
    """An upload that has an address: of which file as it was then."""

    address: str
    size: int
    sha256: str


@dataclass
class Memory:
    """The state.

    Attributes:
        key: Idempotency key under which the transfer is opened.
        transfer: Its id; empty as long as the gateway did not answer.
        uploads: By path, uploads that are under way.
        submitted: Fingerprint of what was submitted; empty before.
    """

    key: str
    transfer: str = ""
    uploads: dict[str, Underway] = field(default_factory=dict)
    submitted: str = ""


def fresh() -> Memory:
    """The memory of somebody who begins."""
    return Memory(secrets.token_urlsafe(24))


def state_folder(environment: Mapping[str, str]) -> Path:
    """`$XDG_STATE_HOME/hetao/send`, or below `~/.local/state`; a relative value does not count, as the standard says."""
    named = environment.get("XDG_STATE_HOME", "")
    home = Path(named) if named.startswith("/") else Path.home() / ".local" / "state"
    return home / "hetao" / "send"


class StateFile:
    """The memory on disk. Made by `open_state`.

    Args:
        folder: Where.
        name: Of the target.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / f"{name}.json"
        self._sums_path = folder / f"{name}.sums"
        self.memory = _read(self._path) or fresh()
        lines = list(_read_sums(self._sums_path))
        self._sums = dict(lines)
        if len(lines) > 2 * len(self._sums) + 1000:
            self._write(self._sums_path, b"".join(_line(path, *kept) for path, kept in self._sums.items()))

    def begin(self) -> None:
        """Forget the transfer: the next one is a new one. Digests stay true."""
        self.memory = fresh()
        self.save()

    def save(self) -> None:
        """Make the memory durable; raises Unusable."""
        written = {"v": VERSION, **asdict(self.memory)}
        self._write(self._path, json.dumps(written, ensure_ascii=False).encode())

    def _write(self, path: Path, content: bytes) -> None:
        beside = path.with_name(path.name + ".new")
        try:
            with open(beside, "wb", opener=_private) as opened:  # Path.open takes no opener
                opened.write(content)
                opened.flush()
                os.fsync(opened.fileno())
            beside.replace(path)
        except OSError as wrong:
            raise Unusable(f"{path} cannot be written: {wrong.strerror}") from wrong

    def under_way(self, path: str, upload: Underway | None) -> None:
        """Remember, or forget, an upload."""
        if upload is None:
            if self.memory.uploads.pop(path, None) is None:
                return
        else:
            self.memory.uploads[path] = upload
        self.save()

    def sum_of(self, file: LocalFile) -> str:
        """The SHA-256 made of this very file before, hex; empty where none was."""
        kept = self._sums.get(file.path)
        return kept[1] if kept is not None and kept[0] == _look(file) else ""

    def keep_sum(self, file: LocalFile, sha256: str) -> None:
        """Remember a digest; raises Unusable."""
        self._sums[file.path] = (_look(file), sha256)
        try:
            with open(self._sums_path, "ab", opener=_private) as opened:  # as above
                opened.write(_line(file.path, _look(file), sha256))
        except OSError as wrong:
            raise Unusable(f"{self._sums_path} cannot be written: {wrong.strerror}") from wrong


@contextmanager
def open_state(folder: Path, target: Target) -> Iterator[StateFile]:
    """The state of a target, held by this run alone.

    Raises:
        Conflict: Another run has it.
        Unusable: The folder cannot be used.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / f"{target.name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as wrong:
        raise Unusable(f"{folder} cannot be used: {wrong.strerror}") from wrong
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("another `hetao send` of this dataset is running: wait for it, or end it") from None
        yield StateFile(folder, target.name)
    finally:
        os.close(lock)


Look = tuple[int, int, int]


def _look(file: LocalFile) -> Look:
    return file.size, file.modified, file.inode


def _line(path: str, look: Look, sha256: str) -> bytes:
    """A line that begins anew where a crash tore the one before."""
    return b"\n" + json.dumps([path, *look, sha256], ensure_ascii=False).encode()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _read(path: Path) -> Memory | None:
    """The memory of a file; None where there is none, or none that can be read: then everything is looked at anew."""
    try:
        if path.stat().st_size > MAX_STATE:
            return None
        document = json.loads(path.read_bytes())
        return parse_memory(document)
    except (FileNotFoundError, ValueError):
        return None
    except OSError as wrong:
        raise Unusable(f"{path} cannot be read: {wrong.strerror}") from wrong


def parse_memory(document: Any) -> Memory:
    """A memory from JSON; raises ValueError where it is none."""
    try:
        version, key, transfer, submitted = (document[name] for name in ("v", "key", "transfer", "submitted"))
        uploads = {path: Underway(**each) for path, each in document["uploads"].items()}
    except (KeyError, TypeError, AttributeError) as wrong:
        raise ValueError("not the state of a run") from wrong
    words = (key, transfer, submitted, *(word for each in uploads.values() for word in (each.address, each.sha256)))
    if version != VERSION or not key or not all(isinstance(word, str) for word in words):
        raise ValueError("not the state of a run")
    return Memory(key, transfer, uploads, submitted)


def _read_sums(path: Path) -> Iterator[tuple[str, tuple[Look, str]]]:
    try:
        with path.open(encoding="utf-8", errors="replace") as opened:
            for line in opened:
                try:
                    name, size, modified, inode, sha256 = json.loads(line)
                except (ValueError, TypeError):
                    continue  # torn by a crash
                if isinstance(name, str) and isinstance(sha256, str):
                    yield name, ((size, modified, inode), sha256)
    except FileNotFoundError:
        return
    except OSError as wrong:
        raise Unusable(f"{path} cannot be read: {wrong.strerror}") from wrong
