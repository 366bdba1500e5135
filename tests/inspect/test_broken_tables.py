"""Files of tables after somebody's editing: never an exception, never a clean verdict over what is missing or added."""

from __future__ import annotations

import io
import sqlite3
from contextlib import closing
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyreadstat
import pytest
import rdata
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.inspect.identities import inspected, people
from tests.inspect.sas7bdat import Column, DataSet
from tests.inspect.test_arrays import dbf
from tests.inspect.test_avro import MARKER, ROWS, avro
from tests.inspect.test_orc import orc

PEOPLE = people(40)


@cache
def sample(name: str) -> bytes:
    sink = io.BytesIO()
    table = pa.Table.from_pandas(PEOPLE)
    if name == "parquet":
        pq.write_table(table, sink, write_page_index=True)
    elif name in {"arrow", "arrows"}:
        with (pa.ipc.new_file if name == "arrow" else pa.ipc.new_stream)(sink, table.schema) as writer:
            writer.write_table(table)
    elif name == "dta":
        PEOPLE.to_stata(sink, version=118, write_index=False, variable_labels={"visit": "序号"})
    elif name == "db":
        with closing(sqlite3.connect(":memory:")) as base:
            PEOPLE.to_sql("p", base)
            base.commit()
            return base.serialize()
    elif name in {"sas7bdat", "packed.sas7bdat"}:
        columns = [Column("id_number", 18, numeric=False), Column("mobile"), Column("visit", 8, label="序号")]
        method = b"" if name == "sas7bdat" else b"SASYZCRL"
        return DataSet(columns, list(PEOPLE.itertuples(index=False)), wide=False, page=2048, method=method).bytes()
    elif name == "orc":
        return orc(table.replace_schema_metadata(None), compression="zlib")
    elif name == "avro":
        return avro(ROWS[:40], sync_marker=MARKER, sync_interval=400)
    elif name == "npy":
        np.save(sink, np.array(PEOPLE["id_number"].tolist()))
    elif name == "dbf":
        return dbf([(each, "x", 1) for each in PEOPLE["id_number"]])
    return sink.getvalue()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    pyreadstat.write_sav(PEOPLE, folder / "sav", row_compress=True)
    pyreadstat.write_sav(PEOPLE, folder / "zsav", compress=True)
    pyreadstat.write_xport(PEOPLE.rename(columns={"id_number": "idno"}), folder / "xpt", file_format_version=5)
    pyreadstat.write_por(PEOPLE.rename(columns={"id_number": "idno"}), folder / "por")
    rdata.write_rds(folder / "rds", {"a": PEOPLE["id_number"].tolist(), "b": 1.5}, compression=None)
    return lambda name: (folder / name).read_bytes() if (folder / name).exists() else sample(name)


EVERY = (
    "parquet",
    "arrow",
    "arrows",
    "dta",
    "db",
    "npy",
    "dbf",
    "sav",
    "zsav",
    "xpt",
    "rds",
    "sas7bdat",
    "packed.sas7bdat",
)
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("name", EVERY)
def test_the_samples_are_read(written, name):
    assert inspected(written(name), f"a.{name}").inspectable


@pytest.mark.parametrize("name", EVERY)
@FEW
@given(data=st.data())
def test_flipped_bytes_raise_nothing(written, name, data):
    content = bytearray(written(name))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    found = inspected(bytes(content), f"a.{name}")
    assert found.size == len(content)


@pytest.mark.parametrize("name", EVERY)
@FEW
@given(data=st.data())
def test_what_was_cut_off_is_never_clean(written, name, data):
    content = written(name)
    kept = data.draw(
        st.integers(200, len(content) - 2)
    )  # a shorter head may be a text; dBASE may do without its last byte
    if name == "xpt" and kept % 80 == 0:
        kept -= 1  # this format tells nobody how many rows it has
    if name == "avro" and content[:kept].endswith(MARKER):
        kept -= 1  # nor does this
    found = inspected(content[:kept], f"a.{name}")
    assert not found.inspectable
    assert found.level != "general"


@pytest.mark.parametrize("name", EVERY)
@FEW
@given(tail=st.binary(min_size=1, max_size=300).filter(lambda tail: any(tail.strip(b" "))))
def test_what_was_appended_is_never_clean(written, name, tail):
    assert not inspected(written(name) + tail, f"a.{name}").inspectable
