"""Matrices of genes and samples: GCT, Matrix Market, tables with a gene a row; reports of genotyping arrays.

Sources: GCT 1.2 and 1.3 (GenePattern file formats), Matrix Market exchange format (NIST), GENCODE and Ensembl stable ids,
Illumina GenomeStudio final report. Whether a transcriptome is human genetic resource information is unsettled; it is treated
as such, individual, and not as exome or genome sequencing. Samples are the columns. Columns may be cells: cells are no people.

What the rows do not say counts as human; only ids of another species (ENSMUSG...) say otherwise.
"""

from __future__ import annotations

import re
import string
from typing import Final

from gateway.core.classify.findings import Finding, Hgr
from gateway.core.classify.genomes import HEADER_CAP, Told, sample_of_path

_ROWS: Final = 256  # lines by which a table is judged
_HEAD: Final = 4 * 1024 * 1024  # bytes of them, unless the first line alone is longer
_ACROSS: Final = 10  # known symbols of genes that head columns
_DOWN: Final = 3  # that begin rows
_HUMAN_GENE: Final = re.compile(r"ENS[GT]\d{11}(?:\D|$)")
_OTHER_GENE: Final = re.compile(r"ENS[A-Z]{3,4}[GT]\d{11}(?:\D|$)|FBgn\d{7}|WBGene\d{8}|Y[A-P][LR]\d{3}[WC]")
_SYMBOLS: Final = frozenset({
    "A1BG", "A2M", "AAAS", "AACS", "TSPAN6", "TNMD", "DPM1", "SCYL3", "FIRRM", "FGR", "CFH", "FUCA2", "GCLC", "NFYA",
    "DDX11L1", "DDX11L2", "WASH7P", "MIR6859-1", "MIR1302-2HG", "OR4F5", "SAMD11", "NOC2L", "KLHL17", "ISG15", "AGRN",
    "ACTB", "GAPDH", "TP53", "EGFR", "KRAS", "BRAF", "BRCA1", "BRCA2", "MYC", "PTEN", "RB1", "APC", "CDK4", "CDKN2A",
    "ERBB2", "PIK3CA", "ALK", "ROS1", "MET", "VEGFA", "TNF", "IL6", "IL1B", "IL10", "CD3D", "CD3E", "CD4", "CD8A",
    "CD19", "MS4A1", "CD14", "LYZ", "NKG7", "GNLY", "PPBP", "FCGR3A", "CST3", "HLA-A", "HLA-B", "HLA-C", "HLA-DRA",
    "B2M", "TUBB", "TBP", "HPRT1", "RPLP0", "RPL13A", "RPS18", "PGK1", "PPIA", "UBC", "YWHAZ", "SDHA", "GUSB", "TFRC",
    "MKI67", "PCNA", "ESR1", "PGR", "AR", "CDH1", "VIM", "FN1", "COL1A1", "APOE", "APP", "MAPT", "SNCA", "LRRK2",
    "CFTR", "DMD", "HBB", "HBA1", "F8", "MT-CO1", "MT-ND1", "MALAT1", "XIST",
})  # fmt: skip
_GENE_HEADS: Final = frozenset({
    "", "ensembl", "ensemblgeneid", "ensemblid", "feature", "gene", "geneid", "genename", "genes", "genesymbol",
    "hgnc", "hgncsymbol", "hugosymbol", "id", "index", "name", "symbol", "transcriptid",
})  # fmt: skip
_ABOUT_GENES: Final = frozenset({
    "chr", "chrom", "chromosome", "start", "end", "strand", "length", "effectivelength", "entrezid", "ncbigeneid",
    "hgncid", "basemean", "log2foldchange", "logfc", "foldchange", "lfcse", "stat", "pvalue", "pval", "padj",
    "adjpvalue", "adjpval", "fdr", "qvalue", "t", "b", "aveexpr", "avgexpr", "logcpm", "lr", "f", "score", "rank",
    "nes", "es", "mean", "variance", "sd", "pctone", "pct1", "pct2", "avglog2fc", "avglogfc", "pvaladj", "cluster",
})  # fmt: skip
_MEASURES: Final = re.compile(r"[._ -](?:fpkm|tpm|rpkm|counts?|cpm|raw|expected_count|unstranded)$", re.IGNORECASE)
_BARCODE: Final = re.compile(r"(?:.*[_:#])?[ACGT]{12,24}(?:[-_.]\w{1,40})?x?$")
_NUMBER: Final = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$")
_MISSING: Final = frozenset({"", "NA", "NaN", "nan", "NULL", "null", "."})
_COUNTED: Final = re.compile(rb"^(?:Num Samples|Total Samples)[\t,](\d{1,7})", re.MULTILINE)
_CAPITALS: Final = string.ascii_uppercase.encode()  # no gene of any kind is written without one
_OF_IDS: Final = (b"ENS", b"FBgn", b"WBGene")  # one of these is in every id of a gene but those of yeast
_YEAST: Final = re.compile(rb"Y[A-P][LR]")


class Head:
    """The first lines of a text."""

    def __init__(self) -> None:
        self.overlong = False
        self._lines = 0  # that ended
        self._held: bytearray | None = bytearray()
        self._head: list[str] = []

    def feed(self, own: memoryview) -> None:
        """The next bytes."""
        if self._held is None:
            return
        self._held += own
        self._lines += self._held.count(b"\n", len(self._held) - len(own))
        if self._lines > _ROWS or (len(self._held) > _HEAD and self._lines) or len(self._held) > HEADER_CAP:
            self._settle(bytes(self._held[: _end_of_line(self._held, _ROWS + 1)]), whole=False)
            self._held = None

    def finish(self) -> None:
        """All of a short text is head."""
        if self._held is not None:
            self._lines += not self._held.endswith(b"\n")
            self._settle(bytes(self._held), whole=True)
            self._held = None

    def _settle(self, text: bytes, *, whole: bool) -> None:
        """Keep the lines of a text that has enough of them; one that goes on may have cut the last of them short."""
        lines = text.decode("utf-8", "replace").splitlines()
        self._head = (lines if whole else lines[:-1])[:_ROWS] or lines[:1]


def _end_of_line(text: bytearray, number: int) -> int:
    """Where so many lines end, or the text does."""
    end = 0
    for _ in range(number):
        end = text.find(b"\n", end) + 1
        if not end:
            return len(text)
    return end


class GeneTable(Head):
    """A table, which may have a gene a row or a gene a column. Most have neither, which their first lines show."""

    def __init__(self, delimiter: str) -> None:
        super().__init__()
        self._delimiter = delimiter

    def feed(self, own: memoryview) -> None:
        """The next bytes."""
        if self._held is None and self._head:
            self._lines += bytes(own).count(b"\n")  # where each is a subject
        super().feed(own)

    def told(self, path: str) -> Told:
        """Samples of a matrix of genes; nothing of any other table."""
        return judged([self._cells(line) for line in self._head], self._lines, path)

    def _settle(self, text: bytes, *, whole: bool) -> None:
        """Keep what may be a matrix of genes."""
        if len(text.translate(None, _CAPITALS)) == len(text):
            return
        super()._settle(text, whole=whole)
        self._head = [line for line in self._head if line and not line.startswith("#")]
        if not (any(part in text for part in _OF_IDS) or _YEAST.search(text) or self._has_symbols()):
            self._head = []

    def _has_symbols(self) -> bool:
        """Whether symbols of genes head as many columns or rows as `judged` asks for."""
        header = self._cells(self._head[0]) if self._head else [""]
        first = (self._cells(line.partition(self._delimiter)[0])[0] for line in self._head[1:])
        return _are_genes(header[1:], most=_ACROSS) or (
            _plain(header[0]) in _GENE_HEADS and sum(1 for cell in first if cell in _SYMBOLS) >= _DOWN
        )

    def _cells(self, line: str) -> list[str]:
        return [cell.strip().strip('"') for cell in line.split(self._delimiter)]


def judged(rows: list[list[str]], lines: int, path: str) -> Told:
    """Whether rows are a matrix of genes, and whose.

    Args:
        rows: The first of a table, its header first.
        lines: Of the whole file.
        path: Names the subject where columns are cells.
    """
    if len(rows) < 3 or len(rows[0]) < 2:
        return Told()
    header, body = rows[0], rows[1:]
    if _are_genes(header[1:], most=_ACROSS):
        subjects = max(lines - 1, 1)
        return Told(Hgr(information=True, subjects=subjects))
    first = [row[0] for row in body]
    others = sum(1 for cell in first if _OTHER_GENE.match(cell))
    if others * 2 > len(first):
        return Told(findings=(Finding("genomic_data", "not human by its genes", 1, 1, "weak"),))
    if not _are_genes(first, most=_DOWN, head=_plain(header[0])):
        return Told()
    names = header if len(header) + 1 == len(body[0]) else header[1:]  # R leaves the corner out
    numeric = [name for at, name in enumerate(names) if _is_numeric([row[at + 1] for row in body if len(row) > at + 1])]
    if not numeric:
        return Told()  # a list of genes
    return of_columns([name for name in numeric if _plain(name) not in _ABOUT_GENES], path)


def of_columns(names: list[str], path: str) -> Told:
    """The people behind the columns of a matrix of genes; statistics about genes where there are none."""
    if not names:
        return Told(Hgr(information=True, aggregate_only=True))
    if sum(1 for name in names if _BARCODE.match(name)) * 2 > len(names):
        return Told(Hgr(information=True, subjects=1), frozenset({sample_of_path(path)}))
    people = frozenset(_MEASURES.sub("", name) for name in names)
    return Told(Hgr(information=True, subjects=len(people)), people)


def human_genes(names: list[str]) -> bool | None:
    """Whether names are of human genes; None where they are not known to be of any."""
    if sum(1 for name in names if _OTHER_GENE.match(name)) * 2 > len(names):
        return False
    return True if _are_genes(names, most=_DOWN) else None


def _are_genes(names: list[str], *, most: int, head: str = "") -> bool:
    by_id = sum(1 for name in names if _HUMAN_GENE.match(name))
    if by_id * 2 > len(names):
        return True
    return head in _GENE_HEADS and sum(1 for name in names if name in _SYMBOLS) >= most


def _is_numeric(cells: list[str]) -> bool:
    told = [cell for cell in cells if cell not in _MISSING]
    return bool(told) and sum(1 for cell in told if _NUMBER.match(cell)) * 10 >= 9 * len(told)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


class Gct(Head):
    """GenePattern's matrix: version, sizes, then a header; in 1.3 with columns and rows of notes."""

    def told(self, path: str) -> Told:
        """Columns that hold samples."""
        if len(self._head) < 3:
            return Told(Hgr(information=True, subjects=1), frozenset({sample_of_path(path)}))
        sizes = [int(cell) for cell in self._head[1].split("\t") if cell.isdecimal() and len(cell) < 10]
        notes = sizes[2] if self._head[0].startswith("#1.3") and len(sizes) > 2 else 1
        genes = [line.split("\t", 1)[0] for line in self._head[3:]]
        if human_genes(genes) is False:
            return Told(findings=(Finding("genomic_data", "not human by its genes", 1, 1, "weak"),))
        return of_columns([name for name in self._head[2].split("\t")[1 + notes :] if name], path)


class MatrixMarket(Head):
    """A sparse matrix, which for counts is one of genes and cells: a sample a file, named by its folder."""

    def told(self, path: str) -> Told:
        """One subject, where the numbers are counts or a name says that they are of genes."""
        banner = self._head[0].lower() if self._head else ""
        stem = path.lower()
        counts = "integer" in banner or any(
            word in stem for word in ("gene", "umi", "express", "count", "matrix.mtx", "barcode")
        )
        if not counts:
            return Told()
        return Told(Hgr(information=True, subjects=1), frozenset({path.replace("\\", "/")}))


class ArrayReport(Head):
    """GenomeStudio's final report: its header says how many samples it has."""

    def told(self, path: str) -> Told:
        """Genotyped on an array, which is no sequencing."""
        found = [int(number) for number in _COUNTED.findall("\n".join(self._head).encode())]
        if found:
            return Told(Hgr(information=True, subjects=max(min(found), 1)))
        return Told(Hgr(information=True, subjects=1), frozenset({sample_of_path(path)}))
