"""How often and how long something is tried again: exponential back-off with full jitter, and an end.

Pure: the time and the draw come in. What it is not: a judgement on what may be tried again (`answers`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FIRST: Final = 0.5
LONGEST: Final = 30.0


@dataclass
class Patience:
    """Failures since something last moved.

    Attributes:
        seconds: How long nothing may move before it is given up.
        failures: How many there were in a row.
        since: When the first of them was; None where none was.
    """

    seconds: float
    failures: int = 0
    since: float | None = None

    def moved(self) -> None:
        """Something went forward: begin anew."""
        self.failures, self.since = 0, None

    def pause(self, now: float, draw: float, asked: float = 0.0) -> float | None:
        """Seconds until the next try; None where the patience is at its end.

        Args:
            now: Monotonic seconds.
            draw: A random number from 0 to 1: those who failed together shall not come back together.
            asked: What the gateway asked for (`Retry-After`); it is never undercut.
        """
        self.since = now if self.since is None else self.since
        self.failures += 1
        bound = min(LONGEST, FIRST * 2 ** min(self.failures - 1, 16))
        delay = max(asked, bound * (0.25 + 0.75 * draw))
        return None if now + delay - self.since > self.seconds else delay
