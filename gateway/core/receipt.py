"""The receipt: who sent what to whom under which verdict, and where the ledger says so.

The rules:
1. A receipt is canonical JSON signed with SSHSIG under `hetao-receipt`, so that a stranger checks it with `ssh-keygen -Y verify`.
2. It carries the ledger entry of the delivery, its inclusion proof and the signed checkpoint: it verifies offline.
3. It says how strong the endpoint's proof is. An endpoint that signs nothing makes it *self-certified*, in that word.

Sources: RFC 6962 section 2.1.1 (inclusion), C2SP tlog-checkpoint, OpenSSH PROTOCOL.sshsig.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.core.documents import parse_document
from gateway.core.intake import ReceivedFile
from gateway.wire import canonical, checkpoint, merkle, sshsig

NAMESPACE = "hetao-receipt"


@dataclass(frozen=True)
class LedgerProof:
    """Where an entry stands in the ledger.

    Attributes:
        index: Zero-based position.
        entry: The entry's canonical JSON.
        hashes: The inclusion proof, leaf to root.
        checkpoint: The signed note (C2SP) the proof leads to.
    """

    index: int
    entry: bytes
    hashes: tuple[bytes, ...]
    checkpoint: bytes


def compose_receipt(
    *,
    transfer: Mapping[str, Any],
    verdict: Mapping[str, Any],
    delivery: Mapping[str, Any],
    files: Sequence[ReceivedFile],
    proof: LedgerProof,
    issued_at: str,
) -> bytes:
    """The receipt's canonical JSON, to be signed.

    Args:
        transfer: Ids: transfer, institution, project, dataset, version, endpoint.
        verdict: Rules, mechanism, rule pack digest, decision digest, votes.
        delivery: When, by which connector, with which proof.
        files: What was delivered.
        proof: The entry of the delivery.
        issued_at: RFC 3339.
    """
    certified = "endpoint" if delivery.get("proof") == "signed" else "self-certified"
    return canonical.encode(
        {
            "v": 1,
            "type": "hetao-receipt",
            "transfer": dict(transfer),
            "verdict": dict(verdict),
            "delivery": {**delivery, "certified": certified},
            "files": [{"path": each.path, "size": each.size, "sha256": each.sha256.hex()} for each in files],
            "ledger": {
                "index": proof.index,
                "entry": base64.b64encode(proof.entry).decode(),
                "inclusion": [base64.b64encode(each).decode() for each in proof.hashes],
                "checkpoint": proof.checkpoint.decode(),
            },
            "issued_at": issued_at,
        }
    )


@dataclass(frozen=True)
class Checked:
    """What checking a receipt found; `problems` is empty where everything holds."""

    body: Mapping[str, Any]
    problems: tuple[str, ...]


def check_receipt(receipt: bytes, signature: bytes, gateway_key: str, ledger_key: str) -> Checked:
    """Check a receipt offline.

    1. The signature is by the gateway's key.
    2. The checkpoint is signed by the ledger's key.
    3. The entry is about this transfer and records a delivery.
    4. The entry is in the tree the checkpoint speaks of.

    Args:
        receipt: Its canonical JSON.
        signature: Armored SSHSIG.
        gateway_key: The gateway's signing key, an OpenSSH public key line.
        ledger_key: The ledger's C2SP verifier key.
    """
    problems: list[str] = []
    try:
        if sshsig.verify(signature, receipt, NAMESPACE) != sshsig.public_blob(gateway_key):  # step 1
            problems.append("the receipt is signed by another key than the gateway's")
    except ValueError as wrong:
        problems.append(f"the receipt's signature does not hold: {wrong}")
    body = parse_document(receipt, max_size=1 << 28, max_depth=8)
    ledger = body["ledger"]
    entry = base64.b64decode(ledger["entry"])
    try:
        note = checkpoint.parse_note(ledger["checkpoint"].encode())
        checkpoint.verify(note, [checkpoint.parse_verifier_key(ledger_key)])  # step 2
        head = checkpoint.parse_checkpoint(note.text)
    except ValueError as wrong:
        return Checked(body, (*problems, f"the checkpoint does not hold: {wrong}"))
    fact = parse_document(entry, max_size=1 << 20, max_depth=8)
    if fact["subject"] != body["transfer"]["id"] or fact["tag"] != "transfer.delivered":  # step 3
        problems.append("the ledger entry is about something else")
    hashes = [base64.b64decode(each) for each in ledger["inclusion"]]
    leaf = merkle.leaf_hash(entry)
    if not merkle.verify_inclusion(leaf, ledger["index"], head.size, hashes, head.root):  # step 4
        problems.append("the entry is not in the tree the checkpoint speaks of")
    return Checked(body, tuple(problems))


def receipt_digest(receipt: bytes) -> str:
    """SHA-256 of the receipt, hex: what the ledger records of it."""
    return hashlib.sha256(receipt).hexdigest()
