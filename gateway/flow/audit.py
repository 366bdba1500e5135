"""Audit: does the database say what the ledger says, and does the ledger agree with itself?

Checked, each finding told with its entry (an empty list means that all of it holds):
1. Entries are contiguous, canonical, and hash to the tree's leaves; the tree's root is recomputed from them.
2. The newest checkpoint, and the one kept in the keyring, verify under the ledger's key and have the root of their first
   `size` entries.
3. Every transfer's entries are a path through the lifecycle, and end in the state its row shows.
4. The registry folds from the genesis with every signature.
5. The openings that still can be opened belong to their entries.
6. The persons counted for a cleared transfer are as many as its clearance committed to, and each entity's union of a year
   is what its sets make.
7. What went through a channel, was drawn and was looked into is kept as the ledger says, nothing missing and nothing added.
8. The filings a clearance went under are those it says, and each filing's union of a year is what its sets make.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidTag

from gateway.core.documents import parse_document
from gateway.core.errors import Conflict, GatewayError, StoreError, Unusable
from gateway.core.facts import Tag, local_day, opens
from gateway.core.persons import SHARD_BITS
from gateway.core.transfer import State, advance
from gateway.flow import usage
from gateway.flow.census import GBA, INBOUND, KINDS, NATIONAL, rebuilt
from gateway.flow.recorder import ALL_TIME, EVIDENCE, open_opening
from gateway.flow.registrar import Registrar
from gateway.flow.tree import high_water
from gateway.flow.usage import EVERYBODY, UNDER_FILINGS
from gateway.ports import Keyring, LedgerSigner, PersonSet, Reading, Records
from gateway.wire import Malformed, checkpoint, merkle

PAGE = 2000


@dataclass(frozen=True)
class _Passed:
    """A passage as the ledger tells it."""

    channel: str
    sampled: str
    finding: str


@dataclass(frozen=True)
class _Counted:
    """What a clearance committed to, in its year; None where it cannot be opened any more."""

    year: int
    persons: Mapping[str, Any] | None
    filings: frozenset[str] | None  # None where an older version cleared it and did not say


@dataclass(frozen=True)
class Audited:
    """What an audit found."""

    entries: int
    transfers: int
    openings: int
    root: str
    checkpoint_size: int
    problems: tuple[str, ...]


class Audit:
    """Verifies the ledger in place."""

    def __init__(self, *, records: Records, registrar: Registrar, keyring: Keyring, ledger: LedgerSigner) -> None:
        self._records = records
        self._registrar = registrar
        self._keyring = keyring
        self._key = checkpoint.parse_verifier_key(ledger.verifier_key)

    async def verify(self) -> Audited:
        """All seven checks."""
        problems: list[str] = []
        states: dict[str, State] = {}
        leaves: list[bytes] = []
        opened = 0
        counted: dict[str, _Counted] = {}
        passed: dict[str, _Passed] = {}
        async with self._records.read() as view:
            size = await view.tree_size()
            for start in range(0, size, PAGE):
                for index, body in await view.entries(start, min(PAGE, size - start)):
                    entry = await self._entry(view, index, body, len(leaves), problems)  # step 1
                    leaves.append(merkle.leaf_hash(body))
                    if entry is None:
                        continue
                    _follow(states, index, entry, problems)  # step 3
                    opening = await self._opening(view, index, body, entry, problems)  # step 5
                    opened += opening is not None
                    _count(counted, entry, opening)
                    _pass(passed, entry)
            root = merkle.root(leaves)
            signed = await self._checkpoint(view, leaves, problems)  # step 2
            await _compare_states(view, states, problems)
            await self._registry(view, problems)  # step 4
            await _compare_persons(view, counted, problems)  # step 6
            await _compare_filings(view, counted, problems)  # step 8
            await _compare_inbound(view, counted, problems)
            await _compare_passages(view, passed, problems)  # step 7
        if len(leaves) != size:
            problems.append(f"the ledger says it has {size} entries and {len(leaves)} are there")
        return Audited(len(leaves), len(states), opened, root.hex(), signed, tuple(problems))

    async def _entry(
        self, view: Reading, index: int, body: bytes, expected: int, problems: list[str]
    ) -> Mapping[str, Any] | None:
        if index != expected:
            problems.append(f"entry {expected} is missing")
        if await view.tree_node(0, index) != merkle.leaf_hash(body):
            problems.append(f"entry {index} is not what the tree hashed: it was altered")
        try:
            entry = parse_document(body, max_size=1 << 24, max_depth=16)
        except Unusable as wrong:
            problems.append(f"entry {index} cannot be read: {wrong}")
            return None
        return entry

    async def _checkpoint(self, view: Reading, leaves: list[bytes], problems: list[str]) -> int:
        newest = self._check_note(await view.latest_checkpoint(), leaves, problems)
        return max(newest, self._check_note(await high_water(self._keyring), leaves, problems))

    def _check_note(self, signed: bytes | None, leaves: list[bytes], problems: list[str]) -> int:
        """Hold the entries against a checkpoint; returns its size."""
        if signed is None:
            return 0
        try:
            note = checkpoint.parse_note(signed)
            checkpoint.verify(note, [self._key])
            head = checkpoint.parse_checkpoint(note.text)
        except Malformed as wrong:
            problems.append(f"the newest checkpoint does not hold: {wrong}")
            return 0
        if head.size > len(leaves) or merkle.root(leaves[: head.size]) != head.root:
            problems.append(f"the checkpoint over {head.size} entries does not fit the entries: history was rewritten")
        return head.size

    async def _opening(
        self, view: Reading, index: int, body: bytes, entry: Mapping[str, Any], problems: list[str]
    ) -> Mapping[str, Any] | None:
        sealed = await view.opening(index)
        if not sealed:
            if "commitment" in entry:
                problems.append(f"entry {index} has a commitment and no opening")
            return None
        try:
            key = await self._keyring.get(entry["subject"], EVIDENCE)
        except StoreError:
            return None  # destroyed at the end of retention: the commitment stands without it
        try:
            opening = parse_document(open_opening(key, sealed, body), max_size=1 << 24, max_depth=16)
        except (InvalidTag, Unusable):
            problems.append(f"the opening of entry {index} does not belong to it")
            return None
        if not opens(entry, opening):
            problems.append(f"the opening of entry {index} is not what was committed to")
            return None
        return opening

    async def _registry(self, view: Reading, problems: list[str]) -> None:
        try:
            await self._registrar.fold(view, thorough=True)
        except GatewayError as wrong:
            problems.append(f"the registry does not fold: {wrong.message}")


def _follow(states: dict[str, State], index: int, entry: Mapping[str, Any], problems: list[str]) -> None:
    tag = entry["tag"]
    if not tag.startswith("transfer."):
        return
    subject = entry["subject"]
    if tag == Tag.OPENED.value:
        if subject in states:
            problems.append(f"entry {index} opens {subject} a second time")
        states[subject] = State.OPEN
        return
    try:
        states[subject] = advance(states[subject], Tag(tag))
    except (KeyError, Conflict, ValueError):
        problems.append(f"entry {index} ({tag}) does not follow from the entries before it")


def _count(counted: dict[str, _Counted], entry: Mapping[str, Any], opening: Mapping[str, Any] | None) -> None:
    """Follow who is counted for which transfer."""
    tag, subject = entry["tag"], entry["subject"]
    if tag == Tag.PERSONS_RETURNED.value:
        counted.pop(subject, None)
    elif tag == Tag.CLEARED.value:
        persons = opening["private"]["persons"] if opening else None
        year = local_day(datetime.fromisoformat(entry["at"])).year
        told = entry["body"].get("filings")
        counted[subject] = _Counted(year, persons, None if told is None else frozenset(told))


def _pass(passed: dict[str, _Passed], entry: Mapping[str, Any]) -> None:
    """Follow what went through which channel, and what came of the looks into it."""
    tag, subject, body = entry["tag"], entry["subject"], entry["body"]
    if tag == Tag.CLEARED.value and body.get("channel"):  # entries of before there were channels name none
        passed[subject] = _Passed(body["channel"], "", "")
    elif tag == Tag.SAMPLED.value and subject in passed:
        passed[subject] = replace(passed[subject], sampled=body["because"])
    elif tag == Tag.SPOT_CHECKED.value and subject in passed:
        passed[subject] = replace(passed[subject], finding=body["finding"])


async def _compare_passages(view: Reading, passed: Mapping[str, _Passed], problems: list[str]) -> None:
    rows = {each.transfer_id: _Passed(each.channel, each.sampled, each.finding) for each in await view.passages()}
    problems += [
        f"what is kept of {transfer_id}'s way through a channel is not what the ledger says"
        for transfer_id in sorted({*rows, *passed})
        if rows.get(transfer_id) != passed.get(transfer_id)
    ]


async def _compare_persons(view: Reading, counted: Mapping[str, _Counted], problems: list[str]) -> None:
    for year in sorted({each.year for each in counted.values()}):
        for track in (NATIONAL, GBA):
            sets = {each.transfer_id: each for each in await view.person_sets("", year, track)}
            for transfer_id, each in counted.items():
                if each.year == year and each.persons and each.persons["track"] == track:
                    _compare_set(transfer_id, each.persons, sets.get(transfer_id), problems)
            unsaid = sorted(set(sets) - set(counted))
            problems += [f"persons are counted for {each}, which the ledger does not say" for each in unsaid]
            for entity, union in (await view.person_unions(year, track)).items():
                made, shards = await rebuilt(view, entity, year, track)
                kept = {
                    kind: dict(await view.person_shards(entity, year, track, kind, range(1 << SHARD_BITS)))
                    for kind in KINDS
                }
                if (made, shards) != (union, kept):
                    problems.append(f"the union of {entity}'s persons of {year} is not what its sets make")


async def _compare_filings(view: Reading, counted: Mapping[str, _Counted], problems: list[str]) -> None:
    kept: dict[str, set[str]] = {}
    years: dict[str, set[int]] = {}
    for use in await view.filing_uses(""):
        kept.setdefault(use.transfer_id, set()).add(use.filing)
        years.setdefault(use.filing, set()).add(use.year)
    for transfer_id, each in counted.items():
        if each.filings is not None and kept.get(transfer_id, set()) != each.filings:
            problems.append(f"the filings {transfer_id} went under are not those its clearance says")
    unsaid = sorted(set(kept) - set(counted))
    problems += [f"{each} went under a filing, which the ledger does not say" for each in unsaid]
    for filing, year in sorted((filing, year) for filing, known in years.items() for year in known):
        union = (await view.person_unions(year, UNDER_FILINGS)).get(filing)
        if union is None:
            continue  # made when it is next asked for
        made, shards = await usage.rebuilt(view, filing, year)
        found = dict(await view.person_shards(filing, year, UNDER_FILINGS, EVERYBODY, range(1 << SHARD_BITS)))
        if (made, shards) != (union, found):
            problems.append(f"the union of the persons of {year} under filing {filing} is not what its sets make")


async def _compare_inbound(view: Reading, counted: Mapping[str, _Counted], problems: list[str]) -> None:
    """Who came in is of no year, and has no union."""
    sets = {each.transfer_id: each for each in await view.person_sets("", ALL_TIME, INBOUND)}
    for transfer_id, each in counted.items():
        if each.persons and each.persons["track"] == INBOUND:
            found = sets.get(transfer_id)
            _compare_set(transfer_id, each.persons, found, problems)
            if found and sha256(found.nonsensitive).hexdigest() != each.persons["digests"]:
                problems.append(f"who came in under {transfer_id} is not what its clearance committed to")
    problems += [
        f"{each} is said to have come in, which the ledger does not say" for each in sorted(set(sets) - set(counted))
    ]


def _compare_set(transfer_id: str, said: Mapping[str, Any], found: PersonSet | None, problems: list[str]) -> None:
    if not said["sensitive"] + said["nonsensitive"] and found is None:
        return  # data about nobody
    kept = found and {
        "sensitive": len(found.sensitive) // 8 + found.unkeyed_sensitive,
        "nonsensitive": len(found.nonsensitive) // 8 + found.unkeyed_nonsensitive,
    }
    if kept != {"sensitive": said["sensitive"], "nonsensitive": said["nonsensitive"]}:
        problems.append(f"the persons counted for {transfer_id} are not those its clearance committed to")


async def _compare_states(view: Reading, states: Mapping[str, State], problems: list[str]) -> None:
    for transfer_id, state in states.items():
        row = await view.transfer(transfer_id)
        if row is None:
            problems.append(f"transfer {transfer_id} is in the ledger and not in the database")
        elif row.state is not state:
            problems.append(f"transfer {transfer_id} is {row.state} in the database and {state} in the ledger")
    counted = sum(count for count, _ in (await view.state_counts()).values())
    if counted != len(states):
        problems.append(f"the database has {counted} transfers and the ledger {len(states)}")
