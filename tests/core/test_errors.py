"""The error tree: its drawing, its permanent codes, and what the edge may rely on."""

from __future__ import annotations

import re

import pytest

from gateway.core import errors
from gateway.core.errors import GatewayError

# Codes are the last part of problem types: a client may have learnt them. This table may grow, nothing in it may change.
PERMANENT = {
    "GatewayError": ("internal", False),
    "CallerError": ("bad-request", False),
    "Unusable": ("unusable", False),
    "NotAuthenticated": ("not-authenticated", False),
    "NotPermitted": ("not-permitted", False),
    "NotFound": ("not-found", False),
    "Conflict": ("conflict", False),
    "TooLarge": ("too-large", False),
    "Incomplete": ("incomplete", True),
    "EndpointError": ("endpoint", True),
    "StoreError": ("store", True),
    "BrokenPromise": ("broken-promise", False),
}


def tree(kind: type[GatewayError]) -> list[type[GatewayError]]:
    """The class and everything below it, as far as this module defines it, in the order of definition."""
    below = [each for each in kind.__subclasses__() if each.__module__ == errors.__name__]
    return [kind, *(found for each in below for found in tree(each))]


def drawn() -> dict[str, str]:
    """Name to parent's name, read from the drawing in the module's docstring."""
    found, above = {}, [""]
    for line in (errors.__doc__ or "").partition("classes)::")[2].splitlines():
        match = re.match(r"( {4}(?:[│├└─ ]{4})*)(\w+)", line)
        if match:
            depth = len(match[1]) // 4
            above[depth:] = [match[2]]
            found[match[2]] = above[depth - 1]
    return found


def test_the_drawing_is_the_tree() -> None:
    kinds = tree(GatewayError)
    parents = {kind.__name__: "" if kind is GatewayError else kind.__base__.__name__ for kind in kinds}
    assert drawn() == parents
    assert list(drawn()) == list(parents), "drawn in another order than defined"


def test_codes_are_permanent_and_told_apart() -> None:
    found = {kind.__name__: (kind.code, kind.retry) for kind in tree(GatewayError)}
    assert found == PERMANENT
    assert len({code for code, _ in found.values()}) == len(found)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code, _ in found.values())


@pytest.mark.parametrize("kind", tree(GatewayError), ids=lambda kind: kind.__name__)
def test_every_error_says_what_it_means(kind: type[GatewayError]) -> None:
    plain = kind("what is wrong: what to do")
    assert (plain.message, str(plain)) == ("what is wrong: what to do",) * 2
    assert (plain.code, plain.retry) == PERMANENT[kind.__name__]
    assert kind.__doc__


def test_an_instance_may_say_it_more_exactly_without_changing_the_kind() -> None:
    exact = errors.EndpointError("the disk there is full", code="endpoint-full", retry=False)
    assert (exact.code, exact.retry) == ("endpoint-full", False)
    assert (errors.EndpointError.code, errors.EndpointError.retry) == ("endpoint", True)
    assert errors.Conflict("again", retry=True).retry is True
