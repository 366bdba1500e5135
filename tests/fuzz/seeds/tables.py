"""Tables, statistics, databases, arrays."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import rdata
from pyarrow import feather
from scipy.sparse import csc_array

from tests.inspect.identities import people, resident_ids
from tests.inspect.sas7bdat import Column, DataSet
from tests.inspect.test_arrays import dbf, npy
from tests.inspect.test_avro import ROWS, avro, long
from tests.inspect.test_avro import written as avro_written
from tests.inspect.test_columnar import arrow, feather1, nested, parquet
from tests.inspect.test_matlab import mat
from tests.inspect.test_orc import nested as orc_nested
from tests.inspect.test_orc import orc
from tests.inspect.test_portable import COUNT, NAMED, portable, said, thirty, written
from tests.inspect.test_rdata import END, HEAD, attribute, chars, integers, number, plain, texts
from tests.inspect.test_sqlite import database
from tests.inspect.test_statistics import spss, stata, xport

FEW: Final = people(6)
_CELLS: Final = [(each, 13_812_345_678, n) for n, each in enumerate(resident_ids(6))]


def _plain() -> pa.Table:
    return pa.Table.from_pandas(FEW, preserve_index=False).replace_schema_metadata(None)


def _parquet() -> Iterator[bytes]:
    yield parquet(_plain())
    yield parquet(_plain(), compression="zstd", row_group_size=3, data_page_version="2.0")
    yield parquet(_plain(), compression="none", use_dictionary=False, write_page_index=True, data_page_size=64)
    yield parquet(_plain(), compression="gzip", write_statistics=False)
    yield parquet(_plain().slice(0, 2), bloom_filter_options={"id_number": {"ndv": 2}})
    yield parquet(nested().slice(0, 4).select(["visit", "relatives"]))
    yield parquet(pa.table({"file": [b"a,b\n1,2\n"], "when": pa.array([1], pa.timestamp("us"))}))


def _arrow() -> Iterator[bytes]:
    for stream in (True, False):
        yield arrow(_plain(), stream=stream)
        yield arrow(_plain(), stream=stream, chunk=3, packed="zstd")
        yield arrow(nested().slice(0, 3).combine_chunks(), stream=stream, packed="lz4")
    coded = pa.table({"c": pa.array(["a", "b", "a"]).dictionary_encode(), "file": [b"a,b\n1,2\n"] * 3})
    yield arrow(coded)
    sink = io.BytesIO()
    feather.write_feather(FEW, sink)
    yield sink.getvalue()


def _feather() -> Iterator[bytes]:
    yield feather1(_plain())
    kinds = {
        "day": pa.array([1, None], pa.date32()), "at": pa.array([1, 2], pa.timestamp("us")), "yes": [True, None],
        "raw": [b"a,b\n1,2\n", None], "coded": pa.array(["p", "q"]).dictionary_encode(), "n": pa.array([1, 2], pa.int8()),
        "long": pa.array(["a", "b"], pa.large_string()),
    }  # fmt: skip
    yield feather1(pa.table(kinds))


def _orc() -> Iterator[bytes]:
    for codec in ("uncompressed", "zlib", "snappy", "zstd", "lz4"):
        yield orc(_plain(), compression=codec)
    for version in ("0.11", "0.12"):
        for coded in (0.0, 1.0):
            yield orc(
                orc_nested(), compression="uncompressed", file_version=version, dictionary_key_size_threshold=coded
            )
    numbers = pa.table({"a": [3, 4, 5, 2**40, 7, 8, 3, 4, 5, 6] * 3, "b": list(range(0, 300, 10))})
    yield orc(numbers, compression="uncompressed", row_index_stride=500, bloom_filter_columns=[0])


def _avro() -> Iterator[bytes]:
    for codec in ("null", "deflate", "bzip2", "xz", "snappy", "zstandard"):
        yield avro(ROWS[:6], codec=codec)
    node = {
        "type": "record",
        "name": "N",
        "fields": [{"name": "s", "type": "string"}, {"name": "n", "type": ["null", "N"]}],
    }
    yield avro([{"s": "a", "n": {"s": "b", "n": None}}], node)
    kinds = ["boolean", "float", "bytes", {"type": "int", "logicalType": "date"}, {"type": "map", "values": "long"}]
    fields = [{"name": f"f{place}", "type": ["null", kind]} for place, kind in enumerate(kinds)]
    objects = (
        long(1) + b"\1" + long(1) + bytes(4) + long(1) + long(1) + b"x" + long(1) + long(9),
        long(1) + long(1) + long(1) + b"k" + b"\2\0",
    )
    yield avro_written({"type": "record", "name": "R", "fields": fields}, b"".join(objects), meta={"note": b"words"})
    items = {"type": "array", "items": {"type": "enum", "name": "E", "symbols": ["a", "b"]}}
    yield avro_written(items, long(-2) + long(2) + b"\0\2\0")


def _sqlite() -> Iterator[bytes]:
    table = ("CREATE TABLE p(id_number TEXT, mobile REAL, visit INTEGER)", ("INSERT INTO p VALUES(?,?,?)", _CELLS))
    for pragma in ("encoding='UTF-8'", "encoding='UTF-16le'", "encoding='UTF-16be'", "auto_vacuum=1"):
        yield database(*table, pragmas=("page_size=512", pragma))
    small = ("page_size=512",)
    yield database(*table, "CREATE INDEX i ON p(visit, id_number DESC)", pragmas=small)
    yield database(*table, "DELETE FROM p WHERE visit > 2", pragmas=small)
    yield database("CREATE TABLE k(n, w TEXT PRIMARY KEY) WITHOUT ROWID", "INSERT INTO k VALUES(1, 'x')", pragmas=small)
    long = [("words " * 300, b"a,b\n1,2\n")]
    yield database("CREATE TABLE n(t TEXT, f BLOB)", ("INSERT INTO n VALUES(?,?)", long), pragmas=small)
    yield database("CREATE TABLE t(a)", ("INSERT INTO t VALUES(?)", [("word" * 9,)] * 60), pragmas=small)


def _stata() -> Iterator[bytes]:
    for version, order in ((114, "little"), (114, "big"), (117, "little"), (118, "big"), (119, "little")):
        yield stata(FEW, version, byteorder=order)
    yield stata(FEW, 118, convert_strl=["id_number"])
    yield stata(pd.DataFrame({"n": [1, 2], "c": pd.Categorical(["甲", "b"])}), 118, variable_labels={"n": "序号"})
    yield stata(pd.DataFrame({"n": [1, 2], "c": pd.Categorical(["a", "b"])}), 114, data_label="words")


def _spss() -> Iterator[bytes]:
    wide = pd.DataFrame({"长变量名称": ["长" * 120, ""], "n": [1.0, None]})
    said: dict[str, object] = {"variable_value_labels": {"n": {1: "one"}}, "note": "words"}
    with tempfile.TemporaryDirectory() as folder:
        for options in ({}, {"row_compress": True}, {"compress": True}):
            yield spss(FEW, Path(folder), **options)
            yield spss(wide, Path(folder), **options, **said)


def _xport() -> Iterator[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        yield xport(FEW.rename(columns={"id_number": "idno"}), Path(folder), 5)
        yield xport(FEW, Path(folder), 8, column_labels={"visit": "标签" * 20})


def _portable() -> Iterator[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        yield portable(FEW.rename(columns={"id_number": "idno"}), Path(folder), column_labels={"visit": "words"})
    labels = b"D" + thirty(1) + said("N") + thirty(1) + thirty(2) + said("two") + b"E" + thirty(1) + said("words")
    rest = b"8" + thirty(9) + b"B1/2/C" + said("label") + labels + b"6" + said("N")
    yield written(COUNT, NAMED, rest, b"F" + said("x") + b"-1.F+3/" + said("y") + b"*.", end=b"\n")


def _sas7bdat() -> Iterator[bytes]:
    columns = [
        Column("id_number", 18, numeric=False),
        Column("mobile", 8, format="BEST"),
        Column("day", 5, format="DATE", label="d"),
    ]
    rows = [(each, 13_812_345_678.0, 19_000.0 + n) for each, _, n in _CELLS]
    for wide, order, page in ((False, "<", 2048), (False, ">", 2048), (True, "<", 4096), (True, ">", 4096)):
        for method in (b"", b"SASYZCRL", b"SASYZCR2"):
            yield DataSet(columns, rows * 5, wide, order, method=method, page=page).bytes()
    yield DataSet(columns, rows, wide=False, page=2048, deleted=(1,), encoding=(125, "gb18030")).bytes()
    yield DataSet(columns, rows * 8, wide=False, page=2048, slack=b"some words").bytes()


def _dbf() -> Iterator[bytes]:
    yield dbf(_CELLS, deleted=(1,))
    foxpro = bytearray(dbf(_CELLS, language=0))
    end = foxpro.index(b"\r") + 1
    foxpro[0], foxpro[8:10] = (
        0x30,
        (end + 263).to_bytes(2, "little"),
    )  # Visual FoxPro keeps the name of its database there
    yield bytes(foxpro[:end] + bytes(263) + foxpro[end:])


def _npy() -> Iterator[bytes]:
    yield npy(np.array(resident_ids(4), "U18"))
    yield npy(np.array([(each, 1.5) for each in resident_ids(4)], [("id_number", "S18"), ("n", "f8")]))
    yield npy(np.asfortranarray(np.arange(13_800_000_000, 13_800_000_012).reshape(3, 4), dtype=">i8"))
    yield npy(np.ones((8, 8), np.uint8))
    yield npy(np.array(1 + 2j))


def _matlab() -> Iterator[bytes]:
    for packed in (False, True):
        yield mat(packed=packed, n=np.arange(13_800_000_000, 13_800_000_006, dtype=float).reshape(2, 3), t=["a", "bc"])
        yield mat(packed=packed, s={"id": list(resident_ids(2)), "n": 3.5}, c=np.array(["x", 1.5], object))
        yield mat(packed=packed, s=csc_array(np.diag([1.0, 2.0])), w=np.array([1 + 2j]), b=np.ones((2, 3), np.uint8))


def _rdata() -> Iterator[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        rdata.write_rds(path, plain(FEW), compression=None)
        yield path.read_bytes()
        rdata.write_rda(path, {"a": [1.5, 2.5], "note": "words", "m": np.ones((2, 3))}, compression=None)
        yield path.read_bytes()
    factor = integers(1, 2, flags=0x30D) + attribute("levels", texts("a", "b")) + attribute("class", texts("factor"))
    yield HEAD + factor + END
    info = number(2) + number(1) + chars("wrap_string") + number(2) + number(1) + chars("base") + END
    yield HEAD + number(238) + info + number(2) + texts("a", "b") + number(2) + integers(0, 0) + END + END


SEEDS: Final[Mapping[str, Callable[[], Iterator[bytes]]]] = {
    "parquet": _parquet,
    "arrow": _arrow,
    "feather": _feather,
    "avro": _avro,
    "orc": _orc,
    "sqlite": _sqlite,
    "stata": _stata,
    "spss": _spss,
    "xport": _xport,
    "portable": _portable,
    "sas7bdat": _sas7bdat,
    "dbf": _dbf,
    "npy": _npy,
    "matlab": _matlab,
    "rdata": _rdata,
}
