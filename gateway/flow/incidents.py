"""Incidents: opened by people or by what the gateway met, described, told of, closed; every step a fact of the ledger.

What it is not: a sender of reports. It says who must be told by when, drafts what to tell, and records that it was told.

The rules:
1. An incident's facts are under a key of its own; the list of incidents (`incidents` in the ledger) names nothing but ids and
   a reason word.
2. Facts only add: a description replaces the one before it, and both stand in the ledger.
3. A refusal for a secrecy mark opens one by itself, in the transaction of the refusal (design.md section 7).

When a step fails: no such incident -> NotFound; closed already -> Conflict; the database away -> StoreError, nothing recorded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from gateway.core.documents import parse_document
from gateway.core.errors import BrokenPromise, Conflict, NotFound, Unusable
from gateway.core.facts import Fact, Tag, timestamp
from gateway.core.incident import WORDS, Incident
from gateway.flow.recorder import Ledgering, Recorder, open_opening
from gateway.ports import Reading

LIST: Final = "incidents"
OPERATOR: Final = "operator"
_WORDS: Final = 10_000  # characters of a description
_TRANSFERS: Final = 1_000


@dataclass(frozen=True)
class Recorded:
    """An incident as its facts tell it.

    Attributes:
        id: `incident-...`.
        because: `person`, or what the gateway met, such as `secrecy-mark`.
        opened_at: When it was opened.
        incident: What is known.
        transfers: Ids of the transfers concerned.
        words: The newest description.
        told: When each duty was recorded as done, by its id, with a reference.
        closed_at: None while it is open.
    """

    id: str
    because: str
    opened_at: datetime
    incident: Incident
    transfers: tuple[str, ...] = ()
    words: str = ""
    told: Mapping[str, tuple[datetime, str]] = field(default_factory=dict)
    closed_at: datetime | None = None


class Incidents:
    """The officers' verbs, and the gateway's own.

    Args:
        recorder: The only writer.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    async def open(
        self,
        incident: Incident,
        *,
        transfers: Sequence[str] = (),
        words: str = "",
        actor: str = OPERATOR,
    ) -> str:
        """Open an incident; returns its id."""
        key = await prepared(self._recorder)
        described = description(incident, transfers, words)
        await self._recorder.do(lambda ledger: opened(ledger, key, described, actor=actor, because="person"))
        return key

    async def describe(
        self, incident_id: str, incident: Incident, *, transfers: Sequence[str], words: str, actor: str = OPERATOR
    ) -> None:
        """Replace what is known."""
        described = description(incident, transfers, words)
        await self._add(incident_id, Tag.INCIDENT_DESCRIBED, actor, private=described)

    async def told(self, incident_id: str, duty: str, reference: str, *, actor: str = OPERATOR) -> None:
        """Record that a duty was done; `reference` is the authority's receipt number or the like."""
        await self._add(
            incident_id, Tag.INCIDENT_TOLD, actor, public={"duty": duty}, private={"reference": reference[:500]}
        )

    async def close(self, incident_id: str, reason: str, *, actor: str = OPERATOR) -> None:
        """End it."""
        if not reason.strip():
            raise Unusable("closing an incident needs a reason")
        await self._add(incident_id, Tag.INCIDENT_CLOSED, actor, private={"reason": reason[:_WORDS]})

    async def list(self) -> list[Recorded]:
        """All incidents, oldest first."""
        async with self._recorder.records.read() as view:
            listed = [parse_document(body) for _, body in await view.entries_of(LIST)]
            return [await self._read(view, entry["body"]["incident"], entry) for entry in listed]

    async def show(self, incident_id: str) -> Recorded:
        """One incident."""
        found = next((each for each in await self.list() if each.id == incident_id), None)
        if found is None:
            raise NotFound(
                f"there is no incident {incident_id}; `hetao incident list` shows them", code="no-such-incident"
            )
        return found

    async def _add(
        self,
        incident_id: str,
        tag: Tag,
        actor: str,
        *,
        public: Mapping[str, Any] | None = None,
        private: Mapping[str, Any],
    ) -> None:
        known = await self.show(incident_id)
        if known.closed_at is not None:
            raise Conflict("the incident is closed: open another one", code="incident-closed")

        async def job(ledger: Ledgering) -> None:
            await ledger.enter(Fact(tag, incident_id, ledger.now, actor, public or {}, private))

        await self._recorder.do(job)

    async def _read(self, view: Reading, incident_id: str, entry: Mapping[str, Any]) -> Recorded:
        key = await self._recorder.evidence_key(incident_id)
        found = Recorded(
            incident_id,
            entry["body"]["because"],
            _time(entry["at"]),
            Incident(_time(entry["at"]), None, None, frozenset()),
        )
        for index, body in await view.entries_of(incident_id):
            sealed = await view.opening(index)
            if sealed is None:
                raise BrokenPromise(f"entry {index} of {incident_id} has lost its opening: the database was altered")
            private = json.loads(open_opening(key, sealed, body))["private"]
            found = _after(found, parse_document(body), private)
        return found


def _after(known: Recorded, entry: Mapping[str, Any], private: Mapping[str, Any]) -> Recorded:
    tag, at = Tag(entry["tag"]), _time(entry["at"])
    if tag is Tag.INCIDENT_DESCRIBED:
        facts = private["facts"]
        ended = facts["ended_at"]
        incident = Incident(
            _time(facts["discovered_at"]), _time(ended) if ended else None, facts["persons"], frozenset(facts["true"])
        )
        return _replaced(known, incident=incident, transfers=tuple(private["transfers"]), words=private["words"])
    if tag is Tag.INCIDENT_TOLD:
        return _replaced(known, told={**known.told, entry["body"]["duty"]: (at, private["reference"])})
    return _replaced(known, closed_at=at)


def _replaced(known: Recorded, **changes: Any) -> Recorded:
    return Recorded(**{**vars(known), **changes})


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def prepared(recorder: Recorder) -> str:
    """A new incident's id, whose key is durable: before the transaction that opens it."""
    incident_id = f"incident-{recorder.entropy.token(8).hex()}"
    await recorder.make_evidence_key(incident_id)
    return incident_id


async def opened(
    ledger: Ledgering, incident_id: str, described: Mapping[str, Any], *, actor: str, because: str
) -> None:
    """Record an opened incident inside a transaction."""
    public = {"incident": incident_id, "because": because}
    await ledger.enter(Fact(Tag.INCIDENT_OPENED, LIST, ledger.now, actor, public))
    await ledger.enter(Fact(Tag.INCIDENT_DESCRIBED, incident_id, ledger.now, actor, {}, described))


def description(incident: Incident, transfers: Sequence[str], words: str) -> dict[str, Any]:
    """What a description records.

    Raises:
        Unusable: Unknown words, or too much of anything.
    """
    unknown = sorted(incident.true - {*WORDS})
    if unknown:
        raise Unusable(f"unknown words {', '.join(unknown)}; known are {', '.join(WORDS)}")
    if len(words) > _WORDS or len(transfers) > _TRANSFERS:
        raise Unusable(f"an incident has at most {_WORDS} characters of description and {_TRANSFERS} transfers")
    return {
        "facts": {
            "discovered_at": timestamp(incident.discovered_at),
            "ended_at": timestamp(incident.ended_at) if incident.ended_at else "",
            "persons": incident.persons,
            "true": sorted(incident.true),
        },
        "transfers": list(transfers),
        "words": words,
    }
