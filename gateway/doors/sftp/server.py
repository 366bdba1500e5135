"""The socket under the door: what SSH may do here, who signs in, and bounds on connections.

What it is not: identity (`gateway.identity.sshkeys`), or SFTP (`files`).

A change must keep these:
1. Algorithms are a closed list, post-quantum key exchange first. A release of the library changes nothing in it.
2. Public keys only, plain or certified. No password, no host-based login, no shell, agent, X11 or forwarding.
3. A key is checked against the registry when it signs in and again while it works: one that was retired or revoked, or
   whose certificate ran out or was revoked, stops within seconds.
4. A banned address is cut off before a byte is sent to it. A failed sign-in is one connection that asked to sign in and did
   not, sent what is not SSH, or sat until its time was over; one that only looked (a port check, `ssh-keyscan`) is none.
5. At the end connections are cut and their sessions waited for: what was not closed leaves nothing behind.

Sources: RFC 4252, RFC 9142 (key exchange), draft-ietf-sshm-mlkem-hybrid-kex.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, cast

import asyncssh
from asyncssh.constants import MSG_IGNORE, OPEN_RESOURCE_SHORTAGE
from asyncssh.kex import get_kex_algs

from gateway.core.catalogue import Catalogue
from gateway.core.errors import GatewayError, NotPermitted, Unusable
from gateway.core.identity import Principal
from gateway.doors.outbox.tree import Tree, Underway
from gateway.doors.sftp.arrivals import Budget
from gateway.doors.sftp.bandwidth import Lane
from gateway.doors.sftp.desk import Desk, DoorLimits
from gateway.doors.sftp.inbox import Inbox
from gateway.doors.sftp.sessions import VERSION, DoorSession, unlogged
from gateway.doors.sftp.shares import Shares
from gateway.doors.sftp.windows import window
from gateway.flow.defender import Defender, counted_as
from gateway.flow.enquiry import Enquiry
from gateway.flow.folders import Folders
from gateway.flow.intake import Intake
from gateway.flow.resume import Resume
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
SPOKEN: Final[Mapping[str, Any]] = {
    "server_version": "hetao",
    "config": [],
    "encryption_algs": CIPHERS,
    "mac_algs": MACS,
    "compression_algs": ("none",),
    "signature_algs": SIGNATURES,
    "public_key_auth": True,
    "password_auth": False,
    "kbdint_auth": False,
    "host_based_auth": False,
    "gss_host": None,
    "allow_pty": False,
    "agent_forwarding": False,
    "x11_forwarding": False,
    "line_editor": False,  # what wraps every channel for terminals, which there are none of
    "sftp_version": VERSION,
    "rdns_lookup": False,
    "encoding": None,
    "backlog": 512,
}
RECHECK_SECONDS: Final = 5.0
SHUTDOWN_SECONDS: Final = 30.0
KEEPALIVES: Final = 3
SESSIONS: Final = 10  # channels a connection, as OpenSSH's MaxSessions
OFFERS: Final = 20  # wrong keys a connection; agents offer many
WRITING: Final = 4  # times as long may a connection be idle while it writes a file
_JUNK: Final = (asyncssh.ProtocolError, asyncssh.ProtocolNotSupported, asyncssh.MACError)


class Keys(Protocol):
    """Who a key belongs to (`gateway.identity.sshkeys`)."""

    async def principal(self, login: str, blob: bytes, remote: str) -> Principal | None:
        """The caller behind a login name, a public key or certificate in SSH wire form, and an address; or None."""


@dataclass
class _Room:
    """Who is in: connections by institution, those not signed in by address, sessions under way."""

    observer: Observer
    connections: Counter[str] = field(default_factory=Counter)
    knocking: Counter[str] = field(default_factory=Counter)
    open: set[asyncssh.SSHServerConnection] = field(default_factory=set)
    sessions: int = 0
    empty: asyncio.Event = field(default_factory=asyncio.Event)

    def began(self) -> None:
        self.sessions += 1
        self.empty.clear()
        self.observer.saw("sftp.session_began", probe=True)

    def ended(self) -> None:
        self.sessions -= 1
        self.observer.saw("sftp.session_ended", probe=True)
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
        self._offered = b""
        self._principal: Principal | None = None
        self._client = self._institution = ""
        self._counted = False
        self._entered = False
        self._remote = self._knocking = ""
        self._asked = self._faltered = False
        self._offers = 0
        self._came = 0.0
        self._lane = Lane()
        self._sessions = 0
        self._checked = 0.0
        self._active = 0.0
        self._idle: asyncio.TimerHandle | None = None
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """A peer is there."""
        self._connection = conn
        self._room.open.add(conn)
        self._see_offers(conn)
        _send_nothing_idle(conn)
        cast("Any", conn)._inpbuf = Inbox()  # noqa: SLF001  # a test watches it
        unlogged(conn)
        self._came = asyncio.get_running_loop().time()
        peer = conn.get_extra_info("peername")  # gone when the connection is
        self._remote = str(peer[0]) if peer else ""
        counted = counted_as(self._remote)
        most = self._desk.limits.knocking
        if self._desk.defender.banned(self._remote):
            self._turn_away(conn, "banned")
        elif most and self._room.knocking[counted] >= most:
            self._turn_away(conn, "knocking")
        else:
            self._knocking = counted
            self._room.knocking[counted] += 1

    def _turn_away(self, conn: asyncssh.SSHServerConnection, reason: str) -> None:
        self._faltered = True
        self._desk.observer.saw("address.turned_away", reason=reason, probe=True)
        conn.abort()

    def _knocked(self) -> None:
        """Signed in or gone: no place at the door is needed any more."""
        knocking, self._knocking = self._knocking, ""
        if knocking:
            self._room.knocking[knocking] -= 1
            if not self._room.knocking[knocking]:
                del self._room.knocking[knocking]

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer is gone."""
        self._knocked()
        self._lane.let_go()
        if self._idle is not None:
            self._idle.cancel()
        if self._connection is not None:
            self._room.open.discard(self._connection)
        if not self._counted:
            if self._has_failed(exc):
                self._desk.defender.failed(self._remote, "sftp")
            return
        self._room.connections[self._institution] -= 1
        if self._entered:
            self._desk.observer.saw("sftp.left", client=self._client)

    def _has_failed(self, exc: Exception | None) -> bool:
        """Whether a connection that ended without signing in counts as a failure."""
        stayed = asyncio.get_running_loop().time() - self._came
        too_long = 0 < self._desk.limits.login * 0.9 <= stayed  # the library's own timer ended it
        return not self._faltered and (self._asked or isinstance(exc, _JUNK) or too_long)

    # --- who ---------------------------------------------------------------------------------------------------------

    def begin_auth(self, username: str) -> bool:
        """Everybody has to prove who they are."""
        self._login = username
        self._asked = True
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
        return await self._admits(username, key.public_data)

    async def validate_ca_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Whether the certificate that was just offered may sign in; asyncssh checks it too, and has its key prove itself."""
        del key  # the authority; what counts is the whole certificate
        return await self._admits(username, self._offered)

    async def _admits(self, username: str, blob: bytes) -> bool:
        try:
            self._principal = await self._keys.principal(username, blob, self._remote)
        except GatewayError as failure:
            self._principal = None
            self._faltered = True
            self._desk.observer.saw("sftp.faltered", code=failure.code)
        self._blob = blob
        if self._principal is None:
            self._desk.observer.saw("login.refused", remote=self._remote)
            self._refused_key()
        return self._principal is not None

    def _refused_key(self) -> None:
        self._offers += 1
        if self._offers == OFFERS and self._connection is not None:
            self._connection.disconnect(
                asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, "too many keys: offer the right one"
            )

    def auth_completed(self) -> None:
        """Somebody is in."""
        principal, connection = self._principal, self._connection
        assert principal is not None
        assert connection is not None
        loop = asyncio.get_running_loop()
        self._checked = self._active = loop.time()
        self._knocked()
        self._desk.defender.succeeded(self._remote)
        self._room.connections[principal.institution] += 1
        self._counted, self._institution = True, principal.institution
        most = self._desk.limits.connections
        if most and self._room.connections[principal.institution] > most:
            self._desk.observer.saw("sftp.refused", reason="connections", count=1)
            connection.disconnect(asyncssh.DISC_TOO_MANY_CONNECTIONS, "too many connections of this institution")
            return
        self._entered = True
        self._client = principal.client
        self._watch(loop)
        self._desk.observer.saw("sftp.entered", client=principal.client, remote=self._remote)

    def _see_offers(self, conn: asyncssh.SSHServerConnection) -> None:
        """Keep what is offered: asyncssh shows `validate_ca_key` the authority alone, without person, serial or scopes."""
        check = conn.validate_public_key

        async def seen(username: str, key_data: bytes, msg: bytes, signature: bytes) -> bool:
            self._offered = key_data
            return await check(username, key_data, msg, signature)

        conn.validate_public_key = seen  # type: ignore[method-assign]  # the library has no hook; a test watches it

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """End the connection when nothing was asked for too long."""
        idle = self._desk.limits.idle
        if not idle:
            return
        bound = idle * WRITING if self._lane.uploads else idle
        left = max(self._active, self._lane.active) + bound - loop.time()
        if left > 0:
            self._idle = loop.call_later(min(left, idle), self._watch, loop)
        elif self._connection is not None:
            self._connection.disconnect(asyncssh.DISC_BY_APPLICATION, "nothing was asked for too long")

    async def caller(self) -> Principal:
        """The caller of a request; raises NotPermitted where the key does not hold any more."""
        loop = asyncio.get_running_loop()
        self._active = loop.time()
        if self._active - self._checked > RECHECK_SECONDS:
            held = await self._keys.principal(self._login, self._blob, self._remote) if self._principal else None
            self._principal = held
            self._checked = self._active
        if self._principal is None:
            raise NotPermitted("this key does not hold any more: ask your institution's contact")
        return self._principal

    # --- what --------------------------------------------------------------------------------------------------------

    def session_requested(self) -> tuple[asyncssh.SSHServerChannel[bytes], DoorSession]:
        """A channel; everything else SSH can open is refused by asyncssh's defaults."""
        if self._sessions >= SESSIONS:
            raise asyncssh.ChannelOpenError(OPEN_RESOURCE_SHORTAGE, "too many channels")
        assert self._connection is not None
        self._sessions += 1
        ends = {"began": self._room.began, "ended": self._ended}
        session = DoorSession(self._desk, self.caller, self._lane, window=lambda: window(self._room.sessions), **ends)
        return self._connection.create_server_channel(None, window=window(self._room.sessions + 1)), session

    def _ended(self) -> None:
        self._sessions -= 1
        self._room.ended()


def _send_nothing_idle(conn: asyncssh.SSHServerConnection) -> None:
    """Send no SSH_MSG_IGNORE before every packet.

    The library does so because of ciphers whose next IV an attacker can foresee (RFC 4251 section 9.3.1). This door offers
    none of them (`CIPHERS`), and each costs a system call and an encryption on both sides.
    """
    send = conn.send_packet

    def sent(pkttype: int, *args: bytes, handler: Any = None) -> None:
        if pkttype != MSG_IGNORE:
            send(pkttype, *args, handler=handler)

    conn.send_packet = sent  # type: ignore[method-assign]  # the library has no setting; a test watches it


@asynccontextmanager
async def serving(
    *,
    host: str,
    port: int,
    host_key: Path,
    intake: Intake,
    enquiry: Enquiry,
    folders: Folders,
    resume: Resume,
    keys: Keys,
    catalogue: Catalogue,
    clock: Clock,
    observer: Observer,
    room: Callable[[], tuple[int, int]],
    defender: Defender,
    limits: DoorLimits | None = None,
    shared: bool = False,
) -> AsyncIterator[int]:
    """Serve until the block ends; gives the port it is on.

    Args:
        host: Address to bind.
        port: Port to bind; 0 takes any free one.
        host_key: The door's own private key (OpenSSH).
        intake: The senders' verbs.
        enquiry: The readers' verbs.
        folders: Datasets as folders.
        resume: Uploads that go on.
        keys: Who a key belongs to.
        catalogue: Texts in three languages.
        clock: For the times of folders nobody made.
        observer: Told of sign-ins and failures.
        room: Bytes of the vault's disk, all and free.
        defender: Who may not even try; counts failed sign-ins.
        limits: Bounds of the door.
        shared: Whether other processes listen on the same port.

    Raises:
        Unusable: The host key cannot be read.
    """
    bounds = limits or DoorLimits()
    underway = Underway()
    tree = Tree(enquiry=enquiry, folders=folders, catalogue=catalogue, underway=underway, began=clock.now())
    shares = Shares(handles=bounds.handles, uploads=bounds.uploads, bandwidth=bounds.bandwidth)
    desk = Desk(intake, folders, resume, tree, underway, Budget(), observer, bounds, room, shares, defender)
    crowd = _Room(observer)
    crowd.empty.set()
    acceptor = await asyncssh.listen(
        host,
        port,
        server_factory=lambda: _Connection(desk, keys, crowd),
        server_host_keys=[_host_key(host_key)],
        **SPOKEN,
        kex_algs=_at_hand(KEX, get_kex_algs()),
        login_timeout=bounds.login,
        keepalive_interval=bounds.keepalive,
        keepalive_count_max=KEEPALIVES,
        reuse_port=shared,
    )
    try:
        yield acceptor.get_port()
    finally:
        shares.let_through()
        underway.stopping = True
        await _closed(acceptor, crowd)


async def _closed(acceptor: asyncssh.SSHAcceptor, crowd: _Room) -> None:
    """Cut every connection and wait for its sessions."""
    acceptor.close()
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
