"""Findings of files joined for a decision: weak ones over all files, persons over all of them."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from gateway.core.classify import Classifier
from gateway.core.persons import pack, unpack
from gateway.flow.findings import WEAK_IN_ONE, WEAK_TOGETHER, decision_facts, join
from gateway.ports import ReceivedFile, StoredFile
from gateway.stores.detectors import load_detector_tables

TABLES = load_detector_tables()
YEAR = 2026


def stored(text: str, number: int = 1, digests=()) -> StoredFile:
    classifier = Classifier(f"{number}.txt", TABLES)
    classifier.feed(text.encode())
    facts = decision_facts(classifier.close(), YEAR)
    file = ReceivedFile(
        number=number, path=f"{number}.txt", size=len(text), sha256="0" * 64, body_blake3="0" * 64, body_size=1, parts=1
    )
    packed = pack(np.array(sorted(digests), np.uint64))
    return StoredFile("t", file, {}, facts, packed, b"", datetime(2026, 5, 4, tzinfo=UTC))


def patients(count: int) -> list[StoredFile]:
    return [stored(f"张伟 139{number:08d} 艾滋病\n", number) for number in range(count)]


def test_one_person_a_file_is_looked_at():
    assert join(patients(60), YEAR).facts["level"] == "unknown"
    assert join(patients(WEAK_TOGETHER), YEAR).facts["level"] == "unknown"
    assert join(patients(WEAK_TOGETHER - 1), YEAR).facts["level"] == "general"


def test_kinds_are_not_added_to_each_other():
    files = [stored("call 13912345678 or write to a@example.com\n", number) for number in range(WEAK_TOGETHER - 1)]
    assert join(files, YEAR).facts["level"] == "general"


def test_joining_never_makes_a_level_milder():
    assert join([*patients(60), stored("机密★10年\n", 99)], YEAR).facts["level"] == "secret"


@pytest.mark.parametrize(("valid", "level"), [(WEAK_IN_ONE, "unknown"), (WEAK_IN_ONE - 1, "general")])
def test_many_in_one_file_that_look_like_chance(valid, level):
    lines = [f"139{n:08d}" for n in range(valid)] + [f"129{n:08d}" for n in range(40 * valid)]
    assert stored("\n".join(lines)).facts["level"] == level


def test_a_lone_resident_number_still_is_enough():
    assert stored("x 110105194912310021 y 11010519491231002X z\n").facts["level"] == "unknown"


def test_files_of_before_count_no_weak_findings():
    old = stored("nothing\n")
    facts = {name: value for name, value in old.facts.items() if name != "weak"}
    before = StoredFile("t", old.file, {}, facts, b"", b"", old.received_at)
    assert join([before, *patients(2)], YEAR).facts["level"] == "general"


def test_persons_are_distinct_over_files():
    joined = join([stored("x\n", 1, {1, 5, 9}), stored("x\n", 2, {5, 7})], YEAR)
    assert unpack(joined.sensitive).tolist() == [1, 5, 7, 9]
    assert join([], YEAR).sensitive == b""
