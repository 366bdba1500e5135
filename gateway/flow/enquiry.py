"""Enquiry: what senders, officers and auditors may read. Nothing here writes.

The rules:
1. A sender sees its own institution's transfers; another's does not exist for it.
2. A sender sees rounded person counts, and for a secrecy mark only that it must see its security officer (design.md
   section 7); officers see exact counts and masked samples.
3. Everything is shown as plain values; doors choose the form.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from gateway.core.documents import parse_document
from gateway.core.errors import Conflict, NotFound, NotPermitted
from gateway.core.facts import timestamp
from gateway.core.identity import Permission, Principal
from gateway.core.lineage import remedy as lineage_remedy
from gateway.core.records import Endpoint, Project
from gateway.core.registry import Registry
from gateway.core.transfer import STANDING, State, Transfer
from gateway.flow.recorder import Recorder
from gateway.flow.registrar import Registrar
from gateway.flow.run import offset_of
from gateway.ports import Reading, StoredFile, TransferFilter

SECRECY_RULE = "D1"
PAGE = 1000
MAX_HISTORY = 100_000


class Enquiry:
    """The readers' verbs."""

    def __init__(self, *, recorder: Recorder, registrar: Registrar) -> None:
        self._recorder = recorder
        self._registrar = registrar
        self._endpoints: dict[
            str, tuple[Registry, list[dict[str, Any]]]
        ] = {}  # by institution, with what it was read from

    async def endpoints(self, principal: Principal) -> list[dict[str, Any]]:
        """The endpoints a sender's projects may send to. Not to be changed by the caller."""
        require(principal, Permission.TRANSFERS_READ)
        registry = await self._registrar.recent()
        known = self._endpoints.get(principal.institution)
        if known is None or known[0] is not registry:
            known = self._endpoints[principal.institution] = (registry, self._shown(registry, principal.institution))
        return known[1]

    @staticmethod
    def _shown(registry: Registry, institution: str) -> list[dict[str, Any]]:
        projects = [each for each in registry.all(Project) if each.institution == institution]
        shown = []
        for endpoint in registry.all(Endpoint):
            under = [project.id for project in projects if endpoint.id in project.endpoints]
            if under:
                shown.append({"id": endpoint.id, "name": endpoint.name, "place": endpoint.place, "projects": under})
        return shown

    async def transfer(self, principal: Principal, transfer_id: str) -> Transfer:
        """A transfer of the sender's institution (or any, for the operator's shell)."""
        require(principal, Permission.TRANSFERS_READ)
        async with self._recorder.records.read() as view:
            return await _own(view, principal, transfer_id)

    async def transfers(
        self, principal: Principal, wanted: TransferFilter, *, limit: int = 100, after: str = ""
    ) -> Sequence[Transfer]:
        """Transfers, newest first; a sender's filter is narrowed to its institution."""
        require(principal, Permission.TRANSFERS_READ)
        if principal.institution and wanted.institution not in {"", principal.institution}:
            return []
        if principal.institution and wanted.rule.split(".")[0] == SECRECY_RULE:
            return []  # not even whether there is one
        if principal.institution:
            wanted = TransferFilter(**{**vars(wanted), "institution": principal.institution})
        async with self._recorder.records.read() as view:
            return await view.transfers(wanted, limit=min(limit, PAGE), after=after)

    async def every(self, principal: Principal, wanted: TransferFilter) -> AsyncIterator[Transfer]:
        """All transfers a filter finds, page by page, for exports."""
        after = ""
        while page := await self.transfers(principal, wanted, limit=PAGE, after=after):
            for transfer in page:
                yield transfer
            after = page[-1].id

    async def files(self, principal: Principal, transfer_id: str) -> list[dict[str, Any]]:
        """The received files of a transfer."""
        await self.transfer(principal, transfer_id)
        async with self._recorder.records.read() as view:
            files = await view.files(transfer_id)
        return [file_view(stored) for stored in files]

    async def unfinished(self, principal: Principal, transfer_id: str) -> list[dict[str, Any]]:
        """Files of a transfer that are not whole: what was cut off, and uploads that have an address, by path.

        `size` is what is kept; of one that is being sent it is what was kept before. Pieces have no path.
        """
        await self.transfer(principal, transfer_id)
        async with self._recorder.records.read() as view:
            notes = {each.path: each for each in await view.partials(transfer_id)}
            uploads = [each for each in await view.uploads(transfer_id) if not each.done]
        now = self._recorder.clock.now()
        shown: list[dict[str, Any]] = [
            {"path": path, "size": note.size} for path, note in notes.items() if not path.startswith("/")
        ]
        for upload in uploads:
            if upload.expires > now:
                kept = {"size": offset_of(upload, notes.get(upload.note)), "upload": upload.id}
                named = {} if upload.piece else {"path": upload.path}
                sized = {} if upload.length is None else {"length": upload.length}
                shown.append({**named, **kept, **sized, "expires": timestamp(upload.expires)})
        return sorted(shown, key=lambda each: (each.get("path", ""), each.get("upload", "")))

    async def files_page(
        self, principal: Principal, transfer_id: str, *, after: int, limit: int
    ) -> Sequence[StoredFile]:
        """Received files in the order of their numbers, from after that number on (-1: from the first)."""
        await self.transfer(principal, transfer_id)
        async with self._recorder.records.read() as view:
            return await view.files_after(transfer_id, after, limit)

    async def file(self, principal: Principal, transfer_id: str, path: str) -> dict[str, Any] | None:
        """One received file, or None where there is none at this path; who may write there may ask, too."""
        if not principal.may(Permission.TRANSFERS_WRITE):
            require(principal, Permission.TRANSFERS_READ)
        async with self._recorder.records.read() as view:
            await _own(view, principal, transfer_id)
            stored = await view.file(transfer_id, path)
        return file_view(stored) if stored else None

    async def receipt(self, principal: Principal, transfer_id: str) -> tuple[str, str]:
        """The receipt and its signature."""
        require(principal, Permission.RECEIPTS_READ)
        transfer = await self.transfer(principal, transfer_id)
        if not transfer.receipt:
            raise Conflict(f"there is no receipt yet: the transfer is {transfer.state}", code="no-receipt")
        return transfer.receipt, transfer.receipt_signature

    async def history(
        self, principal: Principal, transfer_id: str, *, after: int = -1, limit: int = MAX_HISTORY
    ) -> list[dict[str, Any]]:
        """The transfer's ledger entries with their positions, oldest first, from after a position on."""
        await self.transfer(principal, transfer_id)
        async with self._recorder.records.read() as view:
            entries = await view.entries_after(transfer_id, after, limit)
        return [{"index": index, **parse_document(body, max_size=1 << 22, max_depth=12)} for index, body in entries]


def require(principal: Principal, permission: Permission) -> None:
    """Raise NotPermitted where a principal may not do that here."""
    if not principal.may(permission):
        raise NotPermitted(f"this credential may not do {permission} here: ask for that scope")


async def _own(view: Reading, principal: Principal, transfer_id: str) -> Transfer:
    transfer = await view.transfer(transfer_id)
    if transfer is None or (principal.institution and transfer.institution != principal.institution):
        raise NotFound(f"there is no transfer {transfer_id}", code="no-such-transfer")
    return transfer


def file_view(stored: StoredFile) -> dict[str, Any]:
    """A received file as its sender sees it."""
    return {"path": stored.file.path, "size": stored.file.size, "sha256": stored.file.sha256.hex()}


def sender_view(transfer: Transfer) -> dict[str, Any]:
    """A transfer as its sender sees it."""
    standing = STANDING.get(transfer.state)
    shown: dict[str, Any] = {
        "id": transfer.id,
        "endpoint": transfer.endpoint,
        "project": transfer.project,
        "dataset": transfer.dataset,
        "version": transfer.version,
        "direction": transfer.direction,
        "state": transfer.state.value,
        "since": timestamp(transfer.since),
        "opened_at": timestamp(transfer.opened_at),
        "due": timestamp(transfer.due) if transfer.due else None,
        "owner": standing.owner if standing else None,
        "files": transfer.files,
        "bytes": transfer.bytes,
        "decision": sender_decision(transfer.decision) if transfer.decision else None,
    }
    if named := transfer.declaration.get("lineage"):
        shown["lineage"] = list(named)
    if transfer.escalated_at:
        shown["escalated_at"] = timestamp(transfer.escalated_at)
    if transfer.reason and transfer.state not in {State.OPEN, State.SUBMITTED}:
        shown["reason"] = transfer.reason
    return shown


def sender_decision(decision: Mapping[str, Any]) -> dict[str, Any]:
    """A decision as the sender may see it: the rules, articles and remedies, but for a secrecy mark nothing but the way."""
    if any(rule.split(".")[0] == SECRECY_RULE for rule in decision["rules"]):
        return {
            "verdict": decision["verdict"],
            "rules": [],
            "citations": [],
            "mechanism": "none",
            "remedies": [{"code": "see-security-officer"}],
            "rulebook": decision["rulebook"],
        }
    shown = {key: decision[key] for key in ("verdict", "rules", "citations", "mechanism", "remedies", "rulebook")}
    # What was declared lower than it was found: in words, without the numbers.
    told = {each["remedy"] for each in decision.get("differences", ())}
    if found := decision.get("lineage"):
        shown["lineage"] = {"state": found["state"], "added": rounded(found["added"])}
        told |= {lineage_remedy(found)} - {""}
    shown["remedies"] = [*shown["remedies"], *({"code": code} for code in sorted(told))]
    persons = decision["situation"]["persons"]
    return {**shown, "persons": {name: rounded(count) for name, count in persons.items()}}


def rounded(count: int) -> int:
    """A count rounded up to two significant digits: enough to plan by, too coarse to test who is in the ledger."""
    if count < 100:
        return -(-count // 10) * 10
    step = int("1" + "0" * (len(str(count)) - 2))
    return -(-count // step) * step
