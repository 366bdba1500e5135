"""Bytes as they arrive become UTF-8 blocks that detectors can read one by one.

Blocks end after a line where one ends within BLOCK bytes; a longer line is cut at BLOCK, and the block then carries
CONTEXT bytes of its neighbours so that every place is judged with the same surroundings. Where blocks are cut depends
on the content alone, never on how it was fed.

Encodings: UTF-8 passes through and is validated; UTF-16, GB18030 and Big5 are decoded as they come. A file whose head is
ASCII and whose first wide bytes are no UTF-8 but plausible GB18030 or Big5 is read as that. Bytes that the encoding does
not allow, and control bytes no text holds, break the text: `broken_at` says where, and nothing behind it counts as read.

Memory: at most one fed piece and BLOCK + CONTEXT bytes, twice. A block is copied once from the pieces it came in, to where
its window is (`detectors.lanes`).
"""

from __future__ import annotations

import codecs
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gateway.core.classify.escapes import safe_end
from gateway.core.detectors.lanes import PAD, margined
from gateway.core.encodings import encoding_of, is_binary

BLOCK = 1 << 20  # smaller blocks cost more calls than their better fit in the cache saves
CONTEXT = 1024  # escapes of lanes.PAD characters
_SMALL = 16_384  # bytes that are looked through faster than array operations begin
_TAB, _SHIFT, _SPACE, _ESCAPE = (np.uint8(byte) for byte in (0x09, 0x0E, 0x20, 0x1B))
_CONTROL_TEXT = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")  # as in formats: escape (1B) colours terminal logs

_DOUBLE = frozenset({"gb18030", "big5hkscs"})  # ASCII, and two bytes and more for the others

Raw = bytes | bytearray | memoryview


@dataclass(frozen=True)
class Block:
    """A piece of text: `own` is new, `before` and `after` belong to the neighbours of a line that was cut.

    `plain` blocks are known to be ASCII; others may be. `margined` is `own` as a window has it, where it has no neighbours.
    """

    before: memoryview
    own: memoryview
    after: memoryview
    line_ends: bool
    plain: bool = False
    margined: bytes | None = None


class TextStream:
    """Cuts one file into blocks; feed, then finish. Not for two threads at once."""

    def __init__(self, encoding: str, bom: int, *, block: int = BLOCK) -> None:
        self.encoding = encoding
        self.broken_at: int | None = None
        self._block = block
        self._skip = bom
        self._taken = 0  # raw bytes fed so far, the byte order mark included
        self._offset = bom  # raw offset of what is pending, meaningful while nothing is decoded
        self._pending = deque[bytes]()  # text that no block took yet, as it came
        self._start = 0  # bytes of the first of it that a block took
        self._held = 0  # bytes of it
        self._before = b""
        self._ascii = True
        self._decoder = None if encoding == "utf-8" else codecs.getincrementaldecoder(encoding)()

    def feed(self, raw: Raw) -> Iterator[Block]:
        """Blocks that are complete now."""
        self._taken += len(raw)
        skipped = min(self._skip, len(raw))
        self._skip -= skipped
        self._append(raw[skipped:], final=False)
        yield from self._cut(final=False)

    def finish(self) -> Iterator[Block]:
        """The rest."""
        self._append(b"", final=True)
        yield from self._cut(final=True)

    def _append(self, raw: Raw, *, final: bool) -> None:
        text = bytes(raw)
        if self._decoder is not None:
            text = self._decoded(self._decoder, text, final=final) if self.broken_at is None else b""
        self._hold(text)

    def _decoded(self, decoder: codecs.IncrementalDecoder, raw: bytes, *, final: bool) -> bytes:
        start = self._taken - len(raw) - len(decoder.getstate()[0])
        try:
            text = decoder.decode(raw, final)
        except UnicodeDecodeError as error:
            self.broken_at = start + error.start
            text = error.object[: error.start].decode(self.encoding)
        plain = text.encode()
        control = _CONTROL_TEXT.search(text) if is_binary(plain) else None
        if control:
            text = text[: control.start()]
            self.broken_at = start + len(text.encode(self.encoding))
            plain = text.encode()
        return plain

    def _cut(self, *, final: bool) -> Iterator[Block]:
        keep = 0 if final else self._block + CONTEXT
        while self._held > keep:
            size = self._held if self._held <= self._block else self._last_line()
            whole, alone = size > 0, size > 0 and not self._before
            if alone:
                text, low, high = margined(self._take(size)), PAD, PAD + size
            else:
                text = b"".join(self._take(self._block + CONTEXT))
                low, high = 0, size or self._cut_line(text)
            plain = False
            if self._decoder is None and self.broken_at is None:
                flaw, plain = self._flaw(text, low, high)
                if flaw is not None and self._reread(text[low:high] if alone else text, high - low, final=final):
                    continue
                self.broken_at = flaw
            view = memoryview(text)
            after = view[high : high if whole else high + CONTEXT]
            yield Block(
                memoryview(self._before), view[low:high], after, whole, plain and alone, text if alone else None
            )
            self._before = b"" if whole else text[max(high - CONTEXT, 0) : high]
            if not alone:
                self._put_back(text[high:])
            self._held -= high - low
            self._offset += high - low

    def _hold(self, text: bytes) -> None:
        if text:
            self._pending.append(text)
            self._held += len(text)

    def _take(self, size: int) -> list[memoryview]:
        """Take so many bytes from what is pending; less where it has less."""
        taken = list[memoryview]()
        while size and self._pending:
            part = memoryview(self._pending[0])[self._start : self._start + size]
            taken.append(part)
            size -= len(part)
            self._start += len(part)
            if len(self._pending[0]) - self._start <= _SMALL:  # the whole of it need not be kept
                self._put_back(b"")
        return taken

    def _put_back(self, text: bytes) -> None:
        """Let a text come before what is pending."""
        if self._start:
            text += self._pending.popleft()[self._start :]
            self._start = 0
        if text:
            self._pending.appendleft(text)

    def _last_line(self) -> int:
        """Bytes to the last line end within a block of what is pending; 0 where none ends."""
        parts, reached, start = list[tuple[bytes, int, int]](), 0, self._start
        for text in self._pending:
            end = min(start + self._block - reached, len(text))
            parts.append((text, start, end))
            reached, start = reached + end - start, 0
            if reached == self._block:
                break
        for text, start, end in reversed(parts):
            reached -= end - start
            at = text.rfind(b"\n", start, end) + 1
            if at:
                return reached + at - start
        return 0

    def _cut_line(self, text: bytes) -> int:
        """Where a line is cut that is longer than a block."""
        end = self._block
        while text[end] & 0xC0 == 0x80 and end > self._block - 4:  # not inside a UTF-8 character (RFC 3629)
            end -= 1
        return safe_end(text, 0, end)

    def _flaw(self, text: bytes, low: int, high: int) -> tuple[int | None, bool]:
        """Raw offset of the first byte that is no text, in bytes that were not decoded, and whether all are ASCII."""
        if high - low < _SMALL and text[low:high].isascii() and not is_binary(text[low:high]):
            return None, True
        own = np.frombuffer(text, np.uint8, high - low, low)
        least = int(own.view(np.int8).min())  # below zero for a wide byte; a least is found faster than a place
        flaws = []
        if (own.min() if least < 0 else least) < _TAB or (own - _SHIFT).min() < _SPACE - _SHIFT:
            control = (own < _TAB) | ((own - _SHIFT) < _SPACE - _SHIFT) & (own != _ESCAPE)
            flaws += [int(control.argmax())] if control.any() else []
        if least < 0:
            try:
                codecs.utf_8_decode(memoryview(text)[low:high], "strict", True)
            except UnicodeDecodeError as error:
                flaws.append(error.start)
            else:
                self._ascii = False
        return self._offset + min(flaws) if flaws else None, least >= 0

    def _reread(self, text: bytes, end: int, *, final: bool) -> bool:
        """Take everything from the block on as GB18030 if nothing before it was wide and it reads as Chinese."""
        encoding = encoding_of(text[:end]) if self._ascii else ""
        if encoding not in _DOUBLE:
            return False
        self.encoding = encoding
        self._decoder = codecs.getincrementaldecoder(self.encoding)()
        self._before, raw = b"", b"".join((text, *self._take(self._held)))
        self._held = 0
        self._hold(self._decoded(self._decoder, raw, final=final))
        return True
