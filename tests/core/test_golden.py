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
    "uneven": ("60991bf5e126f6ac", "c46c960b8d0947f1"),
    "crlf": ("9d2dd5c2a0fe1164", "9d2dd5c2a0fe1164"),
    "plain": ("b3d7373311d5568b", "b3d7373311d5568b"),
    "reads, binned": ("986f4de1dbe373bf", "986f4de1dbe373bf"),
    "reads, full": ("309e533299edbc36", "309e533299edbc36"),
    "reads, digits": ("309e533299edbc36", "309e533299edbc36"),
    "reads, crlf": ("ac7469d02ec88034", "ac7469d02ec88034"),
    "reads, people": ("e960f85652b853a5", "e960f85652b853a5"),
    "sequence": ("9b151317bdfdebc9", "9b151317bdfdebc9"),
    "variants": ("b3560172e353d0ff", "b3560172e353d0ff"),
    "alignments": ("836d8a202a7d6923", "836d8a202a7d6923"),
    "english": ("63cf72dbe10ab9ab", "63cf72dbe10ab9ab"),
    "chinese": ("710251949481abe1", "710251949481abe1"),
    "json": ("de9ca01a1c0f7109", "de9ca01a1c0f7109"),
    "json, escaped": ("59b1de4c06f7a79c", "59b1de4c06f7a79c"),
    "json lines": ("cb2e48419b482d5b", "cb2e48419b482d5b"),
    "markup": ("c7694e25a8cae288", "c7694e25a8cae288"),
    "mixture": ("b1e098df22fbddce", "b1e098df22fbddce"),
    "one line": ("4ab44bda097754b7", "4ab44bda097754b7"),
    "one line of cells": ("30a96bd33b626cc2", "6042125c3c50b530"),
    "coded": ("e5f67cafa86be572", "e5f67cafa86be572"),
    "coded cells": ("fc663c1f39d9c64a", "fc663c1f39d9c64a"),
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
