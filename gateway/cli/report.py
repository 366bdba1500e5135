"""`hetao report`: what left in a period, for authorities and files, as CSV, JSON or PDF, with the evidence it rests on."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from gateway.cli.desk import Config, out, with_gateway, write_new
from gateway.cli.language import LanguageOption, spoken
from gateway.core.errors import Unusable
from gateway.core.reporting import Report, as_csv
from gateway.flow.reports import Period, month_of, year_of
from gateway.stores.locales import load_catalogue
from gateway.wiring import Gateway

app = typer.Typer(no_args_is_help=True, help="Reports: yearly, monthly, and annexes of assessments and filings.")

Form = Annotated[
    Literal["csv", "json", "pdf"], typer.Option("--format", help="csv has the transfers alone, and the evidence.")
]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="A file to write; needed for PDF.")]
Institution = Annotated[str, typer.Option("--institution", help="Its id in the registry.")]
Year = Annotated[int, typer.Argument(min=2024, max=2999)]
_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


@app.command()
def yearly(
    year: Year,
    institution: Institution,
    form: Form = "json",
    output: Output = None,
    lang: LanguageOption = None,
    config: Config = None,
) -> None:
    """The yearly outbound report of an institution (Order 790 arts 30-33)."""
    _make(
        config, lambda gateway: gateway.reports.outbound(institution, year_of(year), kind="yearly"), form, output, lang
    )


@app.command()
def monthly(
    month: Annotated[str, typer.Argument(help="YYYY-MM")],
    institution: Institution,
    form: Form = "json",
    output: Output = None,
    lang: LanguageOption = None,
    config: Config = None,
) -> None:
    """The consolidated declaration of a month."""
    period = _month(month)
    _make(config, lambda gateway: gateway.reports.outbound(institution, period, kind="monthly"), form, output, lang)


@app.command()
def pipia(
    year: Year,
    institution: Institution,
    project: Annotated[str, typer.Option("--project")],
    form: Form = "json",
    output: Output = None,
    lang: LanguageOption = None,
    config: Config = None,
) -> None:
    """The annex of an impact assessment (PIPL arts 55, 56): the facts of a project its points rest on."""
    _make(config, lambda gateway: gateway.reports.assessment(institution, project, year_of(year)), form, output, lang)


@app.command()
def filing(
    year: Year,
    filing_id: Annotated[str, typer.Argument(metavar="FILING", help="Its id in the registry.")],
    form: Form = "json",
    output: Output = None,
    lang: LanguageOption = None,
    config: Config = None,
) -> None:
    """The annex of a filing: what was sent under it in a year, against its cap and term."""
    _make(config, lambda gateway: gateway.reports.filing(filing_id, year_of(year)), form, output, lang)


def _month(text: str) -> Period:
    told = _MONTH.fullmatch(text)
    if told is None:
        raise Unusable(f"{text} is no month: write 2026-11")
    return month_of(int(told[1]), int(told[2]))


def _make(
    config: Path | None, work: Callable[[Gateway], Awaitable[Report]], form: str, output: Path | None, lang: str | None
) -> None:
    if form == "pdf" and output is None:
        raise Unusable("a PDF goes to a file: name one with --output")
    report = with_gateway(config, work)
    language = spoken(lang, os.environ)
    content = rendered(report, form, language)
    if output is None:
        typer.echo(content.decode(), nl=False)
    else:
        write_new(output, content)
        out.print(str(output))


def rendered(report: Report, form: str, language: str) -> bytes:
    """The report in one of its forms; JSON has ids and is the same in every language."""
    if form == "json":
        return (json.dumps(report.to_json(), ensure_ascii=False, indent=2) + "\n").encode()
    catalogue = load_catalogue()
    words = {
        each.removeprefix("report."): catalogue.text(each, language)
        for each in catalogue.ids()
        if each.startswith("report.")
    }
    if form == "csv":
        return as_csv(report, words)
    from gateway.cli.paper import as_pdf  # noqa: PLC0415  # the only command that needs ReportLab

    return as_pdf(report, words, language)
