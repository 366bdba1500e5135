"""Workbooks of Excel 97 to 2003: what a stranger's reader sees is what is found, and nothing can hide beside it."""

from __future__ import annotations

import datetime as dt
import io
import struct
from functools import cache
from pathlib import Path

import pytest
import python_calamine
import xlwt
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.inspect.limits import Limits
from gateway.inspect.objects import inspect_file
from gateway.inspect.parsers.biffstrings import Parts
from gateway.inspect.source import MemoryStore
from gateway.stores.detectors import load_detector_tables

TABLES = load_detector_tables()
SAMPLE = Path(__file__).parent / "samples" / "people.xls"  # by LibreOffice, see the README there
IDS = ("11010519491231002X", "440300199001011238")
FREE, END, FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD


def inspected(content: bytes, limits: Limits | None = None):
    return inspect_file(MemoryStore(content), "people.xls", TABLES, limits or Limits())


def says(found) -> str:
    return " | ".join(f"{finding.kind}: {finding.where}" for finding in found.findings)


@cache
def written() -> bytes:
    book = xlwt.Workbook()
    sheet = book.add_sheet("people")
    for column, name in enumerate(("name", "id_number", "born", "share")):
        sheet.write(0, column, name)
    dated = xlwt.easyxf(num_format_str="YYYY-MM-DD")
    for row in range(1, 400):
        sheet.write(row, 0, f"张三 {row}")
        sheet.write(row, 1, IDS[row % 2])
        sheet.write(row, 2, dt.date(1990, 1, 1), dated)
        sheet.write(row, 3, row / 8)
    book.add_sheet("其他").write(2, 3, True)
    return saved(book)


def saved(book) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_rows_are_people_and_dates_are_dates():
    found = inspected(written())
    assert found.format == "xls"
    assert found.inspectable, says(found)
    assert found.coverage == ((0, found.size),)
    assert found.persons.nonsensitive == 2
    counts = {(each.kind, each.where): each.count for each in found.findings}
    assert counts["cn_resident_id", "sheet 1: column id_number"] == 399
    assert counts["dob", "sheet 1: column born"] == 399


def test_what_stands_around_cells_is_found():
    found = inspected(SAMPLE.read_bytes())
    assert found.inspectable, says(found)
    assert found.coverage == ((0, found.size),)
    kinds = {(each.kind, each.where) for each in found.findings}
    assert ("cn_mobile", "workbook: text") in kinds  # a comment, and a text in a formula
    assert ("email", "workbook: text") in kinds  # a link
    assert ("cn_resident_id", "sheet 1: column id_number") in kinds


@pytest.mark.parametrize("content", [written, SAMPLE.read_bytes], ids=["xlwt", "libreoffice"])
def test_cells_are_those_that_calamine_reads(content, monkeypatch):
    from gateway.inspect.parsers import sheets

    rows: list[str] = []
    row = sheets.Grid.row
    monkeypatch.setattr(sheets.Grid, "row", lambda self, cells: (rows.extend(filter(None, cells)), row(self, cells)))
    assert inspected(content()).inspectable
    book = python_calamine.load_workbook(io.BytesIO(content()))
    theirs = [
        shown(cell) for name in book.sheet_names for line in book.get_sheet_by_name(name).to_python() for cell in line
    ]
    assert sorted(rows) == sorted(filter(None, theirs))


def shown(cell: object) -> str:
    if isinstance(cell, bool):
        return str(int(cell))
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else repr(cell)
    return str(cell)


def test_a_workbook_in_an_archive_is_read_too():
    import zipfile

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("people.xls", written())
    found = inspect_file(MemoryStore(out.getvalue()), "x.zip", TABLES)
    assert found.inspectable, says(found)
    assert found.persons.nonsensitive == 2


# --- the container ------------------------------------------------------------------------------------------------------


def test_a_container_made_here_is_read():
    found = inspected(compound(("Workbook", workbook())))
    assert found.inspectable, says(found)


@pytest.mark.parametrize(
    ("streams", "kind", "told"),
    [
        ((("Notes", b"words"),), "uninspectable", "a stream that is not known"),
        ((("Book", b""),), "uninspectable", "a stream that is not known"),
        ((("VBA", None),), "executable_content", "macros"),
        ((("_VBA_PROJECT_CUR", None),), "uninspectable", "macros"),
        ((("Workbook", b""),), "media_mismatch", "several workbooks"),
        ((("\x05SummaryInformation", b"\xfe\xff" + bytes(22) + b"\x01\0\0\0" + bytes(5000)),), "", ""),
        ((("EncryptedPackage", b""),), "encrypted_content", "password"),
    ],
)
def test_other_streams_hold_it(streams, kind, told):
    found = inspected(compound(("Workbook", workbook()), *streams))
    assert found.inspectable == (not kind), says(found)
    assert not kind or [each for each in found.findings if each.kind == kind and told in each.where], says(found)


def test_letters_of_properties_are_text():
    content = properties(b"\x1e\0\0\0" + struct.pack("<I", 40) + b"13800138000 of a colleague".ljust(40, b"\0"))
    found = inspected(compound(("Workbook", workbook()), ("\x05SummaryInformation", content)))
    assert found.inspectable, says(found)
    assert ("cn_mobile", "properties: text") in {(each.kind, each.where) for each in found.findings}


def test_a_thumbnail_holds_it():
    content = properties(b"\x47\0\0\0" + bytes(60))
    assert not inspected(compound(("Workbook", workbook()), ("\x05SummaryInformation", content))).inspectable


def test_documents_that_are_no_workbooks_say_what_to_do():
    found = inspected(compound(("WordDocument", b"words" * 1000)))
    assert not found.inspectable
    assert "save it as docx" in says(found)


def test_what_belongs_to_no_stream_is_a_gap():
    whole = compound(("Workbook", workbook()), spare=2)
    assert inspected(whole).inspectable
    hidden = bytearray(whole)
    hidden[-100:-88] = b"hidden words"
    found = inspected(bytes(hidden))
    assert [each.count for each in found.findings if each.kind == "gap"] == [512], says(found)
    assert not inspected(whole + b"hidden words").inspectable
    assert not inspected(whole + bytes(511) + b"x").inspectable


def test_slack_behind_a_stream_is_a_gap():
    padded = bytearray(compound(("Workbook", workbook(size=5000))))
    assert inspected(bytes(padded)).inspectable
    padded[-20:-8] = b"hidden words"
    assert "gap" in {each.kind for each in inspected(bytes(padded)).findings}


@pytest.mark.parametrize("at", [0, 1, 2])
def test_remnants_in_the_directory_hold_it(at):
    content = bytearray(compound(("Workbook", workbook())))
    where = content.index("Root Entry".encode("utf-16-le")) + 128 * (2 + at % 2)
    content[where + 10 * at : where + 10 * at + 4] = b"a\0b\0"
    found = inspected(bytes(content))
    assert "remnants" in says(found)


def test_chains_that_cross_or_turn_back_are_refused():
    content = compound(("Workbook", workbook()), ("\x01CompObj", workbook()))
    table = 512
    for target, value in ((5, 4), (6, 3), (7, 5000)):
        crossed = bytearray(content)
        struct.pack_into("<I", crossed, table + 4 * target, value)
        assert not inspected(bytes(crossed)).inspectable


@given(st.integers(min_value=0))
@settings(max_examples=60, deadline=None)
def test_a_workbook_cut_off_is_never_clean(at):
    whole = SAMPLE.read_bytes()
    assert not inspected(whole[: 8 + at % (len(whole) - 8)]).inspectable


@given(st.integers(min_value=0), st.binary(min_size=1, max_size=4))
@settings(max_examples=100, deadline=None)
def test_changed_bytes_end_as_findings(at, patch):
    """A compound file has no checksums: a number may become another. What is clean is covered to its last byte."""
    content = bytearray(SAMPLE.read_bytes())
    at %= len(content) - 4
    content[at : at + len(patch)] = patch
    found = inspected(bytes(content))
    assert not found.inspectable or found.coverage == ((0, found.size),)


# --- records ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extra", "kind", "told"),
    [
        ((0x002F, bytes(6)), "encrypted_content", "password"),
        ((0x0F0F, b"words"), "uninspectable", "not known"),
        ((0x00E9, bytes(12)), "uninspectable", "pixels"),
        ((0x00EB, bytes(8) + struct.pack("<HHI", 0x1F, 0xF001, 44) + bytes(44)), "uninspectable", "pixels"),
        ((0x0203, bytes(15)), "uninspectable", "another size"),
        ((0x0896, bytes(16) + b"\x89PNG\r\n\x1a\n"), "uninspectable", "theme"),
        ((0x00FD, struct.pack("<HHHI", 0, 0, 0, 7)), "uninspectable", "a string that does not exist"),
    ],
)
def test_records_that_hold_a_workbook(extra, kind, told):
    found = inspected(compound(("Workbook", workbook(record(*extra)))))
    assert not found.inspectable
    assert [each for each in found.findings if each.kind == kind and told in each.where], says(found)


def test_letters_in_records_that_are_not_read_by_field_are_found():
    """In one byte each and in two, at either offset, behind a length and the mark of two bytes."""
    wide = "13800138000".encode("utf-16-le")
    for text in (
        b"13800138000",
        wide,
        b"\0" + wide,
        b"\x0b\0\x01" + wide,
        b"\0\x0b\0\x01" + wide,
        "电话13800138000".encode("gb18030"),
    ):
        found = inspected(compound(("Workbook", workbook(record(0x01BE, b"\x01\x02\x03" + text)))))
        assert found.inspectable, says(found)
        assert ("cn_mobile", "workbook: text") in {(each.kind, each.where) for each in found.findings}


def test_cells_out_of_order_or_on_one_another_are_refused():
    label = [record(0x0204, struct.pack("<HHHHB", row, 0, 0, 1, 0) + b"a") for row in (0, 0, 1, 0)]
    assert "two cells" in says(inspected(compound(("Workbook", workbook(*label[:2])))))
    assert "out of order" in says(inspected(compound(("Workbook", workbook(*label[1:])))))


def test_strings_go_on_in_another_form_in_the_next_record():
    parts = Parts([struct.pack("<HB", 4, 0) + b"ab", b"\x01" + "张三".encode("utf-16-le")])
    assert parts.string() == ["ab张三"]
    assert not parts.left


def test_bytes_behind_the_last_record_are_refused():
    assert not inspected(compound(("Workbook", workbook()[:-6] + b"hidden"))).inspectable


def test_older_workbooks_and_broken_ones_are_refused():
    assert "older" in says(
        inspected(compound(("Workbook", record(0x0809, struct.pack("<HH", 0x0500, 5)).ljust(4096, b"\0"))))
    )
    assert "does not end" in says(inspected(compound(("Workbook", begun(5).ljust(4096, b"\0")))))


def record(kind: int, body: bytes) -> bytes:
    return struct.pack("<HH", kind, len(body)) + body


def begun(kind: int) -> bytes:
    return record(0x0809, struct.pack("<HHHHII", 0x0600, kind, 0, 0, 0, 0))


def workbook(*records: bytes, size: int = 4096) -> bytes:
    """Globals with a sheet that has these records; zeros to the size."""
    end = record(0x000A, b"")
    return (begun(5) + end + begun(0x10) + b"".join(records) + end).ljust(size, b"\0")


def properties(value: bytes) -> bytes:
    """A set with one property ([MS-OLEPS] sections 2.21, 2.20)."""
    head = b"\xfe\xff\0\0" + bytes(4) + bytes(16) + struct.pack("<I", 1) + bytes(16) + struct.pack("<I", 48)
    return (head + struct.pack("<IIII", 16 + len(value), 1, 2, 16) + value).ljust(4096, b"\0")


def compound(*streams: tuple[str, bytes | None], spare: int = 0) -> bytes:
    """A container of 512-byte sectors ([MS-CFB] section 2.2): FAT, two sectors of directory, streams of 4096 bytes and more."""
    table, sectors, entries = [FAT, 2, END], [], [entry("Root Entry", 5, END, 0)]
    for name, content in streams:
        if content is None:
            entries.append(entry(name, 1, 0, 0))
            continue
        start, size = len(table), max(len(content), 4096)
        count = -(-size // 512)
        table += [*range(start + 1, start + count), END]
        sectors.append(content.ljust(count * 512, b"\0"))
        entries.append(entry(name, 2, start, size))
    blank = bytes(68) + b"\xff" * 12 + bytes(48)
    directory = b"".join(entries) + blank * (8 - len(entries))
    fat = struct.pack(f"<{len(table)}I", *table).ljust(512, b"\xff")
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 62, 3, 0xFFFE, 9, 6) + bytes(6)
    head += struct.pack("<9I", 0, 1, 1, 0, 4096, END, 0, END, 0) + struct.pack("<I", 0) + b"\xff" * 432
    return head + fat + directory + b"".join(sectors) + bytes(512 * spare)


def entry(name: str, kind: int, start: int, size: int) -> bytes:
    raw = name.encode("utf-16-le")
    head = raw.ljust(64, b"\0") + struct.pack("<HBB", len(raw) + 2, kind, 1) + b"\xff" * 12 + bytes(36)
    return head + struct.pack("<IQ", start, size)
