"""What is told of a place in a PROPFIND, and what a PROPPATCH may set.

What it is not: the multistatus itself (`wire.dav`), or dead properties: a dataset has no room for things that are not files.

A change must keep these:
1. What is told is what is recorded: sizes and times of files as their sender knows them, digests as they were received.
2. What clients set beside a file out of habit is let pass; of anything else they learn that it is not kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from gateway.doors.https.dav.desk import etag_of
from gateway.doors.https.dav.gate import lock_root
from gateway.doors.outbox.tree import Node
from gateway.ports import EditLock
from gateway.wire import Malformed, dav
from gateway.wire.dav import DAV, Asked, Name, PropStat
from gateway.wire.dav_headers import format_date, parse_date

OWNCLOUD: Final = "http://owncloud.org/ns"
MICROSOFT: Final = "urn:schemas-microsoft-com:"
CHECKSUMS: Final = Name(OWNCLOUD, "checksums")
# What Finder, davfs2 and cadaver set of their own; files here have no such thing, and the clients do not miss it.
_LET_PASS: Final = frozenset(
    {"http://www.apple.com/webdav_fs/props/", "http://apache.org/dav/props/", "http://ucb.openoffice.org/dav/props/"}
)
_WINDOWS: Final = frozenset({"Win32CreationTime", "Win32LastAccessTime", "Win32FileAttributes"})
_TIMES: Final = frozenset(
    {Name(DAV, "getlastmodified"), Name(DAV, "lastmodified"), Name(MICROSOFT, "Win32LastModifiedTime")}
)
_LATEST: Final = 253_402_300_799  # the last second of the year 9999


def properties_of(name: str, node: Node, locks: Sequence[EditLock], now: datetime) -> dict[Name, str]:
    """Every property of a place, each with its content as XML; `locks` are those that cover it."""
    at = datetime.fromtimestamp(int(node.modified), UTC)
    told = {
        "displayname": dav.escape(name),
        "creationdate": f"{at:%Y-%m-%dT%H:%M:%S}Z",
        "getlastmodified": format_date(node.modified),
        "resourcetype": "<D:collection/>" if node.folder else "",
        "supportedlock": dav.SUPPORTED_LOCK,
        "lockdiscovery": "".join(active_lock(lock, now) for lock in locks),
    }
    if not node.folder:
        told |= {"getcontentlength": str(node.size), "getcontenttype": "application/octet-stream"}
    if etag := etag_of(node):
        told["getetag"] = dav.escape(etag)
    found = {Name(DAV, local): content for local, content in told.items()}
    if node.sha256 and not node.folder:
        found[CHECKSUMS] = dav.element(Name(OWNCLOUD, "checksum"), f"SHA256:{node.sha256.hex()}")
    return found


def active_lock(lock: EditLock, now: datetime) -> str:
    """A lock as `lockdiscovery` tells it."""
    seconds = max(0, int((lock.until - now).total_seconds()))
    return dav.active_lock(token=lock.token, root=lock_root(lock), deep=lock.deep, owner=lock.owner, seconds=seconds)


def selected(asked: Asked, found: dict[Name, str]) -> Iterator[PropStat]:
    """Of a place's properties those that are asked for."""
    if asked.kind == "propname":
        yield PropStat(200, [(name, "") for name in found])
        return
    wanted = [name for name in found if name.namespace == DAV] if asked.kind == "allprop" else []
    wanted += [name for name in asked.names if name not in wanted]
    yield PropStat(200, [(name, found[name]) for name in wanted if name in found])
    yield PropStat(404, [(name, "") for name in wanted if name not in found])


def patched(updates: Sequence[dav.Update]) -> tuple[list[PropStat], datetime | None]:
    """What a PROPPATCH is answered, and the time of last change it sets, if it sets one; all of it or nothing holds."""
    statuses = {each.name: _status(each) for each in updates}
    amiss = any(status != 200 for status in statuses.values())
    told = {name: (424 if amiss and status == 200 else status) for name, status in statuses.items()}
    groups = [
        PropStat(status, [(name, "") for name, each in told.items() if each == status])
        for status in dict.fromkeys(told.values())
    ]
    times = [each.value for each in updates if each.name in _TIMES and each.value]
    return groups, None if amiss or not times else parse_time(times[-1])


def _status(update: dav.Update) -> int:
    name, value = update.name, update.value
    if name in _TIMES and value is not None:
        return 200 if _readable(value) else 409
    if name.namespace in _LET_PASS or (name.namespace == MICROSOFT and name.local in _WINDOWS):
        return 200
    return 403


def _readable(value: str) -> bool:
    try:
        parse_time(value)
    except Malformed:
        return False
    return True


def parse_time(value: str) -> datetime:
    """A time of last change as clients write it: HTTP's form, or seconds since 1970, perhaps with a fraction (rclone).

    Raises:
        Malformed: It is neither.
    """
    whole, _, fraction = value.strip().partition(".")
    if whole.isascii() and whole.isdigit() and (not fraction or (fraction.isascii() and fraction.isdigit())):
        if len(whole) > 12 or int(whole) > _LATEST:
            raise Malformed("there is no such time")
        return datetime.fromtimestamp(int(whole), UTC)
    return parse_date(value)
