"""A type as a schema and as a check says the same thing."""

# No `from __future__ import annotations`: a TypedDict must see its own annotations.

from enum import StrEnum
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest
from openapi_schema_validator import OAS31Validator

from gateway.core.errors import Unusable
from gateway.doors.https.schema import Limit, check, complaints, object_of, schema_of


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Inner(TypedDict):
    """Within."""

    number: Annotated[int, Limit(least=1, most=3)]


class Outer(TypedDict):
    """Around."""

    name: Annotated[str, Limit("a word", pattern="[a-z]+", longest=5)]
    flag: NotRequired[bool]
    inner: NotRequired[Inner | None]
    colours: NotRequired[Annotated[list[Colour], Limit(shortest=1, longest=2)]]
    kind: NotRequired[Literal["a", "b"]]
    sizes: NotRequired[dict[str, Annotated[int, Limit(least=0)]]]
    free: NotRequired[Any]
    noted: NotRequired[str | None]


def schema() -> dict[str, Any]:
    found: dict[str, Any] = {}
    drawn = object_of(Outer, found, closed=True)
    parts = {name: object_of(model, found, closed=True) for name, model in found.items()}
    return {**drawn, "components": {"schemas": parts}}


VALUES = [
    ({"name": "ab"}, ""),
    ({"name": "ab", "flag": True, "inner": {"number": 3}, "colours": ["red"], "kind": "b", "sizes": {"x": 0}}, ""),
    ({"name": "ab", "inner": None, "noted": None, "free": [1, {"a": None}]}, ""),
    ({}, "name is missing"),
    ([], "the document must be an object"),
    ({"name": 7}, "name must be a string"),
    ({"name": "AB"}, "name has another form than it should (a word)"),
    ({"name": "abcdef"}, "name has at most 5 characters"),
    ({"name": "ab", "flag": 1}, "flag must be true or false"),
    ({"name": "ab", "flag": None}, "flag must be true or false"),
    ({"name": "ab", "extra": 1}, "unknown member 'extra'"),
    ({"name": "ab", "inner": {"number": 4}}, "inner.number must be 1 to 3"),
    ({"name": "ab", "inner": {"number": True}}, "inner.number must be a whole number"),
    ({"name": "ab", "inner": {"number": 1, "more": 1}}, "unknown member inner.'more'"),
    ({"name": "ab", "colours": []}, "colours has at least 1 entries"),
    ({"name": "ab", "colours": ["red"] * 3}, "colours has at most 2 entries"),
    ({"name": "ab", "colours": ["green"]}, "colours[0] must be one of red, blue"),
    ({"name": "ab", "colours": "red"}, "colours must be a list"),
    ({"name": "ab", "kind": "c"}, "kind must be one of a, b"),
    ({"name": "ab", "sizes": {"secret.csv": -1}}, "a member of sizes must be 0 to any"),
    ({"name": "ab", "sizes": []}, "sizes must be an object"),
]


@pytest.mark.parametrize(("value", "fault"), VALUES, ids=[str(value) for value, _ in VALUES])
def test_the_schema_and_the_check_agree(value, fault):
    faults = list(complaints(Outer, value))
    assert OAS31Validator(schema()).is_valid(value) is not bool(fault)
    assert (fault in faults[0]) if fault else faults == []
    assert "secret" not in "".join(faults)


def test_a_line_break_is_no_part_of_a_word():
    """ECMA-262 means the end by `$`, Python also what stands before a last line break."""
    assert list(complaints(Outer, {"name": "ab\n"})) == ["name has another form than it should (a word)"]


def test_every_complaint_comes_at_once():
    with pytest.raises(Unusable, match=r"unknown member 'extra'.*name must be a string; kind must be one of a, b"):
        check(Outer, {"name": 7, "kind": "c", "extra": 1})


def test_an_unknown_type_is_a_mistake_of_ours():
    with pytest.raises(TypeError):
        schema_of(bytes, {})
    with pytest.raises(TypeError):
        list(complaints(bytes, b""))
    with pytest.raises(TypeError):
        schema_of(int | str, {})
