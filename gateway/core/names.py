r"""Names as data: one canonical form for every path and identifier, whatever door it came through.

The rules:
1. A path is refused or it is canonical; nothing is silently repaired (two spellings of one file are how gates are passed).
2. What is refused: not UTF-8, not NFC, control or bidirectional-override characters, empty, `.` or `..` segments, `\`,
   a leading or trailing `/`, segments over 250 bytes (255 with `.c4gh`), paths over 1024 bytes or deeper than 32.
3. Identifiers of registered things are lower-case ASCII, so that they are the same in a URL, a folder and a ledger entry.
4. A name may name a person: logs and metrics get `masked`, never the name. What follows the last dot may be a name too
   (`zhang.wei`), so only extensions from a closed list are shown.

Sources: RFC 3629 (UTF-8), UAX #15 (NFC), RFC 3986 section 2 (percent-encoding), POSIX NAME_MAX.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from gateway.core.errors import Unusable

MAX_SEGMENT_BYTES = 250  # NAME_MAX is 255 and the sealed file adds ".c4gh"
MAX_PATH_BYTES = 1024
MAX_DEPTH = 32
_IDENTIFIER = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_SHOWN_EXTENSION = re.compile(
    r"ba[im]|bcf|bed|bgz|bz2|c4gh|cram|csv|dcm|docx|fa|fasta|fastq|fq|gff|gtf|gz|h5|hdf5|html|jpe?g|jsonl?|log|md|nii|"
    r"np[yz]|parquet|pdf|ped|png|pptx|py|r|rds|sam|tar|tiff?|toml|tsv|txt|vcf|xlsx?|xml|ya?ml|zip|zst",
    re.IGNORECASE | re.ASCII,
)
_TEMPORARY = re.compile(r"(?:\.[0-9A-Za-z]{8}\.partial|\.filepart|\.partial|\.part|\.tmp)\Z")
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp"})
# Bidirectional overrides and isolates make a name look like another one (Unicode TR #36, section 3.1).
_BIDI = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def parse_path(raw: str | bytes) -> str:
    """The canonical relative path of a file inside a dataset.

    Args:
        raw: The path as the protocol gave it, already percent-decoded where the protocol encodes.

    Returns:
        Segments joined by `/`, NFC, at most 1024 bytes of UTF-8.

    Raises:
        Unusable: With the reason and what to rename; never repaired.
    """
    text = _decode(raw)
    if not text:
        raise Unusable("the path is empty: name the file", code="bad-path")
    if len(text.encode()) > MAX_PATH_BYTES:
        raise Unusable(f"the path is longer than {MAX_PATH_BYTES} bytes: shorten it", code="bad-path")
    segments = text.split("/")
    if len(segments) > MAX_DEPTH:
        raise Unusable(f"the path is deeper than {MAX_DEPTH} folders: flatten it", code="bad-path")
    for segment in segments:
        _check_segment(segment)
    return text


def parse_raw_url_path(raw: str) -> str:
    """The canonical path from the still-encoded tail of a URL.

    Raises:
        Unusable: Where an escape is broken, or the decoded path is refused by `parse_path`.
    """
    return parse_path(decode_url_path(raw))


def decode_url_path(raw: str) -> bytes:
    """The bytes of a still-encoded URL path, decoded once.

    The raw form matters: a decoder in between would turn `%2F` into a separator and `%2e%2e` into a parent folder.

    Raises:
        Unusable: Where an escape is broken, or hides a slash.
    """
    if not raw.isascii() or _PERCENT.search(raw):
        raise Unusable("the URL path has a broken percent escape: encode every byte as %XX", code="bad-path")
    parts = [unquote_to_bytes(part) for part in raw.split("/")]
    if any(b"/" in part for part in parts):
        raise Unusable("the URL path has an encoded slash (%2F): name folders with plain slashes", code="bad-path")
    return b"/".join(parts)


def parse_segment(raw: str | bytes) -> str:
    """One canonical path segment, for dataset names.

    Raises:
        Unusable: Where it holds a slash or is refused by the rules above.
    """
    text = _decode(raw)
    if "/" in text:
        raise Unusable("a dataset name is one folder name, without slashes", code="bad-path")
    _check_segment(text)
    return text


def parse_identifier(raw: str, what: str = "identifier") -> str:
    """A registered thing's identifier: 1 to 63 of `a-z 0-9 -`, no dash at either end.

    Raises:
        Unusable: Naming `what` and the allowed form.
    """
    if not _IDENTIFIER.fullmatch(raw):
        raise Unusable(f"{what} must be 1 to 63 characters of a-z, 0-9 and inner dashes", code="bad-identifier")
    return raw


def masked(path: str) -> str:
    """A path with every character but separators and a well-known final extension replaced, for logs.

    >>> masked("cohort/张三.csv")
    '******/**.csv'
    """
    head, dot, extension = path.rpartition(".")
    if not dot or not _SHOWN_EXTENSION.fullmatch(extension):
        head, extension = path, ""
    return "".join("/" if character == "/" else "*" for character in head) + (f".{extension}" if extension else "")


def settled_name(path: str) -> str:
    """The path a file will have once its client renames it: without the temporary ending well-known clients use.

    Sources: WinSCP (`.filepart`), rclone 1.63 and later (`.<8 characters>.partial`), browsers and scripts.

    >>> settled_name("cohort/a.csv.filepart")
    'cohort/a.csv'
    """
    folder, slash, name = path.rpartition("/")
    return folder + slash + (_TEMPORARY.sub("", name) or name)


def is_temporary(path: str) -> bool:
    """Whether a file still has the name a client gives it until it is whole."""
    return settled_name(path) != path


@dataclass(frozen=True)
class DatasetName:
    """Where a dataset belongs: the institution's, to one endpoint, under one project."""

    institution: str
    endpoint: str
    project: str
    dataset: str

    def folder(self, version: int) -> str:
        """The folder at the endpoint: `<institution>/<project>/<dataset>/v<n>`."""
        return f"{self.institution}/{self.project}/{self.dataset}/v{version}"


def _decode(raw: str | bytes) -> str:
    """Text that has UTF-8 bytes; text with lone surrogates is what a decoder makes of bytes that are not UTF-8."""
    try:
        return (raw if isinstance(raw, bytes) else raw.encode()).decode()
    except UnicodeError as broken:
        raise Unusable("the name is not UTF-8: set your client's character set to UTF-8", code="bad-path") from broken


def _check_segment(segment: str) -> None:
    if segment in {"", ".", ".."}:
        raise Unusable("the path has an empty, '.' or '..' segment: give a plain relative path", code="bad-path")
    if "\\" in segment:
        raise Unusable("the name has a backslash: use '/' between folders", code="bad-path")
    for character in segment:
        if character in _BIDI or unicodedata.category(character) in _FORBIDDEN_CATEGORIES:
            raise Unusable("the name has a control or invisible character: rename the file", code="bad-path")
    if unicodedata.normalize("NFC", segment) != segment:
        raise Unusable(
            "the name is not in Unicode form NFC: rename it (macOS: convmv -f utf8 -t utf8 --nfc)",
            code="bad-path",
        )
    if segment != segment.strip():
        raise Unusable("the name begins or ends with white space: rename the file", code="bad-path")
    if len(segment.encode()) > MAX_SEGMENT_BYTES:
        raise Unusable(f"a name is longer than {MAX_SEGMENT_BYTES} bytes: shorten it", code="bad-path")
