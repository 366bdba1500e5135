"""Formats that nobody here can take apart, with what a sender can do instead (record 0038)."""

from __future__ import annotations

from typing import Final

from gateway.inspect.limits import Unreadable
from gateway.inspect.report import Report
from gateway.inspect.source import Source

_PIECE: Final = 1 << 20
_ENCRYPTED: Final = "EncryptedPackage".encode(
    "utf-16-le"
)  # a stream's name in the directory, [MS-OFFCRYPTO] section 2.3.4


def inspect_ole2(source: Source, report: Report) -> None:  # noqa: ARG001  # every parser takes a report
    """Compound files: an Office document under a password, or a legacy one. The directory may lie anywhere."""
    tail = b""
    while piece := source.read(_PIECE):
        if _ENCRYPTED in tail + piece:
            raise Unreadable("an Office document under a password", kind="encrypted_content")
        tail = piece[-len(_ENCRYPTED) :]
    raise Unreadable("ole2: a legacy Office document or object; save it as docx, xlsx or pptx")


def inspect_rar(source: Source, report: Report) -> None:  # noqa: ARG001  # every parser takes both
    """No free library reads RAR."""
    raise Unreadable("rar: no free program reads it; send a ZIP or TAR")
