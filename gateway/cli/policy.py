"""`hetao policy`: read the rules, try a case, test the pack.

What it is not: a decision on a transfer. It decides stated facts, offline, and records nothing.

A change must keep these:
1. `check` exits 0 whenever a verdict was reached, deny included; 2 where the facts or the pack cannot be used.
2. `--json` prints exactly `Decision.to_json()`; people get the same content in their language.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.cli import REFUSED, decided
from gateway.cli.desk import Config
from gateway.cli.officer import sign_file
from gateway.cli.verdicts import STYLE, WORDS, show_decision
from gateway.core.choices import Choice
from gateway.core.decide import CaseResult, check_cases, decide
from gateway.core.errors import GatewayError, Unusable
from gateway.core.rulebook import Rule, Rulebook
from gateway.core.situation import Situation, parse_situation
from gateway.stores.packs import NAMESPACE, SIGNATURE, checked_signer, signed_bytes, write_signature
from gateway.stores.rulebooks import Policies, load_policies, prc_calendar, stated_digest, untried, write_digest

UNUSABLE: Final = 2

app = typer.Typer(name="policy", help="Read the rules, try a case, test the pack.", no_args_is_help=True)

Lang = Literal["en", "zh-Hans", "zh-Hant"]
LangOption = Annotated[Lang, typer.Option("--lang", help="Language of titles and remedies.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
PoliciesOption = Annotated[
    Path | None, typer.Option("--policies", help="A rule pack's directory instead of the packaged one.")
]

_RULE_ID: Final = re.compile(r"[A-Z]{1,2}[0-9]+[a-z]?(\.[0-9]+)?")


@app.command()
def check(
    facts: Annotated[Path, typer.Argument(help="Facts in TOML; - reads standard input.")],
    as_json: JsonOption = False,
    lang: LangOption = "en",
    policies: PoliciesOption = None,
) -> None:
    """Give the verdict on stated facts. Exits 0 whenever there is one, 2 where the facts cannot be used."""
    pack = _load(policies)
    try:
        situation = _situation(facts, pack)
    except GatewayError as error:
        _stop(error)
    decision = decide(pack.rulebook, situation, prc_calendar())
    if as_json:
        _print_json(decision.to_json())
    else:
        show_decision(Console(), decision, pack.rulebook, lang)


@app.command("test")
def run_cases(as_json: JsonOption = False, policies: PoliciesOption = None) -> None:
    """Decide the golden cases.

    Exits 1 where one fails, a rule has no hit or near miss, no rule would fire on some facts, or DIGEST states another pack.
    """
    pack = _load(policies, verify=False)
    results = check_cases(pack.cases, pack.rulebook, pack.vocabulary, prc_calendar())
    failed = [result for result in results if result.faults]
    gaps = (*untried(pack), *_digest_gap(policies, pack))
    if as_json:
        failures = [{"case": result.case.id, "faults": list(result.faults)} for result in failed]
        _print_json({"cases": len(results), "failed": failures, "uncovered": gaps, "rulebook": pack.rulebook.digest})
    else:
        _show_results(Console(), results, gaps, pack.rulebook)
    raise typer.Exit(1 if failed or gaps else 0)


@app.command()
def rules(as_json: JsonOption = False, lang: LangOption = "en", policies: PoliciesOption = None) -> None:
    """List all rules."""
    pack = _load(policies)
    if as_json:
        _print_json([_rule_json(rule) for rule in pack.rulebook.rules])
        return
    table = Table(*(WORDS[lang]["rule"], "", WORDS[lang]["title"], "cure", "certainty"), box=None, pad_edge=False)
    for rule in pack.rulebook.rules:
        verdict = f"[{STYLE[rule.verdict]}]{WORDS[lang][rule.verdict]}[/]"
        table.add_row(rule.id, verdict, escape(rule.titles[lang]), rule.cure, rule.certainty)
    Console().print(table)


@app.command()
def explain(
    what: Annotated[str, typer.Argument(metavar="RULE-ID|TRANSFER", help="Such as P8, or a transfer's id.")],
    as_json: JsonOption = False,
    lang: LangOption = "en",
    policies: PoliciesOption = None,
    config: Config = None,
) -> None:
    """Explain a rule or a decision.

    A rule: condition, articles, remedy, how sure its reading is, and the cases that try it. A transfer: which rules fired, what
    was known and from where, and the smallest changes that would make it pass.
    """
    pack = _load(policies)
    rule = pack.rulebook.rule(what)
    if rule is None and not _RULE_ID.fullmatch(what):
        decided.explain_transfer(what, pack, lang, config, as_json=as_json)
        return
    if rule is None:
        _stop(Unusable(f"there is no rule {what}; `hetao policy rules` lists them"))
    if as_json:
        _print_json(_rule_json(rule))
    else:
        _show_rule(Console(), rule, pack, lang)


@app.command()
def digest(
    policies: PoliciesOption = None,
    write: Annotated[bool, typer.Option("--write", help="State it in the pack, after review.")] = False,
) -> None:
    """Print the digest of a pack's content; with --write, state it in the pack."""
    found = _load(policies, verify=False).rulebook.digest
    try:
        if write:
            write_digest(found, policies)
    except GatewayError as error:
        _stop(error)
    typer.echo(found)


@app.command()
def sign(
    key: Annotated[Path, typer.Option("--key", help="Your private SSH key; security keys sign with ssh-keygen -Y.")],
    policies: Annotated[Path, typer.Option("--policies", help="The rule pack's directory.")],
) -> None:
    """Sign a pack's DIGEST (SSHSIG, namespace hetao-policy), after all its cases passed."""
    pack = _load(policies, verify=False)
    failed = [
        result.case.id
        for result in check_cases(pack.cases, pack.rulebook, pack.vocabulary, prc_calendar())
        if result.faults
    ]
    if wrong := (*failed, *untried(pack), *_digest_gap(policies, pack)):
        typer.echo(f"not signed, see `hetao policy test`: {', '.join(wrong)}", err=True)
        raise typer.Exit(REFUSED)
    try:
        write_signature(policies, sign_file(key, NAMESPACE, signed_bytes(pack.rulebook.digest)))
        by = checked_signer(policies, pack.rulebook.digest, frozenset())
    except GatewayError as error:
        _stop(error)
    typer.echo(f"{SIGNATURE} by {by} over {pack.rulebook.digest}")


@app.command()
def choices(as_json: JsonOption = False, lang: LangOption = "en", policies: PoliciesOption = None) -> None:
    """List what the law leaves open, and how the pack reads it."""
    listed = _load(policies).rulebook.choices.entries.values()
    if as_json:
        _print_json([_choice_json(choice) for choice in listed])
        return
    table = Table("", "", "reading", "other readings", "", box=None, pad_edge=False)
    for choice in listed:
        others = ", ".join(option for option in choice.options if option != choice.taken)
        mark = "[bold yellow]laxer[/]" if choice.laxer else ""
        table.add_row(choice.point, escape(choice.questions[lang]), f"{choice.id} = {choice.taken}", others, mark)
    Console().print(table)


app.command()(decided.certificate)
app.command()(decided.verify)
app.command()(decided.replay)


# --- in ---


def _load(folder: Path | None, *, verify: bool = True) -> Policies:
    try:
        return load_policies(folder, verify=verify)
    except GatewayError as error:
        _stop(error)


def _digest_gap(folder: Path | None, pack: Policies) -> tuple[str, ...]:
    try:
        stated = stated_digest(folder)
    except GatewayError as error:
        return (error.message,)
    return (
        () if stated == pack.rulebook.digest else ("DIGEST states another content: see `hetao policy digest --help`",)
    )


def _situation(path: Path, pack: Policies) -> Situation:
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        return parse_situation(tomllib.loads(data.decode("utf-8")), pack.vocabulary)
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Unusable(f"{path} is not TOML: {error}") from error


def _stop(error: GatewayError) -> NoReturn:
    typer.echo(error.message, err=True)
    raise typer.Exit(UNUSABLE)


# --- out ---


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def _choice_json(choice: Choice) -> dict[str, Any]:
    return {
        "id": choice.id,
        "point": choice.point,
        "question": dict(choice.questions),
        "options": list(choice.options),
        "default": choice.default,
        "taken": choice.taken,
        "laxer": choice.laxer,
        "read_by": list(choice.read_by),
        "citations": list(choice.citations),
    }


def _rule_json(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "row": rule.row,
        "title": dict(rule.titles),
        "condition": rule.condition,
        "verdict": rule.verdict,
        "cure": rule.cure,
        "mechanism": rule.mechanism,
        "remedy": dict(rule.remedies),
        "citations": [{"instrument": cited.instrument, "article": cited.article} for cited in rule.citations],
        "in_force": {"from": str(rule.since), "to": str(rule.until) if rule.until else None},
        "certainty": rule.certainty,
        "directions": sorted(rule.directions),
        "flags": list(rule.flags),
    }


def _show_rule(console: Console, rule: Rule, pack: Policies, lang: Lang) -> None:
    words = WORDS[lang]
    console.print(f"[bold]{rule.id}[/]  [{STYLE[rule.verdict]}]{words[rule.verdict]}[/]  {escape(rule.titles[lang])}")
    console.print(escape(rule.condition.strip()), style="cyan", soft_wrap=True)
    console.print(f"{words['remedy']}: {escape(rule.remedies[lang])}", soft_wrap=True)
    console.print(f"{words['mechanism']}: {rule.mechanism}   cure: {rule.cure}   certainty: {rule.certainty}")
    console.print(f"{rule.since} - {rule.until or ''}   {', '.join(sorted(rule.directions))}")
    for cited in rule.citations:
        instrument = pack.rulebook.instruments[cited.instrument]
        article = instrument.articles[cited.article]
        console.print(
            f"{escape(instrument.titles[lang])} ({escape(instrument.number)}) {cited.article}: {escape(article.text)} "
            f"[dim]{article.status}[/]",
            soft_wrap=True,
        )
    hits = [case.id for case in pack.cases if rule.id in case.rules]
    misses = [case.id for case in pack.cases if rule.id in case.misses]
    console.print(f"hit: {', '.join(hits)}\nmiss: {', '.join(misses)}", style="dim", soft_wrap=True)


def _show_results(console: Console, results: tuple[CaseResult, ...], gaps: tuple[str, ...], rulebook: Rulebook) -> None:
    failed = [result for result in results if result.faults]
    for result in failed:
        console.print(f"[bold red]{escape(result.case.id)}[/] {escape(result.case.title)}")
        for fault in result.faults:
            console.print(f"  {escape(fault)}", soft_wrap=True)
    for gap in gaps:
        console.print(f"[bold red]{escape(gap)}[/]")
    style = "red" if failed or gaps else "green"
    console.print(
        f"[{style}]{len(results) - len(failed)} of {len(results)} cases as expected, {len(rulebook.rules)} rules[/]"
    )
    console.print(rulebook.digest, style="dim", soft_wrap=True)


if __name__ == "__main__":
    app()
