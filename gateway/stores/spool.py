"""The vault of sealed parts as files of one directory.

What it is not: aware of what is in a part. Only Crypt4GH segments reach it; it reads nothing of them.

A change must keep these:
1. A committed name is durable: the file is synced before it gets its name, the directory after, and so is every
   directory that was made for it. What is not committed never has a part's name.
2. A part being written is held by a file lock, which the system drops when its process dies. So `sweep`, and a new
   writer of the same name, can tell what was left behind from what is being written, in any process.
3. A failed write leaves nothing behind, empty directories included, and says what to do.
4. What is held has its note behind its bytes, with a digest over it: half a note is none. A note that takes another's place
   is written behind it, and counts when it is whole; till then the one before does. `sweep` leaves such parts alone.
5. Directories are 0700 and files 0600; names are tokens, so no name can leave the root, and links are not followed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

from gateway.core.errors import StoreError
from gateway.ports import SpoolWriter

_WRITTEN_EARLY = 8 << 20  # bytes
_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}(?:/[A-Za-z0-9_-]{1,128}){0,7}")
_UNFINISHED = ".unfinished"  # has a dot, which no name has
_FILE_MODE = 0o600
_DIRECTORY_MODE = 0o700
_MARK = b"hetao/2\n"  # ends a note
_SUM = 16
_TRAILER = (
    8 + 8 + _SUM + len(_MARK)
)  # bytes before the first note, the note's length, a digest over both and it, the mark
_MAX_NOTE = 16 << 20
_MAX_HELD = 64 << 20  # a file that is held, with its notes; what is larger has one note, or none
_PIECE = 1 << 20
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV})
_ATTEMPTS = 16  # at taking a name whose directory or leftover another process removes at the same time


class LocalSpool:
    """`gateway.ports.Spool` in a local directory, which is made if it is missing. Thread-safe; for several processes."""

    def __init__(self, root: Path) -> None:
        self._root = root
        with _told("the vault's directory cannot be made"):
            root.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                root.mkdir(mode=_DIRECTORY_MODE)
                _sync_directory(root.parent)

    def create(self, name: str) -> SpoolWriter:
        """Start a part.

        Raises:
            StoreError: Where the name exists (`part-exists`), is being written (`part-busy`) or is no name (`part-name`);
                `disk-full` where there is no room for it.
        """
        path = self._path(name)
        with _told("a part cannot be started"):
            for _ in range(_ATTEMPTS):
                self._make_directories(path.parent)
                descriptor = _take(path)
                if descriptor is not None:
                    return _PartWriter(path, descriptor, self._remove_empty)
        raise StoreError("the part's name is contended: try again", code="part-busy")

    def commit(self, writers: Sequence[SpoolWriter]) -> None:
        """Commit parts of this spool, each directory synced once; those that are held stay held where this fails."""
        ours = [writer for writer in writers if isinstance(writer, _PartWriter)]
        assert len(ours) == len(writers), "a part of another spool"
        for writer in ours:
            writer.name()
        with _told("parts cannot be made durable"):
            for directory in {writer.directory for writer in ours}:
                _sync_directory(directory)
        for writer in ours:
            writer.end()

    def open(self, name: str) -> BinaryIO:
        """Read a committed part from its start; raises StoreError with code `part-missing` where it is not there."""
        with _told("a part cannot be read"):
            try:
                descriptor = os.open(self._path(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                raise _missing() from None
            return os.fdopen(descriptor, "rb")

    def salvage(self, name: str) -> int | None:
        """Commit what a dead writer left of a part, whole or not.

        Returns:
            Its bytes, also where it was committed before; 0 where there is none. None where it is being written.
        """
        path = self._path(name)
        with _told("a part that was left behind cannot be made durable"):
            with contextlib.suppress(FileNotFoundError):
                return path.stat().st_size
            return _adopt(path)

    def held(self) -> Sequence[tuple[str, bytes]]:
        """Parts that dead writers held, with their notes, sorted; those a living writer holds are not among them."""
        with _told("the vault cannot be listed"):
            return sorted(
                (path.relative_to(self._root).with_suffix("").as_posix(), note)
                for path in _files(self._root)
                if path.suffix == _UNFINISHED and (note := _note_left(path)) is not None
            )

    def copy(self, names: Mapping[str, str]) -> None:
        """Give committed parts second names (old to new), durable on return; all of them, or none.

        A second name is a hard link; where the file system has none, or no more for this part, its bytes are copied.

        Raises:
            StoreError: Where a part is missing (`part-missing`), a new name exists (`part-exists`) or is being written.
        """
        paths = [(self._path(name), self._path(new)) for name, new in names.items()]
        made: list[Path] = []
        with _told("a part cannot be copied"):
            try:
                for source, target in paths:
                    self._second_name(source, target)
                    made.append(target)
                # Once a directory: a dataset's parts get their second names in one.
                for directory in {target.parent for target in made}:
                    _sync_directory(directory)
            except BaseException:
                for target in made:
                    target.unlink(missing_ok=True)
                for directory in {target.parent for _, target in paths}:
                    self._remove_empty(directory)
                raise

    def _second_name(self, source: Path, target: Path) -> None:
        for _ in range(_ATTEMPTS):
            self._make_directories(target.parent)
            try:
                os.link(source, target, follow_symlinks=False)
            except FileExistsError:
                raise StoreError(
                    "this part exists already: parts are never replaced", code="part-exists", retry=False
                ) from None
            except FileNotFoundError:  # the part, or a directory that was empty and somebody removed
                if not source.exists():
                    raise _missing() from None
            except OSError as refused:
                if refused.errno not in _NO_LINKS:
                    raise
                return self._copied(source, target)
            else:
                return None
        raise StoreError("the part's name is contended: try again", code="part-busy")

    def _copied(self, source: Path, target: Path) -> None:
        writer = self.create(target.relative_to(self._root).as_posix())
        try:
            with self.open(source.relative_to(self._root).as_posix()) as part:
                while piece := part.read(_PIECE):
                    writer.write(piece)
            writer.commit()
        except BaseException:
            writer.abort()
            raise

    def delete(self, name: str) -> None:
        """Remove a part if it is there, durably, and the directories that are empty then."""
        path = self._path(name)
        with _told("a part cannot be removed"):
            try:
                path.unlink()
            except FileNotFoundError:
                return
            _sync_directory(path.parent)
            self._remove_empty(path.parent)

    def names(self, prefix: str) -> Sequence[str]:
        """Committed parts, sorted: all of them, or those whose name begins with the whole segments of `prefix`."""
        with _told("the vault cannot be listed"):
            return sorted(
                path.relative_to(self._root).as_posix()
                for path in _files(self._below(prefix))
                if path.suffix != _UNFINISHED
            )

    def unfinished(self, prefix: str) -> Sequence[str]:
        """Parts a living writer of any process holds, sorted; the prefix is as of `names`."""
        with _told("the vault cannot be listed"):
            return sorted(
                path.relative_to(self._root).with_suffix("").as_posix()
                for path in _files(self._below(prefix))
                if path.suffix == _UNFINISHED and _is_held(path)
            )

    def sweep(self) -> int:
        """Remove what dead writers left behind; returns how many files. Parts being written or held are left alone."""
        swept = 0
        with _told("the vault cannot be swept"):
            for path in _files(self._root):
                if path.suffix == _UNFINISHED and _note_left(path) is None and _remove_leftover(path):
                    swept += 1
                    self._remove_empty(path.parent)
        return swept

    # --- directories -------------------------------------------------------------------------------------------------

    def _below(self, prefix: str) -> Path:
        return self._root / self._checked(prefix.rstrip("/")) if prefix else self._root

    def _checked(self, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise StoreError("a part's name is made of tokens and slashes", code="part-name", retry=False)
        return name

    def _path(self, name: str) -> Path:
        return self._root / self._checked(name)

    def _make_directories(self, directory: Path) -> None:
        """Make what is missing below the root, and sync each directory that got an entry."""
        if directory == self._root or directory.is_dir():
            return
        self._make_directories(directory.parent)
        with contextlib.suppress(
            FileExistsError, FileNotFoundError
        ):  # made or removed by another; the caller tries again
            directory.mkdir(mode=_DIRECTORY_MODE)
            _sync_directory(directory.parent)

    def _remove_empty(self, directory: Path) -> None:
        while directory != self._root:
            try:
                directory.rmdir()
            except FileNotFoundError:
                pass
            except OSError as refused:
                if refused.errno in {errno.ENOTEMPTY, errno.EEXIST}:
                    return
                raise
            directory = directory.parent


class _PartWriter:
    """`gateway.ports.SpoolWriter`: an unfinished file, locked while it is written."""

    def __init__(self, path: Path, descriptor: int, tidy: Callable[[Path], None]) -> None:
        self._path = path
        self._tidy = tidy
        self._unfinished = _unfinished(path)
        self._descriptor = descriptor
        self._open = True
        self._named = False
        self._entered = False  # whether its unfinished name is durable
        self._fresh = 0  # bytes that the system was not asked to write yet
        self._content: int | None = None  # bytes before the note, where there is one

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append sealed bytes; a failure removes the part."""
        assert self._open, "the part is committed or aborted"
        with self._all_or_nothing("a part cannot be written"):
            self._append(data)

    def enter(self) -> None:
        """Make the unfinished file's name durable."""
        if not self._entered:
            with _told("a part cannot be made durable"):
                _sync_directory(self._path.parent)
            self._entered = True

    def hold(self, note: bytes) -> None:
        """Make what was written durable with a note, without a name; a failure removes the part.

        Again, for a note that takes the place of the one before; where that fails, the one before stands.
        """
        assert self._open, "the part is committed or aborted"
        assert len(note) <= _MAX_NOTE, "a note of this size is no note"
        if self._content is not None:
            self._hold_again(self._content, note)
            return
        with self._all_or_nothing("a part cannot be made durable"):
            content = os.lseek(self._descriptor, 0, os.SEEK_CUR)
            self._append(_with_trailer(content, note))
            os.fsync(self._descriptor)
            self.enter()
        self._content = content

    def _append(self, data: bytes | bytearray | memoryview) -> None:
        with memoryview(data) as view, view.cast("B") as rest:
            at = 0
            while at < len(rest):
                at += os.write(self._descriptor, rest[at:])
            self._fresh += at
        if self._fresh >= _WRITTEN_EARLY:
            self._write_early()

    def _write_early(self) -> None:
        """Have the system begin to write; else `fsync` finds it all to write, and the sender waits for that.

        What is not written yet stays in the page cache, and so the relay finds it there.
        """
        if hasattr(os, "posix_fadvise"):
            start = max(0, os.lseek(self._descriptor, 0, os.SEEK_CUR) - self._fresh)
            with contextlib.suppress(OSError):  # advice
                os.posix_fadvise(self._descriptor, start, self._fresh, os.POSIX_FADV_DONTNEED)
        self._fresh = 0

    def _hold_again(self, content: int, note: bytes) -> None:
        size = os.fstat(self._descriptor).st_size
        with _told("a note cannot be made durable"):
            try:
                self._append(_with_trailer(content, note))
                os.fsync(self._descriptor)
            except OSError:
                os.ftruncate(self._descriptor, size)
                os.lseek(self._descriptor, size, os.SEEK_SET)
                raise

    def commit(self) -> None:
        """Return once the part and its name are durable; a failure removes the part."""
        with self._all_or_nothing("a part cannot be made durable"):
            self.name()
            _sync_directory(self._path.parent)
        self.end()

    @property
    def directory(self) -> Path:
        """Where the part's name is."""
        return self._path.parent

    def name(self) -> None:
        """Give the part its name, which is durable when its directory is synced. May be tried again."""
        assert self._open, "the part is committed or aborted"
        if self._named:
            return
        with _told("a part cannot be made durable"):
            if self._content is None:
                os.fsync(self._descriptor)
            else:  # durable with the name: both are the file system's records
                os.ftruncate(self._descriptor, self._content)
            # Nobody else can give this name: that takes the lock on the unfinished file, which is held here.
            os.rename(self._unfinished, self._path)  # noqa: PTH104  # a fifth of pathlib's time, for every small file
            self._named = True

    def end(self) -> None:
        """Let go of a part whose name is durable."""
        self._close()

    def abort(self) -> None:
        """Remove every trace of the part; safe to call after a failure, and nothing after a commit that succeeded."""
        if not self._open:
            return
        with _told("an unfinished part cannot be removed"):
            with contextlib.suppress(FileNotFoundError):
                (self._path if self._named else self._unfinished).unlink()
            self._close()
            self._tidy(self._path.parent)

    def _close(self) -> None:
        self._open = False
        os.close(self._descriptor)

    @contextlib.contextmanager
    def _all_or_nothing(self, what: str) -> Iterator[None]:
        with _told(what):
            try:
                yield
            except (OSError, StoreError):
                self.abort()
                raise


def _missing() -> StoreError:
    message = "a sealed part is missing from the vault: restore it, or ask the sender to send the file again"
    return StoreError(message, code="part-missing", retry=False)


def _unfinished(path: Path) -> Path:
    return path.with_name(path.name + _UNFINISHED)


def _take(path: Path) -> int | None:
    """A locked descriptor of a new unfinished file for this part; None where another try may do better."""
    unfinished = _unfinished(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(unfinished, flags, _FILE_MODE)
    except FileNotFoundError:  # the directory was empty and somebody removed it
        return None
    except FileExistsError:
        if not _remove_leftover(unfinished):
            raise StoreError("this part is being written already: let that end first", code="part-busy") from None
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink == 0:  # swept between its making and its locking
            os.close(descriptor)
            return None
        if path.exists():
            raise StoreError("this part exists already: parts are never replaced", code="part-exists", retry=False)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            unfinished.unlink()
        os.close(descriptor)
        raise
    return descriptor


def _note_left(unfinished: Path) -> bytes | None:
    """The note behind an unfinished part whose writer is gone; None where there is none, or the writer lives."""
    try:
        descriptor = os.open(unfinished, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        noted = _note_in(descriptor)
        return noted[1] if noted else None
    except BlockingIOError:
        return None
    finally:
        os.close(descriptor)


def _with_trailer(content: int, note: bytes) -> bytes:
    told = content.to_bytes(8, "big") + len(note).to_bytes(8, "big")
    return note + told + blake2b(told + note, digest_size=_SUM).digest() + _MARK


def _note_in(descriptor: int) -> tuple[int, bytes] | None:
    """The last whole note, and how many bytes stand before the first one; None where there is no note."""
    size = os.fstat(descriptor).st_size
    whole = _note_before(descriptor, size)
    if whole is None and size <= _MAX_HELD:  # one that was to take its place broke off: look for the one before
        kept = os.pread(descriptor, size, 0)
        end = size
        while whole is None and (found := kept.rfind(_MARK, 0, end)) >= 0:
            whole = _note_before(descriptor, found + len(_MARK))
            end = found + len(_MARK) - 1
    return whole


def _note_before(descriptor: int, end: int) -> tuple[int, bytes] | None:
    """The note that ends at a byte, or None."""
    trailer = os.pread(descriptor, _TRAILER, max(0, end - _TRAILER))
    content, length = int.from_bytes(trailer[:8], "big"), int.from_bytes(trailer[8:16], "big")
    if len(trailer) < _TRAILER or not trailer.endswith(_MARK) or length > min(_MAX_NOTE, end - _TRAILER - content):
        return None
    note = os.pread(descriptor, length, end - _TRAILER - length)
    return (
        (content, note)
        if blake2b(trailer[:16] + note, digest_size=_SUM).digest() == trailer[16 : -len(_MARK)]
        else None
    )


def _adopt(path: Path) -> int | None:
    """Give an unfinished file whose writer is gone its name; its size, 0 where it is not there. None where its writer lives."""
    try:
        descriptor = os.open(_unfinished(path), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(descriptor), _unfinished(path).lstat()):
            return 0
        if (noted := _note_in(descriptor)) is not None:
            os.ftruncate(descriptor, noted[0])
        os.fsync(descriptor)
        _unfinished(path).rename(path)
        _sync_directory(path.parent)
        return os.fstat(descriptor).st_size
    except BlockingIOError:
        return None
    except FileNotFoundError:
        return 0
    finally:
        os.close(descriptor)


def _remove_leftover(unfinished: Path) -> bool:
    """Remove an unfinished file whose writer is gone; False where its writer lives. True where it is gone already."""
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), unfinished.lstat()):
            unfinished.unlink()
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return True
    finally:
        os.close(descriptor)
    return True


def _is_held(unfinished: Path) -> bool:
    """Whether a writer lives. It asks for a shared lock: two that ask at once do not take each other for a writer."""
    try:
        descriptor = os.open(unfinished, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:  # it ended meanwhile
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _files(below: Path) -> Iterator[Path]:
    """Every file below a directory; none where it is not there."""
    for directory, _, names in os.walk(below):
        yield from (Path(directory, name) for name in names)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn the system's refusal into a StoreError that says what to do; names stay out of the message."""
    try:
        yield
    except OSError as refused:
        if refused.errno in {errno.ENOSPC, errno.EDQUOT}:
            message = f"{what}: the vault's disk is full; free space or enlarge it, then send again"
            raise StoreError(message, code="disk-full") from refused
        reason = os.strerror(refused.errno) if refused.errno else "unknown"
        raise StoreError(f"{what}: the system says {reason!r}; look at the vault's disk", code="vault") from refused
