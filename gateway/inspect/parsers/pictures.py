"""What pixels mean: they are no text, and no inspector sees what they show (record 0038).

A change must keep: a picture large enough to show a face or a line of text is never clean unless a setting says so.
"""

from __future__ import annotations

from typing import Final

from gateway.inspect.report import Report

SMALL: Final = 48  # pixels of a side: an icon; a face or an identity number needs more


def judge_picture(report: Report, width: int, height: int) -> None:
    """Say that there are pixels, by their size."""
    if min(width, height) <= SMALL and max(width, height) <= 4 * SMALL:
        return
    report.found("face_image", f"pixels {width} x {height}: faces are not looked for", weak=True)
    if report.context.budget.limits.pictures == "held":
        report.unreadable("pixels that may show faces or text, which no inspector sees")
