"""Keeping: the last day of a term of years, and the first day on which what was kept may go.

What it is not: the table of what is kept how long. It knows the one term a transfer's evidence has at least.

A change must keep these:
1. A term of years ends with the day of the same date, the 28th of February where there is none (Civil Code arts 201, 202); what
   was kept may go on the day after.
2. A setting may lengthen a term and never shorten it.

Source: Order 790 art 12 (records of providing are kept for three years at least), rules.md 8.1.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from gateway.core.calendar import add_years

LEAST_YEARS: Final = 3
"""Order 790 art 12; rules.md 8.1 takes the same for incidents once closed, and for filings once ended."""


def last_kept_day(start: date, *, years: int = 0, least: int = LEAST_YEARS) -> date:
    """The last day something must be kept.

    Args:
        start: The day its term begins on, Asia/Shanghai; not counted.
        years: What a setting asks for; the longer of the two holds.
        least: What the law asks for, in years.
    """
    return add_years(start, max(years, least))


def may_go_from(last_kept: date) -> date:
    """The first day on which it may be destroyed."""
    return last_kept + timedelta(days=1) if last_kept < date.max else date.max
