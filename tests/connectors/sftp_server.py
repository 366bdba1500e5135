"""A real SFTP server (asyncssh) in a thread with a loop of its own, which can be told to make trouble."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import asyncssh


class Trouble:
    """What the server shall do wrong; shared by its sessions.

    Attributes:
        cut_after: Abort the connection after so many changes; None never does.
        fail_write_at: Answer a write that reaches this offset with "failure", as a full disk does.
        deny: Names of operations that are answered with "permission denied".
        reorder_writes: Answer every second write only after the one that follows it.
    """

    def __init__(self) -> None:
        self.cut_after: int | None = None
        self.fail_write_at: int | None = None
        self.deny: set[str] = set()
        self.logins = 0


class TroubledServer(asyncssh.SFTPServer):
    """asyncssh's own server on a chroot, with the trouble in front of every change."""

    def __init__(self, chan: asyncssh.SSHServerChannel, root: Path, trouble: Trouble) -> None:
        super().__init__(chan, chroot=str(root).encode())
        self._trouble = trouble

    def _changed(self) -> None:
        if self._trouble.cut_after is not None:
            self._trouble.cut_after -= 1
            if self._trouble.cut_after < 0:
                self.channel.get_connection().abort()

    def _ask(self, operation: str) -> None:
        if operation in self._trouble.deny:
            raise asyncssh.SFTPPermissionDenied("denied: /home/张三/secret")

    def open(self, path, pflags, attrs):
        self._ask("open")
        handle = super().open(path, pflags, attrs)
        if pflags & asyncssh.FXF_WRITE:
            self._changed()
        return handle

    def write(self, file_obj, offset, data):
        self._ask("write")
        limit = self._trouble.fail_write_at
        if limit is not None and offset + len(data) > limit:
            raise asyncssh.SFTPFailure("no space left")
        written = super().write(file_obj, offset, data)
        self._changed()
        return written

    def mkdir(self, path, attrs):
        self._ask("mkdir")
        super().mkdir(path, attrs)
        self._changed()

    def rename(self, oldpath, newpath):
        self._ask("rename")
        super().rename(oldpath, newpath)
        self._changed()

    def remove(self, path):
        super().remove(path)
        self._changed()


class SftpServerThread:
    """A server on 127.0.0.1 until `stop`; `port` is the system's choice."""

    def __init__(self, root: Path, host_key: Path, authorized: Path) -> None:
        self.trouble = Trouble()
        self._root = root
        self._options = {"server_host_keys": [str(host_key)], "authorized_client_keys": str(authorized)}
        self._connections: list[asyncssh.SSHServerConnection] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sftp-server", daemon=True)
        self._thread.start()
        self._listener = self._run(self._listen())
        self.port = self._listener.get_port()

    async def _listen(self) -> asyncssh.SSHAcceptor:
        trouble, root, connections = self.trouble, self._root, self._connections

        class Door(asyncssh.SSHServer):
            def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
                connections.append(conn)

            def begin_auth(self, username: str) -> bool:
                trouble.logins += 1
                return True

        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=Door,
            sftp_factory=lambda chan: TroubledServer(chan, root, trouble),
            **self._options,
        )

    def stop(self) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _close(self) -> None:
        self._listener.close()
        await self._listener.wait_closed()
        for connection in self._connections:
            connection.abort()
            await connection.wait_closed()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        if others:
            await asyncio.wait(others, timeout=5)  # sessions close the files they had open

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)
