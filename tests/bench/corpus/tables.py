"""Files of records: CSV and TSV with and without headers, JSON and NDJSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from tests.bench.corpus.dice import Dice
from tests.bench.corpus.entries import Field, fillers
from tests.bench.corpus.shown import Page, Piece, Shown

Writer = Callable[[Page, list[str], list[list[Piece]]], None]


def write(page: Page, dice: Dice, shape: str, lang: str, fields: Sequence[Field], rows: int) -> None:
    """Rows of the fields between fillers, in one of `SHAPES`."""
    columns = [*dice.some(fillers(lang), dice.number(2, 4)), *fields]
    columns = dice.shuffled(columns)
    names = ["id", *(field.headers[lang] if shape != "ndjson" else field.key for field in columns)]
    names = [name if names.index(name) == place else f"{name}{place}" for place, name in enumerate(names)]
    records = [[str(row + 1), *(field.draw(dice) for field in columns)] for row in range(rows)]
    SHAPES[shape](page, names, records)


def _separated(delimiter: str, *, headed: bool, quoted: bool = False) -> Writer:
    def writer(page: Page, names: list[str], records: list[list[Piece]]) -> None:
        rows: list[list[Piece]] = [list(names), *records] if headed else records
        for row in rows:
            for place, cell in enumerate(row):
                page.add(delimiter if place else "")
                _cell(page, cell, delimiter, quoted)
            page.add("\r\n" if quoted else "\n")

    return writer


def _cell(page: Page, cell: Piece, delimiter: str, quoted: bool) -> None:  # noqa: FBT001 - one caller, beside its own flag
    text = cell.text if isinstance(cell, Shown) else cell
    mark = '"' if quoted or delimiter in text else ""
    page.add(mark, cell, mark)


def _objects(opening: str, between: str, closing: str, *, spaced: bool) -> Writer:
    colon, comma = (": ", ", ") if spaced else (":", ",")

    def writer(page: Page, names: list[str], records: list[list[Piece]]) -> None:
        page.add(opening)
        for row, record in enumerate(records):
            page.add(between if row else "", "{")
            for place, (name, cell) in enumerate(zip(names, record, strict=True)):
                page.add(comma if place else "", json.dumps(name, ensure_ascii=False), colon)
                _string(page, cell)
            page.add("}")
        page.add(closing)

    return writer


def _string(page: Page, cell: Piece) -> None:
    """Values need no escape; numbers of fillers stay numbers, as programs write them."""
    if isinstance(cell, Shown):
        page.add('"', cell, '"')
    elif cell.isdecimal() and len(cell) < 4:
        page.add(cell)
    else:
        page.add(json.dumps(cell, ensure_ascii=False))


SHAPES: dict[str, Writer] = {
    "csv": _separated(",", headed=True),
    "csv quoted": _separated(",", headed=True, quoted=True),
    "tsv": _separated("\t", headed=True),
    "csv headless": _separated(",", headed=False),
    "tsv headless": _separated("\t", headed=False),
    "json": _objects("[\n  ", ",\n  ", "\n]\n", spaced=True),
    "ndjson": _objects("", "\n", "\n", spaced=False),
}
SUFFIXES = {"csv": ".csv", "csv quoted": ".csv", "csv headless": ".csv", "tsv": ".tsv", "tsv headless": ".tsv"} | {
    "json": ".json",
    "ndjson": ".ndjson",
}
