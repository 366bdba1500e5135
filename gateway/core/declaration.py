"""What the sender says of the data: the vocabulary's words, checked when they are said.

The rules:
1. Unknown keys and wrong types are refused at once, all of them in one answer, so that nobody waits in review for a typo.
2. What is not said stays unsaid here; the decision gives it the strictest value (`gateway.flow.decide`).
3. A project's standing declaration is the ground; the transfer's own words stand on top of it, key by key, and may make
   the data stricter than the ground says, never milder.
4. Whoever says the data are personal, or what makes them so, says about how many people (`persons`): the law counts them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from gateway.core.errors import Unusable
from gateway.core.records import Endpoint, Project, Record, country_of
from gateway.core.situation import Vocabulary

SECTIONS = ("data", "hgr", "exemption", "duties", "purpose", "request", "persons")
MAX_FILINGS = 64
MAX_LINEAGE = 64
DECLARATION = "declaration.toml"  # the file of a dataset that says all this, where the door has folders

_TRANSFER = re.compile(r"t[a-z2-7]{24}")

# Strictest first: the order in which levels are compared, declared with declared and declared with detected.
LEVELS = ("secret", "core", "important", "important_suspected", "unknown", "general")
# Words that only ever make a decision stricter where they are true.
STRICT_WHERE_TRUE = {
    "data": (
        "secrecy_mark",
        "controlled_technology",
        "precise_geo",
        "personal",
        "sensitive",
        "under14",
        "remote_access",
    ),
    "hgr": ("information", "material", "pedigree", "special_region"),
    "exemption": ("mainland_data_added",),
}


def parse_declaration(document: Mapping[str, Any], vocabulary: Vocabulary) -> dict[str, Any]:
    """A declaration as JSON can carry it.

    Args:
        document: Tables by section; `filings`, a list of registered filings' ids; `lineage`, a list of the inbound transfers
            that the data derive from (Order 16 art 4). Whether these exist is looked up where the registry is at hand.
        vocabulary: The authority on names, types and words.

    Raises:
        Unusable: With every complaint at once.
    """
    if not isinstance(document, Mapping):
        raise Unusable("the declaration cannot be used: it must be a table of sections", code="bad-declaration")
    faults: list[str] = []
    declared: dict[str, Any] = {}
    for section, table in document.items():
        if section == "filings":
            declared["filings"] = _filings(table, faults)
        elif section == "lineage":
            declared["lineage"] = _lineage(table, faults)
        elif section not in SECTIONS:
            faults.append(f"unknown section {section!r}: use {', '.join((*SECTIONS, 'filings', 'lineage'))}")
        elif not isinstance(table, Mapping):
            faults.append(f"{section} must be a table")
        else:
            declared[section] = _section(section, table, vocabulary, faults)
    data = declared.get("data", {})
    if not declared.get("persons") and any(data.get(key) is True for key in ("personal", "sensitive", "under14")):
        faults.append(
            "the data are personal: say in [persons] how many people, sensitive and nonsensitive, they are about"
        )
    if faults:
        raise Unusable("the declaration cannot be used: " + "; ".join(faults), code="bad-declaration")
    return declared


def check_records(records: Iterable[Record], vocabulary: Vocabulary) -> None:
    """Refuse records whose words the rules would not know: found here, not while a transfer is being decided.

    Raises:
        Unusable: A project's standing declaration or an endpoint's place is not in the vocabulary.
    """
    for record in records:
        if isinstance(record, Project):
            parse_declaration(record.declaration, vocabulary)
        if isinstance(record, Endpoint) and (
            fault := vocabulary.facts["recipient.place"].refuse(country_of(record.place))
        ):
            raise Unusable(f"endpoint {record.id!r}: place {fault}")


def stand_on(standing: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A transfer's own words on the ground of the project's standing declaration.

    Two officers signed the ground; a sender's words may add to what it says of the data, not take from it.
    """
    joined: dict[str, Any] = {
        key: dict(value) if isinstance(value, Mapping) else value for key, value in standing.items()
    }
    for key, value in own.items():
        joined[key] = _stricter(key, joined.get(key, {}), value) if isinstance(value, Mapping) else value
    return joined


def _stricter(section: str, ground: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    joined = {**ground, **own}
    for word in STRICT_WHERE_TRUE.get(section, ()):
        if ground.get(word) is True:
            joined[word] = True
    if section == "data" and "level" in ground and "level" in own:
        joined["level"] = min(ground["level"], own["level"], key=LEVELS.index)
    return joined


def _section(section: str, table: Mapping[str, Any], vocabulary: Vocabulary, faults: list[str]) -> dict[str, Any]:
    declared: dict[str, Any] = {}
    for key, value in table.items():
        operand = vocabulary.facts.get(f"{section}.{key}")
        if operand is None:
            faults.append(f"unknown key {section}.{key}")
            continue
        said = _from_json(operand.type, value)
        if fault := operand.refuse(said):
            faults.append(f"{section}.{key} {fault}")
        else:
            declared[key] = said.isoformat() if isinstance(said, date) else said
    return declared


def _from_json(kind: str, value: Any) -> Any:
    """JSON has no dates: where the vocabulary asks for one, an ISO string is read as one."""
    if "date" in kind and isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            return value
    return value


def _filings(listed: Any, faults: list[str]) -> list[str]:
    if not isinstance(listed, list) or len(listed) > MAX_FILINGS or not all(isinstance(each, str) for each in listed):
        faults.append(f"filings must be a list of at most {MAX_FILINGS} filing ids")
        return []
    return list(listed)


def _lineage(listed: Any, faults: list[str]) -> list[str]:
    fits = isinstance(listed, list) and len(listed) <= MAX_LINEAGE
    if not fits or not all(isinstance(each, str) and _TRANSFER.fullmatch(each) for each in listed):
        faults.append(f"lineage must be a list of at most {MAX_LINEAGE} ids of inbound transfers")
        return []
    return sorted(set(listed))
