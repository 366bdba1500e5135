"""Days and moments that programs for statistics keep as numbers, told as a calendar has them.

What looks for days of birth reads a calendar's; and SPSS's seconds since 1582 look like telephone numbers of our time. What a
number means, a column's format says; a number that no calendar has stays one.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

_FIRST, _LAST = np.datetime64("1582-10-14"), np.datetime64("19900-12-31")  # between which these programs have days
_A_DAY: Final = 86_400
_GREGORIAN: Final = datetime(1582, 10, 14)  # noqa: DTZ001  # these programs have no time zones
_SAS: Final = np.datetime64("1960-01-01")  # Stata's, too
_LETTERED: Final = re.compile(r"[A-Z]+(?:[0-9]+[A-Z]+)*")  # `DATE9.` without its width, `E8601DA` with its number
_SAS_DAYS: Final = re.compile(
    "DATE|DAY|(DDMMYY|MMDDYY|YYMMDD|MMYY|YYMM)[BCDNPS]?|DOWNAME|[BE]8601DA|JULDAY|JULIAN|MINGUO|NENGO|MON(NAME|TH|YY)|NLDATEW?"
    "|QTRR?|WEEK(DATE|DATX|DAY)|WORDDAT[EX]|YEAR|YYMON|YYQR?"
)
_SAS_MOMENTS: Final = re.compile("DATETIME|DATEAMPM|DT(DATE|MONYY|WKDATX|YEAR|YYQC)|[BE]8601D[NT]|MDYAMPM|NLDATM")
_SPSS_DAYS: Final = frozenset({20, 23, 24, 28, 29, 30, 38, 39})  # DATE, ADATE, JDATE, MOYR, QYR, WKYR, EDATE, SDATE
_SPSS_MOMENTS: Final = frozenset({22, 41})  # DATETIME, YMDHMS
_SPSS_SHIFTED: Final = 82  # by this some SPSS numbers formats of portable files higher

Numbers = np.ndarray[Any, np.dtype[np.float64]]


def of_sas(numbers: Numbers, format_: str) -> list[object]:
    """Cells of a column whose format is SAS's, `YYMMDD10.` or so."""
    named = _LETTERED.match(format_.upper())
    name = named[0] if named else ""
    if _SAS_DAYS.fullmatch(name):
        return _told(numbers, _SAS, 1, moments=False)
    return _told(numbers, _SAS, _A_DAY, moments=True) if _SAS_MOMENTS.fullmatch(name) else list(numbers.tolist())


def of_stata(numbers: Numbers, format_: str) -> list[object]:
    """Cells of a column whose format is Stata's: `%td` and `%d` are days, `%tc` and `%tC` milliseconds."""
    kind = format_.lstrip("%-")
    if kind.startswith(("td", "d")):
        return _told(numbers, _SAS, 1, moments=False)
    return _told(numbers, _SAS, _A_DAY * 1_000, moments=True) if kind[:2] in ("tc", "tC") else list(numbers.tolist())


def is_spss(format_: int) -> bool:
    """Whether a format of SPSS, by its number, is one of days or moments."""
    return _spss(format_) in _SPSS_DAYS | _SPSS_MOMENTS


def of_spss(number: float, format_: int) -> object:
    """A cell of such a column: seconds since 14 October 1582."""
    try:
        moment = _GREGORIAN + timedelta(seconds=number)
    except (OverflowError, ValueError):
        return number
    return moment if _spss(format_) in _SPSS_MOMENTS else moment.date()


def _spss(format_: int) -> int:
    return format_ - _SPSS_SHIFTED * (format_ > _SPSS_SHIFTED)


def _told(numbers: Numbers, epoch: np.datetime64, parts: int, *, moments: bool) -> list[object]:
    """Numbers of which `parts` make a day."""
    low, high = ((day - epoch).astype(np.int64) * parts for day in (_FIRST, _LAST))
    with np.errstate(invalid="ignore"):
        known = (numbers >= low) & (numbers <= high)
    unit, whole = ("s", _A_DAY) if moments else ("D", 1)
    steps = np.floor(np.where(known, numbers, 0) / parts * whole + 1e-6).astype(np.int64)
    shown = np.datetime_as_string(epoch.astype(f"M8[{unit}]") + steps.astype(f"m8[{unit}]"))
    cells = zip(shown.tolist(), known.tolist(), numbers.tolist(), strict=True)
    return [day if good else number for day, good, number in cells]
