"""A true value as it stands in a file, and the page that remembers where it was put.

A page is written as text; byte positions follow from the encoding when it is closed.
"""

from __future__ import annotations

from dataclasses import dataclass

MARKS = {
    "utf-8-sig": ("utf-8", b"\xef\xbb\xbf"),
    "utf-16": ("utf-16-le", b"\xff\xfe"),
    "utf-16-be": ("utf-16-be", b"\xfe\xff"),
}


@dataclass(frozen=True)
class Shown:
    """A value of a kind, in the spelling in which it is written."""

    kind: str
    form: str
    value: str
    text: str


Piece = str | Shown


@dataclass(frozen=True)
class Sighting:
    """Where a true value stands: bytes [start, end) of the file, and the line it is on, from 1."""

    kind: str
    value: str
    start: int
    end: int
    line: int


@dataclass(frozen=True)
class Sample:
    """One file with its truth; `group` is "tables" or "text", `about` says what it was made to try."""

    name: str
    data: bytes
    encoding: str
    group: str
    about: str
    truth: tuple[Sighting, ...]

    def counts(self) -> dict[str, int]:
        """True values by kind."""
        kinds = [sighting.kind for sighting in self.truth]
        return {kind: kinds.count(kind) for kind in sorted(set(kinds))}

    def text(self) -> str:
        return self.data.decode(self.encoding)


class Page:
    """Text that grows piece by piece."""

    def __init__(self) -> None:
        self._parts: list[tuple[str, Shown | None]] = []

    def add(self, *pieces: Piece) -> None:
        for piece in pieces:
            self._parts.append((piece.text, piece) if isinstance(piece, Shown) else (piece, None))

    def fitting(self, encoding: str) -> str:
        """The encoding, or UTF-8 where it lacks a character: Big5 has no 粤 of a plate and no 转 before an extension."""
        text = "".join(text for text, _ in self._parts)
        return encoding if text.encode(encoding, "ignore").decode(encoding) == text else "utf-8"

    def close(self, name: str, encoding: str, group: str, about: str) -> Sample:
        """The file's bytes, and its truth by bytes.

        Raises:
            UnicodeEncodeError: The encoding lacks a character; `fitting` tells before.
        """
        codec, mark = MARKS.get(encoding, (encoding, b""))
        data, line, truth = bytearray(mark), 1, []
        for text, shown in self._parts:
            start = len(data)
            data += text.encode(codec)
            if shown:
                truth.append(Sighting(shown.kind, shown.value, start, len(data), line))
            line += text.count("\n")
        return Sample(name, bytes(data), encoding, group, about, tuple(truth))
