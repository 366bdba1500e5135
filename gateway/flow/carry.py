"""Carry: a dataset's next version begins with the files of the one it follows.

What it is not: a stage. Intake opens and submits drafts with it, sealing asks it where carried files lie.

The rules:
1. A draft that follows a version holds that version's whole listing from its first moment: what is not changed in it is
   in the next version as it was, and what is deleted is not.
2. A file whose bytes a receipted version brought is *carried*: its row names that version, nothing of it is in the vault,
   nothing of it is sent again. A chain is followed: what version 2 carried from version 1 stays carried from version 1.
3. A file of a version that has no receipt gets a second name in the vault and a second copy of its sealed session key.
   So the draft keeps it, whatever becomes of that version; a receipt that comes before the draft is submitted makes it carried.
4. Rows are checked under the old version's key before they get a seal under the new one's, and no plaintext is read.
5. Before a carried file counts as delivered, the ledger is asked: the version it came from is receipted, of the same
   dataset and earlier, and its recorded manifest lists these very bytes as sent by itself.

When a step fails: the version moved on while its listing was taken (its keys are gone, it ended) -> it is looked at again;
the transaction finds another version to follow -> Conflict with retry; in each case what was copied is removed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.core.declaration import DECLARATION
from gateway.core.documents import parse_document
from gateway.core.errors import BrokenPromise, Conflict, StoreError
from gateway.core.facts import Tag
from gateway.core.intake import Part, files_root
from gateway.core.names import DatasetName
from gateway.core.seal import Carried
from gateway.core.transfer import FALLEN, State, Transfer
from gateway.flow.recall import check_rows, check_transfer, own_words, recorded_manifest, sealed_row
from gateway.flow.recorder import Ledgering, Recorder, check_state
from gateway.ports import Reading, Spool, StoredFile, TransferFilter

STANDING = tuple(sorted(set(State) - FALLEN))
_TRIES = 3
_GONE = frozenset({"key-destroyed", "part-missing"})


@dataclass(frozen=True)
class Listing:
    """What a draft begins with.

    Attributes:
        follows: The version it follows; None where none stands.
        rows: Its files, numbered and sealed for the draft.
        declaration: What the sender said, where the file that says it is among them.
    """

    follows: Transfer | None = None
    rows: Sequence[StoredFile] = ()
    declaration: Mapping[str, Any] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Plaintext bytes of all files."""
        return sum(row.file.size for row in self.rows)


async def standing(view: Reading, name: DatasetName) -> Transfer | None:
    """The newest version of a dataset that has not fallen: an open draft, or the one the next draft follows.

    None where its evidence is gone or going: without it nothing shows where carried files lie, and they are sent again.
    """
    found = await view.newest(
        TransferFilter(
            institution=name.institution,
            endpoint=name.endpoint,
            project=name.project,
            dataset=name.dataset,
            states=STANDING,
        )
    )
    return found if found is None or found.evidence == "kept" else None


class Carry:
    """Takes files over from one version to the next."""

    def __init__(self, recorder: Recorder, spool: Spool) -> None:
        self._recorder = recorder
        self._spool = spool

    # --- opening a draft ---------------------------------------------------------------------------------------------

    async def listing(self, name: DatasetName, transfer_id: str) -> Listing:
        """What a draft of this id begins with; its evidence key is there. Copies are durable on return.

        Raises:
            BrokenPromise: The rows of the version it follows are not what the gateway recorded.
            Conflict: That version keeps moving; `retry`.
        """
        for attempt in range(_TRIES):
            async with self._recorder.records.read() as view:
                followed = await standing(view, name)
                if followed is None or followed.state is State.OPEN:
                    return Listing()
                key = await self._recorder.evidence_key(followed.id)
                await check_transfer(view, followed, key)
                rows = await view.files(followed.id)
                words = await own_words(view, followed.id, key)
            declares = any(row.file.path == DECLARATION for row in rows)
            names = _second_names(rows, transfer_id, attempt) if followed.state is not State.RECEIPTED else {}
            try:
                await self._recorder.keyring.copy(followed.id, transfer_id, names)
                await asyncio.to_thread(self._spool.copy, names)
            except StoreError as gone:
                await self.forget(transfer_id, names.values())
                if gone.code not in _GONE:
                    raise
                continue
            mine = await self._recorder.evidence_key(transfer_id)
            # Seals of a hundred thousand rows take seconds: not on the event loop.
            taken = await asyncio.to_thread(_taken, rows, followed, key, transfer_id, mine, names)
            return Listing(followed, taken, words if declares else {})
        raise _moved()

    async def check(self, ledger: Ledgering, name: DatasetName, listing: Listing) -> None:
        """Inside the draft's first transaction: the listing is still that of the newest version that stands.

        Raises:
            Conflict: It is not; `retry`.
        """
        now = await standing(ledger.tx, name)
        before = listing.follows
        if now is None and before is None:
            return
        if now is None or before is None or now.id != before.id:
            raise _moved()
        if (now.state is State.RECEIPTED) != (before.state is State.RECEIPTED):
            raise _moved()

    # --- submitting a draft ------------------------------------------------------------------------------------------

    async def followed(self, view: Reading, transfer: Transfer) -> Transfer | None:
        """The version a draft follows, by the ledger's word, while that stands."""
        entries = await view.entries_of(transfer.id)
        follows = parse_document(entries[0][1])["body"].get("follows") if entries else None
        found = await view.transfer(follows) if follows else None
        return found if found and found.state not in FALLEN and found.evidence == "kept" else None

    async def unchanged(
        self, view: Reading, transfer: Transfer, followed: Transfer, rows: Sequence[StoredFile]
    ) -> bool:
        """Whether a draft holds what the version it follows holds, and says nothing new of it."""
        before = {row.file.path: row.file.sha256 for row in await view.files(followed.id)}
        if before != {row.file.path: row.file.sha256 for row in rows}:
            return False
        tags = {parse_document(body)["tag"] for _, body in await view.entries_of(transfer.id)}
        if Tag.DECLARED.value not in tags:
            return True
        words = await own_words(view, followed.id, await self._recorder.evidence_key(followed.id))
        return words == transfer.declaration

    async def settle(
        self, ledger: Ledgering, transfer: Transfer, followed: Transfer | None, rows: Sequence[StoredFile]
    ) -> tuple[int, tuple[str, ...]]:
        """Make carried what was copied and has been delivered since; how many files are carried, and parts to forget.

        Only a copy has the same ciphertext as its original: a file that was sent again is sealed under another key. (All
        empty files have the same, and any of them stands for any other.)
        """
        carried = sum(1 for row in rows if row.carried)
        if followed is None or followed.state is not State.RECEIPTED or carried == len(rows):
            return carried, ()
        origins = {_content(row): row for row in await ledger.tx.files(followed.id)}
        copies = [row for row in rows if not row.carried and _content(row) in origins]
        if not copies:
            return carried, ()
        check_rows([origins[_content(row)] for row in copies], await self._recorder.evidence_key(followed.id))
        key = await self._recorder.evidence_key(transfer.id)
        check_rows(copies, key)  # or a fresh seal would be put on an altered row
        changed = [
            replace(row, file=replace(row.file, parts=()), carried=origins[_content(row)].carried or followed.id)
            for row in copies
        ]
        await ledger.tx.put_files([sealed_row(row, key) for row in changed])
        return carried + len(changed), tuple(part.name for row in copies for part in row.file.parts)

    async def abandon(self, transfer_id: str) -> None:
        """Remove every trace of a draft that was not opened."""
        await self._recorder.keyring.destroy(transfer_id)
        self._recorder.forget_key(transfer_id)
        await asyncio.to_thread(lambda: self._delete(self._spool.names(f"{transfer_id}/")))

    async def forget(self, transfer_id: str, parts: Iterable[str]) -> None:
        """Destroy the keys of parts that no row names any more, then the parts. Copies come and go together."""
        names, copies = list(parts), _copies(transfer_id)
        if any(name.startswith(copies) for name in names):
            await self._recorder.keyring.destroy(transfer_id, copies)
        for name in names:
            if not name.startswith(copies):
                await self._recorder.keyring.drop(transfer_id, name)
        await asyncio.to_thread(self._delete, names)

    def _delete(self, names: Sequence[str]) -> None:
        for name in names:
            self._spool.delete(name)

    # --- sealing -----------------------------------------------------------------------------------------------------

    async def places(self, transfer: Transfer, rows: Sequence[StoredFile]) -> dict[str, Carried]:
        """Where the carried files of a version lie at the endpoint, by path.

        Raises:
            BrokenPromise: One of them was not brought there by the version its row names.
        """
        found: dict[str, Carried] = {}
        async with self._recorder.records.read() as view:
            for origin_id in sorted({row.carried for row in rows} - {""}):
                origin = await view.transfer(origin_id)
                if origin is None or not _earlier(origin, transfer):
                    raise BrokenPromise("a carried file names no earlier version of its dataset: open an incident")
                check_state(origin, await view.entries_of(origin_id))
                manifest = await recorded_manifest(view, origin, await self._recorder.evidence_key(origin_id))
                own = [row for row in rows if row.carried == origin_id]
                found |= _places(origin, manifest, own)
        return found


# --- pure parts ------------------------------------------------------------------------------------------------------


def _moved() -> Conflict:
    return Conflict("the version before is moving on at this moment: try again", retry=True)


def _copies(transfer_id: str) -> str:
    """How the names of copies begin, in the vault and in the keyring."""
    return f"{transfer_id}/carried-"


def _second_names(rows: Sequence[StoredFile], transfer_id: str, attempt: int) -> dict[str, str]:
    parts = dict.fromkeys(part.name for row in rows for part in row.file.parts)
    return {name: f"{_copies(transfer_id)}{attempt}/{number}" for number, name in enumerate(parts)}


def _taken(
    rows: Sequence[StoredFile],
    followed: Transfer,
    key: bytes,
    transfer_id: str,
    mine: bytes,
    names: Mapping[str, str],
) -> list[StoredFile]:
    """The rows of a frozen version, checked under its key, as a draft's own."""
    if files_root([row.file for row in rows]).hex() != followed.root:
        raise BrokenPromise("the files of the version before are not the submitted ones: the database was altered")
    check_rows(rows, key)
    delivered = followed.id if followed.state is State.RECEIPTED else ""
    taken: list[StoredFile] = []
    for number, row in enumerate(rows):
        parts = () if delivered else tuple(Part(names[part.name], part.size) for part in row.file.parts)
        file = replace(row.file, number=number, parts=parts)
        drafted = replace(row, transfer_id=transfer_id, file=file, carried=row.carried or delivered)
        taken.append(sealed_row(drafted, mine))
    return taken


def _content(row: StoredFile) -> tuple[bytes, bytes, int]:
    return row.file.body_blake3, row.file.sha256, row.file.size


def _earlier(origin: Transfer, transfer: Transfer) -> bool:
    """Whether one is a receipted version of the other's dataset, before it."""
    return (
        origin.state is State.RECEIPTED
        and DatasetName(origin.institution, origin.endpoint, origin.project, origin.dataset)
        == DatasetName(transfer.institution, transfer.endpoint, transfer.project, transfer.dataset)
        and origin.version < transfer.version
    )


def _places(origin: Transfer, manifest: Mapping[str, Any], rows: Sequence[StoredFile]) -> dict[str, Carried]:
    sent = [each for each in manifest["files"] if "carried" not in each]  # what it carried itself it did not bring
    by_path = {each["path"]: each for each in sent}
    by_content = {_listed(each): each for each in reversed(sent)}
    found: dict[str, Carried] = {}
    for row in rows:
        wanted = (row.file.body_blake3.hex(), row.file.body_size, row.file.sha256.hex(), row.file.size)
        entry = by_path.get(row.file.path)
        if entry is None or _listed(entry) != wanted:
            entry = by_content.get(wanted)
        if entry is None:
            raise BrokenPromise("a carried file is not among those its version brought: open an incident")
        found[row.file.path] = Carried(
            origin.version, entry["name"], entry["header_size"], str(manifest["recipient_key"])
        )
    return found


def _listed(entry: Mapping[str, Any]) -> tuple[str, int, str, int]:
    return entry["body_blake3"], entry["body_size"], entry["sha256"], entry["size"]
