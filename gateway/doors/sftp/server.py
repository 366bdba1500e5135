"""The socket under the door: what SSH may do here, who signs in, and bounds on connections.

What it is not: identity (`gateway.identity.sshkeys`), or SFTP (`files`).

A change must keep these:
1. Algorithms are a closed list, post-quantum key exchange first. A release of the library changes nothing in it.
2. Public keys only. No password, no certificate, no host-based login, no shell, agent, X11 or forwarding.
3. A key is checked against the registry when it signs in and again while it works: one that was retired or revoked
   stops within seconds.
4. At the end connections are cut and their sessions waited for: what was not closed leaves nothing behind.

Sources: RFC 4252, RFC 9142 (key exchange), draft-ietf-sshm-mlkem-hybrid-kex.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import asyncssh
from asyncssh.constants import OPEN_RESOURCE_SHORTAGE
from asyncssh.kex import get_kex_algs

from gateway.core.catalogue import Catalogue
from gateway.core.errors import GatewayError, NotPermitted, Unusable
from gateway.core.identity import Principal
from gateway.doors.sftp.arrivals import Budget
from gateway.doors.sftp.desk import Desk, DoorLimits
from gateway.doors.sftp.sessions import VERSION, DoorSession
from gateway.doors.sftp.tree import Tree, Underway
from gateway.flow.enquiry import Enquiry
from gateway.flow.folders import Folders
from gateway.flow.intake import Intake
from gateway.ports import Clock, Observer

KEX: Final = (
    "mlkem768x25519-sha256",
    "sntrup761x25519-sha512",
    "sntrup761x25519-sha512@openssh.com",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
)
CIPHERS: Final = ("aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com")
MACS: Final = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
)  # named by clients also with AEAD ciphers
SIGNATURES: Final = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
RECHECK_SECONDS: Final = 5.0
SHUTDOWN_SECONDS: Final = 30.0
KEEPALIVES: Final = 3
SESSIONS: Final = 10  # channels a connection, as OpenSSH's MaxSessions


class Keys(Protocol):
    """Who a key belongs to (`gateway.identity.sshkeys`)."""

    async def principal(self, login: str, blob: bytes) -> Principal | None:
        """The caller behind a login name and a public key in SSH wire form, or None."""


@dataclass
class _Room:
    """Who is in: connections by institution, sessions under way."""

    connections: Counter[str] = field(default_factory=Counter)
    open: set[asyncssh.SSHServerConnection] = field(default_factory=set)
    sessions: int = 0
    empty: asyncio.Event = field(default_factory=asyncio.Event)

    def began(self) -> None:
        self.sessions += 1
        self.empty.clear()

    def ended(self) -> None:
        self.sessions -= 1
        if not self.sessions:
            self.empty.set()


class _Connection(asyncssh.SSHServer):
    """One connection."""

    def __init__(self, desk: Desk, keys: Keys, room: _Room) -> None:
        self._desk = desk
        self._keys = keys
        self._room = room
        self._login = ""
        self._blob = b""
        self._principal: Principal | None = None
        self._counted = False
        self._sessions = 0
        self._checked = 0.0
        self._active = 0.0
        self._idle: asyncio.TimerHandle | None = None
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """A peer is there."""
        self._connection = conn
        self._room.open.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer is gone."""
        del exc
        if self._idle is not None:
            self._idle.cancel()
        if self._connection is not None:
            self._room.open.discard(self._connection)
        if self._counted and self._principal is not None:
            self._room.connections[self._principal.institution] -= 1
            self._desk.observer.saw("sftp.left", client=self._principal.client)

    # --- who ---------------------------------------------------------------------------------------------------------

    def begin_auth(self, username: str) -> bool:
        """Everybody has to prove who they are."""
        self._login = username
        return True

    def public_key_auth_supported(self) -> bool:
        """The only way in."""
        return True

    def password_auth_supported(self) -> bool:
        """No passwords."""
        return False

    def kbdint_auth_supported(self) -> bool:
        """Nor passwords under another name."""
        return False

    async def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Whether this key may sign in; asyncssh then has it prove itself."""
        try:
            self._principal = await self._keys.principal(username, key.public_data)
        except GatewayError as failure:
            self._principal = None
            self._desk.observer.saw("sftp.faltered", code=failure.code)
        self._blob = key.public_data
        if self._principal is None:
            self._desk.observer.saw("login.refused", remote=self._peer())
        return self._principal is not None

    def auth_completed(self) -> None:
        """Somebody is in."""
        principal, connection = self._principal, self._connection
        assert principal is not None
        assert connection is not None
        loop = asyncio.get_running_loop()
        self._checked = self._active = loop.time()
        self._room.connections[principal.institution] += 1
        self._counted = True
        if self._room.connections[principal.institution] > self._desk.limits.connections:
            connection.disconnect(asyncssh.DISC_TOO_MANY_CONNECTIONS, "too many connections of this institution")
            return
        self._watch(loop)
        self._desk.observer.saw("sftp.entered", client=principal.client, remote=self._peer())

    def _peer(self) -> str:
        peer = self._connection.get_extra_info("peername") if self._connection else None
        return str(peer[0]) if peer else ""

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """End the connection when nothing was asked for too long."""
        left = self._active + self._desk.limits.idle - loop.time()
        if left > 0 or self._sessions_busy():
            self._idle = loop.call_later(max(left, 1.0), self._watch, loop)
        elif self._connection is not None:
            self._connection.disconnect(asyncssh.DISC_BY_APPLICATION, "nothing was asked for too long")

    def _sessions_busy(self) -> bool:
        """Whether a file is being written: then the keepalive alone decides."""
        return any(name.institution == self._login for name, _ in self._desk.underway.arrivals)

    async def caller(self) -> Principal:
        """The caller of a request; raises NotPermitted where the key does not hold any more."""
        loop = asyncio.get_running_loop()
        self._active = loop.time()
        if self._active - self._checked > RECHECK_SECONDS:
            self._principal = await self._keys.principal(self._login, self._blob) if self._principal else None
            self._checked = self._active
        if self._principal is None:
            raise NotPermitted("this key does not hold any more: ask your institution's contact")
        return self._principal

    # --- what --------------------------------------------------------------------------------------------------------

    def session_requested(self) -> DoorSession:
        """A channel; everything else SSH can open is refused by asyncssh's defaults."""
        if self._sessions >= SESSIONS:
            raise asyncssh.ChannelOpenError(OPEN_RESOURCE_SHORTAGE, "too many channels")
        self._sessions += 1
        return DoorSession(self._desk, self.caller, began=self._room.began, ended=self._ended)

    def _ended(self) -> None:
        self._sessions -= 1
        self._room.ended()


@asynccontextmanager
async def serving(
    *,
    host: str,
    port: int,
    host_key: Path,
    intake: Intake,
    enquiry: Enquiry,
    folders: Folders,
    keys: Keys,
    catalogue: Catalogue,
    clock: Clock,
    observer: Observer,
    room: Callable[[], tuple[int, int]],
    limits: DoorLimits | None = None,
) -> AsyncIterator[int]:
    """Serve until the block ends; gives the port it is on.

    Args:
        host: Address to bind.
        port: Port to bind; 0 takes any free one.
        host_key: The door's own private key (OpenSSH).
        intake: The senders' verbs.
        enquiry: The readers' verbs.
        folders: Datasets as folders.
        keys: Who a key belongs to.
        catalogue: Texts in three languages.
        clock: For the times of folders nobody made.
        observer: Told of sign-ins and failures.
        room: Bytes of the vault's disk, all and free.
        limits: Bounds of the door.

    Raises:
        Unusable: The host key cannot be read.
    """
    bounds = limits or DoorLimits()
    underway = Underway()
    tree = Tree(enquiry=enquiry, folders=folders, catalogue=catalogue, underway=underway, began=clock.now())
    desk = Desk(intake, folders, tree, underway, Budget(), observer, bounds, room)
    crowd = _Room()
    crowd.empty.set()
    acceptor = await asyncssh.listen(
        host,
        port,
        server_factory=lambda: _Connection(desk, keys, crowd),
        server_host_keys=[_host_key(host_key)],
        server_version="hetao",
        config=[],
        kex_algs=_at_hand(KEX, get_kex_algs()),
        encryption_algs=CIPHERS,
        mac_algs=MACS,
        compression_algs=("none",),
        signature_algs=SIGNATURES,
        public_key_auth=True,
        password_auth=False,
        kbdint_auth=False,
        host_based_auth=False,
        gss_host=None,
        allow_pty=False,
        agent_forwarding=False,
        x11_forwarding=False,
        sftp_version=VERSION,
        login_timeout=bounds.login,
        keepalive_interval=bounds.keepalive,
        keepalive_count_max=KEEPALIVES,
        rdns_lookup=False,
        encoding=None,
        backlog=512,
    )
    try:
        yield acceptor.get_port()
    finally:
        acceptor.close()
        underway.stopping = True
        for connection in list(crowd.open):
            connection.abort()
        async with asyncio.timeout(SHUTDOWN_SECONDS):
            await crowd.empty.wait()
            await acceptor.wait_closed()


def _at_hand(wanted: Sequence[str], available: Sequence[bytes]) -> list[str]:
    """Those that this machine's libraries have (sntrup761 needs one more), in our order."""
    return [name for name in wanted if name.encode() in available]


def _host_key(path: Path) -> asyncssh.SSHKey:
    try:
        return asyncssh.read_private_key(path)
    except (OSError, asyncssh.KeyImportError) as wrong:
        raise Unusable(
            f"the SFTP door's host key {path.name} cannot be read ({wrong}): "
            "make one with `hetao keys host`, or mend sftp.host_key"
        ) from wrong
