"""Types as JSON Schema, and values held against the same types: what the door checks is what its document says.

What it is not: a general validator. It knows the types the door's models (`models`) are written in: `TypedDict`, `str`,
`int`, `bool`, `list`, `dict` with text as keys, unions with None, `Literal`, string enumerations, `Any`, and `Annotated` with
a `Limit`.

A change must keep these:
1. `schema_of` and `complaints` read the same type; a type one of them does not know is a mistake in both (TypeError).
2. Every complaint is told at once, by the member's name, and none quotes a value: values are a sender's.
3. A request's objects are closed. An answer's are open in the document: members may be added to answers, and clients are told.

Source: JSON Schema 2020-12, as OpenAPI 3.1 uses it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from gateway.core.errors import Unusable

Schema = dict[str, Any]
REFERENCE: Final = "#/components/schemas/"
_PLAIN: Final[Mapping[Any, tuple[str, str]]] = {
    str: ("string", "a string"),
    bool: ("boolean", "true or false"),
    int: ("integer", "a whole number"),
}


@dataclass(frozen=True)
class Limit:
    """What an `Annotated` type says beside its type; what is None or empty says nothing.

    Attributes:
        about: For people.
        pattern: What the whole text is like (the common part of Python's and ECMA-262's regular expressions).
        shortest: Characters, or members of a list or table, at least.
        longest: The same, at most.
        least: Of a number.
        most: Of a number.
        format: JSON Schema's `format`; told, not checked here: whoever uses the value parses it.
        example: A value that holds.
        default: What stands where nothing is given.
    """

    about: str = ""
    pattern: str = ""
    shortest: int | None = None
    longest: int | None = None
    least: int | None = None
    most: int | None = None
    format: str = ""
    example: Any = None
    default: Any = None


@dataclass(frozen=True)
class _Read:
    """A type taken apart: what it is, whether it may be null, what is said beside it."""

    kind: Any
    nullable: bool
    limits: tuple[Limit, ...]


def _read(kind: Any) -> _Read:
    limits: tuple[Limit, ...] = ()
    nullable = False
    while True:
        origin = get_origin(kind)
        if origin is Annotated:
            kind, *beside = get_args(kind)
            limits = (*(each for each in beside if isinstance(each, Limit)), *limits)
        elif origin in {NotRequired, Required}:
            (kind,) = get_args(kind)
        elif origin in {Union, UnionType}:
            plain = [each for each in get_args(kind) if each is not NoneType]
            if len(plain) != 1:
                raise TypeError(f"one type, or null: {kind!r}")
            kind, nullable = plain[0], True
        else:
            return _Read(kind, nullable, limits)


def members(model: Any) -> tuple[dict[str, Any], frozenset[str]]:
    """A model's members with their types, and the names of those that must be there."""
    return get_type_hints(model, include_extras=True), frozenset(model.__required_keys__)


def plain(kind: Any) -> Any:
    """A type without what is said beside it."""
    return _read(kind).kind


def title_of(model: Any) -> str:
    """What a model is called in the document."""
    return str(model.__name__)


# --- as a schema -----------------------------------------------------------------------------------------------------


def schema_of(kind: Any, found: dict[str, Any], *, closed: bool = False) -> Schema:
    """The schema of a type.

    Args:
        kind: The type.
        found: Models by name; those that are met are added, and stand in the schema as references.
        closed: Whether objects take no other members.
    """
    read = _read(kind)
    schema = _schema(read.kind, found, closed=closed)
    if read.nullable:
        schema = {"anyOf": [schema, {"type": "null"}]} if "$ref" in schema else _or_null(schema)
    for limit in read.limits:
        schema |= _said(limit, schema)
    return schema


def _schema(kind: Any, found: dict[str, Any], *, closed: bool) -> Schema:
    origin, inner = get_origin(kind), get_args(kind)
    if is_typeddict(kind):
        found.setdefault(title_of(kind), kind)
        return {"$ref": REFERENCE + title_of(kind)}
    if kind is Any:
        return {}
    if kind in _PLAIN:
        return {"type": _PLAIN[kind][0]}
    if origin is Literal or _is_words(kind):
        return {"type": "string", "enum": list(_words(kind))}
    if origin is list:
        return {"type": "array", "items": schema_of(inner[0], found, closed=closed)}
    if origin is dict:
        return {"type": "object", "additionalProperties": schema_of(inner[1], found, closed=closed)}
    raise TypeError(f"no schema is known for {kind!r}")


def _or_null(schema: Schema) -> Schema:
    if "enum" in schema:
        schema = {**schema, "enum": [*schema["enum"], None]}
    return {**schema, "type": [schema["type"], "null"]}


def _said(limit: Limit, schema: Schema) -> Schema:
    sized = {"array": "Items", "object": "Properties"}.get(str(schema.get("type")), "Length")
    said = {
        "description": limit.about or None,
        "pattern": f"^(?:{limit.pattern})$" if limit.pattern else None,
        f"min{sized}": limit.shortest,
        f"max{sized}": limit.longest,
        "minimum": limit.least,
        "maximum": limit.most,
        "format": limit.format or None,
        "examples": [limit.example] if limit.example is not None else None,
        "default": limit.default,
    }
    return {name: value for name, value in said.items() if value is not None}


def object_of(model: Any, found: dict[str, Any], *, closed: bool = False) -> Schema:
    """The schema of a model itself."""
    named, required = members(model)
    schema: Schema = {
        "type": "object",
        "description": " ".join((model.__doc__ or "").split()),
        "properties": {name: schema_of(kind, found, closed=closed) for name, kind in named.items()},
    }
    if required:
        schema["required"] = sorted(required)
    if closed:
        schema["additionalProperties"] = False
    return schema


# --- as a check ------------------------------------------------------------------------------------------------------


def check(model: Any, document: Mapping[str, Any], code: str = "bad-json") -> None:
    """Hold a document against a model.

    Raises:
        Unusable: With every complaint at once.
    """
    faults = list(complaints(model, document))
    if faults:
        raise Unusable("; ".join(faults[:20]), code=code)


def complaints(kind: Any, value: Any, where: str = "") -> Iterator[str]:
    """What is wrong with a value, by the name of the member."""
    read = _read(kind)
    if value is None and read.nullable:
        return
    faults = list(_complaints(read.kind, value, where))
    yield from faults
    for limit in read.limits if not faults else ():
        yield from _beyond(limit, value, where)


def _complaints(kind: Any, value: Any, where: str) -> Iterator[str]:
    if is_typeddict(kind):
        yield from _member_complaints(kind, value, where)
    elif get_origin(kind) in {list, dict}:
        yield from _complaints_within(kind, value, where)
    elif kind in _PLAIN:
        if type(value) is not kind:  # True is an int to isinstance, and no number
            yield f"{where} must be {_PLAIN[kind][1]}"
    elif get_origin(kind) is Literal or _is_words(kind):
        if not isinstance(value, str) or value not in _words(kind):
            yield f"{where} must be one of {', '.join(_words(kind))}"
    elif kind is not Any:
        raise TypeError(f"nothing is known of {kind!r}")


def _complaints_within(kind: Any, value: Any, where: str) -> Iterator[str]:
    inner, container = get_args(kind)[-1], get_origin(kind)
    if not isinstance(value, container):
        yield f"{where} must be {'a list' if container is list else 'an object'}"
    elif container is list:
        for position, each in enumerate(value):
            yield from complaints(inner, each, f"{where}[{position}]")
    else:
        for each in value.values():  # keys may be names of files
            yield from complaints(inner, each, f"a member of {where}")


def _member_complaints(model: Any, value: Any, where: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{where or 'the document'} must be an object"
        return
    named, required = members(model)
    below = f"{where}." if where else ""
    if unknown := sorted(set(value) - set(named)):
        yield f"unknown member {below}{unknown[0]!r}: known are {', '.join(named)}"
    for name, kind in named.items():
        if name in value:
            yield from complaints(kind, value[name], below + name)
        elif name in required:
            yield f"{below}{name} is missing"


def _beyond(limit: Limit, value: Any, where: str) -> Iterator[str]:
    size = len(value) if isinstance(value, str | list | Mapping) else None
    what = "characters" if isinstance(value, str) else "entries"
    if limit.pattern and isinstance(value, str) and not re.fullmatch(limit.pattern, value):
        yield f"{where} has another form than it should ({limit.about or limit.pattern})"
    if limit.shortest is not None and size is not None and size < limit.shortest:
        yield f"{where} has at least {limit.shortest} {what}"
    if limit.longest is not None and size is not None and size > limit.longest:
        yield f"{where} has at most {limit.longest} {what}"
    if isinstance(value, int) and (
        (limit.least is not None and value < limit.least) or (limit.most is not None and value > limit.most)
    ):
        yield f"{where} must be {limit.least} to {'any' if limit.most is None else limit.most}"


def _is_words(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, StrEnum)


def _words(kind: Any) -> tuple[str, ...]:
    return tuple(str(each) for each in (kind if _is_words(kind) else get_args(kind)))
