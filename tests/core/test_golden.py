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
    "cohort": ("1dd3e4af62d9ebd0", "1dd3e4af62d9ebd0"),
    "cohort gb18030": ("c6d98c8d415f8e14", "c6d98c8d415f8e14"),
    "cohort utf-16": ("093c300ebaa6f491", "093c300ebaa6f491"),
    "uneven": ("0cb1f9e6b669dec4", "4fb4904b1b25ff70"),
    "crlf": ("9d2dd5c2a0fe1164", "9d2dd5c2a0fe1164"),
    "plain": ("b3d7373311d5568b", "b3d7373311d5568b"),
    "reads, binned": ("986f4de1dbe373bf", "986f4de1dbe373bf"),
    "reads, full": ("309e533299edbc36", "309e533299edbc36"),
    "reads, digits": ("309e533299edbc36", "309e533299edbc36"),
    "reads, crlf": ("691f3726b263ff4d", "691f3726b263ff4d"),
    "reads, people": ("dc1b66c3531a5358", "dc1b66c3531a5358"),
    "sequence": ("9b151317bdfdebc9", "9b151317bdfdebc9"),
    "variants": ("b3560172e353d0ff", "b3560172e353d0ff"),
    "alignments": ("836d8a202a7d6923", "836d8a202a7d6923"),
    "english": ("9e96580fb84408b0", "a0066a49ad05300d"),
    "chinese": ("45924e5520dde0c5", "a5bde401710667aa"),
    "json": ("c30876caff6773a5", "c30876caff6773a5"),
    "json, escaped": ("8ea4ba205d85445f", "8ea4ba205d85445f"),
    "json lines": ("df3f9df00245daa4", "df3f9df00245daa4"),
    "markup": ("8648f1f2dc248965", "8648f1f2dc248965"),
    "mixture": ("92d2eb9c0468256b", "92d2eb9c0468256b"),
    "one line": ("d9fb62f4d4e33d04", "d9fb62f4d4e33d04"),
    "one line of cells": ("f7f4072c89ec2ab0", "2b1dae312e9ce695"),
    "coded": ("80df6d0e860648ea", "80df6d0e860648ea"),
    "coded cells": ("f9d7d4b1def57efd", "f9d7d4b1def57efd"),
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
