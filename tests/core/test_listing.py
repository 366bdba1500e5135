"""Lists: an entry meets who it is about, on its days, in any spelling; and nobody else."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from gateway.core.listing import institution_on, person_on, recipient_on, restricted_by
from gateway.core.records import RestrictedRecipient, WhitelistEntry
from tests.core.examples import ENDPOINT, INSTITUTION, PERSONS, USCC

ON = date(2026, 11, 20)
HASH = "0" * 64
LISTED = RestrictedRecipient("r-1", "CAC 2026/9", HASH, date(2026, 11, 20), date(2026, 12, 31))
WHITE = WhitelistEntry("w-1", "institution", INSTITUTION.id, "Hetao 2026/1", HASH, ON, date(2026, 12, 31), "filed")
UNFILED = replace(INSTITUTION, filing_number="", filed_from=None, filed_to=None)
UNKNOWN = replace(PERSONS[1], real_name_verified=False)


@pytest.mark.parametrize(
    ("entry", "meets"),
    [
        ({"endpoints": (ENDPOINT.id,)}, True),
        ({"endpoints": ("other",)}, False),
        ({"names": (ENDPOINT.name,)}, True),
        ({"names": ("someone else", "香港 某大學")}, True),
        ({"names": ("香港某大学",)}, False),  # another character is another name: lists are to name both
        ({"names": ("ＡＣＭＥ  hong-kong LTD.",)}, True),
        ({"names": ("acme",)}, False),
        ({"registrations": ("hk 0012345",)}, True),
        ({"registrations": ("0012345",)}, False),
    ],
)
def test_who_is_met(entry: dict[str, tuple[str, ...]], *, meets: bool) -> None:
    endpoint = replace(ENDPOINT, also_named=("香港某大學", "Acme (Hong Kong) Ltd"), registration="HK-0012345")
    listed = replace(LISTED, **entry)
    assert recipient_on(endpoint, [listed], ON).listed_pipl42 is meets
    assert restricted_by(endpoint, [listed], ON) == (("r-1",) if meets else ())


@pytest.mark.parametrize(
    ("day", "holds"),
    [
        (date(2026, 11, 19), False),
        (date(2026, 11, 20), True),
        (date(2026, 12, 31), True),
        (date(2027, 1, 1), False),
    ],
)
def test_an_entry_holds_on_its_days(day: date, *, holds: bool) -> None:
    assert recipient_on(ENDPOINT, [replace(LISTED, endpoints=(ENDPOINT.id,))], day).listed_pipl42 is holds
    assert institution_on(UNFILED, [WHITE], day).filed_on(day) is holds


def test_an_endpoint_without_a_number_is_not_met_by_an_entry_without_one() -> None:
    listed = replace(LISTED, registrations=(), names=("nobody",))
    assert not recipient_on(replace(ENDPOINT, registration=""), [listed], ON).listed_pipl42


def test_a_mark_of_the_endpoints_own_is_never_taken_away() -> None:
    assert recipient_on(replace(ENDPOINT, listed_pipl42=True), [], ON).listed_pipl42


def test_an_entry_makes_filed_only_where_officers_said_so() -> None:
    assert institution_on(UNFILED, [WHITE], ON).filed_on(ON)
    assert institution_on(UNFILED, [replace(WHITE, subject=USCC)], ON).filed_on(ON)
    assert not institution_on(UNFILED, [replace(WHITE, counts_as="")], ON).filed_on(ON)
    assert not institution_on(UNFILED, [replace(WHITE, subject="other")], ON).filed_on(ON)
    assert not institution_on(UNFILED, [replace(WHITE, kind="industry")], ON).filed_on(ON)
    assert institution_on(INSTITUTION, [], ON) == INSTITUTION


def test_where_an_entry_is_needed_its_lack_takes_away() -> None:
    assert not institution_on(INSTITUTION, [], ON, needed=True).filed_on(ON)
    assert institution_on(INSTITUTION, [replace(WHITE, counts_as="")], ON, needed=True).filed_on(ON)
    assert not institution_on(UNFILED, [replace(WHITE, counts_as="")], ON, needed=True).filed_on(ON)
    assert not person_on(PERSONS[1], [], ON, needed=True).real_name_verified


def test_people() -> None:
    entry = replace(WHITE, kind="person", subject=PERSONS[1].id, counts_as="real_name")
    assert person_on(UNKNOWN, [entry], ON).real_name_verified
    assert not person_on(UNKNOWN, [replace(entry, counts_as="")], ON).real_name_verified
    assert not person_on(UNKNOWN, [replace(entry, subject="somebody")], ON).real_name_verified
    assert not person_on(UNKNOWN, [WHITE], ON).real_name_verified
