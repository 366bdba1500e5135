"""Rules of a pack: each checked against the vocabulary, the instruments and the grammar before it is compiled.

What it is not: their application (`core/decide.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import cel

from gateway.core.errors import Unusable
from gateway.core.rulebook.condition import parse_condition
from gateway.core.rulebook.entry import span_faults, spoken
from gateway.core.rulebook.rule import CERTAINTIES, CURES, DIRECTIONS, VERDICTS, Citation, Instrument, Rule
from gateway.core.situation import Vocabulary
from gateway.core.situation.vocabulary import LANGUAGES

_ROW: Final = re.compile(r"[A-Z][0-9]+[a-z]?")
_RULE_KEYS: Final = frozenset(
    [
        "id",
        "row",
        "title",
        "when",
        "verdict",
        "cure",
        "mechanism",
        "remedy",
        "citations",
        "in_force",
        "certainty",
        "directions",
    ]
)


def parse_rules(
    entries: list[dict[str, Any]],
    vocabulary: Vocabulary,
    instruments: Mapping[str, Instrument],
    faults: list[str],
) -> dict[str, Rule]:
    """Rules by id, in the order given; what is wrong with any of them is added to `faults`."""
    found: dict[str, Rule] = {}
    for entry in entries:
        name = str(entry.get("id", "a rule without id"))
        problems = _rule_faults(entry, vocabulary) or _citation_faults(entry, instruments)
        if name in found:
            problems.append("the id is taken twice")
        program = None if problems else _compile(entry["when"], vocabulary, problems)
        faults += [f"{name}: {problem}" for problem in problems]
        if program is not None:
            found[name] = _rule(entry, program)
    return found


def _rule_faults(entry: Mapping[str, Any], vocabulary: Vocabulary) -> list[str]:
    if set(entry) - {"flags"} != _RULE_KEYS:
        return [f"keys {sorted((set(entry) - {'flags'}) ^ _RULE_KEYS)} are missing or unknown"]
    problems = [f"{key} needs {', '.join(LANGUAGES)}" for key in ("title", "remedy") if not spoken(entry[key])]
    problems += _identity_faults(entry) + span_faults(entry["in_force"])
    for key, words in (
        ("verdict", VERDICTS),
        ("cure", CURES),
        ("certainty", CERTAINTIES),
        ("mechanism", vocabulary.mechanisms),
    ):
        if entry[key] not in words:
            problems.append(f"unknown {key} {entry[key]!r}")
    if (entry["cure"] != "none") is not (entry["verdict"] == "hold"):
        problems.append("a hold needs a cure; a deny or an allow has none")
    if not isinstance(entry["directions"], list) or not set() < set(entry["directions"]) <= set(DIRECTIONS):
        problems.append(f"directions must be among {', '.join(DIRECTIONS)}")
    problems += [f"unknown flag {flag!r}" for flag in entry.get("flags", []) if flag not in vocabulary.flags]
    return problems


def _identity_faults(entry: Mapping[str, Any]) -> list[str]:
    rule_id, row = str(entry["id"]), str(entry["row"])
    if not _ROW.fullmatch(row) or not re.fullmatch(re.escape(row) + r"(\.[1-9][0-9]?)?", rule_id):
        return [f"the id must be its row's code {row!r}, or that, a dot and a number"]
    return []


def _citation_faults(entry: Mapping[str, Any], instruments: Mapping[str, Instrument]) -> list[str]:
    if not isinstance(entry["citations"], list) or not entry["citations"]:
        return ["it cites nothing"]
    problems = []
    for citation in map(_citation, entry["citations"]):
        if citation.instrument not in instruments:
            problems.append(f"it cites the unknown instrument {citation.instrument!r}")
        elif citation.article not in instruments[citation.instrument].articles:
            problems.append(f"it cites {citation.instrument} article {citation.article!r}, which is not recorded")
    start = entry["in_force"]["from"]
    if not problems and not any(instruments[_citation(text).instrument].in_force(start) for text in entry["citations"]):
        problems.append("it starts before any instrument it cites was in force")
    return problems


def _citation(text: str) -> Citation:
    instrument, _, article = str(text).partition(":")
    return Citation(instrument, article)


def _compile(text: object, vocabulary: Vocabulary, problems: list[str]) -> cel.Program | None:
    try:
        parse_condition(str(text), vocabulary)
        return cel.compile(str(text))
    except (Unusable, ValueError) as error:
        problems.append(str(error))
        return None


def _rule(entry: Mapping[str, Any], program: cel.Program) -> Rule:
    return Rule(
        id=entry["id"],
        row=entry["row"],
        titles=MappingProxyType(dict(entry["title"])),
        condition=entry["when"],
        verdict=entry["verdict"],
        cure=entry["cure"],
        mechanism=entry["mechanism"],
        remedies=MappingProxyType(dict(entry["remedy"])),
        citations=tuple(map(_citation, entry["citations"])),
        since=entry["in_force"]["from"],
        until=entry["in_force"].get("to"),
        certainty=entry["certainty"],
        directions=frozenset(entry["directions"]),
        flags=tuple(entry.get("flags", ())),
        program=program,
    )
