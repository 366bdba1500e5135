"""Records in memory: transactions over a copied state, so that what fails leaves nothing.

It runs the contract suite of the real database (`tests/contracts/test_records.py`). `before_commit` may raise, to play a
database that goes away at the worst moment.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from gateway.core.errors import Conflict, GatewayError, StoreError, Unusable
from gateway.core.facts import Entry, Tag
from gateway.core.intake import ReceivedFile
from gateway.core.manifests import Manifest
from gateway.core.review import Vote
from gateway.core.transfer import ENDS, State, Transfer
from gateway.ports import (
    Ban,
    EditLock,
    FilingUse,
    Mark,
    Outbox,
    Partial,
    Passed,
    PersonSet,
    PersonSums,
    PersonUnion,
    Reading,
    StoredChange,
    StoredFile,
    TransferFilter,
    Upload,
    Writing,
)
from gateway.wire import merkle

MAX_LISTED = 1_000
ALSO_ASKED = frozenset({"direction", "door", "person", "client"})


@dataclass
class FakeState:
    """Everything that is recorded. A committed state is never changed: transactions work on a copy."""

    transfers: dict[str, Transfer] = field(default_factory=dict)
    keys: dict[tuple[str, str], str] = field(default_factory=dict)
    files: dict[tuple[str, str], StoredFile] = field(default_factory=dict)
    partials: dict[tuple[str, str], Partial] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    marks: dict[tuple[str, str], tuple[Mark, bytes]] = field(default_factory=dict)
    manifests: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    connections: dict[tuple[str, str], datetime | None] = field(default_factory=dict)
    votes: list[tuple[str, Vote, datetime]] = field(default_factory=list)
    passages: dict[str, Passed] = field(default_factory=dict)
    persons: dict[str, PersonSet] = field(default_factory=dict)
    unions: dict[tuple[str, int, str], PersonUnion] = field(default_factory=dict)
    shards: dict[tuple[str, int, str], dict[str, dict[int, bytes]]] = field(default_factory=dict)
    samples: dict[str, tuple[str, str, bytes, bytes]] = field(default_factory=dict)
    hgr: dict[str, tuple[str, str, int, int]] = field(default_factory=dict)
    uses: dict[tuple[str, str], FilingUse] = field(default_factory=dict)
    changes: dict[str, StoredChange] = field(default_factory=dict)
    entries: list[tuple[Tag, str, datetime, bytes, bytes]] = field(default_factory=list)
    nodes: dict[tuple[int, int], bytes] = field(default_factory=dict)
    frontier: merkle.Frontier = field(default_factory=merkle.Frontier)
    checkpoints: dict[int, bytes] = field(default_factory=dict)
    leases: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    spent: dict[tuple[str, str], datetime] = field(default_factory=dict)
    revocations: dict[tuple[str, str], datetime] = field(default_factory=dict)
    bans: dict[str, Ban] = field(default_factory=dict)
    locks: dict[str, EditLock] = field(default_factory=dict)
    outboxes: dict[str, Outbox] = field(default_factory=dict)

    def copied(self) -> FakeState:
        return FakeState(**{name: copy.copy(value) for name, value in vars(self).items()})

    def check_owners(self) -> None:
        """What belongs to a transfer must find it, at the end of a transaction."""
        owners = {each[0] for each in self.files} | {each[0] for each in self.votes} | set(self.keys.values())
        owners |= set(self.passages)
        owners |= {each[0] for each in self.uses}
        owners |= {each[0] for each in self.manifests} | {each[0] for each in self.connections}
        owners |= set(self.numbers) | set(self.persons) | set(self.hgr) | set(self.samples) | set(self.leases)
        owners |= {each[0] for each in self.partials} | {each.transfer_id for each in self.uploads.values()}
        owners |= (
            {each[0] for each in self.marks} | set(self.numbers) | set(self.persons) | set(self.hgr) | set(self.leases)
        )
        if not owners <= set(self.transfers):
            raise StoreError("a row belongs to a transfer that is not there", code="database-refused", retry=False)


class FakeRecords:
    """`gateway.ports.Records`."""

    def __init__(self) -> None:
        self.state = FakeState()
        self.before_commit: Callable[[], None] | None = None
        self.commits = 0
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[Reading]:
        yield FakeView(self.state)

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[Writing]:
        async with self._turn:
            transaction = FakeTransaction(self.state.copied())
            yield transaction
            if transaction.failed:
                raise StoreError("a step of this transaction had failed") from transaction.failed
            transaction.state.check_owners()
            if self.before_commit:
                self.before_commit()
            self.state = transaction.state
            self.commits += 1

    async def close(self) -> None:
        """Nothing to let go of."""


class FakeView:
    """`gateway.ports.Reading`."""

    def __init__(self, state: FakeState) -> None:
        self.state = state

    async def transfer(self, transfer_id: str) -> Transfer | None:
        return self.state.transfers.get(transfer_id)

    async def transfers(self, wanted: TransferFilter, *, limit: int, after: str = "") -> Sequence[Transfer]:
        if not 1 <= limit <= MAX_LISTED:
            raise Unusable(f"a list holds 1 to {MAX_LISTED} transfers")
        if set(wanted.extra) - ALSO_ASKED:
            raise Unusable("transfers cannot be asked by this")
        if wanted.digest and (len(wanted.digest) != 64 or not set(wanted.digest.lower()) <= set("0123456789abcdef")):
            raise Unusable("a digest is 64 hexadecimal digits")
        if after and after not in self.state.transfers:
            raise Unusable("the list cannot continue after a transfer that is not there")
        found = sorted(self.state.transfers.values(), key=_age, reverse=True)
        if after:
            cursor = _age(self.state.transfers[after])
            found = [each for each in found if _age(each) < cursor]
        return [each for each in found if self._matches(each, wanted)][:limit]

    async def transfer_by_key(self, institution: str, idempotency_key: str) -> Transfer | None:
        found = self.state.keys.get((institution, idempotency_key))
        return self.state.transfers.get(found) if found else None

    async def latest_version(self, institution: str, endpoint: str, project: str, dataset: str) -> int:
        asked = (institution, endpoint, project, dataset)
        return max((each.version for each in self.state.transfers.values() if _dataset(each) == asked), default=0)

    async def newest(self, wanted: TransferFilter) -> Transfer | None:
        found = [each for each in self.state.transfers.values() if self._matches(each, wanted)]
        return max(found, key=lambda each: each.version, default=None)

    async def files(self, transfer_id: str) -> Sequence[StoredFile]:
        return [self.state.files[key] for key in sorted(self.state.files) if key[0] == transfer_id]

    async def received(self, transfer_id: str) -> Sequence[ReceivedFile]:
        return [each.file for each in await self.files(transfer_id)]

    async def files_after(self, transfer_id: str, number: int, limit: int) -> Sequence[StoredFile]:
        beyond = [each for each in await self.files(transfer_id) if each.file.number > number]
        return sorted(beyond, key=lambda each: each.file.number)[:limit]

    async def file(self, transfer_id: str, path: str) -> StoredFile | None:
        return self.state.files.get((transfer_id, path))

    async def files_at(self, transfer_id: str, paths: Sequence[str]) -> Sequence[StoredFile]:
        return [each for each in await self.files(transfer_id) if each.file.path in set(paths)]

    async def has_below(self, transfer_id: str, folder: str) -> bool:
        kept = (*self.state.files, *self.state.partials)
        return any(owner == transfer_id and path.startswith(f"{folder}/") for owner, path in kept)

    async def partial(self, transfer_id: str, path: str) -> Partial | None:
        return self.state.partials.get((transfer_id, path))

    async def partials(self, transfer_id: str = "") -> Sequence[Partial]:
        found = self.state.partials
        return [found[key] for key in sorted(found) if not transfer_id or key[0] == transfer_id]

    async def upload(self, upload_id: str) -> Upload | None:
        return self.state.uploads.get(upload_id)

    async def uploads(self, transfer_id: str) -> Sequence[Upload]:
        found = [each for each in self.state.uploads.values() if each.transfer_id == transfer_id]
        return sorted(found, key=lambda each: (each.made_at, each.id))

    async def uploads_expired(self, now: datetime, limit: int) -> Sequence[Upload]:
        gone = [each for each in self.state.uploads.values() if each.expires <= now]
        return sorted(gone, key=lambda each: (each.expires, each.id))[:limit]

    async def marks(self, transfer_id: str) -> Sequence[Mark]:
        return [self.state.marks[key][0] for key in sorted(self.state.marks) if key[0] == transfer_id]

    async def mark_content(self, transfer_id: str, path: str) -> bytes:
        found = self.state.marks.get((transfer_id, path))
        return found[1] if found else b""

    async def locks(self, institution: str) -> Sequence[EditLock]:
        return [each for _, each in sorted(self.state.locks.items()) if each.institution == institution]

    async def manifests(self, transfer_id: str) -> Sequence[Manifest]:
        return [self.state.manifests[key] for key in sorted(self.state.manifests) if key[0] == transfer_id]

    async def connections(self, transfer_id: str) -> Sequence[tuple[str, datetime | None]]:
        return [(key[1], at) for key, at in sorted(self.state.connections.items()) if key[0] == transfer_id]

    async def votes(self, transfer_id: str) -> Sequence[Vote]:
        return [vote for owner, vote, _ in self.state.votes if owner == transfer_id]

    async def person_sets(self, entity: str, year: int, track: str) -> Sequence[PersonSet]:
        sets = sorted(self.state.persons.values(), key=lambda each: each.transfer_id)
        asked = [each for each in sets if (each.year, each.track) == (year, track)]
        return [each for each in asked if not entity or each.entity == entity]

    async def person_set(self, transfer_id: str) -> PersonSet | None:
        return self.state.persons.get(transfer_id)

    async def counted_transfers(self, entity: str, year: int, track: str) -> frozenset[str]:
        return frozenset(each.transfer_id for each in await self.person_sets(entity, year, track))

    async def person_sums(self, year: int, track: str) -> Mapping[str, PersonSums]:
        sums: dict[str, PersonSums] = {}
        for each in await self.person_sets("", year, track):
            known = sums.get(each.entity, PersonSums(each.entity))
            sums[each.entity] = PersonSums(
                each.entity,
                known.sets + 1,
                known.digests + (len(each.sensitive) + len(each.nonsensitive)) // 8,
                known.unkeyed_sensitive + each.unkeyed_sensitive,
                known.unkeyed_nonsensitive + each.unkeyed_nonsensitive,
            )
        return sums

    async def person_unions(self, year: int, track: str) -> Mapping[str, PersonUnion]:
        return {key[0]: each for key, each in self.state.unions.items() if key[1:] == (year, track)}

    async def person_shards(
        self, entity: str, year: int, track: str, kind: str, numbers: Sequence[int]
    ) -> Mapping[int, bytes]:
        found = self.state.shards.get((entity, year, track), {}).get(kind, {})
        return {number: found[number] for number in sorted(numbers) if number in found}

    async def hgr_samples(self, project: str, endpoint: str) -> Sequence[tuple[bytes, bytes]]:
        kept = [self.state.samples[key] for key in sorted(self.state.samples)]
        return [each[2:] for each in kept if each[:2] == (project, endpoint)]

    async def hgr_counted(self, project: str, endpoint: str) -> tuple[int, int]:
        counted = [each[2:] for each in self.state.hgr.values() if each[:2] == (project, endpoint)]
        return sum(each[0] for each in counted), sum(each[1] for each in counted)

    async def filing_uses(self, filing: str) -> Sequence[FilingUse]:
        return [use for _, use in sorted(self.state.uses.items()) if not filing or use.filing == filing]

    async def filing_sums(self, filing: str) -> Mapping[int, PersonSums]:
        sums: dict[int, PersonSums] = {}
        for year in sorted({each.year for each in await self.filing_uses(filing)}):
            sets = await self.filing_sets(filing, year)
            if sets:
                digests = sum(len(each.sensitive) + len(each.nonsensitive) for each in sets) // 8
                sums[year] = PersonSums(filing, len(sets), digests)
        return sums

    async def filing_sets(self, filing: str, year: int) -> Sequence[PersonSet]:
        ids = [each.transfer_id for each in await self.filing_uses(filing) if each.year == year]
        return [self.state.persons[each] for each in ids if each in self.state.persons]

    async def filing_samples(self, filing: str) -> Sequence[tuple[bytes, bytes]]:
        ids = [each.transfer_id for each in await self.filing_uses(filing)]
        return [self.state.samples[each][2:] for each in ids if each in self.state.samples]

    async def changes(self, state: str = "") -> Sequence[StoredChange]:
        found = [each for each in self.state.changes.values() if not state or each.state == state]
        return sorted(found, key=_change_order)

    async def entries(self, start: int, count: int) -> Sequence[tuple[int, bytes]]:
        return [(index, each[3]) for index, each in enumerate(self.state.entries) if start <= index < start + count]

    async def entries_of(self, subject: str) -> Sequence[tuple[int, bytes]]:
        return [(index, each[3]) for index, each in enumerate(self.state.entries) if each[1] == subject]

    async def entries_after(self, subject: str, index: int, limit: int) -> Sequence[tuple[int, bytes]]:
        return [each for each in await self.entries_of(subject) if each[0] > index][:limit]

    async def entries_of_institution(self, institution: str, start: int, stop: int) -> Sequence[tuple[int, bytes]]:
        own = {each.id for each in self.state.transfers.values() if each.institution == institution}
        between = list(enumerate(self.state.entries))[max(start, 0) : max(stop, 0)]
        return [(index, each[3]) for index, each in between if each[1] in own]

    async def opening(self, index: int) -> bytes | None:
        return (self.state.entries[index][4] or None) if 0 <= index < len(self.state.entries) else None

    async def tree_size(self) -> int:
        return len(self.state.entries)

    async def tree_node(self, level: int, index: int) -> bytes:
        if (level, index) not in self.state.nodes:
            raise StoreError("the ledger has no such node yet", code="no-such-node", retry=False)
        return self.state.nodes[level, index]

    async def latest_checkpoint(self) -> bytes | None:
        return self.state.checkpoints[max(self.state.checkpoints)] if self.state.checkpoints else None

    async def passages(self, channel: str = "", transfer_id: str = "") -> Sequence[Passed]:
        found = sorted(self.state.passages.values(), key=lambda each: (each.channel, each.number))
        return [each for each in found if channel in {"", each.channel} and transfer_id in {"", each.transfer_id}]

    async def escalating(self, now: datetime, limit: int) -> Sequence[Transfer]:
        held = [each for each in self.state.transfers.values() if each.state is State.HELD]
        timed = [(each.escalate_at, each.id, each) for each in held if each.escalate_at is not None]
        return [each for at, _, each in sorted(timed) if at <= now][:limit]

    async def due(self, now: datetime, limit: int) -> Sequence[Transfer]:
        timed = [(each.due, each.id, each) for each in self.state.transfers.values() if each.due is not None]
        return [each for due, _, each in sorted(timed) if due <= now and each.state not in ENDS][:limit]

    async def ended_before(self, states: Sequence[State], before: datetime, limit: int) -> Sequence[Transfer]:
        timed = [(each.ended_at, each.id, each) for each in self.state.transfers.values() if each.ended_at is not None]
        ended = [each for at, _, each in sorted(timed) if at < before and each.state in states]
        return [each for each in ended if not each.keys_destroyed][:limit]

    async def kept_evidence(self, before: datetime, limit: int, after: str = "") -> Sequence[Transfer]:
        kept = [each for _, each in sorted(self.state.transfers.items()) if each.ended_at and each.ended_at < before]
        return [each for each in kept if each.evidence != "gone" and each.id > after][:limit]

    async def carriers(self, transfer_id: str) -> frozenset[str]:
        return frozenset(key[0] for key, each in self.state.files.items() if each.carried == transfer_id)

    async def state_counts(self) -> Mapping[str, tuple[int, datetime | None]]:
        counts: dict[str, tuple[int, datetime | None]] = {}
        for state in sorted({each.state for each in self.state.transfers.values()}):
            since = [each.since for each in self.state.transfers.values() if each.state is state]
            counts[state.value] = (len(since), min(since))
        return counts

    async def revoked(self, client: str, token_id: str) -> bool:
        return (client, "") in self.state.revocations or (client, token_id) in self.state.revocations

    async def undelivered(self, institution: str) -> int:
        over = ENDS | {State.DELIVERED}
        own = [each for each in self.state.transfers.values() if each.institution == institution]
        return sum(each.bytes for each in own if each.state not in over)

    async def kept(self, institution: str) -> int:
        own = {each.id for each in self.state.transfers.values() if each.institution == institution}
        begun = {each for each in own if self.state.transfers[each].state is State.OPEN}
        return sum(each.size for each in self.state.partials.values() if each.transfer_id in begun)

    async def bans(self, now: datetime, limit: int) -> Sequence[Ban]:
        standing = sorted((each for each in self.state.bans.values() if each.until > now), key=lambda each: each.remote)
        return sorted(standing, key=lambda each: each.at, reverse=True)[:limit]

    async def outboxes(self) -> Sequence[Outbox]:
        return [self.state.outboxes[webhook] for webhook in sorted(self.state.outboxes)]

    def _matches(self, each: Transfer, wanted: TransferFilter) -> bool:
        equal = {name: getattr(wanted, name) for name in ("institution", "endpoint", "project", "dataset")}
        paths = [key[1] for key in self.state.files if key[0] == each.id]
        digests = {stored.file.sha256.hex() for key, stored in self.state.files.items() if key[0] == each.id}
        texts = [each.id, each.dataset, each.person, each.client, each.reason, *paths]
        return all(
            (
                all(getattr(each, name) == value for name, value in {**equal, **wanted.extra}.items() if value),
                not wanted.states or each.state in wanted.states,
                not wanted.verdict or each.decision.get("verdict", "") == wanted.verdict,
                not wanted.rule or wanted.rule in each.decision.get("rules", ()),
                wanted.since is None or each.opened_at >= wanted.since,
                wanted.until is None or each.opened_at < wanted.until,
                not wanted.digest or wanted.digest.lower() in digests,
                not wanted.text or any(_ascii_lower(wanted.text) in _ascii_lower(text) for text in texts),
            )
        )


class FakeTransaction(FakeView):
    """`gateway.ports.Writing`."""

    def __init__(self, state: FakeState) -> None:
        super().__init__(state)
        self.failed: GatewayError | None = None

    def _refused(self, failure: GatewayError) -> GatewayError:
        """A statement the database itself would refuse: nothing of this transaction can be committed."""
        self.failed = self.failed or failure
        return failure

    async def serialise(self, name: str) -> None:
        """Transactions run one after another anyway."""

    async def append(self, tag: Tag, subject: str, at: datetime, entry: Entry, sealed_opening: bytes) -> int:
        self.state.entries.append((tag, subject, at, entry.body, sealed_opening))
        self.state.frontier, nodes = self.state.frontier.grow(merkle.leaf_hash(entry.body))
        self.state.nodes.update({(node.level, node.index): node.hash for node in nodes})
        return len(self.state.entries) - 1

    async def put_transfer(self, transfer: Transfer, idempotency_key: str = "") -> None:
        if idempotency_key:
            under = (transfer.institution, idempotency_key)
            if self.state.keys.setdefault(under, transfer.id) != transfer.id:
                raise Conflict("this idempotency key opened another transfer", code="idempotency-key-used")
        for other in self.state.transfers.values():
            same = (_dataset(other), other.version) == (_dataset(transfer), transfer.version)
            if same and other.id != transfer.id:
                raise self._refused(Conflict("another transfer has this version", retry=True))
        kept: dict[str, Any] = {
            name: self._json(getattr(transfer, name)) for name in ("declaration", "findings", "decision", "delivery")
        }
        self.state.transfers[transfer.id] = replace(transfer, **kept)

    async def put_file(self, stored: StoredFile) -> None:
        kept = replace(stored, findings=self._json(stored.findings), facts=self._json(stored.facts))
        self.state.files[stored.transfer_id, stored.file.path] = kept

    async def put_files(self, stored: Sequence[StoredFile]) -> None:
        for each in stored:
            await self.put_file(each)

    async def drop_files(self, transfer_id: str) -> None:
        for key in [each for each in self.state.files if each[0] == transfer_id]:
            del self.state.files[key]

    async def drop_file(self, transfer_id: str, path: str) -> None:
        dropped = self.state.files.pop((transfer_id, path), None)
        if dropped:
            self.state.numbers[transfer_id] = max(self.state.numbers.get(transfer_id, 0), dropped.file.number + 1)

    async def put_partial(self, partial: Partial) -> None:
        self.state.partials[partial.transfer_id, partial.path] = partial

    async def drop_partial(self, transfer_id: str, path: str) -> None:
        self.state.partials.pop((transfer_id, path), None)

    async def put_upload(self, upload: Upload) -> None:
        self.state.uploads[upload.id] = upload

    async def drop_upload(self, upload_id: str) -> None:
        self.state.uploads.pop(upload_id, None)

    async def put_manifest(self, transfer_id: str, manifest: Manifest) -> None:
        self.state.manifests[transfer_id, manifest.path] = replace(manifest, document=self._json(manifest.document))

    async def drop_manifest(self, transfer_id: str, path: str) -> None:
        self.state.manifests.pop((transfer_id, path), None)

    async def put_connection(self, transfer_id: str, connection: str, lost_at: datetime | None) -> None:
        self.state.connections[transfer_id, connection] = lost_at

    async def drop_connection(self, transfer_id: str, connection: str) -> None:
        self.state.connections.pop((transfer_id, connection), None)

    async def next_file_number(self, transfer_id: str) -> int:
        return await self.next_file_numbers(transfer_id, 1)

    async def next_file_numbers(self, transfer_id: str, count: int) -> int:
        used = [stored.file.number + 1 for key, stored in self.state.files.items() if key[0] == transfer_id]
        number = max([self.state.numbers.get(transfer_id, 0), *used])
        self.state.numbers[transfer_id] = number + count
        return number

    async def put_mark(self, mark: Mark, content: bytes = b"") -> None:
        self.state.marks[mark.transfer_id, mark.path] = mark, content

    async def drop_mark(self, transfer_id: str, path: str) -> None:
        self.state.marks.pop((transfer_id, path), None)

    async def put_lock(self, lock: EditLock) -> None:
        self.state.locks[lock.token] = lock

    async def drop_lock(self, token: str) -> None:
        self.state.locks.pop(token, None)

    async def put_vote(self, transfer_id: str, vote: Vote, at: datetime) -> None:
        self.state.votes.append((transfer_id, vote, at))

    async def put_passage(self, passed: Passed) -> None:
        self.state.passages[passed.transfer_id] = passed

    async def put_persons(self, counted: PersonSet) -> None:
        _once(self.state.persons, counted.transfer_id)
        self.state.persons[counted.transfer_id] = counted

    async def put_filing_use(self, use: FilingUse) -> None:
        _once(self.state.uses, (use.transfer_id, use.filing))
        self.state.uses[use.transfer_id, use.filing] = use

    async def drop_persons(self, transfer_id: str) -> bool:
        uses = [each for key, each in self.state.uses.items() if key[0] == transfer_id]
        for each in uses:
            await self.drop_union(each.filing, each.year, "filing")
            del self.state.uses[each.transfer_id, each.filing]
        if counted := self.state.persons.get(transfer_id):
            await self.drop_union(counted.entity, counted.year, counted.track)
        persons, hgr = self.state.persons.pop(transfer_id, None), self.state.hgr.pop(transfer_id, None)
        samples = self.state.samples.pop(transfer_id, None)
        return persons is not None or hgr is not None or samples is not None or bool(uses)

    async def put_union(self, union: PersonUnion, shards: Mapping[str, Mapping[int, bytes]]) -> None:
        key = (union.entity, union.year, union.track)
        before = self.state.shards.get(key, {})
        self.state.unions[key] = union
        self.state.shards[key] = {
            kind: {**before.get(kind, {}), **shards.get(kind, {})} for kind in sorted({*before, *shards})
        }

    async def drop_union(self, entity: str, year: int, track: str) -> None:
        self.state.unions.pop((entity, year, track), None)
        self.state.shards.pop((entity, year, track), None)

    async def put_samples(
        self, transfer_id: str, project: str, endpoint: str, samples: bytes, sequenced: bytes
    ) -> None:
        _once(self.state.samples, transfer_id)
        self.state.samples[transfer_id] = (project, endpoint, samples, sequenced)

    async def put_hgr(self, transfer_id: str, project: str, endpoint: str, subjects: int, sequencing: int) -> None:
        _once(self.state.hgr, transfer_id)
        self.state.hgr[transfer_id] = (project, endpoint, subjects, sequencing)

    async def put_change(self, change: StoredChange) -> None:
        others = [each for each in self.state.changes.values() if each.digest != change.digest]
        if change.serial and change.serial in {each.serial for each in others}:
            raise self._refused(Conflict("another approved change has this serial", retry=True))
        self.state.changes[change.digest] = change

    async def put_checkpoint(self, size: int, note: bytes) -> None:
        self.state.checkpoints[size] = note

    async def claim(
        self, states: Sequence[State], worker: str, now: datetime, until: datetime, limit: int
    ) -> Sequence[str]:
        waiting = [each for each in self.state.transfers.values() if each.state in states]
        ready = sorted((each.next_at, each.id) for each in waiting if each.next_at is not None and each.next_at <= now)
        free = [each for _, each in ready if each not in self.state.leases or self.state.leases[each][1] <= now]
        for transfer_id in free[:limit]:
            self.state.leases[transfer_id] = (worker, until)
        return free[:limit]

    async def extend(self, transfer_id: str, worker: str, until: datetime) -> None:
        if self.state.leases.get(transfer_id, ("", until))[0] == worker:
            self.state.leases[transfer_id] = (worker, until)

    async def wake(self, states: Sequence[State], now: datetime) -> None:
        for transfer in list(self.state.transfers.values()):
            if transfer.state in states:
                self.state.transfers[transfer.id] = replace(transfer, next_at=now)

    async def release(self, transfer_id: str, worker: str) -> None:
        if self.state.leases.get(transfer_id, ("",))[0] == worker:
            del self.state.leases[transfer_id]

    async def spend_token_id(self, client: str, token_id: str, expires: datetime) -> bool:
        if (client, token_id) in self.state.spent:
            return False
        self.state.spent[client, token_id] = expires
        return True

    async def revoke(self, client: str, token_id: str, at: datetime) -> None:
        if token_id:
            old = [
                key
                for key, then in self.state.revocations.items()
                if key[0] == client and then < at - timedelta(days=1)
            ]
            for key in old:
                if key[1]:
                    del self.state.revocations[key]
        self.state.revocations.setdefault((client, token_id), at)

    async def put_ban(self, ban: Ban) -> None:
        self.state.bans[ban.remote] = ban
        self.state.bans = {remote: each for remote, each in self.state.bans.items() if each.until > ban.at}

    async def drop_ban(self, remote: str) -> bool:
        return self.state.bans.pop(remote, None) is not None

    async def put_outbox(self, outbox: Outbox) -> None:
        self.state.outboxes[outbox.webhook] = outbox

    async def drop_outbox(self, webhook: str) -> None:
        self.state.outboxes.pop(webhook, None)

    async def claim_outbox(self, webhook: str, worker: str, now: datetime, until: datetime) -> Outbox | None:
        found = self.state.outboxes.get(webhook)
        if found is None or found.parked_at or found.next_at > now or (found.until and found.until > now):
            return None
        self.state.outboxes[webhook] = replace(found, worker=worker, until=until)
        return self.state.outboxes[webhook]

    async def keep_outbox(self, outbox: Outbox, worker: str) -> bool:
        found = self.state.outboxes.get(outbox.webhook)
        if found is None or found.worker != worker:
            return False
        self.state.outboxes[outbox.webhook] = outbox
        return True

    def _json(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """The value as a database gives it back: tuples become lists, and what is no JSON is refused."""
        try:
            kept: dict[str, Any] = json.loads(json.dumps(dict(value)))
        except (TypeError, ValueError) as wrong:
            raise self._refused(StoreError("a value is no JSON", retry=False)) from wrong
        return kept


def _age(each: Transfer) -> tuple[datetime, str]:
    return each.opened_at, each.id


def _dataset(each: Transfer) -> tuple[str, str, str, str]:
    return each.institution, each.endpoint, each.project, each.dataset


def _change_order(each: StoredChange) -> tuple[bool, int, float, str]:
    return (
        each.serial == 0,
        each.serial,
        each.proposed_at.timestamp() if each.proposed_at else float("-inf"),
        each.digest,
    )


def _ascii_lower(text: str) -> str:
    return "".join(letter.lower() if letter.isascii() else letter for letter in text)


def _once(counted: Iterable[str], transfer_id: str) -> None:
    if transfer_id in counted:
        raise Conflict("this transfer is counted already", code="already-counted")
