"""Every failure has one code, one status, three languages, and nothing of ours in its words."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import gateway
from gateway.core import errors
from gateway.core.errors import (
    BrokenPromise,
    Conflict,
    EndpointError,
    GatewayError,
    NotAuthenticated,
    StoreError,
    TooLarge,
    Unusable,
)
from gateway.doors.https.problems import STATUS, TYPE, answer_problem, known_code
from gateway.stores.locales import load_catalogue
from gateway.wire.problem import parse_problem

CATALOGUE = load_catalogue()
CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, GatewayError)]


def answered(failure, language="en", **about):
    return answer_problem(failure, catalogue=CATALOGUE, language=language, request_id="r1", **about)


def test_every_code_has_a_title_and_a_remedy():
    ids = CATALOGUE.ids()
    assert {f"problem.{code}" for code in STATUS} == {each for each in ids if each.startswith("problem.")}
    assert {f"remedy.{code}" for code in STATUS} <= ids


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_class_has_a_row_and_new_codes_fall_back_to_it(kind):
    assert kind.code in STATUS
    assert known_code(kind("x", code="never-heard-of")) == kind.code


def test_codes_that_senders_can_meet_in_the_flow_have_rows_of_their_own():
    """Codes given in the modules the door calls, read from their source."""
    folder = Path(gateway.__file__).parent
    met = set()
    for module in (
        "flow/intake.py",
        "flow/uploads.py",
        "flow/run.py",
        "flow/turns.py",
        "flow/enquiry.py",
        "core/intake.py",
        "core/names.py",
        "core/declaration.py",
    ):
        for node in ast.walk(ast.parse((folder / module).read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "code" and isinstance(node.value, ast.Constant):
                met.add(node.value.value)
    assert met
    assert met <= set(STATUS)


def test_a_problem_is_what_rfc_9457_says():
    response = answered(Conflict("the transfer is held", code="wrong-state"))
    problem = parse_problem(response.body)
    assert response.status == problem.status == 409
    assert response.headers["Content-Type"] == "application/problem+json"
    assert problem.type == TYPE + "wrong-state"
    assert problem.title == "The transfer is in another state"
    assert problem.detail == "the transfer is held"
    assert problem.instance == "urn:hetao:request:r1"
    assert problem.extensions["code"] == "wrong-state"
    assert problem.extensions["retry"] is False


@pytest.mark.parametrize(
    ("language", "title"),
    [("en", "This is larger"), ("zh-Hans", "超出网关接受的大小"), ("zh-Hant", "超出閘道接受的大小")],
)
def test_titles_are_in_the_callers_language(language, title):
    response = answered(TooLarge("at most 7"), language)
    assert parse_problem(response.body).title.startswith(title)
    assert response.headers["Content-Language"] == language


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (StoreError("postgresql://user:hunter2@db is away"), 503),
        (StoreError("hunter2", code="disk-full"), 507),
        (StoreError("hunter2", code="key-destroyed"), 503),
        (BrokenPromise("hunter2"), 500),
        (EndpointError("hunter2"), 502),
        (GatewayError("hunter2"), 500),
    ],
)
def test_what_is_our_doing_is_told_without_its_words(failure, status):
    response = answered(failure)
    assert response.status == status
    assert b"hunter2" not in response.body
    assert ("Retry-After" in response.headers) == (status in {503, 507})


def test_challenges_are_for_credentials_only():
    assert answered(NotAuthenticated("x"), challenge="Bearer").headers["WWW-Authenticate"] == "Bearer"
    assert "WWW-Authenticate" not in answered(Unusable("x"), challenge="Bearer").headers
