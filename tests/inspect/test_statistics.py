"""Stata, SPSS and SAS transport files against what pandas and pyreadstat read of them."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pyreadstat
import pytest

from gateway.inspect import days
from tests.inspect.identities import counted, holds, inspected, people, resident_ids

PEOPLE = people(700)


def stata(frame: pd.DataFrame, version: int, **options: object) -> bytes:
    sink = io.BytesIO()
    frame.to_stata(sink, version=version, write_index=False, **options)
    return sink.getvalue()


def spss(frame: pd.DataFrame, folder, **options: object) -> bytes:
    pyreadstat.write_sav(frame, folder / "a.sav", **options)
    return (folder / "a.sav").read_bytes()


def xport(frame: pd.DataFrame, folder, version: int, **options: object) -> bytes:
    pyreadstat.write_xport(frame, folder / "a.xpt", file_format_version=version, **options)
    return (folder / "a.xpt").read_bytes()


@pytest.mark.parametrize("byteorder", ["little", "big"])
@pytest.mark.parametrize("version", [114, 117, 118, 119])
def test_stata_holds_what_pandas_reads(version, byteorder):
    content = stata(PEOPLE, version, byteorder=byteorder)
    found = inspected(content, "a.dta")
    assert holds(found, pd.read_stata(io.BytesIO(content)))
    assert found.coverage == ((0, len(content)),)


@pytest.mark.parametrize("version", [117, 118])
def test_long_strings_of_stata_are_read(version):
    found = inspected(stata(PEOPLE, version, convert_strl=["id_number"]), "a.dta")
    assert found.inspectable
    assert counted(found)["cn_resident_id"] == len(PEOPLE)


def test_labels_of_stata_are_data():
    frame = pd.DataFrame({"n": [1, 2], "c": pd.Categorical(["甲", resident_ids(1)[0]])})
    content = stata(
        frame, 118, data_label="绝密★启用前", variable_labels={"n": "序号"}, value_labels={"n": {1: resident_ids(2)[1]}}
    )
    found = inspected(content, "a.dta")
    assert found.level == "secret"
    assert {f.where for f in found.findings if f.kind == "cn_resident_id"} == {
        "value labels c: column label",
        "value labels n: column label",
    }


def test_letters_behind_the_end_of_a_string_are_read():
    content = stata(pd.DataFrame({"a": ["x" * 30, "y"]}), 114)
    place = content.index(b"y" + bytes(29))
    hidden = content[: place + 2] + resident_ids(1)[0].encode() + content[place + 20 :]
    assert pd.read_stata(io.BytesIO(hidden))["a"][1] == "y"
    assert counted(inspected(hidden, "a.dta"))["cn_resident_id"] == 1


@pytest.mark.parametrize("options", [{}, {"row_compress": True}, {"compress": True}])
def test_spss_holds_what_pyreadstat_reads(tmp_path, options):
    content = spss(PEOPLE, tmp_path, **options)
    found = inspected(content, "a.sav")
    assert holds(found, pyreadstat.read_sav(tmp_path / "a.sav")[0])
    assert found.coverage == ((0, len(content)),)


@pytest.mark.parametrize("options", [{}, {"row_compress": True}, {"compress": True}])
def test_labels_notes_and_very_long_strings_of_spss(tmp_path, options):
    ids = resident_ids(3)
    frame = pd.DataFrame({"长变量名称": ["长" * 700 + ids[0], ""], "n": [1.0, None]})
    content = spss(
        frame,
        tmp_path,
        column_labels={"n": "内部资料"},
        variable_value_labels={"n": {1: ids[1]}},
        note="机密★10年 " + ids[2],
        **options,
    )
    found = inspected(content, "a.sav")
    assert found.inspectable
    assert found.level == "secret"
    assert counted(found)["cn_resident_id"] == 3


@pytest.mark.parametrize("version", [5, 8])
def test_sas_transport_holds_what_is_read(tmp_path, version):
    frame = PEOPLE.rename(columns={"id_number": "idno"}) if version == 5 else PEOPLE
    content = xport(frame, tmp_path, version, column_labels={"visit": "标签" * (6 if version == 5 else 20)})
    found = inspected(content, "a.xpt")
    assert found.inspectable
    back = pyreadstat.read_xport(tmp_path / "a.xpt")[0].rename(columns={"idno": "id_number"})
    assert holds(found, back)
    if version == 5:
        assert holds(found, pd.read_sas(tmp_path / "a.xpt", encoding="utf-8").rename(columns={"idno": "id_number"}))
    assert found.coverage == ((0, len(content)),)


@pytest.mark.parametrize("program", ["spss", "spss packed", "xport", "stata 114", "stata 118"])
def test_days_are_told_as_a_calendar_has_them(tmp_path, program):
    """As numbers, days of SPSS would be telephone numbers, and nobody's birth."""
    when = pd.to_datetime(["2012-03-04", "2020-02-29", None])
    frame = pd.DataFrame(
        {"birth": [None if day is pd.NaT else day.date() for day in when], "seen": when + pd.Timedelta(hours=23)}
    )
    if program.startswith("stata"):
        dated = pd.DataFrame({"birth": when, "seen": frame["seen"]})
        content = stata(dated, int(program[-3:]), convert_dates={"birth": "td", "seen": "tc"})
    else:
        content = (
            xport(frame, tmp_path, 5) if program == "xport" else spss(frame, tmp_path, row_compress="packed" in program)
        )
    found = inspected(content, "a")
    assert found.inspectable
    assert found.births == {20_120_304: 1, 20_200_229: 1}
    assert "cn_mobile" not in counted(found)


def test_days_that_no_calendar_has_stay_numbers():
    numbers = np.array([0.0, -1.5, 19_000.25, 1e9, -1e9, np.nan, np.inf])
    told = days.of_sas(numbers, "YYMMDD10.")
    assert told[:3] == ["1960-01-01", "1959-12-30", "2012-01-08"]
    assert told[3:5] == [1e9, -1e9]
    assert days.of_sas(np.array([86_399.5]), "DATETIME") == ["1960-01-01T23:59:59"]
    assert days.of_sas(np.array([19_000.0]), "BEST12.") == [19_000.0]
    assert days.of_stata(np.array([1.0]), "%-td") == ["1960-01-02"]
    assert days.of_stata(np.array([1.0]), "%dfmt") == days.of_stata(np.array([1.0]), "%td")
    assert days.of_stata(np.array([19_000.0]), "%9.0g") == [19_000.0]
    assert days.of_spss(1e20, 20) == 1e20
    assert str(days.of_spss(0.0, 20 + 82)) == "1582-10-14"


def test_numbers_of_mainframes(tmp_path):
    numbers = [0.0, 1.0, -1.0, 13_812_345_678.0, 0.1, 1e60, None]
    content = xport(pd.DataFrame({"a": numbers, "b": list("xyzuvwq")}), tmp_path, 5)
    from gateway.inspect.parsers.xport import _gone, _ibm  # the arithmetic alone

    start = content.index(b"OBS     HEADER") + 60
    raw = np.frombuffer(content[start : start + 9 * 7], np.uint8).reshape(7, 9)[:, :8].copy()
    assert _ibm(raw)[:6].tolist() == pytest.approx(numbers[:6], rel=1e-15)
    assert _gone(raw).tolist() == [False] * 6 + [True]


@pytest.mark.parametrize("cut", [1, 79, 81])
def test_a_transport_file_that_breaks_off(tmp_path, cut):
    content = xport(PEOPLE.rename(columns={"id_number": "idno"}), tmp_path, 5)
    assert not inspected(content[:-cut], "a.xpt").inspectable
    assert not inspected(content + b"x" * cut, "a.xpt").inspectable


def test_what_is_not_read_is_held():
    for head in (
        b"ASCII SPSS PORT FILE" + b" " * 500,  # and no more
        b"$FL2" + bytes(24) + b"ENCRYPTEDSAV" + bytes(100),
        b"\x69\x02\x01\x00" + bytes(200),
    ):
        assert not inspected(head, "a").inspectable
    sas = bytes(12) + bytes.fromhex("c2ea8160b31411cfbd92080009c7318c181f1011") + bytes(1000)
    found = inspected(sas, "a.sas7bdat")
    assert found.format == "sas7bdat"
    assert not found.inspectable
