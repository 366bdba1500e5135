"""Weights."""

from __future__ import annotations

import io
import pickle
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from safetensors.numpy import save

from tests.inspect import test_models


def _weights() -> Iterator[bytes]:
    yield save(test_models.TENSORS, {"note": "words"})
    yield save({"h": np.zeros((2, 3), np.float16), "empty": np.zeros((0, 3), np.int8)})
    with tempfile.TemporaryDirectory() as folder:
        yield test_models.written(Path(folder), "words")


def _onnx() -> Iterator[bytes]:
    yield test_models.onnx("words")


def _pickles() -> Iterator[bytes]:
    for protocol in (2, 3, 4, 5):
        yield pickle.dumps([1, "words", {"a": (1.5, b"x", None)}, {3}, test_models.Bomb()], protocol)
    for protocol in (2, 4):
        with pytest.MonkeyPatch.context() as patch:
            torch = test_models.pretended_torch(patch)
            yield test_models.checkpoint(torch, more="words", protocol=protocol)
            yield test_models.checkpoint(torch, extra={"code/__torch__.py": b"def forward(self): ...\n"})


def _npz() -> Iterator[bytes]:
    for put in (np.savez, np.savez_compressed):
        target = io.BytesIO()
        put(target, faces=np.zeros((3, 64), np.float32), counts=np.arange(5), ids=np.array(["a", "b"]))
        yield target.getvalue()


SEEDS: Final[Mapping[str, Callable[[], Iterator[bytes]]]] = {
    "weights": _weights,
    "onnx": _onnx,
    "pickles": _pickles,
    "npz": _npz,
}
