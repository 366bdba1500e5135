"""MATLAB files as SciPy writes them."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from tests.inspect.identities import counted, inspected, resident_ids

IDS = resident_ids(60)


def mat(*, packed: bool = False, **variables: object) -> bytes:
    sink = io.BytesIO()
    savemat(sink, variables, do_compression=packed, long_field_names=True)
    return sink.getvalue()


VARIABLES = {
    "mobiles": np.arange(13_800_000_000, 13_800_000_060, dtype=float).reshape(6, 10),
    "ids": np.array(IDS[:20]),
    "study": {"subject": {"id_number": list(IDS[20:40])}, "n": 3.5},
    "cells": np.array([IDS[40], 1.5, np.zeros((2, 2))], object),
    "image": np.ones((20, 30), np.uint8),
    "wave": np.array([1 + 2j, 3.5]),
}


@pytest.mark.parametrize("packed", [False, True])
def test_what_scipy_reads_is_found(packed):
    content = mat(packed=packed, **VARIABLES)
    found = inspected(content, "a.mat")
    read = loadmat(io.BytesIO(content))
    assert found.inspectable
    assert found.coverage == ((0, len(content)),)
    assert counted(found)["cn_mobile"] == read["mobiles"].size
    assert (
        counted(found)["cn_resident_id"]
        == len(read["ids"]) + len(read["study"]["subject"][0, 0]["id_number"][0, 0]) + 1
    )


def test_sparse_arrays_and_secrecy_marks():
    from scipy.sparse import csc_array

    found = inspected(mat(s=csc_array(np.diag([13_812_345_678.0 + n for n in range(12)])), note="机密★10年"), "a.mat")
    assert found.inspectable
    assert found.level == "secret"
    assert counted(found)["cn_mobile"] == 12


@pytest.mark.parametrize("packed", [False, True])
def test_files_that_break_off_or_go_on(packed):
    content = mat(packed=packed, **VARIABLES)
    for cut in (1, 9, 100, len(content) // 2):
        assert not inspected(content[:-cut], "a.mat").inspectable
    assert not inspected(content + b"hidden", "a.mat").inspectable


def test_objects_are_held():
    content = bytearray(mat(a=1.5))
    content[116] = 1
    assert not inspected(bytes(content), "a.mat").inspectable


def test_flipped_bytes_raise_nothing():
    content = mat(**VARIABLES)
    for place in range(128, len(content), 37):
        flipped = bytearray(content)
        flipped[place] ^= 0xFF
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert inspected(bytes(flipped), "a.mat").size == len(content)
