"""R's data files as the package rdata writes them, and forms of R's own that it does not write, made by hand.

R wrote the same forms when this parser was made; the tests do not need it.
"""

from __future__ import annotations

import bz2
import gzip
import struct

import numpy as np
import pandas as pd
import pytest
import rdata

from tests.inspect.identities import counted, holds, inspected, people, resident_ids

PEOPLE = people(900)


def written(tmp_path, value, **options) -> bytes:
    rdata.write_rds(tmp_path / "a.rds", value, compression=None, **options)
    return (tmp_path / "a.rds").read_bytes()


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Texts as objects: the writer does not know pandas' own type yet."""
    return frame.astype({"id_number": object, "visit": float})


def test_a_data_frame_holds_what_rdata_reads(tmp_path):
    content = written(tmp_path, plain(PEOPLE))
    found = inspected(content, "a.rds")
    back = rdata.read_rds(tmp_path / "a.rds")
    assert holds(found, back)
    assert found.coverage == ((0, len(content)),)
    assert found.format == "rdata"


def test_workspaces_and_compression(tmp_path):
    rdata.write_rda(tmp_path / "a.rda", {"people": plain(PEOPLE), "note": "机密★10年"}, compression=None)
    content = (tmp_path / "a.rda").read_bytes()
    for form, suffix in ((content, ""), (gzip.compress(content), ".gz")):
        found = inspected(form, "a.RData" + suffix)
        assert holds(found, PEOPLE)
        assert found.level == "secret"
    assert not inspected(bz2.compress(content)[:-5], "a.RData").inspectable


def test_values_that_are_no_table(tmp_path):
    value = {
        "matrix": np.arange(13_800_000_000, 13_800_000_020, dtype=float).reshape(4, 5),
        "texts": list(resident_ids(9)),
        "one": "words",
    }
    found = inspected(written(tmp_path, value), "a.rds")
    assert found.inspectable
    assert counted(found)["cn_mobile"] == 20
    assert counted(found)["cn_resident_id"] == 9


# --- forms that R writes, by hand (R Internals 1.8) ---------------------------------------------------------------------


def number(value: int) -> bytes:
    return struct.pack(">i", value)


def chars(text: str) -> bytes:
    return number(0x00040009) + number(len(text.encode())) + text.encode()


def texts(*values: str, flags: int = 0x10) -> bytes:
    return number(flags) + number(len(values)) + b"".join(map(chars, values))


def integers(*values: int, flags: int = 0x0D) -> bytes:
    return number(flags) + number(len(values)) + b"".join(map(number, values))


def attribute(name: str, value: bytes) -> bytes:
    return number(0x402) + number(1) + chars(name) + value


END = number(254)
HEAD = b"X\n" + number(3) + number(0x40301) + number(0x30500) + number(5) + b"UTF-8"


def test_levels_that_no_cell_has_are_found():
    ids = resident_ids(50)
    factor = integers(1, 2, flags=0x30D) + attribute("levels", texts(*ids)) + attribute("class", texts("factor")) + END
    found = inspected(HEAD + factor, "a.rds")
    assert found.inspectable
    assert counted(found)["cn_resident_id"] == 50


def test_compact_sequences_and_wrapped_texts():
    info = number(2) + number(1) + chars("wrap_string") + number(2) + number(1) + chars("base") + END
    wrapped = number(238) + info + number(2) + texts(*resident_ids(5)) + number(2) + integers(0, 0) + END + END
    found = inspected(HEAD + wrapped, "a.rds")
    assert found.inspectable
    assert counted(found)["cn_resident_id"] == 5
    info = number(2) + number(1) + chars("compact_intseq") + number(2) + number(1) + chars("base") + END
    long = number(238) + info + number(0x0E) + number(3) + struct.pack(">3d", 1e12, 1, 1) + END
    assert not inspected(HEAD + long, "a.rds").inspectable


@pytest.mark.parametrize(
    "content",
    [
        HEAD + number(21) + bytes(40),  # byte code
        HEAD + integers(1, 2)[:-2],
        HEAD + number(0x0D) + number(2**31 - 1),
        HEAD + number(19) + number(1) + (number(19) + number(1)) * 5_000,
        b"X\n" + number(4) + bytes(40),
        HEAD + number(255 | 7 << 8),
        HEAD + END + b"hidden",
    ],
)
def test_what_is_not_understood_is_held(content):
    assert not inspected(content, "a.rds").inspectable
