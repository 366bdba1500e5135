"""BagIt tag files (RFC 8493): `bagit.txt`, manifests, tag manifests and `bag-info.txt` as bytes <-> values.

What it is not: a judge of a bag. What is listed is compared with what is there in `gateway.core.completeness`.

A change must keep these:
1. A line that cannot be read refuses the whole file: a list that is read half says the wrong thing.
2. UTF-8 without a byte order mark is the only encoding that is read, whatever `bagit.txt` names.
3. A path may be listed once, and comes out as it will be on disk: `%0A`, `%0D` and `%25` decoded, anything else as it is.

More than one spelling is read, since tools write more than one: LF, CR or CRLF; spaces or tabs after the digest and ` *` as
`sha256sum -b` writes it; upper-case digits; a bare `%`, which versions before 1.0 and bagit-python leave alone.

Source: RFC 8493 sections 2.1 to 2.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.wire import Malformed

MAX_SIZE: Final = 1 << 25
"""Default bound on a tag file in bytes."""

MAX_ENTRIES: Final = 200_000
"""Default bound on what a manifest lists."""

DECLARATION: Final = "bagit.txt"
INFO: Final = "bag-info.txt"
FETCH: Final = "fetch.txt"
PAYLOAD: Final = "data/"

_MANIFEST_NAME: Final = re.compile(r"(tag)?manifest-([A-Za-z0-9-]{1,32})\.txt")
_DECLARATION_LINES: Final = re.compile(r"BagIt-Version: ?(\d{1,3})\.(\d{1,3})\nTag-File-Character-Encoding: ?(\S+)\n?")
_ENTRY: Final = re.compile(r"([0-9A-Fa-f]+)[ \t]+\*?([^ \t*].*)")
_ESCAPE: Final = re.compile(r"%(0A|0D|25)", re.IGNORECASE)
_UNESCAPED: Final = re.compile(r"[%\r\n]")
_OXUM: Final = re.compile(r"(\d{1,18})\.(\d{1,9})")
_HEX_DIGITS: Final[Mapping[str, int]] = {"md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128}


@dataclass(frozen=True)
class ManifestName:
    """What a manifest's file name says.

    Attributes:
        tags: Whether it lists tag files instead of the payload.
        algorithm: Lower case, without dashes: `sha256` (RFC 8493 section 2.4).
    """

    tags: bool
    algorithm: str


def parse_manifest_name(name: str) -> ManifestName | None:
    """The manifest a file of this name at the top of a bag is; None where it is none."""
    found = _MANIFEST_NAME.fullmatch(name)
    return ManifestName(bool(found[1]), found[2].lower().replace("-", "")) if found else None


def parse_declaration(data: bytes) -> str:
    """The version `bagit.txt` declares, as `1.0`.

    Raises:
        Malformed: When it is not the two lines of RFC 8493 section 2.1.1, or names another encoding than UTF-8.
    """
    found = _DECLARATION_LINES.fullmatch("\n".join(_lines(data, 1 << 10)))
    if found is None:
        raise Malformed("bagit.txt is not the two lines BagIt-Version and Tag-File-Character-Encoding")
    if found[3].upper() != "UTF-8":
        raise Malformed("the tag files are not UTF-8")
    return f"{int(found[1])}.{int(found[2])}"


def parse_manifest(
    data: bytes, name: ManifestName, *, max_size: int = MAX_SIZE, max_entries: int = MAX_ENTRIES
) -> dict[str, bytes]:
    """Digests by path, in the order of the file.

    Args:
        data: The whole manifest.
        name: What its file name says; a payload manifest lists paths below `data/` only, a tag manifest none.
        max_size: Largest size in bytes.
        max_entries: Most lines.

    Raises:
        Malformed: On the first line that is no entry, a path that leaves the bag or is listed twice, or a bound.
    """
    entries: dict[str, bytes] = {}
    for number, line in enumerate(_lines(data, max_size), 1):
        if not line.strip():
            continue
        found = _ENTRY.fullmatch(line)
        if found is None:
            raise Malformed(f"line {number} is not a digest and a path")
        digits = _HEX_DIGITS.get(name.algorithm, len(found[1]))
        if len(found[1]) != digits or digits % 2:
            raise Malformed(f"line {number} has no {name.algorithm} digest")
        path = _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), found[2])
        _check_path(path, name, number)
        if path in entries:
            raise Malformed(f"line {number} lists a path again")
        if len(entries) >= max_entries:
            raise Malformed(f"more than {max_entries} files are listed")
        entries[path] = bytes.fromhex(found[1])
    return entries


def format_manifest(entries: Mapping[str, bytes]) -> bytes:
    """A manifest as `sha256sum` would write it, in the order given, with paths encoded as RFC 8493 section 2.1.3 says."""
    escaped = ((_UNESCAPED.sub(lambda odd: f"%{ord(odd[0]):02X}", path), digest) for path, digest in entries.items())
    return "".join(f"{digest.hex()}  {path}\n" for path, digest in escaped).encode()


def parse_info(data: bytes, *, max_size: int = 1 << 20) -> tuple[tuple[str, str], ...]:
    """Labels and values of `bag-info.txt` in their order; labels may come again (RFC 8493 section 2.2.2).

    Raises:
        Malformed: On a line that is neither `Label: value` nor the continuation of one, or a bound.
    """
    found: list[tuple[str, str]] = []
    for number, line in enumerate(_lines(data, max_size), 1):
        if not line.strip():
            continue
        if line[0] in " \t":
            if not found:
                raise Malformed(f"line {number} continues nothing")
            found[-1] = (found[-1][0], f"{found[-1][1]} {line.strip()}".strip())
            continue
        label, colon, value = line.partition(":")
        if not colon or not label.strip():
            raise Malformed(f"line {number} is not a label and a value")
        found.append((label.strip(), value.strip()))
    return tuple(found)


def payload_oxum(info: Iterable[tuple[str, str]]) -> tuple[int, int] | None:
    """Bytes and files of the payload as `Payload-Oxum` says; None where it is not there.

    Raises:
        Malformed: When it is no such pair, or stands twice.
    """
    said = [value for label, value in info if label.casefold() == "payload-oxum"]
    if not said:
        return None
    found = _OXUM.fullmatch(said[0])
    if found is None or len(said) > 1:
        raise Malformed("Payload-Oxum is not one pair of bytes and files")
    return int(found[1]), int(found[2])


def _lines(data: bytes, max_size: int) -> list[str]:
    if len(data) > max_size:
        raise Malformed(f"a tag file of {len(data)} bytes is over the bound of {max_size}")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("the file is not UTF-8") from None
    if text.startswith("\ufeff"):
        raise Malformed("the file begins with a byte order mark")
    # Not `splitlines`: it also splits at characters that may stand in a name (U+0085, U+2028).
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _check_path(path: str, name: ManifestName, number: int) -> None:
    segments = path.split("/")
    if any(segment in {"", ".", ".."} for segment in segments) or "\\" in path:
        raise Malformed(f"line {number} has a path that is not plain and relative")
    if path.startswith(PAYLOAD) is name.tags:
        raise Malformed(f"line {number} lists what does not belong into this manifest")
    if name.tags and (of := parse_manifest_name(path)) is not None and of.tags:
        raise Malformed(f"line {number} lists a tag manifest in a tag manifest")
