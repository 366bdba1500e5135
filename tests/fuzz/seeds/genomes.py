"""Alignments, variants, genotypes, cells, arrays, signals of pores."""

from __future__ import annotations

import gzip
import struct
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import h5py
import numpy as np
import pysam

from tests.inspect import test_hdf5, test_pod5
from tests.inspect.test_alignments import MODES, written
from tests.inspect.test_chips import cel4, console, idat
from tests.inspect.test_genotypes import bgen, variants


def _alignments(form: str) -> Iterator[bytes]:
    mode, options = MODES[form]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield written(folder, mode, options=options, count=12, comment="words", tag="words")
        yield written(folder, mode, options=options, count=3, samples=(), length=0)


def _bam() -> Iterator[bytes]:
    for content in _alignments("bam"):
        yield content
        yield gzip.decompress(content)  # bare, for mutation; the target puts it into blocks again
    with tempfile.TemporaryDirectory() as folder:
        yield written(Path(folder), "wbu", count=3)


def _cram() -> Iterator[bytes]:
    for form in ("cram 2.1", "cram 3.0", "cram 3.1"):
        yield from _alignments(form)


def _bcf() -> Iterator[bytes]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield variants(folder, "wb", count=6, note="words")
        yield gzip.decompress(variants(folder, "wb", count=6, note="words"))
        yield variants(folder, "wb0", count=3)
        yield variants(folder, "wb", samples=(), alleles=8, count=3, lines=["##PEDIGREE=<ID=P3,Father=P1>"])


def _indexes() -> Iterator[bytes]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for index, options in (("bai", []), ("csi", ["-c"])):
            (folder / "x.bam").write_bytes(written(folder, count=12))
            pysam.index(str(folder / "x.bam"), *options)
            yield (folder / f"x.bam.{index}").read_bytes()
        for index, csi in (("tbi", False), ("csi", True)):
            (folder / "x.vcf.gz").write_bytes(variants(folder, "wz", count=12))
            pysam.tabix_index(str(folder / "x.vcf.gz"), preset="vcf", force=True, csi=csi)
            yield (folder / f"x.vcf.gz.{index}").read_bytes()
            yield gzip.decompress((folder / f"x.vcf.gz.{index}").read_bytes())


def _genotypes() -> Iterator[bytes]:
    yield b"\x6c\x1b\x01" + b"\xe4" * 40
    yield b"\x6c\x1b\x00" + b"\xe4" * 10
    for mode, width in ((2, 2), (3, 12), (4, 22)):
        yield b"\x6c\x1b" + bytes([mode]) + struct.pack("<IIB", 7, 5, 0x40) + bytes(7 * width)
    sites, people = 4, 5  # variable width: index of one block, record types of four bits, lengths of a byte
    index = struct.pack("<Q", 12 + 8 + 2 + sites) + bytes(2) + bytes([2] * sites)
    yield b"\x6c\x1b\x10" + struct.pack("<IIB", sites, people, 0x40) + index + b"\xe4\0" * sites


def _bgen() -> Iterator[bytes]:
    for packing in (0, 1, 2):
        yield bgen(packing=packing, note=b"words")
        yield bgen((), samples=3, packing=packing, sites=2)
    words = b"".join(struct.pack("<H", len(w)) + w for w in (b"v1", b"rs1", b"1"))
    site = struct.pack("<I", 2) + words + struct.pack("<I", 9) + 2 * (struct.pack("<I", 1) + b"A")
    header = struct.pack("<IIII", 20, 20, 1, 2) + b"bgen" + struct.pack("<I", 1 << 2)  # layout 1, plain
    yield header + site + struct.pack("<6H", 32768, 0, 0, 0, 32768, 0)


def _hdf5() -> Iterator[bytes]:
    for version in ("earliest", "latest"):
        for case in test_hdf5.CASES.values():
            yield test_hdf5.written(case, libver=version)
    yield test_hdf5.written(_cells)
    yield test_hdf5.written(_links)
    yield test_hdf5.written(_reads)


def _cells(file: h5py.File) -> None:
    file.attrs["encoding-type"] = "anndata"
    obs, var = file.create_group("obs"), file.create_group("var")
    obs.attrs["_index"] = var.attrs["_index"] = "_index"
    obs.create_dataset("_index", data=np.array([b"c1", b"c2"]))
    var.create_dataset("_index", data=np.array(test_hdf5.GENES[:2], "S"))
    test_hdf5.categorical(obs, "donor_id", ["D1", "D2"])
    file.create_dataset("X", data=np.ones((2, 2), np.float32), chunks=(1, 2), compression="gzip", fletcher32=True)


def _links(file: h5py.File) -> None:
    inner = file.create_group("a/b")
    inner["soft"] = h5py.SoftLink("/a/b/soft")
    inner["hard"] = file["/"]
    inner["far"] = h5py.ExternalLink("other.h5", "/x")
    file.create_dataset("lzf", data=np.arange(100), chunks=(10,), compression="lzf", maxshape=(None,))
    file.create_dataset("refs", data=np.array([inner.ref], h5py.ref_dtype), dtype=h5py.ref_dtype)
    file.create_dataset("lists", (1,), dtype=h5py.vlen_dtype(np.int32))[0] = [1, 2, 3]


def _reads(file: h5py.File) -> None:
    read = file.create_group("read_00000001")
    read.create_group("tracking_id").attrs["sample_id"] = "S1"
    signal = np.arange(300, 400, dtype=np.int16)
    read.create_group("Raw").create_dataset("Signal", data=signal, compression="gzip")


def _pod5() -> Iterator[bytes]:
    yield test_pod5.CONTENT


def _arrays() -> Iterator[bytes]:
    yield idat(probes=4, note="words")
    yield cel4("words", (2, 2))
    yield console("words", 2)


SEEDS: Final[Mapping[str, Callable[[], Iterator[bytes]]]] = {
    "bam": _bam,
    "cram": _cram,
    "bcf": _bcf,
    "genome_indexes": _indexes,
    "genotypes": _genotypes,
    "bgen": _bgen,
    "hdf5": _hdf5,
    "pod5": _pod5,
    "arrays": _arrays,
}
