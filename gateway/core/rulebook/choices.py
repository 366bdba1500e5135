"""Choices of a pack: parsed, held against what code and rules really read, and offered to conditions as `choice.<id>`.

What it is not: the values (`core/choices.py`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any, Final

from gateway.core.choices import READ_BY_CODE, Choice
from gateway.core.derive import Derived
from gateway.core.rulebook.condition import operands, parse_condition
from gateway.core.rulebook.entry import said, spoken
from gateway.core.rulebook.rule import Instrument, Rule
from gateway.core.situation import Operand, Vocabulary
from gateway.core.situation.vocabulary import LANGUAGES

SECTION: Final = "choice"
"""Root name of choices in a condition."""

_KEYS: Final = frozenset({"id", "point", "question", "options", "default", "taken", "read_by", "citations"})
_ID: Final = re.compile(r"[a-z][a-z0-9_]{0,40}")
_WORD: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")
_STAGES: Final = frozenset({"counting", "inspection", "reminders", "people"})
"""Readers that are neither rules nor derived facts."""


def parse_choices(
    entries: list[dict[str, Any]], instruments: Mapping[str, Instrument], faults: list[str]
) -> Mapping[str, Choice]:
    """Choices by id, in the order given; what is wrong with any of them is added to `faults`."""
    found: dict[str, Choice] = {}
    for entry in entries:
        name = str(entry.get("id", "a choice without id"))
        problems = _faults(entry, instruments)
        if name in found:
            problems.append("the id is taken twice")
        faults += [f"choice {name}: {problem}" for problem in problems]
        if not problems:
            found[name] = _choice(entry)
    return MappingProxyType(found)


def with_choices(vocabulary: Vocabulary, choices: Mapping[str, Choice]) -> Vocabulary:
    """The vocabulary in which conditions may read choices, too."""
    offered = {
        f"{SECTION}.{name}": Operand(
            path=f"{SECTION}.{name}",
            type="word",
            words=choice.options,
            read=True,
            required=False,
            has_default=False,
            default=None,
            about=choice.questions["en"],
        )
        for name, choice in choices.items()
    }
    return replace(vocabulary, derived=MappingProxyType({**vocabulary.derived, **offered}))


def reader_faults(choices: Mapping[str, Choice], rules: Collection[Rule], vocabulary: Vocabulary) -> list[str]:
    """Where `read_by` and the conditions of the rules disagree; the vocabulary is that with the choices in it."""
    read = {(name, rule.id) for rule in rules for name in _reads(rule, vocabulary)}
    rule_ids = {rule.id for rule in rules}
    known = rule_ids | {field.name for field in fields(Derived)} | _STAGES
    told = {(name, reader) for name, choice in choices.items() for reader in choice.read_by}
    idle = {(name, reader) for name, reader in told - read if reader in rule_ids and len(choices[name].options) > 1}
    return [
        *(
            f"choice {name}: {who!r} is no rule, derived fact or stage"
            for name, who in sorted(told)
            if who not in known
        ),
        *(f"choice {name}: rule {who} reads it, read_by does not say so" for name, who in sorted(read - told)),
        *(f"choice {name}: rule {who} does not read it" for name, who in sorted(idle)),
    ]


def _reads(rule: Rule, vocabulary: Vocabulary) -> set[str]:
    paths = operands(parse_condition(rule.condition, vocabulary))
    return {path.partition(".")[2] for path in paths if path.startswith(SECTION + ".")}


def _faults(entry: Mapping[str, Any], instruments: Mapping[str, Instrument]) -> list[str]:
    if set(entry) != _KEYS:
        return [f"keys {sorted(set(entry) ^ _KEYS)} are missing or unknown"]
    options = entry["options"]
    if not isinstance(options, list) or not options or not all(_word(option) for option in options):
        return ["options must be words, strictest first"]
    problems = [] if spoken(entry["question"]) else [f"question needs {', '.join(LANGUAGES)}"]
    problems += [f"{key} is none of its options" for key in ("default", "taken") if entry[key] not in options]
    if not _ID.fullmatch(str(entry["id"])) or not said(entry["point"]) or len(set(options)) < len(options):
        problems.append("id, point or options are malformed")
    if not isinstance(entry["read_by"], list) or not all(map(said, entry["read_by"])):
        problems.append("read_by must list who reads it")
    code = READ_BY_CODE.get(entry["id"])
    if code is not None and code != (tuple(options), entry["default"]):
        problems.append(f"code reads it with the options {', '.join(code[0])} and the default {code[1]}")
    return problems + _citation_faults(entry["citations"], instruments)


def _word(option: object) -> bool:
    return isinstance(option, str) and bool(_WORD.fullmatch(option))


def _citation_faults(citations: object, instruments: Mapping[str, Instrument]) -> list[str]:
    if not isinstance(citations, list) or not citations:
        return ["it cites nothing"]
    return [f"it cites {text!r}, which is not recorded" for text in citations if not recorded(text, instruments)]


def recorded(citation: object, instruments: Mapping[str, Instrument]) -> bool:
    """Whether `instrument:article` names an article of the pack."""
    instrument, _, article = str(citation).partition(":")
    return instrument in instruments and article in instruments[instrument].articles


def _choice(entry: Mapping[str, Any]) -> Choice:
    return Choice(
        id=entry["id"],
        point=entry["point"],
        questions=MappingProxyType(dict(entry["question"])),
        options=tuple(entry["options"]),
        default=entry["default"],
        taken=entry["taken"],
        read_by=tuple(entry["read_by"]),
        citations=tuple(entry["citations"]),
    )
