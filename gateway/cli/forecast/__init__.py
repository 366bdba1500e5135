"""`hetao forecast PATH...`: what the gateway would find and decide, on the researcher's own machine.

The same classifier, the same counting, the same rules. It needs no gateway and asks none: no key, digest or question about a
person is anywhere but here. What it cannot know it says: who was sent before, and by whom else.

Exit codes: 0 wherever there is a forecast, a refusal included, as `hetao policy check`; with `--check` 1 unless it would be
allowed at both ends; 2 where files or facts cannot be used.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from gateway.cli import REFUSED
from gateway.cli.dataset import Dataset, find_dataset
from gateway.cli.declared import (
    Declaration,
    Declare,
    Exclude,
    Facts,
    FollowLinks,
    Paths,
    declared_document,
    read_document,
)
from gateway.cli.forecast.ends import forecast as foresee
from gateway.cli.forecast.facts import Told, parse_facts, parse_said
from gateway.cli.forecast.pages import Page, show
from gateway.cli.forecast.survey import survey
from gateway.cli.language import LanguageOption, spoken
from gateway.core.facts import local_day
from gateway.stores.detectors import read_documents
from gateway.stores.rulebooks import load_policies, prc_calendar


def _before(what: str) -> Any:
    return typer.Option(min=0, show_default=False, help=f"{what} sent before, where you know.")


def forecast(
    paths: Paths,
    declaration: Declaration = None,
    declare: Declare = None,
    facts: Facts = None,
    sent_sensitive: Annotated[int | None, _before("Persons with sensitive data this year")] = None,
    sent_nonsensitive: Annotated[int | None, _before("Other persons this year")] = None,
    sent_subjects: Annotated[int | None, _before("Subjects of human genetic resources")] = None,
    sent_sequenced: Annotated[int | None, _before("Sequenced subjects")] = None,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 unless it would be allowed at both ends.")] = False,
    follow_links: FollowLinks = False,
    exclude: Exclude = None,
    policies: Annotated[Path | None, typer.Option(help="A rule pack's directory instead of the packaged one.")] = None,
    lang: LanguageOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Say what sending these files would come to: persons counted, and the verdict at both ends of what is not known here.

    `--sent-...` say what was sent before: persons with sensitive data and others of this calendar year by the same legal
    entity; subjects of human genetic resources, and those sequenced, ever, for this project and recipient.
    """
    sent = {
        "sensitive": sent_sensitive,
        "nonsensitive": sent_nonsensitive,
        "subjects": sent_subjects,
        "sequenced": sent_sequenced,
    }
    dataset = find_dataset(paths, follow=follow_links, exclude=exclude or ()).whole()
    raw = declared_document(paths, declaration, declare or ())
    page = make_page(dataset, raw, facts, sent, policies, quiet=as_json)
    if as_json:
        typer.echo(json.dumps(page.to_json(), ensure_ascii=False, indent=2))
    else:
        show(Console(), page, spoken(lang, os.environ))
    if check and not page.forecast.allowed:
        raise typer.Exit(REFUSED)


def make_page(
    dataset: Dataset,
    raw: Mapping[str, Any],
    facts: Path | None,
    sent: Mapping[str, int | None],
    policies: Path | None,
    *,
    quiet: bool,
) -> Page:
    """Read the files and see what would come of them."""
    pack = load_policies(policies)
    told = parse_facts(read_document(facts) if facts else {}, pack.vocabulary)
    declared = parse_said(raw, told.ground, pack.vocabulary)
    on = told.facts.on if told.on else local_day(datetime.now(UTC))
    with _progress(dataset.size, quiet=quiet) as read:
        entries = ((each.path, each.place) for each in dataset.files)
        surveyed = survey(entries, read_documents(), on, read)
    found = foresee(
        on=on,
        facts=told.facts,
        stated=told.stated,
        declared=declared,
        joined=surveyed.joined,
        sent=sent,
        rulebook=pack.rulebook,
        calendar=prc_calendar(),
    )
    return Page(surveyed, found, pack.rulebook, on, _unstated(told, declared, sent))


def _unstated(told: Told, declared: Mapping[str, Any], sent: Mapping[str, int | None]) -> tuple[str, ...]:
    """What nobody said, and was taken as the strictest."""
    lacking = [name for name in ("sender", "recipient") if name not in told.stated]
    lacking += ["declaration"] if not declared else []
    return (*lacking, *(["counts"] if sent["sensitive"] is None or sent["nonsensitive"] is None else []))


@contextmanager
def _progress(total: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("hetao forecast", total=total)
        yield lambda read: bar.advance(task, read)
