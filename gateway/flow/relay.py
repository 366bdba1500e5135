"""Relay: bring a sealed transfer to its endpoint, and try again what time can mend.

Steps, with what happens when one fails:
1. `departed` is recorded before the first byte leaves; from then on the persons stay counted.
2. The manifest's signature is checked and the consignment built from it. A signature that does not hold: BrokenPromise,
   the transfer fails. A key that is gone: StoreError, the same.
3. The connector delivers, in a worker thread, reading through the digest check: a body whose BLAKE3 is not the
   manifest's stops before its last byte is given out (BrokenPromise, the transfer fails).
4. EndpointError with retry: `deferred`, next attempt after a backoff; without retry: `failed` in this attempt.
5. `delivered`, with the strongest proof the endpoint gave. A crash before this: the same delivery again, which the
   connector's contract makes harmless.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any, BinaryIO

from blake3 import blake3

from gateway.core.documents import parse_document
from gateway.core.errors import BrokenPromise, EndpointError, StoreError, Unusable
from gateway.core.facts import Tag, local_day
from gateway.core.intake import Part
from gateway.core.names import DatasetName
from gateway.core.records import Endpoint
from gateway.core.relay import next_attempt
from gateway.core.seal import MANIFEST_NAMESPACE, sealed_name
from gateway.core.transfer import State, Transfer
from gateway.flow.recorder import Ledgering, Recorder
from gateway.flow.registrar import Registrar
from gateway.flow.seal import SEALED, lapse
from gateway.ports import Connectors, Consignment, Delivery, Parcel, Signer, Spool
from gateway.wire import sshsig

LONGEST_ATTEMPT = 24 * 3600.0  # seconds; a stuck endpoint must not hold a worker for ever
MAX_REASON = 500


class Relay:
    """Delivers sealed transfers."""

    def __init__(
        self, *, recorder: Recorder, registrar: Registrar, spool: Spool, connectors: Connectors, signer: Signer
    ) -> None:
        self._signer = signer
        self._recorder = recorder
        self._registrar = registrar
        self._spool = spool
        self._connectors = connectors

    async def depart(self, transfer: Transfer) -> Transfer:
        """Step 1 for a sealed transfer."""
        now = self._recorder.clock.now()
        if local_day(transfer.since).year != local_day(now).year:
            return await lapse(self._recorder, transfer, "the year of the clearance is over")
        endpoint = (await self._registrar.registry()).get(Endpoint, transfer.endpoint)
        public = {"endpoint": endpoint.id, "connector": endpoint.connector}
        return await self._recorder.record(transfer.id, Tag.DEPARTED, public=public)

    async def step(self, transfer: Transfer) -> Transfer:
        """Steps 2 to 5 for a transfer on its way."""
        endpoint = (await self._registrar.registry(thorough=True)).get(Endpoint, transfer.endpoint)
        # A manifest of ten thousand files takes a second to read: not on the event loop.
        manifest = await asyncio.to_thread(signed_manifest, transfer, self._signer.public_line)
        if endpoint.key_fingerprint() != manifest["recipient_key"]:
            raise BrokenPromise("the endpoint's key changed after sealing: withdraw and submit again")
        try:
            connector = self._connectors.make(endpoint)
            consignment = await asyncio.to_thread(consignment_of, transfer)
            source = await self._source(transfer, {parcel.name for parcel in consignment.parcels})
            work = asyncio.to_thread(connector.deliver, consignment, source)
            delivery = await asyncio.wait_for(work, LONGEST_ATTEMPT)
        except EndpointError as refused:
            return await self._refused(transfer, refused)
        except TimeoutError:
            return await self._refused(transfer, EndpointError("the attempt took longer than a day"))
        return await self._delivered(transfer, delivery)

    async def _source(self, transfer: Transfer, sent: AbstractSet[str]) -> SealedParcels:
        async with self._recorder.records.read() as view:
            files = await view.files(transfer.id)
        sealed = await self._recorder.keyring.get_all(transfer.id, SEALED)
        headers, parts = {}, {}
        for stored in files:
            name, key = sealed_name(stored.file.path), f"{SEALED}{stored.file.number}"
            if name not in sent:  # it is carried: the manifest says so, whatever the row says
                continue
            if key not in sealed:
                raise StoreError("the key of a file was destroyed", code="key-destroyed", retry=False)
            headers[name], parts[name] = sealed[key], stored.file.parts
        return SealedParcels(self._spool, headers, parts)

    async def _refused(self, transfer: Transfer, refused: EndpointError) -> Transfer:
        attempt, reason = transfer.attempts + 1, refused.message[:MAX_REASON]
        if not refused.retry:
            return await self._recorder.record(
                transfer.id,
                Tag.FAILED,
                public={"state": transfer.state.value, "code": refused.code},
                private={"reason": reason},
                changes={"attempts": attempt, "reason": reason},
            )
        chance = int.from_bytes(self._recorder.entropy.token(4), "big") / (1 << 32)
        return await self._recorder.record(
            transfer.id,
            Tag.DEFERRED,
            public={"attempt": attempt, "code": refused.code},
            private={"reason": reason},
            changes={
                "attempts": attempt,
                "reason": reason,
                "next_at": next_attempt(attempt, self._recorder.clock.now(), chance),
            },
        )

    async def _delivered(self, transfer: Transfer, delivery: Delivery) -> Transfer:
        async def job(ledger: Ledgering) -> Transfer:
            current = await ledger.transfer(transfer.id)
            if current.state is not State.RELAYING:
                return current
            attempts = current.attempts + 1
            detail = dict(delivery.detail)
            return await ledger.record(
                replace(current, attempts=attempts),
                Tag.DELIVERED,
                public={"proof": delivery.proof, "attempts": attempts},
                private={"detail": detail, "sent": delivery.sent},
                changes={"delivery": {"proof": delivery.proof, "detail": detail, "sent": delivery.sent}, "reason": ""},
            )

        return await self._recorder.do(job)


def signed_manifest(transfer: Transfer, gateway_key: str) -> dict[str, Any]:
    """The manifest of a sealed transfer, once its signature and its transfer were checked.

    Raises:
        BrokenPromise: The gateway did not sign it, or signed it for another transfer.
    """
    document = transfer.manifest.encode()
    try:
        signer = sshsig.verify(transfer.manifest_signature.encode(), document, MANIFEST_NAMESPACE)
        manifest = parse_document(document)
    except (ValueError, Unusable) as wrong:
        raise BrokenPromise(f"the manifest's signature does not hold: {wrong}") from wrong
    if signer != sshsig.public_blob(gateway_key) or manifest["transfer"] != transfer.id:
        raise BrokenPromise("the manifest was not signed by the gateway for this transfer")
    dataset = {name: getattr(transfer, name) for name in ("institution", "project", "dataset", "version")}
    if manifest["dataset"] != dataset or manifest["endpoint"] != transfer.endpoint:
        raise BrokenPromise("the manifest is about another dataset or endpoint than the transfer's row: it was altered")
    return manifest


def consignment_of(transfer: Transfer) -> Consignment:
    """The consignment a signed manifest describes: what is carried is there already and is no parcel."""
    manifest = parse_document(transfer.manifest)
    name = DatasetName(transfer.institution, transfer.endpoint, transfer.project, transfer.dataset)
    parcels = tuple(
        Parcel(
            name=each["name"],
            size=each["header_size"] + each["body_size"],
            blake3=bytes.fromhex(each["body_blake3"]),
            header_size=each["header_size"],
        )
        for each in manifest["files"]
        if "carried" not in each
    )
    return Consignment(
        transfer.id,
        name.folder(transfer.version),
        parcels,
        transfer.manifest.encode(),
        transfer.manifest_signature.encode(),
    )


class SealedParcels:
    """Reads sealed files for connectors: the recipient's header, then the parts from the spool (`ports.ParcelSource`)."""

    def __init__(self, spool: Spool, headers: Mapping[str, bytes], parts: Mapping[str, tuple[Part, ...]]) -> None:
        self._spool = spool
        self._headers = headers
        self._parts = parts

    def open(self, parcel: Parcel, *, offset: int = 0) -> BinaryIO:
        """The sealed file from `offset` on; the digest of the body is checked as it is read, from the start."""
        reader = _SealedReader(self._spool, self._headers[parcel.name], self._parts[parcel.name], parcel)
        reader.skip(offset)
        return io.BufferedReader(reader, 1 << 20)


class _SealedReader(io.RawIOBase):
    """Header and parts as one stream; at the body's end its BLAKE3 must be the manifest's."""

    def __init__(self, spool: Spool, header: bytes, parts: tuple[Part, ...], parcel: Parcel) -> None:
        super().__init__()
        self._spool = spool
        self._waiting = list(parts)
        self._parcel = parcel
        self._current: BinaryIO = io.BytesIO(header)
        self._left = len(header)  # of the current part
        self._digest = blake3()
        self._in_body = False
        self._read = 0

    def readable(self) -> bool:
        return True

    def skip(self, count: int) -> None:
        """Read over bytes the endpoint already has; they are digested all the same."""
        scratch = memoryview(bytearray(1 << 20))
        while count:
            got = self.readinto(scratch[: min(count, len(scratch))])
            if not got:
                raise BrokenPromise("the sealed file ended before the offset")
            count -= got

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # RawIOBase hands us a writable buffer
        got = 0
        while len(view):
            got = self._current.readinto(view[: self._left])  # type: ignore[attr-defined]  # every BinaryIO of the spool has it
            self._left -= got
            if got or not self._next_part():
                break
        if got and self._in_body:
            self._digest.update(view[:got])
        self._read += got
        ended = got == 0 and len(view) > 0
        if self._read > self._parcel.size or (ended and self._read < self._parcel.size):
            raise BrokenPromise("a sealed file in the vault has another length than what was received")
        if self._read == self._parcel.size and self._digest.digest() != self._parcel.blake3:
            raise BrokenPromise("a sealed file in the vault is not what was received: the vault was altered")
        return got

    def _next_part(self) -> bool:
        if not self._waiting:
            return False
        self._current.close()
        part = self._waiting.pop(0)
        self._current, self._left = self._spool.open(part.name), part.size
        self._in_body = True
        return True

    def close(self) -> None:
        self._current.close()
        super().close()
