"""Instruments of a pack: laws, measures and guidelines with the articles that rules cite.

What it is not: the texts of the law. Articles are in short own words; `status` says how they were checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Any, Final

from gateway.core.rulebook.entry import said, span_faults, spoken
from gateway.core.rulebook.rule import STATUSES, Article, Instrument
from gateway.core.situation.vocabulary import LANGUAGES

_INSTRUMENT_KEYS: Final = frozenset(["id", "title", "issuer", "number", "in_force", "version", "status", "articles"])


def parse_instruments(entries: list[dict[str, Any]], faults: list[str]) -> dict[str, Instrument]:
    """Instruments by id; what is wrong with any of them is added to `faults`."""
    found: dict[str, Instrument] = {}
    for entry in entries:
        name = str(entry.get("id", "an instrument without id"))
        problems = _instrument_faults(entry)
        if name in found:
            problems.append("the id is taken twice")
        faults += [f"{name}: {problem}" for problem in problems]
        if not problems:
            found[name] = _instrument(entry)
    return found


def _instrument_faults(entry: Mapping[str, Any]) -> list[str]:
    if set(entry) != _INSTRUMENT_KEYS:
        return [f"keys {sorted(set(entry) ^ _INSTRUMENT_KEYS)} are missing or unknown"]
    problems = [] if spoken(entry["title"]) else [f"title needs {', '.join(LANGUAGES)}"]
    problems += span_faults(entry["in_force"])
    problems += [f"{key} is empty" for key in ("issuer", "number") if not said(entry[key])]
    if entry["status"] not in STATUSES:
        problems.append(f"unknown status {entry['status']!r}")
    if not isinstance(entry["version"], date):
        problems.append("version must be a date")
    if not isinstance(entry["articles"], dict) or not entry["articles"]:
        return [*problems, "it records no articles"]
    unsound = [name for name, article in entry["articles"].items() if not _sound(article)]
    return problems + [f"article {name} needs text and a status" for name in unsound]


def _sound(article: Any) -> bool:
    return (
        isinstance(article, dict)
        and set(article) == {"text", "status"}
        and article["status"] in STATUSES
        and said(article["text"])
    )


def _instrument(entry: Mapping[str, Any]) -> Instrument:
    articles = {number: Article(article["text"], article["status"]) for number, article in entry["articles"].items()}
    return Instrument(
        id=entry["id"],
        titles=MappingProxyType(dict(entry["title"])),
        issuer=entry["issuer"],
        number=entry["number"],
        since=entry["in_force"]["from"],
        until=entry["in_force"].get("to"),
        version=entry["version"],
        status=entry["status"],
        articles=MappingProxyType(articles),
    )
