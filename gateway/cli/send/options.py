"""The options of `hetao send`, with their help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

To = Annotated[str, typer.Option("--to", help="The endpoint that receives.")]
Project = Annotated[str, typer.Option("--project", help="Under which project.")]
DatasetName = Annotated[str, typer.Option("--dataset", help="The dataset's name; else the folder's.")]
GatewayUrl = Annotated[str, typer.Option("--gateway", help="Its URL, such as https://gateway.example:8443.")]
ClientId = Annotated[str, typer.Option("--client", help="The registered client's id.")]
Key = Annotated[
    Path | None, typer.Option("--key", help="Private key; a .pub file: ssh-agent signs; with --cert, its key.")
]
Cert = Annotated[Path | None, typer.Option("--cert", help="Client certificate (PEM) to sign in with.")]
Authority = Annotated[
    Path | None, typer.Option("--authority", help="Authority of the gateway's certificate (PEM); else the system's.")
]
Audience = Annotated[
    str, typer.Option("--audience", help="The token endpoint's URL as the gateway knows it; else --gateway's.")
]
GatewayKey = Annotated[
    str, typer.Option("--gateway-key", help="Its signing key (or a file), to check the receipt with.")
]
LedgerKey = Annotated[str, typer.Option("--ledger-key", help="Its ledger's key (or a file), for the same.")]
Receipts = Annotated[Path | None, typer.Option("--receipts", help="Folder for receipts; else the state's.")]
Parallel = Annotated[int, typer.Option("--parallel", help="Files at once.  [default: 4]", show_default=False)]
PatienceSeconds = Annotated[
    int, typer.Option("--patience", help="Seconds nothing may move.  [default: 600]", show_default=False)
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Forecast the verdict and send nothing.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="End once it is submitted.")]
WaitHeld = Annotated[bool, typer.Option("--wait-held", help="Wait on while officers look at it.")]
Again = Annotated[bool, typer.Option("--again", help="Send a new version although nothing changed.")]
Watch = Annotated[bool, typer.Option("--watch", help="Go on: a new version whenever a change came to rest.")]
QuietSeconds = Annotated[float, typer.Option("--quiet", min=1, help="Seconds a watched folder must be at rest.")]
ProfileFile = Annotated[Path | None, typer.Option("--profile", help="Settings (TOML); else ~/.config/hetao/send.toml.")]
AsEvents = Annotated[bool, typer.Option("--json", help="One JSON object a line, for machines.")]
