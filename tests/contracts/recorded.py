"""What the suites over the database write and how they look at it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.core.errors import StoreError
from gateway.core.facts import Entry, Tag
from gateway.core.intake import Part, ReceivedFile
from gateway.core.manifests import Manifest
from gateway.core.review import Vote
from gateway.core.transfer import State, Transfer
from gateway.ports import Mark, PersonSet, Records, StoredChange, StoredFile, TransferFilter, Upload, Writing
from gateway.stores.tree import right_edge
from gateway.wire import merkle

NOW = datetime(2026, 11, 20, 2, 0, 0, 123456, tzinfo=UTC)
SOON = NOW + timedelta(minutes=5)

MANIFEST = Manifest("manifest-sha256.txt", "manifest", {"algorithm": "sha256", "entries": {"data/鸟": "00"}}, bytes(32))


def transfer(transfer_id: str = "t1", **changes: Any) -> Transfer:
    known = Transfer(
        id=transfer_id,
        institution="sz-lab",
        endpoint="hku-genomics",
        project="trial-a",
        dataset=f"dataset of {transfer_id}",
        version=1,
        direction="outbound",
        door="https",
        person="zhang-san",
        client="sz-lab-client",
        state=State.OPEN,
        since=NOW,
        due=NOW + timedelta(days=7),
        opened_at=NOW,
    )
    return replace(known, **changes)


def stored(transfer_id: str = "t1", path: str = "a.csv", **changes: Any) -> StoredFile:
    received = {
        "path": path,
        "number": 0,
        "size": 1 << 40,
        "sha256": bytes(range(32)),
        "body_blake3": b"\xff" * 32,
        "body_size": 1 << 41,
        "parts": (Part("t1/0", 65_564), Part("t1/1", 7)),
    }
    received |= {name: changes.pop(name) for name in list(changes) if name in received}
    return StoredFile(
        transfer_id=transfer_id,
        file=ReceivedFile(**received),  # type: ignore[arg-type]  # a table of a test, by name
        findings={"level": "general", "findings": [{"kind": "hkid", "count": 2, "confidence": 0.5}]},
        facts={"inspectable": True, "姓名": None},
        persons_sensitive=b"\0" * 8,
        persons_nonsensitive=b"",
        received_at=NOW,
        **changes,
    )


async def keep(records: Records, *wanted: Transfer) -> None:
    async with records.write() as tx:
        for each in wanted:
            await tx.put_transfer(each)


async def everything(records: Records) -> dict[str, Any]:
    """Whatever the port can show, to tell whether anything was left."""
    async with records.read() as view:
        return {
            "transfers": await view.transfers(TransferFilter(), limit=1000),
            "files": await view.files("t1"),
            "marks": await view.marks("t1"),
            "uploads": await view.uploads("t1"),
            "manifests": await view.manifests("t1"),
            "connections": await view.connections("t1"),
            "votes": await view.votes("t1"),
            "persons": await view.person_sets("", 2026, "national"),
            "hgr": await view.hgr_counted("trial-a", "hku-genomics"),
            "changes": await view.changes(),
            "entries": await view.entries(0, 1000),
            "size": await view.tree_size(),
            "checkpoint": await view.latest_checkpoint(),
            "key": await view.transfer_by_key("sz-lab", "key"),
            "revoked": await view.revoked("sz-lab-client", "x"),
        }


async def write_everything(tx: Writing) -> None:
    await tx.serialise("persons of sz-lab")
    await tx.put_file(stored())
    await tx.put_transfer(transfer(next_at=NOW), "key")
    await tx.put_mark(Mark("t1", "raw", "folder", 0, NOW))
    await tx.put_upload(Upload("u1", "t1", "a.csv", 7, NOW, SOON))
    await tx.put_manifest("t1", MANIFEST)
    await tx.put_connection("t1", "c1", NOW)
    await tx.put_vote("t1", Vote(b"{}", b"sig"), NOW)
    await tx.put_persons(PersonSet("t1", "sz-lab", 2026, "national", b"\1" * 8, b"", 3, 4))
    await tx.put_hgr("t1", "trial-a", "hku-genomics", 5, 2)
    await tx.put_change(StoredChange("d1", b"{}", "approved", b"p", b"a", 1, NOW, NOW))
    await tx.append(Tag.OPENED, "t1", NOW, Entry(b"{}", b""), b"")
    await tx.put_checkpoint(1, b"note")
    await tx.claim([State.OPEN], "w1", NOW, SOON, 1)
    await tx.spend_token_id("sz-lab-client", "jti", SOON)
    await tx.revoke("sz-lab-client", "x", NOW)


async def check_ledger(records: Records, bodies: list[bytes]) -> None:
    """The ledger holds exactly these entries, and its stored tree is theirs."""
    leaves = [merkle.leaf_hash(body) for body in bodies]
    expected = merkle.reader_over(leaves)
    async with records.read() as view:
        assert await view.entries(0, len(bodies) + 1) == list(enumerate(bodies))
        assert await view.tree_size() == len(bodies)
        for level in range(len(bodies).bit_length()):
            for index in range(len(bodies) >> level):
                assert await view.tree_node(level, index) == expected(level, index)
            with pytest.raises(StoreError):
                await view.tree_node(level, len(bodies) >> level)
        edge = tuple([await view.tree_node(level, index) for level, index in right_edge(len(bodies))])
    assert merkle.Frontier(len(bodies), edge).root() == merkle.root(leaves)
