"""`hetao policy explain|certificate|verify|replay` on recorded decisions.

`verify` works offline: a certificate, the gateway's public key and the rule pack are all it needs.
Exit codes: 0 it holds, 1 it does not, 2 unusable input.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape

from gateway.cli import REFUSED
from gateway.cli.desk import AsJson, Config, out, read_file, show_fields, show_json, show_table, with_gateway, write_new
from gateway.cli.language import LanguageOption, spoken
from gateway.cli.verdicts import show_decision
from gateway.core import certificate as certificates
from gateway.core.decide import decide
from gateway.core.errors import Unusable
from gateway.core.situation import thaw_situation
from gateway.flow.answers import Replayed
from gateway.ports import TransferFilter
from gateway.stores.locales import load_catalogue
from gateway.stores.rulebooks import Policies, load_policies, prc_calendar
from gateway.wire import Malformed, canonical, sshsig
from gateway.wiring import Gateway

_TOLD: Final = ("assumed", "declared", "detected", "declared and detected")
PoliciesOption = Annotated[
    Path | None, typer.Option("--policies", help="A rule pack's directory instead of the packaged one.")
]


def explain_transfer(transfer: str, pack: Policies, lang: str, config: Path | None, *, as_json: bool) -> None:
    """Which rules fired, what was known and from where, and the smallest changes that would make it pass."""
    told = with_gateway(config, lambda gateway: gateway.answers.explained(transfer))
    if as_json:
        show_json(told)
        return
    catalogue = load_catalogue()
    decision = told["decision"]
    if decision["rulebook"] != pack.rulebook.digest:
        raise Unusable(
            f"it was decided under rule pack {decision['rulebook'][:12]}: name its directory with --policies"
        )
    show_fields({"transfer": told["transfer"], "state": told["state"]})
    again = decide(pack.rulebook, thaw_situation(decision["situation"], pack.vocabulary), prc_calendar())
    show_decision(Console(), again, pack.rulebook, lang)
    rows = [
        [path, _value(decision["situation"], path), source]
        for path, source in told["sources"].items()
        if path != "filings"
    ]
    show_table(catalogue.text("explain.known", lang), ["", "", ""], rows)
    _show_smallest(catalogue, told["smallest"], lang)


def _show_smallest(catalogue: Any, found: list[list[str]], lang: str) -> None:
    if found == [[]]:
        return
    if not found:
        out.print(catalogue.text("explain.nothing_helps", lang))
        return
    out.print(catalogue.text("explain.would_pass", lang))
    for names in found:
        out.print("  - " + escape("; ".join(catalogue.text(f"amend.{name}", lang) for name in names)))


def _value(situation: dict[str, Any], path: str) -> str:
    value: Any = situation
    for part in path.split("."):
        value = value[part]
    return escape(json.dumps(value, ensure_ascii=False))


def certificate(
    transfer: str,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file to write; else standard output.")
    ] = None,
    config: Config = None,
) -> None:
    """The signed certificate of a transfer's decision; `hetao policy verify` computes it again, anywhere."""
    document, signature = with_gateway(config, lambda gateway: gateway.answers.certificate(transfer))
    told = (
        json.dumps({"certificate": json.loads(document), "signature": signature}, ensure_ascii=False, indent=2) + "\n"
    )
    if output is None:
        typer.echo(told, nl=False)
    else:
        write_new(output, told.encode())


def verify(
    certificate: Annotated[Path, typer.Argument(metavar="CERT", help="As `hetao policy certificate` wrote it.")],
    key: Annotated[str, typer.Option("--gateway-key", help="The gateway's signing key: ssh-ed25519 AAAA...")],
    policies: PoliciesOption = None,
    as_json: AsJson = False,
) -> None:
    """Check a certificate's signature and compute its verdict again, offline."""
    pack = load_policies(policies)
    found, faults = _verified(read_file(certificate), key, pack)
    if as_json:
        show_json(
            {"transfer": found.transfer, "verdict": found.decision["verdict"], "holds": not faults, "faults": faults}
        )
    else:
        for fault in faults:
            out.print(f"[bold red]{escape(fault)}[/]")
        if not faults:
            out.print(
                f"the certificate holds: {found.transfer}, {found.decision['verdict']}, {' '.join(found.decision['rules'])}"
            )
    if faults:
        raise typer.Exit(REFUSED)


def _verified(data: bytes, key: str, pack: Policies) -> tuple[certificates.Certificate, list[str]]:
    try:
        told = json.loads(data)
    except (ValueError, RecursionError) as wrong:
        raise Unusable(
            "the certificate is not JSON: write it again with `hetao policy certificate TRANSFER`"
        ) from wrong
    shaped = isinstance(told, dict) and told.keys() == {"certificate", "signature"}
    if not shaped or not isinstance(told["signature"], str) or not isinstance(told["certificate"], dict):
        raise Unusable("this is no certificate of a decision: `hetao policy certificate TRANSFER` writes one")
    document = canonical.encode(told["certificate"])
    found = certificates.parse(document)
    try:
        signed_by_it = sshsig.verify(
            told["signature"].encode(), document, certificates.NAMESPACE
        ) == sshsig.public_blob(key)
    except Malformed:
        signed_by_it = False
    faults = [] if signed_by_it else ["the signature is not this key's over this certificate"]
    return found, faults + certificates.check(found, pack.rulebook, pack.vocabulary, prc_calendar())


def replay(
    pack: Annotated[Path, typer.Option("--pack", help="The directory of the other rule pack.")],
    institution: Annotated[str, typer.Option("--institution")] = "",
    every: Annotated[bool, typer.Option("--all", help="List transfers that would not differ, too.")] = False,
    lang: LanguageOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Decide recorded transfers again under another rule pack, facts only, and list what would differ."""
    other = load_policies(pack, verify=False)

    async def work(gateway: Gateway) -> tuple[int, list[Replayed]]:
        wanted, seen, found = TransferFilter(institution=institution), 0, list[Replayed]()
        async for each in gateway.answers.replayed(other.rulebook, other.vocabulary, wanted):
            seen += 1
            if every or each.differs:
                found.append(each)
            if not seen % 100:
                await asyncio.sleep(0)
        return seen, found

    seen, found = with_gateway(config, work)
    if as_json:
        show_json({"decided": seen, "rulebook": other.rulebook.digest, "transfers": [_impact(each) for each in found]})
        return
    catalogue, language = load_catalogue(), spoken(lang, os.environ)
    out.print(catalogue.text("explain.replayed", language, decided=seen, differ=sum(each.differs for each in found)))
    show_table(
        "",
        ["transfer", "institution", "before", "rules", "after", "rules"],
        [list(_impact(each).values()) for each in found],
    )


def _impact(each: Replayed) -> dict[str, str]:
    return {
        "transfer": each.transfer.id,
        "institution": each.transfer.institution,
        "before": each.before[0],
        "rules_before": " ".join(each.before[1]),
        "after": each.after[0],
        "rules_after": " ".join(each.after[1]),
    }
