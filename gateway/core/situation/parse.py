"""From a document to a situation and back.

What it is not: a reader of files (that is the rim's) or of a transfer's registry (the flow builds situations itself).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import date
from difflib import get_close_matches
from typing import Any

from gateway.core.errors import Unusable
from gateway.core.situation.sections import SECTIONS, Filing, Situation
from gateway.core.situation.vocabulary import Operand, Vocabulary


def parse_situation(document: Mapping[str, Any], vocabulary: Vocabulary) -> Situation:
    """A situation from a TOML document, missing keys taking the vocabulary's defaults.

    Args:
        document: As `tomllib` gives it: tables, lists, text, booleans, integers, dates.
        vocabulary: The authority for names, types, words and defaults.

    Raises:
        Unusable: Naming every unknown key, wrong type and word outside the lists at once.
    """
    faults: list[str] = []
    filings = _filings(document.get("filings", []), vocabulary, faults)
    sections = {name: _section(name, document.get(name, {}), vocabulary, faults) for name in SECTIONS}
    plain = {key: value for key, value in document.items() if key not in SECTIONS and key != "filings"}
    root = _fill("", plain, _operands("", vocabulary), faults, also=(*SECTIONS, "filings"))
    if faults:
        raise Unusable("the facts cannot be used: " + "; ".join(faults))
    return Situation(
        **root,
        **{name: SECTIONS[name](**values) for name, values in sections.items()},
        filings=tuple(Filing(**filing) for filing in filings),
    )


def situation_document(situation: Situation) -> dict[str, Any]:
    """The whole situation as JSON values: dates as ISO text, tuples as lists, absent values as null."""
    return {field.name: _json(getattr(situation, field.name)) for field in fields(situation)}


def thaw_situation(document: Mapping[str, Any], vocabulary: Vocabulary) -> Situation:
    """A recorded situation: the inverse of `situation_document`, from which a decision is made again.

    Args:
        document: As `situation_document` gives it; every key must be there, since a default would be a guess.
        vocabulary: The authority for names, types and words.

    Raises:
        Unusable: Naming every missing or unknown key, wrong type and word outside the lists.
    """
    faults: list[str] = []
    thawed = _thaw("", document, _operands("", vocabulary), faults)
    for name in SECTIONS:
        thawed[name] = _thaw(f"{name}.", document.get(name), _operands(name, vocabulary), faults)
    listed = document.get("filings")
    if isinstance(listed, list):
        listed = [_thaw(f"filings[{at}].", table, vocabulary.filings, faults) for at, table in enumerate(listed)]
    thawed["filings"] = listed
    if faults:
        raise Unusable("the recorded facts cannot be used: " + "; ".join(faults))
    situation = parse_situation(thawed, vocabulary)
    if situation_document(situation) != document:
        raise Unusable("the recorded facts cannot be used: they are spelled in another way than they were recorded")
    return situation


def _thaw(prefix: str, table: Any, operands: Mapping[str, Operand], faults: list[str]) -> Any:
    """A recorded table as TOML would have it: dates for ISO text, absent values left out. The rest is `parse_situation`'s."""
    if not isinstance(table, Mapping):
        return table
    faults += [f"{prefix}{name}: is missing" for name in operands if name not in table]
    return {
        key: _thaw_value(operands.get(key), value)
        for key, value in table.items()
        if not (value is None and _may_be_absent(operands.get(key)))
    }


def _thaw_value(operand: Operand | None, value: Any) -> Any:
    if operand is None or "date" not in operand.type:
        return value
    if value is None:
        return False
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        return value


def _may_be_absent(operand: Operand | None) -> bool:
    return operand is not None and not operand.required and not operand.has_default


def _json(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_json(item) for item in value]
    if isinstance(value, bool | int | str) or value is None:
        return value
    return {name: _json(inner) for name, inner in vars(value).items()}


def _section(name: str, table: object, vocabulary: Vocabulary, faults: list[str]) -> dict[str, Any]:
    return _fill(f"{name}.", table, _operands(name, vocabulary), faults)


def _operands(section: str, vocabulary: Vocabulary) -> Mapping[str, Operand]:
    return vocabulary.sections.get(section, {})


def _filings(listed: object, vocabulary: Vocabulary, faults: list[str]) -> list[dict[str, Any]]:
    if not isinstance(listed, list | tuple):
        faults.append("filings: must be a list of tables, as [[filings]]")
        return []
    return [_fill(f"filings[{index}].", table, vocabulary.filings, faults) for index, table in enumerate(listed)]


def _fill(
    prefix: str, table: object, operands: Mapping[str, Operand], faults: list[str], *, also: tuple[str, ...] = ()
) -> dict[str, Any]:
    if not isinstance(table, Mapping):
        faults.append(f"{prefix.rstrip('.')}: must be a table")
        return {}
    faults += [f"{prefix}{key}: {_unknown(str(key), (*operands, *also))}" for key in table if key not in operands]
    return {name: _value(prefix + name, name, table, operand, faults) for name, operand in operands.items()}


def _value(path: str, name: str, table: Mapping[str, Any], operand: Operand, faults: list[str]) -> Any:
    if name not in table:
        if operand.required:
            faults.append(f"{path}: is required")
        return operand.default
    fault = operand.refuse(table[name])
    if fault:
        faults.append(f"{path}: {fault}")
    return operand.take(table[name])


def _unknown(key: str, known: tuple[str, ...]) -> str:
    near = get_close_matches(key, known, n=1)
    return f"unknown key; did you mean {near[0]}?" if near else "unknown key"
