"""Terms of filings: until when one is valid, and when its extension must be asked for.

What it is not: the count of ten working days after effect (`derive`), or of what is kept (`retention`).

A change must keep these:
1. The last day is included: a filing covers a transfer on the day it ends, up to midnight in Asia/Shanghai.
2. A year is a calendar year: 29 February and three years are 28 February.
3. An extension is asked for in working days of the mainland; beyond the published calendar the answer is provisional.

Sources: Order 16 art 9 (three years from issue; extension within the 60 working days before expiry); Order 11 art 14 as it was
(two years); Order 20 and the certification rules (three years).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final, Protocol

from gateway.core.calendar import WorkCalendar, add_years
from gateway.core.choices import CAREFUL, Choices

VALID_YEARS: Final = {"SA": 3, "CERT": 3}
"""Order 16 art 9 (result valid three years from issue); certificates likewise."""

EXTENDED_YEARS: Final = 6
"""Order 16 art 9: a result may be extended by three more years."""

OLD_YEARS: Final = 2
"""Order 11 art 14 as it stood before Order 16."""

ORDER_16: Final = date(2024, 3, 22)
"""First day of Order 16."""

EXTENSION_WORKING_DAYS: Final = 60
"""Order 16 art 9."""


@dataclass(frozen=True)
class ExtensionWindow:
    """When the extension of an assessment is asked for.

    Attributes:
        opens: First day, Asia/Shanghai: ask on it and both readings of "前60个工作日内" are kept.
        closes: Last day.
        provisional: A day beyond the published calendar was looked at.
    """

    opens: date
    closes: date
    provisional: bool


class Lasting(Protocol):
    """What the last day of a filing rests on: a situation's `Filing`, or a registered mechanism."""

    @property
    def kind(self) -> str: ...  # noqa: D102  # as in the vocabulary's `filings`
    @property
    def effective(self) -> date | None: ...  # noqa: D102  # the same
    @property
    def valid_to(self) -> date | None: ...  # noqa: D102  # the same
    @property
    def extended(self) -> bool: ...  # noqa: D102  # the same


def last_day(filing: Lasting, choices: Choices = CAREFUL) -> date:
    """The last day on which a filing is valid, itself included; `date.max` where nothing ends it.

    Args:
        filing: With its day of effect, or none.
        choices: `old_results` says how long results from before Order 16 live.
    """
    if filing.valid_to is not None:
        return filing.valid_to
    if filing.effective is None or filing.kind not in VALID_YEARS:
        return date.max
    if filing.kind != "SA":
        return add_years(filing.effective, VALID_YEARS[filing.kind])
    if filing.extended:
        return add_years(filing.effective, EXTENDED_YEARS)
    old = filing.effective < ORDER_16 and choices.taken("old_results") == "two-years"
    return add_years(filing.effective, OLD_YEARS if old else VALID_YEARS["SA"])


def extension_window(last: date, calendar: WorkCalendar, choices: Choices = CAREFUL) -> ExtensionWindow:
    """When to ask for the extension of an assessment.

    Args:
        last: Its last valid day; not counted among the 60.
        calendar: The mainland's working days.
        choices: `extension_window` says whether the 60 working days are the time to ask in, or the latest time to have asked.
    """
    sixtieth = calendar.nth_working_day_before(last, EXTENSION_WORKING_DAYS)
    closes = last if choices.taken("extension_window") == "within" else sixtieth
    return ExtensionWindow(sixtieth, closes, calendar.is_provisional(last))
