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
    "uneven": ("40476764f9fa2dcc", "c6409e96bca88701"),
    "crlf": ("ff9c39b4f64781e2", "ff9c39b4f64781e2"),
    "plain": ("b3d7373311d5568b", "b3d7373311d5568b"),
    "reads, binned": ("986f4de1dbe373bf", "986f4de1dbe373bf"),
    "reads, full": ("309e533299edbc36", "309e533299edbc36"),
    "reads, digits": ("309e533299edbc36", "309e533299edbc36"),
    "reads, crlf": ("ac7469d02ec88034", "ac7469d02ec88034"),
    "reads, people": ("25d677f335edf472", "25d677f335edf472"),
    "sequence": ("e97bae764f4b97ad", "e97bae764f4b97ad"),
    "variants": ("b3560172e353d0ff", "b3560172e353d0ff"),
    "alignments": ("836d8a202a7d6923", "836d8a202a7d6923"),
    "english": ("5c7f2018ddf81604", "5c7f2018ddf81604"),
    "chinese": ("5e95818279f11c2d", "d865bee85eb1385a"),
    "json": ("00817f6f5c85759d", "00817f6f5c85759d"),
    "json, escaped": ("9f8d20beb56a0313", "9f8d20beb56a0313"),
    "json lines": ("56a2575caed0ef27", "56a2575caed0ef27"),
    "markup": ("fd197a1666951bdc", "fd197a1666951bdc"),
    "mixture": ("a528d2b95506b3b5", "a528d2b95506b3b5"),
    "one line": ("c8347d7923acc593", "c8347d7923acc593"),
    "one line of cells": ("9f0a51e101a86535", "6f077151ef25897a"),
    "coded": ("eda968f50456ba3b", "eda968f50456ba3b"),
    "coded cells": ("e6c8c5fe8c717bcc", "e6c8c5fe8c717bcc"),
    "random": ("a3250f089b4e3e45", "a3250f089b4e3e45"),
    "text, then random": ("cab4cb39c0835ec0", "cab4cb39c0835ec0"),
    "text, then gb18030": ("c3fa5cecfaf6e6e8", "c3fa5cecfaf6e6e8"),
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
