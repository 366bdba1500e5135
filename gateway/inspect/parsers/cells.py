"""Single cells in HDF5: AnnData (.h5ad), loom, 10x Genomics. Rows are cells; people are what a column of theirs names.

Sources: AnnData on-disk format 0.1.0 and the CELLxGENE schema (donor_id, organism_ontology_term_id), Loom file format 3.0.0,
10x Genomics feature-barcode matrices (HDF5). A transcriptome counts as human genetic resource information, and not as
sequencing of exomes or genomes. Human unless a species or the ids of the genes say otherwise.
"""

from __future__ import annotations

from typing import Any, Final

import h5py
import numpy as np

from gateway.core.classify.expression import human_genes
from gateway.inspect.report import Report

# The first that a file has tells its people.
_PEOPLE: Final = (
    "donor_id", "donor", "donorid", "patient_id", "patient", "subject_id", "subject", "individual_id", "individual",
    "participant_id",
    "participant", "case_id", "sample_id", "sample", "samples", "sampleid", "orig.ident", "library_id", "batch",
)  # fmt: skip
_GENES: Final = (
    "gene_ids",
    "feature_id",
    "ensembl_id",
    "ensembl",
    "_index",
    "index",
    "feature_name",
    "gene_name",
    "Accession",
    "Gene",
)
_HUMAN: Final = frozenset(
    {"ncbitaxon:9606", "9606", "homo sapiens", "human", "hs", "grch38", "grch37", "hg19", "hg38", "homo_sapiens"}
)
_HUMAN_GENOMES: Final = ("grch", "hg19", "hg38", "t2t", "chm13", "human")
_SOME: Final = 5_000  # genes that are asked
_NAMES: Final = 1_000_000


def kind_of(file: h5py.File) -> str:
    """`h5ad`, `loom`, `10x_h5`, or nothing."""
    names = set(file)
    if file.attrs.get("encoding-type") == "anndata" or {"obs", "var"} <= names:
        return "h5ad"
    if {"row_attrs", "col_attrs", "matrix"} <= names:
        return "loom"
    groups = [file[name] for name in names if isinstance(file.get(name, getlink=True), h5py.HardLink)]
    if any(isinstance(group, h5py.Group) and {"barcodes", "data", "indptr"} <= set(group) for group in groups):
        return "10x_h5"
    return ""


def tell(file: h5py.File, kind: str, report: Report) -> None:
    """Who the cells are of."""
    if kind == "10x_h5":
        human, names = _of_10x(file)
    else:
        cells, genes = ("obs", "var") if kind == "h5ad" else ("col_attrs", "row_attrs")
        human = _is_human(file, cells, genes)
        names = _people(file[cells])
    if human is False:
        report.found("genomic_data", "not human by its species or genes", weak=True)
        return
    people = {name for name in names if name} or {report.path}
    report.genomes(people, sequenced=False, where="cells")


def _people(cells: Any) -> set[str]:
    """Distinct values of the column that names people."""
    if isinstance(cells, h5py.Dataset):  # before AnnData 0.7: one compound dataset
        columns = {name.lower(): name for name in cells.dtype.names or ()}
        found = next((columns[name] for name in _PEOPLE if name in columns), None)
        return {_text(each) for each in np.unique(cells[found])[:_NAMES]} if found else set()
    columns = {name.lower(): name for name in cells}
    for name in _PEOPLE:
        if name in columns:
            values = _column(cells, columns[name])
            if len(values):
                return values
    return set()


def _column(table: Any, name: str) -> set[str]:
    """Distinct values: the categories that are used, or the values themselves."""
    found = table[name]
    if isinstance(found, h5py.Group):
        names = [_text(each) for each in found["categories"][:_NAMES]] if "categories" in found else []
        used = {int(code) for code in np.unique(found["codes"][:])} if "codes" in found else set(range(len(names)))
        return {each for at, each in enumerate(names) if at in used}
    distinct = np.unique(found[:].astype(str) if found.dtype.kind in "OS" else found[:])[:_NAMES]
    if found.dtype.kind in "iu" and "__categories" in table and name in table["__categories"]:  # AnnData 0.7
        names = [_text(each) for each in table["__categories"][name][:_NAMES]]
        return {names[code] for code in distinct.tolist() if 0 <= code < len(names)}
    return {_text(each) for each in distinct}


def _is_human(file: h5py.File, cells: str, genes: str) -> bool | None:
    """By genes, then by species; None where nothing says."""
    by_genes = _by_genes(file[genes])
    if by_genes:
        return True
    told = _species(file, cells)
    if told & _HUMAN:
        return True
    return False if told or by_genes is False else None


def _species(file: h5py.File, cells: str) -> set[str]:
    told = set[str]()
    for place in ("uns/organism", "uns/organism_ontology_term_id", "attrs/Species", "attrs/species"):
        found = file.get(place)
        if isinstance(found, h5py.Dataset) and found.size is not None and found.size < 100:
            told |= {_text(each).lower() for each in np.asarray(found[()], dtype=object).ravel()}
    told |= {_text(file.attrs[name]).lower() for name in ("species", "Species", "organism") if name in file.attrs}
    columns = file[cells]
    if isinstance(columns, h5py.Group):
        for name in ("organism_ontology_term_id", "organism", "species"):
            if name in columns:
                told |= {each.lower() for each in _column(columns, name)}
    return told


def _by_genes(genes: Any) -> bool | None:
    if isinstance(genes, h5py.Dataset):
        names = genes.dtype.names or ()
        return human_genes([_text(each) for each in genes[names[0]][:_SOME]]) if names else None
    index = _text(genes.attrs["_index"]) if "_index" in genes.attrs else ""
    answers = []
    for name in (index, *_GENES):
        found = genes.get(name) if name else None
        if isinstance(found, h5py.Group):
            found = found.get("categories")
        if isinstance(found, h5py.Dataset) and found.ndim == 1 and found.dtype.kind in "OS":
            answers.append(human_genes([_text(each) for each in found[:_SOME]]))
    return True if True in answers else False if False in answers else None


def _of_10x(file: h5py.File) -> tuple[bool | None, set[str]]:
    """Genomes by name, and the libraries that were put together."""
    told = set[str]()
    answers = []
    for group in (file[name] for name in file):
        if not isinstance(group, h5py.Group) or "barcodes" not in group:
            continue
        features = group.get("features")
        ids = features.get("id") if isinstance(features, h5py.Group) else group.get("genes")
        if isinstance(ids, h5py.Dataset):
            answers.append(human_genes([_text(each) for each in ids[:_SOME]]))
        if isinstance(features, h5py.Group) and "genome" in features:
            told |= {_text(each).lower() for each in np.unique(features["genome"][:].astype(str))}
        elif not isinstance(features, h5py.Group):
            told.add(group.name.strip("/").lower())
    libraries = file.attrs.get("library_ids", ())
    names = {_text(each) for each in np.asarray(libraries, dtype=object).ravel()}
    if True in answers or any(word in genome for genome in told for word in _HUMAN_GENOMES):
        return True, names
    return (False if False in answers else None), names


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
