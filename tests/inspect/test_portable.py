"""SPSS portable files against what ReadStat reads of them."""

from __future__ import annotations

import pandas as pd
import pyreadstat
import pytest

from gateway.core.formats import sniff
from gateway.inspect.parsers.portable import _value  # the arithmetic alone
from tests.inspect.identities import counted, holds, inspected, people, resident_ids

PEOPLE = people(700).rename(columns={"id_number": "idno"})


def portable(frame: pd.DataFrame, folder, **options: object) -> bytes:
    pyreadstat.write_por(frame, folder / "a.por", **options)
    return (folder / "a.por").read_bytes()


def thirty(number: int) -> bytes:
    """In base 30, with its end."""
    digits = b""
    while number or not digits:
        number, low = divmod(number, 30)
        digits = b"0123456789ABCDEFGHIJKLMNOPQRST"[low : low + 1] + digits
    return digits + b"/"


def said(text: str) -> bytes:
    raw = text.encode()
    return thirty(len(raw)) + raw


def written(*records: bytes, end: bytes = b"\r\n") -> bytes:
    """A file by hand, in lines."""
    letters = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz .<(+|&[]!$*);^-/|,%_>?`:"
    table = (b"0" * 64 + letters).ljust(256, b"0")
    text = (
        b"ASCII SPSS PORT FILE".ljust(40) * 5
        + table
        + b"SPSSPORT"
        + b"A"
        + said("20261125")
        + said("120000")
        + b"".join(records)
    )
    text += b"Z" * (80 - len(text) % 80)
    return b"".join(text[at : at + 80] + end for at in range(0, len(text), 80))


COUNT = b"4" + thirty(2)
NAMED = b"7" + thirty(18) + said("ID") + b"1/I/0/1/I/0/" + b"7" + thirty(0) + said("N") + b"5/8/2/5/8/2/"


def test_a_portable_file_holds_what_is_read(tmp_path):
    content = portable(PEOPLE, tmp_path, column_labels={"visit": "a label"}, file_label="words")
    found = inspected(content, "a.por")
    assert found.format == "spss_portable"
    assert found.coverage == ((0, len(content)),)
    back = pyreadstat.read_por(tmp_path / "a.por")[0].rename(columns=str.lower)
    assert holds(found, back.rename(columns={"idno": "id_number"}))


def test_numbers_in_base_thirty(tmp_path):
    numbers = [0.0, 1.0, -1.0, 0.1, 13_800_000_001.0, 1e-20, -123456.789, 1e15, 2.5e40]
    text = portable(pd.DataFrame({"a": numbers}), tmp_path).replace(b"\r\n", b"")
    start = text.index(b"8/2/5/8/2/F") + 11
    read = [_value(each) for each in text[start:].split(b"/")[: len(numbers)]]
    assert read == pytest.approx(pyreadstat.read_por(tmp_path / "a.por")[0]["A"].tolist(), rel=1e-12)
    assert read == pytest.approx(numbers, rel=1e-6)


def test_labels_documents_and_values_of_labels_are_data():
    ids = resident_ids(4)
    content = written(
        b"1" + said("SPSS"),
        COUNT,
        NAMED,
        b"8" + thirty(9),
        b"C" + said(f"机密★10年 {ids[0]}"),
        b"D" + thirty(1) + said("N") + thirty(2) + thirty(1) + said(ids[1]) + thirty(2) + said("two"),
        b"E" + thirty(1) + said(ids[2]),
        b"F" + said(ids[3]) + b"1.F/" + said("x") + b"*.",
    )
    found = inspected(content, "a.por")
    assert found.inspectable
    assert found.level == "secret"
    assert counted(found)["cn_resident_id"] == 4


def test_days_are_told_as_a_calendar_has_them(tmp_path):
    day = (pd.Timestamp("2012-03-04") - pd.Timestamp("1582-10-14").as_unit("s")).total_seconds()
    for shifted in (0, 82):
        born = b"7" + thirty(0) + said("BIRTHDAY") + (thirty(38 + shifted) + b"A/0/") * 2
        content = written(b"4" + thirty(1), born, b"F" + thirty(int(day)) * 3)
        (tmp_path / "a.por").write_bytes(content)
        assert inspected(content, "a.por").births == {20_120_304: 3}
    assert str(pyreadstat.read_por(tmp_path / "a.por")[0]["BIRTHDAY"][0]) == "2012-03-04"


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b""])
def test_files_of_other_machines(end):
    rows = b"F" + said(resident_ids(1)[0]) + thirty(13_812_345_678)
    told = counted(inspected(written(COUNT, NAMED, rows, end=end), "a.por"))
    assert (told["cn_resident_id"], told["cn_mobile"]) == (1, 1)
    assert not inspected(written(COUNT, NAMED, rows, end=end).decode("latin-1").encode("cp500"), "a.por").inspectable


def test_lines_that_lost_their_blanks():
    content = written(
        COUNT, NAMED, b"E" + thirty(1) + said("words" + " " * 150 + "more"), b"F" + said(resident_ids(1)[0]) + b"1/"
    )
    short = b"\r\n".join(line.rstrip(b" ") for line in content.split(b"\r\n"))
    assert len(short) < len(content)
    assert counted(inspected(short, "a.por"))["cn_resident_id"] == 1


def test_a_character_set_of_its_own():
    content = bytearray(written(COUNT, NAMED, b"F" + said(resident_ids(1)[0]) + b"1/", end=b""))
    content[456:] = content[456:].replace(b"1", b"@")
    assert counted(inspected(bytes(content), "a.por")).get("cn_resident_id", 0) == 0
    content[200 + 65] = ord("@")  # the digit one
    assert counted(inspected(bytes(content), "a.por"))["cn_resident_id"] == 1


@pytest.mark.parametrize("more", [b"x", b"Z" * 79 + b"y", b"A5/"])
def test_nothing_follows_the_data(more):
    rows = b"F" + said(resident_ids(1)[0]) + b"1/"
    assert inspected(written(COUNT, NAMED, rows), "a.por").inspectable
    assert not inspected(written(COUNT, NAMED, rows) + more, "a.por").inspectable


def test_the_tag_tells_a_file_without_its_splash():
    content = written(COUNT, NAMED, b"F" + said("x") + b"1/")
    assert sniff(b"0" * 40 + content[40:], "a").name == "spss_portable"
    assert sniff(b"0" * 80 + content[80:], "a").name == "spss_portable"
