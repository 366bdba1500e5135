"""One file on its way to the gateway: by tus where an upload can go on, by one PUT where there is nothing to go on with.

A change must keep these:
1. After anything that went wrong the gateway is asked where the upload stands; nothing is sent from a guess.
2. An upload has its address in the state before its first byte goes: whoever comes after a killed run goes on with it.
3. An upload is only gone on with for the very same bytes: name, size and SHA-256.

Sources: tus 1.0.0; RFC 9110 section 9.3.4 (PUT), RFC 9530 (Repr-Digest).
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator, Mapping
from typing import Final, Protocol
from urllib.parse import quote

from gateway.cli.dataset import LocalFile, look_again
from gateway.cli.send.answers import Answer, Step, after_ask, after_create, after_put, after_send
from gateway.cli.send.connection import NETWORK, STALL, Connection, refusal
from gateway.cli.send.content import Changed, open_file, pieces
from gateway.cli.send.patience import Patience
from gateway.cli.send.state import StateFile, Underway

FOLDER: Final = "/files/"
SMALL: Final = 1 << 20  # one piece: what breaks off is sent again in less time than asking takes
TUS: Final = {"Tus-Resumable": "1.0.0"}


class Progress(Protocol):
    """Who is told how far a file is."""

    def stands(self, file: LocalFile, offset: int) -> None:
        """So many bytes of it are there, or on their way."""


class Uploads:
    """Sends files of one transfer.

    Args:
        connection: To the gateway.
        state: Where uploads are remembered.
        transfer: The transfer's id.
        progress: Who is told.
    """

    def __init__(self, connection: Connection, state: StateFile, transfer: str, progress: Progress) -> None:
        self._connection = connection
        self._state = state
        self._transfer = transfer
        self._progress = progress
        self._tus = True

    async def send(self, file: LocalFile, sha256: str) -> None:
        """Bring a file over, however often it takes.

        Raises:
            Changed: The file is not what it was any more; what was begun is given up.
            CallerError: The gateway refuses it.
            EndpointError: The gateway could not be reached for long enough.
        """
        try:
            if file.size <= SMALL or not self._tus or not await self._by_tus(file, sha256):
                await self._by_put(file, sha256)
        except Changed:
            await self.drop(file.path)
            raise
        if not file.same(look_again(file)):
            raise Changed

    async def drop(self, path: str) -> None:
        """Give an upload up that is under way; one that is gone already is as good."""
        known = self._state.memory.uploads.get(path)
        if known is not None:
            await self._connection.call("DELETE", known.address, headers=TUS, fine=lambda each: not each.again)
            self._state.under_way(path, None)

    # --- tus ---------------------------------------------------------------------------------------------------------

    async def _by_tus(self, file: LocalFile, sha256: str) -> bool:
        """Send by tus; False where the gateway has none."""
        known = self._state.memory.uploads.get(file.path)
        if known is not None and (known.size, known.sha256) != (file.size, sha256):
            await self.drop(file.path)
            known = None
        patience, offset, furthest = self._connection.patience(), 0, 0
        step = Step.ASK if known else Step.CREATE
        while step is not Step.DONE:
            if step is Step.CREATE:
                self._state.under_way(file.path, None)
                if known is not None and await self._received(file, sha256):
                    break  # the answer to its last byte was lost, and the upload has gone since
                if not await self._create(file, sha256):
                    self._tus = False
                    return False
                known = self._state.memory.uploads[file.path]
                offset, step = 0, Step.SEND
            elif step is Step.ASK:
                step, offset = await self._ask(file, patience)
                if offset > furthest:
                    patience.moved()
                furthest = max(furthest, offset)
            else:
                step = await self._patch(file, offset, patience)
        self._state.under_way(file.path, None)
        self._progress.stands(file, file.size)
        return True

    async def _received(self, file: LocalFile, sha256: str) -> bool:
        """Whether the gateway has the file as it is here."""
        answer = await self._connection.call(
            "GET", file_address(self._transfer, file.path), fine=lambda each: each.status == 404
        )
        return (answer.body.get("size"), answer.body.get("sha256")) == (file.size, sha256)

    async def _create(self, file: LocalFile, sha256: str) -> bool:
        metadata = {"transfer": self._transfer, "path": file.path, "sha256": sha256}
        headers = {**TUS, "Upload-Length": str(file.size), "Upload-Metadata": format_metadata(metadata)}
        answer = await self._connection.call("POST", FOLDER, headers=headers, fine=lambda each: not each.again)
        if after_create(answer) is Step.SEND:
            address = self._connection.own_path(answer.headers["location"])
            self._state.under_way(file.path, Underway(address, file.size, sha256))
            self._progress.stands(file, 0)
            return True
        if answer.code == "no-such-route" or answer.status == 405:
            return False
        raise refusal(answer)

    async def _ask(self, file: LocalFile, patience: Patience) -> tuple[Step, int]:
        address = self._state.memory.uploads[file.path].address
        try:
            answer = await self._connection.once("HEAD", address, headers=TUS)
        except NETWORK as wrong:
            await self._connection.pause(patience, _told(wrong))
            return Step.ASK, 0
        step = after_ask(answer, file.size)
        if step is Step.WAIT:
            await self._connection.pause(patience, answer.says, answer.wait)
            return Step.ASK, 0
        if step is Step.REFUSED:
            raise refusal(answer)
        stands = answer.offset or 0 if step in {Step.SEND, Step.DONE} else 0
        self._progress.stands(file, stands)
        return step, stands

    async def _patch(self, file: LocalFile, offset: int, patience: Patience) -> Step:
        address = self._state.memory.uploads[file.path].address
        headers = {
            **TUS,
            "Upload-Offset": str(offset),
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(file.size - offset),
        }
        try:
            answer = await self._streamed("PATCH", address, file, offset, headers)
        except NETWORK as wrong:
            await self._connection.pause(patience, _told(wrong))
            return Step.ASK
        step = after_send(answer, file.size)
        if step is Step.CHANGED:
            raise Changed
        if step is Step.REFUSED:
            raise refusal(answer)
        if step is Step.WAIT or (step is not Step.DONE and offset == (answer.offset or offset)):
            # Not even one byte went forward: nothing that is tried again at once.
            await self._connection.pause(patience, answer.says, answer.wait)
        return Step.ASK if step is Step.WAIT else step

    # --- PUT ---------------------------------------------------------------------------------------------------------

    async def _by_put(self, file: LocalFile, sha256: str) -> None:
        path = file_address(self._transfer, file.path)
        headers = {
            "Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:",
            "Content-Type": "application/octet-stream",
            "Content-Length": str(file.size),
        }
        patience = self._connection.patience()
        while True:
            self._progress.stands(file, 0)
            try:
                answer = await self._streamed("PUT", path, file, 0, headers)
            except NETWORK as wrong:
                await self._connection.pause(patience, _told(wrong))
                continue
            step = after_put(answer, sha256)
            if step is Step.DONE:
                self._progress.stands(file, file.size)
                return
            if step is Step.CHANGED:
                raise Changed
            if step is Step.REFUSED:
                raise refusal(answer)
            await self._connection.pause(patience, answer.says, answer.wait)

    async def _streamed(
        self, method: str, address: str, file: LocalFile, offset: int, headers: Mapping[str, str]
    ) -> Answer:
        """One request with the file's bytes from an offset, given up where nothing moves for minutes."""
        loop = asyncio.get_running_loop()
        changed = False
        with open_file(file) as opened:
            async with asyncio.timeout(STALL) as limit:

                def moved(at: int) -> None:
                    limit.reschedule(loop.time() + STALL)
                    self._progress.stands(file, at)

                async def body() -> AsyncGenerator[bytes]:
                    nonlocal changed
                    try:
                        async for piece in pieces(opened, file, offset, moved):
                            yield piece
                    except Changed:
                        changed = True  # the HTTP client makes an error of its own of whatever a body raises
                        raise

                try:
                    return await self._connection.once(method, address, data=body, headers=headers)
                except NETWORK as wrong:
                    if changed:
                        raise Changed from wrong
                    raise


def file_address(transfer: str, path: str) -> str:
    """The address of a file of a transfer, every byte of a name that could mean something else encoded."""
    return f"/v1/transfers/{transfer}/files/{quote(path, safe='/')}"


def format_metadata(metadata: Mapping[str, str]) -> str:
    """An `Upload-Metadata` value (tus 1.0.0, creation)."""
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in metadata.items())


def _told(wrong: BaseException) -> str:
    return str(wrong) or type(wrong).__name__
