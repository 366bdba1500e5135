"""An endpoint in memory. It passes the same suite as the real connectors (tests/contracts/test_connectors.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import blake3

from gateway.core.errors import EndpointError
from gateway.ports import Channel, Consignment, Delivery, Parcel, ParcelSource


@dataclass
class FakeEndpoint:
    """What outlives a connector: published files, half-sent files, and the trouble it is told to make.

    Attributes:
        files: Published content by `<folder>/<name>`, in order of publication.
        halves: What arrived of a file that has no name yet.
        refusal: Raised by the next deliveries.
        cut_after: Break the connection after so many changes; None never does.
        attempts: Deliveries and probes begun.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    halves: dict[str, bytearray] = field(default_factory=dict)
    refusal: EndpointError | None = None
    cut_after: int | None = None
    attempts: int = 0

    def changed(self) -> None:
        if self.cut_after is not None:
            self.cut_after -= 1
            if self.cut_after < 0:
                raise EndpointError("the fake endpoint cut the connection", retry=True)


class FakeConnector:
    """Delivers into a FakeEndpoint; resumes, and proves by reading back."""

    kind = "fake"
    resumes = True

    def __init__(
        self,
        settings: Mapping[str, object] | None = None,
        channel: Channel | None = None,
        *,
        endpoint: FakeEndpoint | None = None,
    ) -> None:
        self.settings = dict(settings or {})
        self.channel = channel
        self.endpoint = endpoint or FakeEndpoint()

    def deliver(self, consignment: Consignment, source: ParcelSource) -> Delivery:
        self._begin()
        notices = {"manifest.json.sig": consignment.signature, "manifest.json": consignment.manifest}
        for name, content in notices.items():
            if self.endpoint.files.get(f"{consignment.folder}/{name}", content) != content:
                raise _foreign()
        sent = sum(self._parcel(consignment.folder, parcel, source) for parcel in consignment.parcels)
        for name, content in notices.items():
            if f"{consignment.folder}/{name}" not in self.endpoint.files:
                self._publish(f"{consignment.folder}/{name}", content)
                sent += len(content)
        detail = {parcel.name: f"blake3:{parcel.blake3.hex()}" for parcel in consignment.parcels}
        return Delivery("readback", detail, sent)

    def probe(self) -> str:
        self._begin()
        return "fake endpoint in memory"

    def _begin(self) -> None:
        self.endpoint.attempts += 1
        if self.endpoint.refusal is not None:
            raise self.endpoint.refusal

    def _parcel(self, folder: str, parcel: Parcel, source: ParcelSource) -> int:
        path = f"{folder}/{parcel.name}"
        if path in self.endpoint.files:
            with source.open(parcel) as stream:
                header = stream.read(parcel.header_size)
            if not _whole(self.endpoint.files[path], parcel) or not self.endpoint.files[path].startswith(header):
                raise _foreign()
            return 0
        half = self.endpoint.halves.setdefault(path, bytearray())
        before = len(half)
        with source.open(parcel, offset=before) as stream:
            while piece := stream.read(1 << 16):
                half += piece
                self.endpoint.changed()
        if not _whole(bytes(half), parcel):
            del self.endpoint.halves[path]
            raise EndpointError("the fake endpoint stored something else", retry=True)
        self._publish(path, bytes(half))
        del self.endpoint.halves[path]
        return parcel.size - before

    def _publish(self, path: str, content: bytes) -> None:
        self.endpoint.files[path] = content
        self.endpoint.changed()


def _whole(content: bytes, parcel: Parcel) -> bool:
    body = content[parcel.header_size :]
    return len(content) == parcel.size and blake3.blake3(body).digest() == parcel.blake3


def _foreign() -> EndpointError:
    return EndpointError("something else stands where this consignment belongs", code="foreign-content", retry=False)
