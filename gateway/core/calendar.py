"""The working-day calendar of the mainland and the arithmetic of legal terms.

What it is not: a source of holidays. The State Council publishes them year by year; an adapter in stores brings them.

A change must keep these:
1. The day a term starts on is not counted (Civil Code art 201).
2. Beyond the published years Monday to Friday count as working days, and the answer says it is provisional.
3. A day that a month does not have becomes that month's last day; no sum leaves the range of `date`.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

_SATURDAY = 5
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Elapsed:
    """Working days counted, and whether a day beyond the published calendar was among the days looked at."""

    days: int
    provisional: bool


@dataclass(frozen=True)
class WorkCalendar:
    """Which days are worked.

    Attributes:
        holidays: Days off by the State Council's notice, weekends among them or not.
        workdays: Saturdays and Sundays that are worked to make up for a holiday.
        published_to: Last day of the last published year.
    """

    holidays: frozenset[date]
    workdays: frozenset[date]
    published_to: date

    def is_working_day(self, day: date) -> bool:
        """Whether a day is worked."""
        return day in self.workdays or (day.weekday() < _SATURDAY and day not in self.holidays)

    def working_days_between(self, start: date, end: date, *, limit: int | None = None) -> Elapsed:
        """Working days after `start` up to and including `end`; 0 where `end` is not after `start`.

        Args:
            start: Day the term starts on, not counted (Civil Code art 201).
            end: Last day looked at.
            limit: Stop once more than this many were counted; the count is then `limit + 1`.
        """
        counted, looked_at = 0, start
        for day in _days_after(start):
            if day > end or (limit is not None and counted > limit):
                break
            counted, looked_at = counted + self.is_working_day(day), day
        return Elapsed(counted, looked_at > self.published_to)

    def nth_working_day_after(self, start: date, number: int) -> date:
        """The last day of a term of `number` working days; `start` itself where `number` is 0."""
        left, reached = number, start
        for day in _days_after(start):
            if left <= 0:
                break
            left, reached = left - self.is_working_day(day), day
        return reached

    def nth_working_day_before(self, end: date, number: int) -> date:
        """The `number`th working day counted back from `end`, which is not counted; `end` itself where `number` is 0."""
        left, reached = number, end
        while left > 0 and reached > date.min:
            reached -= _DAY
            left -= self.is_working_day(reached)
        return reached

    def is_provisional(self, day: date) -> bool:
        """Whether the day lies beyond the published calendar."""
        return day > self.published_to


def add_months(day: date, months: int) -> date:
    """The same day of the month, `months` calendar months on, or that month's last day where there is none."""
    count = day.year * 12 + day.month - 1 + months
    year, month = count // 12, count % 12 + 1
    if year > date.max.year:
        return date.max
    return date(year, month, min(day.day, monthrange(year, month)[1]))


def add_years(day: date, years: int) -> date:
    """The same date, `years` on; 29 February becomes the 28th where the year has none."""
    return add_months(day, 12 * years)


def _days_after(start: date) -> Iterator[date]:
    day = start
    while day < date.max:
        day += _DAY
        yield day
