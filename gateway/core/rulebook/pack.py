"""From TOML documents to a rulebook; everything that can be wrong with a pack is found here, before any decision.

What it is not: a reader of files; the rim brings the bytes. Nor a judge of the law: golden cases are.

A change must keep these:
1. All faults are told at once, each with its rule's id.
2. A rule is compiled only after its tree was checked, and the compiled text is the checked text.
3. The digest covers what the documents mean, not how they are laid out: comments and spaces may change under it.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from datetime import date
from types import MappingProxyType
from typing import Any, Final

from gateway.core.choices import Choices
from gateway.core.derive import Derived
from gateway.core.errors import Unusable
from gateway.core.rulebook.choices import parse_choices, reader_faults, with_choices
from gateway.core.rulebook.instruments import parse_instruments
from gateway.core.rulebook.rule import Rulebook
from gateway.core.rulebook.rules import parse_rules
from gateway.core.situation import Vocabulary
from gateway.wire import canonical

NO_RULE: Final = "NONE"
"""Pseudo id of the hold that stands where no rule fired; no rule may take it."""

CHOICES: Final = "choices.toml"
"""Path of the document that says how open questions are read; a pack without it takes every default."""


def parse_rulebook(documents: Mapping[str, bytes], vocabulary: Vocabulary) -> Rulebook:
    """A rulebook from the documents of a pack.

    Args:
        documents: TOML by relative path. `instruments/*`, `rules/*` and `choices.toml` are read, in the order of their
            paths; all documents are covered by the digest, those that others read (vocabulary, retention) too.
        vocabulary: What conditions may name.

    Raises:
        Unusable: With every fault found, each beginning with the rule's or instrument's id.
    """
    faults: list[str] = []
    parsed = {path: _toml(path, documents[path], faults) for path in sorted(documents)}
    instruments = parse_instruments(_entries(parsed, "instruments", "instrument", faults), faults)
    choices = parse_choices(_one(parsed, CHOICES, "choice", faults), instruments, faults)
    readable = with_choices(vocabulary, choices)
    rules = parse_rules(_entries(parsed, "rules", "rule", faults), readable, instruments, faults)
    faults += _derived_faults(vocabulary) + ([] if faults else reader_faults(choices, rules.values(), readable))
    if not rules and not faults:
        faults.append("the pack has no rules")
    if faults:
        raise Unusable("the rule pack cannot be used: " + "; ".join(faults))
    return Rulebook(
        rules=tuple(rules.values()),
        instruments=MappingProxyType(instruments),
        operands=_operands(vocabulary),
        digest=pack_digest(parsed),
        choices=Choices(choices),
    )


def pack_digest(parsed: Mapping[str, Any]) -> str:
    """SHA-256, hex, over the RFC 8785 form of the parsed documents by path; dates as ISO text."""
    return hashlib.sha256(canonical.encode(_json(parsed))).hexdigest()


def _json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_json(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value


def _toml(path: str, data: bytes, faults: list[str]) -> dict[str, Any]:
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        faults.append(f"{path}: {error}")
        return {}


def _entries(parsed: Mapping[str, Any], folder: str, table: str, faults: list[str]) -> list[dict[str, Any]]:
    found = []
    for path, document in parsed.items():
        if path.startswith(folder + "/"):
            faults += [f"{path}: unknown table {key}" for key in document if key != table]
            found += _tables(path, document.get(table, []), faults)
    return found


def _one(parsed: Mapping[str, Any], path: str, table: str, faults: list[str]) -> list[dict[str, Any]]:
    document = parsed.get(path, {})
    faults += [f"{path}: unknown table {key}" for key in document if key != table]
    return _tables(path, document.get(table, []), faults)


def _tables(path: str, listed: Any, faults: list[str]) -> list[dict[str, Any]]:
    if isinstance(listed, list) and all(isinstance(entry, dict) for entry in listed):
        return listed
    faults.append(f"{path}: must be a list of tables")
    return []


def _derived_faults(vocabulary: Vocabulary) -> list[str]:
    computed = {field.name for field in fields(Derived)} - {"provisional"}
    return [f"derived fact {name}: in vocabulary or code only" for name in sorted(computed ^ set(vocabulary.derived))]


def _operands(vocabulary: Vocabulary) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for path in vocabulary.readable_paths():
        section, _, name = path.rpartition(".")
        found[section] = (*found.get(section, ()), name)
    return MappingProxyType(found)
