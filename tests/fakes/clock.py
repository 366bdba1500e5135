"""A clock that stands still until it is told to move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)  # ten in the morning in Shenzhen


class FakeClock:
    """`gateway.ports.Clock`."""

    def __init__(self, now: datetime = EPOCH) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def advance(self, by: timedelta | None = None, **parts: float) -> datetime:
        """Move on by a timedelta or by its parts (`days=1`, `seconds=5`); returns the new time."""
        self._now += timedelta(**parts) if by is None else by
        return self._now

    def set(self, now: datetime) -> None:
        self._now = now.astimezone(UTC)
