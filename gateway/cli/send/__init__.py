"""`hetao send`: a dataset from this machine to a gateway, over its public HTTP interface alone.

It is a client like any other: what it does can be done with curl and a tus client. It needs no gateway's files, and shares
nothing with one but the rules for names and the checking of receipts.

Exit codes: 0 receipted (with `--no-wait`: submitted), 1 refused, held, or something does not hold, 2 usage, 3 the gateway
cannot be reached, 130 stopped by Ctrl-C and 143 by SIGTERM, in a state the same command goes on from.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import typer
from rich.console import Console

from gateway.cli import FINE, REFUSED
from gateway.cli.dataset import Dataset, find_dataset
from gateway.cli.declared import Declaration, Declare, Exclude, Facts, FollowLinks, Paths, declared_document
from gateway.cli.language import LanguageOption, spoken
from gateway.cli.send import options
from gateway.cli.send.board import Board, make_board
from gateway.cli.send.connection import Address, Connection, connected, parse_url
from gateway.cli.send.delivery import Delivery, Outcome, Wishes
from gateway.cli.send.keys import open_key
from gateway.cli.send.plan import fingerprint
from gateway.cli.send.profile import NAMES, Profile, make_profile
from gateway.cli.send.receipts import Pins, parse_pin
from gateway.cli.send.signin import PATH, SignIn
from gateway.cli.send.state import StateFile, Target, open_state, state_folder
from gateway.cli.send.watch import Quiet
from gateway.core.errors import CallerError, EndpointError, GatewayError, Unusable
from gateway.stores.locales import load_catalogue

INTERRUPTED: Final = 130  # 128 and the signal's number, as shells say it
TERMINATED: Final = 143
LOOK: Final = 2.0  # seconds between looks at a watched folder


@dataclass(frozen=True)
class Job:
    """What one run does.

    Attributes:
        paths: What is sent.
        follow: Whether symbolic links are followed.
        exclude: What is left out.
        wishes: The rest of what was asked for, with what is declared now.
    """

    paths: Sequence[Path]
    follow: bool
    exclude: Sequence[str]
    wishes: Callable[[], Wishes]

    def look(self) -> Dataset:
        """The dataset as it is now."""
        return find_dataset(self.paths, follow=self.follow, exclude=self.exclude)


def send(
    paths: Paths,
    to: options.To = "",
    project: options.Project = "",
    dataset: options.DatasetName = "",
    gateway: options.GatewayUrl = "",
    client: options.ClientId = "",
    key: options.Key = None,
    cert: options.Cert = None,
    authority: options.Authority = None,
    audience: options.Audience = "",
    gateway_key: options.GatewayKey = "",
    ledger_key: options.LedgerKey = "",
    receipts: options.Receipts = None,
    declaration: Declaration = None,
    declare: Declare = None,
    facts: Facts = None,
    parallel: options.Parallel = 0,
    patience: options.PatienceSeconds = 0,
    follow_links: FollowLinks = False,
    exclude: Exclude = None,
    dry_run: options.DryRun = False,
    no_wait: options.NoWait = False,
    wait_held: options.WaitHeld = False,
    again: options.Again = False,
    watch: options.Watch = False,
    quiet: options.QuietSeconds = 60.0,
    profile: options.ProfileFile = None,
    lang: LanguageOption = None,
    as_json: options.AsEvents = False,
) -> None:
    """Send a dataset, and stay until its verdict and its receipt.

    Run the same command again after anything: it goes on with the same transfer where it stopped. What is not on the command
    line comes from `HETAO_SEND_...` (`HETAO_SEND_GATEWAY`) or from the profile, under the same names.

    Exit codes: 0 receipted (with --no-wait: submitted), 1 refused or held, 2 usage, 3 cannot reach the gateway, 130 stopped by
    Ctrl-C and 143 by SIGTERM.
    """
    given = {name: value for name, value in locals().items() if name in NAMES}  # options have the profile's names
    told = make_profile(given, profile, os.environ)
    language = spoken(told.text("lang"), os.environ)

    def declared() -> dict[str, Any]:
        return declared_document(paths, declaration, declare or ())

    if dry_run:
        found = find_dataset(paths, follow=follow_links, exclude=exclude or ()).whole()
        return _forecast(found, declared(), facts, language, as_json=as_json)

    def wishes() -> Wishes:
        return Wishes(
            target=_target(told, paths, dataset),
            declaration=as_json_values(declared()),
            parallel=told.number("parallel"),
            wait=not no_wait,
            wait_held=wait_held,
            again=again,
            pins=Pins(parse_pin(told.text("gateway_key")), parse_pin(told.text("ledger_key"))),
            receipts=told.path("receipts") or state_folder(os.environ) / "receipts",
        )

    job = Job(paths, follow_links, exclude or (), wishes)
    board = make_board(load_catalogue(), language, as_json=as_json)
    raise typer.Exit(_run(job, told, board, quiet if watch else None))


def _forecast(
    dataset: Dataset, declared: Mapping[str, Any], facts: Path | None, language: str, *, as_json: bool
) -> None:
    # A forecast brings the classifier and the rules, which take their time to load and are not needed to send.
    from gateway.cli.forecast import make_page  # noqa: PLC0415  # as said above
    from gateway.cli.forecast.ends import COUNTS  # noqa: PLC0415  # as said above
    from gateway.cli.forecast.pages import show  # noqa: PLC0415  # as said above

    page = make_page(dataset, declared, facts, dict.fromkeys(COUNTS), None, quiet=as_json)
    if as_json:
        typer.echo(page.line())
    else:
        show(Console(), page, language)


def as_json_values(declared: Mapping[str, Any]) -> dict[str, Any]:
    """A declaration as JSON can carry it: dates become text, as the gateway reads them."""
    made: dict[str, Any] = json.loads(json.dumps(declared, default=str))
    return made


def _target(told: Profile, paths: Sequence[Path], dataset: str) -> Target:
    first = paths[0].resolve()
    if not dataset and not (len(paths) == 1 and first.is_dir()):
        raise Unusable("name the dataset with --dataset: several things have no name together")
    return Target(
        gateway=str(parse_url(told.need("gateway"))),
        client=told.need("client"),
        endpoint=told.need("to"),
        project=told.need("project"),
        dataset=dataset or first.name,
        source=tuple(sorted(str(path.resolve()) for path in paths)),
    )


# --- running -------------------------------------------------------------------------------------------------------------


def _run(job: Job, told: Profile, board: Board, quiet: float | None) -> int:
    wishes = job.wishes()
    address, sign_in = _way(told, board.language)
    ended: list[int] = []

    async def work(state: StateFile) -> int:
        task = asyncio.current_task()
        assert task is not None  # it runs in one

        def stop() -> None:
            ended.append(TERMINATED)
            task.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
        way = connected(address, sign_in, parallel=wishes.parallel, patience=told.number("patience"), told=board.waits)
        async with way as connection:
            if quiet is None:
                return await _once(job, job.look(), connection, state, board)
            return await _watch(job, connection, state, board, quiet)

    with open_state(state_folder(os.environ), wishes.target) as state:
        try:
            return asyncio.run(work(state))
        except (KeyboardInterrupt, asyncio.CancelledError):
            board.say("stopped", event="stopped")
            return ended[0] if ended else INTERRUPTED
        except GatewayError as wrong:
            board.event("error", code=wrong.code, says=wrong.message)
            raise


def _way(told: Profile, language: str) -> tuple[Address, SignIn]:
    url, key, cert = parse_url(told.need("gateway")), told.path("key"), told.path("cert")
    if key is None and cert is None:
        told.need("key")
    address = Address(url, told.path("authority"), cert, key if cert else None, language)
    audience = told.text("audience") or str(url).rstrip("/") + PATH
    return address, SignIn(told.need("client"), audience, None if cert or key is None else open_key(key))


async def _once(job: Job, found: Dataset, connection: Connection, state: StateFile, board: Board) -> int:
    if found.empty_folders:
        board.say("empty-folders", event="empty-folders", style="yellow", count=found.empty_folders)
    delivery = Delivery(connection, state, board, job.wishes())
    outcome = await delivery.run(found.whole())
    if outcome is Outcome.FALLEN:
        board.say("fallen", event="fallen", style="yellow")
    return FINE if outcome in {Outcome.RECEIPTED, Outcome.SUBMITTED} else REFUSED


async def _watch(job: Job, connection: Connection, state: StateFile, board: Board, quiet: float) -> int:
    """Versions until somebody stops it; what goes wrong with one is said, and the next change is another try."""
    rest = Quiet(quiet, state.memory.submitted)
    board.say("watching", event="watching", seconds=round(quiet))
    mark = said = ""
    while True:
        began = time.monotonic()
        looked = began
        try:
            found = await asyncio.to_thread(job.look)
            looked = time.monotonic()
            # Taking a fault out is a change, too, though no file of the dataset changed.
            mark = fingerprint(found.files, job.wishes().declaration) + "".join(each.path for each in found.faults)
            if rest.due(looked, mark):
                await _once(job, found, connection, state, board)
                rest.sent(mark)
            said = ""
        except (CallerError, EndpointError) as wrong:
            if isinstance(wrong, CallerError):  # the same again would be refused again
                rest.sent(mark)
            if wrong.message != said:
                board.say("trouble", event="trouble", style="red", says=wrong.message)
            said = wrong.message
        await asyncio.sleep(max(LOOK, 10 * (looked - began)))  # a tenth of a disk's time at the most
