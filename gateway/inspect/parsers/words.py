"""Text that formats carry as bytes without saying in which encoding: comments, owners, captions.

A change must keep: bytes that are no plausible text are not taken for read.
"""

from __future__ import annotations

import codecs
from typing import Final

from gateway.core.encodings import encoding_of
from gateway.inspect.report import Report, TextSink

_DISTINCT: Final = 10_000  # words remembered so that the same are fed once


class Words:
    """Text fields of one object in one part of running text, a line each, each distinct one once.

    Args:
        report: Of the object.
        place: Name of the part.
    """

    def __init__(self, report: Report, place: str) -> None:
        self._report = report
        self._place = place
        self._sink: TextSink | None = None
        self._seen: set[bytes | str] = set()

    def add(self, raw: bytes) -> bool:
        """Bytes of text; False, and the object is held, where they are none."""
        raw = raw.strip(b"\0")
        if not raw or raw in self._seen:
            return True
        text = decoded(raw)
        if text is None:
            self._report.unreadable(f"{self._place}: bytes that are no text")
            return False
        self._remember(raw)
        self.line(text)
        return True

    def line(self, text: str) -> None:
        """Text that is decoded already."""
        if not text or text in self._seen:
            return
        self._remember(text)
        if self._sink is None:
            self._sink = self._report.text(self._place)
        self._sink.line(text)

    def _remember(self, told: bytes | str) -> None:
        if len(self._seen) < _DISTINCT:
            self._seen.add(told)


def decoded(raw: bytes) -> str | None:
    """Text of any plausible encoding; None where there is none."""
    for bom, encoding in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if raw.startswith(bom):
            try:
                return raw[len(bom) :].decode(encoding)
            except UnicodeDecodeError:
                return None
    encoding = encoding_of(raw)
    if not encoding:
        return None
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:  # `encoding_of` forgives an end inside a character, which is no text here
        return None
