"""Writing keys to disk so that nobody else can read them, at any moment.

What this is not: secure deletion or encryption at rest; the disk and its backups are the operator's.

The rules a change must keep:
1. `os.open` with O_EXCL, O_NOFOLLOW and the mode: a `chmod` after leaves a moment in which others read.
2. An existing file is never replaced: a lost key cannot be brought back. (Taking a token key out of use is meant to lose it:
   `jwtkeys.rotate_jwt_key`.)
3. The key is durable (fsync of file and folder) before its public half is shown to anybody.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from gateway.core.errors import Conflict, StoreError, Unusable


@dataclass(frozen=True)
class KeyFiles:
    """Where a key pair was written.

    Attributes:
        private: The private key, mode 0600.
        public: The public half, mode 0644, to be given to others.
        identity: A short line by which people recognise the key (fingerprint, key id, verifier key).
    """

    private: Path
    public: Path
    identity: str


def make_key_folder(folder: Path) -> Path:
    """The folder, made with mode 0700 where it is missing.

    Raises:
        Unusable: It exists and others may enter or write it.
        StoreError: It cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = folder.stat().st_mode
    except OSError as refused:
        raise StoreError(f"the key folder cannot be made ({refused.strerror})", retry=False) from refused
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise Unusable("the key folder is open to others: run `chmod 700` on it or name another", code="bad-key-folder")
    return folder


def write_private(path: Path, content: bytes) -> Path:
    """A new file of mode 0600 in a private folder.

    Raises:
        Conflict: The file exists.
        StoreError: It cannot be written.
    """
    make_key_folder(path.parent)
    return _write(path, content, 0o600)


def write_public(path: Path, content: bytes) -> Path:
    """A new file of mode 0644 (less the umask) for what may be shown to anybody.

    Raises:
        Conflict: The file exists.
        StoreError: It cannot be written.
    """
    return _write(path, content, 0o644)


def write_pair(folder: Path, name: str, private: bytes, public: tuple[str, bytes], identity: str) -> KeyFiles:
    """A key pair as `<name>` and `<name><suffix>`, where `public` is (suffix, content).

    Raises:
        Conflict: One of the files exists; nothing was written then.
        Unusable: The name is not a plain file name.
    """
    if not name or name in {".", ".."} or Path(name).name != name or not name.isprintable():
        raise Unusable("a key's name must be a plain file name", code="bad-key-name")
    suffix, content = public
    if (folder / (name + suffix)).exists():
        raise _taken(name + suffix)
    written = write_private(folder / name, private)
    return KeyFiles(written, write_public(folder / (name + suffix), content), identity)


def _write(path: Path, content: bytes, mode: int) -> Path:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(path, flags, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)
    except FileExistsError as taken:
        raise _taken(path.name) from taken
    except OSError as refused:
        raise StoreError(f"the key file cannot be written ({refused.strerror})", retry=False) from refused
    return path


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable; raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _taken(name: str) -> Conflict:
    return Conflict(f"{name} exists: keys are never overwritten, name another file or move the old one away")
