"""A dataset as it lies on the sender's machine: which files it has, under which names, and what keeps it from being sent.

What it is not: a reader of contents.

A change must keep these:
1. Nothing is left out in silence: what cannot be sent is a fault, and with one fault nothing is sent.
2. A symbolic link is followed only where that was asked for: it may lead out of the folder somebody looked through.
3. Names are checked here by the gateway's own rules (`core.names`, `core.intake`), before a byte is sent.
4. What is kept of a file has a fixed size; contents are never held.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from gateway.core.errors import GatewayError, Unusable
from gateway.core.intake import Limits, refuse_folding
from gateway.core.names import MAX_DEPTH, parse_path

MAX_FILES: Final = Limits().files
_SHOWN: Final = 20  # faults that are told one by one
_KINDS: Final = ((stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"), (stat.S_ISBLK, "a device"))


@dataclass(frozen=True)
class LocalFile:
    """A file to send.

    Attributes:
        path: Its name in the dataset.
        place: Where it lies.
        size: Bytes when it was looked at.
        modified: Time of last change, nanoseconds.
        inode: Its number in the file system: another one means it was replaced.
    """

    path: str
    place: Path
    size: int
    modified: int
    inode: int

    def same(self, other: LocalFile | None) -> bool:
        """Whether the other look saw the same content, as far as can be told without reading."""
        mine = (self.size, self.modified, self.inode)
        return other is not None and mine == (other.size, other.modified, other.inode)


@dataclass(frozen=True)
class Fault:
    """Something that cannot be sent, and what to do."""

    path: str
    why: str


@dataclass(frozen=True)
class Dataset:
    """What was found.

    Attributes:
        files: In the order of their names.
        faults: What cannot be sent.
        empty_folders: How many folders have no file: they have no place in a dataset.
    """

    files: tuple[LocalFile, ...]
    faults: tuple[Fault, ...]
    empty_folders: int

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(each.size for each in self.files)

    def whole(self) -> Dataset:
        """The dataset itself where everything in it can be sent.

        Raises:
            Unusable: It is empty, or has faults: the first twenty of them, with what to do.
        """
        if self.faults:
            told = "".join(f"\n  {each.path}: {each.why}" for each in self.faults[:_SHOWN])
            more = f"\n  ... and {len(self.faults) - _SHOWN} more" if len(self.faults) > _SHOWN else ""
            raise Unusable(f"{len(self.faults)} thing(s) here cannot be sent as they are:{told}{more}")
        if not self.files:
            raise Unusable("there are no files here: name files, or a folder with files in it")
        return self


def find_dataset(paths: Sequence[Path], *, follow: bool = False, exclude: Sequence[str] = ()) -> Dataset:
    """Look through files and folders.

    Args:
        paths: One folder, whose content is the dataset; or files and folders, which stand in it under their own names.
        follow: Whether symbolic links are followed.
        exclude: Patterns (`*.tmp`) of names or paths in the dataset that are left out.

    Raises:
        Unusable: A path that is not there, or more files than a transfer takes.
    """
    search = _Search(follow=follow, exclude=exclude)
    for path in paths:
        if not os.path.lexists(path):
            raise Unusable(f"{path} does not exist")
        alone = len(paths) == 1 and path.is_dir()
        search.look(path, "" if alone else path.resolve().name if path.name in {"", ".."} else path.name, top=True)
    files = sorted(search.files, key=lambda each: each.path.encode())
    return Dataset(tuple(files), (*search.faults, *_folding(files)), search.empty_folders)


def look_again(file: LocalFile) -> LocalFile | None:
    """The file as it is now; None where it is gone or no plain file any more."""
    try:
        about = file.place.stat()
    except OSError:
        return None
    return _local(file.path, file.place, about) if stat.S_ISREG(about.st_mode) else None


class _Search:
    def __init__(self, *, follow: bool, exclude: Sequence[str]) -> None:
        self._follow = follow
        self._exclude = exclude
        self.files: list[LocalFile] = []
        self.faults: list[Fault] = []
        self.empty_folders = 0

    def look(self, place: Path, path: str, *, top: bool = False, above: tuple[tuple[int, int], ...] = ()) -> None:
        """Take one entry, and what is below it."""
        if any(fnmatchcase(path, each) or fnmatchcase(path.rpartition("/")[2], each) for each in self._exclude):
            return
        try:
            if place.is_symlink() and not (self._follow or top):  # what was named on the command line was meant
                self._fault(path, "is a symbolic link: put the file itself here, or follow links with --follow-links")
                return
            about = place.stat()
        except OSError as wrong:
            self._fault(path, f"cannot be read: {wrong.strerror}")
            return
        if stat.S_ISDIR(about.st_mode):
            self._folder(place, path, about, above)
        elif stat.S_ISREG(about.st_mode):
            self._file(place, path, about)
        else:
            kind = next((word for is_kind, word in _KINDS if is_kind(about.st_mode)), "a device")
            self._fault(path, f"is {kind}, not a file: take it out, or leave it out with --exclude")

    def _folder(self, place: Path, path: str, about: os.stat_result, above: tuple[tuple[int, int], ...]) -> None:
        here = (about.st_dev, about.st_ino)
        if here in above or len(above) > MAX_DEPTH:
            self._fault(path, "is a folder inside itself, or too deep: take the link out")
            return
        try:
            names = sorted(os.listdir(place))  # noqa: PTH208  # names as they are, also those that are not UTF-8
        except OSError as wrong:
            self._fault(path, f"cannot be opened: {wrong.strerror}")
            return
        self.empty_folders += not names
        for name in names:
            self.look(place / name, f"{path}/{name}" if path else name, above=(*above, here))

    def _file(self, place: Path, path: str, about: os.stat_result) -> None:
        try:
            parse_path(path)
        except Unusable as wrong:
            self._fault(path, wrong.message)
            return
        if not os.access(place, os.R_OK):
            self._fault(path, "may not be read by you: change its permissions")
            return
        if len(self.files) == MAX_FILES:
            raise Unusable(f"there are more than {MAX_FILES} files: pack them into archives, or send several datasets")
        self.files.append(_local(path, place, about))

    def _fault(self, path: str, why: str) -> None:
        shown = path.encode("utf-8", "backslashreplace").decode()
        self.faults.append(Fault(shown or ".", why))


def _local(path: str, place: Path, about: os.stat_result) -> LocalFile:
    return LocalFile(path, place, about.st_size, about.st_mtime_ns, about.st_ino)


def _folding(files: Sequence[LocalFile]) -> Iterator[Fault]:
    """Names that are twice the same, or that another file system would take for the same."""
    before = ""
    for file in files:
        if file.path == before:
            yield Fault(file.path, "is there twice: name the folder above instead")
        before = file.path
    try:
        refuse_folding([file.path for file in files])
    except GatewayError as wrong:
        yield Fault("names", wrong.message)
