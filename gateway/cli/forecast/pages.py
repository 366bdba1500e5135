"""A forecast as it is shown: to people in their language, to machines as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape

from gateway.cli.forecast.ends import COUNTS, Forecast, Span
from gateway.cli.forecast.survey import Surveyed
from gateway.cli.verdicts import show_decision
from gateway.core.catalogue import Catalogue
from gateway.core.rulebook import Rulebook
from gateway.stores.locales import load_catalogue


@dataclass(frozen=True)
class Page:
    """Everything a forecast says.

    Attributes:
        surveyed: What the files show.
        forecast: Counts and verdicts.
        rulebook: The rules it rests on.
        on: The day it is for.
        unstated: What nobody said: `sender`, `recipient`, `declaration`, `counts`.
    """

    surveyed: Surveyed
    forecast: Forecast
    rulebook: Rulebook
    on: date
    unstated: tuple[str, ...]

    def line(self) -> str:
        """The same as one line, an event among others."""
        return json.dumps({"event": "forecast", **self.to_json()}, ensure_ascii=False)

    def to_json(self) -> dict[str, Any]:
        """The object `--json` prints."""
        facts = self.surveyed.joined.facts
        names = ("level", "inspectable", "secrecy_mark", "personal", "sensitive", "precise_geo", "classes", "formats")
        return {
            "on": self.on.isoformat(),
            "files": self.surveyed.files,
            "bytes": self.surveyed.bytes,
            "found": {**{name: facts[name] for name in names}, "hgr": facts["hgr"]},
            "exact": facts["persons_exact"],
            "uninspectable": list(self.surveyed.uninspectable),
            **self.forecast.to_json(),
            "unstated": list(self.unstated),
        }


def show(console: Console, page: Page, language: str) -> None:
    """Print the page."""
    catalogue = load_catalogue()
    surveyed, seen = page.surveyed, page.surveyed.joined.facts

    def say(message: str, style: str = "", **values: object) -> None:
        text = escape(catalogue.text(f"forecast.{message}", language, **values))
        console.print(text, style=style, soft_wrap=True, highlight=False)

    say("files", "bold", files=surveyed.files, size=decimal(surveyed.bytes))
    classes = ", ".join(seen["classes"]) or "-"
    say("found", level=seen["level"], classes=classes, formats=", ".join(seen["formats"]))
    if surveyed.uninspectable:
        say("uninspectable", count=len(surveyed.uninspectable), first=surveyed.uninspectable[0])
    for name in COUNTS:
        if line := _line(catalogue, language, name, page.forecast.spans[name]):
            console.print(escape(line), soft_wrap=True, highlight=False)
    if not seen["persons_exact"]:
        say("by-rows", "dim")
    for name in page.unstated:
        say(f"unstated-{name}", "yellow")
    if page.forecast.shared_unknown:
        say("shared", "dim")
    console.print()
    _verdicts(console, page, catalogue, language)


def _line(catalogue: Catalogue, language: str, name: str, span: Span) -> str:
    """One count in a line; empty where there is nothing to count."""
    if not span.own and not span.before:
        return ""
    what = catalogue.text(f"forecast.{name}", language)
    if span.before is None:
        return catalogue.text("forecast.from", language, what=what, own=f"{span.own:,}")
    before, low, high = (f"{number:,}" for number in (span.before, span.low, span.high or 0))
    if span.low == span.high:
        return catalogue.text("forecast.exactly", language, what=what, now=before, after=low)
    return catalogue.text("forecast.range", language, what=what, now=before, low=low, high=high)


def _verdicts(console: Console, page: Page, catalogue: Catalogue, language: str) -> None:
    if page.forecast.same:
        console.print(catalogue.text("forecast.both-ends", language), style="bold")
        show_decision(console, page.forecast.low, page.rulebook, language)
        return
    for name, decision in (("low-end", page.forecast.low), ("high-end", page.forecast.high)):
        console.print(catalogue.text(f"forecast.{name}", language), style="bold")
        show_decision(console, decision, page.rulebook, language)
        console.print()
