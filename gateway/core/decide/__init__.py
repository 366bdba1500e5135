"""Decide: every rule is evaluated, the strictest verdict wins, and the decision says why.

What it is not: a gate. A `Decision` is a value; only core.seal makes the type that lets bytes go.

A change must keep these:
1. There is no default-allow: no rule fired is a hold named `NONE`.
2. A rule whose evaluation fails fires: a deny rule as deny, every other as hold, curable by nobody but its author.
3. Only `True` and `False` are answers; anything else is a failed evaluation.
4. The digest covers the facts, what followed from them, the rules that fired and the pack: votes sign it.
"""

from gateway.core.decide.cases import Case, CaseResult, check_cases, parse_cases, uncovered
from gateway.core.decide.decision import CitedArticle, Decision, FiredRule, Remedy, cures, decide

__all__ = [
    "Case",
    "CaseResult",
    "CitedArticle",
    "Decision",
    "FiredRule",
    "Remedy",
    "check_cases",
    "cures",
    "decide",
    "parse_cases",
    "uncovered",
]
