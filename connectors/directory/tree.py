"""Folders and files below one directory, reached so that no symbolic link can lead outside.

What this is not: a sandbox against the directory's owner, who may do as they please with what has arrived.

The rules a change must keep:
1. Every step is `openat` with O_NOFOLLOW relative to the descriptor of the step before (CWE-61, CWE-22); no path with
   a slash is ever handed to the kernel below the base.
2. A name appears by `link`, which refuses a name that exists, and only after the bytes and then the folder are fsynced.
3. Errors of the directory are EndpointErrors; whether another attempt can help is decided in one table.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from gateway.core.errors import EndpointError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # O_NONBLOCK: a planted FIFO must not hang us
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
# What another attempt cannot mend without somebody changing the endpoint or its settings.
_PERMANENT = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EISDIR}
)
_FOREIGN = frozenset({errno.ENOTDIR, errno.ELOOP, errno.EISDIR})
PIECE = 1 << 20


@contextmanager
def blamed(doing: str) -> Iterator[None]:
    """Turn the directory's OSErrors into EndpointErrors; `doing` completes "the directory refuses to ..."."""
    try:
        yield
    except OSError as refused:
        if refused.errno in _FOREIGN:
            raise foreign() from refused
        raise EndpointError(
            f"the endpoint's directory refuses to {doing} ({refused.strerror}): check that it is mounted, has room and"
            " that the gateway's user may write there",
            code="directory",
            retry=refused.errno not in _PERMANENT,
        ) from refused


def foreign() -> EndpointError:
    """Something that is not ours stands where a file or folder of this consignment belongs."""
    return EndpointError(
        "at the endpoint something else stands where this consignment belongs; nothing was overwritten: have the"
        " endpoint's operator look at the folder and move it away",
        code="foreign-content",
        retry=False,
    )


@contextmanager
def opened_base(path: Path) -> Iterator[int]:
    """A descriptor of the endpoint's base; it must exist (an unmounted share must not be filled underneath)."""
    with blamed("open its base"):
        base = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield base
    finally:
        os.close(base)


@contextmanager
def opened_folder(base: int, segments: Sequence[str]) -> Iterator[int]:
    """A descriptor of a folder below the base, made where it is missing."""
    current = os.dup(base)
    try:
        for segment in segments:
            with blamed("make a folder"):
                below = _step(current, segment)
            os.close(current)
            current = below
        yield current
    finally:
        os.close(current)


def _step(folder: int, name: str) -> int:
    with suppress(FileNotFoundError):
        return os.open(name, _FOLDER, dir_fd=folder)
    with suppress(FileExistsError):  # another transfer of the same institution was quicker
        os.mkdir(name, 0o750, dir_fd=folder)
        os.fsync(folder)
    return os.open(name, _FOLDER, dir_fd=folder)


def exists(folder: int, name: str) -> bool:
    """Whether a name is taken, by anything."""
    with blamed("look at a name"):
        try:
            os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
    return True


def discard(folder: int, name: str) -> None:
    """Remove a leftover of ours."""
    with blamed("remove a temporary file"), suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def write(folder: int, name: str, content: Iterable[bytes | memoryview]) -> int:
    """Write a new file and make it durable; returns its bytes. `content` may raise: then the leftover stays."""
    with blamed("create a file"):
        target = os.open(name, _CREATE, 0o640, dir_fd=folder)
    try:
        written = 0
        for piece in content:
            with blamed("take more bytes"):
                written += _write_all(target, piece)
        with blamed("make a file durable"):
            os.fsync(target)
            # Read-back shall see the medium, not the pages just written.
            os.posix_fadvise(target, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(target)
    return written


def read(folder: int, name: str) -> Iterator[bytes]:
    """A regular file's bytes in pieces of at most 1 MiB; anything that is no regular file is foreign."""
    with blamed("open a file"):
        stored = os.open(name, _READ, dir_fd=folder)
    try:
        with blamed("read a file back"):
            if not stat.S_ISREG(os.fstat(stored).st_mode):
                raise foreign()
            while piece := os.read(stored, PIECE):
                yield piece
    finally:
        os.close(stored)


def publish(folder: int, temporary: str, name: str) -> None:
    """Give a durable file its final name, never over an existing one, and make the name durable."""
    with blamed("publish a file"):
        try:
            os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        except FileExistsError as taken:
            raise foreign() from taken
        except OSError as refused:
            if refused.errno not in _NO_LINKS:
                raise
            # A file system without hard links (exFAT, some shares): the name was seen to be free a moment ago.
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)
    discard(folder, temporary)


def _write_all(target: int, piece: bytes | memoryview) -> int:
    view = memoryview(piece)
    while view:
        view = view[os.write(target, view) :]
    return len(piece)
