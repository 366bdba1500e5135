"""Headers of genomic text formats: whose genome, how many people, sequenced or typed on an array.

Sources: VCF 4.5 section 1.4 (meta-information) and 1.5 (header line), SAM 1.6 section 1.3. Only the header is
interpreted; the records below it are scanned as text like everything else.

A change must keep: what the header does not say counts as human, sequenced, and individual. Only a first chromosome
says otherwise, of a length far from the human one, where no other contig has a human length or accession.
"""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Protocol

import numpy as np

from gateway.core.classify.findings import Finding, Hgr
from gateway.core.detectors.lanes import Lanes

HEADER_CAP = 16 * 1024 * 1024  # bytes of one header line; VCF of half a million samples has about 5 MB
SAMPLES_CAP = 2_000_000  # far above any biobank
# Chromosomes 1 to 22, X, Y of GRCh38 and GRCh37; of T2T-CHM13 only the first
_HUMAN = dict(zip((*map(str, range(1, 23)), "x", "y"), zip(
    (248956422, 242193529, 198295559, 190214555, 181538259, 170805979, 159345973, 145138636, 138394717, 133797422, 135086622,
     133275309, 114364328, 107043718, 101991189, 90338345, 83257441, 80373285, 58617616, 64444167, 46709983, 50818468,
     156040895, 57227415),
    (249250621, 243199373, 198022430, 191154276, 180915260, 171115067, 159138663, 146364022, 141213431, 135534747, 135006516,
     133851895, 115169878, 107349540, 102531392, 90354753, 81195210, 78077248, 59128983, 63025520, 48129895, 51304566,
     155270560, 59373566), strict=True), strict=True))  # fmt: skip
_LENGTHS = [length for pair in _HUMAN.values() for length in pair] + [248_387_328]
_NEAR = 0.01  # of the human chromosome of the same name: an edited header; the mouse stays 1.4 % away or more
_SAME = 0.0001  # of any human chromosome, whatever the contig is called
_SHORTEST_FIRST = 1_000_000  # a shorter first chromosome is no proof of another species
_HUMAN_ACCESSION = re.compile(
    r"NC_0000\d\d|CM0006\d\d|CP0682\d\d|HLA|hs37|.*(?:GRCh|T2T|CHM13|human|sapiens)", re.IGNORECASE
)
_HUMAN_ASSEMBLY = re.compile(r"grch3|\bhg(?:19|38)|hs37|t2t|chm13|human|sapiens", re.IGNORECASE)
_CONTIG = re.compile(r"##contig=<.*?ID=([^,>]+)(?:.*?length=(\d+))?")
_ARRAY = re.compile(r"##FORMAT=<ID=(BAF|LRR)|##source=.*(GenomeStudio|gtc2vcf|array|Axiom|iaap)", re.IGNORECASE)
_PEDIGREE = re.compile(r"##PEDIGREE=<.*?(?:Father|Mother)=", re.IGNORECASE)
_LANES = re.compile(r"(_s\d+)?(_l\d{3})?(_[ri]?[12])?(_\d{3})?$")
_ALLELES = re.compile(rb"[\t;]AN=(\d{1,12})")
_ASKED = (
    4 * 1024 * 1024
)  # bytes of records in which the number of alleles is looked up: it says the same all over a file
SAMPLE_KIND = "genomic_sample"


@dataclass(frozen=True)
class Told:
    """What a genetic format says of people.

    Attributes:
        hgr: Genetic resource information.
        names: Of its subjects, unique within the project; fewer than `hgr.subjects` where some have none.
        findings: Besides the genetic data themselves.
    """

    hgr: Hgr = field(default_factory=Hgr)
    names: frozenset[str] = frozenset()
    findings: tuple[Finding, ...] = ()


NOTHING_TOLD = Told()


class GenomeReader(Protocol):
    """Reads of a genetic text format who is in it, as it streams by.

    Attributes:
        overlong: It met more than it keeps: what it says is not known.
    """

    overlong: bool

    def feed(self, own: memoryview) -> None:
        """The next bytes."""

    def finish(self) -> None:
        """There are no more."""

    def told(self, path: str) -> Told:
        """Who is in it; `path` names the subject of a file that names none."""


@dataclass
class GenomeHeader:
    """Reads a VCF or SAM header as it streams by.

    Attributes:
        marker: First byte of header lines, `#` or `@`.
        done: The header has ended.
        array: Genotyped on an array, which is no sequencing.
        samples: Names of samples.
        overlong: The header passed HEADER_CAP or SAMPLES_CAP: what it says is not known.
        sites_only: It has no samples at all.
        alleles: Most called alleles (INFO AN) of records without samples: twice the persons behind the frequencies.
        pedigree: It tells who descends from whom (VCF 4.5 section 1.4.10).
    """

    marker: bytes
    done: bool = False
    array: bool = False
    overlong: bool = False
    samples: set[str] = field(default_factory=set)
    sites_only: bool = False
    pedigree: bool = False
    alleles: int = 0
    _asked: int = 0
    _line: bytes = b""
    _foreign: bool = False  # a first chromosome of no human length
    _native: bool = False  # something human

    @property
    def human(self) -> bool:
        """False only where the header proves another species."""
        return self._native or not self._foreign

    def feed(self, own: memoryview) -> None:
        """The next bytes of the file."""
        if self.done:
            self._count_alleles(own)
            return
        text, at = self._line + own, 0
        while not self.done and (end := text.find(b"\n", at)) >= 0:
            self._take(text[at:end])
            at = end + 1
        self._line = text[at:]
        self._settle()
        if len(self._line) > HEADER_CAP or len(self.samples) > SAMPLES_CAP:
            self.overlong = self.done = True
            self._line = b""

    def _settle(self) -> None:
        if self.done:
            self._count_alleles(self._line)
            self._line = b""

    def finish(self) -> None:
        """A header without a last line end."""
        if not self.done:
            self._take(self._line)

    def told(self, path: str) -> Told:
        """Samples, or of a file without them the persons behind its frequencies."""
        if not self.human:
            return Told(findings=(Finding("genomic_data", "header: not human by its first chromosome", 1, 1, "weak"),))
        found: tuple[Finding, ...] = (Finding("pedigree", "header", 1, 1, "strong"),) if self.pedigree else ()
        if self.sites_only:
            behind = max(self.alleles // 2, 1)
            place = "sites only: persons behind the frequencies, by AN/2"
            found += (Finding("genomic_data", place, behind, behind, "strong"),)
            return Told(Hgr(information=True, aggregate_only=True), frozenset(), found)
        names = frozenset(self.samples or {sample_of_path(path)})
        sequenced = 0 if self.array else len(names)
        return Told(Hgr(information=True, sequencing_subjects=sequenced, subjects=len(names)), names, found)

    def _count_alleles(self, records: memoryview | bytes) -> None:
        if self.sites_only and self._asked < _ASKED:
            self._asked += len(records)
            self.alleles = max([self.alleles, *(int(number) for number in _ALLELES.findall(records))])

    def _take(self, line: bytes) -> None:
        if not line.strip() and not self.done:
            return
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
        self._native = self._native or _HUMAN_ASSEMBLY.search(text) is not None
        if contig:
            self._contig(contig[1], _length(contig[2] or ""))
        self.pedigree = self.pedigree or _PEDIGREE.match(text) is not None
        self.array = self.array or _ARRAY.match(text) is not None

    def _sam(self, tags: dict[str, str]) -> None:
        if "SN" in tags:
            self._contig(tags["SN"], _length(tags.get("LN", "")))
        if tags.get("SM"):
            self.samples.add(tags["SM"])

    def _contig(self, name: str, length: int) -> None:
        plain = re.sub(r"^(?:chromosome|chr)?_?0?", "", name.lower())
        near = any(abs(length - human) <= _NEAR * human for human in _HUMAN.get(plain, ()))
        same = any(abs(length - human) <= _SAME * human for human in _LENGTHS)
        self._native = self._native or near or same or _HUMAN_ACCESSION.match(name) is not None
        self._foreign = self._foreign or (plain == "1" and length >= _SHORTEST_FIRST and not near)


def _length(text: str) -> int:
    return int(text) if len(text) <= 12 and text.isdecimal() else 0


def sample_values(names: AbstractSet[str]) -> Lanes:
    """Sorted 64-bit BLAKE2b of sample names: unique within a project only, see `persons.keyed_digests`."""
    values = {int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big") for name in names}
    return np.array(sorted(values), np.uint64)


def sample_of_path(path: str) -> str:
    """Sample that a FASTQ belongs to by its name: both reads, all lanes and chunks of one sample agree."""
    stem = path.replace("\\", "/").rpartition("/")[2].lower()
    stem = re.sub(r"(\.(fastq|fq|fasta|fa|fna|sam|bam|cram|vcf|bcf|bgen|fast5|pod5|idat|cel|gz|bgz|txt))+$", "", stem)
    return _LANES.sub("", stem) or stem
