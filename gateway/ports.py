"""Everything the flow asks of the outside world, as Protocols on one page.

The rules:
1. A port is a noun and lists only what the flow calls today; optional powers are small extra Protocols.
2. Sizes are bytes, times are aware UTC `datetime`s, digests are raw bytes unless the name says `_hex`.
3. Every adapter and its fake run the same suite under `tests/contracts/`.
4. Failures arrive as the types of `gateway.core.errors`; an adapter never lets a library's exception through.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, Literal, Protocol, runtime_checkable

from gateway.core.classify import FileFindings
from gateway.core.facts import Entry, Tag
from gateway.core.intake import Part, ReceivedFile
from gateway.core.manifests import Manifest
from gateway.core.records import Endpoint, Webhook
from gateway.core.review import Vote
from gateway.core.rulebook import Rulebook
from gateway.core.transfer import State, Transfer

# --- time and chance -------------------------------------------------------------------------------------------------


class Clock(Protocol):
    """Where the flow reads the time; the core is always told it."""

    def now(self) -> datetime:
        """The current instant, aware, in UTC."""


class Entropy(Protocol):
    """Where the flow draws randomness (keys, salts, ids); tests give it a seed."""

    def token(self, size: int) -> bytes:
        """`size` bytes from the system's generator."""


# --- payload storage -------------------------------------------------------------------------------------------------


class SpoolWriter(Protocol):
    """One part being written. Called from worker threads; exactly one of `commit` and `abort` ends it."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append sealed bytes."""

    def enter(self) -> None:
        """Make the part's entry in its folder durable, ahead of `hold`, which is quicker then; nothing where it is already."""

    def hold(self, note: bytes) -> None:
        """Return once what was written is durable together with a note, but has no name yet; `commit` or `abort` follows.

        What a process that died held is found by its note (`Spool.held`); once committed, the note is gone. Held again, it has
        the new note; where that fails, it keeps the one before.
        """

    def commit(self) -> None:
        """Return once the part and its name are durable (fsync of file and directory); only then may a fact rely on it."""

    def abort(self) -> None:
        """Remove every trace of the part; safe to call after a failed `commit`."""


class Spool(Protocol):
    """The vault of sealed parts: only Crypt4GH segments ever reach it, never plaintext.

    Names are `transfer/file/part` tokens chosen by the flow, never by a sender.
    """

    def create(self, name: str) -> SpoolWriter:
        """Start a part; raises StoreError where the name exists."""

    def commit(self, writers: Sequence[SpoolWriter]) -> None:
        """Commit several parts at once, which costs little more than one; where it fails, what was held is held still."""

    def open(self, name: str) -> BinaryIO:
        """Read a committed part from its start; raises StoreError where it is missing."""

    def salvage(self, name: str) -> int | None:
        """Commit what a dead writer left of a part, without a note: its bytes, 0 where there is none, None while it lives."""

    def held(self) -> Sequence[tuple[str, bytes]]:
        """Parts that dead writers held, with their notes."""

    def copy(self, names: Mapping[str, str]) -> None:
        """Give committed parts second names (old to new), durable on return; all of them, or none.

        Each name is deleted by itself: what has two stays readable under the other. Raises StoreError where a part is
        missing (`part-missing`) or a new name exists (`part-exists`).
        """

    def delete(self, name: str) -> None:
        """Remove a part if it is there."""

    def names(self, prefix: str) -> Sequence[str]:
        """Committed parts under a prefix, sorted: housekeeping compares them with the database."""

    def unfinished(self, prefix: str) -> Sequence[str]:
        """Parts under a prefix that a living writer of any process holds, sorted; what dead ones left is not among them."""


# --- records: the database ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StoredFile:
    """A file of a transfer as the database keeps it.

    Attributes:
        transfer_id: Its transfer.
        file: What was received.
        findings: What inspection found, as `hetao inspect --json` shows it (no full identifier in it).
        facts: What the decision needs of the findings (levels, flags, counts).
        persons_sensitive: Sorted keyed 64-bit digests of distinct persons with sensitive data, packed by `core.persons.pack`.
        persons_nonsensitive: The same for the others.
        received_at: When it became durable.
        seal: HMAC over the above under the transfer's evidence key (`flow.recall`); the database cannot make one.
        modified_at: The time of last change the sender gave it, for clients that compare; None where it gave none.
        carried: The version whose delivery brought the bytes; empty where they lie in the vault under this one.
        persons_lasting: Packed digests of everybody identified in it under the family's key (`core.persons.lineage_key`), which
            holds over the years; empty where its project belongs to no family.
    """

    transfer_id: str
    file: ReceivedFile
    findings: Mapping[str, Any]
    facts: Mapping[str, Any]
    persons_sensitive: bytes
    persons_nonsensitive: bytes
    received_at: datetime
    seal: bytes = b""
    modified_at: datetime | None = None
    carried: str = ""
    persons_lasting: bytes = b""


@dataclass(frozen=True)
class Partial:
    """An upload that is under way or was cut off, as far as its bytes are in the vault.

    Attributes:
        transfer_id: Its transfer, which is open.
        path: Where the file will be; of an `Upload` its `note`.
        parts: Sealed parts in order; the last one has size -1 while it is being written.
        size: Plaintext bytes from the first on without a hole; while it is being written, those of the parts before.
        at: When this was noted.
        modified: The time of last change as far as the sender told it.
    """

    transfer_id: str
    path: str
    parts: tuple[Part, ...]
    size: int
    at: datetime
    modified: datetime | None = None


@dataclass(frozen=True)
class Upload:
    """An upload that has an address of its own: whoever of its institution knows it goes on with it, in any process.

    What was kept of it is the `Partial` at `note`; with none, nothing was.

    Attributes:
        id: An unguessable token; the last part of its address.
        transfer_id: Its transfer.
        path: Where the file will be; empty for a piece, of which files are made.
        length: Bytes of the whole; None as long as that was not said.
        made_at: When it was made.
        expires: When it is gone, unless it is gone on with.
        metadata: What the sender said of it, as it was written.
        concat: Empty for a file; how a piece, or a file made of pieces, was asked for.
        sha256: Digest of the whole, hex: as it was announced, and once it is done as it is; empty where not known.
        modified: The time of last change the sender gave it.
        done: Whether the file was received.
        turn: Goes up whenever somebody in another process wants to go on with it.
    """

    id: str
    transfer_id: str
    path: str
    length: int | None
    made_at: datetime
    expires: datetime
    metadata: str = ""
    concat: str = ""
    sha256: str = ""
    modified: datetime | None = None
    done: bool = False
    turn: int = 0

    @property
    def note(self) -> str:
        """Where its `Partial` is kept: no path of a dataset begins so."""
        return f"/{self.id}"

    @property
    def piece(self) -> bool:
        """Whether it is a piece of a file."""
        return not self.path


@dataclass(frozen=True)
class Mark:
    """What a client made in a dataset's folder that is no file of it.

    Attributes:
        transfer_id: The version it is shown with.
        path: Below the dataset.
        kind: `folder`, or what was ordered: `submit`, `withdraw`.
        size: Bytes of an order as it was written.
        at: When it was made.
    """

    transfer_id: str
    path: str
    kind: str
    size: int
    at: datetime


@dataclass(frozen=True)
class EditLock:
    """A client's lock on a place in its tree (RFC 4918 section 6): it keeps other clients of the same kind from writing.

    Attributes:
        token: A URI nobody can guess.
        institution: Whose tree.
        endpoint: The dataset's; so are `project` and `dataset`.
        project: See `endpoint`.
        dataset: See `endpoint`.
        path: Below the dataset; empty for its folder.
        client: The credential that took it; no other may use it.
        owner: What the client said of itself, XML.
        deep: Whether it is on everything below, too.
        awaits: Whether a file is promised here of which no byte came yet.
        until: When it ends by itself.
    """

    token: str
    institution: str
    endpoint: str
    project: str
    dataset: str
    path: str
    client: str
    owner: str
    deep: bool
    awaits: bool
    until: datetime


@dataclass(frozen=True)
class PersonSet:
    """Who was counted for one cleared transfer.

    Attributes:
        transfer_id: The transfer.
        entity: The legal entity counted against.
        year: Calendar year of the clearance, Asia/Shanghai.
        track: `national` (N and S of Order 16) or `gba`; transfers under exempt routes are not counted at all. On `inbound` are
            those who came in from abroad (`flow.lineage`): they count to nothing, and their year is 0, which is all time.
        sensitive: Packed digests.
        nonsensitive: Packed digests.
        unkeyed_sensitive: Persons known only by number; added as they are, an upper bound.
        unkeyed_nonsensitive: The same.
    """

    transfer_id: str
    entity: str
    year: int
    track: str
    sensitive: bytes
    nonsensitive: bytes
    unkeyed_sensitive: int = 0
    unkeyed_nonsensitive: int = 0


@dataclass(frozen=True)
class FilingUse:
    """That a clearance went under a filing, and who went with it without a digest.

    Persons with digests are in the clearance's `PersonSet`, samples with a name in its samples: neither is kept twice.

    Attributes:
        transfer_id: The transfer that was cleared.
        filing: Id of the filing.
        year: Calendar year of the clearance, Asia/Shanghai: digests of one year cannot be compared with another's.
        persons: Persons known only by number that this filing had not carried before; an upper bound.
        subjects: The same of subjects of human genetic resources without a sample name.
    """

    transfer_id: str
    filing: str
    year: int
    persons: int = 0
    subjects: int = 0


@dataclass(frozen=True)
class PersonUnion:
    """Everybody counted for an entity in a year on one track, as a count of distinct persons; who they are is in its shards.

    It is made from the `PersonSet`s (`gateway.flow.census`) and can be made again at any time.

    Attributes:
        entity: As in the sets; so are `year` and `track`.
        year: See `entity`.
        track: See `entity`.
        sets: How many sets it is made of.
        digests: How many digests these hold together, repeated ones included.
        sensitive: Distinct persons with sensitive data; on the track of filings (`gateway.flow.usage`) everybody.
        nonsensitive: The same of the others.
    """

    entity: str
    year: int
    track: str
    sets: int = 0
    digests: int = 0
    sensitive: int = 0
    nonsensitive: int = 0


@dataclass(frozen=True)
class PersonSums:
    """What the sets of an entity, year and track add up to: how many, their digests, and persons known only by number."""

    entity: str
    sets: int = 0
    digests: int = 0
    unkeyed_sensitive: int = 0
    unkeyed_nonsensitive: int = 0


@dataclass(frozen=True)
class Passed:
    """A transfer that went through a green channel, and the look into it afterwards where there is one.

    Attributes:
        transfer_id: The transfer.
        channel: Id of the channel's record.
        record: The record's digest, hex.
        number: 1 for the channel's first, then counting; what came before it is what the totals count.
        files: How many it had.
        size: Their bytes.
        persons: At most so many.
        at: When it was cleared.
        sampled: Why it is looked at, words joined by a space; empty where it is not.
        due: Until when somebody must have looked; None where nobody need.
        finding: `ok` or `objection`; empty before.
        closed_at: When.
        message: The officer's signed words.
        signature: The SSHSIG over them.
    """

    transfer_id: str
    channel: str
    record: str
    number: int
    files: int
    size: int
    persons: int
    at: datetime
    sampled: str = ""
    due: datetime | None = None
    finding: str = ""
    closed_at: datetime | None = None
    message: bytes = b""
    signature: bytes = b""


@dataclass(frozen=True)
class StoredChange:
    """A registry change: `proposed`, `approved` or `discarded`; `serial` orders the approved ones from 1."""

    digest: str
    document: bytes
    state: str
    proposer_signature: bytes
    approver_signature: bytes = b""
    serial: int = 0
    proposed_at: datetime | None = None
    approved_at: datetime | None = None


@dataclass(frozen=True)
class Ban:
    """An address no sign-in is taken from.

    Attributes:
        remote: An IPv4 address, or the /64 prefix of an IPv6 one.
        reason: Why, for people: `failures`, or an operator's word.
        at: Since when.
        until: When it ends.
    """

    remote: str
    reason: str
    at: datetime
    until: datetime


@dataclass(frozen=True)
class Outbox:
    """How far a webhook was told; what it is told follows from the ledger.

    Attributes:
        webhook: The registered identifier.
        position: The next ledger entry to look at: everything before it was delivered, or does not concern it.
        next_at: Not to be tried before.
        attempts: Attempts at the event at `position` that failed.
        reason: Why the last one failed, in the gateway's words.
        parked_at: Since when nothing is tried any more; None where it goes on.
        delivered_at: When an event was last delivered.
        worker: Who has it in hand; empty for nobody.
        until: When that ends.
    """

    webhook: str
    position: int
    next_at: datetime
    attempts: int = 0
    reason: str = ""
    parked_at: datetime | None = None
    delivered_at: datetime | None = None
    worker: str = ""
    until: datetime | None = None


@dataclass(frozen=True)
class TransferFilter:
    """What `transfers` is asked for; empty fields ask nothing. `digest` is a file's SHA-256, hex."""

    institution: str = ""
    endpoint: str = ""
    project: str = ""
    dataset: str = ""
    states: tuple[State, ...] = ()
    verdict: str = ""
    rule: str = ""
    since: datetime | None = None
    until: datetime | None = None
    digest: str = ""
    text: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)


class Reading(Protocol):
    """One consistent view of the database."""

    async def transfer(self, transfer_id: str) -> Transfer | None:
        """A transfer, or None."""

    async def transfers(self, wanted: TransferFilter, *, limit: int, after: str = "") -> Sequence[Transfer]:
        """Transfers, newest first, from after the given id on; `limit` is at most 1,000."""

    async def transfer_by_key(self, institution: str, idempotency_key: str) -> Transfer | None:
        """The transfer an institution opened under this idempotency key."""

    async def latest_version(self, institution: str, endpoint: str, project: str, dataset: str) -> int:
        """The highest version of a dataset, 0 where there is none."""

    async def newest(self, wanted: TransferFilter) -> Transfer | None:
        """Of the transfers a filter finds the one of the highest version, or None."""

    async def files(self, transfer_id: str) -> Sequence[StoredFile]:
        """Its received files, by path."""

    async def received(self, transfer_id: str) -> Sequence[ReceivedFile]:
        """The same, without what was found in them: for who looks at names, sizes and digests of thousands."""

    async def files_after(self, transfer_id: str, number: int, limit: int) -> Sequence[StoredFile]:
        """At most so many of its received files whose numbers are above one, by number."""

    async def file(self, transfer_id: str, path: str) -> StoredFile | None:
        """One received file, or None."""

    async def files_at(self, transfer_id: str, paths: Sequence[str]) -> Sequence[StoredFile]:
        """Those of its received files that have one of these paths, by path."""

    async def has_below(self, transfer_id: str, folder: str) -> bool:
        """Whether a received file or a partial of it has a path that begins with `folder` and a slash."""

    async def partial(self, transfer_id: str, path: str) -> Partial | None:
        """An upload of this file that is under way or was cut off, or None."""

    async def partials(self, transfer_id: str = "") -> Sequence[Partial]:
        """All of a transfer's by path, or with an empty id everybody's."""

    async def upload(self, upload_id: str) -> Upload | None:
        """An upload that has an address, or None."""

    async def uploads(self, transfer_id: str) -> Sequence[Upload]:
        """All of a transfer's, the oldest first."""

    async def uploads_expired(self, now: datetime, limit: int) -> Sequence[Upload]:
        """Those that are gone at that time, whosever, the earliest first."""

    async def marks(self, transfer_id: str) -> Sequence[Mark]:
        """What was made in its folder that is no file, by path."""

    async def mark_content(self, transfer_id: str, path: str) -> bytes:
        """What was kept with a mark; empty where nothing was, or there is no such mark."""

    async def locks(self, institution: str) -> Sequence[EditLock]:
        """Every lock in an institution's tree by token, those that ran out included until the next one is taken."""

    async def manifests(self, transfer_id: str) -> Sequence[Manifest]:
        """What its received manifests say, by path."""

    async def connections(self, transfer_id: str) -> Sequence[tuple[str, datetime | None]]:
        """Connections that wrote into it and did not end in order, by name: when each broke off, None where that is not known."""

    async def votes(self, transfer_id: str) -> Sequence[Vote]:
        """Recorded votes, oldest first; none of them is trusted before its signature is checked."""

    async def passages(self, channel: str = "", transfer_id: str = "") -> Sequence[Passed]:
        """What went through a channel, or through any; by channel and number."""

    async def person_sets(self, entity: str, year: int, track: str) -> Sequence[PersonSet]:
        """Everybody counted for an entity in a year; an empty entity asks for all of them."""

    async def person_set(self, transfer_id: str) -> PersonSet | None:
        """Who was counted for a transfer, or None."""

    async def counted_transfers(self, entity: str, year: int, track: str) -> frozenset[str]:
        """The transfers counted for an entity in a year."""

    async def person_sums(self, year: int, track: str) -> Mapping[str, PersonSums]:
        """What the sets of each entity add up to, by entity; no set is read for it."""

    async def person_unions(self, year: int, track: str) -> Mapping[str, PersonUnion]:
        """The unions there are, by entity."""

    async def person_shards(
        self, entity: str, year: int, track: str, kind: str, numbers: Sequence[int]
    ) -> Mapping[int, bytes]:
        """Shards of an entity's union by number, packed; `kind` is `sensitive` or `nonsensitive`, empty ones are left out."""

    async def hgr_samples(self, project: str, endpoint: str) -> Sequence[tuple[bytes, bytes]]:
        """Packed digests of the samples counted so far, all time, for a project and a recipient: all, and the sequenced ones."""

    async def hgr_counted(self, project: str, endpoint: str) -> tuple[int, int]:
        """Individual-level subjects and sequencing subjects cleared so far, all time, for a project and a recipient."""

    async def filing_uses(self, filing: str) -> Sequence[FilingUse]:
        """What went under a filing, by transfer; an empty id asks for every filing's."""

    async def filing_sums(self, filing: str) -> Mapping[int, PersonSums]:
        """By year, how many sets of persons went under a filing and how many digests they hold; no set is read for it."""

    async def filing_sets(self, filing: str, year: int) -> Sequence[PersonSet]:
        """The sets that went under a filing in a year, by transfer."""

    async def filing_samples(self, filing: str) -> Sequence[tuple[bytes, bytes]]:
        """Packed digests of the samples that went under a filing, all time, by transfer: all, and the sequenced ones."""

    async def changes(self, state: str = "") -> Sequence[StoredChange]:
        """Registry changes, approved ones by serial, others by time."""

    async def entries(self, start: int, count: int) -> Sequence[tuple[int, bytes]]:
        """Ledger entries `(index, canonical JSON)` from `start` on, at most `count`."""

    async def entries_of(self, subject: str) -> Sequence[tuple[int, bytes]]:
        """Every ledger entry of a transfer, oldest first."""

    async def entries_after(self, subject: str, index: int, limit: int) -> Sequence[tuple[int, bytes]]:
        """At most so many ledger entries of a transfer from after a position on, oldest first."""

    async def entries_of_institution(self, institution: str, start: int, stop: int) -> Sequence[tuple[int, bytes]]:
        """Ledger entries of an institution's transfers at positions from `start` to before `stop`, oldest first."""

    async def opening(self, index: int) -> bytes | None:
        """The encrypted opening of an entry's private fields."""

    async def tree_size(self) -> int:
        """Entries in the ledger."""

    async def tree_node(self, level: int, index: int) -> bytes:
        """Hash of a complete subtree: `level` 0 are leaves (RFC 6962)."""

    async def latest_checkpoint(self) -> bytes | None:
        """The newest signed note."""

    async def escalating(self, now: datetime, limit: int) -> Sequence[Transfer]:
        """Held transfers whose `escalate_at` has come, the longest waiting first."""

    async def due(self, now: datetime, limit: int) -> Sequence[Transfer]:
        """Transfers not at an end whose deadline has passed."""

    async def ended_before(self, states: Sequence[State], before: datetime, limit: int) -> Sequence[Transfer]:
        """Transfers at one of these ends since before that time whose keys still exist."""

    async def kept_evidence(self, before: datetime, limit: int, after: str = "") -> Sequence[Transfer]:
        """Transfers at their end since before that time whose evidence is not gone, by id from after one on."""

    async def carriers(self, transfer_id: str) -> frozenset[str]:
        """Transfers with files whose bytes this one brought."""

    async def state_counts(self) -> Mapping[str, tuple[int, datetime | None]]:
        """By state: how many transfers and the oldest `since`, for gauges."""

    async def revoked(self, client: str, token_id: str) -> bool:
        """Whether a client, or one of its tokens, was revoked."""

    async def undelivered(self, institution: str) -> int:
        """Plaintext bytes in an institution's transfers that are neither delivered nor at an end."""

    async def kept(self, institution: str) -> int:
        """Plaintext bytes of uploads that are not whole, in an institution's open transfers."""

    async def bans(self, now: datetime, limit: int) -> Sequence[Ban]:
        """Bans that stand at that time, the newest first."""

    async def outboxes(self) -> Sequence[Outbox]:
        """How far each webhook was told, by its identifier."""


class Writing(Reading, Protocol):
    """One transaction: all of it commits, or none. The first thing it does is take the write lock."""

    async def serialise(self, name: str) -> None:
        """Let no other transaction that serialises on this name run until this one ends."""

    async def append(self, tag: Tag, subject: str, at: datetime, entry: Entry, sealed_opening: bytes) -> int:
        """Add a ledger entry and the tree nodes it completes; returns its index."""

    async def put_transfer(self, transfer: Transfer, idempotency_key: str = "") -> None:
        """Insert or replace a transfer."""

    async def put_file(self, stored: StoredFile) -> None:
        """Insert or replace a file by transfer and path."""

    async def put_files(self, stored: Sequence[StoredFile]) -> None:
        """The same for many, in one statement."""

    async def drop_file(self, transfer_id: str, path: str) -> None:
        """Forget a file of a transfer."""

    async def drop_files(self, transfer_id: str) -> None:
        """Forget all files of a transfer."""

    async def put_partial(self, partial: Partial) -> None:
        """Insert or replace the note of an upload."""

    async def drop_partial(self, transfer_id: str, path: str) -> None:
        """Forget it."""

    async def put_upload(self, upload: Upload) -> None:
        """Insert or replace an upload that has an address."""

    async def drop_upload(self, upload_id: str) -> None:
        """Forget it, if it is there."""

    async def put_manifest(self, transfer_id: str, manifest: Manifest) -> None:
        """Insert or replace what a manifest says, by transfer and path."""

    async def drop_manifest(self, transfer_id: str, path: str) -> None:
        """Forget what a manifest says, if it is there."""

    async def put_connection(self, transfer_id: str, connection: str, lost_at: datetime | None) -> None:
        """Note that a connection writes into a transfer, or when it broke off."""

    async def drop_connection(self, transfer_id: str, connection: str) -> None:
        """A connection ended in order, if it was noted."""

    async def next_file_number(self, transfer_id: str) -> int:
        """A number no file of this transfer had before."""

    async def next_file_numbers(self, transfer_id: str, count: int) -> int:
        """The first of so many numbers in a row that no file of this transfer had before."""

    async def put_mark(self, mark: Mark, content: bytes = b"") -> None:
        """Insert or replace a mark by transfer and path."""

    async def drop_mark(self, transfer_id: str, path: str) -> None:
        """Forget a mark, if it is there."""

    async def put_lock(self, lock: EditLock) -> None:
        """Insert or replace a lock by token."""

    async def drop_lock(self, token: str) -> None:
        """Forget a lock, if it is there."""

    async def put_vote(self, transfer_id: str, vote: Vote, at: datetime) -> None:
        """Add a vote."""

    async def put_passage(self, passed: Passed) -> None:
        """Insert or replace a passage by transfer."""

    async def put_persons(self, counted: PersonSet) -> None:
        """Count persons for a transfer, once."""

    async def put_filing_use(self, use: FilingUse) -> None:
        """Note that a cleared transfer went under a filing; `drop_persons` takes it back."""

    async def drop_persons(self, transfer_id: str) -> bool:
        """Uncount a transfer's persons and its uses of filings, and forget the unions they were in; whether there were any."""

    async def put_union(self, union: PersonUnion, shards: Mapping[str, Mapping[int, bytes]]) -> None:
        """Insert or replace an entity's union, and by kind those of its shards that changed."""

    async def drop_union(self, entity: str, year: int, track: str) -> None:
        """Forget an entity's union with all of its shards, if it is there."""

    async def put_samples(
        self, transfer_id: str, project: str, endpoint: str, samples: bytes, sequenced: bytes
    ) -> None:
        """Count a cleared transfer's samples that have a name; `drop_persons` takes them back."""

    async def put_hgr(self, transfer_id: str, project: str, endpoint: str, subjects: int, sequencing: int) -> None:
        """Count a cleared transfer's individual-level subjects; `drop_persons` takes them back."""

    async def put_change(self, change: StoredChange) -> None:
        """Insert or replace a registry change."""

    async def put_checkpoint(self, size: int, note: bytes) -> None:
        """Keep a signed checkpoint."""

    async def claim(
        self, states: Sequence[State], worker: str, now: datetime, until: datetime, limit: int
    ) -> Sequence[str]:
        """Lease transfers in these states whose `next_at` has come (None never comes) and that nobody leases; their ids."""

    async def extend(self, transfer_id: str, worker: str, until: datetime) -> None:
        """Keep a lease this worker has."""

    async def wake(self, states: Sequence[State], now: datetime) -> None:
        """Set `next_at` to now for every transfer in these states: something they wait for may have changed."""

    async def release(self, transfer_id: str, worker: str) -> None:
        """Give a lease back."""

    async def spend_token_id(self, client: str, token_id: str, expires: datetime) -> bool:
        """Remember an assertion's `jti` until it expires; False where it was spent before (RFC 7523 section 3)."""

    async def revoke(self, client: str, token_id: str, at: datetime) -> None:
        """Revoke a client's token, or with an empty id the client for ever; its tokens revoked a day before are forgotten."""

    async def put_ban(self, ban: Ban) -> None:
        """Ban an address, or replace its ban; bans that had ended when this one begins are forgotten."""

    async def drop_ban(self, remote: str) -> bool:
        """Lift a ban; whether there was one, ended or not."""

    async def put_outbox(self, outbox: Outbox) -> None:
        """Insert or replace what is known of a webhook."""

    async def drop_outbox(self, webhook: str) -> None:
        """Forget a webhook, if it is there."""

    async def claim_outbox(self, webhook: str, worker: str, now: datetime, until: datetime) -> Outbox | None:
        """Lease a webhook's outbox that is due and neither parked nor leased; None otherwise."""

    async def keep_outbox(self, outbox: Outbox, worker: str) -> bool:
        """Replace an outbox this worker leases; False, and nothing kept, where it does not any more."""


class Records(Protocol):
    """The database behind everything; one truth for all processes."""

    def read(self) -> AbstractAsyncContextManager[Reading]:
        """A view; raises StoreError where the database cannot be reached."""

    def write(self) -> AbstractAsyncContextManager[Writing]:
        """A transaction that commits at the end of the block and rolls back on any exception."""

    async def close(self) -> None:
        """Let go of connections."""


# --- keys ------------------------------------------------------------------------------------------------------------


class Keyring(Protocol):
    """Secrets that can be destroyed, in a store of their own, each wrapped under the month's key-encryption key."""

    async def put(self, transfer_id: str, name: str, secret: bytes) -> None:
        """Keep a secret under a transfer; durable on return. Replaces one of the same name."""

    async def get(self, transfer_id: str, name: str) -> bytes:
        """A secret; raises StoreError with code `key-destroyed` where it is gone."""

    async def get_all(self, transfer_id: str, prefix: str = "") -> Mapping[str, bytes]:
        """By name, what is left of a transfer's secrets whose names begin so: one look for a file list of any length."""

    async def copy(self, transfer_id: str, to: str, names: Mapping[str, str]) -> None:
        """Keep a transfer's secrets (old name to new) under another as well; all of them, or none.

        Raises StoreError with code `key-destroyed` where one is gone.
        """

    async def drop(self, transfer_id: str, name: str) -> None:
        """Destroy one secret, if it is there."""

    async def destroy(self, transfer_id: str, prefix: str = "") -> int:
        """Destroy a transfer's secrets whose names begin so; returns how many there were."""

    async def year_key(self, year: int) -> bytes:
        """The key persons are digested under in a calendar year, 32 bytes, made on first use; year 0 is that of all time."""


class HeaderOpener(Protocol):
    """The private half of the vault key: held by inspecting and sealing, never by a door."""

    def open(self, header: bytes) -> Sequence[bytes]:
        """The session keys in a Crypt4GH header sealed to the vault; raises BrokenPromise where it does not open."""


class Classifying(Protocol):
    """Classifies one file as it streams (`gateway.core.classify`). Blocking; for one thread at a time."""

    def feed(self, chunk: bytes | bytearray | memoryview) -> None:
        """Take the next bytes; they may be overwritten when this returns.

        Raises:
            StoreError: It cannot go on: the file has to be sent again.
        """

    def close(self) -> FileFindings:
        """Findings of the whole file; once, after the last byte.

        Raises:
            StoreError: As `feed`.
        """


class Inspecting(Protocol):
    """Files of one transfer under inspection. Blocking, one file at a time."""

    def inspect(self, path: str, parts: Sequence[tuple[BinaryIO, int]], keys: Sequence[bytes]) -> FileFindings:
        """What is in a sealed file, read whole; what cannot be read is said in the findings.

        Args:
            path: Within the dataset.
            parts: Open parts in the vault and how many bytes of each count, in order.
            keys: Session keys they were sealed under.

        Raises:
            BrokenPromise: The parts do not open: the vault was altered.
            StoreError: Nothing can be inspected on this machine now.
        """

    def stop(self) -> None:
        """Give the file at hand up, from another thread: `inspect` comes back soon."""


class Inspection(Protocol):
    """Reads formats that need seeking or decompression, apart from this process (`gateway.inspect`)."""

    def reads(self, format_name: str) -> bool:
        """Whether there is an inspector for a format."""

    def open(self) -> AbstractContextManager[Inspecting]:
        """Begin with a transfer."""


@dataclass(frozen=True)
class Scanned:
    """What a malware scanner said of a file.

    Attributes:
        verdict: `clean` only where it said so; `unscanned` for an error, a limit or silence.
        told: Name of what was found, or why it was not scanned, or how; no content.
    """

    verdict: Literal["clean", "found", "unscanned"]
    told: str = ""


class Scanner(Protocol):
    """A malware scanner."""

    def scan(self, pieces: Iterable[bytes]) -> Scanned:
        """Scan a file given as consecutive pieces. Blocking. Never raises for what the scanner does or leaves undone."""


class Signer(Protocol):
    """The gateway's signing key for clearances, manifests and receipts."""

    public_line: str

    def sign(self, namespace: str, message: bytes) -> bytes:
        """An armored SSHSIG."""


class LedgerSigner(Protocol):
    """The ledger's key for checkpoints."""

    origin: str
    verifier_key: str

    def sign_checkpoint(self, size: int, root: bytes) -> bytes:
        """A signed note over the checkpoint (C2SP)."""


class Rulebooks(Protocol):
    """Rule packs at hand, by digest."""

    def rulebook(self, digest: str) -> Rulebook:
        """The pack; raises StoreError where it is not installed."""


class Connectors(Protocol):
    """Endpoint kinds that are installed."""

    def make(self, endpoint: Endpoint) -> Connector:
        """The connector of an endpoint; raises EndpointError (`retry=False`) where its kind or settings are unknown."""


# --- the way to Hong Kong --------------------------------------------------------------------------------------------


class Channel(Protocol):
    """The only way out: binds the configured source address and refuses what lies outside an endpoint's pinned ranges.

    Blocking by contract: connectors call it from worker threads.
    """

    def connect(self, host: str, port: int, *, ranges: Sequence[str], timeout: float) -> socket.socket:
        """A connected TCP socket.

        Args:
            host: Name or literal address of the endpoint.
            port: TCP port.
            ranges: CIDR blocks the resolved address must lie in; empty refuses everything.
            timeout: Seconds for the connection attempt, kept as the socket's timeout.

        Raises:
            EndpointError: `retry=False` where no resolved address lies in the ranges, else `retry=True`.
        """


@dataclass(frozen=True)
class Parcel:
    """One sealed file as a connector sees it.

    Attributes:
        name: Canonical relative path at the endpoint, already ending in `.c4gh`; no `..`, no leading slash.
        size: Ciphertext bytes, Crypt4GH header included.
        blake3: BLAKE3-256 of the body (header excluded, it differs by recipient).
        header_size: Bytes of the header, so a connector may check the body it stored.
    """

    name: str
    size: int
    blake3: bytes
    header_size: int


class ParcelSource(Protocol):
    """Where a connector reads a parcel's bytes; may be opened again for a resume."""

    def open(self, parcel: Parcel, *, offset: int = 0) -> BinaryIO:
        """The sealed file (header, then body) from `offset` on. Blocking; the caller closes it."""


@dataclass(frozen=True)
class Consignment:
    """A sealed dataset version on its way.

    Attributes:
        transfer_id: The transfer it belongs to.
        folder: `<institution>/<project>/<dataset>/v<n>` below the endpoint's base.
        parcels: Sealed files; order is the manifest's.
        manifest: Canonical JSON bytes; published last as `manifest.json`.
        signature: Its detached signature; published with it as `manifest.json.sig`.
    """

    transfer_id: str
    folder: str
    parcels: tuple[Parcel, ...]
    manifest: bytes
    signature: bytes


@dataclass(frozen=True)
class Delivery:
    """What a connector can say about what arrived.

    Attributes:
        proof: The strongest proof this endpoint can give: `size`, `readback` (digest of what is stored), `checksum`
            (the server computed it), `etag`, `signed` (the endpoint signed).
        detail: Proof by parcel name, for the receipt; no secrets.
        sent: Bytes that crossed the channel in this attempt.
    """

    proof: str
    detail: Mapping[str, str]
    sent: int


class Connector(Protocol):
    """An endpoint kind, found by the entry-point group `hetao.connectors`.

    Constructed as `Kind(settings, channel)`: `settings` is the endpoint's own table from the registry (strings,
    integers, lists of strings) and is validated at once, with Unusable naming the key.
    Delivering again after a crash at any point ends in the same tree and never doubles a file.
    """

    kind: str

    def deliver(self, consignment: Consignment, source: ParcelSource) -> Delivery:
        """Bring every parcel, then manifest and signature, each under a temporary name that is renamed when whole.

        Blocking; runs in a worker thread.

        Raises:
            EndpointError: With `retry` telling whether another attempt can help.
        """

    def probe(self) -> str:
        """One line on reachability for `hetao doctor`; raises EndpointError where it cannot be reached."""


@runtime_checkable
class CanResume(Protocol):
    """A connector that continues a half-sent parcel instead of starting it again."""

    resumes: bool


# --- webhooks --------------------------------------------------------------------------------------------------------


class Courier(Protocol):
    """Brings events to institutions' own systems. Blocking by contract; bounded in time and in what it reads."""

    def post(self, webhook: Webhook, body: bytes, fields: Mapping[str, str]) -> int:
        """POST a body with these header fields to the webhook's URL; returns the status of the answer.

        Raises:
            EndpointError: No resolved address lies in its ranges, its certificate is not trusted, nobody answers in time.
        """


class EventSigner(Protocol):
    """The key events are signed with; its public half is in the gateway's JWK set."""

    def sign_detached(self, payload: bytes) -> str:
        """A compact JWS over the payload, without the payload (RFC 7515 appendix F)."""


# --- telemetry -------------------------------------------------------------------------------------------------------


class Observer(Protocol):
    """Where stages tell what they did; the only way from flow to logs and metrics.

    Events are `stage.past_tense`; fields hold ids, counts, sizes and reasons, never file names or content.
    """

    def saw(self, event: str, **fields: str | float | bool | None) -> None:
        """Record that something happened."""
