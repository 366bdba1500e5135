"""The files the demo sends: real ones that other packages ship or write, and a table made for the purpose."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from importlib.resources import files
from itertools import islice
from pathlib import Path

from gateway.core.errors import Unusable

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK = "10X98765432"
_AREAS = ("440305", "440304", "440106", "110105", "310104")


def penguins(folder: Path) -> None:
    """A public table that the package palmerpenguins ships (CC0): birds, no people."""
    folder.mkdir(parents=True, exist_ok=True)
    source = files("palmerpenguins") / "data" / "penguins.csv"
    (folder / "penguins.csv").write_bytes(source.read_bytes())
    (folder / "README.txt").write_text("Body measurements of penguins on three islands.\n", encoding="utf-8")


def scans(folder: Path) -> None:
    """DICOM files that the package pydicom ships: a format the gateway does not interpret yet."""
    from pydicom.data import get_testdata_file  # noqa: PLC0415  # only the demo and the tests have pydicom

    folder.mkdir(parents=True, exist_ok=True)
    for name in ("CT_small.dcm", "MR_small.dcm"):
        source = get_testdata_file(name)
        if source is None:
            raise Unusable(f"pydicom does not bring {name}: install the demo extra")
        shutil.copyfile(str(source), folder / name)


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
