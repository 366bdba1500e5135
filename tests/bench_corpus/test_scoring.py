"""The scorer on hand-made files, what is read of the classifier and of Presidio, and the table that is printed."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.bench.corpus import ours, presidio, report
from tests.bench.corpus.scoring import Tally, score, score_file
from tests.bench.corpus.shown import Page, Sample, Shown


def sample(group: str, *kinds: str) -> Sample:
    page = Page()
    for kind in kinds:
        page.add(Shown(kind, "", "1", "1"), "\n")
    return page.close("0000.txt", "utf-8", group, "by hand")


# ---- tallies ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "tally"),
    [
        ({}, Tally(0, 0, 2)),
        ({"hkid": 1}, Tally(1, 0, 1)),
        ({"hkid": 2}, Tally(2, 0, 0)),
        ({"hkid": 5}, Tally(2, 3, 0)),
        ({"cn_uscc": 5}, Tally(0, 0, 2)),
    ],
)
def test_a_file_is_scored_by_counts(found: dict[str, int], tally: Tally) -> None:
    assert score_file(sample("text", "hkid", "hkid"), found)["hkid"] == tally


def test_what_is_found_as_another_kind_is_a_miss_and_a_false_alarm() -> None:
    tallies = score_file(sample("text", "cn_residence_permit"), {"cn_resident_id": 1})
    assert tallies["cn_residence_permit"] == Tally(missed=1)
    assert tallies["cn_resident_id"] == Tally(false=1)


def test_a_field_for_telephones_is_not_a_number_that_was_found() -> None:
    assert "phone" not in score_file(sample("tables", "cn_mobile"), {"phone": 1})


def test_over_and_under_do_not_cancel_across_files_or_groups() -> None:
    files = [sample("tables", "hkid", "hkid"), sample("tables"), sample("text", "hkid")]
    scores = score(files, [{}, {"hkid": 2}, {"hkid": 1}])
    assert scores["tables", "hkid"] == Tally(hits=0, false=2, missed=2)
    assert scores["text", "hkid"] == Tally(hits=1)


def test_rates_are_undefined_where_nothing_was_found_or_was_there() -> None:
    assert (Tally(3, 1, 2).precision, Tally(3, 1, 2).recall) == (0.75, 0.6)
    assert (Tally(0, 0, 2).precision, Tally(0, 0, 2).recall) == (None, 0.0)
    assert (Tally(0, 2, 0).precision, Tally(0, 2, 0).recall) == (0.0, None)


def test_answers_and_files_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="shorter"):
        score([sample("text"), sample("text")], [{}])


# ---- what others say ----------------------------------------------------------------------------------------------------


def test_strong_findings_are_counted_apart_and_places_together() -> None:
    found = [
        {"kind": "hkid", "where": "column a", "count": 2, "distinct": 1, "confidence": "strong", "samples": []},
        {"kind": "hkid", "where": "column b", "count": 3, "distinct": 3, "confidence": "strong", "samples": []},
        {"kind": "hkid", "where": "text", "count": 4, "distinct": 4, "confidence": "weak", "samples": []},
    ]
    assert ours.counts({"findings": found}, strong_only=True) == Counter(hkid=5)
    assert ours.counts({"findings": found}, strong_only=False) == Counter(hkid=9)


def test_the_classifier_is_asked_through_its_contract() -> None:
    told = ours.inspect("0000.csv", "姓名,身份证号\n张三,11010519491231002X\n李四,440300199001011238\n".encode())
    assert told["inspectable"]
    assert ours.counts(told, strong_only=True)["cn_resident_id"] == 2


@pytest.mark.parametrize(
    ("entity", "text", "there", "kind"),
    [
        ("EMAIL_ADDRESS", "邮箱a@b.com", "email", "email"),
        ("CREDIT_CARD", "4111 1111 1111 1111", "bank_card", "bank_card"),
        ("PHONE_NUMBER", "+86 138-0013-8000", "cn_mobile", "cn_mobile"),
        ("PHONE_NUMBER", "１３８００１３８０００", "cn_mobile", "cn_mobile"),
        ("PHONE_NUMBER", "008613800138000", "cn_mobile", "cn_mobile"),
        ("PHONE_NUMBER", "+852 9123 4567", "mo_mobile", "hk_mobile"),
        ("PHONE_NUMBER", "+853 6612 3456", "hk_mobile", "mo_mobile"),
        ("PHONE_NUMBER", "6612 3456", "mo_mobile", "mo_mobile"),
        ("PHONE_NUMBER", "6612 3456", "hk_mobile", "hk_mobile"),
        ("PHONE_NUMBER", "0755-26012345", "landline", "landline"),
        ("PHONE_NUMBER", "+852 2859 2111", "hk_mobile", "landline"),
        ("PHONE_NUMBER", "28592111", "landline", "landline"),
    ],
)
def test_presidio_s_words_in_ours(entity: str, text: str, there: str, kind: str) -> None:
    assert presidio.kind_of(entity, text, sample("text", there)) == kind


# ---- the table ----------------------------------------------------------------------------------------------------------


def by_hand() -> tuple[list[Sample], report.Ours]:
    files = [sample("tables", "email", "email"), sample("text", "email")]
    return files, report.Ours([{"email": 1}, {}], [{"email": 1}, {"email": 2}], unread=1, seconds=0.5)


def test_the_table_has_a_row_a_kind_with_precision_and_recall() -> None:
    files, mine = by_hand()
    other = presidio.Answer([Counter(email=2), Counter(email=1), Counter()], [0.1, 0.1, 0.1], "9.9")
    text = report.markdown(5, files, mine, other)
    assert (
        "| `email` | 2 | 1.00 / 0.50 | 1.00 / 0.50 | 1.00 / 1.00 | 1 | - / 0.00 | 0.50 / 1.00 | 1.00 / 1.00 |" in text
    )
    assert "| `hkid` | 0 | - / - | - / - |  | 0 | - / - | - / - |  |" in text
    assert "| all | 2 |" in text
    assert "corpus 5`" in text
    assert "Presidio 9.9" in text


def test_without_presidio_its_columns_are_empty_and_the_way_to_have_it_is_told() -> None:
    files, mine = by_hand()
    text = report.markdown(5, files, mine, None)
    assert "| `email` | 2 | 1.00 / 0.50 | 1.00 / 0.50 |  | 1 |" in text
    assert presidio.MAKE in text


def test_misses_and_inventions_are_shown_by_file() -> None:
    files, mine = by_hand()
    assert report.shown(files, mine.every, "any").splitlines() == [
        "any: email: missed 1 of 2, invented 0: 0000.txt: by hand",
        "any: email: missed 0 of 1, invented 1: 0000.txt: by hand",
    ]


def test_the_table_is_put_between_the_markers_again_and_again() -> None:
    page = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    once = report.placed(page, "| new |")
    assert once == f"before\n{report.BEGIN}\n\n| new |\n\n{report.END}\nafter\n"
    assert report.placed(once, "| new |") == once


def test_a_page_without_markers_is_left_alone() -> None:
    with pytest.raises(SystemExit, match="corpus:begin"):
        report.placed("nothing here", "| new |")


def test_the_seed_that_detectors_are_mended_by_is_not_published() -> None:
    with pytest.raises(SystemExit, match="seed 1"):
        report.main(1, "--write")


def test_files_and_their_truth_can_be_kept(tmp_path: Path) -> None:
    files, _ = by_hand()
    report.keep(files[:1], tmp_path / "1")
    assert (tmp_path / "1" / "0000.txt").read_bytes() == b"1\n1\n"
    (line,) = (tmp_path / "1" / "truth.ndjson").read_text("utf-8").splitlines()
    kept = json.loads(line)
    assert kept["about"] == "by hand"
    assert kept["truth"][1] == {"kind": "email", "value": "1", "start": 2, "end": 3, "line": 2}


def test_an_option_that_is_unknown_is_refused_before_anything_runs() -> None:
    with pytest.raises(SystemExit, match="--wirte"):
        report.main("--wirte")
