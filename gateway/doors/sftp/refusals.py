"""What asyncssh's server of the host's files would do and this door does not.

What it is not: the door's requests (`files`), which stand on this class.

A change must keep this: every public method of `asyncssh.SFTPServer` is overridden here or in `files`; a test enumerates them.
"""

from __future__ import annotations

import stat
import time
from collections.abc import Awaitable
from typing import Any, NoReturn

import asyncssh
from asyncssh import SFTPAttrs, SFTPName

from gateway.doors.sftp.answers import unsupported


class NoHost(asyncssh.SFTPServer):
    """An SFTP server without the host: no links, locks, users, or paths of its own."""

    def open56(self, *_asked: object) -> NoReturn:
        """Version 3 only."""
        raise unsupported("this is SFTP version 3")

    def readlink(self, *_asked: object) -> NoReturn:
        """There are no links."""
        raise unsupported("there are no links here")

    def symlink(self, *_asked: object) -> NoReturn:
        """There are no links."""
        raise unsupported("there are no links here")

    def link(self, *_asked: object) -> NoReturn:
        """There are no links."""
        raise unsupported("there are no links here")

    def lock(self, *_asked: object) -> NoReturn:
        """Nothing is shared that would need it."""
        raise unsupported("files are not locked here")

    def unlock(self, *_asked: object) -> NoReturn:
        """Nothing is shared that would need it."""
        raise unsupported("files are not locked here")

    async def convert_attrs(self, result: Any) -> SFTPAttrs:
        """Attributes are made here in the form they are sent in."""
        found = await result if isinstance(result, Awaitable) else result
        assert isinstance(found, SFTPAttrs)
        return found

    def map_path(self, *_asked: object) -> NoReturn:
        """No path is one of the host's."""
        raise unsupported("no path here is one of the host's")

    def reverse_map_path(self, *_asked: object) -> NoReturn:
        """No path is one of the host's."""
        raise unsupported("no path here is one of the host's")

    def format_user(self, _uid: int | None) -> str:
        """Nobody of the host's users is named."""
        return "sender"

    def format_group(self, _gid: int | None) -> str:
        """Nor a group."""
        return "hetao"

    def format_longname(self, name: SFTPName) -> None:
        """The line `ls -l` shows."""
        attrs = name.attrs
        mode = stat.filemode(attrs.permissions or 0)
        at = time.strftime("%b %d %H:%M", time.gmtime(attrs.mtime or 0))
        shown = name.filename if isinstance(name.filename, bytes) else name.filename.encode()
        name.longname = f"{mode} 1 sender   hetao    {attrs.size or 0:>12} {at} ".encode() + shown

    def exit(self) -> None:
        """Nothing is left: handles were closed or abandoned."""
