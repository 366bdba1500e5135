"""Formats that nobody here can take apart, with what a sender can do instead (record 0038)."""

from __future__ import annotations

from gateway.inspect.limits import Unreadable
from gateway.inspect.report import Report
from gateway.inspect.source import Source


def inspect_rar(source: Source, report: Report) -> None:  # noqa: ARG001  # every parser takes both
    """No free library reads RAR."""
    raise Unreadable("rar: no free program reads it; send a ZIP or TAR")
