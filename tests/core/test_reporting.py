"""Reports before they are written out: sums, order, and cells that no spreadsheet runs."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import date

from gateway.core.reporting import DETAIL, Left, Report, Section, as_csv, by_recipient, details, shown

ONE = Left(
    id="t1", dataset="d", version=1, project="p", endpoint="hku", mechanism="SCC", purpose="", level="general", types=("x",),
    files=2, bytes=10, state="receipted", day=date(2026, 11, 2), rules=("P9",), sensitive=1, nonsensitive=2, subjects=3,
    sequenced=1, officers=(), decision="d1", root="r1", rulebook="b", receipt=True,
)  # fmt: skip


def test_transfers_stand_in_the_order_of_their_days():
    other = replace(ONE, id="t0", day=date(2026, 11, 3))
    section = details([other, ONE])
    assert [row[DETAIL.index("id")] for row in section.rows] == ["t1", "t0"]


def test_sums_by_recipient_take_distinct_persons_and_not_their_sum():
    left = [ONE, replace(ONE, id="t2"), replace(ONE, id="t3", mechanism="none")]
    section = by_recipient(left, {("hku", "SCC"): (1, 2), ("hku", "none"): (0, 2)})
    assert section.rows == (("hku", "SCC", 2, 4, 20, 1, 2, 6, 2), ("hku", "none", 1, 2, 10, 0, 2, 3, 1))


def test_a_name_that_a_spreadsheet_would_run_is_text():
    names = (("=cmd|' /C calc'!A0",), ('pl,ai"n',), ("-1",), ("@x",))
    report = Report("yearly", {}, (Section("transfers", ("dataset",), names),), {"ledger": "x"})
    written = as_csv(report, {"dataset": "Dataset", "ledger": "Ledger"})
    assert written.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(written.decode("utf-8-sig"))))
    assert rows == [["Dataset"], ["'=cmd|' /C calc'!A0"], ['pl,ai"n'], ["'-1"], ["'@x"], [], ["Ledger", "x"]]


def test_cells_as_people_read_them():
    assert [shown(value) for value in (None, True, False, ("a", "b"), date(2026, 1, 2), 5)] == [
        "",
        "1",
        "0",
        "a b",
        "2026-01-02",
        "5",
    ]
