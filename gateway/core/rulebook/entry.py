"""What every entry of a pack has in common: texts in the needed languages and a span of days.

What it is not: knowledge of rules or instruments.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from gateway.core.situation.vocabulary import LANGUAGES


def spoken(texts: Any) -> bool:
    """Whether a table holds non-blank text in every language."""
    return isinstance(texts, dict) and set(texts) == set(LANGUAGES) and all(map(said, texts.values()))


def said(text: Any) -> bool:
    """Whether a value is non-blank text."""
    return isinstance(text, str) and bool(text.strip())


def span_faults(span: Any) -> list[str]:
    """What is wrong with a table of a first and, perhaps, a last day."""
    if not isinstance(span, dict) or not set(span) <= {"from", "to"} or type(span.get("from")) is not date:
        return ["in_force needs a day 'from', and at most a day 'to'"]
    if "to" in span and (type(span["to"]) is not date or span["to"] < span["from"]):
        return ["in_force ends before it begins"]
    return []
