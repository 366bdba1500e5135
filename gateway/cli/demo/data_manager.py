"""A data manager at an SFTP prompt: OpenSSH's `sftp` where it is installed, the same commands by asyncssh's client where not.

What this is not: an SFTP client. It knows `put`, `put -r` and `get` of the batch language of OpenSSH's sftp(1), without
quoting: the demo's names have no blanks.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import asyncssh

from gateway.core.errors import EndpointError

HOST = "127.0.0.1"
TIMEOUT = 120
ENDED = ("held", "refused", "rejected", "withdrawn", "expired", "failed")


class DataManager:
    """A person with an SSH key.

    Args:
        port: The gateway's SFTP door.
        host_key: The door's public key, one line.
        user: The login name, which is the institution's id.
        key: The person's private key file.
        folder: Where the datasets are, and where what is fetched goes: the working directory of every command.
    """

    def __init__(self, *, port: int, host_key: str, user: str, key: Path, folder: Path) -> None:
        self._port = port
        self._user = user
        self._key = key
        self._folder = folder
        self._known = key.with_name(f"known_hosts_{user}")
        self._known.write_text(f"[{HOST}]:{port} {' '.join(host_key.split()[:2])}\n", encoding="utf-8")
        self.sftp = shutil.which("sftp")

    @property
    def login(self) -> str:
        """What one types to get the prompt."""
        return f"sftp -P {self._port} -i {self._key.name} {self._user}@{HOST}"

    def list_files(self, dataset: str) -> int:
        """Write `SUBMIT`, which lists a dataset's files as `sha256sum` does; returns how many."""
        folder = self._folder / dataset
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        lines = [f"{sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n" for path in files]
        (self._folder / "SUBMIT").write_text("".join(lines), encoding="utf-8")
        return len(files)

    def carry_out(self, commands: Sequence[str]) -> None:
        """Carry out a batch over one connection; raises EndpointError where one of the commands fails."""
        if self.sftp is None:
            asyncio.run(asyncio.wait_for(self._by_asyncssh(commands), TIMEOUT))
        else:
            self._by_openssh(self.sftp, commands)

    def await_end(self, command: str, state: str, seconds: float) -> str:
        """Fetch a status until it says `(state)`; returns its text, or raises EndpointError where it will not say so."""
        status = self._folder / command.rsplit(maxsplit=1)[-1].rpartition("/")[2]
        until = time.monotonic() + seconds
        while True:
            self.carry_out([command])
            text = status.read_text(encoding="utf-8")
            if f"({state})" in text:
                return text
            if any(f"({end})" in text for end in ENDED) or time.monotonic() > until:
                raise EndpointError(f"expected {state} and read: {text}")
            time.sleep(0.2)

    def _by_openssh(self, program: str, commands: Sequence[str]) -> None:
        # Nothing of the machine's own SSH settings, agents or known hosts takes part.
        told = {
            "IdentityFile": self._key,
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": self._known,
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
        }
        options = [word for name, value in told.items() for word in ("-o", f"{name}={value}")]
        command = [program, "-q", "-F", "none", *options, "-P", str(self._port), "-b", "-", f"{self._user}@{HOST}"]
        batch = "".join(f"{each}\n" for each in commands)
        done = subprocess.run(  # noqa: S603  # fixed program, our own arguments
            command, input=batch, capture_output=True, text=True, cwd=self._folder, timeout=TIMEOUT, check=False
        )
        if done.returncode:
            raise EndpointError(f"sftp: {done.stdout}{done.stderr}")

    async def _by_asyncssh(self, commands: Sequence[str]) -> None:
        try:
            async with (
                asyncssh.connect(
                    HOST,
                    self._port,
                    username=self._user,
                    client_keys=[str(self._key)],
                    known_hosts=str(self._known),
                    agent_path=None,
                    config=None,
                ) as connection,
                connection.start_sftp_client() as client,
            ):
                for command in commands:
                    await self._one(client, command.split())
        except (asyncssh.Error, OSError) as refused:
            raise EndpointError(f"sftp: {refused}") from refused

    async def _one(self, client: asyncssh.SFTPClient, words: list[str]) -> None:
        match words:
            case ["put", "-r", local, remote]:
                await client.put(str(self._folder / local), remote, recurse=True)
            case ["put", local, remote]:
                await client.put(str(self._folder / local), remote)
            case ["get", remote]:
                await client.get(remote, str(self._folder))
            case _:
                raise ValueError(f"not a command of the demo: {' '.join(words)}")
