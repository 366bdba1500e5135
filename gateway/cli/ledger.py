"""`hetao ledger`: is the record whole, where does it say so, and what does it hold?"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli import REFUSED
from gateway.cli.desk import AsJson, Config, out, read_file, show_fields, show_json, with_gateway, write_new
from gateway.core.errors import Unusable
from gateway.core.receipt import check_receipt
from gateway.flow.audit import Audited
from gateway.flow.recorder import Ledgering
from gateway.flow.tree import prove as prove_entry
from gateway.wire import Malformed
from gateway.wiring import Gateway

app = typer.Typer(no_args_is_help=True, help="The ledger: verify, prove, export, forget.")


@app.command()
def verify(config: Config = None, as_json: AsJson = False) -> None:
    """Recompute the tree from its entries and compare it, the checkpoint, the lifecycle and the registry with the database."""
    found: Audited = with_gateway(config, lambda gateway: gateway.audit.verify())
    if as_json:
        show_json(vars(found))
    else:
        show_fields({key: value for key, value in vars(found).items() if key != "problems"})
        for problem in found.problems:
            out.print(f"[bold red]{problem}[/bold red]")
        out.print("the ledger holds" if not found.problems else f"{len(found.problems)} problem(s)")
    if found.problems:
        raise typer.Exit(REFUSED)


@app.command()
def prove(entry: int, config: Config = None) -> None:
    """An entry with its inclusion proof and a fresh signed checkpoint, as JSON."""

    async def work(gateway: Gateway) -> dict[str, Any]:
        async with gateway.database.read() as view:
            size = await view.tree_size()
        if not 0 <= entry < size:
            raise Unusable(f"there is no entry {entry}: the ledger has {size}, counted from 0")
        proof = await gateway.recorder.do(lambda ledger: prove_entry(ledger.tx, entry, gateway.ledger))
        return {
            "index": proof.index,
            "entry": json.loads(proof.entry),
            "inclusion": [base64.b64encode(each).decode() for each in proof.hashes],
            "checkpoint": proof.checkpoint.decode(),
            "verifier_key": gateway.ledger.verifier_key,
        }

    show_json(with_gateway(config, work))


@app.command()
def export(file: Path, config: Config = None) -> None:
    """Every entry as one line of canonical JSON, in order, and the newest checkpoint beside it (`FILE.checkpoint`)."""
    write_new(file, b"")

    async def work(gateway: Gateway) -> int:
        async with gateway.database.read() as view:
            size = await view.tree_size()
            with file.open("wb") as opened:
                for start in range(0, size, 1000):
                    for _, body in await view.entries(start, 1000):
                        opened.write(body + b"\n")
            note = await view.latest_checkpoint()
        if note:
            file.with_name(file.name + ".checkpoint").write_bytes(note)
        return size

    out.print(f"{with_gateway(config, work)} entries written to {file}")


@app.command()
def checkpoint(config: Config = None) -> None:
    """Sign a checkpoint over the ledger as it is and print it."""

    async def work(gateway: Gateway) -> str:
        async def job(ledger: Ledgering) -> bytes:
            size = await ledger.tx.tree_size()
            return (await prove_entry(ledger.tx, size - 1, gateway.ledger)).checkpoint

        return (await gateway.recorder.do(job)).decode()

    typer.echo(with_gateway(config, work), nl=False)  # to the byte: rich would wrap it


@app.command()
def forget(transfer: str, config: Config = None, as_json: AsJson = False) -> None:
    """Destroy the evidence key of a transfer whose term of keeping is over; refused before, with the day from which it may be."""
    forgotten = with_gateway(config, lambda gateway: gateway.retention.forget(transfer, by="operator"))
    if as_json:
        show_json({"transfer": forgotten.id, "evidence": forgotten.evidence, "entry": forgotten.last_entry})
        return
    out.print(f"the evidence of {forgotten.id} is gone; its entries and proofs stay (entry {forgotten.last_entry})")


@app.command("check-receipt")
def check_receipt_file(
    receipt: Path,
    signature: Annotated[Path, typer.Option("--signature")],
    gateway_key: Annotated[str, typer.Option("--gateway-key", help="The gateway's signing key: ssh-ed25519 AAAA...")],
    ledger_key: Annotated[str, typer.Option("--ledger-key", help="The ledger's verifier key: name+hash+base64.")],
) -> None:
    """Check a receipt offline, against two pinned keys; needs no gateway and no network."""
    try:
        checked = check_receipt(read_file(receipt), read_file(signature), gateway_key, ledger_key)
    except Malformed as wrong:
        raise Unusable(
            f"a key cannot be read: {wrong}; give the keys themselves, as `hetao keys show` prints them"
        ) from wrong
    for problem in checked.problems:
        out.print(f"[bold red]{problem}[/bold red]")
    if checked.problems:
        raise typer.Exit(REFUSED)
    transfer = checked.body["transfer"]
    out.print(f"the receipt holds: {transfer['dataset']} v{transfer['version']} to {transfer['endpoint']}")
