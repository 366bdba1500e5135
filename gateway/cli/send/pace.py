"""How fast it goes and how long it will take, measured over the last moments only.

Pure: the time comes in. What nobody can know is not guessed: where nothing moves there is no time left, only waiting.
"""

from __future__ import annotations

from collections import deque
from typing import Final

WINDOW: Final = 20.0
STILL: Final = 5.0
_STEP: Final = 0.25  # what moved within a quarter of a second is one sample: memory stays bounded


class Pace:
    """Bytes that moved, over a window.

    Args:
        now: When it begins, monotonic seconds.
        window: Seconds looked back on.
        still: Seconds without a byte after which it waits.
    """

    def __init__(self, now: float, window: float = WINDOW, still: float = STILL) -> None:
        self._window = window
        self._still = still
        self._began = now
        self._last = now
        self._samples: deque[tuple[float, int]] = deque()

    def moved(self, now: float, count: int) -> None:
        """Count bytes that just went; what is taken back (a retry from further up) is not counted."""
        if count <= 0:
            return
        self._last = now
        if self._samples and now - self._samples[-1][0] < _STEP:
            at, before = self._samples.pop()
            self._samples.append((at, before + count))
        else:
            self._samples.append((now, count))
        self._forget(now)

    def waiting(self, now: float) -> bool:
        """Whether nothing moves."""
        return now - self._last > self._still

    def rate(self, now: float) -> float:
        """Bytes a second over the window, or since the beginning where that is later."""
        self._forget(now)
        span = now - max(self._began, now - self._window)
        return sum(count for _, count in self._samples) / span if span > 0 else 0.0

    def left(self, now: float, missing: int) -> float | None:
        """Seconds the missing bytes will take at this rate; None where nobody can know."""
        rate = self.rate(now)
        if self.waiting(now) or not rate or now - self._began < 1.0:
            return None
        return missing / rate

    def _forget(self, now: float) -> None:
        while self._samples and self._samples[0][0] < now - self._window:
            self._samples.popleft()


def duration(seconds: float) -> str:
    """Seconds as people read them: `42 s`, `3 min`, `2 h 05 min`, `3 d 4 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    hours = round(minutes / 60)
    return f"{hours // 24} d {hours % 24} h"
