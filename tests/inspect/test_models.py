"""Weights: read where they are plain tables, never run where they are programs, and never of a known level."""

from __future__ import annotations

import collections
import io
import json
import os
import pickle
import sys
import types
import zipfile

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from gateway.inspect.objects import inspect_file
from gateway.inspect.parsers import PARSERS
from gateway.inspect.parsers.npz import is_embedding
from gateway.inspect.parsers.weights import BLOCKS
from gateway.inspect.source import MemoryStore
from gateway.stores.detectors import load_detector_tables

TABLES = load_detector_tables()
ID_NUMBER = "11010519491231002X"
TENSORS = {"a": np.zeros((4, 3), np.float32), "b": np.ones(5, np.int64)}


def inspected(content: bytes, path: str):
    return inspect_file(MemoryStore(content), path, TABLES)


def kinds(found) -> set[str]:
    return {f.kind for f in found.findings if f.confidence == "strong"}


def test_weights_are_read_and_of_unknown_level():
    found = inspected(save(TENSORS, {"note": f"身份证号 {ID_NUMBER}"}), "m.safetensors")
    assert found.format == "safetensors"
    assert found.inspectable
    assert found.level == "unknown"
    assert {"model_weights", "cn_resident_id"} <= kinds(found)


def test_bytes_that_no_tensor_refers_to_are_a_gap():
    whole = save(TENSORS)
    assert not inspected(whole + b"hidden", "m.safetensors").inspectable
    size = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + size])
    for entry in header.values():
        entry["data_offsets"] = [each + 16 for each in entry["data_offsets"]]
    moved = json.dumps(header).encode()
    found = inspected(
        len(moved).to_bytes(8, "little") + moved + b"hidden words...." + whole[8 + size :], "m.safetensors"
    )
    assert [f.count for f in found.findings if f.kind == "gap"] == [16]


@pytest.mark.parametrize(
    "change", [{"dtype": "F64"}, {"shape": [4, 4]}, {"data_offsets": [0, 1 << 40]}, {"shape": "x"}]
)
def test_a_tensor_that_contradicts_itself_is_not_read(change):
    entry = {"dtype": "F32", "shape": [4, 3], "data_offsets": [0, 48], **change}
    header = json.dumps({"a": entry}).encode()
    assert not inspected(len(header).to_bytes(8, "little") + header + bytes(48), "m.safetensors").inspectable


@pytest.mark.parametrize("cut", [1, 50, 90, 200])
def test_truncated_weights_are_uninspectable(cut):
    assert not inspected(save(TENSORS)[:-cut], "m.safetensors").inspectable


# --- GGUF -----------------------------------------------------------------------------------------------------------------


def written(tmp_path, note: str = "plain") -> bytes:
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.add_description(note)
    writer.add_array("tokenizer.ggml.tokens", ["a", "b", note])
    writer.add_array("numbers", [1, 2, 3])
    for name, tensor in TENSORS.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return (tmp_path / "m.gguf").read_bytes()


def test_gguf_is_read(tmp_path):
    found = inspected(written(tmp_path, f"身份证号 {ID_NUMBER}"), "m.gguf")
    assert found.inspectable
    assert found.level == "unknown"
    assert {"model_weights", "cn_resident_id"} <= kinds(found)


def test_gguf_accounts_for_every_byte(tmp_path):
    whole = written(tmp_path)
    assert not inspected(whole + b"hidden", "m.gguf").inspectable
    for cut in (40, 60, 300, len(whole) - 30):
        assert not inspected(whole[:-cut], "m.gguf").inspectable


def test_sizes_of_blocks_are_those_of_ggml():
    known = {int(kind): sizes for kind, sizes in gguf.GGML_QUANT_SIZES.items()}
    assert {kind: known[kind] for kind in BLOCKS} == dict(BLOCKS)


# --- pickles --------------------------------------------------------------------------------------------------------------


class Bomb:
    def __reduce__(self):
        return os.system, ("touch /tmp/never",)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_is_never_readable(protocol):
    found = inspected(pickle.dumps([1, f"身份证号 {ID_NUMBER}"], protocol), "a.pkl")
    assert found.format == "pickle"
    assert not found.inspectable
    assert "executable_content" in kinds(found)


def pretended_torch(monkeypatch):
    """As much of torch's names as its pickles mention."""
    module, helpers = types.ModuleType("torch"), types.ModuleType("torch._utils")
    module.FloatStorage = type("FloatStorage", (), {"__module__": "torch", "__qualname__": "FloatStorage"})

    def _rebuild_tensor_v2(*_args):
        raise AssertionError("a pickle was run")

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    helpers._rebuild_tensor_v2 = _rebuild_tensor_v2
    monkeypatch.setitem(sys.modules, "torch", module)
    monkeypatch.setitem(sys.modules, "torch._utils", helpers)
    return module, helpers


@pytest.fixture
def torch(monkeypatch):
    return pretended_torch(monkeypatch)


class Storage:
    def __init__(self, key: str, elements: int):
        self.key, self.elements = key, elements


class Tensor:
    def __init__(self, storage: Storage, rebuild):
        self.storage, self.rebuild = storage, rebuild

    def __reduce__(self):
        return self.rebuild, (self.storage, 0, (self.storage.elements,), (1,), False, collections.OrderedDict())


def checkpoint(torch, *, more=None, extra=None, protocol=2, storage: bytes = bytes(16)) -> bytes:
    """As torch.save lays it out: one pickle, a storage for each tensor."""
    module, helpers = torch

    class Pickler(pickle.Pickler):
        def persistent_id(self, thing):
            return (
                ("storage", module.FloatStorage, thing.key, "cpu", thing.elements)
                if isinstance(thing, Storage)
                else None
            )

    rebuild = helpers._rebuild_tensor_v2
    state = collections.OrderedDict(w=Tensor(Storage("0", 4), rebuild), b=Tensor(Storage("1", 2), rebuild))
    if more is not None:
        state["more"] = more
    target = io.BytesIO()
    Pickler(target, protocol).dump(state)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        members = {
            "data.pkl": target.getvalue(),
            "byteorder": b"little",
            "data/0": storage,
            "data/1": bytes(8),
            "version": b"3\n",
        }
        for name, content in {**members, **(extra or {})}.items():
            archive.writestr(f"model/{name}", content)
    return packed.getvalue()


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_checkpoint_of_tensors_is_read_and_not_run(torch, protocol):
    found = inspected(checkpoint(torch, more=f"身份证号 {ID_NUMBER}", protocol=protocol), "m.pt")
    assert found.format == "torch"
    assert found.inspectable
    assert found.level == "unknown"
    assert {"model_weights", "cn_resident_id"} <= kinds(found)
    assert "executable_content" not in kinds(found)


def test_a_checkpoint_that_calls_something_else_is_a_finding(torch):
    found = inspected(checkpoint(torch, more=Bomb()), "m.pt")
    assert not found.inspectable
    assert "executable_content" in kinds(found)


def test_storages_are_as_large_as_the_pickle_says(torch):
    assert not inspected(checkpoint(torch, storage=bytes(32)), "m.pt").inspectable
    assert not inspected(checkpoint(torch, extra={"data/9": bytes(range(16))}), "m.pt").inspectable


def test_scripts_in_a_checkpoint_are_programs(torch):
    found = inspected(checkpoint(torch, extra={"code/__torch__.py": b"def forward(self):\n  return self\n"}), "m.pt")
    assert "executable_content" in kinds(found)


def test_alignment_of_torch_is_padding_and_nothing_else(torch):
    plain = zipfile.ZipFile(io.BytesIO(checkpoint(torch)))
    for padding, readable in ((b"Z" * 40, True), (b"Zhidden", False)):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for info in plain.infolist():
                copy = zipfile.ZipInfo(info.filename)
                copy.extra = b"FB" + len(padding).to_bytes(2, "little") + padding
                archive.writestr(copy, plain.read(info))
        assert inspected(packed.getvalue(), "m.pt").inspectable == readable


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(["pickle", "safetensors"]), st.integers(0, 200), st.integers(0, 255))
def test_damage_ends_as_a_finding(kind, at, byte):
    content = bytearray(save(TENSORS) if kind == "safetensors" else pickle.dumps(list(range(300)), 4))
    content[at] = byte
    found = inspected(bytes(content), f"a.{kind}")
    assert found.size == len(content)


# --- arrays ---------------------------------------------------------------------------------------------------------------


def test_arrays_of_an_archive_are_members():
    packed = io.BytesIO()
    np.savez(packed, faces=np.zeros((10, 128), np.float32), counts=np.arange(5))
    found = inspected(packed.getvalue(), "a.npz")
    assert found.format == "npz"
    assert [f.where for f in found.findings if f.kind == "embeddings"] == ["!/faces.npy"]
    assert found.inspectable == ("npy" in PARSERS)


def test_embeddings_are_wide_matrices_of_floating_numbers():
    def head(array) -> bytes:
        target = io.BytesIO()
        np.save(target, array)
        return target.getvalue()

    assert is_embedding(head(np.zeros((2, 64), np.float16)))
    assert not is_embedding(head(np.zeros((2, 63), np.float16)))
    assert not is_embedding(head(np.zeros((2, 64), np.int32)))
    assert not is_embedding(head(np.zeros(64, np.float32)))


# --- ONNX -----------------------------------------------------------------------------------------------------------------


def part(number: int, value: bytes | int) -> bytes:
    """A field of a protocol buffer."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    size = len(value)
    key = number << 3 | 2
    head = bytes([key]) if key < 128 else bytes([key & 127 | 128, key >> 7])
    return head + (bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])) + value


def onnx(note: str = "plain", more: bytes = b"") -> bytes:
    tensor = part(1, 4) + part(2, 1) + part(8, b"w") + part(9, bytes([0, 1, 2, 250] * 4))
    value = part(1, b"x") + part(2, part(1, part(1, 1) + part(2, part(1, part(2, b"batch")))))
    node = part(1, b"x") + part(2, b"y") + part(4, b"Relu") + part(5, part(1, b"alpha") + part(3, 1))
    graph = part(1, node) + part(2, b"g") + part(5, tensor) + part(11, value)
    return (
        part(1, 8)
        + part(2, b"tests")
        + part(7, graph)
        + part(8, part(2, 13))
        + part(14, part(1, b"note") + part(2, note.encode()))
        + more
    )


def test_onnx_is_read():
    found = inspected(onnx(f"身份证号 {ID_NUMBER}"), "m.onnx")
    assert found.format == "onnx"
    assert found.inspectable
    assert found.level == "unknown"
    assert {"model_weights", "cn_resident_id"} <= kinds(found)


def test_fields_of_onnx_that_nobody_knows_are_a_gap():
    found = inspected(onnx(more=part(99, b"hidden")), "m.onnx")
    assert [f.count for f in found.findings if f.kind == "gap"] == [6]
    whole = onnx()
    for cut in range(1, len(whole) - 40):
        found = inspected(whole[:-cut], "m.onnx")
        assert not found.inspectable or len(whole) - cut in _ends_of_fields(whole)


def _ends_of_fields(whole: bytes) -> set[int]:
    """Like any protocol buffer, one that is cut between two fields of its outermost message is whole."""
    ends, at = set(), 0
    while at < len(whole):
        wire = whole[at] & 7
        at += (
            2
            if wire == 0
            else 2 + whole[at + 1]
            if whole[at + 1] < 128
            else 3 + (whole[at + 1] & 127 | whole[at + 2] << 7)
        )
        ends.add(at)
    return ends
