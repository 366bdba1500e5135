"""Every endpoint kind behind one face, so that one suite can drive them all."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from certs.authority import DevelopmentAuthority
from certs.sshkeys import make_ssh_key
from connectors.directory import DirectoryConnector, tree
from connectors.https import HttpsConnector
from connectors.naming import is_temporary
from connectors.sftp import SftpConnector
from gateway.core.errors import EndpointError
from gateway.ports import Connector
from tests.connectors.cargo import Crash
from tests.connectors.https_server import HttpsServerThread
from tests.connectors.sftp_server import SftpServerThread
from tests.fakes.channel import FakeChannel
from tests.fakes.connector import FakeConnector, FakeEndpoint

LOOPBACK = ["127.0.0.0/8"]


@dataclass
class Site:
    """One endpoint under test.

    Attributes:
        connector: A new connector for it.
        everything: All files at the endpoint by path below its base, temporary ones included.
        put: Place content there behind the connector's back.
        cut_after: Break the connection, or the process, after so many changes; None mends it.
        lock_out: Make the endpoint refuse for good.
        attempts: How often it was tried.
        sees_same_size: Whether other content of the same size is noticed.
        proof: The proof a delivery claims.
    """

    connector: Callable[[], Connector]
    everything: Callable[[], dict[str, bytes]]
    put: Callable[[str, bytes], None]
    cut_after: Callable[[int | None], None]
    lock_out: Callable[[], None]
    attempts: Callable[[], int]
    sees_same_size: bool
    proof: str
    more: dict[str, Any] = field(default_factory=dict)

    def published(self) -> dict[str, bytes]:
        return {path: content for path, content in self.everything().items() if not is_temporary(path)}

    def leftovers(self) -> list[str]:
        return [path for path in self.everything() if is_temporary(path)]


def fake_site(folder: Path, stack: ExitStack) -> Site:
    endpoint = FakeEndpoint()

    def lock_out() -> None:
        endpoint.refusal = EndpointError("refused for good", retry=False)

    return Site(
        connector=lambda: FakeConnector({}, None, endpoint=endpoint),
        everything=lambda: dict(endpoint.files),
        put=endpoint.files.__setitem__,
        cut_after=lambda changes: setattr(endpoint, "cut_after", changes),
        lock_out=lock_out,
        attempts=lambda: endpoint.attempts,
        sees_same_size=True,
        proof="readback",
    )


class DyingOs:
    """`os` as `connectors.directory.tree` sees it, dying after some call that changes something."""

    CHANGES = frozenset({"open", "mkdir", "link", "unlink", "rename", "write", "fsync"})

    def __init__(self) -> None:
        self.cut_after: int | None = None

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in self.CHANGES:
            return real

        def call(*arguments: Any, **named: Any) -> Any:
            result = real(*arguments, **named)
            if self.cut_after is not None:
                self.cut_after -= 1
                if self.cut_after < 0:
                    if name == "open":
                        os.close(result)
                    raise Crash
            return result

        return call


def directory_site(folder: Path, stack: ExitStack) -> Site:
    base = folder / "base"
    base.mkdir()
    dying = DyingOs()
    original = tree.os
    tree.os = dying  # type: ignore[assignment] # the seam this test needs: a death between two system calls
    stack.callback(setattr, tree, "os", original)
    tries: list[None] = []

    def connector() -> Connector:
        tries.append(None)
        return DirectoryConnector({"path": str(base)}, FakeChannel())

    return Site(
        connector=connector,
        everything=lambda: read_tree(base),
        put=lambda path, content: write_file(base, path, content),
        cut_after=lambda changes: setattr(dying, "cut_after", changes),
        lock_out=lambda: base.rename(folder / "gone") and None,
        attempts=lambda: len(tries),
        sees_same_size=True,
        proof="readback",
        more={"base": base},
    )


def sftp_site(folder: Path, stack: ExitStack, *, verify: str = "size") -> Site:
    root, keys = folder / "root", folder / "keys"
    (root / "in").mkdir(parents=True)
    host, user = make_ssh_key(keys, "host", "host"), make_ssh_key(keys, "user", "gateway")
    server = SftpServerThread(root, host.private, user.public)
    stack.callback(server.stop)
    channel = FakeChannel({"sftp.example.hk": ["127.0.0.1"]})
    settings: dict[str, object] = {
        "host": "sftp.example.hk",
        "port": server.port,
        "ranges": LOOPBACK,
        "username": "gateway",
        "private_key_file": str(user.private),
        "host_key": host.public.read_text().strip(),
        "base": "/in",
        "verify": verify,
    }

    def lock_out() -> None:
        settings["private_key_file"] = str(make_ssh_key(keys, "stranger", "stranger").private)

    return Site(
        connector=lambda: SftpConnector(settings, channel),
        everything=lambda: read_tree(root / "in"),
        put=lambda path, content: write_file(root / "in", path, content),
        cut_after=lambda changes: setattr(server.trouble, "cut_after", changes),
        lock_out=lock_out,
        attempts=lambda: len(channel.connects),
        sees_same_size=True,
        proof=verify,
        more={"settings": settings, "channel": channel, "trouble": server.trouble, "root": root / "in", "keys": keys},
    )


def https_site(folder: Path, stack: ExitStack, *, atomic: str = "put", verify: str = "size") -> Site:
    authority = DevelopmentAuthority.create(datetime.now(UTC), accept_risk=True)
    ca = authority.save(folder / "tls")
    certificate, key = authority.issue_server(["https.example.hk"], datetime.now(UTC)).save(folder / "tls", "server")
    server = HttpsServerThread(certificate, key, dav=atomic == "move")
    stack.callback(server.stop)
    store = server.store
    if store.folders is not None:
        store.folders.add("drop box")
    channel = FakeChannel({"https.example.hk": ["127.0.0.1"]})
    settings: dict[str, object] = {
        "base_url": f"https://https.example.hk:{server.port}/drop%20box/",
        "ranges": LOOPBACK,
        "ca_file": str(ca),
        "atomic": atomic,
        "verify": verify,
    }

    def everything() -> dict[str, bytes]:
        return {path.removeprefix("drop box/"): content for path, content in dict(store.files).items()}

    return Site(
        connector=lambda: HttpsConnector(settings, channel),
        everything=everything,
        put=lambda path, content: store.files.__setitem__("drop box/" + path, content),
        cut_after=lambda changes: setattr(store, "cut_after", changes),
        lock_out=lambda: store.answers.update(HEAD=(403, {}), PUT=(403, {})),
        attempts=lambda: len(channel.connects),
        sees_same_size=verify != "size",
        proof=verify,
        more={"settings": settings, "channel": channel, "store": store, "authority": authority, "folder": folder},
    )


SITES: dict[str, Callable[[Path, ExitStack], Site]] = {
    "fake": fake_site,
    "directory": directory_site,
    "sftp": sftp_site,
    "sftp-readback": lambda folder, stack: sftp_site(folder, stack, verify="readback"),
    "https": https_site,
    "https-move-checksum": lambda folder, stack: https_site(folder, stack, atomic="move", verify="checksum"),
    "https-readback": lambda folder, stack: https_site(folder, stack, verify="readback"),
}


def read_tree(base: Path) -> dict[str, bytes]:
    return {str(path.relative_to(base)): path.read_bytes() for path in base.rglob("*") if path.is_file()}


def write_file(base: Path, path: str, content: bytes) -> None:
    (base / path).parent.mkdir(parents=True, exist_ok=True)
    (base / path).write_bytes(content)
