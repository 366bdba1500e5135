"""The tables of `policies/detectors/sensitivity.toml`: categories, combinations, births, reasons for a level.

Not here: what follows from them (`gateway.core.classify`), header words (they join those of `headers.toml`).
A change must keep: nothing is guessed, an unknown or missing key is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

from gateway.core.errors import Unusable

Table = Mapping[str, object]
Proposed = Literal["secret", "core", "important_suspected"]
_REASONS = (
    "secrecy_mark", "core_mark", "core_words", "important_mark", "internal_mark", "secrecy_word", "bulk_coordinates",
    "many_subjects",
)  # fmt: skip
_NUMBERS = {"bulk_coordinates": ("records",), "many_subjects": ("persons", "sensitive")}
_WORDS = {"core_mark": ("words", "labels"), "important_mark": ("words",)}


@dataclass(frozen=True)
class Category:
    """A category of sensitive personal information: kinds of findings that are of it, other words for it in filings."""

    kinds: frozenset[str]
    types: tuple[str, ...]


@dataclass(frozen=True)
class Combination:
    """Kinds that mean more together than apart: one of every list."""

    lists: tuple[frozenset[str], ...]


@dataclass(frozen=True)
class Reason:
    """Why a level is proposed; words and numbers where its rule has any."""

    level: Proposed
    words: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    numbers: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Sensitivity:
    """All of it.

    Attributes:
        categories: By name, as `classes` of findings call them.
        combinations: By the kind of finding they make.
        births: Header kinds whose columns hold days of birth.
        levels: By reason.
    """

    categories: Mapping[str, Category] = field(default_factory=dict)
    combinations: Mapping[str, Combination] = field(default_factory=dict)
    births: frozenset[str] = frozenset()
    levels: Mapping[str, Reason] = field(default_factory=dict)


def parse_sensitivity(document: Table) -> Sensitivity:
    """Read the document; its `headers` are read with the others'.

    Raises:
        Unusable: With the table and key that is missing, unknown or of the wrong type.
    """
    try:
        _keys("sensitivity.toml", document, {"headers", "categories", "combinations", "births", "levels"})
        births = _table(document, "births")
        _keys("births", births, {"kinds", "citation"})
        return Sensitivity(
            categories={name: _category(name, table) for name, table in _tables(document, "categories")},
            combinations={name: _combination(name, table) for name, table in _tables(document, "combinations")},
            births=frozenset(_strings(births, "kinds")),
            levels=_levels(_table(document, "levels")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Unusable(f"sensitivity.toml cannot be read, mend it: {error}") from error


def _category(name: str, table: Table) -> Category:
    _keys(name, table, {"kinds", "types", "citation"})
    return Category(frozenset(_strings(table, "kinds")), _strings(table, "types"))


def _combination(name: str, table: Table) -> Combination:
    _keys(name, table, {"all", "sensitive", "citation"})
    lists = table["all"]
    if not isinstance(lists, list) or len(lists) < 2:
        raise TypeError(f"{name}.all must be two lists of kinds or more")
    return Combination(tuple(frozenset(_strings({"all": each}, "all")) for each in lists))


def _levels(tables: Table) -> dict[str, Reason]:
    _keys("levels", tables, set(_REASONS))
    return {reason: _reason(reason, _table(tables, reason)) for reason in _REASONS}


def _reason(name: str, table: Table) -> Reason:
    numbers, words = _NUMBERS.get(name, ()), _WORDS.get(name, ())
    _keys(name, table, {"level", "citation", *numbers, *words})
    if table["level"] not in get_args(Proposed):
        raise ValueError(f"[levels.{name}] level must be one of {', '.join(get_args(Proposed))}")
    limits = {key: cast("int", table[key]) for key in numbers}
    if any(not isinstance(each, int) or isinstance(each, bool) or each < 1 for each in limits.values()):
        raise TypeError(f"[levels.{name}] numbers are whole and at least 1")
    found = {key: _strings(table, key) for key in words}
    return Reason(cast("Proposed", table["level"]), found.get("words", ()), found.get("labels", ()), limits)


def _tables(document: Table, key: str) -> list[tuple[str, Table]]:
    inner = _table(document, key)
    return [(name, _table(inner, name)) for name in inner]


def _table(document: Table, key: str) -> Table:
    table = document[key]
    if not isinstance(table, Mapping):
        raise TypeError(f"{key} must be a table")
    return table


def _keys(name: str, table: Table, required: set[str]) -> None:
    if set(table) != required:
        raise ValueError(
            f"[{name}] misses {sorted(required - set(table))} and does not know {sorted(set(table) - required)}"
        )


def _strings(table: Table, key: str) -> tuple[str, ...]:
    value = table[key]
    if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
        raise TypeError(f"{key} must be a list of strings")
    return tuple(value)
