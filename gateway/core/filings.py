"""Filings over time: how one stands on a day, what must be done about it by when, and for how long its papers are kept.

What it is not: whether it covers a transfer (`core.derive`). The two share their terms.

A change must keep these:
1. The last valid day is a valid day; a term of working days does not count the day it starts on (Civil Code art 201).
2. One state a filing and day, the one that asks for most; every state has its words in the catalogue.
3. What goes beyond the published calendar is told as provisional: holidays not yet published move a day.

Sources: Order 16 art 9 (assessment: three years, extension asked for within the 60 working days before they end, wording open,
rules.md 12.14), Order 13 art 7 and GBA guideline art 8 (ten working days), certificates: six months before (memory, 3.4).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from gateway.core.calendar import WorkCalendar, add_months
from gateway.core.choices import CAREFUL, Choices
from gateway.core.derive import FILING_WORKING_DAYS
from gateway.core.records import FiledMechanism
from gateway.core.terms import extension_window, last_day

STATES: Final = ("not_started", "in_force", "unfiled", "overdue", "extension", "expiring", "full", "expired")
"""As they come in a filing's life; `full` is one in force whose cap is reached."""

URGENT: Final = frozenset({"overdue", "expired"})
"""States in which something is wrong already."""

TO_DO: Final = URGENT | {"unfiled", "extension", "expiring", "full"}
"""States in which somebody must act."""

CERT_RENEWAL_MONTHS: Final = 6
NOTICE_DAYS: Final = 90
"""Of kinds for which no text names a window: project policy."""


@dataclass(frozen=True)
class FilingStanding:
    """How a filing stands on a day.

    Attributes:
        state: Of STATES.
        ends: Its last valid day; None where it has none.
        days_left: Until then, 0 on the day itself, negative after; None where there is no end.
        file_by: Last day of the ten working days of a contract that is not filed; else None.
        window: First day on which its extension or renewal is to be asked for; None where there is no end.
        provisional: A working day beyond the published calendar was counted.
    """

    state: str
    ends: date | None
    days_left: int | None
    file_by: date | None
    window: date | None
    provisional: bool


def standing(
    filing: FiledMechanism, on: date, calendar: WorkCalendar, used: int = 0, choices: Choices = CAREFUL
) -> FilingStanding:
    """How a filing stands.

    Args:
        filing: As registered.
        on: The day, Asia/Shanghai.
        calendar: The mainland's working days.
        used: Persons sent under it, against its cap.
        choices: How the pack reads what the law leaves open.
    """
    last = last_day(filing, choices)
    ends = None if last == date.max else last
    window = _window(filing, ends, calendar)
    file_by = _file_by(filing, on, calendar)
    counted = [day for day in (file_by, ends if filing.kind == "SA" else None) if day is not None]
    return FilingStanding(
        state=_state(filing, on, last, window, file_by, used),
        ends=ends,
        days_left=None if ends is None else (ends - on).days,
        file_by=file_by,
        window=window,
        provisional=any(map(calendar.is_provisional, counted)),
    )


def _state(filing: FiledMechanism, on: date, last: date, window: date | None, file_by: date | None, used: int) -> str:
    if filing.effective is None or on < filing.effective:
        return "not_started"
    if on > last:
        return "expired"
    if file_by is not None:
        return "unfiled" if on <= file_by else "overdue"
    if filing.persons_cap and used >= filing.persons_cap:
        return "full"
    if window is not None and on >= window:
        return "extension" if filing.kind in {"SA", "CERT"} else "expiring"
    return "in_force"


def _file_by(filing: FiledMechanism, on: date, calendar: WorkCalendar) -> date | None:
    filed = filing.filed is not None and filing.filed <= on
    if filing.kind not in {"SCC", "GBA"} or filed or filing.effective is None:
        return None
    return calendar.nth_working_day_after(filing.effective, FILING_WORKING_DAYS)


def _window(filing: FiledMechanism, ends: date | None, calendar: WorkCalendar) -> date | None:
    if ends is None:
        return None
    if filing.kind == "SA":
        return extension_window(ends, calendar).opens  # the same day under both readings
    if filing.kind == "CERT":
        return add_months(ends, -CERT_RENEWAL_MONTHS)
    return ends - timedelta(days=NOTICE_DAYS) if ends - date.min > timedelta(days=NOTICE_DAYS) else date.min
