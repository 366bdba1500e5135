"""Arrays: IDAT and CEL as bytes after their published descriptions; no tool of the field writes them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.inspect.objects import inspect_file
from gateway.inspect.source import MemoryStore
from gateway.stores.detectors import load_detector_tables

IDENTITIES = ["11010519491231002X", "440300199001011238"]


def inspected(content: bytes, path: str):
    return inspect_file(MemoryStore(content), path, load_detector_tables())


def short(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


def idat(barcode: str = "204126290052", label: str = "R01C01", note: str = "", probes: int = 50) -> bytes:
    fields = {
        1000: struct.pack("<i", probes), 102: struct.pack(f"<{probes}i", *range(probes)), 103: bytes(2 * probes),
        104: bytes(2 * probes), 107: bytes(probes), 200: struct.pack("<i", 3) + bytes(12),
        300: struct.pack("<i", 1) + b"".join(map(short, ["4/2/2026", "Scan", note, "AutoScan", "1.0"])),
        400: struct.pack("<i", 0), 402: short(barcode), 403: short("BeadChip 8x5"), 404: short(label),
    }  # fmt: skip
    at = 4 + 8 + 4 + 10 * len(fields)
    head, body = b"IDAT" + struct.pack("<qi", 3, len(fields)), b""
    for code, content in fields.items():
        head += struct.pack("<Hq", code, at + len(body))
        body += content
    return head + body


def cel4(note: str = "", cells: tuple[int, int] = (5, 4)) -> bytes:
    header = f"Cols={cells[0]}\nRows={cells[1]}\nDatHeader={note}\n".encode()
    out = struct.pack("<5i", 64, 4, *cells, cells[0] * cells[1])
    for text in (header, b"Percentile", b"Percentile:75"):
        out += struct.pack("<i", len(text)) + text
    return out + struct.pack("<4i", 2, 1, 2, 1) + bytes(10 * cells[0] * cells[1] + 4 * 3 + 56)


def wide(text: str) -> bytes:
    return struct.pack(">i", len(text)) + text.encode("utf-16-be")


def narrow(text: bytes) -> bytes:
    return struct.pack(">i", len(text)) + text


def console(note: str = "", rows: int = 7) -> bytes:
    parameter = wide("affymetrix-sample") + narrow(note.encode("utf-16-be")) + wide("text/plain")
    parent = (
        narrow(b"affymetrix-calvin-scan-acquisition")
        + narrow(b"id")
        + wide("2026")
        + wide("en")
        + struct.pack(">ii", 0, 0)
    )
    header = narrow(b"affymetrix-calvin-intensity") + narrow(b"0000") + wide("2026-04-02") + wide("en-US")
    header += struct.pack(">i", 1) + parameter + struct.pack(">i", 1) + parent
    group = 10 + len(header)
    named = wide("Default Group")
    first = group + 12 + len(named)
    about = (
        wide("Intensity") + struct.pack(">i", 0) + struct.pack(">i", 1) + wide("Intensity") + struct.pack(">bi", 6, 4)
    )
    begin = first + 8 + len(about) + 4
    end = begin + 4 * rows
    out = b"\x3b\x01" + struct.pack(">iI", 1, group) + header + struct.pack(">IIi", end, first, 1) + named
    return out + struct.pack(">II", begin, end) + about + struct.pack(">i", rows) + bytes(4 * rows)


MADE = {"idat": (idat, "204126290052_R01C01_Grn.idat"), "cel": (cel4, "NA1.CEL"), "console": (console, "NA1.CEL")}


@pytest.mark.parametrize("form", MADE)
def test_an_array_is_one_sample_and_no_sequencing(form):
    make, path = MADE[form]
    found = inspected(make(), path)
    assert found.inspectable, found.findings
    assert (found.hgr.information, found.hgr.subjects, found.hgr.sequencing_subjects) == (True, 1, 0)
    assert found.coverage == ((0, found.size),)


def test_both_colours_are_one_sample():
    both = [
        inspected(idat(), f"x_{colour}.idat").identifiers.values["genomic_sample"].tolist() for colour in ("Grn", "Red")
    ]
    assert both[0] == both[1]
    assert inspected(idat(label="R02C01"), "x_Grn.idat").identifiers.values["genomic_sample"].tolist() != both[0]


@pytest.mark.parametrize("form", MADE)
def test_texts_are_read(form):
    make, path = MADE[form]
    found = inspected(make(note=" ".join(IDENTITIES)), path)
    assert "cn_resident_id" in {f.kind for f in found.findings if f.confidence == "strong"}, found.findings
    assert inspected(make(note="机密★10年"), path).secrecy_mark


@pytest.mark.parametrize("form", MADE)
def test_cut_off_or_added_to(form):
    make, path = MADE[form]
    content = make()
    for cut in (1, 3, 20, len(content) // 2, len(content) - 20):
        assert not inspected(content[:-cut], path).inspectable, cut
    found = inspected(content + b"hidden", path)
    assert {f.where for f in found.findings if f.kind == "gap"} == {f"bytes {len(content)}-{len(content) + 6}"}


def test_an_encrypted_idat():
    found = inspected(b"IDAT" + struct.pack("<q", 1) + bytes(100), "x.idat")
    assert "encrypted_content" in {f.kind for f in found.findings}


def test_the_text_form_of_a_cel():
    found = inspected(b"[CEL]\nVersion=3\n\n[HEADER]\nCols=2\nRows=2\n", "NA1.CEL")
    assert (found.inspectable, found.hgr.subjects, found.hgr.sequencing_subjects) == (True, 1, 0)


@settings(max_examples=60, deadline=None)
@given(form=st.sampled_from(sorted(MADE)), at=st.integers(0, 5_000), value=st.integers(0, 255))
def test_a_changed_byte_never_breaks_the_inspector(form, at, value):
    make, path = MADE[form]
    content = bytearray(make())
    content[at % len(content)] = value
    inspected(bytes(content), path)
