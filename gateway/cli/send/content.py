"""A file's bytes on their way: read in pieces off the event loop, and noticed where they change meanwhile."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable
from typing import BinaryIO, Final

from gateway.cli.dataset import LocalFile, look_again
from gateway.core.errors import Unusable

PIECE: Final = 1 << 20


class Changed(Exception):
    """The file is not what it was when it was looked at: look again and begin anew."""


async def digest(file: LocalFile, read: Callable[[int], None]) -> str:
    """SHA-256 of a file, hex.

    Args:
        file: Which.
        read: Told the bytes just read.

    Raises:
        Changed: It is shorter, longer or newer than it was.
        Unusable: It cannot be read.
    """
    made, count = hashlib.sha256(), 0
    with open_file(file) as opened:
        while piece := await asyncio.to_thread(opened.read, PIECE):
            await asyncio.to_thread(made.update, piece)
            count += len(piece)
            read(len(piece))
    if count != file.size or not file.same(look_again(file)):
        raise Changed
    return made.hexdigest()


async def pieces(opened: BinaryIO, file: LocalFile, start: int, moved: Callable[[int], None]) -> AsyncGenerator[bytes]:
    """The bytes from `start` to the end the file had.

    Args:
        opened: The file, open. Who opened it closes it: an HTTP client may leave a body where it was.
        file: Which.
        start: Offset of the first byte.
        moved: Told how far it got, before the next piece is read: what was handed over so far.

    Raises:
        Changed: It ended early.
    """
    at = start
    await asyncio.to_thread(opened.seek, start)
    while at < file.size:
        piece = await asyncio.to_thread(opened.read, min(PIECE, file.size - at))
        if not piece:
            raise Changed
        yield piece
        at += len(piece)
        moved(at)


def open_file(file: LocalFile) -> BinaryIO:
    """The file, open for reading. Not in a thread: a run that is stopped meanwhile would leave it open.

    Raises:
        Changed: It is gone.
        Unusable: It cannot be read.
    """
    try:
        return file.place.open("rb")
    except FileNotFoundError:
        raise Changed from None
    except OSError as wrong:
        raise Unusable(f"{file.path} cannot be read: {wrong.strerror}") from wrong
