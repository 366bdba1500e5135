"""Section 13 of the brief, complete: a golden case for each number, or the test here for what facts cannot say."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from gateway.core.classify import Classifier, FileFindings
from gateway.core.facts import SHANGHAI
from gateway.core.incident import Incident, due
from gateway.core.retention import Kept
from gateway.stores.detectors import load_detector_tables
from gateway.stores.rulebooks import load_clocks, load_retention
from tests.policies.packed import pack

NUMBERS = [
    *(1, 2, 4, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18, 20, 21, 23, 24, 26, 28, 30, 31, 33, 35, 37, 38, 40, 41, 43, 44, 45),
    *(47, 49, 51, 52, 53, 55, 57, 58, 59, 61, 62, 64, 66, 67, 69, 71, 72, 74, 75, 76, 77, 78, 79, 80, 81, 82),
]
"""Numbers of the table in section 13; those missing from it are not errors."""

NOT_IN_FACTS = {55, 57, 58, 59, 62, 64}
"""Inspection, clocks and retention; `policies/cases/README.md` says which is which."""


def found_in(text: str) -> FileFindings:
    classifier = Classifier("data.csv", load_detector_tables())
    classifier.feed(text.encode())
    return classifier.close()


def kinds(text: str) -> set[str]:
    return {finding.kind for finding in found_in(text).findings}


def test_every_number_has_its_case_or_its_test():
    cases = {int(case.id.removeprefix("13.").rstrip("ab")) for case in pack().cases if case.id.startswith("13.")}
    assert cases == set(NUMBERS) - NOT_IN_FACTS


def test_55_a_column_of_identity_numbers_is_personal_and_not_sensitive():
    found = found_in("id\n440300199001011238\n11010519491231002X\n")
    assert (found.personal, found.sensitive) == (True, False)


@pytest.mark.parametrize(
    ("header", "valid", "invalid", "kind"),
    [
        ("id", "11010519491231002X", "110105194912310021", "cn_resident_id"),  # 57
        ("hkid", "A123456(3)", "A123456(4)", "hkid"),  # 58
        ("code", "91110000600037341L", "91110000600037341M", "cn_uscc"),  # 59
    ],
)
def test_57_58_59_check_digits(header, valid, invalid, kind):
    assert kind in kinds(f"{header}\n{valid}\n{valid}\n")
    assert kind not in kinds(f"{header}\n{invalid}\n{invalid}\n")


def test_59_a_credit_code_is_nobodys():
    assert not found_in("code\n91110000600037341L\n9144030071526726XG\n").personal


def test_62_a_leak_of_999_999_persons_starts_no_clock_of_four_hours():
    at, table = datetime(2026, 11, 20, tzinfo=SHANGHAI), load_clocks()
    leak = {
        persons: {each.clock.id for each in due(Incident(at, None, persons, frozenset({"personal"})), table)}
        for persons in (999_999, 1_000_000)
    }
    assert leak[999_999] == {"persons-and-authority"}
    assert "provincial-cac" in leak[1_000_000]


def test_64_a_record_of_two_years_and_eleven_months_may_not_be_deleted():
    made = date(2026, 11, 20)
    table = load_retention()
    assert not table.may_delete("provision_records", Kept(made), date(2029, 10, 20))
    assert not table.may_delete("provision_records", Kept(made), date(2029, 11, 20))
    assert table.may_delete("provision_records", Kept(made), date(2029, 11, 20) + timedelta(days=1))
