"""Legacy Office documents in compound files: workbooks are read, everything else says what a sender can do instead.

Sources: [MS-XLS] section 2.1 (streams of a workbook), [MS-OLEPS] (sets of properties), [MS-OFFCRYPTO] section 2.3.4.

A change must keep: a stream that is not known holds the file, whatever the workbook says; so do macros, which nobody here
reads.
"""

from __future__ import annotations

import struct
from typing import Final

from gateway.inspect.limits import Unreadable
from gateway.inspect.parsers.biff import Book
from gateway.inspect.parsers.biffstrings import salvaged
from gateway.inspect.parsers.compound import STORAGE, STREAM, Compound, Entry
from gateway.inspect.parsers.words import Words
from gateway.inspect.report import Report
from gateway.inspect.source import Source

_PIECE: Final = 1 << 20
_ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")  # a stream's name in the directory
_ADVICE: Final = "ole2: a legacy Office document or object; save it as docx, xlsx or pptx"
_MACROS: Final = frozenset({"_VBA_PROJECT_CUR", "VBA", "Macros"})
_PROPERTIES: Final = frozenset({"\x05SummaryInformation", "\x05DocumentSummaryInformation"})
_OBJECT: Final = frozenset({"\x01CompObj", "\x01Ole"})  # what made it: [MS-OLEDS] sections 2.3.3 and 2.3.8
_MOST: Final = 1 << 20  # bytes of either
_PICTURE: Final = 0x47  # VT_CF, a thumbnail: [MS-OLEPS] section 2.2


def inspect(source: Source, report: Report) -> None:
    """A workbook of Excel 97 to 2003, with all its streams."""
    _refuse_encrypted(source)
    compound = Compound(source, report)
    if not any(entry.kind == STREAM and entry.name == "Workbook" for entry in compound.entries):
        raise Unreadable(_ADVICE)
    report.known_as("xls")
    words = Words(report, "properties")
    if any(entry.kind == STORAGE and entry.name in _MACROS for entry in compound.entries):
        report.found("executable_content", "macros")
        report.unreadable("macros: programs that no inspector reads")
    books = 0
    for entry in compound.entries:
        words.line(entry.name)
        if entry.kind != STREAM:
            continue
        if entry.name == "Workbook":
            books += 1
            Book(report).read(compound.content(entry))
            compound.cover(entry)
        elif not _around(compound, entry, words):
            report.unreadable("ole2: a stream that is not known; save it as xlsx")
    if books != 1:
        raise Unreadable("ole2: several workbooks in one file", kind="media_mismatch")


def _around(compound: Compound, entry: Entry, words: Words) -> bool:
    """Properties and what made the document: text; False where it is something else."""
    if entry.name not in _PROPERTIES | _OBJECT or entry.size > _MOST:
        return False
    content = compound.content(entry)
    if entry.name in _PROPERTIES and _pictured(content):
        return False
    for text in salvaged(content):
        words.line(text)
    compound.cover(entry)
    return True


def _pictured(content: bytes) -> bool:
    """Whether a set of properties has a thumbnail, or does not say what it has (sections 2.21 and 2.20)."""
    if len(content) < 28:
        return True
    count = int.from_bytes(content[24:28], "little")
    for at in range(28, 28 + 20 * min(count, 3), 20):
        start = int.from_bytes(content[at + 16 : at + 20], "little")
        head = content[start : start + 8]
        pairs = content[start + 8 :][: 8 * int.from_bytes(head[4:], "little")]
        if len(head) < 8 or len(pairs) != 8 * int.from_bytes(head[4:], "little"):
            return True
        for _, offset in struct.iter_unpack("<II", pairs):
            if content[start + offset : start + offset + 2] == bytes([_PICTURE, 0]):
                return True
    return count > 2


def _refuse_encrypted(source: Source) -> None:
    """Office documents of any age under a password. The directory may lie anywhere, also of a damaged file."""
    tail = b""
    while piece := source.read(_PIECE):
        if _ENCRYPTED in tail + piece:
            raise Unreadable("an Office document under a password", kind="encrypted_content")
        tail = piece[-len(_ENCRYPTED) :]
