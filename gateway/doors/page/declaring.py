"""The declaration as questions: what a person answered becomes the vocabulary's words.

What it is not: the law, or the vocabulary. `core.declaration` checks every word; `core.known` makes the strictest of what is
unsaid.

A change must keep these:
1. "Not sure" says nothing, and what nobody said counts as the strictest. It stands selected until a person selects another.
2. Every question is one word of the vocabulary; a test compares.

Source: `policies/vocabulary.toml`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from gateway.core.errors import Unusable

UNSURE: Final = "unsure"
LEVELS: Final = ("general", "important_suspected", "important", "core", "secret")
KINDS: Final = (
    "data.personal",
    "data.sensitive",
    "data.under14",
    "hgr.information",
    "hgr.material",
    "data.precise_geo",
    "data.controlled_technology",
    "data.remote_access",
)
HINTED: Final = ("data.personal", "data.sensitive", "hgr.information")  # those explained in a sentence of their own
DUTIES: Final = (
    "duties.notice",
    "duties.separate_consent",
    "duties.written_consent",
    "duties.ethics_approval",
)
COUNTS: Final = ("persons.nonsensitive", "persons.sensitive")
DATE: Final = "duties.pipia"
_PERSONAL: Final = ("data.personal", "data.sensitive", "data.under14")
_NUMBER: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_LISTED: Final = re.compile(r"[\s,;，；、]+")


def field_name(word: str) -> str:
    """The name of a question's field."""
    return word.replace(".", "_")


def parse_answers(form: Mapping[str, str]) -> dict[str, Any]:
    """A declaration from the fields of the form.

    Raises:
        Unusable: `persons-unsaid`, where the data are personal and nobody said about how many people; `bad-declaration` for
            an answer that is none.
    """
    declared: dict[str, Any] = {}
    level = form.get(field_name("data.level"), UNSURE)
    if level != UNSURE:
        _put(declared, "data.level", level)
    for word in (*KINDS, *DUTIES):
        answer = _answer(form.get(field_name(word), UNSURE))
        if answer is not None:
            _put(declared, word, answer)
    for word in COUNTS:
        if given := form.get(field_name(word), "").strip():
            _put(declared, word, _number(given))
    if given := form.get(field_name(DATE), "").strip():
        _put(declared, DATE, _day(given))
    if stated := form.get("purpose_stated", "").strip():
        _put(declared, "purpose.stated", stated)
    if filings := [each for each in _LISTED.split(form.get("filings", "")) if each]:
        declared["filings"] = filings
    if any(form.get(field_name(word)) == "yes" for word in _PERSONAL) and not declared.get("persons"):
        raise Unusable("the data are about people: say about how many", code="persons-unsaid")
    return declared


def _put(declared: dict[str, Any], word: str, value: Any) -> None:
    section, _, key = word.partition(".")
    declared.setdefault(section, {})[key] = value


def _answer(given: str) -> bool | None:
    if given not in {"yes", "no", UNSURE}:
        raise Unusable("an answer is yes, no or not sure", code="bad-declaration")
    return None if given == UNSURE else given == "yes"


def _number(given: str) -> int:
    if not _NUMBER.fullmatch(given):
        raise Unusable("a number of people is a whole number", code="bad-declaration")
    return int(given)


def _day(given: str) -> str:
    if not _DATE.fullmatch(given):
        raise Unusable("a day is written YYYY-MM-DD", code="bad-declaration")
    return given
