"""Conditions of rules: a small part of CEL, parsed into a tree whose every name and word is checked.

What it is not: an evaluator. The CEL library runs the text; this module decides beforehand whether it may run
(`gateway/decisions/0006-rules-in-cel.md`). The grammar is a subset of github.com/google/cel-spec, doc/langdef.md::

    condition = and { "||" and }
    and       = relation { "&&" relation }
    relation  = unary [ ("==" | "!=" | "<" | "<=" | ">" | ">=" | "in") unary ]
    unary     = [ "!" ] unary | "(" condition ")" | path | text | number | "true" | "false" | "[" { text "," } "]"

A change must keep these:
1. Nothing parses here that CEL reads differently: relations do not chain, texts have no escapes, numbers no suffixes.
2. Each operator gets operands of its own type, so no accepted condition can fail or give anything but a bool.
3. Text, depth and every name are bounded before the library sees the condition.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NoReturn, TypeAlias

from gateway.core.errors import Unusable
from gateway.core.situation import Vocabulary
from gateway.core.situation.vocabulary import MAX_COUNT

MAX_LENGTH: Final = 2000
MAX_DEPTH: Final = 16

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<text>"[^"\\\n]*"|'[^'\\\n]*')|(?P<number>\d+)(?![\w.])|(?P<name>[A-Za-z_]\w*)"""
    r"""|(?P<sign>&&|\|\||==|!=|<=|>=|[<>!()\[\],.]))""",
    re.ASCII,
)
_RELATIONS: Final = frozenset({"==", "!=", "<", "<=", ">", ">=", "in"})
_WORD_SIGNS: Final = frozenset({"in"})
_CONSTANTS: Final = {"true": True, "false": False}
_TYPES: Final = {"flag": "flag", "count": "count", "word": "text", "text": "text", "place": "text"}


@dataclass(frozen=True)
class Literal:
    """A constant: bool, int or text."""

    value: bool | int | str


@dataclass(frozen=True)
class Listing:
    """A list of constant texts."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Path:
    """An operand of the vocabulary; `words` is empty where any text goes."""

    path: str
    type: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Not:
    """Negation."""

    inner: Node


@dataclass(frozen=True)
class Junction:
    """`&&` or `||` over two or more parts."""

    sign: str
    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Relation:
    """A comparison or membership."""

    sign: str
    left: Node
    right: Node


Node: TypeAlias = Literal | Listing | Path | Not | Junction | Relation


def parse_condition(text: str, vocabulary: Vocabulary) -> Node:
    """The checked tree of a condition.

    Args:
        text: CEL.
        vocabulary: What it may name.

    Raises:
        Unusable: On syntax outside the subset, unknown operands, functions or words, operands of the wrong type, and
            conditions that are constant.
    """
    reader = _Reader(_tokens(text), vocabulary)
    tree = reader.condition(0)
    reader.finish()
    if _type(tree) != "flag":
        raise Unusable("the condition is not a yes-or-no question")
    if not operands(tree):
        raise Unusable("the condition is constant: it reads no fact")
    return tree


def operands(tree: Node) -> frozenset[str]:
    """Paths of all operands in a tree."""
    match tree:
        case Path(path=path):
            return frozenset({path})
        case Not(inner=inner):
            return operands(inner)
        case Junction(parts=parts):
            return frozenset().union(*map(operands, parts))
        case Relation(left=left, right=right):
            return operands(left) | operands(right)
    return frozenset()


def _tokens(text: str) -> list[tuple[str, str]]:
    if len(text) > MAX_LENGTH:
        raise Unusable(f"the condition is longer than {MAX_LENGTH} characters")
    found, at, end = [], 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise Unusable(f"the condition cannot be read at {text[at : at + 12].strip()!r}")
        found.append((str(match.lastgroup), match.group(str(match.lastgroup))))
        at = match.end()
    return found


def _type(node: Node) -> str:
    match node:
        case Literal(value=bool()):
            return "flag"
        case Literal(value=int()):
            return "count"
        case Literal():
            return "text"
        case Listing():
            return "list"
        case Path(type=kind):
            return kind
    return "flag"


class _Reader:
    """Recursive descent over the tokens; each method reads one line of the grammar."""

    def __init__(self, tokens: list[tuple[str, str]], vocabulary: Vocabulary) -> None:
        self._tokens = tokens
        self._at = 0
        self._vocabulary = vocabulary

    def condition(self, depth: int) -> Node:
        return self._junction("||", depth)

    def finish(self) -> None:
        if self._at < len(self._tokens):
            self._stop(f"cannot go on at {self._sign()!r}")

    def _junction(self, sign: str, depth: int) -> Node:
        if depth > MAX_DEPTH:
            self._stop(f"is nested deeper than {MAX_DEPTH}")
        parts = [self._part(sign, depth)]
        while self._take(sign):
            parts.append(self._part(sign, depth))
        if len(parts) == 1:
            return parts[0]
        for part in parts:
            self._expect(part, "flag", sign)
        return Junction(sign, tuple(parts))

    def _part(self, sign: str, depth: int) -> Node:
        return self._junction("&&", depth) if sign == "||" else self._relation(depth)

    def _relation(self, depth: int) -> Node:
        left = self._unary(depth)
        sign = self._sign()
        if sign not in _RELATIONS:
            return left
        self._at += 1
        right = self._unary(depth)
        if self._sign() in _RELATIONS:
            self._stop(f"chains {sign!r} and {self._sign()!r}: use parentheses and &&")
        self._check_relation(sign, left, right)
        return Relation(sign, left, right)

    def _unary(self, depth: int) -> Node:
        if self._take("!"):
            if depth > MAX_DEPTH:
                self._stop(f"is nested deeper than {MAX_DEPTH}")
            inner = self._unary(depth + 1)
            self._expect(inner, "flag", "!")
            return Not(inner)
        if self._take("("):
            inner = self.condition(depth + 1)
            self._need(")")
            return inner
        return self._listing() if self._take("[") else self._atom()

    def _listing(self) -> Listing:
        items: list[str] = []
        while not self._take("]"):
            if items:
                self._need(",")
            kind, token = self._next()
            if kind != "text":
                self._stop(f"lists {token!r}: a list holds texts only")
            items.append(token[1:-1])
        if not items:
            self._stop("has an empty list")
        return Listing(tuple(items))

    def _atom(self) -> Node:
        kind, token = self._next()
        if kind == "text":
            return Literal(token[1:-1])
        if kind == "number" and int(token) <= MAX_COUNT:
            return Literal(int(token))
        if kind != "name":
            self._stop(f"cannot go on at {token!r}")
        return Literal(_CONSTANTS[token]) if token in _CONSTANTS else self._path(token)

    def _path(self, path: str) -> Path:
        while self._take("."):
            kind, token = self._next()
            if kind != "name":
                self._stop(f"has {token!r} after a dot")
            path += "." + token
        if self._sign() == "(":
            self._stop(f"calls {path.rpartition('.')[2]!r}: the vocabulary has no such function or macro")
        operand = self._vocabulary.readable(path)
        if operand is None:
            self._stop(f"names {path!r}, which the vocabulary does not let rules read")
        return Path(path, _TYPES.get(operand.type, "list"), operand.words)

    # --- types and words ---

    def _check_relation(self, sign: str, left: Node, right: Node) -> None:
        if sign == "in":
            self._expect(left, "text", sign)
            self._expect(right, "list", sign)
        elif sign in {"==", "!="}:
            if _type(left) == "list":
                self._stop(f"{sign} cannot compare lists: use in")
            self._expect(right, _type(left), sign)
        else:
            self._expect(left, "count", sign)
            self._expect(right, "count", sign)
        self._check_words(left, right)
        self._check_words(right, left)

    def _check_words(self, node: Node, other: Node) -> None:
        """Every constant text that meets an operand with listed words must be one of them."""
        if not isinstance(other, Path) or not other.words:
            return
        constants = (
            {node.value} if isinstance(node, Literal) else set(node.items) if isinstance(node, Listing) else set()
        )
        for word in sorted(str(constant) for constant in constants - set(other.words)):
            self._stop(f"compares {other.path} with {word!r}, which is none of its words")
        if isinstance(node, Path) and node.words and not set(node.words) & set(other.words):
            self._stop(f"compares {node.path} with {other.path}: they share no word")

    def _expect(self, node: Node, kind: str, sign: str) -> None:
        if _type(node) != kind:
            self._stop(f"gives {sign!r} a {_type(node)} where a {kind} belongs")

    # --- tokens ---

    def _sign(self) -> str:
        kind, token = self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")
        return token if kind == "sign" or token in _WORD_SIGNS else ""

    def _take(self, sign: str) -> bool:
        found = self._sign() == sign
        self._at += found
        return found

    def _need(self, sign: str) -> None:
        if not self._take(sign):
            self._stop(f"misses {sign!r}")

    def _next(self) -> tuple[str, str]:
        if self._at == len(self._tokens):
            self._stop("ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _stop(self, why: str) -> NoReturn:
        raise Unusable(f"the condition {why}")
