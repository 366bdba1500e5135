"""The files the demo sends: real ones that other packages ship or write, and a table made for the purpose."""

from __future__ import annotations

import csv
import gzip
import struct
import zlib
from collections.abc import Callable
from importlib.resources import files
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gateway.core.errors import Unusable

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK = "10X98765432"
_AREAS = ("440305", "440304", "440106", "110105", "310104")


def penguins(folder: Path) -> None:
    """A public table that the package palmerpenguins ships (CC0): birds, no people."""
    folder.mkdir(parents=True, exist_ok=True)
    source = files("palmerpenguins") / "data" / "penguins.csv"
    (folder / "penguins.csv").write_bytes(source.read_bytes())
    (folder / "penguins.csv.gz").write_bytes(gzip.compress(source.read_bytes()))  # read as the table it holds
    (folder / "README.txt").write_text("Body measurements of penguins on three islands.\n", encoding="utf-8")


def scans(folder: Path) -> None:
    """Pictures (PNG) of the slices in DICOM files that the package pydicom ships; what pixels show, no parser reads."""
    from pydicom import dcmread  # noqa: PLC0415  # a second that most demos' starts need not wait for
    from pydicom.data import get_testdata_file  # noqa: PLC0415  # the same

    folder.mkdir(parents=True, exist_ok=True)
    for name in ("CT_small", "MR_small"):
        source = get_testdata_file(f"{name}.dcm")
        if source is None:
            raise Unusable(f"pydicom does not bring {name}.dcm: install it again")
        pixels = dcmread(str(source)).pixel_array.astype(float)
        grey = (255 * (pixels - pixels.min()) / (np.ptp(pixels) or 1)).astype(np.uint8)
        (folder / f"{name}.png").write_bytes(_png(grey))


def _png(grey: npt.NDArray[np.uint8]) -> bytes:
    """A greyscale picture (PNG, ISO/IEC 15948): header, one stream of unfiltered rows, end."""
    height, width = grey.shape
    rows = b"".join(b"\0" + row.tobytes() for row in grey)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    written = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


def genomes(folder: Path) -> None:
    """Variants of three people in a VCF that pysam (htslib) writes."""
    import pysam  # noqa: PLC0415  # only the demo and the tests have pysam

    folder.mkdir(parents=True, exist_ok=True)
    header = pysam.VariantHeader()
    header.add_line("##contig=<ID=chr1,length=248956422>")
    header.add_line("##contig=<ID=chr2,length=242193529>")
    header.formats.add("GT", 1, "String", "Genotype")
    for sample in ("HT-0001", "HT-0002", "HT-0003"):
        header.add_sample(sample)
    with pysam.VariantFile(str(folder / "cohort.vcf"), "w", header=header) as written:
        for number in range(200):
            record = header.new_record(
                contig="chr1", start=10_000 + 137 * number, alleles=("A", "G"), id=f"rs{number + 1}"
            )
            for index, sample in enumerate(header.samples):
                record.samples[sample]["GT"] = (0, (number + index) % 2)
            written.write(record)


def registry_of_patients(folder: Path, people: int) -> None:
    """A table of so many invented people with resident identity numbers and a diagnosis."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "patients.csv").open("w", encoding="utf-8", newline="") as opened:
        table = csv.writer(opened)
        table.writerow(["身份证号", "诊断", "入院日期"])
        for number in islice(_numbers(), people):
            table.writerow([number, "E11.9", "2026-03-02"])


def _numbers() -> list[str]:
    """Invented resident identity numbers with right check characters (GB 11643-1999), each once."""
    found = []
    for area in _AREAS:
        for year in range(1950, 1990):
            for serial in range(1, 101):
                body = f"{area}{year}0615{serial:03d}"
                total = sum(int(digit) * weight for digit, weight in zip(body, _WEIGHTS, strict=True))
                found.append(body + _CHECK[total % 11])
    return found


Maker = Callable[[Path], None]
