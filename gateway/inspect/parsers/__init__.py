"""Which parser reads which format.

A parser is one function in one module of this folder:

    def inspect(source: Source, report: Report) -> None

It reads `source`, says what it covered and found to `report`, and raises `Unreadable` where it must give up; any other
exception counts as a malformed file. With `streams` it reads forward only (`read`, no seeking), to the end, and so works
on members of any size; without, a member is held in memory.

Modules are imported when first needed: a worker that reads one VCF does not load a workbook library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from gateway.core.signatures import Format


@dataclass(frozen=True)
class Parser:
    """Where a format's parser is.

    Attributes:
        module: Within this package.
        streams: Whether it reads forward only.
        function: In the module.
    """

    module: str
    streams: bool = False
    function: str = "inspect"

    def load(self) -> Callable[[Any, Any], None]:
        """The function itself."""
        found: Callable[[Any, Any], None] = getattr(import_module(f"{__name__}.{self.module}"), self.function)
        return found


# By the format's name (`core.signatures`, `core.formats`).
PARSERS: Final[Mapping[str, Parser]] = {
    # archives and compression
    "gzip": Parser("gzip", streams=True),
    "bgzf": Parser("gzip", streams=True),
    "zip": Parser("packages"),
    "jar": Parser("packages"),
    "bzip2": Parser("compressed", streams=True, function="inspect_bzip2"),
    "xz": Parser("compressed", streams=True, function="inspect_xz"),
    "zstd": Parser("compressed", streams=True, function="inspect_zstd"),
    "lz4": Parser("compressed", streams=True, function="inspect_lz4"),
    "tar": Parser("tar", streams=True),
    "rar": Parser("closed", function="inspect_rar"),
    "7z": Parser("seven"),
    "ole2": Parser("legacy"),
    # tables
    "parquet": Parser("parquet"),
    "orc": Parser("orc"),
    "arrow": Parser("arrow"),
    "arrow_stream": Parser("arrow", function="inspect_stream"),
    "feather": Parser("feather"),
    "avro": Parser("avro", streams=True),
    "sqlite": Parser("sqlite"),
    "stata": Parser("stata"),
    "spss": Parser("spss"),
    "spss_portable": Parser("portable", streams=True),
    "xport": Parser("xport"),
    "sas7bdat": Parser("sas7bdat"),
    "dbf": Parser("dbf"),
    "npy": Parser("npy"),
    "matlab": Parser("matlab"),
    "rdata": Parser("rdata", streams=True),
    # documents and images
    "docx": Parser("packages"),
    "xlsx": Parser("packages"),
    "pptx": Parser("packages"),
    "odf": Parser("packages"),
    "pdf": Parser("pdf"),
    "png": Parser("images", function="inspect_png"),
    "jpeg": Parser("images", function="inspect_jpeg"),
    "gif": Parser("images", function="inspect_gif"),
    "tiff": Parser("tiff"),
    # genomes
    "bam": Parser("bam", streams=True),
    "bcf": Parser("bcf", streams=True),
    "cram": Parser("cram", streams=True),
    "bai": Parser("genome_indexes", function="bai"),
    "csi": Parser("genome_indexes", function="csi"),
    "tbi": Parser("genome_indexes", function="tbi"),
    "plink_bed": Parser("genotypes", streams=True, function="bed"),
    "plink_pgen": Parser("genotypes", function="pgen"),
    "bgen": Parser("bgen", streams=True),
    "hdf5": Parser("hdf5"),
    "pod5": Parser("pod5"),
    "idat": Parser("arrays", function="idat"),
    "cel": Parser("arrays", function="cel"),
    # medical imaging and signals
    "dicom": Parser("dicom", streams=True),
    "nifti": Parser("nifti", streams=True),
    "edf": Parser("edf", streams=True),
    # places
    "shapefile": Parser("shapefile", streams=True),
    "las": Parser("las"),
    "geotiff": Parser("geotiff"),
    # models
    "safetensors": Parser("weights", streams=True),
    "gguf": Parser("weights", streams=True, function="inspect_gguf"),
    "onnx": Parser("onnx", streams=True),
    "pickle": Parser("pickles", streams=True),
    "torch": Parser("pickles", function="inspect_torch"),
    "npz": Parser("npz"),
}


def parser_of(format_: Format) -> Parser | None:
    """The parser of a format; None where there is none, and the file is uninspectable."""
    return PARSERS.get(format_.name)
