"""The situation: every fact one decision may rest on, as values that were checked against the vocabulary.

What it is not: findings, counting or law. Detection (core.classify), counting (core.persons) and the registry fill it;
core.derive and the rules read it.

A change must keep these:
1. No section has defaults: whoever builds a `Situation` says every value, and what is unknown is `strictest`.
   Defaults exist for documents only (`parse_situation`), and they stand in `policies/vocabulary.toml`.
2. Unknown keys, wrong types and words outside the lists are errors, all told at once, never ignored.
3. `close_upwards` only ever makes a situation stricter and is idempotent.
4. What is recorded about a decision (`situation_document`) is enough to decide again.
"""

from gateway.core.situation.closing import UNKNOWN_COUNT, close_upwards, strictest
from gateway.core.situation.parse import parse_situation, situation_document, thaw_situation
from gateway.core.situation.sections import (
    Data,
    Duties,
    Exemption,
    Filing,
    Hgr,
    Persons,
    Purpose,
    Recipient,
    Request,
    Sender,
    Situation,
    Technical,
)
from gateway.core.situation.vocabulary import Kind, Operand, Vocabulary, parse_vocabulary

__all__ = [
    "UNKNOWN_COUNT",
    "Data",
    "Duties",
    "Exemption",
    "Filing",
    "Hgr",
    "Kind",
    "Operand",
    "Persons",
    "Purpose",
    "Recipient",
    "Request",
    "Sender",
    "Situation",
    "Technical",
    "Vocabulary",
    "close_upwards",
    "parse_situation",
    "parse_vocabulary",
    "situation_document",
    "strictest",
    "thaw_situation",
]
