"""NumPy arrays and dBASE tables."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest

from tests.inspect.identities import counted, inspected, resident_ids

IDS = resident_ids(300)


def npy(array: np.ndarray) -> bytes:
    sink = io.BytesIO()
    np.save(sink, array)
    return sink.getvalue()


@pytest.mark.parametrize("kind", ["U18", "S18", [("id_number", "U18")]])
def test_texts_of_numpy_are_read(kind):
    array = np.array([(each,) for each in IDS] if isinstance(kind, list) else IDS, kind)
    content = npy(array)
    found = inspected(content, "a.npy")
    assert found.inspectable
    assert found.persons.nonsensitive == 300
    assert found.coverage == ((0, len(content)),)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["i8", ">i8", "f8"])
def test_numbers_of_numpy_are_read(kind, order):
    array = np.asarray(np.arange(13_800_000_000, 13_800_000_060).reshape(6, 10), dtype=kind, order=order)
    found = inspected(npy(array), "a.npy")
    assert found.inspectable
    assert counted(found)["cn_mobile"] == 60


def test_pixels_are_counted_and_objects_are_refused():
    assert inspected(npy(np.ones((64, 64), np.uint8)), "a.npy").inspectable
    sink = io.BytesIO()
    np.save(sink, np.array([{}, 1], object), allow_pickle=True)
    assert not inspected(sink.getvalue(), "a.npy").inspectable


@pytest.mark.parametrize("cut", [1, 100, -1])
def test_arrays_that_break_off_or_go_on(cut):
    content = npy(np.array(IDS))
    assert not inspected(content[:-cut] if cut > 0 else content + b"x", "a.npy").inspectable


def dbf(
    rows: list[tuple],
    fields: tuple = (("ID", "C", 18), ("NAME", "C", 12), ("N", "N", 8)),
    deleted: tuple = (),
    language: int = 0x4D,
) -> bytes:
    width = 1 + sum(size for _, _, size in fields)
    head = struct.pack("<BBBBIHH17xB2x", 3, 126, 11, 24, len(rows), 33 + 32 * len(fields), width, language)
    for name, kind, size in fields:
        head += name.encode().ljust(11, b"\0") + kind.encode() + bytes(4) + bytes([size]) + bytes(15)
    records = (
        (b"*" if n in deleted else b" ")
        + b"".join(str(c).encode("gb18030").ljust(size) for c, (_, _, size) in zip(row, fields, strict=True))
        for n, row in enumerate(rows)
    )
    return head + b"\r" + b"".join(records) + b"\x1a"


def test_tables_of_dbase_are_read_deleted_records_too():
    content = dbf([(each, "机密★10年", n) for n, each in enumerate(IDS)], deleted=(1, 2, 3))
    found = inspected(content, "a.dbf")
    assert found.format == "dbf"
    assert found.inspectable
    assert found.persons.nonsensitive == 300
    assert found.level == "secret"
    assert found.coverage == ((0, len(content)),)


def test_tables_of_dbase_that_break_off_or_go_on():
    content = dbf([(each, "x", 1) for each in IDS])
    assert not inspected(content[:-5], "a.dbf").inspectable
    assert counted(inspected(content + b"hidden", "a.dbf"))["gap"] == 6
    assert not inspected(content[:-1] + content[-39:], "a.dbf").inspectable
    assert not inspected(
        dbf([("x", "y", 1)], fields=(("ID", "Z", 18), ("NAME", "C", 12), ("N", "N", 8))), "a.dbf"
    ).inspectable
