"""When to try again, and when not.

The rules:
1. A permanent error ends the relay in that attempt; retries are for what time can mend (peers' retry storms came from
   retrying what could not succeed).
2. Waiting doubles from 5 seconds to an hour, with jitter so that many transfers do not knock at once.
3. The deadline of the state ends what keeps failing; this file only spaces the attempts.
"""

from __future__ import annotations

from datetime import datetime, timedelta

FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(hours=1)


def next_attempt(attempt: int, now: datetime, chance: float) -> datetime:
    """When to try again.

    Args:
        attempt: Attempts made so far, at least 1.
        now: The time of the failure.
        chance: A number in [0, 1) from the system's generator; spreads the wait over half to all of its length.
    """
    doublings = min(attempt - 1, 20)
    wait = min(FIRST_WAIT * (1 << doublings), LONGEST_WAIT)
    return now + wait * (0.5 + chance / 2)
