"""The SFTP door on a real socket before a whole flow over fakes, and clients of asyncssh's making."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from certs.sshkeys import make_ssh_key
from gateway.core.identity import SENDER_SCOPES
from gateway.core.names import DatasetName
from gateway.doors.sftp import DoorLimits, serving
from gateway.flow.folders import Folders
from gateway.identity.sshcertificates import SshCertificates
from gateway.identity.sshkeys import SshKeys
from gateway.stores.locales import load_catalogue
from tests.doors.site import OTHER_INSTITUTION, ToldObserver
from tests.flow.rig import Rig, public_line, seeded_key
from tests.identity.certified import AUTHORITIES

KEYS = {name: seeded_key(name) for name in ("lin", "reader", "li-si", "stranger")}
BASE = "/outbox/hku/trial"


class SftpSite:
    """A founded rig with the keys `lin` (all scopes) and `reader` of sz-lab, and `li-si` of gz-lab, behind the door."""

    def __init__(self, folder: Path) -> None:
        self.rig = Rig()
        self.observer = self.rig.observer = ToldObserver()
        self.rig.restart()
        self.folder = folder
        folder.chmod(0o700)
        self.host_key = make_ssh_key(folder, "host", "host").private
        self.port = 0

    async def found(self) -> SftpSite:
        await self.rig.found()
        about = {"lin": ("sz-lab", "lin"), "reader": ("sz-lab", "boss"), "li-si": ("gz-lab", "li-si")}
        scopes = {"reader": ["transfers:read"]}
        keys = [
            (
                "sshkey",
                {
                    "id": f"{name}-key",
                    "institution": institution,
                    "person": person,
                    "key": public_line(KEYS[name]),
                    "scopes": scopes.get(name, list(SENDER_SCOPES)),
                },
            )
            for name, (institution, person) in about.items()
        ]
        await self.rig.register(
            ("institution", OTHER_INSTITUTION),
            ("person", {"id": "li-si", "name": "Li Si", "institution": "gz-lab", "real_name_verified": True}),
            ("project", {"id": "other", "institution": "gz-lab", "endpoints": ["hku"], "purpose": "trial B"}),
            *keys,
        )
        for name, key in KEYS.items():
            path = self.folder / name
            path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
            path.chmod(0o600)
        return self

    def _about(self) -> dict[str, Any]:
        return {"records": self.rig.records, "registrar": self.rig.registrar, "clock": self.rig.clock}

    def _certified(self) -> dict[str, Any]:
        return {"observer": self.observer, "authorities": AUTHORITIES}

    @asynccontextmanager
    async def served(self, limits: DoorLimits | None = None) -> AsyncIterator[SftpSite]:
        rig = self.rig
        async with serving(
            host="127.0.0.1",
            port=0,
            host_key=self.host_key,
            intake=rig.intake,
            enquiry=rig.enquiry,
            folders=Folders(recorder=rig.recorder, intake=rig.intake),
            resume=rig.resume,
            keys=SshKeys(**self._about(), certificates=SshCertificates(**self._about(), **self._certified())),
            catalogue=load_catalogue(),
            clock=rig.clock,
            observer=rig.observer,
            room=lambda: (1 << 40, 1 << 39),
            defender=rig.defender,
            limits=limits,
        ) as self.port:
            line = " ".join((self.folder / "host.pub").read_text().split()[:2])
            (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {line}\n")
            yield self

    @asynccontextmanager
    async def connected(
        self, name: str = "lin", login: str = "", **options: object
    ) -> AsyncIterator[asyncssh.SSHClientConnection]:
        given = {
            "username": login or ("gz-lab" if name == "li-si" else "sz-lab"),
            "client_keys": [str(self.folder / name)],
            "known_hosts": str(self.folder / "known_hosts"),
            "config": None,
            "agent_path": None,
            **options,
        }
        async with asyncssh.connect("127.0.0.1", self.port, **given) as connection:
            yield connection

    @asynccontextmanager
    async def client(self, name: str = "lin", **options: object) -> AsyncIterator[asyncssh.SFTPClient]:
        async with self.connected(name, **options) as connection, connection.start_sftp_client() as client:
            yield client

    async def files(self, dataset: str = "birds") -> dict[str, int]:
        """What the flow has of a dataset."""
        folders = Folders(recorder=self.rig.recorder, intake=self.rig.intake)
        found = await folders.files(self.rig.sender, DatasetName("sz-lab", "hku", "trial", dataset))
        return {path: each.size for path, each in found.items()}

    async def quiet(self) -> None:
        """Wait until no upload is under way and nobody is connected."""
        async with asyncio.timeout(60):
            while len(self.observer.of("sftp.left")) < len(self.observer.of("sftp.entered")) or self.rig.spool.busy:
                self.observer.told.clear()
                if self.rig.spool.busy:
                    await asyncio.sleep(0)
                else:
                    await self.observer.told.wait()
