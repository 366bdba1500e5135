"""One version of a dataset, from the first look at the files to its receipt.

Steps, with what happens when one fails:
1. Look at the dataset. Something cannot be sent: nothing is sent at all.
2. Open a transfer under a key that was made durable before; a run that goes on finds the same one.
3. Hash each file, leave out what the gateway has already, send the rest, several at once. What broke off goes on; a file that
   changed meanwhile is sent again, three times at the most.
4. Compare the gateway's list with what lies here: what differs is sent again, what is too much is deleted.
5. Submit exactly this list. The answer was lost: the transfer's state says whether it was taken.
6. Follow it to the verdict, and to the receipt. Held: said, and left to the officers unless asked to wait.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from gateway.cli.dataset import Dataset, LocalFile, look_again
from gateway.cli.send.board import Board
from gateway.cli.send.connection import Connection
from gateway.cli.send.content import Changed, digest
from gateway.cli.send.news import news_of
from gateway.cli.send.plan import Received, differ, fingerprint, parse_received
from gateway.cli.send.receipts import Pins, faults_of, keep
from gateway.cli.send.state import StateFile, Target
from gateway.cli.send.uploads import Uploads, file_address
from gateway.cli.send.verdicts import FALLEN, FINE, WITH_OFFICERS, state_line, verdict_lines
from gateway.core.errors import BrokenPromise, CallerError, Conflict, EndpointError

if TYPE_CHECKING:  # it brings the rules' language, which takes its time to load
    from gateway.core.rulebook import Rulebook

ROUNDS: Final = 3
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)  # it stands in addresses and in the names of receipts
OPEN: Final = "open"


class Outcome(Enum):
    """How it ended."""

    RECEIPTED = "receipted"
    SUBMITTED = "submitted"
    HELD = "held"
    FALLEN = "fallen"


@dataclass(frozen=True)
class Wishes:
    """What was asked for.

    Attributes:
        target: What, where.
        declaration: What is said of the data.
        parallel: Files at once.
        wait: Whether to wait for the verdict and the receipt.
        wait_held: Whether to wait on while officers look at it.
        again: Whether a new transfer is opened although nothing changed.
        pins: Keys a receipt is checked with.
        receipts: Folder for receipts.
    """

    target: Target
    declaration: Mapping[str, Any]
    parallel: int
    wait: bool
    wait_held: bool
    again: bool
    pins: Pins
    receipts: Path


class Delivery:
    """Sends one version.

    Args:
        connection: To the gateway.
        state: What is remembered of earlier runs.
        board: Who is told.
        wishes: What was asked for.
    """

    def __init__(self, connection: Connection, state: StateFile, board: Board, wishes: Wishes) -> None:
        self._connection = connection
        self._state = state
        self._board = board
        self._wishes = wishes
        self._files: dict[str, LocalFile] = {}  # as they were when they were last looked at
        self._sums: dict[str, str] = {}
        self._told: object = None  # the verdict that was told

    async def run(self, dataset: Dataset) -> Outcome:
        """Bring it to its end, or as far as was asked for."""
        self._files = {file.path: file for file in dataset.files}
        memory = self._state.memory
        if memory.submitted and (self._wishes.again or memory.submitted != self._mark()):
            if await self._stands_open():
                memory.submitted = ""  # a run ended between noting and submitting: nothing was submitted
            else:
                self._state.begin()
        transfer = await self._open()
        if transfer["state"] == OPEN:
            await self._fill(transfer["id"])
            transfer = await self._submit(transfer["id"])
        else:
            self._board.say("goes-on", event="goes-on", transfer=transfer["id"], state=transfer["state"])
        if not self._wishes.wait:
            return Outcome.SUBMITTED
        return await self._follow(transfer)

    def _mark(self) -> str:
        return fingerprint(self._files.values(), self._wishes.declaration)

    # --- step 2 ------------------------------------------------------------------------------------------------------

    async def _stands_open(self) -> bool:
        try:
            known = await self._transfer("GET", f"/v1/transfers/{self._state.memory.transfer}")
        except CallerError:
            return False
        return bool(known["state"] == OPEN)

    async def _open(self, *, last: bool = False) -> Mapping[str, Any]:
        self._state.save()  # the key is durable before the gateway hears it
        target, known = self._wishes.target, bool(self._state.memory.transfer)
        document = {"endpoint": target.endpoint, "project": target.project, "dataset": target.dataset}
        opened = await self._transfer("POST", "/v1/transfers", {**document, "declaration": self._wishes.declaration})
        if opened["state"] != OPEN and not self._state.memory.submitted:
            # It ended, or somebody else submitted it, before this run's files were in it.
            if last:
                raise EndpointError("the gateway opens no transfer that can be filled", retry=False)
            self._state.begin()
            return await self._open(last=True)
        self._state.memory.transfer = opened["id"]
        self._state.save()
        if known and opened["state"] == OPEN and self._wishes.declaration:
            await self._transfer("PUT", f"/v1/transfers/{opened['id']}/declaration", self._wishes.declaration)
        self._board.say("opened", event="opened", transfer=opened["id"], version=opened["version"])
        return opened

    async def _transfer(self, method: str, path: str, document: object = None) -> Mapping[str, Any]:
        """A call whose answer is a transfer."""
        headers = {"Idempotency-Key": f'"{self._state.memory.key}"'} if path == "/v1/transfers" else {}
        answer = await self._connection.call(method, path, document=document, headers=headers)
        name, state, version = (answer.body.get(each) for each in ("id", "state", "version"))
        if not (_ID.fullmatch(str(name)) and isinstance(state, str) and type(version) is int):
            raise EndpointError("this is no gateway: its answer is no transfer; look at --gateway", retry=False)
        return answer.body

    # --- steps 3 and 4 -----------------------------------------------------------------------------------------------

    async def _fill(self, transfer: str) -> None:
        uploads = Uploads(self._connection, self._state, transfer, self._board)
        for path in sorted(set(self._state.memory.uploads) - set(self._files)):
            await uploads.drop(path)
        files: Sequence[LocalFile] = tuple(self._files.values())
        received = await self._received(transfer)
        self._board.begin(len(files), sum(file.size for file in files))
        with self._board.running():
            for _ in range(ROUNDS):
                await self._round(uploads, files, received)
                received = await self._received(transfer)
                difference = differ(self._files.values(), self._sums, received)
                for path in difference.surplus:
                    self._board.say("surplus", event="deleted", path=path)
                    await self._connection.call(
                        "DELETE", file_address(transfer, path), fine=lambda each: each.status == 404
                    )
                files = difference.missing
                if not files:
                    return
        raise Conflict(f"{len(files)} file(s) did not stay the same, first {files[0].path}: wait until nobody writes")

    async def _received(self, transfer: str) -> dict[str, Received]:
        """What the gateway has, page by page."""
        found: dict[str, Received] = {}
        path = f"/v1/transfers/{transfer}/files"
        page = ""
        while True:
            answer = await self._connection.call("GET", path + page)
            try:
                more = parse_received(answer.body["files"])
            except (KeyError, TypeError, ValueError, AttributeError) as wrong:
                raise EndpointError("the gateway's list of files cannot be read", retry=False) from wrong
            found |= more
            if not more or "next" not in answer.body:
                return found
            page = f"?after={quote(str(answer.body['next']), safe='')}"

    async def _round(self, uploads: Uploads, files: Sequence[LocalFile], received: Mapping[str, Received]) -> None:
        """Every file once, several at the same time; the first that cannot be sent ends the others."""
        waiting = iter(files)

        async def work() -> None:
            for file in waiting:  # all take from the same: what is in memory does not grow with the files
                await self._one(uploads, file, received)

        ticking = asyncio.ensure_future(self._board.tick())
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._wishes.parallel, len(files))):
                    group.create_task(work())
        except BaseExceptionGroup as failed:
            raise _first(failed) from None
        finally:
            ticking.cancel()

    async def _one(self, uploads: Uploads, file: LocalFile, received: Mapping[str, Received]) -> None:
        for _ in range(ROUNDS):
            try:
                sha256 = await self._sum(file)
                there = received.get(file.path) == Received(file.size, sha256)
                if not there:
                    await uploads.send(file, sha256)
            except Changed:
                self._board.again(file)
                now = look_again(file)
                if now is None:
                    raise Conflict(f"{file.path} vanished while it was being sent: run it again") from None
                file = self._files[file.path] = now
            else:
                self._board.finished(file, sent=not there)
                return
        raise Conflict(f"{file.path} changes while it is being sent: wait until nobody writes it")

    async def _sum(self, file: LocalFile) -> str:
        known = self._state.sum_of(file)
        if not known:
            known = await digest(file, lambda _: self._board.reads())
            self._state.keep_sum(file, known)
        self._sums[file.path] = known
        return known

    # --- step 5 ------------------------------------------------------------------------------------------------------

    async def _submit(self, transfer: str) -> Mapping[str, Any]:
        if changed := [file.path for file in self._files.values() if not file.same(look_again(file))]:
            raise Conflict(f"{len(changed)} file(s) changed while others were sent, first {changed[0]}: run it again")
        listing = {file.path: file.size for file in self._files.values()}
        self._state.memory.submitted = self._mark()
        self._state.save()  # from here on a run that goes on asks what became of it
        try:
            taken = await self._transfer("POST", f"/v1/transfers/{transfer}/submit", {"files": listing})
        except CallerError:
            taken = await self._transfer("GET", f"/v1/transfers/{transfer}")
            if taken["state"] == OPEN:  # it was the request that was refused, not its repetition
                self._state.memory.submitted = ""
                self._state.save()
                raise
        self._board.say("submitted", event="submitted", files=len(listing))
        return taken

    # --- step 6 ------------------------------------------------------------------------------------------------------

    async def _follow(self, transfer: Mapping[str, Any]) -> Outcome:
        told = ""
        async with news_of(self._connection, transfer["id"]) as news:
            while True:
                state = transfer["state"]
                if state != told:
                    self._tell(transfer)
                    news.moved()
                    told = state
                if state in FINE:
                    await self._receipt(transfer)
                    return Outcome.RECEIPTED
                if state in FALLEN:
                    return Outcome.FALLEN
                if state == WITH_OFFICERS and not self._wishes.wait_held:
                    self._board.say("held", event="left")
                    return Outcome.HELD
                await news.wait()
                transfer = await self._transfer("GET", f"/v1/transfers/{transfer['id']}")

    def _tell(self, transfer: Mapping[str, Any]) -> None:
        board = self._board
        state, decision = transfer["state"], transfer.get("decision")
        board.event("state", transfer=transfer["id"], state=state, says=transfer.get("says", ""))
        board.line(state_line(transfer, board.catalogue, board.language))
        if decision and self._told != (decision.get("verdict"), decision.get("rules")):
            self._told = (decision.get("verdict"), decision.get("rules"))
            board.event("verdict", transfer=transfer["id"], **decision)
            for line in verdict_lines(transfer, board.catalogue, board.language, _rulebook()):
                board.line(line)

    async def _receipt(self, transfer: Mapping[str, Any]) -> None:
        name = f"{self._wishes.target.dataset}-v{transfer['version']}-{transfer['id']}"
        answer = await self._connection.call("GET", f"/v1/transfers/{transfer['id']}/receipt")
        receipt, signature = answer.body.get("receipt"), answer.body.get("signature")
        if not isinstance(receipt, str) or not isinstance(signature, str):
            raise EndpointError("the gateway's receipt cannot be read", retry=False)
        place = str(keep(self._wishes.receipts, name, receipt, signature))
        if not self._wishes.pins.complete:
            self._board.say("unchecked", event="receipt-kept", style="yellow", file=place)
            return
        sent = {file.path: Received(file.size, await self._sum(file)) for file in self._files.values()}
        if faults := faults_of(receipt, signature, self._wishes.pins, transfer["id"], sent):
            raise BrokenPromise(f"the receipt at {place} does not hold: {'; '.join(faults)}; tell the operator")
        self._board.say("checked", event="receipt-checked", style="green", file=place)


def _rulebook() -> Rulebook:
    """Titles of rules and laws; loaded once there is a verdict to tell, since that takes its time."""
    from gateway.stores.rulebooks import load_policies  # noqa: PLC0415  # as said above

    return load_policies().rulebook


def _first(failed: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error behind a group, the gravest where there are several."""
    inner = [_first(each) if isinstance(each, BaseExceptionGroup) else each for each in failed.exceptions]
    return next((each for each in inner if not isinstance(each, Exception)), inner[0])
