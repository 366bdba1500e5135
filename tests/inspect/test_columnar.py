"""Parquet, Arrow and Feather as pandas and pyarrow write them; what a reader does not show is a gap or text."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from gateway.inspect.objects import inspect_file
from gateway.inspect.source import MemoryStore
from gateway.stores.detectors import load_detector_tables
from tests.inspect.identities import counted, holds, inspected, people, resident_ids

PEOPLE = people(1_500)


def parquet(table: pa.Table, **options: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def arrow(table: pa.Table, *, stream: bool = False, chunk: int | None = None, packed: str | None = None) -> bytes:
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=packed)
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(sink, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=chunk)
    return sink.getvalue()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zstd", "row_group_size": 400, "data_page_version": "2.0"},
        {"compression": "none", "use_dictionary": False, "write_page_index": True, "data_page_size": 4096},
        {"compression": "gzip", "write_statistics": False},
        {"bloom_filter_options": {"id_number": True}},
    ],
)
def test_parquet_holds_what_pandas_reads(options):
    content = parquet(pa.Table.from_pandas(PEOPLE), **options)
    found = inspected(content, "a.parquet")
    assert holds(found, pd.read_parquet(io.BytesIO(content)))
    assert found.coverage == ((0, len(content)),)


@pytest.mark.parametrize("chunk", [None, 400])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("packed", [None, "lz4", "zstd"])
def test_arrow_holds_what_pandas_reads(stream, packed, chunk):
    content = arrow(pa.Table.from_pandas(PEOPLE), stream=stream, chunk=chunk, packed=packed)
    found = inspected(content, "a.arrow")
    assert holds(found, PEOPLE)
    assert found.format == ("arrow_stream" if stream else "arrow")
    assert found.coverage == ((0, len(content)),)


@pytest.mark.parametrize("version", [1, 2])
def test_feather_holds_what_pandas_reads(version):
    sink = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        feather.write_feather(PEOPLE, sink, version=version)
        read = feather.read_feather(io.BytesIO(sink.getvalue()))
    assert holds(inspected(sink.getvalue(), "a.feather"), read)


def feather1(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        feather.write_feather(table, sink, version=1)
    return sink.getvalue()


def test_feather_1_is_read_without_trust_in_what_it_says():
    kinds = {
        "id": list(resident_ids(3)), "raw": [b"x", None, b"y"], "when": pa.array([1, None, 2], pa.timestamp("us")),
        "day": pa.array([1, 2, None], pa.date32()), "yes": [True, None, False], "n": pa.array([1, 2, 3], pa.int8()),
        "coded": pa.array([*resident_ids(4)[3:], "a", None]).dictionary_encode(),
    }  # fmt: skip
    whole = feather1(pa.table(kinds))
    found = inspected(whole, "a.feather")
    assert found.inspectable, found.findings
    assert found.coverage == ((0, len(whole)),)
    assert counted(found)["cn_resident_id"] == 4
    assert not inspected(whole[:-1], "a.feather").inspectable
    assert not inspected(whole + b"x", "a.feather").inspectable
    letters = whole.index(resident_ids(1)[0].encode())
    for place in range(letters - 24, letters, 4):  # offsets of the first column, and what stands before them
        moved = bytearray(whole)
        moved[place : place + 4] = (1 << 30).to_bytes(4, "little")
        assert inspected(bytes(moved), "a.feather").inspectable is False


def nested() -> pa.Table:
    ids = resident_ids(60)
    return pa.table({
        "visit": pa.array([{"at": {"id_number": each}, "n": i} for i, each in enumerate(ids[:20])]),
        "relatives": pa.array([[{"id_number": each, "age": 3}] * (i % 3) for i, each in enumerate(ids[20:40])]),
        "codes": pa.array([[["x"], [each, "y"]] for each in ids[40:60]]),
        "map": pa.array([[("k", i)] for i in range(20)], pa.map_(pa.string(), pa.int64())),
        "fixed": pa.array([[i, i] for i in range(20)], pa.list_(pa.int32(), 2)),
        "when": pa.array(range(20), pa.timestamp("us", "Asia/Shanghai")),
        "far": pa.array([2**62] * 20, pa.timestamp("us")),
        "exact": pa.array([None, *range(19)], pa.decimal128(20, 2)),
        "long": pa.array(range(20), pa.duration("s")),
        "bytes": pa.array([b"words"] * 20),
    })  # fmt: skip


@pytest.mark.parametrize("written", [parquet, arrow])
def test_nested_columns_are_flattened(written):
    table = nested().drop_columns(["long"] if written is parquet else [])
    found = inspected(written(table), "nested")
    assert found.inspectable
    shown = [i for i in range(20) if i % 3]
    assert found.persons.nonsensitive == 20 + len(shown) + 20
    places = {f.where for f in found.findings if f.kind == "cn_resident_id"}
    assert places == {"rows: column visit.at.id_number", "rows: column relatives.id_number", "rows: column codes"}


def test_cells_of_bytes_are_files():
    packed = io.BytesIO()
    PEOPLE.to_csv(packed, index=False, compression="gzip")
    table = pa.table({"file": [packed.getvalue(), None]})
    assert holds(inspected(parquet(table), "a.parquet"), PEOPLE)
    assert not inspected(parquet(pa.table({"file": [b"\xff\x00\xfe"]})), "a.parquet").inspectable


@pytest.mark.parametrize("suffix", ["parquet", "feather"])
def test_categories_of_rows_that_were_filtered_out_are_found(suffix):
    frame = PEOPLE.assign(id_number=PEOPLE["id_number"].astype("category")).iloc[:10]
    sink = io.BytesIO()
    frame.to_parquet(sink) if suffix == "parquet" else frame.to_feather(sink)
    assert inspected(sink.getvalue(), f"a.{suffix}").persons.nonsensitive == len(PEOPLE)


def test_categories_that_only_the_dictionary_page_knows_are_found():
    ids = resident_ids(300)
    coded = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2] * 200), pa.array(ids))
    table = pa.table({"id_number": coded, "in": pa.StructArray.from_arrays([coded], ["id_number"])})
    content = parquet(table, store_schema=False, row_group_size=250)
    assert pq.read_schema(io.BytesIO(content)).field(0).type == pa.string()
    found = inspected(content, "a.parquet")
    assert found.inspectable
    assert found.persons.nonsensitive == 300
    assert counted(found)["cn_resident_id"] == 2 * 600 + 297


def test_names_and_metadata_are_data():
    table = pa.table({"a": [1]}).replace_schema_metadata({"note": "机密★10年"})
    for content in (parquet(table), arrow(table), arrow(table, stream=True)):
        assert inspected(content, "a").level == "secret"


def test_bounds_that_no_cell_repeats_are_data():
    ids = resident_ids(4)
    content = parquet(pa.table({"id_number": [ids[0]]}), compression="none", use_dictionary=False)
    assert content.count(ids[0].encode()) > 2  # the cell, and its bounds
    place = content.rindex(ids[0].encode())
    forged = content[:place] + ids[3].encode() + content[place + 18 :]
    found = inspected(forged, "a.parquet")
    assert {f.where for f in found.findings if f.kind == "cn_resident_id"} == {
        "rows: column id_number",
        "outside of cells: text",
    }


def test_a_slice_carries_letters_of_rows_behind_it():
    table = pa.table({"id_number": list(resident_ids(100))})
    content = arrow(table.slice(0, 2))
    assert resident_ids(100)[2].encode() in content  # pyarrow 26 pads to 64 bytes with what is there
    assert not inspected(content, "a.arrow").inspectable
    assert inspected(arrow(table.take([0, 1])), "a.arrow").inspectable


def test_text_beneath_a_missing_cell_is_refused():
    letters = pa.array(["hidden", "x"]).buffers()
    masked = pa.Array.from_buffers(pa.string(), 2, [pa.py_buffer(b"\x02"), letters[1], letters[2]])
    assert masked.to_pylist() == [None, "x"]
    assert not inspected(arrow(pa.table({"a": masked})), "a.arrow").inspectable


def test_bytes_between_columns_are_a_gap():
    content = parquet(pa.table({"a": ["x"]}), compression="none")
    size = int.from_bytes(content[-8:-4], "little")
    start = len(content) - 8 - size
    found = inspected(content[:start] + b"hidden" + content[start:], "a.parquet")
    assert [f.where for f in found.findings if f.kind == "gap"] == [f"bytes {start}-{start + 6}"]


def test_encrypted_parquet_is_said_to_be():
    assert counted(inspected(b"PARE" + bytes(100) + b"PARE", "a.parquet")) == {"encrypted_content": 1}
    found = inspected(b"PAR1" + bytes(100) + b"PARE", "a.parquet")
    assert "encrypted_content" in counted(found)


def test_encrypted_columns_are_said_to_be():
    encryption = pytest.importorskip("pyarrow.parquet.encryption")

    class Kms(encryption.KmsClient):
        def __init__(self, _):
            super().__init__()

        def wrap_key(self, key, _):
            return key

        def unwrap_key(self, key, _):
            return key

    factory = encryption.CryptoFactory(Kms)
    config = encryption.EncryptionConfiguration(footer_key="f", column_keys={"c": ["a"]}, plaintext_footer=True)
    properties = factory.file_encryption_properties(encryption.KmsConnectionConfig(), config)
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, pa.schema({"a": pa.string()}), encryption_properties=properties) as writer:
        writer.write_table(pa.table({"a": ["x"]}))
    found = inspected(sink.getvalue(), "a.parquet")
    assert not found.inspectable
    assert "encrypted_content" in counted(found)


def test_memory_is_that_of_a_batch():
    count = 800_000
    table = pa.table({"number": np.arange(count), "text": [f"line {i} of a register" for i in range(count)]})
    content = parquet(table, row_group_size=count)
    del table
    before = pa.total_allocated_bytes()
    peak = Peak(content)
    assert inspect_file(peak, "a.parquet", load_detector_tables()).inspectable
    assert peak.most - before < 20 << 20  # the row group has 30 MB of letters and numbers, and as much again as text


class Peak(MemoryStore):
    """Arrow's memory, looked at with every read of the file."""

    most = 0

    def pread(self, offset: int, size: int) -> bytes:
        self.most = max(self.most, pa.total_allocated_bytes())
        return super().pread(offset, size)
