"""What is known of a place, in the terms of SFTP version 3 (draft-ietf-secsh-filexfer-02 section 5)."""

from __future__ import annotations

import stat
from datetime import UTC, datetime

from asyncssh import SFTPAttrs

from gateway.doors.outbox.tree import Node
from gateway.doors.sftp.answers import denied


def attributes(node: Node) -> SFTPAttrs:
    """What a node is, in version 3's terms."""
    kind = stat.S_IFDIR if node.folder else stat.S_IFREG
    mode = (0o750 if node.writable else 0o550) if node.folder else (0o640 if node.writable else 0o440)
    at = max(0, min(int(node.modified), 0xFFFFFFFF))
    return SFTPAttrs(size=node.size, uid=0, gid=0, permissions=kind | mode, atime=at, mtime=at)


def time_of(seconds: int) -> datetime:
    """A time of last change as SFTP sends it: seconds since 1970, UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def refuse_owners(attrs: SFTPAttrs) -> None:
    """Raise where owners are to be set: files here have none."""
    if attrs.uid is not None or attrs.gid is not None:
        raise denied("files here have no owners to change")
