"""The catalogue: every sentence the gateway says to people, in three languages, by permanent ids.

What it is not: logs, errors or rules. Errors carry their detail in English; rule packs bring their own texts.

A change must keep these:
1. Every id is in every language, with the same placeholders: what one reader is told, all are told.
2. Ids are `<section>.<word>`; an id that shipped keeps its meaning.
3. A placeholder is a plain `{name}`; a value is text put in as it is, never a template.
4. `zh` and `zh-CN` read simplified, `zh-TW`, `zh-HK` and `zh-MO` traditional characters; who asks for nothing reads English.

Sources: RFC 9110 section 12.5.4 (Accept-Language), RFC 4647 section 3.4 (lookup), RFC 5646 (tags).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Any, Final

from gateway.core.errors import Unusable

LANGUAGES: Final = ("en", "zh-Hans", "zh-Hant")
DEFAULT: Final = "en"
MAX_HEADER: Final = 1000
_TRADITIONAL_PLACES: Final = frozenset({"tw", "hk", "mo"})
_SCRIPTS: Final = {"hans": "zh-Hans", "hant": "zh-Hant"}
_RANGE: Final = re.compile(
    r"(\*|[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)[ \t]*(?:;[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?"
)
_ID: Final = re.compile(r"[a-z][a-z_]*\.[a-z0-9][a-z0-9_-]*")
_NAME: Final = re.compile(r"[a-z][a-z_]*")


@dataclass(frozen=True)
class Catalogue:
    """Texts by language and id. Made by `parse_catalogue` only, which checks that no language lacks anything."""

    texts: Mapping[str, Mapping[str, str]]

    def text(self, message: str, language: str = DEFAULT, **values: object) -> str:
        """A text with its placeholders filled.

        Raises:
            KeyError: Where there is no such id or language: a mistake of ours, found by the tests.
            ValueError: Where the values are not exactly those the text has places for.
        """
        template = self.texts[language][message]
        if set(values) != _placeholders(template):
            raise ValueError(f"{message} has places for {sorted(_placeholders(template))}, not for {sorted(values)}")
        return template.format(**{name: str(value) for name, value in values.items()}) if values else _plain(template)

    def all(self, message: str) -> dict[str, str]:
        """A text without placeholders in every language, by language."""
        return {language: self.text(message, language) for language in LANGUAGES}

    def ids(self) -> frozenset[str]:
        """Every id."""
        return frozenset(self.texts[DEFAULT])


def parse_catalogue(documents: Mapping[str, str]) -> Catalogue:
    """The catalogue of one TOML document a language, each a table of tables of texts.

    Raises:
        Unusable: With every complaint at once: a language, id, text or placeholder that is missing or too much.
    """
    if set(documents) != set(LANGUAGES):
        raise Unusable(f"a catalogue has exactly the languages {', '.join(LANGUAGES)}", code="bad-catalogue")
    faults: list[str] = []
    texts = {language: _parsed(language, documents[language], faults) for language in LANGUAGES}
    every = sorted(set().union(*texts.values()))
    for message in every:
        lacking = [language for language in LANGUAGES if message not in texts[language]]
        faults += [f"{message} is missing in {language}" for language in lacking]
        if not lacking and len({_placeholders(texts[language][message]) for language in LANGUAGES}) > 1:
            faults.append(f"{message} has other placeholders in another language")
    if faults:
        raise Unusable("; ".join(faults), code="bad-catalogue")
    return Catalogue(texts)


def negotiated(accept_language: str) -> str:
    """The language to answer an `Accept-Language` in: the best of ours, English where nothing fits or the field is broken.

    Args:
        accept_language: The field's value; empty where absent.
    """
    if len(accept_language) > MAX_HEADER:
        return DEFAULT
    wanted: list[tuple[float, int, str]] = []
    for position, part in enumerate(accept_language.split(",")):
        found = _RANGE.fullmatch(part.strip())
        quality = float(found[2] or 1) if found else 0.0
        if found and quality:
            wanted.append((-quality, position, found[1]))
    ours = (_ours(tag) for _, _, tag in sorted(wanted))
    return next((language for language in ours if language), DEFAULT)


def _ours(tag: str) -> str:
    """Our language for a tag, or an empty string."""
    primary, *subtags = tag.lower().split("-")
    if primary in {"en", "*"}:
        return DEFAULT
    if primary in {"yue", "zh"} or (primary in {"cmn", "hak", "nan", "wuu"}):
        script = next((_SCRIPTS[each] for each in subtags if each in _SCRIPTS), "")
        traditional = primary == "yue" or bool(_TRADITIONAL_PLACES & set(subtags))
        return script or ("zh-Hant" if traditional else "zh-Hans")
    return ""


def _parsed(language: str, document: str, faults: list[str]) -> dict[str, str]:
    try:
        tables = tomllib.loads(document)
    except tomllib.TOMLDecodeError as wrong:
        faults.append(f"{language} is not TOML: {wrong}")
        return {}
    found: dict[str, str] = {}
    for message, text in _leaves(tables):
        if not _ID.fullmatch(message) or not isinstance(text, str) or not text.strip():
            faults.append(f"{message} in {language} is no id with a text")
        elif fault := _bad_places(text):
            faults.append(f"{message} in {language} {fault}")
        else:
            found[message] = text
    return found


def _leaves(tables: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for section, table in tables.items():
        if isinstance(table, Mapping):
            yield from ((f"{section}.{word}", text) for word, text in table.items())
        else:
            yield section, table


def _bad_places(text: str) -> str:
    try:
        places = list(Formatter().parse(text))
    except ValueError as wrong:
        return f"has a broken placeholder: {wrong}"
    for _, name, form, conversion in places:
        if name is not None and (not _NAME.fullmatch(name) or form or conversion):
            return f"has a placeholder {name!r} that is more than a name"
    return ""


def _placeholders(text: str) -> frozenset[str]:
    return frozenset(name for _, name, _, _ in Formatter().parse(text) if name is not None)


def _plain(template: str) -> str:
    return template.format()  # turns doubled braces into single ones, as it does beside placeholders
