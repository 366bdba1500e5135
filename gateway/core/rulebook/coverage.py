"""Is a pack total: does some rule fire whatever the facts are? Proved by search over the conditions' trees, not by samples.

What it is not: a judge of verdicts (golden cases are). "No rule is a hold" keeps a gap safe; a pack that has one says less than
it should, and nobody could clear what falls into it.

How it searches: every operand gets the values on which a condition can turn (words, both sides of each number). Operands are
given values one by one, a condition counts as soon as it is certain; a branch ends where a rule fires or an axiom is broken. What
is left at the bottom is a gap, told with its facts.

A change must keep these:
1. AXIOMS are consequences of `close_upwards` and `derive`, true under every choice; a test holds them against both.
2. An axiom too few finds gaps that are none; one that is false hides gaps. When in doubt, leave it out.
3. Every day on which the set of rules in force changes is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from gateway.core.errors import Unusable
from gateway.core.rulebook.choices import with_choices
from gateway.core.rulebook.condition import Junction, Listing, Literal, Node, Not, Path, Relation, parse_condition
from gateway.core.rulebook.rule import DIRECTIONS, Rule, Rulebook
from gateway.core.situation import Vocabulary

AXIOMS: Final = (
    'export || direction == "inbound"',
    "!data.sensitive || data.personal",
    "!data.under14 || data.sensitive",
    "(!hgr.information || hgr.aggregate_only) || data.sensitive",
    '(band == "none") == !data.personal',
    '!(data.personal && sender.ciio) || band == "assessment"',
    'exempt == "" || data.level == "general"',
    'exempt == "" || (data.personal != (exempt == "art3"))',
    'data.level != "important" || carried == ("SA" in in_force)',
    """data.level == "important" || carried == (band in ["none", "small"] || exempt != "" || "SA" in in_force ||
    (band == "contract" && ("SCC" in in_force || "CERT" in in_force)) || ("GBA" in in_force && !sender.ciio))""",
    # A contract between qualifying parties that covers and is not in force is late, or assessed too long ago, or leaves the area.
    """gba != "effective" || "GBA" in in_force || carried || sender.ciio || filing_overdue || pipia != "ok" ||
    onward_outside_gba || data.level in ["important", "core", "secret"]""",
)
"""What holds of every situation, in the words of conditions."""

_MOST_STEPS: Final = 200_000
_OTHER: Final = "\x00"
"""Stands for any text that no condition names."""


@dataclass(frozen=True)
class _Problem:
    rules: tuple[Node, ...]
    axioms: tuple[Node, ...]
    domains: Mapping[str, tuple[Any, ...]]


def gaps(rulebook: Rulebook, vocabulary: Vocabulary) -> tuple[str, ...]:
    """Facts on which no rule fires, one example a day and direction; empty where the pack is total.

    Raises:
        Unusable: The search would take too long: conditions are of a kind it was not made for.
    """
    readable = with_choices(vocabulary, rulebook.choices.entries)
    fixed = {f"choice.{name}": taken for name, taken in rulebook.choices.readings().items()}
    trees = {rule.id: parse_condition(rule.condition, readable) for rule in rulebook.rules}
    axioms = tuple(parse_condition(text, readable) for text in AXIOMS)
    found = []
    for day in _days(rulebook.rules):
        for direction in DIRECTIONS:
            rules = tuple(trees[rule.id] for rule in rulebook.rules if rule.applies(day, direction))
            problem = _Problem(rules, axioms, _domains((*rules, *axioms)))
            start = {**fixed, "export": direction == "export"}
            facts = _Search(problem).run(start)
            if not isinstance(facts, _Dead):
                found.append(f"no rule fires on {day}, {direction}: {_told(facts, fixed)}")
    return tuple(found)


def _days(rules: tuple[Rule, ...]) -> list[date]:
    """From the first day on which anything is allowed: days on which rules begin, or have ended."""
    begins = min((rule.since for rule in rules if rule.verdict == "allow"), default=date.min)
    turns = {rule.since for rule in rules} | {rule.until + timedelta(days=1) for rule in rules if rule.until}
    return sorted(day for day in turns if day >= begins)


@dataclass(frozen=True)
class _Dead:
    """A branch without a gap, and the operands that this rests on: the others need not be tried again."""

    because: frozenset[str]


class _Search:
    def __init__(self, problem: _Problem) -> None:
        self._problem = problem
        self._steps = 0

    def run(self, facts: dict[str, Any]) -> dict[str, Any] | _Dead:
        """Facts under which no rule fires and no axiom is broken, or why there are none."""
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise Unusable("whether the pack is total cannot be told: its conditions are too tangled")
        undecided: list[list[str]] = []
        for ends, trees in ((True, self._problem.rules), (False, self._problem.axioms)):
            for tree in trees:
                verdict = judge(tree, facts)
                if verdict is ends:
                    return _Dead(_because(tree, facts))
                if verdict is None:
                    undecided.append(_unknown(tree, facts))
        return self._branch(facts, min(undecided, key=len)[0]) if undecided else facts

    def _branch(self, facts: dict[str, Any], name: str) -> dict[str, Any] | _Dead:
        rests_on: frozenset[str] = frozenset()
        for value in self._problem.domains[name]:
            found = self.run({**facts, name: value})
            if not isinstance(found, _Dead):
                return found
            if name not in found.because:
                return found
            rests_on |= found.because
        return _Dead(rests_on - {name})


def _because(node: Node, facts: Mapping[str, Any]) -> frozenset[str]:
    """Operands that make a certain condition what it is."""
    match node:
        case Not(inner=inner):
            return _because(inner, facts)
        case Junction(sign=sign, parts=parts):
            deciding = [part for part in parts if judge(part, facts) is (sign == "||")]
            chosen = deciding[:1] or parts
            return frozenset().union(*(_because(part, facts) for part in chosen))
    return frozenset(name for name, _ in _atoms(node) if name in facts)


def judge(node: Node, facts: Mapping[str, Any]) -> bool | None:
    """A condition under facts that may be partial: true, false, or None where that is not certain yet.

    Args:
        node: A checked tree.
        facts: Values by path; membership of a list operand by `path/word`.
    """
    match node:
        case Not(inner=inner):
            found = judge(inner, facts)
            return None if found is None else not found
        case Junction(sign=sign, parts=parts):
            return _junction(sign == "||", [judge(part, facts) for part in parts])
        case Relation(sign="in", left=Literal(value=word), right=Path(path=path)):
            member: bool | None = facts.get(f"{path}/{word}")
            return member
        case Relation(sign=sign, left=left, right=right):
            one, other = _value(left, facts), _value(right, facts)
            return None if one is None or other is None else _compare(sign, one, other)
    answer: bool | None = _value(node, facts)
    return answer


def _junction(wanted: bool, parts: list[bool | None]) -> bool | None:  # noqa: FBT001  # the sign, as a truth value
    if wanted in parts:
        return wanted
    return None if None in parts else not wanted


def _value(node: Node, facts: Mapping[str, Any]) -> Any:
    match node:
        case Literal(value=value):
            return value
        case Listing(items=items):
            return items
        case Path(path=path):
            return facts.get(path)
    return judge(node, facts)


def _compare(sign: str, one: Any, other: Any) -> bool:
    match sign:
        case "in":
            return one in other
        case "==":
            return bool(one == other)
        case "!=":
            return bool(one != other)
        case "<":
            return bool(one < other)
        case "<=":
            return bool(one <= other)
        case ">":
            return bool(one > other)
    return bool(one >= other)


# --- what an operand can be ---


def _unknown(node: Node, facts: Mapping[str, Any]) -> list[str]:
    return [name for name, _ in _atoms(node) if name not in facts]


def _domains(trees: tuple[Node, ...]) -> Mapping[str, tuple[Any, ...]]:
    found: dict[str, set[Any]] = {}
    for tree in trees:
        for name, values in _atoms(tree):
            found.setdefault(name, set()).update(values)
    return {name: tuple(sorted(values)) for name, values in found.items()}


def _atoms(node: Node) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Each operand with values on which this condition can turn."""
    match node:
        case Path(path=path, type="flag"):
            yield path, (False, True)
        case Path(path=path, words=words):
            yield path, words or (_OTHER,)
        case Not(inner=inner):
            yield from _atoms(inner)
        case Junction(parts=parts):
            for part in parts:
                yield from _atoms(part)
        case Relation(sign="in", left=Literal(value=word), right=Path(path=path)):
            yield f"{path}/{word}", (False, True)
        case Relation(left=left, right=right):
            yield from _sides(left, right)
            yield from _sides(right, left)


def _sides(node: Node, other: Node) -> Iterator[tuple[str, tuple[Any, ...]]]:
    match node, other:
        case Path(path=path, type="count"), Literal(value=int(number)):
            yield path, tuple(sorted({0, max(number - 1, 0), number, number + 1}))
        case Path(path=path, type="text", words=words), Literal(value=str(word)):
            yield path, (word, _OTHER) if not words or len(words) > 30 else words
        case ((Path() | Not() | Junction() | Relation()), _):
            yield from _atoms(node)


def _told(facts: Mapping[str, Any], fixed: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value!r}" for name, value in sorted(facts.items()) if name not in fixed)[:1500]
