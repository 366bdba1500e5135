"""Nothing that is found changes when the classifier becomes faster: digests of findings, kept from before it did.

A digest changes only with a decision about what is found, never with one about speed: then the line that this test
prints replaces the old one, and the change says why.
"""

from __future__ import annotations

import pytest

from gateway.core.classify import Classifier
from gateway.stores.detectors import load_detector_tables
from tests.core.corpus import KINDS, corpus, digest

TABLES = load_detector_tables()
SMALL = 16_384  # bytes of a block: long lines are cut there, which the findings of some files show

# By the kind of file: digest with the usual blocks, and with SMALL ones.
FOUND = {
    "cohort": ("6ca5c5ff517a6f43", "6ca5c5ff517a6f43"),
    "cohort gb18030": ("22239ba91ee0b7cd", "22239ba91ee0b7cd"),
    "cohort utf-16": ("deca6176a4137166", "deca6176a4137166"),
    "uneven": ("d46382001238b0d5", "4d21ed92d4165122"),
    "crlf": ("ff9c39b4f64781e2", "ff9c39b4f64781e2"),
    "plain": ("b3d7373311d5568b", "b3d7373311d5568b"),
    "reads, binned": ("986f4de1dbe373bf", "986f4de1dbe373bf"),
    "reads, full": ("309e533299edbc36", "309e533299edbc36"),
    "reads, digits": ("309e533299edbc36", "309e533299edbc36"),
    "reads, crlf": ("691f3726b263ff4d", "691f3726b263ff4d"),
    "reads, people": ("59e363d8fa19e007", "59e363d8fa19e007"),
    "sequence": ("e97bae764f4b97ad", "e97bae764f4b97ad"),
    "variants": ("b3560172e353d0ff", "b3560172e353d0ff"),
    "alignments": ("836d8a202a7d6923", "836d8a202a7d6923"),
    "english": ("c4e8b0ec4fa8c8b6", "6bec1255f3bbedc8"),
    "chinese": ("fb33d446a6bb4d8e", "e711a1a58b9310c0"),
    "json": ("440ecec7011d5b61", "440ecec7011d5b61"),
    "json, escaped": ("fe37b319e5813b93", "fe37b319e5813b93"),
    "json lines": ("e4fb08ea994a6177", "e4fb08ea994a6177"),
    "markup": ("16c6f39b77d20d9e", "16c6f39b77d20d9e"),
    "mixture": ("72a9f3210ea67c64", "72a9f3210ea67c64"),
    "one line": ("27da9d5009df84f8", "27da9d5009df84f8"),
    "one line of cells": ("bfebd5ec78596036", "7bf7b80b0556d20d"),
    "coded": ("f201835008ab89bd", "f201835008ab89bd"),
    "coded cells": ("4c877130ba8337c1", "4c877130ba8337c1"),
    "random": ("a3250f089b4e3e45", "a3250f089b4e3e45"),
    "text, then random": ("cab4cb39c0835ec0", "cab4cb39c0835ec0"),
    "text, then gb18030": ("93a66ff530488d09", "93a66ff530488d09"),
}


def _digest(path: str, data: bytes, piece: int, **options: int) -> str:
    classifier = Classifier(path, TABLES, **options)
    for at in range(0, len(data), piece):
        classifier.feed(memoryview(data)[at : at + piece])
    return digest(classifier.close())


def test_every_kind_is_kept():
    assert set(FOUND) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_findings_are_those_of_before(kind):
    path, data = corpus(kind)
    assert (_digest(path, data, 1 << 20), _digest(path, data, 1 << 20, block=SMALL)) == FOUND[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_findings_are_the_same_in_pieces(kind):
    path, data = corpus(kind)
    assert _digest(path, data, 997, block=SMALL) == FOUND[kind][1]


@pytest.mark.parametrize("kind", ["cohort gb18030", "reads, full"])
def test_findings_are_the_same_byte_by_byte(kind):
    path, data = corpus(kind)
    assert _digest(path, data, 1, block=SMALL) == FOUND[kind][1]
