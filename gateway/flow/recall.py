"""What the ledger says of a transfer, told apart from what its rows say.

The rules:
1. An entry's opening is sealed under the transfer's evidence key with the entry itself as associated data. The key is in
   the keyring, not in the database: whoever can write the database can neither make nor move one.
2. Before a decision, the rows it rests on are held against what was recorded: who sends what to whom, the declaration,
   the file list. A difference is a BrokenPromise; nothing is decided on altered rows.
3. A file's row carries a seal under a key derived from the same one: findings and person digests are what the pass made.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cryptography.exceptions import InvalidTag

from gateway.core.documents import parse_document
from gateway.core.errors import BrokenPromise, Unusable
from gateway.core.facts import Tag, opens
from gateway.core.intake import file_leaf
from gateway.core.seal import manifest_digest
from gateway.core.transfer import Transfer
from gateway.flow.findings import without_samples
from gateway.flow.recorder import open_opening
from gateway.ports import Reading, StoredFile
from gateway.wire import canonical

_ROWS = b"hetao/file-rows/v1"  # keeps the seal's key apart from the openings' key
_DECLARING = frozenset({Tag.SUBMITTED.value, Tag.DECLARED.value})


def sealed_row(stored: StoredFile, evidence_key: bytes) -> StoredFile:
    """The row with its seal."""
    return replace(stored, seal=_seal(stored, evidence_key))


def unsampled(files: Sequence[StoredFile], evidence_key: bytes) -> list[StoredFile]:
    """The rows without samples, sealed anew; they were held against their seals before."""
    return [sealed_row(replace(stored, findings=without_samples(stored.findings)), evidence_key) for stored in files]


def check_rows(files: Sequence[StoredFile], evidence_key: bytes) -> None:
    """Raise BrokenPromise where a row is not what the gateway wrote."""
    for stored in files:
        if not hmac.compare_digest(stored.seal, _seal(stored, evidence_key)):
            raise BrokenPromise(
                f"the findings of file {stored.file.number} were altered in the database: open an incident"
            )


def _seal(stored: StoredFile, evidence_key: bytes) -> bytes:
    """HMAC-SHA-256 over everything a decision reads of a file's row."""
    key = hmac.digest(evidence_key, _ROWS, "sha256")
    told: list[Any] = [
        stored.transfer_id,
        stored.file.number,
        [[part.name, part.size] for part in stored.file.parts],
        file_leaf(stored.file).decode(),
        dict(stored.findings),
        dict(stored.facts),
        stored.persons_sensitive.hex(),
        stored.persons_nonsensitive.hex(),
    ]
    if stored.carried:
        told.append(stored.carried)
    if stored.persons_lasting:
        told.append({"lasting": stored.persons_lasting.hex()})
    return hmac.digest(key, canonical.encode(told), "sha256")


async def check_transfer(view: Reading, transfer: Transfer, evidence_key: bytes) -> None:
    """Hold a submitted transfer's row against its entries.

    Raises:
        BrokenPromise: Where the row says something else than what was recorded, or an entry's opening is not its own.
    """
    opened: dict[str, Any] = {}
    submitted: dict[str, Any] = {}
    declaration: Any = None
    for index, body in await view.entries_of(transfer.id):
        entry = parse_document(body)
        if entry["tag"] == Tag.OPENED.value:
            opened = {**entry["body"], **await _private(view, index, body, entry, evidence_key)}
        elif entry["tag"] in _DECLARING:
            private = await _private(view, index, body, entry, evidence_key)
            declaration = private["declaration"]
            submitted = private if "root" in private else submitted
    recorded = [opened.get(name) for name in ("institution", "endpoint", "project", "dataset", "person", "direction")]
    row = [
        transfer.institution,
        transfer.endpoint,
        transfer.project,
        transfer.dataset,
        transfer.person,
        transfer.direction,
    ]
    if recorded != row or submitted.get("root") != transfer.root or declaration != transfer.declaration:
        raise BrokenPromise(
            f"the row of {transfer.id} is not what the ledger recorded: it was altered; open an incident"
        )


async def cleared_persons(view: Reading, transfer_id: str, evidence_key: bytes) -> dict[str, Any]:
    """What a transfer's clearance committed to of its persons; empty where it has none.

    Raises:
        BrokenPromise: Where the entry's opening is not its own.
    """
    persons: dict[str, Any] = {}
    for index, body in await view.entries_of(transfer_id):
        entry = parse_document(body)
        if entry["tag"] == Tag.CLEARED.value:  # the last one: a clearance may lapse and be earned again
            persons = (await _private(view, index, body, entry, evidence_key))["persons"]
    return persons


async def own_words(view: Reading, transfer_id: str, evidence_key: bytes) -> dict[str, Any]:
    """What a sender itself last declared of a transfer, without the project's standing words that a submission joins.

    Raises:
        BrokenPromise: Where an entry's opening is not its own.
    """
    words: dict[str, Any] = {}
    for index, body in await view.entries_of(transfer_id):
        entry = parse_document(body)
        if entry["tag"] in {Tag.OPENED.value, Tag.DECLARED.value}:
            words = (await _private(view, index, body, entry, evidence_key))["declaration"]
    return words


async def recorded_manifest(view: Reading, transfer: Transfer, evidence_key: bytes) -> dict[str, Any]:
    """The manifest of a sealed transfer, held against the digest the ledger committed to when it was signed.

    This holds also where the gateway has another signing key by now.

    Raises:
        BrokenPromise: Where it is another one, or was never recorded.
    """
    recorded = ""
    for index, body in await view.entries_of(transfer.id):
        entry = parse_document(body)
        if entry["tag"] == Tag.SEALED.value:  # the last one: a clearance may lapse and be earned again
            recorded = (await _private(view, index, body, entry, evidence_key))["manifest"]
    document = transfer.manifest.encode()
    if not recorded or manifest_digest(document) != recorded:
        raise BrokenPromise(f"the manifest of {transfer.id} is not the one the ledger recorded: it was altered")
    return parse_document(document)


async def _private(
    view: Reading, index: int, body: bytes, entry: dict[str, Any], evidence_key: bytes
) -> dict[str, Any]:
    sealed = await view.opening(index)
    try:
        opening = parse_document(open_opening(evidence_key, sealed or b"", body))
    except (InvalidTag, Unusable, ValueError) as wrong:
        raise BrokenPromise(f"the opening of ledger entry {index} is not its own: it was altered") from wrong
    if not opens(entry, opening):
        raise BrokenPromise(f"the opening of ledger entry {index} is not what was committed to")
    private: dict[str, Any] = opening["private"]
    return private
