"""The vocabulary as a value: which facts exist, of which type, and which of them a rule may read.

What it is not: the words themselves (`policies/vocabulary.toml`) or the values (`sections.py`).

A change must keep these:
1. The vocabulary names exactly the fields of the sections and of a filing; a difference is refused at load.
2. Dates, filings and lists that need arithmetic are never readable: CEL sees them only through derived facts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

from gateway.core.errors import Unusable
from gateway.core.situation.sections import SECTIONS, Filing, Situation

MAX_COUNT: Final = 2**53 - 1
"""Largest count: beyond it canonical JSON has no integer (RFC 7493 section 2.2)."""

TYPES: Final = frozenset({"flag", "count", "word", "text", "place", "words", "texts", "date", "date_or_false"})
READABLE_TYPES: Final = frozenset({"flag", "count", "word", "text", "place", "words", "texts"})
LANGUAGES: Final = ("en", "zh-Hans", "zh-Hant")

_MAX_TEXT: Final = 500


@dataclass(frozen=True)
class Operand:
    """One fact.

    Attributes:
        path: `section.field`, or `field` at the root.
        type: One of `TYPES`.
        words: The allowed words; empty where any text goes.
        read: Whether a rule's condition may name it.
        required: Whether a document must state it.
        has_default: Whether `default` fills a document that does not state it.
        default: The value for documents, as a section holds it.
        about: One line for people.
    """

    path: str
    type: str
    words: tuple[str, ...]
    read: bool
    required: bool
    has_default: bool
    default: Any
    about: str

    def refuse(self, value: object) -> str:
        """Why a value from a document does not fit, or an empty string."""
        if self.type in _PLAIN:
            return _PLAIN[self.type](value)
        return _refuse_word(self, value) if self.type in {"word", "place"} else _refuse_list(self, value)

    def take(self, value: Any) -> Any:
        """A fitting document value as the sections hold it: tuples for lists, None for a false date."""
        if isinstance(value, list):
            return tuple(value)
        return None if value is False and self.type == "date_or_false" else value


@dataclass(frozen=True)
class Kind:
    """A kind of finding; `names` by language, and whether one finding makes data personal or sensitive."""

    id: str
    names: Mapping[str, str]
    personal: bool
    sensitive: bool


@dataclass(frozen=True)
class Vocabulary:
    """Every word the facts, the rules and the detectors may use.

    Attributes:
        facts: By path, what a situation states.
        filings: By field, what a filing states.
        derived: By name, what core.derive computes.
        mechanisms: What a rule may name as its mechanism.
        flags: What a rule may put beside a verdict.
        kinds: Kinds of findings by id.
    """

    facts: Mapping[str, Operand]
    filings: Mapping[str, Operand]
    derived: Mapping[str, Operand]
    mechanisms: tuple[str, ...]
    flags: tuple[str, ...]
    kinds: Mapping[str, Kind]

    @cached_property
    def sections(self) -> Mapping[str, Mapping[str, Operand]]:
        """Stated facts by section and name; "" holds those at the root. Reading many recorded facts looks here each time."""
        found: dict[str, dict[str, Operand]] = {}
        for path, operand in self.facts.items():
            section, _, name = path.rpartition(".")
            found.setdefault(section, {})[name] = operand
        return found

    def readable(self, path: str) -> Operand | None:
        """The operand a condition means by a dotted path, or None where it may not name it."""
        found = self.facts.get(path) or self.derived.get(path)
        return found if found is not None and found.read else None

    def readable_paths(self) -> Iterator[str]:
        """All paths a condition may name."""
        yield from (path for path, operand in (*self.facts.items(), *self.derived.items()) if operand.read)


def parse_vocabulary(document: Mapping[str, Any]) -> Vocabulary:
    """A vocabulary from its parsed TOML.

    Args:
        document: The content of `policies/vocabulary.toml`.

    Raises:
        Unusable: With every fault found.
    """
    faults = [
        f"{key}: unknown table"
        for key in document
        if key not in {"version", "facts", "filings", "derived", "rules", "places", "kinds"}
    ]
    places = tuple(document.get("places", {}).get("codes", ()))
    facts = _operands(document.get("facts", {}), places, faults)
    filings = _operands(document.get("filings", {}), places, faults)
    derived = _operands(document.get("derived", {}), places, faults)
    faults += [f"{path}: needs a default" for path, found in facts.items() if not found.has_default]
    faults += _differences("facts", set(facts), _fact_paths())
    faults += _differences("filings", set(filings), {field.name for field in fields(Filing)})
    kinds = _kinds(document.get("kinds", {}), faults)
    rules = document.get("rules", {})
    if faults:
        raise Unusable("the vocabulary cannot be used: " + "; ".join(faults))
    return Vocabulary(
        facts=MappingProxyType(facts),
        filings=MappingProxyType(filings),
        derived=MappingProxyType(derived),
        mechanisms=tuple(rules.get("mechanisms", ())),
        flags=tuple(rules.get("flags", ())),
        kinds=MappingProxyType(kinds),
    )


def _fact_paths() -> set[str]:
    roots = {field.name for field in fields(Situation)} - set(SECTIONS) - {"filings"}
    return roots | {f"{name}.{field.name}" for name, section in SECTIONS.items() for field in fields(section)}


def _differences(where: str, named: set[str], known: set[str]) -> list[str]:
    return [f"{where}: no such fact as {path}" for path in sorted(named - known)] + [
        f"{where}: {path} is missing" for path in sorted(known - named)
    ]


def _operands(table: Mapping[str, Any], places: tuple[str, ...], faults: list[str]) -> dict[str, Operand]:
    found = {}
    for path, entry in table.items():
        operand = _operand(path, entry, places)
        fault = _operand_fault(operand, entry)
        if fault:
            faults.append(f"{path}: {fault}")
        found[path] = operand
    return found


def _operand(path: str, entry: Mapping[str, Any], places: tuple[str, ...]) -> Operand:
    kind = str(entry.get("type", ""))
    blank = Operand(
        path=path,
        type=kind,
        words=places if kind == "place" else tuple(entry.get("words", ())),
        read=bool(entry.get("read", kind in READABLE_TYPES)),
        required=bool(entry.get("required", False)),
        has_default="default" in entry,
        default=None,
        about=str(entry.get("about", "")),
    )
    return Operand(**{**vars(blank), "default": blank.take(entry.get("default"))})


def _operand_fault(operand: Operand, entry: Mapping[str, Any]) -> str:
    extra = set(entry) - {"type", "words", "default", "read", "required", "about"}
    if extra:
        return f"unknown keys {sorted(extra)}"
    if operand.type not in TYPES:
        return f"unknown type {operand.type!r}"
    if operand.read and operand.type not in READABLE_TYPES:
        return "a date may not be read by rules"
    if operand.type in {"word", "words", "place"} and not operand.words:
        return "no words are listed"
    if not operand.about:
        return "nothing says what it is about"
    return operand.refuse(entry["default"]) if operand.has_default else ""


def _kinds(table: Mapping[str, Any], faults: list[str]) -> dict[str, Kind]:
    found = {}
    for name, entry in table.items():
        if set(entry) != {*LANGUAGES, "personal", "sensitive"} or not all(entry[key] for key in LANGUAGES):
            faults.append(f"kinds.{name}: needs {', '.join(LANGUAGES)}, personal and sensitive")
            continue
        names = MappingProxyType({language: entry[language] for language in LANGUAGES})
        found[name] = Kind(id=name, names=names, personal=entry["personal"], sensitive=entry["sensitive"])
    return found


# --- what fits a type ---


def _refuse_flag(value: object) -> str:
    return "" if isinstance(value, bool) else f"must be true or false, not {_shown(value)}"


def _refuse_count(value: object) -> str:
    # bool is an int in Python, and a flag where a count belongs is a mistake worth telling.
    if type(value) is not int or not 0 <= value <= MAX_COUNT:
        return f"must be a whole number from 0 to 2^53 - 1, not {_shown(value)}"
    return ""


def _refuse_text(value: object) -> str:
    if not isinstance(value, str):
        return f"must be text, not {_shown(value)}"
    if len(value) > _MAX_TEXT or any("\ud800" <= char <= "\udfff" for char in value):
        return f"must be text of at most {_MAX_TEXT} characters"
    return ""


def _refuse_date(value: object) -> str:
    # A datetime is a date in Python; a time of day would silently pick a time zone.
    return "" if type(value) is date else f"must be a date such as 2026-11-20, not {_shown(value)}"


def _refuse_date_or_false(value: object) -> str:
    return "" if value is False or type(value) is date else f"must be a date or false, not {_shown(value)}"


def _refuse_word(operand: Operand, value: object) -> str:
    if isinstance(value, str) and value in operand.words:
        return ""
    listed: Sequence[str] = operand.words if len(operand.words) <= 12 else (*operand.words[:4], "...")
    return f"must be one of {', '.join(repr(word) for word in listed)}, not {_shown(value)}"


def _refuse_list(operand: Operand, value: object) -> str:
    if not isinstance(value, list | tuple):
        return f"must be a list, not {_shown(value)}"
    return next(filter(None, (_refuse_item(operand, item) for item in value)), "")


def _refuse_item(operand: Operand, item: object) -> str:
    if operand.type == "words":
        return _refuse_word(operand, item)
    return _refuse_text(item) or ("" if str(item).strip() else "must not list blank text")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


_PLAIN: Final = {
    "flag": _refuse_flag,
    "count": _refuse_count,
    "text": _refuse_text,
    "date": _refuse_date,
    "date_or_false": _refuse_date_or_false,
}
