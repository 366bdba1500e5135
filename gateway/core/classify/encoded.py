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

from gateway.core.detectors.lanes import NEWLINE, Bytes, Lanes, Mask, Places, Window

RUN = 120
LINE = 60
LEAST = 4096
_STEP = 32  # a run of LINE bytes holds the first _FRONT of one of them
_FRONT = 24
SHARE = 0.3
_PLUS, _SPAN, _TWO, _STOPS = (np.uint8(byte) for byte in (0x2B, ord("z") - 0x2B, 0x02, ord(".")))
_UTF7_LOOKS = 200  # candidates decoded a window
_STOP, _DIGIT, _CODED = np.uint8(4), 1, 2  # outside the alphabet; letters that no base or code of bases is written with
_MIXED = np.uint8(_DIGIT | _CODED)


def _kinds() -> bytes:
    known = bytearray([_STOP] * 256)
    for byte in (string.ascii_letters + string.digits + "+/=-_").encode():
        known[byte] = _DIGIT if chr(byte).isdigit() else _CODED * (byte in b"bdefhijklmopqruvwxyzEFIJLOPQXZ")
    return bytes(known)


_KINDS = _kinds()
_ALIKE = bytes(ord(" ") if kind == _STOP else ord("A") for kind in _KINDS)
_SMALL, _LINE = 16_384, b"A" * LINE  # bytes that are searched for a run faster than array operations begin
_ISO_2022 = re.compile(rb"\x1b[$()*+,\-./][$()*+,\-./@A-Z]")
_HZ = re.compile(rb"~\{(?:[\x21-\x77][\x21-\x7e])+~\}")
_UTF7 = re.compile(rb"\+([A-Za-z0-9+/]{6,})")
_IN_BASE64 = frozenset(string.ascii_letters + string.digits + "+/=")


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
            low, high = window.low, window.high
            shifted = (window.owns(b"\x1b") and _ISO_2022.search(window.raw, low, high)) or (
                window.owns(b"~") and _HZ.search(window.raw, low, high)
            )
            self.shifts = bool(shifted) or (window.owns(b"+") and _shifts_utf7(window.raw, low, high))

    def _wrapped(self, window: Window) -> None:
        low, size = window.low, window.high - window.low
        if size < _SMALL and _LINE not in window.raw[low : window.high].translate(_ALIKE):
            return
        steps = _steps_with_runs(window.data[low : low + -(-size // _STEP) * _STEP].reshape(-1, _STEP))
        if not steps.size:
            return
        text = window.data[low : low + -(-size // _STEP) * _STEP].reshape(-1, _STEP)[steps]
        kind = np.frombuffer(text.tobytes().translate(_KINDS), np.uint8).copy()
        apart = np.flatnonzero(steps[1:] - steps[:-1] > 1) + 1
        kind[apart * _STEP] |= _STOP  # steps that were left out lie before: no run goes on there
        begin = steps * _STEP - np.arange(steps.size) * _STEP  # what to add to a place for its offset in the text
        kind[size - int(begin[-1]) :] |= _STOP
        stops = np.concatenate([[-1], np.flatnonzero(kind >= _STOP), [kind.size]])
        length = stops[1:] - stops[:-1] - 1
        long = np.flatnonzero(length >= LINE)
        at, length = stops[long] + 1, length[long]
        start = at + begin[at // _STEP]
        before, after = window.data[low + start - 1], window.data[low + start + length]
        lines = ((before == NEWLINE) | (start == 0)) & ((after == NEWLINE) | (after == ord("\r")))
        counted = np.flatnonzero((length >= RUN) | lines)
        at, length = at[counted], length[counted]
        if at.size:
            bounds = np.stack([at, at + length], axis=1).ravel()
            held = np.bitwise_or.reduceat(np.append(kind, np.uint8(0)), bounds)[::2]
            self.wrapped_bytes += int(length[held & _MIXED == _MIXED].sum())

    def why(self, size: int) -> str:
        """Why a file of `size` bytes of text was not interpreted; empty where it was."""
        if self.shifts:
            return "text in a seven-bit encoding of another"
        if self.wrapped_bytes > max(LEAST, SHARE * size):
            return "text that is mostly base64 or hexadecimal"
        return ""


def _steps_with_runs(text: Bytes) -> Places:
    """Steps that hold all of every run of LINE bytes and its neighbours; few in ordinary text.

    Such a run holds the first _FRONT bytes of a step, so nothing outside `+` to `z`, and no comma or stop.
    """
    lanes = text.view("<u8")
    found = np.flatnonzero(_may_all(lanes[:, 0].copy()))
    for lane in (1, 2):
        found = found[np.flatnonzero(_may_all(lanes[found, lane]))] if found.size else found
    if not found.size:
        return found
    near = np.zeros(len(text) + 2, np.bool_)
    for beside in (0, 1, 2):
        near[found + beside] = True
    return np.flatnonzero(near[1:-1])


def _may_all(lanes: Lanes) -> Mask:
    """Whether all eight bytes of every lane may be of the alphabet.

    Compared byte by byte: four operations on bytes take half the time of ten on lanes.
    """
    eight = lanes.view(np.uint8)
    stops = (eight - _PLUS) > _SPAN
    stops |= (eight | _TWO) == _STOPS  # comma and full stop differ in this bit
    other: Mask = stops.view("<u8") == 0
    return other


def _shifts_utf7(text: bytes, low: int, high: int) -> bool:
    """Whether a shifted run decodes to nothing but Chinese: two characters or more, spare bits zero."""
    for number, match in enumerate(_UTF7.finditer(text, low, high)):
        if number >= _UTF7_LOOKS:
            return False
        beside = {chr(text[match.start() - 1]), chr(text[match.end()])}  # a window has a margin on both sides
        if not beside & _IN_BASE64 and _is_utf7(match[1]):
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
