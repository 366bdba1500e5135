"""Avro files as fastavro writes them; what the specification allows and writers rarely do."""

from __future__ import annotations

import datetime as dt
import decimal
import gzip
import io
import json
import zlib

import fastavro
import pandas as pd
import pyarrow as pa
import pytest
from backports import zstd

from gateway.inspect.limits import Limits
from tests.inspect.identities import counted, holds, inspected, people, resident_ids

PEOPLE = people(700)
SCHEMA = {
    "type": "record",
    "name": "Person",
    "fields": [
        {"name": "id_number", "type": "string"},
        {"name": "mobile", "type": ["null", "double"]},
        {"name": "visit", "type": "int"},
    ],
}
ROWS = [
    {"id_number": row.id_number, "mobile": None if pd.isna(row.mobile) else row.mobile, "visit": row.visit}
    for row in PEOPLE.itertuples()
]
MARKER = bytes(range(16))


def avro(rows, schema=SCHEMA, codec: str = "null", **options) -> bytes:
    """As fastavro writes it; snappy and Zstandard by hand, whose libraries it would want."""
    sink = io.BytesIO()
    if codec in {"snappy", "zstandard"}:
        fastavro.writer(sink, schema, rows, sync_marker=MARKER, sync_interval=1 << 30, **options)
        return recoded(sink.getvalue(), codec)
    fastavro.writer(sink, schema, rows, codec=codec, **options)
    return sink.getvalue()


def recoded(plain: bytes, codec: str) -> bytes:
    """One block in another codec."""
    head, block, _ = plain.split(MARKER)
    count, rest = number(block)
    _, content = number(rest)
    packed = (
        pa.compress(content, codec="snappy", asbytes=True) + zlib.crc32(content).to_bytes(4, "big")
        if codec == "snappy"
        else zstd.compress(content)
    )
    head = head.replace(long(4) + b"null", long(len(codec)) + codec.encode())
    return head + MARKER + long(count) + long(len(packed)) + packed + MARKER


def long(value: int) -> bytes:
    value, out = value << 1 ^ value >> 63, b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def number(raw: bytes) -> tuple[int, bytes]:
    value = shift = 0
    for place, byte in enumerate(raw):
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value >> 1 ^ -(value & 1), raw[place + 1 :]
        shift += 7
    raise ValueError(raw)


def written(schema: object, *objects: bytes, meta: dict[str, bytes] | None = None, count: int | None = None) -> bytes:
    """By hand."""
    entries = {"avro.schema": json.dumps(schema).encode(), **(meta or {})}
    head = b"Obj\x01" + long(len(entries))
    for key, value in entries.items():
        head += long(len(key)) + key.encode() + long(len(value)) + value
    content = b"".join(objects)
    count = len(objects) if count is None else count
    return head + b"\0" + MARKER + long(count) + long(len(content)) + content + MARKER


@pytest.mark.parametrize("codec", ["null", "deflate", "bzip2", "xz", "snappy", "zstandard"])
def test_a_file_holds_what_is_read(codec):
    content = avro(ROWS, codec=codec)
    found = inspected(content, "a.avro")
    assert found.coverage == ((0, len(content)),)
    read = [*fastavro.reader(io.BytesIO(avro(ROWS)))]
    assert read == ROWS
    assert holds(found, pd.DataFrame(read))


def test_many_blocks_are_read():
    content = avro(ROWS, sync_interval=1000)
    assert holds(inspected(content, "a.avro"), PEOPLE)


def test_nested_values_are_flattened():
    ids = resident_ids(9)
    person = {"type": "record", "name": "P", "namespace": "cn.sz", "fields": [{"name": "id_number", "type": "string"}]}
    schema = {
        "type": "record", "name": "T", "namespace": "cn.sz",
        "fields": [
            {"name": "a", "type": person},
            {"name": "b", "type": ["null", "P", {"type": "record", "name": "Q", "fields": [{"name": "x", "type": "cn.sz.P"}]}]},
            {"name": "c", "type": {"type": "array", "items": "string"}},
            {"name": "d", "type": {"type": "map", "values": {"type": "array", "items": "P"}}},
            {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["one", "two"]}},
            {"name": "f", "type": "bytes"},
            {"name": "g", "type": {"type": "fixed", "name": "F", "size": 18}},
            {"name": "h", "type": ["int", "string", "boolean", "float"]},
            {"name": "i", "type": "bytes"},
        ],
    }  # fmt: skip
    row = {
        "a": {"id_number": ids[0]}, "b": {"x": {"id_number": ids[1]}}, "c": [ids[2], ids[3]], "d": {"k": [{"id_number": ids[4]}]},
        "e": "two", "f": ids[5].encode(), "g": ids[6].encode(), "h": ids[7],
        "i": gzip.compress(f"id_number\n{ids[8]}\n".encode()),
    }  # fmt: skip
    content = avro([row, {**row, "b": None, "h": 3}], schema)
    assert len([*fastavro.reader(io.BytesIO(content))]) == 2
    found = inspected(content, "a.avro")
    assert found.inspectable
    places = " ".join(f.where for f in found.findings if f.kind == "cn_resident_id")
    for place in (
        "a.id_number",
        "b.x.id_number",
        "column c",
        "column d",
        "column f",
        "column g",
        "column h",
        "!/object.i",
    ):
        assert place in places
    assert counted(found)["cn_resident_id"] == 16


def test_a_type_that_holds_itself():
    schema = {
        "type": "record", "name": "Node",
        "fields": [{"name": "id", "type": "string"}, {"name": "next", "type": ["null", "Node"]}],
    }  # fmt: skip
    ids = resident_ids(30)
    chain = None
    for each in ids:
        chain = {"id": each, "next": chain}
    found = inspected(avro([chain], schema), "a.avro")
    assert found.inspectable
    assert counted(found)["cn_resident_id"] == 30
    deep = b"".join(long(1) + b"x" + long(1) for _ in range(5000)) + long(1) + b"x" + long(0)
    assert not inspected(written(schema, deep), "a.avro").inspectable


def test_meanings_of_values():
    def logical(kind: str, name: str, **more: object) -> dict[str, object]:
        return {"type": kind, "logicalType": name, **more}

    schema = {
        "type": "record", "name": "T",
        "fields": [
            {"name": "birth_date", "type": logical("int", "date")},
            {"name": "seen", "type": ["null", logical("long", "timestamp-millis")]},
            {"name": "amount", "type": logical("bytes", "decimal", precision=12, scale=0)},
        ],
    }  # fmt: skip
    day, moment = dt.date(2012, 3, 4), dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)
    row = {"birth_date": day, "seen": moment, "amount": decimal.Decimal(13_812_345_678)}
    found = inspected(avro([row] * 3, schema), "a.avro")
    assert found.inspectable
    assert found.births == {20_120_304: 3}
    assert counted(found)["cn_mobile"] == 3  # and no moment in milliseconds is taken for a number


def test_what_the_header_says_is_data():
    ids = resident_ids(3)
    schema = {
        **SCHEMA,
        "doc": f"机密★10年 {ids[0]}",
        "fields": [*SCHEMA["fields"], {"name": "n", "type": "string", "default": ids[1]}],
    }
    content = written(schema, b"", meta={"note": ids[2].encode()}, count=0)
    assert "机密".encode() not in content  # JSON escapes it
    found = inspected(content, "a.avro")
    assert found.inspectable
    assert found.level == "secret"
    assert counted(found)["cn_resident_id"] == 3


def test_items_in_sized_blocks():
    items = b"".join(long(18) + each.encode() for each in resident_ids(2))
    array = {"type": "array", "items": "string"}
    assert (
        counted(inspected(written(array, long(-2) + long(len(items)) + items + long(0)), "a.avro"))["cn_resident_id"]
        == 2
    )
    assert not inspected(written(array, long(-2) + long(len(items) - 1) + items + long(0)), "a.avro").inspectable


@pytest.mark.parametrize(
    "content",
    [
        written("null", count=1 << 40),
        written({"type": "array", "items": "null"}, long(1 << 40) + long(0)),
        written({"type": "record", "name": "R", "fields": []}, count=1 << 30),
        written("long", b"\xff" * 12),
        written("string", long(1 << 40)),
        written("boolean", b"\2"),
        written(["null"], long(7)),
        written("int", long(1), b"\0", count=1),
        written("int", meta={"avro.codec": b"lzo"}),
        written("int", meta={"x": b"\xff\xfe"}),
        written("nothing"),
        written({"type": "fixed", "name": "F", "size": -1}, b"x"),
        written({"type": "int", "tYpe": "int"}, long(1)).replace(b"tYpe", b"type"),
        written("int", long(1))[:-1] + b"!",
        avro(ROWS)[:-17],
    ],
)
def test_what_is_no_such_file_is_held(content):
    found = inspected(content, "a.avro")
    assert not found.inspectable
    assert found.level != "general"


def test_columns_and_expansion_are_bounded():
    wide = {"type": "record", "name": "R0", "fields": [{"name": f"f{n}", "type": "int"} for n in range(10)]}
    for level in range(1, 8):  # ten to the eighth
        wide = {
            "type": "record", "name": f"R{level}",
            "fields": [{"name": "f0", "type": wide}, *({"name": f"f{n}", "type": f"R{level - 1}"} for n in range(1, 10))],
        }  # fmt: skip
    assert any(f.kind == "archive_limit" for f in inspected(written(wide, long(1)), "a.avro").findings)
    zeros = avro([{"id_number": "x" * 1_000_000, "mobile": None, "visit": 1}] * 20, codec="xz")
    found = inspected(zeros, "a.avro", Limits(spared=1 << 20))
    assert any(f.kind == "archive_limit" for f in found.findings)
