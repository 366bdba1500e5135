"""The rulebook: the law as data, checked at load so that a rule cannot silently mean nothing.

What it is not: the law itself (`policies/`) or a decision (`core/decide.py`).

A change must keep these:
1. A rule that names anything the vocabulary does not have fails at load, with its id; never later, never silently.
2. Every rule cites at least one recorded article of a recorded instrument.
3. Same content, same digest; a decision names the digest it was made under.
"""

from gateway.core.rulebook.choices import recorded
from gateway.core.rulebook.condition import operands, parse_condition
from gateway.core.rulebook.pack import CHOICES, NO_RULE, pack_digest, parse_rulebook
from gateway.core.rulebook.rule import Article, Citation, Instrument, Rule, Rulebook

__all__ = [
    "CHOICES",
    "NO_RULE",
    "Article",
    "Citation",
    "Instrument",
    "Rule",
    "Rulebook",
    "operands",
    "pack_digest",
    "parse_condition",
    "parse_rulebook",
    "recorded",
]
