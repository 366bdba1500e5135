"""POD5: a file that Oxford Nanopore's own writer made (samples/README.md), and what can be done to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.inspect.objects import inspect_file
from gateway.inspect.source import MemoryStore
from gateway.stores.detectors import load_detector_tables

CONTENT = (Path(__file__).parent / "samples" / "two_samples.pod5").read_bytes()


def inspected(content: bytes, path: str = "run.pod5"):
    return inspect_file(MemoryStore(content), path, load_detector_tables())


def test_samples_are_those_of_the_runs():
    found = inspected(CONTENT)
    assert found.inspectable, found.findings
    assert found.coverage == ((0, len(CONTENT)),)
    assert (found.format, found.hgr.subjects, found.hgr.sequencing_subjects) == ("pod5", 2, 2)


def test_what_the_run_says_is_read():
    told = CONTENT.replace(b"nobody", b"\xe6\x9c\xba\xe5\xaf\x86")  # an operator's name of the same size
    found = inspected(told.replace(b"made for a test", "机密★10年".encode() + b" "))
    assert found.secrecy_mark, found.findings


@pytest.mark.parametrize("cut", [1, 8, 32, 33, 300, 5_000, len(CONTENT) - 30])
def test_what_was_cut_off_is_no_clean_file(cut):
    assert not inspected(CONTENT[:-cut]).inspectable


def test_what_was_added_is_no_clean_file():
    assert not inspected(CONTENT + b"hidden").inspectable
    middle = CONTENT.index(CONTENT[8:24], 24)
    assert not inspected(CONTENT[:middle] + b"hidden!!" + CONTENT[middle:]).inspectable


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, len(CONTENT) - 1), value=st.integers(0, 255))
def test_a_changed_byte_never_breaks_the_inspector(at, value):
    content = bytearray(CONTENT)
    content[at] = value
    inspected(bytes(content))


def test_a_damaged_signal():
    at = CONTENT.index(b"\x28\xb5\x2f\xfd")  # a Zstandard frame
    content = bytearray(CONTENT)
    content[at] ^= 0xFF
    assert not inspected(bytes(content)).inspectable
