"""Values of records: how each type is read strictly from TOML or JSON, and how a record is written back.

A change must keep that one value has one spelling.

Source: RFC 7517 and RFC 7518 section 6 (JWK).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import date
from typing import Any

from gateway.core.records.kinds import Json, Record
from gateway.core.records.papers import EvidenceDocument, as_documents

MAX_KEYS = 4  # of a client: the one, and others while it changes
MAX_TEXT = 500  # characters; the vocabulary's bound
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})  # RFC 7518 section 6
_SURROGATE = re.compile("[\ud800-\udfff]")


def _as_date(value: object) -> date:
    if isinstance(value, str) and _ISO_DATE.fullmatch(value):  # fromisoformat alone also reads 20261120 and 2026-W47-5
        return date.fromisoformat(value)
    if type(value) is date:
        return value
    raise ValueError("must be a date (YYYY-MM-DD)")


def _as_text(value: object) -> str:
    if isinstance(value, str) and len(value) <= MAX_TEXT and not _SURROGATE.search(value):
        return value
    raise ValueError(f"must be a string of at most {MAX_TEXT} characters")


def _as_words(value: object) -> tuple[str, ...]:
    if isinstance(value, list | tuple) and all(_as_text(word).strip() for word in value):
        return tuple(value)
    raise ValueError("must be a list of strings, none of them blank")


def _as_flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("must be true or false")


def _as_count(value: object) -> int:
    if type(value) is int and 0 <= value < 1 << 53:  # bool is an int to isinstance, and True is no number
        return value
    raise ValueError("must be a whole number from 0 to 2^53 - 1")


def _as_table(value: object) -> Mapping[str, Json]:
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return dict(value)
    raise ValueError("must be a table")


def _as_jwk(value: object) -> Mapping[str, str]:
    table = _as_table(value)
    if not all(isinstance(member, str) for member in table.values()):
        raise ValueError("must be a table of strings")
    if _PRIVATE_MEMBERS & set(table):
        raise ValueError("must be a public key: this one shows its private half and has to be replaced")
    return table


def _as_jwks(value: object) -> tuple[Mapping[str, str], ...]:
    if isinstance(value, list | tuple) and len(value) < MAX_KEYS and all(each for each in value):
        return tuple(_as_jwk(each) for each in value)
    raise ValueError(f"must be a list of at most {MAX_KEYS - 1} keys")


COERCERS: dict[Any, Callable[[object], Any]] = {
    str: _as_text,
    bool: _as_flag,
    int: _as_count,
    date: _as_date,
    date | None: _as_date,
    tuple[str, ...]: _as_words,
    Mapping[str, Json]: _as_table,
    Mapping[str, str]: _as_jwk,
    tuple[Mapping[str, str], ...]: _as_jwks,
    tuple[EvidenceDocument, ...]: as_documents,
}


def record_table(record: Record) -> dict[str, Json]:
    """The record as canonical JSON can carry it: dates as ISO strings, absent dates left out."""
    table: dict[str, Json] = {}
    for each in fields(record):
        value = getattr(record, each.name)
        if value is None:
            continue
        if isinstance(value, date):
            value = value.isoformat()
        if isinstance(value, tuple):
            value = [item.table() if isinstance(item, EvidenceDocument) else item for item in value]
        table[each.name] = value
    return table
