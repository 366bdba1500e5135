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
from gateway.core.errors import Unusable
from gateway.core.intake import ReceivedFile
from gateway.wire import canonical, checkpoint, merkle, sshsig

NAMESPACE = "hetao-receipt"
DELIVERED = "transfer.delivered"  # the permanent tag of `gateway.core.facts`, a later room


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
    carried: Mapping[str, int] | None = None,
) -> bytes:
    """The receipt's canonical JSON, to be signed.

    Args:
        transfer: Ids: id (the transfer's), institution, project, dataset, version, endpoint.
        verdict: Rules, mechanism, rule pack digest, decision digest, votes.
        delivery: When, by which connector, with which proof.
        files: What the version holds.
        proof: The entry of the delivery.
        issued_at: RFC 3339.
        carried: Of files that were not sent again, by path, the version whose delivery brought them.
    """
    earlier = carried or {}
    certified = "endpoint" if delivery.get("proof") == "signed" else "self-certified"
    return canonical.encode(
        {
            "v": 1,
            "type": "hetao-receipt",
            "transfer": dict(transfer),
            "verdict": dict(verdict),
            "delivery": {**delivery, "certified": certified},
            "files": [
                {
                    "path": each.path,
                    "size": each.size,
                    "sha256": each.sha256.hex(),
                    **({"carried": earlier[each.path]} if each.path in earlier else {}),
                }
                for each in files
            ],
            "carried": len(earlier),
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
    """Check a receipt offline. Whatever the bytes are, the answer is a value: what does not hold is a problem.

    1. The signature is by the gateway's key.
    2. It is a receipt of this form.
    3. The checkpoint is signed by the ledger's key.
    4. The entry is about this transfer and records a delivery.
    5. The entry is in the tree the checkpoint speaks of.

    Args:
        receipt: Its canonical JSON.
        signature: Armored SSHSIG.
        gateway_key: The gateway's signing key, an OpenSSH public key line.
        ledger_key: The ledger's C2SP verifier key.

    Raises:
        ValueError: Where one of the two keys is no key.
    """
    key, ledger = sshsig.public_blob(gateway_key), checkpoint.parse_verifier_key(ledger_key)
    problems: list[str] = []
    try:
        if sshsig.verify(signature, receipt, NAMESPACE) != key:  # step 1
            problems.append("the receipt is signed by another key than the gateway's")
    except ValueError as wrong:
        problems.append(f"the receipt's signature does not hold: {wrong}")
    try:
        body, transfer_id, proof = _read(receipt)  # step 2
    except (Unusable, ValueError, KeyError, TypeError, AttributeError) as wrong:
        return Checked({}, (*problems, f"the receipt cannot be read: {wrong}"))
    problems += _proof_problems(transfer_id, proof, ledger)  # steps 3 to 5
    return Checked(body, tuple(problems))


def _read(receipt: bytes) -> tuple[dict[str, Any], str, LedgerProof]:
    """A receipt's content, its transfer's id and its proof."""
    body = parse_document(receipt, max_depth=8)
    if body["type"] != "hetao-receipt" or type(body["v"]) is not int or body["v"] != 1:
        raise ValueError("it is not a receipt of version 1")
    ledger = body["ledger"]
    if type(ledger["index"]) is not int:
        raise ValueError("the ledger's index is not a number")
    proof = LedgerProof(
        index=ledger["index"],
        entry=base64.b64decode(ledger["entry"], validate=True),
        hashes=tuple(base64.b64decode(each, validate=True) for each in ledger["inclusion"]),
        checkpoint=ledger["checkpoint"].encode(),
    )
    return body, body["transfer"]["id"], proof


def _proof_problems(transfer_id: str, proof: LedgerProof, ledger: checkpoint.VerifierKey) -> list[str]:
    """What is wrong with the ledger's word for the delivery."""
    try:
        note = checkpoint.parse_note(proof.checkpoint)
        checkpoint.verify(note, [ledger])  # step 3
        head = checkpoint.parse_checkpoint(note.text)
    except ValueError as wrong:
        return [f"the checkpoint does not hold: {wrong}"]
    problems: list[str] = []
    try:
        fact = parse_document(proof.entry, max_size=1 << 20, max_depth=8)
    except Unusable as wrong:
        return [f"the ledger entry cannot be read: {wrong}"]
    if fact.get("subject") != transfer_id or fact.get("tag") != DELIVERED:  # step 4
        problems.append("the ledger entry is about something else")
    leaf = merkle.leaf_hash(proof.entry)
    if not merkle.verify_inclusion(leaf, proof.index, head.size, proof.hashes, head.root):  # step 5
        problems.append("the entry is not in the tree the checkpoint speaks of")
    return problems


def receipt_digest(receipt: bytes) -> str:
    """SHA-256 of the receipt, hex: what the ledger records of it."""
    return hashlib.sha256(receipt).hexdigest()
