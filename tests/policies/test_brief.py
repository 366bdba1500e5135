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

NOT_IN_FACTS = {57, 58, 62, 64}
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


# --- section 11, row by row ---

ROWS = {
    "D1": ("deny", "secrets-law:28 secrets-law:29 secrets-law:31 secrets-law:34 secrets-law:37"),
    "D2": ("deny", "dsl:21 order-790:63"),
    "D3": ("deny", "dsl:36 pipl:41"),
    "D3b": ("hold", "pipl:41 dsl:36"),
    "D4": ("deny", "pipl:42"),
    "D5": ("deny", "dsl:25"),
    "D6": ("deny", "order-790:37 cac-order-16:7(2)"),
    "D7": ("hold", "order-790:29 cac-order-16:2"),
    "D8": ("deny", "order-790:38 cac-order-16:9 cac-order-11:14"),
    "D9": ("hold", "hetao-plan:17 csl:26"),
    "D10": ("hold", "order-790:9"),
    "G1": ("deny", "biosecurity-law:56 hgr-regulation:7"),
    "G2": ("deny", "hgr-regulation:27 biosecurity-law:56"),
    "G3": ("deny", "hgr-regulation:28 hgr-rules:37"),
    "G4": ("hold", "biosecurity-law:57 hgr-rules:36"),
    "G5": ("hold", "hgr-rules:11"),
    "G6": ("hold", "hgr-regulation:9 hgr-regulation:12"),
    "G7": ("hold", "hgr-rules:2"),
    "P0": ("allow", "cac-order-16:3"),
    "P1": ("allow", "cac-order-16:4"),
    "P2": ("allow", "cac-order-16:5(1) cac-order-16:5(2) cac-order-16:5(3) cac-order-16:7_last order-790:35"),
    "P3": ("deny", "cac-order-16:7(1) csl:39"),
    "P4": ("allow", "gba-guideline:2 gba-guideline:4(2) gba-guideline:5 gba-guideline:8"),
    "P5": ("hold", "pipl:40"),
    "P6": ("deny", "gba-guideline:4(2)"),
    "P7": ("allow", "cac-order-16:5(4) cac-order-16:10"),
    "P8": ("hold", "cac-order-16:8"),
    "P9": ("allow", "cac-order-13:6 cac-order-13:7 cac-order-20:5"),
    "P10": ("hold", "cac-order-13:7 gba-guideline:8"),
    "P11": ("deny", "cac-order-16:7(2)"),
    "P12": ("hold", "pipl:39 pipl:55 cac-order-16:10 gba-guideline:5"),
    "P13": ("hold", "pipl:31"),
    "P14": ("hold", "population-health-2014:10 health-data-2018:30"),
    "P15": ("hold", "scientific-data-2018:14"),
    "P16": ("hold", "pipl:4 pipl:73"),
    "P17": ("hold", "cac-order-13:4 cac-order-20:5"),
    "P18": ("hold", "cac-order-16:6"),
    "P19": ("hold", "cac-order-16:3 cac-order-16:4"),
    "P20": ("allow", "cac-order-16:7(1) cac-order-16:7(2) cac-order-16:9 pipl:38(1)"),
    "P21": ("hold", "pipl:15"),
    "I1": ("allow", "cac-order-16:4 pdpo:DPP3 pdpo:DPP4"),
    "T1": ("deny", "order-790:9 crypto-regulation:41 csl:23(3)"),
}
"""Verdict and citations of every row of section 11."""


@pytest.mark.parametrize("row", ROWS)
def test_a_row_decides_and_cites_as_the_brief_says(row):
    verdict, cited = ROWS[row]
    rules = [rule for rule in pack().rulebook.rules if rule.row == row]
    assert {rule.verdict for rule in rules} == {verdict}
    found = {f"{each.instrument}:{each.article}".replace(" ", "_") for rule in rules for each in rule.citations}
    assert found >= set(cited.split())


def test_the_rows_are_all_there():
    assert {rule.row for rule in pack().rulebook.rules} == set(ROWS)


def test_what_rests_on_an_open_point_says_so():
    """A rule that turns on a choice is open, or cites what is certain beside it."""
    open_rules = {rule.id for rule in pack().rulebook.rules if rule.certainty == "open"}
    assert open_rules == {"D3b", "G5", "G7", "P4.1", "P5", "P7", "P18"}
    for choice in pack().rulebook.choices.entries.values():
        readers = [rule for rule in pack().rulebook.rules if rule.id in choice.read_by]
        assert all(rule.certainty != "verified" or rule.id in {"D3", "P3", "P11"} for rule in readers), choice.id
