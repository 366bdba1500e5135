"""Texts that are written in another text: base64, hex, and seven-bit encodings of Chinese.

Reading the bytes of such a file is not reading what it says, so it counts as not interpreted (rule D10 holds it).

1. A file is *wrapped* when more than SHARE of its bytes, and more than LEAST of them, lie in runs of the base64 alphabet
   that are RUN bytes long, or in whole lines of LINE bytes. A run needs a digit and a letter outside the codes of bases:
   sequences of DNA and of proteins have no digits, matrices of genotypes no letters.
2. A file *shifts* when it holds sequences of ISO-2022 (ECMA-35), HZ (RFC 1843) or UTF-7 (RFC 2152).

Not here: formats whose ordinary text looks like either (reads and their qualities); `classifier` leaves them out.
"""

from __future__ import annotations

import base64
import re
import string
from dataclasses import dataclass

import numpy as np

from gateway.core.detectors.lanes import NEWLINE, Bytes, Mask, Places, Window, is_digit

RUN = 120
LINE = 60
LEAST = 4096
_STEP = 16  # 3 * _STEP + 7 <= LINE
SHARE = 0.3
_ALL = np.uint64(0x0101010101010101)  # eight times True
_UTF7_LOOKS = 200  # candidates decoded a window
_ALPHABET = np.zeros(256, np.bool_)
_ALPHABET[list((string.ascii_letters + string.digits + "+/=-_").encode())] = True
_CODED = np.zeros(256, np.bool_)  # letters that neither bases nor their ambiguity codes are written with
_CODED[list(b"bdefhijklmopqruvwxyzEFIJLOPQXZ")] = True
_ISO_2022 = re.compile(rb"\x1b[$()*+,\-./][$()*+,\-./@A-Z]")
_HZ = re.compile(rb"~\{(?:[\x21-\x77][\x21-\x7e])+~\}")
_UTF7 = re.compile(rb"\+([A-Za-z0-9+/]{6,})-?")


@dataclass
class Encoded:
    """Grows as windows are read.

    Attributes:
        wrapped_bytes: Bytes in runs of rule 1.
        shifts: Rule 2.
    """

    wrapped_bytes: int = 0
    shifts: bool = False

    def feed(self, window: Window) -> None:
        """Look at one window."""
        self._wrapped(window)
        if not self.shifts:
            text = window.text(window.low, window.high)
            shifted = (b"\x1b" in text and _ISO_2022.search(text)) or (b"~{" in text and _HZ.search(text))
            self.shifts = bool(shifted) or (b"+" in text and _shifts_utf7(text))

    def _wrapped(self, window: Window) -> None:
        data = window.data[window.low - 1 : window.high + 1]
        inside = data[1:-1]
        if not _may_run(inside):
            return
        stops = np.concatenate([[-1], np.flatnonzero(~_ALPHABET[inside]), [inside.size]])
        length = np.diff(stops) - 1
        long = np.flatnonzero(length >= LINE)
        start, length = stops[long] + 1, length[long]
        before, after = data[start], data[start + length + 1]
        lines = ((before == NEWLINE) | (start == 0)) & ((after == NEWLINE) | (after == ord("\r")))
        counted = (length >= RUN) | lines
        start, length = start[counted], length[counted]
        mixed = _any(is_digit(inside), start, length) & _any(_CODED[inside], start, length)
        self.wrapped_bytes += int(length[mixed].sum())

    def why(self, size: int) -> str:
        """Why a file of `size` bytes of text was not interpreted; empty where it was."""
        if self.shifts:
            return "text in a seven-bit encoding of another"
        if self.wrapped_bytes > max(LEAST, SHARE * size):
            return "text that is mostly base64 or hexadecimal"
        return ""


def _may_run(text: Bytes) -> bool:
    """False where no run of LINE bytes can be: such a run holds three in a row of the halves that begin a step."""
    rows = text[: text.size // _STEP * _STEP].reshape(-1, _STEP)[:, : _STEP // 2]
    whole = _ALPHABET[rows].view(np.uint64)[:, 0] == _ALL  # much faster than all(axis=1)
    return bool((whole[2:] & whole[1:-1] & whole[:-2]).any())


def _any(mask: Mask, start: Places, length: Places) -> Mask:
    """Whether the mask holds anywhere in each run."""
    if not start.size:
        return np.zeros(0, np.bool_)
    bounds = np.stack([start, start + length], axis=1).ravel()
    held = np.asarray(np.logical_or.reduceat(np.append(mask, np.False_), bounds))
    return held[::2]


def _shifts_utf7(text: bytes) -> bool:
    """Whether a shifted run decodes to nothing but Chinese: two characters or more, spare bits zero."""
    for number, match in enumerate(_UTF7.finditer(text)):
        if number >= _UTF7_LOOKS:
            return False
        if _is_utf7(match[1]):
            return True
    return False


def _is_utf7(run: bytes) -> bool:
    if len(run) * 6 % 16 >= 6 or len(run) > 10_000:
        return False
    raw = base64.b64decode(run + b"A" * (-len(run) % 4))
    units = np.frombuffer(raw[: len(run) * 6 // 16 * 2], ">u2")
    chinese = (units >= 0x4E00) & (units <= 0x9FFF) | (units >= 0x3000) & (units < 0x3020) | (units >= 0xFF00)
    chinese |= (units >= 0x2605) & (units <= 0x2606)
    return bool(chinese.all())
