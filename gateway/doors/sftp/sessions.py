"""One SSH channel: the SFTP subsystem, or the one command that is answered.

What it is not: what requests mean (`files`).

A change must keep these:
1. asyncssh's handler calls `close` for every open file when the connection goes away, as if CLOSE had come. Here they are
   abandoned instead; the tests cut connections at every point to hold it.
2. Only extensions that are answered are offered, and every request that is not answered is unsupported.
3. Shells, other commands, other subsystems, terminals and forwarding are refused by not being there.

`_Handler` takes over private parts of asyncssh (2.24); a test names them, so that another version is looked at before it is used.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, cast

import asyncssh
from asyncssh import SFTPError, SFTPLimits
from asyncssh.constants import (
    EXTENDED_DATA_STDERR,
    FX_EOF,
    FX_NO_SPACE_ON_FILESYSTEM,
    FX_NO_SUCH_FILE,
    FX_OP_UNSUPPORTED,
    FX_PERMISSION_DENIED,
    FX_QUOTA_EXCEEDED,
    FXP_OPENDIR,
    FXP_WRITE,
)
from asyncssh.sftp import MAX_SFTP_PACKET_LEN, MAX_SFTP_READ_LEN, MAX_SFTP_WRITE_LEN, SFTPServerHandler
from asyncssh.stream import SSHReader, SSHServerStreamSession, SSHWriter

from gateway.core.errors import GatewayError, TooLarge
from gateway.core.identity import Principal
from gateway.doors.sftp.answers import answer
from gateway.doors.sftp.bandwidth import Lane
from gateway.doors.sftp.desk import Desk
from gateway.doors.sftp.metered import MeteredFiles
from gateway.doors.sftp.sums import parse_command, sums
from gateway.doors.sftp.windows import grant, grant_nothing_early

VERSION: Final = 3
OFFERED: Final = (
    (b"posix-rename@openssh.com", b"1"),
    (b"statvfs@openssh.com", b"2"),
    (b"fstatvfs@openssh.com", b"2"),
    (b"fsync@openssh.com", b"1"),
    (b"limits@openssh.com", b"1"),
    (b"copy-data", b"1"),
)
_NAMES: Final = frozenset(name for name, _ in OFFERED)
_OUTCOMES: Final = {
    FX_EOF: "ok",
    FX_NO_SUCH_FILE: "no-such-file",
    FX_PERMISSION_DENIED: "denied",
    FX_OP_UNSUPPORTED: "unsupported",
    FX_QUOTA_EXCEEDED: "quota",
    FX_NO_SPACE_ON_FILESYSTEM: "no-room",
}
Caller = Callable[[], Awaitable[Principal]]


def unlogged(speaker: Any) -> None:
    """Let a connection, channel or handler of the library's make no line of every packet.

    Packets hold names and content, and a line that is made and thrown away costs as much as the answer to a small request.
    """
    speaker.log_sent_packet = speaker.log_received_packet = _nothing


def _nothing(*about: Any, **more: Any) -> None:
    """Log nothing."""


def counted(work: Any) -> Any:
    """A packet handler whose answers are counted by kind and outcome."""
    kind = work.__name__.removeprefix("_process_")

    @functools.wraps(work)
    async def handler(self: _Handler, packet: Any) -> object:
        outcome = "failure"
        try:
            result = await work(self, packet)
        except SFTPError as failure:
            outcome = _OUTCOMES.get(failure.code, outcome)
            raise
        else:
            outcome = "ok"
            return result
        finally:
            self.tally.answered(kind, outcome)

    return handler


class _Handler(SFTPServerHandler):
    """asyncssh's reader of SFTP packets, with what this door offers and with its own end."""

    _extensions = list(OFFERED)  # noqa: RUF012  # asyncssh's table, as it is declared there
    _packet_handlers = {  # noqa: RUF012  # the same
        kind: counted(work)
        for kind, work in SFTPServerHandler._packet_handlers.items()  # noqa: SLF001  # see the module's docstring
        if isinstance(kind, int) or kind in _NAMES
    }

    def __init__(self, files: MeteredFiles, reader: SSHReader[bytes], writer: SSHWriter[bytes], handles: int) -> None:
        super().__init__(files, reader, writer, VERSION)
        unlogged(self)
        self._files = files
        self._handles = handles
        self.tally = files.tally

    async def _cleanup(self, exc: Exception | None) -> None:
        cut = list(self._file_handles.values())
        for file in cut:
            await self._files.abandon(file)
        self._file_handles.clear()
        self.tally.tell()
        await self._files.leave(broken=exc is not None or bool(cut))
        if self._writer is not None and not self._writer.channel.is_closing():
            cast("asyncssh.SSHServerChannel[bytes]", self._writer.channel).exit(0)  # scp fails where none is said
        await super()._cleanup(exc)

    async def written(self, handle: bytes, offset: int, data: bytes) -> int:
        """Answer a WRITE."""
        file = self._file_handles.get(handle)
        if file is None:
            raise asyncssh.SFTPInvalidHandle("this file is not open")
        return await self._files.write(file, offset, data)

    async def open_folder(self, packet: Any) -> bytes:
        """OPENDIR within the session's bound."""
        if len(self._dir_handles) >= self._handles:
            self.tally.refusals["session_handles"] += 1
            raise answer(TooLarge(f"at most {self._handles} folders are open in a session: close some"))
        return await self._process_opendir(packet)

    def limits_told(self) -> SFTPLimits:
        """What limits@openssh.com answers."""
        return SFTPLimits(MAX_SFTP_PACKET_LEN, MAX_SFTP_READ_LEN, MAX_SFTP_WRITE_LEN, self._handles)


async def _process_limits(handler: SFTPServerHandler, packet: Any) -> object:
    packet.check_end()
    assert isinstance(handler, _Handler)
    return handler.limits_told()


async def _process_write(handler: SFTPServerHandler, packet: Any) -> object:
    assert isinstance(handler, _Handler)
    # What follows the data is passed over, as OpenSSH does: rclone before 1.65 leaves stray bytes there.
    return await handler.written(packet.get_string(), packet.get_uint64(), packet.get_string())


async def _process_opendir(handler: SFTPServerHandler, packet: Any) -> bytes:
    """As the library's, with a bound: an open folder is memory, too."""
    assert isinstance(handler, _Handler)
    return await handler.open_folder(packet)


_Handler._packet_handlers[b"limits@openssh.com"] = counted(_process_limits)  # noqa: SLF001  # our own class's copy
_Handler._packet_handlers[FXP_OPENDIR] = counted(_process_opendir)  # noqa: SLF001  # the same
_Handler._packet_handlers[FXP_WRITE] = counted(_process_write)  # noqa: SLF001  # the same


class DoorSession(SSHServerStreamSession[bytes]):
    """A channel, before and after the client said what it is for.

    Args:
        desk: What the door works with.
        caller: Gives the caller.
        lane: The connection's place among those of its institution.
        window: How many bytes its client may be ahead, now.
        began: Called when the channel is open.
        ended: Called when it is done.
    """

    def __init__(
        self,
        desk: Desk,
        caller: Caller,
        lane: Lane,
        *,
        window: Callable[[], int],
        began: Callable[[], None],
        ended: Callable[[], None],
    ) -> None:
        super().__init__(None)
        self._window = window
        self._desk = desk
        self._caller = caller
        self._lane = lane
        self._began = began
        self._ended = ended
        self._working = False
        self._paths: Sequence[str] = ()
        self._command = False

    def connection_made(self, chan: Any) -> None:
        """The channel is open."""
        super().connection_made(chan)
        unlogged(chan)
        grant_nothing_early(chan)
        self._limit = 0  # nothing waits in the channel, where it would not be counted
        self._began()

    def _maybe_resume_reading(self) -> bool:
        """The library's, after each look at what came: what was read from it may be sent again."""
        resumed = super()._maybe_resume_reading()
        grant(self._chan, self._recv_buf_len, self._window())
        return resumed

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed; work under way ends by itself, at the end of what it reads."""
        super().connection_lost(exc)
        if not self._working:
            self._ended()

    def shell_requested(self) -> bool:
        """No shell."""
        return False

    def pty_requested(self, term_type: str, term_size: Any, term_modes: Any) -> bool:
        """No terminal."""
        del term_type, term_size, term_modes
        return False

    def subsystem_requested(self, subsystem: str) -> bool:
        """SFTP alone."""
        return subsystem == "sftp"

    def exec_requested(self, command: str) -> bool:
        """`sha256sum PATH...` alone."""
        paths = parse_command(command)
        self._command, self._paths = True, paths or ()
        return paths is not None

    def session_started(self) -> None:
        """Begin what was asked for."""
        self._working = True
        channel = cast("asyncssh.SSHServerChannel[bytes]", self._chan)
        channel.set_encoding(None)
        self._encoding = None
        work = self._answer(channel) if self._command else self._serve(channel)
        cast("asyncssh.SSHServerConnection", self._conn).create_task(self._to_its_end(work))

    async def _to_its_end(self, work: Awaitable[None]) -> None:
        try:
            await work
        finally:
            self._ended()

    async def _serve(self, channel: asyncssh.SSHServerChannel[bytes]) -> None:
        reader, writer = SSHReader[bytes](self, channel), SSHWriter[bytes](self, channel)
        files = MeteredFiles(channel, self._desk, self._caller, self._lane)
        await _Handler(files, reader, writer, self._desk.limits.session_handles).run()

    async def _answer(self, channel: asyncssh.SSHServerChannel[bytes]) -> None:
        try:
            out, complaints, status = await sums(self._desk.folders, await self._caller(), self._paths)
        except GatewayError as failure:
            self._desk.observer.saw("sftp.faltered", code=failure.code)
            out, complaints, status = b"", b"sha256sum: the gateway cannot answer now\n", 1
        channel.write(out)
        channel.write(complaints, EXTENDED_DATA_STDERR)
        channel.exit(status)
