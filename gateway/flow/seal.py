"""Seal: address a cleared transfer to its recipient, after earning the clearance again from signatures.

Steps, with what happens when one fails (each failure is a BrokenPromise: the transfer fails and nothing is addressed):
1. The clearance of this year: a clearance of last year lapses and is decided again, its persons uncounted.
2. The clearance document carries the gateway's signature.
3. The files in the database are the submitted ones (Merkle root), the root is the cleared one, the gateway sealed their
   rows, and what is carried was really brought by the version it names (`flow.carry`).
4. The endpoint and its key come from the signed registry, and its fingerprint is the cleared one.
5. The recorded facts, decided again under the same rule pack, give the same decision (digest).
6. The votes, counted again from their signatures as of the clearance, still clear it; or it lies inside the channel it went
   through, whose signatures are checked with the registry. A channel that was closed meanwhile: the clearance lapses.
7. Only now: for each file that is sent, the vault header is opened and a header for the recipient's key is made. The
   payload is not touched. Opening a header is the unwrap that the `sealed` fact records. Carried files are at the
   endpoint already, under the header they were sent with.
8. The manifest is composed under the earned `Cleared`, signed, and recorded.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from gateway.core.calendar import WorkCalendar
from gateway.core.channel import Passage
from gateway.core.decide import Decision, decide
from gateway.core.documents import parse_document
from gateway.core.errors import BrokenPromise, StoreError, Unusable
from gateway.core.facts import Tag, local_day, timestamp
from gateway.core.intake import files_root
from gateway.core.records import Endpoint
from gateway.core.registry import Registry
from gateway.core.review import Case, tally
from gateway.core.seal import (
    CLEARANCE_NAMESPACE,
    MANIFEST_NAMESPACE,
    Carried,
    Cleared,
    clear,
    compose_manifest,
    manifest_digest,
)
from gateway.core.situation import Vocabulary, thaw_situation
from gateway.core.transfer import State, Transfer
from gateway.flow.carry import Carry
from gateway.flow.channels import examined_again
from gateway.flow.decide import case_of
from gateway.flow.findings import join
from gateway.flow.recall import check_rows
from gateway.flow.recorder import Ledgering, Recorder
from gateway.flow.registrar import Registrar
from gateway.ports import HeaderOpener, Rulebooks, Signer, StoredFile
from gateway.wire import crypt4gh, sshsig

SEALED = "sealed/"  # names of recipient headers in the keyring; destroyed with the file keys


class Seal:
    """Addresses cleared transfers.

    Args:
        recorder: The only writer.
        registrar: Who is registered.
        rulebooks: Installed rule packs.
        calendar: The mainland's working days.
        vocabulary: To read recorded facts back.
        carry: Knows where carried files lie.
        opener: The private half of the vault key.
        signer: The gateway's signing key, which signed the clearance and signs the manifest.
    """

    def __init__(
        self,
        *,
        recorder: Recorder,
        registrar: Registrar,
        rulebooks: Rulebooks,
        calendar: WorkCalendar,
        vocabulary: Vocabulary,
        carry: Carry,
        opener: HeaderOpener,
        signer: Signer,
    ) -> None:
        self._recorder = recorder
        self._registrar = registrar
        self._rulebooks = rulebooks
        self._calendar = calendar
        self._vocabulary = vocabulary
        self._carry = carry
        self._opener = opener
        self._signer = signer

    async def step(self, transfer: Transfer) -> Transfer:
        """Seal one cleared transfer, or let its clearance lapse."""
        registry = await self._registrar.registry(thorough=True)
        clearance = self._clearance(transfer)  # steps 1 and 2
        cleared_at = datetime.fromisoformat(clearance["at"])
        now = self._recorder.clock.now()
        if local_day(cleared_at).year != local_day(now).year:
            return await lapse(self._recorder, transfer, "the year of the clearance is over")
        async with self._recorder.records.read() as view:
            files = await view.files(transfer.id)
            votes = await view.votes(transfer.id)
        decision = self._decide_again(transfer, clearance)  # step 5
        case = case_of(transfer, decision, registry)
        # Steps 3 and 4; what looks at every file of ten thousand does so off the event loop.
        await asyncio.to_thread(self._check, transfer, clearance, files, registry, case.digest())
        await asyncio.to_thread(check_rows, files, await self._recorder.evidence_key(transfer.id))
        carried = await self._carry.places(transfer, files)
        count = tally(votes, case, transfer.person, registry, cleared_at, local_day(cleared_at))
        passage = None
        if clearance["basis"] == "channel":
            found = await self._channel(transfer, case, decision, files, registry, clearance)
            if isinstance(found, str):
                return await lapse(self._recorder, transfer, found)
            passage = found
        cleared = clear(case, decision, count, passage)  # step 6
        if not isinstance(cleared, Cleared):
            raise BrokenPromise(f"the clearance cannot be earned again: {cleared.reason}")
        own = [stored for stored in files if not stored.carried]
        headers = await self._address(transfer.id, registry.get(Endpoint, transfer.endpoint), own)  # step 7
        return await self._record(transfer, cleared, files, headers, carried)  # step 8

    # --- earning the clearance again ---------------------------------------------------------------------------------

    async def _channel(
        self,
        transfer: Transfer,
        case: Case,
        decision: Decision,
        files: Sequence[StoredFile],
        registry: Registry,
        clearance: dict[str, Any],
    ) -> Passage | str:
        year = local_day(datetime.fromisoformat(clearance["at"])).year
        joined = await asyncio.to_thread(join, files, year)
        async with self._recorder.records.read() as view:
            return await examined_again(view, transfer, case, decision, (files, joined), registry, clearance)

    def _clearance(self, transfer: Transfer) -> dict[str, Any]:
        document = transfer.clearance.encode()
        try:
            signer = sshsig.verify(transfer.clearance_signature.encode(), document, CLEARANCE_NAMESPACE)
            body = parse_document(document, max_size=1 << 16, max_depth=4)
        except (ValueError, Unusable) as wrong:
            raise BrokenPromise(f"the clearance's signature does not hold: {wrong}") from wrong
        if signer != sshsig.public_blob(self._signer.public_line):
            raise BrokenPromise("the clearance is signed by another key than the gateway's")
        if body["transfer"] != transfer.id:
            raise BrokenPromise("the clearance belongs to another transfer")
        return body

    def _decide_again(self, transfer: Transfer, clearance: dict[str, Any]) -> Decision:
        situation = thaw_situation(transfer.decision["situation"], self._vocabulary)
        decision = decide(self._rulebooks.rulebook(clearance["rulebook"]), situation, self._calendar)
        if decision.digest().hex() != clearance["decision"]:
            raise BrokenPromise("the recorded facts do not lead to the decision that was cleared")
        return decision

    def _check(
        self,
        transfer: Transfer,
        clearance: dict[str, Any],
        files: Sequence[StoredFile],
        registry: Registry,
        case_digest: str,
    ) -> None:
        root = files_root([stored.file for stored in files]).hex()
        if not (root == transfer.root == clearance["files_root"]):  # step 3
            raise BrokenPromise("the files are not the ones that were cleared")
        fingerprint = registry.get(Endpoint, transfer.endpoint).key_fingerprint()
        if fingerprint != clearance["endpoint_key"] or clearance["endpoint"] != transfer.endpoint:  # step 4
            raise BrokenPromise("the endpoint's key is not the one that was cleared: withdraw and submit again")
        if not hmac.compare_digest(case_digest, clearance["case"]):
            raise BrokenPromise("the case is not the one that was cleared")

    # --- addressing --------------------------------------------------------------------------------------------------

    async def _address(self, transfer_id: str, endpoint: Endpoint, files: Sequence[StoredFile]) -> dict[str, bytes]:
        """A Crypt4GH header for the recipient of each file, by path."""
        recipient = base64.b64decode(endpoint.recipient_key)
        vault = await self._recorder.keyring.get_all(transfer_id, f"{transfer_id}/")

        def work() -> dict[str, bytes]:  # off the event loop: two key agreements a file
            return {stored.file.path: self._header(recipient, stored, vault) for stored in files}

        return await asyncio.to_thread(work)

    def _header(self, recipient: bytes, stored: StoredFile, vault: Mapping[str, bytes]) -> bytes:
        entropy = self._recorder.entropy
        keys: list[bytes] = []
        for part in stored.file.parts:
            if part.name not in vault:
                raise StoreError("this key was destroyed, or never made", code="key-destroyed", retry=False)
            keys += self._opener.open(vault[part.name])
        if not keys:  # an empty file has no segment, but a header needs a key
            keys = [entropy.token(32)]
        return crypt4gh.seal_header(keys, recipient, entropy.token(32), [entropy.token(12) for _ in keys])

    async def _record(
        self,
        transfer: Transfer,
        cleared: Cleared,
        files: Sequence[StoredFile],
        headers: dict[str, bytes],
        carried: dict[str, Carried],
    ) -> Transfer:
        keyring, numbers = self._recorder.keyring, {stored.file.path: stored.file.number for stored in files}
        await asyncio.gather(  # together, so that they share its commits
            *(keyring.put(transfer.id, f"{SEALED}{numbers[path]}", header) for path, header in headers.items())
        )
        manifest = await asyncio.to_thread(
            compose_manifest,
            cleared,
            dataset={
                "institution": transfer.institution,
                "project": transfer.project,
                "dataset": transfer.dataset,
                "version": transfer.version,
            },
            files=[stored.file for stored in files],
            header_sizes={path: len(header) for path, header in headers.items()},
            sealed_at=timestamp(self._recorder.clock.now()),
            carried=carried,
        )
        signature = self._signer.sign(MANIFEST_NAMESPACE, manifest)
        return await self._recorder.record(
            transfer.id,
            Tag.SEALED,
            public={"endpoint_key": cleared.case.endpoint_key, "files": len(files)},
            private={"manifest": manifest_digest(manifest)},
            changes={"manifest": manifest.decode(), "manifest_signature": signature.decode()},
        )


async def lapse(recorder: Recorder, transfer: Transfer, because: str) -> Transfer:
    """Take a clearance back before a byte has left: its persons are uncounted and it is decided again."""

    async def job(ledger: Ledgering) -> Transfer:
        current = await ledger.transfer(transfer.id)
        if current.state not in {State.CLEARED, State.SEALED}:
            return current
        changes = {"clearance": "", "clearance_signature": "", "manifest": "", "manifest_signature": ""}
        lapsed = await ledger.record(current, Tag.LAPSED, public={"because": because}, changes=changes)
        return await ledger.return_persons(lapsed, because)

    return await recorder.do(job)
