"""Conditions with one thing changed: what golden cases must notice."""

from __future__ import annotations

import re
from collections.abc import Iterator

_SIGN = re.compile(r'"[^"]*"|&&|\|\||==|!=|<=|>=|<|>|!|(?<!\w)\d+|\btrue\b|\bfalse\b')
_FLIPS = {
    "&&": ["||"],
    "||": ["&&"],
    "==": ["!="],
    "!=": ["=="],
    "<": ["<=", ">"],
    "<=": ["<", ">"],
    ">": [">=", "<"],
    ">=": [">", "<"],
    "!": [""],
}


def mutants(condition: str) -> Iterator[tuple[str, str]]:
    """Every condition that differs in one operator or number, with what was changed; constant texts stay."""
    for found in _SIGN.finditer(condition):
        token, start, end = found.group(), found.start(), found.end()
        if token.startswith('"'):
            continue
        flips = [str(int(token) + 1), str(max(int(token) - 1, 0))] if token.isdigit() else _FLIPS[token]
        for flip in flips:
            if flip != token:
                yield condition[:start] + flip + condition[end:], f"{token} -> {flip or 'nothing'} at {start}"
    # a flag without a sign before it, negated
    for found in re.finditer(
        r"(?<![\w.!\"])(?:(?:data|hgr|sender|recipient|duties|request|technical)\.\w+|carried|onward_outside_gba|sa_broken|filing_overdue|claim_failed|export)\b(?!\s*(?:==|!=|<|>|in\b))",
        condition,
    ):  # one pattern
        yield condition[: found.start()] + "!" + condition[found.start() :], f"! before {found.group()}"
