"""One authenticated SSH connection to a pinned server, and what its failures mean.

What this is not: an SSH client with habits. There is no agent, no known_hosts, no key search, no password, no
compression and no fall-back: one key file is offered to one host key.

The rules a change must keep:
1. The host key is compared before the first byte of authentication leaves.
2. Only algorithms of today are offered; a server that has none of them is a permanent error.
3. `blamed` is the only table of what another attempt can mend; no server text enters a message (it may hold names).
"""

from __future__ import annotations

import base64
import errno
import hmac
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from connectors.settings import Table
from connectors.sftp.client import NO_SUCH_FILE, PERMISSION_DENIED, Client, Refused
from gateway.core.errors import EndpointError
from gateway.ports import Channel

# What is offered, best first; names unknown to the installed paramiko are left out when a session starts.
KEX = ("mlkem768x25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256", "ecdh-sha2-nistp384")
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes256-ctr")
MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512")
HOST_KEY = "ssh-ed25519"

# Paramiko logs every path at DEBUG; names are data and stay out of logs.
_LOG = "connectors.sftp.wire"
logging.getLogger(_LOG).setLevel(logging.WARNING)


@dataclass(frozen=True)
class Peer:
    """Whom to speak to, and as whom.

    Attributes:
        host: Name or address.
        port: TCP port.
        ranges: Pinned address blocks.
        username: Account at the endpoint.
        private_key_file: OpenSSH or PEM private key without passphrase, read anew for every session.
        host_key: Wire form of the pinned Ed25519 host key.
        connect_timeout: Seconds for the TCP connection.
        handshake_timeout: Seconds for each of banner, key exchange, authentication and opening the channel.
        io_timeout: Seconds an answer may take.
        keepalive: Seconds of silence before a keep-alive is sent; 0 sends none.
    """

    host: str
    port: int
    ranges: tuple[str, ...]
    username: str
    private_key_file: Path
    host_key: bytes
    connect_timeout: int
    handshake_timeout: int
    io_timeout: int
    keepalive: int


def read_peer(table: Table) -> Peer:
    """The part of an endpoint's settings that a session needs.

    Raises:
        Unusable: Naming the key.
    """
    return Peer(
        host=table.text("host"),
        port=table.number("port", 22, 1, 65_535),
        ranges=table.ranges(),
        username=table.text("username"),
        private_key_file=table.path("private_key_file"),
        host_key=_read_host_key(table),
        connect_timeout=table.number("connect_timeout", 15, 1, 600),
        handshake_timeout=table.number("handshake_timeout", 30, 1, 600),
        io_timeout=table.number("io_timeout", 60, 1, 3600),
        keepalive=table.number("keepalive", 30, 0, 3600),
    )


@contextmanager
def opened_session(peer: Peer, channel: Channel) -> Iterator[Client]:
    """An SFTP session; closed with its connection at the end."""
    key = _load_key(peer.private_key_file)
    sock = channel.connect(peer.host, peer.port, ranges=peer.ranges, timeout=peer.connect_timeout)
    try:
        with blamed("speak SSH"):
            transport = _transport(sock, peer)
    except BaseException:
        sock.close()
        raise
    # Paramiko waits without a limit for some of the answers in between; nothing here may wait for ever.
    watchdog = threading.Timer(4 * peer.handshake_timeout, transport.close)
    watchdog.name, watchdog.daemon = "sftp-watchdog", True
    watchdog.start()
    try:
        with blamed("open a session"):
            client = _authenticated(transport, peer, key)
        watchdog.cancel()
        with blamed("keep the session"):
            yield client
    finally:
        watchdog.cancel()
        watchdog.join()
        transport.close()
        transport.join(5)  # its thread still holds the closed socket's number, which the next connection may get


@contextmanager
def blamed(doing: str) -> Iterator[None]:
    """Turn paramiko's, the server's and the network's errors into EndpointErrors.

    `doing` completes "the SFTP endpoint did not ...". Errors raised on purpose by our own side pass unchanged.
    """
    try:
        yield
    except Refused as refused:
        raise _failure(doing, f"status {refused.code}", retry=refused.code not in _PERMANENT) from refused
    except paramiko.ssh_exception.IncompatiblePeer as refused:
        raise _failure(
            doing, "it has no Ed25519 host key or only outdated algorithms: update the server", retry=False
        ) from refused
    except (paramiko.SSHException, paramiko.SFTPError, EOFError, UnicodeDecodeError) as broken:
        raise _failure(doing, f"the connection broke ({type(broken).__name__})", retry=True) from broken
    except OSError as broken:
        reason = errno.errorcode.get(broken.errno or 0, type(broken).__name__)
        raise _failure(doing, reason, retry=broken.errno not in {errno.ENOENT, errno.EACCES, errno.EPERM}) from broken


_PERMANENT = frozenset({NO_SUCH_FILE, PERMISSION_DENIED})


def _failure(doing: str, reason: str, *, retry: bool) -> EndpointError:
    advice = "it is tried again" if retry else "have the endpoint's operator and its registry entry compared"
    return EndpointError(f"the SFTP endpoint did not {doing}: {reason}; {advice}", code="sftp", retry=retry)


def _read_host_key(table: Table) -> bytes:
    words = table.text("host_key").split()
    form = "one line `ssh-ed25519 AAAA...` as in the server's ssh_host_ed25519_key.pub"
    try:
        known = serialization.load_ssh_public_key(" ".join(words[:2]).encode())
    except (ValueError, UnsupportedAlgorithm) as broken:
        raise table.refusal("host_key", form) from broken
    if not isinstance(known, Ed25519PublicKey) or words[0] != HOST_KEY:
        raise table.refusal("host_key", form)
    return base64.b64decode(words[1])


def _load_key(path: Path) -> paramiko.PKey:
    try:
        return paramiko.PKey.from_path(path)
    except OSError as refused:
        raise EndpointError(
            f"the endpoint's private key file cannot be read ({refused.strerror}): check `private_key_file`",
            code="endpoint-credential",
            retry=False,
        ) from refused
    except (ValueError, TypeError, UnsupportedAlgorithm, paramiko.SSHException) as broken:
        raise EndpointError(
            "the endpoint's private key file is not an unencrypted OpenSSH or PEM key: make one with"
            " `ssh-keygen -t ed25519 -N ''`",
            code="endpoint-credential",
            retry=False,
        ) from broken


def _transport(sock: socket.socket, peer: Peer) -> paramiko.Transport:
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # A peer that keeps its TCP window shut would hold a write for ever: paramiko's writes have no time limit.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * peer.io_timeout)
    transport = paramiko.Transport(sock)
    transport.set_log_channel(_LOG)
    offered = transport.get_security_options()
    offered.kex = tuple(name for name in KEX if name in offered.kex)
    offered.ciphers = tuple(name for name in CIPHERS if name in offered.ciphers)
    offered.digests = tuple(name for name in MACS if name in offered.digests)
    offered.key_types = (HOST_KEY,)
    transport.banner_timeout = transport.handshake_timeout = peer.handshake_timeout
    transport.auth_timeout = transport.channel_timeout = peer.handshake_timeout
    return transport


def _authenticated(transport: paramiko.Transport, peer: Peer, key: paramiko.PKey) -> Client:
    transport.start_client(timeout=peer.handshake_timeout)
    if not hmac.compare_digest(transport.get_remote_server_key().asbytes(), peer.host_key):
        raise EndpointError(
            "the SFTP endpoint shows another host key than the pinned one: someone may stand in between; if the server"
            " was replaced, have the registry's officers sign the new key",
            code="host-key-mismatch",
            retry=False,
        )
    _log_in(transport, peer.username, key)
    transport.set_keepalive(peer.keepalive)
    stream = transport.open_session(timeout=peer.handshake_timeout)
    stream.settimeout(peer.io_timeout)
    stream.invoke_subsystem("sftp")
    return Client(stream)


def _log_in(transport: paramiko.Transport, username: str, key: paramiko.PKey) -> None:
    try:
        missing = transport.auth_publickey(username, key)
    except paramiko.AuthenticationException as refused:
        # Paramiko raises the same class where the connection died or was silent: only an answer is a refusal.
        answered = transport.is_active() and "timeout" not in str(refused)
        raise EndpointError(
            "the SFTP endpoint does not accept the gateway's key for this account: have its operator install the"
            " public key"
            if answered
            else "the SFTP endpoint went away while the gateway was logging in; it is tried again",
            code="endpoint-credential" if answered else "sftp",
            retry=not answered,
        ) from refused
    if missing:
        raise EndpointError(
            "the SFTP endpoint asks for a second factor, which a machine does not have: exempt the gateway's account",
            code="endpoint-credential",
            retry=False,
        )
