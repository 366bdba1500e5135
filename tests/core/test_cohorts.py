"""Who is in genetic text formats: families, lists of samples, matrices of genes, reports of arrays."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.core.classify import Classifier
from gateway.stores.detectors import load_detector_tables

TABLES = load_detector_tables()
GENES = [f"ENSG{number:011d}" for number in range(60)]
SYMBOLS = ["TSPAN6", "TNMD", "DPM1", "SCYL3", "TP53", "GAPDH", "ACTB", "LINC00001", "AB123"]


def classified(text: str | bytes, path: str, piece: int = 0):
    content = text.encode() if isinstance(text, str) else text
    classifier = Classifier(path, TABLES)
    for at in range(0, len(content), piece or len(content)):
        classifier.feed(content[at : at + (piece or len(content))])
    return classifier.close()


def told(text: str | bytes, path: str) -> tuple[bool, int, int, bool]:
    found = classified(text, path)
    assert found.inspectable
    hgr = found.hgr
    assert found.persons.sensitive >= hgr.subjects
    return hgr.information, hgr.subjects, hgr.sequencing_subjects, hgr.aggregate_only


def matrix(genes, columns, separator="\t", corner="gene_id") -> str:
    lines = [separator.join([corner, *columns])]
    lines += [separator.join([gene, *(str(at * 3 % 101) for at in range(len(columns)))]) for gene in genes]
    return "\n".join(lines) + "\n"


def fam(people) -> str:
    return "".join(f"{family} {person} {father} {mother} 1 2\n" for family, person, father, mother in people)


def pedigree(found) -> bool:
    return any(f.kind == "pedigree" and f.confidence == "strong" for f in found.findings)


def test_families():
    trio = [("F1", "1", "0", "0"), ("F1", "2", "0", "0"), ("F1", "3", "1", "2"), ("F2", "1", "0", "0")]
    for path, text in (
        ("x.fam", fam(trio)),
        ("x.fam", fam(trio).replace(" ", "\t")),
        ("x.ped", fam(trio).replace("2\n", "2 A G\n")),
    ):
        found = classified(text, path)
        assert (found.hgr.subjects, found.hgr.sequencing_subjects, found.persons.sensitive) == (4, 0, 4)
        assert pedigree(found)
        assert found.sensitive
    assert not pedigree(classified(fam([trio[0], trio[1]]), "x.fam"))
    psam = "#FID\tIID\tPAT\tMAT\tSEX\nF1\tc\tf\tm\t1\n"
    assert pedigree(classified(psam, "x.psam"))
    assert told("#IID\tSEX\nA\t1\nB\t2\n", "x.psam") == (True, 2, 0, False)


def test_the_same_people_under_plink_and_in_a_vcf():
    people = classified(fam([("a", "a", "0", "0"), ("F", "b", "0", "0"), ("0", "c", "0", "0")]), "x.fam")
    vcf = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ta\tF_b\tc\n"
    names = classified(vcf, "x.vcf").identifiers.values["genomic_sample"]
    assert np.array_equal(people.identifiers.values["genomic_sample"], names)


def test_genotypes_on_a_line_need_no_room():
    line = "F1 p 0 0 1 2 " + "A G " * 400_000
    found = classified(f"{line}\n{line.replace(' p ', ' q ')}\n", "x.ped")
    assert found.hgr.subjects == 2


@pytest.mark.parametrize("piece", [1, 7, 100])
def test_pieces_change_nothing(piece):
    text = fam([("F", str(n), "0", "0") for n in range(40)])
    assert classified(text, "x.fam", piece).hgr == classified(text, "x.fam").hgr


def test_lists_of_samples():
    text = "ID_1 ID_2 missing father mother\n0 0 0 D D\na a 0 0 0\nb b 0 a 0\n"
    assert told(text, "x.sample") == (True, 2, 0, False)
    assert pedigree(classified(text, "x.sample"))
    assert told("#!/bin/sh\n# a hook\nexit 0\n", "pre-commit.sample") == (False, 0, 0, False)


def test_variants():
    human = "".join(f"{chromosome}\trs{chromosome}\t0\t100\tA\tG\n" for chromosome in (*range(1, 27), "X", "MT"))
    assert told(human, "x.bim") == (True, 0, 0, True)
    assert told(human + "38\trs9\t0\t100\tA\tG\n", "dog.bim") == (False, 0, 0, False)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (matrix(GENES, ["S1", "S2", "S3"]), "counts.tsv"),
        (matrix(GENES, ["S1", "S2", "S3"], ","), "counts.csv"),
        (matrix([f'"{gene}.4"' for gene in GENES], ['"S1"', '"S2"', '"S3"'], ",", '""'), "from_r.csv"),
        (matrix(SYMBOLS, ["S1", "S2", "S3"], corner="Hugo_Symbol"), "x.txt"),
        ("# Program:featureCounts\n" + matrix(GENES, ["Length", "S1", "S2", "S3"], corner="Geneid"), "fc.tsv"),
        (matrix(GENES, ["S1_FPKM", "S1_TPM", "S2_TPM", "S3_TPM"]), "x.tsv"),
        ("#1.2\n60\t3\n" + matrix(GENES, ["Description", "S1", "S2", "S3"], corner="Name"), "x.gct"),
        ("#1.3\n60\t3\t2\t0\n" + matrix(GENES, ["a", "b", "S1", "S2", "S3"], corner="id"), "x.gct"),
    ],
)
def test_matrices_of_genes_count_their_columns(text, path):
    assert told(text, path) == (True, 3, 0, False)


def test_other_matrices():
    cells = [f"{'ACGT' * 4}-{n}" for n in range(20)]
    assert told(matrix(GENES, cells), "cells.tsv") == (True, 1, 0, False)
    assert told(matrix([g.replace("ENSG", "ENSMUSG") for g in GENES], ["S1", "S2"]), "mouse.tsv") == (
        False,
        0,
        0,
        False,
    )
    assert told(matrix(GENES, ["baseMean", "log2FoldChange", "pvalue", "padj"]), "deseq.tsv") == (True, 0, 0, True)
    turned = "sample\t" + "\t".join(GENES) + "\n" + "".join(f"S{n}\t" + "\t".join(["1"] * 60) + "\n" for n in range(5))
    assert told(turned, "turned.tsv") == (True, 5, 0, False)
    assert told("city\tn\tm\nShenzhen\t1\t2\nHong Kong\t2\t3\nMacao\t3\t4\n", "cities.tsv") == (False, 0, 0, False)
    genes = "gene_id\tname\ttype\n" + "".join(f"{gene}\tx\tGene Expression\n" for gene in GENES)
    assert told(genes, "features.tsv") == (False, 0, 0, False)


def test_a_table_is_a_matrix_of_genes_by_its_first_lines_alone():
    few = [*SYMBOLS[:2], *(f"g{n}" for n in range(600))]
    assert told(matrix(few, ["S1", "S2"], corner="id"), "two.tsv") == (False, 0, 0, False)
    assert told(matrix([*few[:254], "TP53"], ["S1", "S2"], corner="id"), "three.tsv") == (True, 2, 0, False)
    assert told(matrix([*few, "TP53"], ["S1", "S2"], corner="id"), "late.tsv") == (False, 0, 0, False)
    assert told(matrix([*SYMBOLS, *few], ["S1", "S2"], corner="city"), "cities.tsv") == (False, 0, 0, False)
    assert told(matrix(["yal001c", "ensg00000000003", "tp53"] * 9, ["a", "b"], corner="id"), "small.tsv")[0] is False


@pytest.mark.parametrize("piece", [0, 997])
def test_subjects_a_row_are_counted_to_the_end(piece):
    genes = ["TP53", "GAPDH", "ACTB", "TNMD", "DPM1", "FGR", "CFH", "APC", "MYC", "TNF"]
    rows = "".join(f"S{n}\t" + "\t".join(["1"] * 10) + "\n" for n in range(70_000))
    found = classified("\t".join(["sample", *genes]) + "\n" + rows, "x.tsv", piece)
    assert found.hgr.subjects == 70_000
    assert classified("\t".join(["sample", *genes[:9], "city"]) + "\n" + rows, "x.tsv", piece).hgr.subjects == 0


def test_matrix_market():
    counts = "%%MatrixMarket matrix coordinate integer general\n%\n60 20 2\n1 1 3\n2 1 4\n"
    assert told(counts, "a/matrix.mtx") == (True, 1, 0, False)
    one, two = (classified(counts, f"{sample}/matrix.mtx").identifiers.values["genomic_sample"] for sample in "ab")
    assert not np.array_equal(one, two)
    assert told(counts.replace("integer", "real"), "stiffness.mtx") == (False, 0, 0, False)


def test_reports_of_arrays():
    head = (
        "[Header]\nGSGT Version\t2.0.4\nContent\t\tGSA.bpm\nNum SNPs\t700\nNum Samples\t24\nTotal Samples\t48\n[Data]\n"
    )
    rows = "SNP Name\tSample ID\tAllele1 - Forward\n" + "".join(f"rs{n}\tS{n % 24}\tA\n" for n in range(240))
    assert told(head + rows, "FinalReport.txt") == (True, 24, 0, False)
