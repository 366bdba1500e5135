"""SAS data sets against what pandas and ReadStat read of them; what SAS leaves between structures."""

from __future__ import annotations

import struct
from contextlib import suppress

import numpy as np
import pandas as pd
import pyreadstat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inspect.limits import Unreadable
from gateway.inspect.parsers.sas7rows import unpacked
from tests.inspect.identities import counted, holds, inspected, people, resident_ids
from tests.inspect.sas7bdat import Column, DataSet, cross, run_lengths

PEOPLE = people(700)
COLUMNS = (
    Column("id_number", 18, numeric=False, label="号码"),
    Column("mobile"),
    Column("visit", 5, label="序号"),
)
ROWS = [tuple(row) for row in PEOPLE.itertuples(index=False)]
METHODS = (b"", b"SASYZCRL", b"SASYZCR2")


def data(**options) -> DataSet:
    return DataSet(**{"columns": COLUMNS, "rows": ROWS, **options})


def held(content: bytes) -> list[str]:
    """Why a file is held; fails where it is not."""
    found = inspected(content, "a.sas7bdat")
    assert not found.inspectable
    return [f.where for f in found.findings if f.kind in {"uninspectable", "encrypted_content", "gap"}]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("wide", [True, False])
def test_a_data_set_holds_what_is_read(tmp_path, wide, order, method):
    content = data(wide=wide, order=order, method=method).bytes()
    (tmp_path / "a.sas7bdat").write_bytes(content)
    found = inspected(content, "a.sas7bdat")
    assert found.coverage == ((0, len(content)),)
    assert holds(found, pd.read_sas(tmp_path / "a.sas7bdat", encoding="utf-8"))
    assert holds(found, pyreadstat.read_sas7bdat(tmp_path / "a.sas7bdat")[0])


@pytest.mark.parametrize("width", [3, 4, 5, 6, 7, 8])
def test_numbers_that_are_cut_off(tmp_path, width):
    numbers = [1.0, -2.0, 0.0, None, 20_240_101.0, 13_800_000_001.0, 0.1]
    content = DataSet([Column("n", width)], [[number] for number in numbers]).bytes()
    (tmp_path / "a.sas7bdat").write_bytes(content)
    read = pd.read_sas(tmp_path / "a.sas7bdat")["n"]
    assert read.isna().tolist() == [number is None for number in numbers]
    found = inspected(content, "a.sas7bdat")
    assert found.inspectable
    assert counted(found)["cn_mobile"] == (read > 1.3e10).sum()


def test_days_are_told_as_a_calendar_has_them(tmp_path):
    columns = [
        Column("birth_date", 8, format="YYMMDD"),
        Column("seen", 8, format="DATETIME"),
        Column("n", 8, format="BEST"),
    ]
    content = DataSet(columns, [[19_000.0, 1.9e9, 19_000.0]] * 3).bytes()
    (tmp_path / "a.sas7bdat").write_bytes(content)
    read = pd.read_sas(tmp_path / "a.sas7bdat")
    day = read["birth_date"][0]
    assert (day.year, day.month, day.day) == (2012, 1, 8)
    assert inspected(content, "a.sas7bdat").births == {20_120_108: 3}


def test_letters_are_read_in_the_encoding_of_the_file(tmp_path):
    columns = [Column("note", 40, numeric=False)]
    for number, codec in ((125, "gb18030"), (20, "utf-8"), (123, "big5")):
        text = "機密文件" if codec == "big5" else "绝密★启用前"
        content = DataSet(columns, [[text], ["-"]], encoding=(number, codec)).bytes()
        (tmp_path / "a.sas7bdat").write_bytes(content)
        assert pyreadstat.read_sas7bdat(tmp_path / "a.sas7bdat")[0]["note"][0] == text
        found = inspected(content, "a.sas7bdat")
        assert found.inspectable
        assert (found.level == "secret") is (codec != "big5")


def test_names_and_labels_are_data():
    ids = resident_ids(2)
    content = data(columns=(*COLUMNS[:2], Column(f"v{ids[0]}", 8, label=f"机密★10年 {ids[1]}"))).bytes()
    found = inspected(content, "a.sas7bdat")
    assert found.level == "secret"
    named = content.replace(b"PEOPLE".ljust(20), resident_ids(1)[0].encode() + b"  ")
    assert any(
        f.where.startswith("header") for f in inspected(named, "a.sas7bdat").findings if f.kind == "cn_resident_id"
    )


def test_deleted_rows_hold_the_file_and_are_read_all_the_same(tmp_path):
    content = data(rows=ROWS[:20], deleted=(1, 3)).bytes()
    (tmp_path / "a.sas7bdat").write_bytes(content)
    assert len(pyreadstat.read_sas7bdat(tmp_path / "a.sas7bdat")[0]) == 18
    assert any("deleted rows" in why for why in held(content))
    assert counted(inspected(content, "a.sas7bdat"))["cn_resident_id"] == 20


def test_what_stands_in_free_room():
    rest = resident_ids(702)[701].encode()
    assert inspected(data().bytes(), "a.sas7bdat").inspectable
    memory = bytes(range(1, 26)) * 3  # that nobody cleaned
    held(data(slack=memory).bytes())
    assert counted(inspected(data(slack=memory + b"\n" + rest + b"\n").bytes(), "a.sas7bdat"))["cn_resident_id"] == 701
    words = inspected(data(slack=rest).bytes(), "a.sas7bdat")  # letters alone are read like any others
    assert words.inspectable
    assert counted(words)["cn_resident_id"] == 701


def test_next_to_nothing_in_free_room_is_searched():
    head = bytes.fromhex("7e000020000100207e000020020100ffffffffffffffffffffffffffffffffe07e810800000000e07e8108")
    found = inspected(data(rows=ROWS[:20], slack=head).bytes(), "a.sas7bdat")
    assert found.inspectable
    told = counted(
        inspected(data(rows=ROWS[:20], slack=b"\1\2\3" + struct.pack("<d", 13_912_345_678.0)).bytes(), "a.sas7bdat")
    )
    assert told["cn_mobile"] == sum(row[1] == row[1] for row in ROWS[:20]) + 1
    held(data(rows=ROWS[:20], slack=head * 4).bytes())


def test_the_last_page_repeats_the_page_before_it():
    """SAS fills one page after another in the same memory."""
    whole = data(rows=ROWS[:690])
    content = bytearray(whole.bytes())
    last, before = len(content) - whole.page, len(content) - 2 * whole.page
    count = int.from_bytes(content[last + 34 : last + 36], "little")
    used = 40 + count * whole.length
    assert count < int.from_bytes(content[before + 34 : before + 36], "little")
    content[last + used :] = content[before + used : last]
    found = inspected(bytes(content), "a.sas7bdat")
    assert found.inspectable
    assert found.coverage == ((0, len(content)),)
    assert found.persons.nonsensitive == 690
    content[last + used + 40 : last + used + 200] = bytes(content[last + used + 40 : last + used + 200]).translate(
        bytes(byte ^ 1 for byte in range(256))
    )
    held(bytes(content))


def test_noise_is_no_data():
    """Encrypted rows are marked nowhere that anybody has described."""
    noise = np.random.default_rng(7)
    content = bytearray(data(rows=ROWS[:40]).bytes())
    start = content.index(ROWS[0][0].encode())
    content[start : start + 40 * 31] = noise.bytes(40 * 31)
    found = inspected(bytes(content), "a.sas7bdat")
    assert {f.kind for f in found.findings} >= {"encrypted_content"}
    one = bytearray(data(rows=ROWS[:40]).bytes())
    for row in range(20):
        one[start + 31 * row + 18 : start + 31 * row + 26] = b"\x13\x07" + noise.bytes(5) + b"\x7a"
    assert any("a column" in why for why in held(bytes(one)))


def test_what_nobody_has_described_is_held():
    content = bytearray(data(rows=ROWS[:20]).bytes())
    for at, value in ((40, bytes(range(1, 40))), (400, b"\1"), (70, b"\xc8"), (8192 + 33, b"\7")):
        other = bytearray(content)
        other[at : at + len(value)] = value
        held(bytes(other))


@given(
    st.binary(min_size=1, max_size=400)
    | st.lists(st.sampled_from([b"\0", b" ", b"@", b"ab"]), max_size=400).map(b"".join)
)
def test_rows_come_back_from_compression(row):
    assert unpacked(run_lengths(row), len(row), b"SASYZCRL") == row
    assert unpacked(cross(row), len(row), b"SASYZCR2") == row


@given(st.binary(max_size=60), st.sampled_from(METHODS[1:]))
def test_damaged_rows_are_refused(raw, method):
    with suppress(Unreadable):
        assert len(unpacked(raw, 64, method)) == 64
