"""Problem details: the examples of RFC 9457, and strangers' documents of every kind."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import Malformed
from gateway.wire.problem import Problem, parse_problem
from tests.wire.damage import damaged, parsed_or_none

# RFC 9457 section 3, first example
OUT_OF_CREDIT = Problem(
    type="https://example.com/probs/out-of-credit",
    title="You do not have enough credit.",
    detail="Your current balance is 30, but that costs 50.",
    instance="/account/12345/msgs/abc",
    extensions={"balance": 30, "accounts": ["/account/12345", "/account/67890"]},
)


def test_the_example_of_the_standard():
    document = json.loads(OUT_OF_CREDIT.encode())
    assert document == {
        "type": "https://example.com/probs/out-of-credit",
        "title": "You do not have enough credit.",
        "detail": "Your current balance is 30, but that costs 50.",
        "instance": "/account/12345/msgs/abc",
        "balance": 30,
        "accounts": ["/account/12345", "/account/67890"],
    }
    assert parse_problem(json.dumps(document, indent=2).encode()) == OUT_OF_CREDIT


def test_empty_members_are_left_out():
    assert Problem(status=404).encode() == b'{"status":404,"type":"about:blank"}'
    assert parse_problem(b"{}") == Problem()


@pytest.mark.parametrize("name", ["type", "status", "a", "ab", "1abc", "a-b", "", "a b c"])
def test_extensions_keep_off_the_standard_and_its_rules_for_names(name):
    with pytest.raises(ValueError, match="extension"):
        Problem(extensions={name: 1}).encode()


def test_members_of_a_wrong_type_are_ignored():
    odd = b'{"type":1,"title":[],"status":"403","detail":null,"instance":{},"x-y":1,"abc":2}'
    assert parse_problem(odd) == Problem(extensions={"abc": 2})


@pytest.mark.parametrize("status", ["99", "600", "true", "403.5", "1e3"])
def test_a_status_that_is_none_is_ignored(status):
    assert parse_problem(b'{"status":%s}' % status.encode()).status is None


@pytest.mark.parametrize("data", [b"[]", b"", b"null", b'"x"', b'{"a":1,"a":1}', b" " * 65_537])
def test_documents_that_are_refused(data):
    with pytest.raises(Malformed):
        parse_problem(data)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(
    st.builds(
        Problem,
        type=TEXT.filter(bool),
        title=TEXT,
        status=st.none() | st.integers(100, 599),
        detail=TEXT,
        instance=TEXT,
        extensions=st.dictionaries(st.sampled_from(["rules", "retry_after", "abc"]), st.integers(0, 9) | TEXT),
    )
)
def test_problems_go_round(problem):
    assert parse_problem(problem.encode()) == problem


@given(damaged(OUT_OF_CREDIT.encode()))
def test_documents_parse_or_are_malformed(data):
    problem = parsed_or_none(parse_problem, data)
    assert problem is None or parse_problem(problem.encode()) == problem
