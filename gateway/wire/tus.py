"""tus 1.0.0, the resumable upload protocol: header fields <-> values, and what a request may do to an upload.

What it is not: storage, or the meaning of metadata; doors know what their keys say.

A change must keep these:
1. A field has one spelling: numbers are plain decimal digits, Base64 is the standard alphabet with its padding. What a
   client wrote as metadata or as a concatenation is given back as it was written, once it was read.
2. `judge` is total: any state and any request give an answer, and nothing is taken at another offset than the upload's.
3. Only extensions that are answered are listed in `EXTENSIONS`.

Source: https://tus.io/protocols/resumable-upload, version 1.0.0 (2016-03-25).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Final

from gateway.wire import Malformed

VERSION: Final = "1.0.0"
EXTENSIONS: Final = (
    "creation",
    "creation-with-upload",
    "creation-defer-length",
    "expiration",
    "checksum",
    "termination",
    "concatenation",
)
MEDIA_TYPE: Final = "application/offset+octet-stream"
CHECKSUMS: Final[Mapping[str, str]] = {
    "sha1": "sha1",
    "sha256": "sha256",
    "sha-256": "sha256",
    "sha512": "sha512",
    "sha-512": "sha512",
}
"""Names of checksum algorithms, with and without the dash that other standards write, to those of `hashlib`."""

MAX_FIELD: Final = 8_192
MAX_KEYS: Final = 64
MAX_PIECES: Final = 256
MAX_LENGTH: Final = (1 << 63) - 1

_SIZES: Final[Mapping[str, int]] = {"sha1": 20, "sha256": 32, "sha512": 64}
_COUNT: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_KEY: Final = re.compile(r"[\x21-\x2b\x2d-\x7e]{1,128}")  # visible ASCII without the comma
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class UnknownAlgorithm(Malformed):
    """A checksum of an algorithm that is not in `CHECKSUMS`; the standard answers it with 400."""


@dataclass(frozen=True)
class Checksum:
    """What the body of one request must have: `algorithm` as `hashlib` names it, and the raw digest."""

    algorithm: str
    digest: bytes


@dataclass(frozen=True)
class Concat:
    """`Upload-Concat`: a piece of a file (`pieces` is empty), or the file that is made of pieces, by their URLs in order."""

    pieces: tuple[str, ...] = ()

    @property
    def final(self) -> bool:
        """Whether this is the file."""
        return bool(self.pieces)


@dataclass(frozen=True)
class State:
    """An upload as a client may know it.

    Attributes:
        offset: Bytes that are kept.
        length: Bytes of the whole; None as long as that was not said.
        metadata: `Upload-Metadata` as it was written; empty where there was none.
        concat: `Upload-Concat` as it was written; empty where there was none.
        expires: When it is gone; None where it does not expire.
    """

    offset: int
    length: int | None
    metadata: str = ""
    concat: str = ""
    expires: datetime | None = None

    @property
    def final(self) -> bool:
        """Whether it was made of other uploads."""
        return self.concat.startswith("final")

    @property
    def whole(self) -> bool:
        """Whether nothing is missing."""
        return self.offset == self.length


class Refusal(Enum):
    """Why the body of a request cannot be taken, with the status the standard gives it, or where it is silent, HTTP."""

    FINAL = 403  # "The Server MUST respond with the 403 Forbidden status to PATCH requests against a final upload"
    OFFSET = 409
    LENGTH = 400
    TOO_LONG = 413


def judge(state: State, offset: int, *, size: int | None = None, length: int | None = None) -> Refusal | None:
    """Whether the body of a PATCH may be taken.

    Args:
        state: The upload.
        offset: `Upload-Offset` of the request.
        size: Bytes of its body, where that is known.
        length: Its `Upload-Length`; None where it has none. Once set it does not change.
    """
    if state.final:
        return Refusal.FINAL
    if offset != state.offset:
        return Refusal.OFFSET
    if length is not None and (length < offset or state.length not in {None, length}):
        return Refusal.LENGTH
    whole = state.length if state.length is not None else length
    if whole is not None and offset + (size or 0) > whole:
        return Refusal.TOO_LONG
    return None


# --- fields ----------------------------------------------------------------------------------------------------------


def parse_count(field: str) -> int:
    """`Upload-Offset` or `Upload-Length`: a number that is not negative; raises Malformed."""
    if not _COUNT.fullmatch(field) or int(field) > MAX_LENGTH:
        raise Malformed("a length or an offset is a decimal number of bytes, without sign or leading zeroes")
    return int(field)


def parse_metadata(field: str) -> dict[str, bytes]:
    """`Upload-Metadata`: values by key.

    Raises:
        Malformed: A key is empty, not ASCII or there twice, a value is no Base64, or a bound is passed.
    """
    if len(field) > MAX_FIELD or not field.isascii():
        raise Malformed(f"Upload-Metadata has at most {MAX_FIELD} characters, all of them ASCII")
    if not field.strip():
        return {}
    found: dict[str, bytes] = {}
    for pair in field.split(","):
        key, _, value = pair.strip().partition(" ")
        if not _KEY.fullmatch(key):
            raise Malformed("a key of Upload-Metadata is visible ASCII without comma, and not empty")
        if key in found:
            raise Malformed("a key of Upload-Metadata stands there twice")
        found[key] = _base64(value)
    if len(found) > MAX_KEYS:
        raise Malformed(f"Upload-Metadata has at most {MAX_KEYS} keys")
    return found


def format_metadata(metadata: Mapping[str, bytes]) -> str:
    """An `Upload-Metadata` value; raises ValueError where a key cannot stand there."""
    if not all(_KEY.fullmatch(key) for key in metadata):
        raise ValueError("a key of Upload-Metadata is visible ASCII without comma, and not empty")
    return ",".join(f"{key} {base64.b64encode(value).decode()}".rstrip() for key, value in metadata.items())


def parse_checksum(field: str) -> Checksum:
    """`Upload-Checksum`.

    Raises:
        UnknownAlgorithm: The algorithm is none of `CHECKSUMS`.
        Malformed: Anything else is wrong.
    """
    name, _, value = field.strip().partition(" ")
    algorithm = CHECKSUMS.get(name)
    if algorithm is None:
        raise UnknownAlgorithm(f"Upload-Checksum is one of {', '.join(CHECKSUMS)}")
    digest = _base64(value)
    if len(digest) != _SIZES[algorithm]:
        raise Malformed(f"a {name} checksum has {_SIZES[algorithm]} bytes, not {len(digest)}")
    return Checksum(algorithm, digest)


def parse_concat(field: str) -> Concat:
    """`Upload-Concat`: `partial`, or `final;` and URLs of uploads apart by spaces; raises Malformed."""
    if len(field) > MAX_FIELD:
        raise Malformed(f"Upload-Concat has at most {MAX_FIELD} characters")
    if field == "partial":
        return Concat()
    kind, _, listed = field.partition(";")
    pieces = tuple(listed.split(" ")) if listed else ()
    if kind != "final" or not all(pieces) or not 1 <= len(pieces) <= MAX_PIECES:
        raise Malformed(f"Upload-Concat is `partial`, or `final;` and 1 to {MAX_PIECES} URLs with one space between")
    return Concat(pieces)


def _base64(text: str) -> bytes:
    try:
        decoded = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise Malformed("a value is not Base64 (RFC 4648 section 4, with its padding)") from None
    if base64.b64encode(decoded).decode() != text:  # stray bits in the last character: a second spelling
        raise Malformed("a value is not Base64 in its one spelling")
    return decoded


# --- answers ---------------------------------------------------------------------------------------------------------


def said(state: State) -> dict[str, str]:
    """What the answer to a HEAD says of an upload.

    A final upload exists only once it is whole, so that its offset is always known.
    """
    fields = {"Upload-Offset": str(state.offset)}
    if state.length is None:
        fields["Upload-Defer-Length"] = "1"
    else:
        fields["Upload-Length"] = str(state.length)
    if state.metadata:
        fields["Upload-Metadata"] = state.metadata
    if state.concat:
        fields["Upload-Concat"] = state.concat
    return {**fields, **expiry(state)}


def expiry(state: State) -> dict[str, str]:
    """`Upload-Expires`, where it does."""
    return {"Upload-Expires": format_time(state.expires)} if state.expires else {}


def capabilities(max_size: int) -> dict[str, str]:
    """What the answer to an OPTIONS says of the server; `max_size` is in bytes, 0 where there is no bound."""
    fields = {
        "Tus-Version": VERSION,
        "Tus-Extension": ",".join(EXTENSIONS),
        "Tus-Checksum-Algorithm": ",".join(CHECKSUMS),
    }
    return {**fields, "Tus-Max-Size": str(max_size)} if max_size else fields


def format_time(at: datetime) -> str:
    """An IMF-fixdate (RFC 9110 section 5.6.7), whatever the locale; raises ValueError on a time without a zone."""
    if at.tzinfo is None:
        raise ValueError("a time without a zone has no IMF-fixdate")
    utc = at.astimezone(UTC)
    return f"{_DAYS[utc.weekday()]}, {utc.day:02} {_MONTHS[utc.month - 1]} {utc.year:04} {utc:%H:%M:%S} GMT"
