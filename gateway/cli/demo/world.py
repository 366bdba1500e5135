"""The demo's world: officers, institutions, two recipients in Hong Kong, a gateway in a process of its own.

Everything is made fresh in one folder and listens on loopback only. The Hong Kong SFTP server is a real SSH server with
a key of its own, pinned in the registry.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

from certs.crypt4ghkeys import make_crypt4gh_key
from certs.jwtkeys import make_jwt_key
from certs.keyfiles import make_key_folder
from certs.sshkeys import make_ssh_key
from gateway.cli.demo.data_manager import DataManager
from gateway.core.errors import StoreError
from gateway.core.identity import SENDER_SCOPES

HOST = "127.0.0.1"
OFFICERS = {"chen": "security", "zhao": "audit", "wu": "system"}
CLIENTS = {"sz-genomics": "lin", "futian-hospital": "huang"}
USERS = ("lin",)  # who has an SSH key at the SFTP door


# Below the ports systems give to outgoing connections: 32768 and up on Linux, 49152 and up by RFC 6335, section 6.
_FIRST_PORT, _PORTS = 20_000, 12_000
_turns = itertools.count(secrets.randbelow(_PORTS))


def free_port() -> int:
    """A TCP port nobody listens on now, another one at each call.

    Who asked binds it later, or again after a restart. No client's connection has come to lie on it by then.

    Raises:
        StoreError: All of them are taken.
    """
    for turn in itertools.islice(_turns, _PORTS):
        port = _FIRST_PORT + turn % _PORTS
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise StoreError(f"no port of {_FIRST_PORT} to {_FIRST_PORT + _PORTS - 1} is free: end what listens there")


class _Drop(asyncssh.SFTPServer):
    """An SFTP server confined to one folder."""

    root: str = ""

    def __init__(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        super().__init__(chan, chroot=self.root.encode())


class HongKongSftp:
    """A recipient's SFTP server in a thread with an event loop of its own."""

    def __init__(self, folder: Path, keys: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._keys = keys
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="hong-kong-sftp", daemon=True)
        self._server: asyncssh.SSHAcceptor | None = None

    def start(self) -> None:
        """Listen; returns when it does."""
        (self.folder / "in").mkdir(parents=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(30)

    async def _listen(self) -> None:
        drop = type("Drop", (_Drop,), {"root": str(self.folder)})
        self._server = await asyncssh.listen(
            HOST,
            self.port,
            server_host_keys=[str(self._keys / "hk-host")],
            authorized_client_keys=str(self._keys / "relay.pub"),
            sftp_factory=drop,
        )

    def stop(self) -> None:
        """Close the server and its thread."""

        async def close() -> None:
            if self._server is not None:
                self._server.close()
                await self._server.wait_closed()

        asyncio.run_coroutine_threadsafe(close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()


@dataclass
class World:
    """Where everything is.

    Attributes:
        folder: All of it.
        https_port: The gateway's door.
        metrics_port: Its metrics.
        sftp_port: Its SFTP door.
    """

    folder: Path
    https_port: int = field(default_factory=free_port)
    metrics_port: int = field(default_factory=free_port)
    sftp_port: int = field(default_factory=free_port)
    gateway: subprocess.Popen[bytes] | None = None
    sftp: HongKongSftp | None = None

    @property
    def keys(self) -> Path:
        """Keys of everybody but the gateway."""
        return self.folder / "keys"

    @property
    def config(self) -> Path:
        """The gateway's settings."""
        return self.folder / "gateway" / "gateway.toml"

    @property
    def authority(self) -> Path:
        """The development authority's certificate."""
        return self.folder / "gateway" / "keys" / "authority.crt"

    @property
    def url(self) -> str:
        """The HTTPS door."""
        return f"https://localhost:{self.https_port}"

    @property
    def port_options(self) -> list[str]:
        """What `hetao init` is told of ports."""
        ports = {"https": self.https_port, "sftp": self.sftp_port, "metrics": self.metrics_port}
        return [word for name, port in ports.items() for word in (f"--{name}-port", str(port))]

    def build(self) -> None:
        """Make keys, the gateway's folder, and what will be registered."""
        make_key_folder(self.keys)
        for name in (*OFFICERS, *USERS, "hk-host", "relay"):
            make_ssh_key(self.keys, name, name)
        for name in CLIENTS:
            make_jwt_key(self.keys, name)
        for name in ("hku", "hkust"):
            make_crypt4gh_key(self.keys, name)
        (self.folder / "genesis.toml").write_text(self._genesis(), encoding="utf-8")
        self.sftp = HongKongSftp(self.folder / "hong-kong-hku", self.keys)
        (self.folder / "hong-kong-hkust").mkdir()
        (self.folder / "registry.toml").write_text(self._registry(self.sftp.port), encoding="utf-8")

    def _public(self, name: str) -> str:
        return (self.keys / f"{name}.pub").read_text(encoding="utf-8").strip()

    def _genesis(self) -> str:
        people = [
            f'[[person]]\nid = "{name}"\nname = "Officer {name.title()}"\nreal_name_verified = true\n\n'
            f'[[officer]]\nid = "{role}-{name}"\nperson = "{name}"\nrole = "{role}"\nkey = "{self._public(name)}"\n'
            for name, role in OFFICERS.items()
        ]
        return "\n".join(people)

    def _registry(self, sftp_port: int) -> str:
        jwks = {name: json.loads((self.keys / f"{name}.jwk").read_text(encoding="utf-8")) for name in CLIENTS}
        recipient = {name: self._public(name).splitlines()[1] for name in ("hku", "hkust")}
        return REGISTRY.format(
            hku_key=recipient["hku"],
            hkust_key=recipient["hkust"],
            sftp_port=sftp_port,
            host_key=" ".join(self._public("hk-host").split()[:2]),
            relay_key=self.keys / "relay",
            directory=self.folder / "hong-kong-hkust",
            lin_key=" ".join(self._public("lin").split()[:2]),
            genomics_jwk=_inline(jwks["sz-genomics"]),
            hospital_jwk=_inline(jwks["futian-hospital"]),
            scopes=json.dumps(SENDER_SCOPES),
        )

    def start_gateway(self, environment: Mapping[str, str] | None = None) -> None:
        """Run `hetao serve` in a process of its own, with more environment variables where given."""
        log = (self.folder / "gateway.log").open("ab")
        command = [sys.executable, "-m", "gateway.cli", "serve", "--config", str(self.config)]
        self.gateway = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **(environment or {})})  # noqa: S603  # our own interpreter and module
        log.close()

    def data_manager(self, folder: Path) -> DataManager:
        """Lin Yue of the genomics institute at her SFTP prompt, in a folder of datasets."""
        host_key = (self.config.parent / "keys" / "sftp_host.pub").read_text(encoding="utf-8")
        return DataManager(
            port=self.sftp_port, host_key=host_key, user="sz-genomics", key=self.keys / "lin", folder=folder
        )

    def check_gateway(self) -> None:
        """Raise where the gateway's process has ended."""
        if self.gateway is not None and self.gateway.poll() is not None:
            tail = (self.folder / "gateway.log").read_text(encoding="utf-8").splitlines()[-5:]
            raise StoreError("the gateway ended: " + " | ".join(tail))

    def stop(self) -> None:
        """End the gateway's process and the SFTP server."""
        if self.gateway is not None:
            self.gateway.terminate()
            try:
                self.gateway.wait(20)
            except subprocess.TimeoutExpired:
                self.gateway.kill()
                self.gateway.wait(20)
        if self.sftp is not None:
            self.sftp.stop()


def _inline(jwk: dict[str, str]) -> str:
    return "{ " + ", ".join(f'{key} = "{value}"' for key, value in jwk.items()) + " }"


REGISTRY = """\
[[institution]]
id = "sz-genomics"
name_zh = "深圳基因研究所"
name_en = "Shenzhen Genomics Institute"
uscc = "91110000600037341L"
filing_number = "HT-2026-0017"
filed_from = 2026-03-01
gba_city = "Shenzhen"

[[institution]]
id = "futian-hospital"
name_zh = "福田研究医院"
name_en = "Futian Research Hospital"
uscc = "9144030071526726XG"
filing_number = "HT-2026-0021"
filed_from = 2026-03-01
gba_city = "Shenzhen"

[[person]]
id = "lin"
name = "Lin Yue"
institution = "sz-genomics"
real_name_verified = true

[[person]]
id = "huang"
name = "Huang Min"
institution = "futian-hospital"
real_name_verified = true

[[client]]
id = "sz-genomics-client"
institution = "sz-genomics"
person = "lin"
jwk = {genomics_jwk}
scopes = {scopes}

[[client]]
id = "futian-hospital-client"
institution = "futian-hospital"
person = "huang"
jwk = {hospital_jwk}
scopes = {scopes}

[[sshkey]]
id = "lin-laptop"
institution = "sz-genomics"
person = "lin"
key = "{lin_key}"
scopes = {scopes}

[[endpoint]]
id = "hku-genomics"
name = "HKU Genomics"
place = "HK"
connector = "sftp"
recipient_key = "{hku_key}"
ranges = ["127.0.0.1/32"]
[endpoint.settings]
host = "127.0.0.1"
port = {sftp_port}
username = "relay"
private_key_file = "{relay_key}"
host_key = "{host_key}"
base = "/in"

[[endpoint]]
id = "hkust-imaging"
name = "HKUST Imaging"
place = "HK"
connector = "directory"
recipient_key = "{hkust_key}"
[endpoint.settings]
path = "{directory}"

[[project]]
id = "island-ecology"
institution = "sz-genomics"
endpoints = ["hku-genomics"]
purpose = "academic cooperation"

[[project]]
id = "phantom-scans"
institution = "sz-genomics"
endpoints = ["hkust-imaging"]
purpose = "academic cooperation"

[[project]]
id = "rare-variants"
institution = "sz-genomics"
endpoints = ["hku-genomics"]
purpose = "rare variant study"

[[project]]
id = "diabetes-cohort"
institution = "futian-hospital"
endpoints = ["hkust-imaging"]
purpose = "diabetes cohort study"
"""

FILINGS = """\
[[filing]]
id = "scc-2026-041"
institution = "sz-genomics"
kind = "SCC"
recipients = ["hku-genomics"]
effective = {effective}
filed = {filed}

[[filing]]
id = "hgr-report-2026-118"
institution = "sz-genomics"
kind = "HGR_REPORT"
recipients = ["hku-genomics"]
effective = {effective}

[[filing]]
id = "hgr-backup-2026-118"
institution = "sz-genomics"
kind = "HGR_BACKUP"
recipients = ["hku-genomics"]
effective = {effective}
"""
