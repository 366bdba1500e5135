"""Headers of genomic text formats: whose genome, how many people, sequenced or typed on an array.

Sources: VCF 4.5 section 1.4 (meta-information) and 1.5 (header line), SAM 1.6 section 1.3. Only the header is
interpreted; the records below it are scanned as text like everything else.

A change must keep: what the header does not say counts as human, sequenced, and individual. Only a first chromosome
of a length that no human assembly has says otherwise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np

from gateway.core.detectors.lanes import Lanes

HEADER_CAP = 16 * 1024 * 1024  # bytes of one header line; VCF of half a million samples has about 5 MB
SAMPLES_CAP = 2_000_000  # far above any biobank
# First chromosome of GRCh38, GRCh37 and T2T-CHM13
_HUMAN_FIRST = {248_956_422, 249_250_621, 248_387_328}
_FIRST_NAMES = {"1", "chr1", "Chr1", "chromosome1"}
_HUMAN_ACCESSION = re.compile(r"NC_0000\d\d\.|CM0006\d\d\.|CP0682\d\d\.")
_CONTIG = re.compile(r"##contig=<.*?ID=([^,>]+)(?:.*?length=(\d+))?")
_ARRAY = re.compile(r"##FORMAT=<ID=(BAF|LRR)|##source=.*(GenomeStudio|gtc2vcf|array|Axiom|iaap)", re.IGNORECASE)
_LANES = re.compile(r"(_s\d+)?(_l\d{3})?(_[ri]?[12])?(_\d{3})?$")
SAMPLE_KIND = "genomic_sample"


@dataclass
class GenomeHeader:
    """Reads a VCF or SAM header as it streams by.

    Attributes:
        marker: First byte of header lines, `#` or `@`.
        done: The header has ended.
        human: False only where the header proves another species.
        array: Genotyped on an array, which is no sequencing.
        samples: Names of samples.
        overlong: The header passed HEADER_CAP or SAMPLES_CAP: what it says is not known.
    """

    marker: bytes
    done: bool = False
    human: bool = True
    array: bool = False
    overlong: bool = False
    samples: set[str] = field(default_factory=set)
    sites_only: bool = False
    _line: bytes = b""

    def feed(self, own: bytes) -> None:
        """The next bytes of the file."""
        if self.done:
            return
        *lines, self._line = (self._line + own).split(b"\n")
        for line in lines:
            self._take(line)
        if len(self._line) > HEADER_CAP or len(self.samples) > SAMPLES_CAP:
            self.overlong = self.done = True
            self._line = b""

    def finish(self) -> None:
        """A header without a last line end."""
        if not self.done:
            self._take(self._line)

    def _take(self, line: bytes) -> None:
        if self.done or not line.startswith(self.marker):
            self.done = True
            return
        text = line.decode("utf-8", "replace").rstrip("\r")
        if text.startswith("#CHROM"):
            columns = text.split("\t")
            self.samples.update(columns[9:])
            self.sites_only = len(columns) <= 9
            self.done = True
        elif text.startswith("##"):
            self._meta(text)
        elif text.startswith(("@SQ", "@RG")):
            self._sam(dict(part.partition(":")[::2] for part in text.split("\t")[1:]))

    def _meta(self, text: str) -> None:
        contig = _CONTIG.match(text)
        if contig:
            self._contig(contig[1], _length(contig[2] or ""))
        self.array = self.array or _ARRAY.match(text) is not None

    def _sam(self, tags: dict[str, str]) -> None:
        if "SN" in tags:
            self._contig(tags["SN"], _length(tags.get("LN", "")))
        if tags.get("SM"):
            self.samples.add(tags["SM"])

    def _contig(self, name: str, length: int) -> None:
        first = name in _FIRST_NAMES and not _HUMAN_ACCESSION.match(name)
        if first and length and length not in _HUMAN_FIRST:
            self.human = False


def _length(text: str) -> int:
    return int(text) if len(text) <= 12 and text.isdecimal() else 0


def sample_values(names: set[str]) -> Lanes:
    """Sorted 64-bit BLAKE2b of sample names: unique within a project only, see `persons.keyed_digests`."""
    values = {int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big") for name in names}
    return np.array(sorted(values), np.uint64)


def sample_of_path(path: str) -> str:
    """Sample that a FASTQ belongs to by its name: both reads, all lanes and chunks of one sample agree."""
    stem = path.replace("\\", "/").rpartition("/")[2].lower()
    stem = re.sub(r"(\.(fastq|fq|fasta|fa|fna|sam|gz|bgz|txt))+$", "", stem)
    return _LANES.sub("", stem) or stem
