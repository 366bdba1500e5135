"""HDF5: single cells, signals and anything else, written by h5py in the layouts of the field's tools."""

from __future__ import annotations

import io
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.inspect.objects import inspect_file
from gateway.inspect.source import MemoryStore
from gateway.stores.detectors import load_detector_tables

IDENTITIES = ["11010519491231002X", "440300199001011238"]
GENES = [f"ENSG{number:011d}" for number in range(200)]
MICE = [f"ENSMUSG{number:011d}" for number in range(200)]
CELLS = 600


def inspected(content: bytes, path: str = "x.h5"):
    return inspect_file(MemoryStore(content), path, load_detector_tables())


def kinds(found) -> set[str]:
    return {f.kind for f in found.findings if f.confidence == "strong"}


def written(fill, **options) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", **options) as file:
        fill(file)
    return buffer.getvalue()


def categorical(group, name: str, values: list[str]) -> None:
    """As AnnData writes a categorical column."""
    names = sorted(set(values))
    column = group.create_group(name)
    column.attrs["encoding-type"] = "categorical"
    column.create_dataset("categories", data=np.array(names, object), dtype=h5py.string_dtype())
    column.create_dataset("codes", data=np.array([names.index(v) for v in values], np.int8))


def h5ad(donors: list[str], *, genes=GENES, column="donor_id", extra=None, compression="gzip"):
    def fill(file):
        file.attrs["encoding-type"] = "anndata"
        counts = np.random.default_rng(0).poisson(0.2, (CELLS, len(genes))).astype(np.float32)
        file.create_dataset("X", data=counts, compression=compression, chunks=(100, 50))
        obs, var = file.create_group("obs"), file.create_group("var")
        obs.attrs["_index"] = var.attrs["_index"] = "_index"
        obs.create_dataset(
            "_index", data=np.array([f"CELL{n}-1" for n in range(CELLS)], object), dtype=h5py.string_dtype()
        )
        var.create_dataset("_index", data=np.array(genes, object), dtype=h5py.string_dtype())
        if donors:
            categorical(obs, column, [donors[n % len(donors)] for n in range(CELLS)])
        obs.create_dataset("n_counts", data=counts.sum(axis=1))
        if extra:
            extra(file)

    return fill


@pytest.mark.parametrize("column", ["donor_id", "Patient", "sample", "subject", "individual"])
@pytest.mark.parametrize("compression", ["gzip", "lzf", None])
def test_cells_are_counted_by_their_donors(column, compression):
    donors = [f"D{n}" for n in range(7)]
    content = written(h5ad(donors, column=column, compression=compression))
    found = inspected(content, "cells.h5ad")
    assert found.inspectable, found.findings
    assert found.format == "h5ad"
    assert (found.hgr.subjects, found.hgr.sequencing_subjects, found.persons.sensitive) == (7, 0, 7)
    assert found.coverage == ((0, len(content)),)


def test_whose_cells_they_are():
    assert not inspected(written(h5ad(["m1", "m2"], genes=MICE)), "m.h5ad").hgr.information

    def taxon(term):
        return lambda file: categorical(file["obs"], "organism_ontology_term_id", [term] * CELLS)

    plain = [f"gene{n}" for n in range(200)]
    assert inspected(written(h5ad(["d"], genes=plain)), "a.h5ad").hgr.subjects == 1  # nothing says: human
    assert inspected(written(h5ad(["d"], genes=plain, extra=taxon("NCBITaxon:9606"))), "a.h5ad").hgr.subjects == 1
    assert not inspected(written(h5ad(["d"], genes=plain, extra=taxon("NCBITaxon:10090"))), "a.h5ad").hgr.information
    assert inspected(
        written(h5ad(["d"], extra=taxon("NCBITaxon:10090"))), "a.h5ad"
    ).hgr.information  # human genes all the same
    assert inspected(written(h5ad([])), "a.h5ad").hgr.subjects == 1  # nobody named: one


def test_a_column_of_identities_counts_people_not_cells():
    found = inspected(written(h5ad(IDENTITIES, column="身份证号")), "cells.h5ad")
    assert found.inspectable, found.findings
    assert "cn_resident_id" in kinds(found)
    assert found.persons.sensitive <= 2 + 1  # two by number, and the file's nameless donor
    assert found.persons.sensitive + found.persons.nonsensitive < CELLS


def test_loom():
    def fill(file):
        file.create_dataset("matrix", data=np.ones((200, 60), np.float32), chunks=(64, 32), compression="gzip")
        file.create_group("layers")
        rows, columns = file.create_group("row_attrs"), file.create_group("col_attrs")
        rows.create_dataset("Accession", data=np.array(GENES, object), dtype=h5py.string_dtype())
        columns.create_dataset("CellID", data=np.array([f"c{n}" for n in range(60)], object), dtype=h5py.string_dtype())
        columns.create_dataset(
            "Donor", data=np.array([f"D{n % 4}" for n in range(60)], object), dtype=h5py.string_dtype()
        )

    found = inspected(written(fill), "x.loom")
    assert (found.inspectable, found.format, found.hgr.subjects, found.hgr.sequencing_subjects) == (True, "loom", 4, 0)


def tenx(genome: str, libraries=()):
    def fill(file):
        if libraries:
            file.attrs["library_ids"] = np.array(libraries, "S")
        matrix = file.create_group("matrix")
        matrix.create_dataset("barcodes", data=np.array([b"ACGTACGTACGTACGT-1", b"ACGTACGTACGTACGA-1"]))
        for name in ("data", "indices", "indptr", "shape"):
            matrix.create_dataset(name, data=np.arange(3))
        features = matrix.create_group("features")
        features.create_dataset("id", data=np.array(GENES if genome == "GRCh38" else MICE, "S"))
        features.create_dataset("genome", data=np.array([genome] * 200, "S"))

    return written(fill)


def test_10x():
    found = inspected(tenx("GRCh38"), "a/filtered_feature_bc_matrix.h5")
    assert (found.inspectable, found.format, found.hgr.subjects) == (True, "10x_h5", 1)
    assert inspected(tenx("GRCh38", ["L1", "L2"]), "a.h5").hgr.subjects == 2
    assert not inspected(tenx("mm10"), "a.h5").hgr.information
    other = inspected(tenx("GRCh38"), "b/filtered_feature_bc_matrix.h5")
    assert not np.array_equal(found.identifiers.values["genomic_sample"], other.identifiers.values["genomic_sample"])


def test_fast5():
    def fill(file):
        for number in range(6):
            read = file.create_group(f"read_{number:08d}")
            read.create_group("tracking_id").attrs["sample_id"] = f"S{number % 2}"
            raw = read.create_group("Raw")
            raw.create_dataset(
                "Signal", data=np.random.default_rng(0).integers(300, 700, 2000, np.int16), compression="gzip"
            )

    found = inspected(written(fill), "x.fast5")
    assert found.inspectable, found.findings
    assert (found.format, found.hgr.subjects, found.hgr.sequencing_subjects) == ("fast5", 2, 2)


def table(file):
    rows = np.array([(i, b"x", 20) for i in (IDENTITIES[0].encode(), IDENTITIES[1].encode())],
                    dtype=[("id_number", "S18"), ("word", "S5"), ("n", "i4")])  # fmt: skip
    file.create_dataset("people", data=rows)


CASES = {
    "compound": table,
    "fixed": lambda file: file.create_dataset("id_number", data=np.array(IDENTITIES, "S18")),
    "variable": lambda file: file.create_dataset("id_number", data=np.array(IDENTITIES, object), dtype=h5py.string_dtype()),
    "compressed": lambda file: file.create_dataset(
        "id_number", data=np.array(IDENTITIES * 50, "S18"), chunks=(10,), compression="gzip", shuffle=True
    ),
    "scalar": lambda file: file.create_dataset("note", data="身份证 " + IDENTITIES[0]),
    "attribute": lambda file: file.attrs.__setitem__("note", " and ".join(IDENTITIES)),
    "attributes": lambda file: file.attrs.__setitem__("ids", np.array(IDENTITIES, "S18")),
    "numbers": lambda file: file.create_dataset("身份证号", data=np.array([int(IDENTITIES[1])] * 3, np.int64)),
    "bytes": lambda file: file.create_dataset("raw", data=np.frombuffer("\n".join(IDENTITIES).encode(), np.uint8)),
    "opaque": lambda file: file.create_dataset("raw", data=np.void(b"\0\1" + "\n".join(IDENTITIES).encode() + b"\2")),
    "names": lambda file: [file.create_group(f"p/{i}") for i in IDENTITIES],
    "two dimensions": lambda file: file.create_dataset("t", data=np.array([IDENTITIES] * 3, "S18")),
    "deep": lambda file: file.create_dataset("/".join("abcdefghij") + "/ids", data=np.array(IDENTITIES, "S18")),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_identifiers_are_found_wherever_they_lie(case, libver):
    found = inspected(written(CASES[case], libver=libver))
    assert found.inspectable, found.findings
    assert "cn_resident_id" in kinds(found), found.findings
    assert not found.hgr.information


def test_what_lies_in_another_file_is_not_followed(tmp_path):
    (tmp_path / "other.bin").write_bytes(bytes(80))
    cases = [
        lambda file: file.__setitem__("l", h5py.ExternalLink("/etc/passwd", "/x")),
        lambda file: file.create_dataset("e", (10,), "i8", external=[(str(tmp_path / "other.bin"), 0, 80)]),
        lambda file: file.create_virtual_dataset("v", _layout()),
    ]
    for case in cases:
        found = inspected(written(case))
        assert not found.inspectable
        assert found.level == "unknown"


def _layout():
    layout = h5py.VirtualLayout(shape=(4,), dtype="i4")
    layout[:] = h5py.VirtualSource("other.h5", "x", shape=(4,))
    return layout


def test_an_unknown_filter_is_unreadable():
    content = bytearray(
        written(lambda file: file.create_dataset("x", data=np.arange(1000), chunks=(100,), compression="lzf"))
    )
    for at in range(len(content) - 2):  # 32000 as it stands in the filter pipeline message
        if content[at : at + 2] == (32000).to_bytes(2, "little"):
            content[at : at + 2] = (32001).to_bytes(2, "little")
    assert not inspected(bytes(content)).inspectable


def test_links_in_a_circle_and_a_shape_of_nothing():
    def fill(file):
        inner = file.create_group("a/b")
        inner["up"] = file["/"]
        inner["soft"] = h5py.SoftLink("/a/b/soft")
        file.create_dataset("huge", (10**6, 10**6, 10), "f8", chunks=(100, 100, 10), compression="gzip")
        file.create_dataset("none", data=h5py.Empty("f4"))
        file.create_dataset("no rows", (0, 3), "f4")

    assert inspected(written(fill)).inspectable


def test_what_was_deleted_is_still_there():
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_dataset("gone", data=np.array([b"words" * 2000] * 3))
        file.create_dataset("keep", data=np.arange(1000))
    with h5py.File(buffer, "a") as file:
        del file["gone"]
    found = inspected(buffer.getvalue())
    assert b"wordswords" in buffer.getvalue()
    assert not found.inspectable
    assert "gap" in kinds(found)


def test_cut_off_and_added_to():
    content = written(h5ad(["a", "b"]))
    for cut in (1, 100, len(content) // 2, len(content) - 60):
        found = inspected(content[:-cut], "x.h5ad")
        assert not found.inspectable, cut
    found = inspected(content + b"PK\x03\x04 hidden", "x.h5ad")
    assert not found.inspectable
    assert f"bytes {len(content)}-{len(content) + 11}" in {f.where for f in found.findings if f.kind == "gap"}


def test_a_heap_without_an_end_does_not_turn_the_library_in_a_circle():
    content = bytearray(written(CASES["variable"]))
    at = content.index(b"GCOL") + 16
    for _ in range(len(IDENTITIES)):
        at += 16 + (int.from_bytes(content[at + 8 : at + 16], "little") + 7) // 8 * 8
    content[at + 8 : at + 16] = bytes(8)  # size of the free space behind the last string
    found = inspected(bytes(content))
    assert not found.inspectable
    assert any("heap" in f.where for f in found.findings)


@pytest.mark.parametrize("chunks", [None, (1,)])
def test_a_value_longer_than_its_file_is_not_made_room_for(chunks):
    def fill(file):
        values = np.array(IDENTITIES, object)
        file.create_dataset("id_number", data=values, dtype=h5py.string_dtype(), chunks=chunks)

    content = bytearray(written(fill))
    collection = content.index(b"GCOL").to_bytes(8, "little")
    at = content.index(collection + (1).to_bytes(4, "little")) - 4  # the reference to the first value
    assert int.from_bytes(content[at : at + 4], "little") == len(IDENTITIES[0])
    content[at : at + 4] = (1 << 30).to_bytes(4, "little")
    found = inspected(bytes(content))
    assert not found.inspectable
    assert any("longer than its file" in f.where for f in found.findings)


def test_a_shape_larger_than_what_is_stored():
    content = bytearray(written(lambda file: file.create_dataset("x", (3, 1), "i8", data=[[1], [2], [3]])))
    shape = (3).to_bytes(8, "little") + (1).to_bytes(8, "little")
    at = content.index(shape)
    content[at : at + 8] = (1 << 45).to_bytes(8, "little")
    assert not inspected(bytes(content)).inspectable


def test_signals_under_vbz():
    content = (Path(__file__).parent / "samples" / "vbz.fast5").read_bytes()
    found = inspected(content, "vbz.fast5")
    assert found.inspectable, found.findings
    assert (found.format, found.hgr.subjects, found.hgr.sequencing_subjects) == ("fast5", 2, 2)
    at = content.index(b"\x28\xb5\x2f\xfd")
    assert not inspected(content[:at] + b"\0" + content[at + 1 :], "vbz.fast5").inspectable


def test_text_beside_structures_is_seen():
    content = bytearray(written(lambda file: file.create_group("g")))
    at = content.index(b"HEAP") + 60  # free space of a local heap
    hidden = "\n".join(IDENTITIES).encode()
    content[at : at + len(hidden)] = hidden
    found = inspected(bytes(content))
    assert "cn_resident_id" in {f.kind for f in found.findings} or not found.inspectable


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 1 << 20), value=st.integers(0, 255), cut=st.integers(0, 1 << 20))
def test_whatever_happens_to_the_file_ends_as_a_finding(at, value, cut):
    content = bytearray(SMALL)
    content[at % len(content)] = value
    inspected(bytes(content), "x.h5ad")
    short = SMALL[: cut % len(SMALL)]
    assert not short or not inspected(short, "x.h5ad").inspectable


SMALL = written(lambda file: (table(file), CASES["compressed"](file), CASES["attribute"](file)))
