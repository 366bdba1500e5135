"""The registry: a fold of doubly signed changes, with real SSH signatures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import BrokenPromise, Conflict, NotFound, Unusable
from gateway.core.records import AppPassword, Endpoint, FiledMechanism, Institution, Officer, Person, Project
from gateway.core.registry import NAMESPACE, Change, Registry, compose_change, found_registry, parse_change
from gateway.wire import canonical, sshsig
from tests.core.examples import (
    AUDIT_KEY,
    CLIENT,
    ENDPOINT,
    FILING,
    INSTITUTION,
    OFFICERS,
    PEOPLE_PUT,
    PERSONS,
    PROJECT,
    SECURITY_KEY,
    STRANGER_KEY,
    SYSTEM_KEY,
    TODAY,
    changed,
    founded,
    genesis,
    key,
    public_line,
    registry,
    signed,
)

FOUNDED = founded()
PIN = "sha256:" + "0" * 64
PASSWORD = AppPassword("chen-dav", "sz-lab", "chen", "0" * 64, TODAY, TODAY)
ADD_ENDPOINT = compose_change(FOUNDED.head, (("endpoint", ENDPOINT),))


# --- the fold ------------------------------------------------------------------------------------------------------------


def test_two_officers_change_the_registry() -> None:
    after = FOUNDED.apply(ADD_ENDPOINT, signed(ADD_ENDPOINT), TODAY)
    assert (after.revision, after.head) == (FOUNDED.revision + 1, ADD_ENDPOINT.digest)
    assert after.get(Endpoint, "hku-genomics") == ENDPOINT
    assert FOUNDED.find(Endpoint, "hku-genomics") is None, "the old registry is what it was"


def test_the_order_of_signatures_does_not_matter() -> None:
    assert FOUNDED.apply(ADD_ENDPOINT, signed(ADD_ENDPOINT, "officer-zhao", "officer-li"), TODAY).revision == 2
    assert FOUNDED.apply(ADD_ENDPOINT, signed(ADD_ENDPOINT, "officer-li", "officer-sun"), TODAY).revision == 2


def test_a_fold_from_documents_gives_the_same_registry() -> None:
    """What a restart does: genesis and changes from bytes."""
    folded = found_registry(parse_change(genesis().document))
    again = folded.apply(parse_change(ADD_ENDPOINT.document), signed(ADD_ENDPOINT), TODAY)
    assert again == FOUNDED.apply(ADD_ENDPOINT, signed(ADD_ENDPOINT), TODAY)


def test_a_record_is_replaced_and_retired() -> None:
    moved = replace(ENDPOINT, settings={"base": "elsewhere"})
    after = changed(registry(), ("endpoint", moved))
    assert after.get(Endpoint, ENDPOINT.id).settings == {"base": "elsewhere"}
    gone = changed(
        after, retire=(("filing", FILING.id), ("client", CLIENT.id), ("project", PROJECT.id), ("endpoint", ENDPOINT.id))
    )
    assert gone.find(Endpoint, ENDPOINT.id) is None
    assert gone.all(Project) == ()


# --- what does not hold --------------------------------------------------------------------------------------------------


def test_a_stale_change() -> None:
    other = FOUNDED.apply(ADD_ENDPOINT, signed(ADD_ENDPOINT), TODAY)
    with pytest.raises(Conflict) as told:
        other.apply(ADD_ENDPOINT, signed(ADD_ENDPOINT), TODAY)
    assert told.value.code == "stale-change"


def sign(private: Any, change: Change = ADD_ENDPOINT, namespace: str = NAMESPACE) -> bytes:
    return sshsig.sign(private, change.document, namespace)


@pytest.mark.parametrize(
    ("signatures", "says"),
    [
        ((sign(SECURITY_KEY), sign(SECURITY_KEY)), "same person"),
        ((sign(AUDIT_KEY), sign(SYSTEM_KEY)), "security officer"),
        ((sign(SECURITY_KEY), sign(STRANGER_KEY)), "no officer"),
        ((sign(STRANGER_KEY), sign(SECURITY_KEY)), "no officer"),
        ((sign(SECURITY_KEY), sign(AUDIT_KEY, namespace="hetao-vote")), "namespace"),
        ((sign(SECURITY_KEY), b""), "does not hold"),
        ((sign(SECURITY_KEY), sign(AUDIT_KEY, compose_change(FOUNDED.head, (("project", PROJECT),)))), "does not hold"),
    ],
    ids=[
        "same person",
        "no security officer",
        "stranger second",
        "stranger first",
        "namespace",
        "empty",
        "other document",
    ],
)
def test_signatures_that_do_not_make_a_change(signatures: tuple[bytes, bytes], says: str) -> None:
    with pytest.raises(BrokenPromise, match=says):
        FOUNDED.apply(ADD_ENDPOINT, signatures, TODAY)


def test_two_offices_of_one_person_are_one_person() -> None:
    second = Officer("officer-li-2", "li", "security", public_line(key(4)))
    two = changed(FOUNDED, ("officer", second))
    change = compose_change(two.head, (("endpoint", ENDPOINT),))
    signatures = (sign(SECURITY_KEY, change), sign(key(4), change))
    with pytest.raises(BrokenPromise, match="same person"):
        two.apply(change, signatures, TODAY)


@pytest.mark.parametrize(
    "swap",
    [
        lambda text: text.replace(ENDPOINT.recipient_key, "B" * 43 + "="),
        lambda text: text.replace("203.0.113.0/24", "198.51.100.0/24"),
        lambda text: text.replace('"place":"HK"', '"place":"SG"'),
        lambda text: text.replace("HKU", "HKX"),
    ],
    ids=["key", "range", "place", "name"],
)
def test_a_swapped_word_after_signing(swap: Callable[[str], str]) -> None:
    text = ADD_ENDPOINT.document.decode()
    assert swap(text) != text
    try:
        altered = parse_change(swap(text).encode())
    except Unusable:
        altered = replace(ADD_ENDPOINT, document=swap(text).encode())
    with pytest.raises(BrokenPromise, match="does not hold"):
        FOUNDED.apply(altered, signed(ADD_ENDPOINT), TODAY)


def test_an_invented_record_in_memory_is_not_what_was_signed() -> None:
    """`Change` holds what was parsed; only the document counts, so the digest tells them apart."""
    forged = replace(ADD_ENDPOINT, put=(("endpoint", replace(ENDPOINT, place="SG")),))
    assert parse_change(forged.document).put == ADD_ENDPOINT.put


def test_an_office_that_is_over() -> None:
    leaving = changed(FOUNDED, ("officer", replace(OFFICERS[1], valid_to=TODAY)))
    change = compose_change(leaving.head, (("endpoint", ENDPOINT),))
    leaving.apply(change, signed(change), TODAY)
    with pytest.raises(BrokenPromise, match="no officer in office"):
        leaving.apply(change, signed(change), TODAY + timedelta(days=1))


@pytest.mark.parametrize(
    ("put", "retire", "says"),
    [
        ((("project", PROJECT),), (), "endpoint 'hku-genomics', which is not registered"),
        ((("client", replace(CLIENT, person="nobody")),), (), "person 'nobody'"),
        ((("client", replace(CLIENT, institution="elsewhere")),), (), "institution 'elsewhere'"),
        ((("filing", replace(FILING, recipients=("nowhere",))),), (), "endpoint 'nowhere'"),
        ((("person", replace(PERSONS[0], supervisor="god")),), (), "person 'god'"),
        ((("person", replace(PERSONS[0], institution="moon")),), (), "institution 'moon'"),
        ((("officer", Officer("officer-x", "nobody", "audit", public_line(key(5)))),), (), "person 'nobody'"),
        ((("officer", Officer("officer-x", "li", "audit", public_line(key(5)))),), (), "'li' holds two offices"),
        ((("officer", Officer("officer-x", "wang", "audit", OFFICERS[0].key)),), (), "key is registered for li, wang"),
        ((("password", replace(PASSWORD, person="nobody")),), (), "person 'nobody'"),
        ((("password", replace(PASSWORD, institution="elsewhere")),), (), "institution 'elsewhere'"),
        (
            (("client", replace(CLIENT, certificate=PIN)), ("client", replace(CLIENT, id="sz-other", certificate=PIN))),
            (),
            "one certificate is registered for sz-lab-cli, sz-other",
        ),
        ((), (("institution", "sz-lab"),), "institution 'sz-lab', which is not registered"),
        ((), (("person", "wang"),), "person 'wang', which is not registered"),
        ((), (("endpoint", "never-there"),), "cannot be retired"),
        ((), (("officer", "officer-li"),), "one of them a security officer"),
        ((), (("officer", "officer-zhao"), ("officer", "officer-sun")), "two officers who are two persons"),
    ],
)
def test_a_signed_change_must_still_make_sense(put: Any, retire: Any, says: str) -> None:
    change = compose_change(FOUNDED.head, put, retire)
    with pytest.raises(Unusable, match=says):
        FOUNDED.apply(change, signed(change), TODAY)


# --- the genesis ---------------------------------------------------------------------------------------------------------


def without(*names: str) -> tuple[Any, ...]:
    return tuple(each for each in PEOPLE_PUT if each[1].id not in names)


@pytest.mark.parametrize(
    "change",
    [
        compose_change("0" * 64, PEOPLE_PUT),
        compose_change("", PEOPLE_PUT, (("person", "wang"),)),
        compose_change("", ()),
        compose_change("", without("officer-li")),
        compose_change("", without("officer-zhao", "officer-sun")),
        compose_change("", without("zhao")),
        compose_change(
            "",
            (
                *without("officer-zhao", "officer-sun"),
                ("officer", Officer("two", "li", "security", public_line(key(4)))),
            ),
        ),
    ],
    ids=["follows", "retires", "empty", "no security", "one officer", "nobody behind an officer", "one person twice"],
)
def test_what_is_no_genesis(change: Change) -> None:
    with pytest.raises(Unusable):
        found_registry(change)


def test_the_genesis() -> None:
    assert (FOUNDED.revision, FOUNDED.head) == (1, genesis().digest)
    assert [officer.role for officer in FOUNDED.all(Officer)] == ["security", "system", "audit"]


# --- documents -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [genesis(), ADD_ENDPOINT, compose_change("", (), (("person", "x"),))])
def test_a_change_is_its_document(change: Change) -> None:
    assert parse_change(change.document) == change


BODY: dict[str, Any] = {"v": 1, "previous": "", "put": [], "retire": []}


@pytest.mark.parametrize(
    "body",
    [
        {**BODY, "v": 2},
        {**BODY, "v": True},
        {**BODY, "v": "1"},
        {**BODY, "note": "more"},
        {key: value for key, value in BODY.items() if key != "v"},
        {key: value for key, value in BODY.items() if key != "retire"},
        {**BODY, "previous": None},
        {**BODY, "previous": 5},
        {**BODY, "put": None},
        {**BODY, "put": [5]},
        {**BODY, "put": ["kind"]},
        {**BODY, "put": [{"kind": "person"}]},
        {**BODY, "put": [{"kind": "person", "record": []}]},
        {**BODY, "put": [{"kind": "person", "record": None}]},
        {**BODY, "put": [{"kind": ["person"], "record": {}}]},
        {**BODY, "put": [{"kind": "person", "record": {"id": "x", "name": "x"}, "note": "more"}]},
        {**BODY, "put": [{"kind": "person", "record": {"id": "x", "name": "x"}}] * 2},
        {**BODY, "put": {"kind": "person"}},
        {**BODY, "retire": [{"kind": "person"}]},
        {**BODY, "retire": [{"kind": "person", "id": []}]},
        {**BODY, "retire": [{"kind": 1, "id": "x"}]},
        {**BODY, "retire": [{"kind": "person", "id": "x", "why": "y"}]},
        {**BODY, "retire": [{"kind": "person", "id": "x"}] * 2},
        {
            **BODY,
            "put": [{"kind": "person", "record": {"id": "x", "name": "x"}}],
            "retire": [{"kind": "person", "id": "x"}],
        },
    ],
)
def test_documents_of_another_form(body: Any) -> None:
    with pytest.raises(Unusable):
        parse_change(canonical.encode(body))


@given(st.binary(max_size=80))
def test_bytes_that_are_no_change(data: bytes) -> None:
    with pytest.raises(Unusable):
        parse_change(data)


def test_another_spelling_is_not_the_document() -> None:
    with pytest.raises(Unusable):
        parse_change(ADD_ENDPOINT.document.replace(b",", b", ", 1))


# --- asking --------------------------------------------------------------------------------------------------------------


def test_finding() -> None:
    full = registry()
    assert full.get(Institution, "sz-lab") == INSTITUTION
    assert full.find(Institution, "chen") is None, "another kind of record has that name"
    assert full.all(FiledMechanism) == (FILING,)
    assert [person.id for person in full.all(Person)] == sorted(person.id for person in PERSONS)
    with pytest.raises(NotFound, match="endpoint 'nowhere'") as told:
        full.get(Endpoint, "nowhere")
    assert told.value.code == "not-registered"
    assert Registry().all(Person) == ()


def test_an_officer_is_found_by_key() -> None:
    blob = sshsig.blob_of(AUDIT_KEY)
    assert FOUNDED.officer_by_key(blob, TODAY) == OFFICERS[1]
    with pytest.raises(NotFound):
        FOUNDED.officer_by_key(sshsig.blob_of(STRANGER_KEY), TODAY)


def lines(**supervisors: str) -> Registry:
    """People and their supervisors; signatures are another test's matter."""
    records = {("person", name): Person(name, name, supervisor=above) for name, above in supervisors.items()}
    return Registry(1, "x", records)


@pytest.mark.parametrize(
    ("people", "person", "line"),
    [
        ({"a": ""}, "a", "a"),
        ({"a": "", "b": "a", "c": "b", "d": "b"}, "a", "abcd"),
        ({"a": "", "b": "a", "c": "b", "d": "b"}, "b", "abcd"),
        ({"a": "", "b": "a", "c": "b", "d": "b"}, "c", "abc"),
        ({"a": "", "b": "a", "x": "", "y": "x"}, "y", "xy"),
        ({"a": "b", "b": "a", "c": ""}, "a", "ab"),
        ({"a": "a"}, "a", "a"),
        ({"a": "b", "b": "c", "c": "b"}, "a", "abc"),
        ({"a": "b", "b": "c", "c": "b"}, "c", "abc"),
        ({"a": "gone"}, "a", ["a", "gone"]),
        ({"a": ""}, "stranger", ["stranger"]),
        ({"a": "", "b": ""}, "", [""]),
    ],
)
def test_lines_and_circles(people: dict[str, str], person: str, line: Any) -> None:
    assert lines(**people).line_of(person) == frozenset(line)


@given(st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("abcdef_").map(lambda name: name.strip("_"))))
def test_a_line_always_ends_and_is_mutual(people: dict[str, str]) -> None:
    found = lines(**people)
    for person in people:
        line = found.line_of(person)
        assert person in line
        assert all(person in found.line_of(other) for other in line if other in people)


def test_the_line_of_the_example() -> None:
    assert registry().line_of("chen") == {"wang", "chen", "deng"}


def test_days_of_offices_are_inclusive() -> None:
    last = date(2026, 11, 30)
    registry_until = changed(FOUNDED, ("officer", replace(OFFICERS[1], valid_to=last)))
    blob = sshsig.blob_of(AUDIT_KEY)
    assert registry_until.officer_by_key(blob, last).person == "zhao"
    with pytest.raises(NotFound):
        registry_until.officer_by_key(blob, last + timedelta(days=1))
