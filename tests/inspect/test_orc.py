"""ORC files as pyarrow writes them, against what it reads; what a reader does not show; damaged ones, which kill that reader."""

from __future__ import annotations

import datetime as dt
import decimal
import io

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import orc as oracle

from gateway.inspect.columns import Cells
from gateway.inspect.limits import Limits, Unreadable
from gateway.inspect.parsers.orcfields import Fields, one
from gateway.inspect.parsers.orcruns import run_bytes, run_numbers
from tests.inspect.identities import counted, holds, inspected, people, resident_ids

PEOPLE = people(1_500)
TABLE = pa.Table.from_pandas(PEOPLE, preserve_index=False)
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def orc(table: pa.Table, **options) -> bytes:
    sink = io.BytesIO()
    oracle.write_table(table, sink, **options)
    return sink.getvalue()


def nested() -> pa.Table:
    """One column of every type that pyarrow writes."""
    ids = resident_ids(5)
    person = pa.struct([("id_number", pa.string()), ("age", pa.int8())])
    return pa.table({
        "flag": [True, None, False],
        "tiny": pa.array([1, None, -3], pa.int8()),
        "whole": pa.array([1, 2**60, -(2**60)], pa.int64()),
        "real": pa.array([1.5, None, -2.25], pa.float32()),
        "day": pa.array([dt.date(2012, 3, 4), None, dt.date(1950, 1, 2)]),
        "when": pa.array([1_795_600_000_000_005_000, -315_619_200_000_000_000, None], pa.timestamp("ns")),
        "exact": pa.array([decimal.Decimal("12.30"), None, decimal.Decimal("-0.01")], pa.decimal128(20, 2)),
        "raw": pa.array([b"plain", None, b"a,b\n1,2\n"]),
        "person": pa.array([{"id_number": ids[0], "age": 1}, None, {"id_number": None, "age": 2}], person),
        "people": pa.array([[{"id_number": ids[1], "age": 3}], None, []], pa.list_(person)),
        "map": pa.array([[("k", 1)], None, [("l", 2), ("m", None)]], pa.map_(pa.string(), pa.int64())),
        "deep": pa.array([[[ids[2]], []], None, [[ids[3], None]]], pa.list_(pa.list_(pa.string()))),
    })  # fmt: skip


@pytest.fixture
def read(monkeypatch):
    """What our reader hands on, as Python has it."""

    def rows(content: bytes) -> list[dict[str, object]]:
        batches = []
        monkeypatch.setattr(Cells, "add", lambda self, batch: (batches.append(batch), plain(self, batch))[1])
        assert inspected(content, "a.orc").inspectable
        return [row for batch in batches for row in batch.to_pylist()]

    plain = Cells.add
    return rows


@pytest.mark.parametrize("compression", ["uncompressed", "zlib", "snappy", "zstd", "lz4"])
@pytest.mark.parametrize("version", ["0.11", "0.12"])
@pytest.mark.parametrize("coded", [0.0, 1.0])
def test_a_file_holds_what_is_read(compression, version, coded):
    content = orc(
        TABLE,
        compression=compression,
        file_version=version,
        dictionary_key_size_threshold=coded,
        stripe_size=1 << 16,
        row_index_stride=500,
        bloom_filter_columns=[0],
    )
    found = inspected(content, "a.orc")
    assert found.coverage == ((0, len(content)),)
    assert holds(found, oracle.read_table(io.BytesIO(content)).to_pandas())


@pytest.mark.parametrize("version", ["0.11", "0.12"])
def test_every_type_is_read_as_pyarrow_reads_it(read, version):
    table = nested()
    content = orc(table, file_version=version)
    expected = oracle.read_table(io.BytesIO(content)).to_pylist()
    for row in read(content):
        other = expected.pop(0)
        exact, wanted = row.pop("exact"), other.pop("exact")
        assert (exact and decimal.Decimal(exact)) == wanted
        pairs, items = row.pop("map"), other.pop("map")
        assert (pairs and [(pair["key"], pair["value"]) for pair in pairs]) == items
        assert row == other
    assert not expected
    assert counted(inspected(content, "a.orc"))["cn_resident_id"] == 4


NUMBERS = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=60),
    st.lists(st.integers(-5, 1000), min_size=20, max_size=700),
    st.lists(st.sampled_from([3, 4, 5, 2**40]), min_size=20, max_size=600),
    st.builds(lambda start, step, count: [start + step * n for n in range(count)], st.integers(-9, 9**9), st.integers(-9, 9**5),
              st.integers(1, 1200)),
    st.builds(lambda steps: np.cumsum(steps).tolist(), st.lists(st.integers(0, 300), min_size=3, max_size=600)),
)  # fmt: skip


@FEW
@given(numbers=NUMBERS, version=st.sampled_from(["0.11", "0.12"]))
def test_numbers_come_back_from_their_runs(read, numbers, version):
    content = orc(pa.table({"n": pa.array(numbers, pa.int64())}), file_version=version)
    assert [row["n"] for row in read(content)] == numbers


def test_runs_of_the_specification():
    plain = {"second": True, "negative": False}
    assert run_numbers(bytes.fromhex("0a2710"), 5, **plain).tolist() == [10000] * 5
    assert run_numbers(bytes.fromhex("5e035ca1ab1edeadbeef"), 4, **plain).tolist() == [23713, 43806, 57005, 48879]
    patched = "8e132b2107d01e00147028323c46505a646e78828c96a0aab4befce8"
    told = [2030, 2000, 2020, 1000000, *range(2040, 2200, 10)]
    assert run_numbers(bytes.fromhex(patched), 20, **plain).tolist() == told
    delta = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]
    assert run_numbers(bytes.fromhex("c609020222424246"), 10, **plain).tolist() == delta
    assert run_numbers(bytes.fromhex("61ff64"), 100, second=False, negative=False).tolist() == [*range(100, 0, -1)]
    assert run_bytes(bytes.fromhex("6100"), 100) == bytes(100)
    assert run_bytes(bytes.fromhex("fe4445"), 2) == b"DE"
    for raw, count in ((bytes.fromhex("6100"), 99), (bytes.fromhex("6100"), 101), (bytes.fromhex("fe4445"), 1)):
        with pytest.raises(Unreadable):
            run_bytes(raw, count)


def test_words_that_no_cell_has_are_read():
    ids = resident_ids(3)
    table = pa.table({"a": pa.array(["x", "y", ids[0]]), "n": [1, 2, 3]})
    content = orc(table, compression="uncompressed", dictionary_key_size_threshold=1.0)
    bounded = content.replace(ids[0].encode(), ids[1].encode())  # statistics too
    assert counted(inspected(bounded, "a.orc"))["cn_resident_id"] == 1
    at = content.index(ids[0].encode())
    other = content[:at] + ids[1].encode() + content[at + 18 :]
    assert counted(inspected(other, "a.orc"))["cn_resident_id"] >= 2


@pytest.mark.parametrize("compression", ["uncompressed", "zlib"])
@FEW
@given(data=st.data())
def test_flipped_bytes_raise_nothing(compression, data):
    content = bytearray(orc(nested(), compression=compression))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    assert inspected(bytes(content), "a.orc").size == len(content)


@FEW
@given(data=st.data())
def test_what_was_cut_off_or_added_is_never_clean(data):
    content = orc(TABLE.slice(0, 40))
    kept = data.draw(st.integers(200, len(content) - 1))  # a shorter head may be a text
    assert not inspected(content[:kept], "a.orc").inspectable
    tail = data.draw(st.binary(min_size=1, max_size=100))
    assert not inspected(content + tail, "a.orc").inspectable
    assert not inspected(content[:3] + tail + content[3:], "a.orc").inspectable


def test_a_field_that_stands_twice_is_refused():
    """Bytes behind the end may read as more of the postscript."""
    fields = Fields([].append, [].append)
    assert one(fields.read(b"\x18\x05", "postscript"), 3) == 5
    with pytest.raises(Unreadable):
        one(fields.read(b"\x18\x05\x18\x80\x00", "postscript"), 3)
    with pytest.raises(Unreadable):
        fields.read(b"\x48\x01", "postscript")  # no such field


def test_room_between_stripes_is_zeros_or_holds_the_file():
    content = orc(TABLE.slice(0, 0))
    assert inspected(content, "a.orc").inspectable
    assert inspected(content[:3] + bytes(64) + content[3:], "a.orc").inspectable
    assert not inspected(content[:3] + b"x" + content[3:], "a.orc").inspectable


def test_a_long_word_for_every_row_is_refused():
    table = pa.table({"a": pa.array(["x" * 2_000] * 20_000)})
    content = orc(table, dictionary_key_size_threshold=1.0, compression="zstd")
    found = inspected(content, "a.orc", Limits(spared=1 << 20))
    assert any(f.kind == "archive_limit" for f in found.findings)
