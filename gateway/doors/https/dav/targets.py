"""Addresses under `/dav/`: a raw request target or Destination in, a `Target` out, and back to an href.

What it is not: the tree. Nothing is looked up here.

A change must keep these:
1. A path is decoded once, from what stood on the wire, and passes the same gate as every other door's (`outbox.places`).
2. Dot segments are refused, encoded or not: a client resolves its own before it asks (RFC 3986 section 5.2.4).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from gateway.core.errors import CallerError, NotFound, Unusable
from gateway.core.names import DatasetName, decode_url_path, parse_path
from gateway.doors.outbox.places import OUTBOX, Place, parse_place
from gateway.wire import Malformed, dav_headers

ROOT: Final = "/dav"
_AUTHORITY: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
# Files that macOS and Windows put beside what they show (AppleDouble, folder settings, thumbnails).
_FORGOTTEN: Final = re.compile(r"\._.*|\.DS_Store|Thumbs\.db|desktop\.ini", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Target:
    """What a request is about.

    Attributes:
        path: All of it below `/dav/`, decoded, without slashes at the ends.
        place: Where that is in the tree; None where only what is forgotten can be.
        forgotten: Whether this is a file manager's own file, taken and not kept.
    """

    path: str
    place: Place
    forgotten: bool = False

    @property
    def in_dataset(self) -> bool:
        """Whether it lies in a dataset's folder."""
        return self.place.area == OUTBOX and bool(self.place.path)

    def lock_scope(self, institution: str) -> tuple[DatasetName, str]:
        """The dataset and the path in it that a lock is on; what is forgotten has a scope of its own."""
        if self.forgotten:
            return DatasetName(institution, "", "", ""), self.path
        return self.place.dataset(institution), self.place.path

    @property
    def href(self) -> str:
        """Its address without a slash at the end."""
        return f"{ROOT}/{dav_headers.encode_path(self.path)}" if self.path else ROOT


def target_of(request: web.Request) -> Target:
    """What the request's own target names; raises as `parse_target`."""
    raw = request.raw_path
    origin = _AUTHORITY.match(raw)  # absolute-form (RFC 9112 section 3.2.2)
    return parse_target(raw[origin.end() :] if origin else raw)


def destination_of(request: web.Request) -> Target:
    """What the Destination names.

    Raises:
        Unusable: There is none, or it cannot be read.
        CallerError: `other-host` (RFC 4918 section 9.8.5).
    """
    given = request.headers.getall("Destination", [])
    if len(given) != 1:
        raise Unusable("send one Destination field: where to", code="bad-header")
    try:
        authority, path = dav_headers.parse_destination(given[0])
    except Malformed as wrong:
        raise Unusable(str(wrong), code="bad-header") from wrong
    if authority and authority != request.host.lower():
        raise CallerError("the destination is on another host: this gateway copies to no other", code="other-host")
    try:
        return parse_target(path)
    except NotFound as elsewhere:
        raise CallerError("the destination is not below /dav/", code="other-host") from elsewhere


def parse_target(raw: str) -> Target:
    """A still-encoded path from `/dav` on.

    Raises:
        Unusable: It is no path, or has a query.
        NotFound: It does not begin with `/dav`, or nothing can be there.
    """
    if "?" in raw or "#" in raw:
        raise Unusable("a '?' or '#' in a name is written %3F or %23; a query has no meaning here", code="bad-path")
    if raw != ROOT and not raw.startswith(f"{ROOT}/"):
        raise NotFound("there is nothing at this address", code="no-such-route")
    decoded = decode_url_path(raw.removeprefix(ROOT)).strip(b"/")
    segments = [each for each in decoded.split(b"/") if each]
    if {b".", b".."} & set(segments):
        raise Unusable("the path has a '.' or '..' segment: give a plain path", code="bad-path")
    joined = b"/".join(segments)
    if segments and _FORGOTTEN.fullmatch(segments[-1].decode("utf-8", "replace")):
        path = parse_path(joined)
        return Target(path, _place_or_root(joined), forgotten=True)
    place = parse_place(joined)
    return Target(joined.decode(), place)


def _place_or_root(joined: bytes) -> Place:
    try:
        return parse_place(joined)
    except (NotFound, Unusable):
        return Place()


def child(target: Target, name: str) -> Target:
    """Something in a folder."""
    path = f"{target.path}/{name}" if target.path else name
    return Target(path, parse_place(path.encode()))


def parent_path(path: str) -> str | None:
    """The folder a path of a dataset lies in; None of the dataset itself, which the empty path is."""
    return path.rpartition("/")[0] if path else None
