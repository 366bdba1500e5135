"""Lineage: what came in from abroad, and whether what goes back is about the same people (Order 16 art 4).

What it is not: the comparison (`core.lineage`) or the verdict (`flow.decide`).

The rules:
1. Who came in is kept on a track of its own, under a key that holds over the years and is one family's of projects: it adds to
   no count of any law. The clearance that lets it in commits to these people, and is asked before they are compared with.
2. Only what was brought to the sender itself, under a project of the same family, and arrived, may be named.
3. What a sender names is looked up when it is said, so that it can mend it, and again when it is decided.

When a step fails: what was named is not there any more, or cannot be held against the ledger: the claim counts as not true
(`lost`); rows that are not what was recorded: BrokenPromise, nothing is decided on them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from gateway.core.errors import BrokenPromise, StoreError, Unusable
from gateway.core.lineage import LOST, UNNAMED, UNPROVEN, Lineage, People, compare
from gateway.core.persons import lineage_key, merge, pack, unpack
from gateway.core.records import INBOUND, Endpoint, Project
from gateway.core.registry import Registry
from gateway.core.transfer import State, Transfer
from gateway.flow import census
from gateway.flow.recall import check_transfer, cleared_persons
from gateway.flow.recorder import ALL_TIME, Recorder
from gateway.ports import PersonSet, Reading, StoredFile, Writing

ARRIVED: Final = frozenset({State.DELIVERED, State.RECEIPTED})


@dataclass(frozen=True)
class _Source:
    """An inbound transfer that was named, and who came in under it."""

    transfer: Transfer
    people: PersonSet


async def family_key_of(recorder: Recorder, registry: Registry, project: str) -> bytes:
    """The key under which people of a project's family are compared; empty where it belongs to none."""
    family = _family(registry, project)
    return lineage_key(await recorder.year_key(ALL_TIME), family) if family else b""


async def let_in(tx: Writing, transfer: Transfer, files: Sequence[StoredFile]) -> dict[str, Any]:
    """Keep who comes in under a cleared inbound transfer; returns what its clearance commits to."""
    digests = await asyncio.to_thread(_everybody, files)
    rows = sum(_rows(stored) for stored in files)
    people = PersonSet(transfer.id, transfer.institution, ALL_TIME, census.INBOUND, b"", digests, 0, rows)
    await tx.put_persons(people)
    return {"track": census.INBOUND, "sensitive": 0, "nonsensitive": len(digests) // 8 + rows, **_committed(people)}


async def check_named(view: Reading, registry: Registry, transfer: Transfer, declared: Mapping[str, Any]) -> None:
    """Refuse a lineage that names what is no inbound transfer of the sender's; nobody learns whether it is somebody else's.

    Raises:
        Unusable: Naming the first that cannot be used.
    """
    for named in declared.get("lineage", ()):
        if await _source(view, registry, transfer, named) is None:
            raise Unusable(
                f"lineage names {named}, which is no inbound transfer that was delivered to this institution under a "
                "project of the same family: name those that the data derive from",
                code="bad-declaration",
            )


async def look_into(
    view: Reading,
    recorder: Recorder,
    registry: Registry,
    transfer: Transfer,
    files: Sequence[StoredFile],
) -> Lineage | None:
    """What is known of a claim that a transfer's data came from abroad; None where nobody claims it."""
    named = tuple(transfer.declaration.get("lineage", ()))
    claimed = transfer.declaration.get("exemption", {}).get("claimed", "") == "art4"
    if not named and not claimed:
        return None
    if not named:  # where projects of both sides are registered as one family, who claims must say from what
        return Lineage(UNNAMED if _family(registry, transfer.project) else UNPROVEN)
    sources = [await _source(view, registry, transfer, each) for each in named]
    found = [each for each in sources if each is not None and await _holds(view, recorder, each)]
    if len(found) < len(named):
        return Lineage(LOST, transfers=named)
    return await asyncio.to_thread(_compared, found, files, transfer, named)


async def _source(view: Reading, registry: Registry, transfer: Transfer, named: str) -> _Source | None:
    source, people = await view.transfer(named), await view.person_set(named)
    if source is None or people is None or source.direction != INBOUND or source.state not in ARRIVED:
        return None
    endpoint, family = registry.find(Endpoint, source.endpoint), _family(registry, source.project)
    ours = endpoint is not None and endpoint.institution == transfer.institution
    same = family and family == _family(registry, transfer.project)
    inbound = (people.track, people.year) == (census.INBOUND, ALL_TIME)
    return _Source(source, people) if ours and same and inbound else None


async def _holds(view: Reading, recorder: Recorder, source: _Source) -> bool:
    """Whether the ledger can still say who came in; raises BrokenPromise where it says somebody else did."""
    try:
        key = await recorder.evidence_key(source.transfer.id)
    except StoreError as gone:
        if gone.retry:
            raise
        return False  # destroyed at the end of retention
    await check_transfer(view, source.transfer, key)
    said = await cleared_persons(view, source.transfer.id, key)
    if {name: said.get(name) for name in ("digests", "by_number")} != _committed(source.people):
        raise BrokenPromise(
            f"who came in under {source.transfer.id} is not what its clearance committed to: it was altered; open an incident"
        )
    return True


def _family(registry: Registry, project: str) -> str:
    found = registry.find(Project, project)
    return found.family if found else ""


def _committed(people: PersonSet) -> dict[str, Any]:
    return {"digests": sha256(people.nonsensitive).hexdigest(), "by_number": people.unkeyed_nonsensitive}


# --- in a thread ---------------------------------------------------------------------------------------------------------


def _everybody(files: Sequence[StoredFile]) -> bytes:
    return pack(merge(*(unpack(stored.persons_lasting) for stored in files)))


def _rows(stored: StoredFile) -> int:
    """People of a file known by number, at most; files of before this was kept tell it by kind of data."""
    facts = stored.facts
    return int(facts.get("rows", facts["rows_sensitive"] + facts["rows_nonsensitive"]))


def _compared(
    sources: Sequence[_Source], files: Sequence[StoredFile], transfer: Transfer, named: tuple[str, ...]
) -> Lineage:
    came_in = People(
        merge(*(unpack(each.people.nonsensitive) for each in sources)),
        sum(each.people.unkeyed_nonsensitive for each in sources),
    )
    leaving = unpack(_everybody(files))
    declared: Mapping[str, int] = transfer.declaration.get("persons", {})
    beyond = max(declared.get("sensitive", 0), declared.get("nonsensitive", 0)) - int(leaving.size)
    by_number = max(sum(_rows(stored) + _unkept(stored) for stored in files), beyond)
    read = all(stored.facts["inspectable"] for stored in files)
    return compare(came_in, People(leaving, max(by_number, 0), read), named)


def _unkept(stored: StoredFile) -> int:
    """People identified in a file that was received before its project had a family: they are a number here."""
    return 0 if stored.persons_lasting else (len(stored.persons_sensitive) + len(stored.persons_nonsensitive)) // 8
