"""Everything the flow asks of the outside world, as Protocols on one page.

The rules:
1. A port is a noun and lists only what the flow calls today; optional powers are small extra Protocols.
2. Sizes are bytes, times are aware UTC `datetime`s, digests are raw bytes unless the name says `_hex`.
3. Every adapter and its fake run the same suite under `tests/contracts/`.
4. Failures arrive as the types of `gateway.core.errors`; an adapter never lets a library's exception through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Protocol, runtime_checkable
import socket

# --- time and chance -------------------------------------------------------------------------------------------------


class Clock(Protocol):
    """Where the flow reads the time; the core is always told it."""

    def now(self) -> datetime:
        """The current instant, aware, in UTC."""


class Entropy(Protocol):
    """Where the flow draws randomness (keys, salts, ids); tests give it a seed."""

    def token(self, size: int) -> bytes:
        """`size` bytes from the system's generator."""


# --- payload storage -------------------------------------------------------------------------------------------------


class SpoolWriter(Protocol):
    """One part being written. Called from worker threads; exactly one of `commit` and `abort` ends it."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append sealed bytes."""

    def commit(self) -> None:
        """Return once the part and its name are durable (fsync of file and directory); only then may a fact rely on it."""

    def abort(self) -> None:
        """Remove every trace of the part; safe to call after a failed `commit`."""


class Spool(Protocol):
    """The vault of sealed parts: only Crypt4GH segments ever reach it, never plaintext.

    Names are `transfer/file/part` tokens chosen by the flow, never by a sender.
    """

    def create(self, name: str) -> SpoolWriter:
        """Start a part; raises StoreError where the name exists."""

    def open(self, name: str) -> BinaryIO:
        """Read a committed part from its start; raises StoreError where it is missing."""

    def delete(self, name: str) -> None:
        """Remove a part if it is there."""

    def names(self, prefix: str) -> Sequence[str]:
        """Committed parts under a prefix, sorted: housekeeping compares them with the database."""


# --- the way to Hong Kong --------------------------------------------------------------------------------------------


class Channel(Protocol):
    """The only way out: binds the configured source address and refuses what lies outside an endpoint's pinned ranges.

    Blocking by contract: connectors call it from worker threads.
    """

    def connect(self, host: str, port: int, *, ranges: Sequence[str], timeout: float) -> socket.socket:
        """A connected TCP socket.

        Args:
            host: Name or literal address of the endpoint.
            port: TCP port.
            ranges: CIDR blocks the resolved address must lie in; empty refuses everything.
            timeout: Seconds for the connection attempt, kept as the socket's timeout.

        Raises:
            EndpointError: `retry=False` where no resolved address lies in the ranges, else `retry=True`.
        """


@dataclass(frozen=True)
class Parcel:
    """One sealed file as a connector sees it.

    Attributes:
        name: Canonical relative path at the endpoint, already ending in `.c4gh`; no `..`, no leading slash.
        size: Ciphertext bytes, Crypt4GH header included.
        blake3: BLAKE3-256 of the body (header excluded, it differs by recipient).
        header_size: Bytes of the header, so a connector may check the body it stored.
    """

    name: str
    size: int
    blake3: bytes
    header_size: int


class ParcelSource(Protocol):
    """Where a connector reads a parcel's bytes; may be opened again for a resume."""

    def open(self, parcel: Parcel, *, offset: int = 0) -> BinaryIO:
        """The sealed file (header, then body) from `offset` on. Blocking; the caller closes it."""


@dataclass(frozen=True)
class Consignment:
    """A sealed dataset version on its way.

    Attributes:
        transfer_id: The transfer it belongs to.
        folder: `<institution>/<project>/<dataset>/v<n>` below the endpoint's base.
        parcels: Sealed files; order is the manifest's.
        manifest: Canonical JSON bytes; published last as `manifest.json`.
        signature: Its detached signature; published with it as `manifest.json.sig`.
    """

    transfer_id: str
    folder: str
    parcels: tuple[Parcel, ...]
    manifest: bytes
    signature: bytes


@dataclass(frozen=True)
class Delivery:
    """What a connector can say about what arrived.

    Attributes:
        proof: The strongest proof this endpoint can give: `size`, `readback` (digest of what is stored), `checksum`
            (the server computed it), `etag`, `signed` (the endpoint signed).
        detail: Proof by parcel name, for the receipt; no secrets.
        sent: Bytes that crossed the channel in this attempt.
    """

    proof: str
    detail: Mapping[str, str]
    sent: int


class Connector(Protocol):
    """An endpoint kind, found by the entry-point group `hetao.connectors`.

    Constructed as `Kind(settings, channel)`: `settings` is the endpoint's own table from the registry (strings,
    integers, lists of strings) and is validated at once, with Unusable naming the key.
    Delivering again after a crash at any point ends in the same tree and never doubles a file.
    """

    kind: str

    def deliver(self, consignment: Consignment, source: ParcelSource) -> Delivery:
        """Bring every parcel, then manifest and signature, each under a temporary name that is renamed when whole.

        Blocking; runs in a worker thread.

        Raises:
            EndpointError: With `retry` telling whether another attempt can help.
        """

    def probe(self) -> str:
        """One line on reachability for `hetao doctor`; raises EndpointError where it cannot be reached."""


@runtime_checkable
class CanResume(Protocol):
    """A connector that continues a half-sent parcel instead of starting it again."""

    resumes: bool


# --- telemetry -------------------------------------------------------------------------------------------------------


class Observer(Protocol):
    """Where stages tell what they did; the only way from flow to logs and metrics.

    Events are `stage.past_tense`; fields hold ids, counts, sizes and reasons, never file names or content.
    """

    def saw(self, event: str, **fields: str | int | float | bool | None) -> None:
        """Record that something happened."""
