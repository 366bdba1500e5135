"""Receipt: prove the delivery in the ledger, sign the receipt, record it.

Steps, with what happens when one fails:
1. In one transaction: sign a checkpoint over the tree as it is and prove the entry of the delivery in it. A proof that
   does not verify is a BrokenPromise: the transfer fails and an incident is due.
2. Compose and sign the receipt, of files whose root is the signed manifest's. Deterministic but for its time: after a
   crash it is made again.
3. Record `receipted` with the receipt's digest. The file keys are destroyed right after, by housekeeping.
4. Keep the checkpoint outside the database, so that a ledger cut back to before it is found out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gateway.core.documents import parse_document
from gateway.core.errors import BrokenPromise
from gateway.core.facts import Tag, timestamp
from gateway.core.intake import ReceivedFile, files_root
from gateway.core.receipt import NAMESPACE, LedgerProof, compose_receipt, receipt_digest
from gateway.core.transfer import State, Transfer
from gateway.flow.recorder import Ledgering, Recorder
from gateway.flow.relay import signed_manifest
from gateway.flow.tree import keep_high_water, prove
from gateway.ports import LedgerSigner, Signer, Writing


class Receipts:
    """Makes receipts."""

    def __init__(self, *, recorder: Recorder, signer: Signer, ledger: LedgerSigner) -> None:
        self._recorder = recorder
        self._signer = signer
        self._ledger = ledger

    async def step(self, transfer: Transfer) -> Transfer:
        """Receipt one delivered transfer."""
        receipted = await self._recorder.do(lambda ledger: self._receipt(ledger, transfer.id))
        async with self._recorder.records.read() as view:
            note = await view.latest_checkpoint()
        if note is not None:
            await keep_high_water(self._recorder.keyring, note)  # step 4
        return receipted

    async def _receipt(self, ledger: Ledgering, transfer_id: str) -> Transfer:
        transfer = await ledger.transfer(transfer_id)
        if transfer.state is not State.DELIVERED:
            return transfer
        index = await _delivery_entry(ledger.tx, transfer_id)
        proof = await prove(ledger.tx, index, self._ledger)  # step 1
        files = [stored.file for stored in await ledger.tx.files(transfer_id)]
        # Step 2, off the event loop: ten thousand files take seconds.
        key, at = self._signer.public_line, timestamp(ledger.now)
        receipt = await asyncio.to_thread(_composed, transfer, files, proof, key, at)
        signature = self._signer.sign(NAMESPACE, receipt)
        return await ledger.record(  # step 3
            transfer,
            Tag.RECEIPTED,
            public={"receipt": receipt_digest(receipt)},
            changes={"receipt": receipt.decode(), "receipt_signature": signature.decode()},
        )


def _composed(
    transfer: Transfer, files: Sequence[ReceivedFile], proof: LedgerProof, gateway_key: str, issued_at: str
) -> bytes:
    manifest = signed_manifest(transfer, gateway_key)
    if files_root(files).hex() != manifest["files_root"]:
        raise BrokenPromise("the files are not the ones the manifest names: the database was altered")
    decision = transfer.decision
    return compose_receipt(
        transfer={
            "id": transfer.id,
            "institution": transfer.institution,
            "project": transfer.project,
            "dataset": transfer.dataset,
            "version": transfer.version,
            "endpoint": transfer.endpoint,
        },
        verdict={key: decision[key] for key in ("verdict", "rules", "citations", "mechanism", "rulebook", "digest")},
        delivery={"at": timestamp(transfer.since), "proof": transfer.delivery["proof"]},
        files=files,
        proof=proof,
        issued_at=issued_at,
        carried={each["path"]: each["carried"]["version"] for each in manifest["files"] if "carried" in each},
    )


async def _delivery_entry(tx: Writing, transfer_id: str) -> int:
    for index, body in reversed(await tx.entries_of(transfer_id)):
        if parse_document(body, max_size=1 << 22, max_depth=12)["tag"] == Tag.DELIVERED.value:
            return index
    raise BrokenPromise(
        f"transfer {transfer_id} is delivered but the ledger has no such entry: the database was altered"
    )
