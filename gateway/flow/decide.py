"""Decide: settle a classified or held transfer in one transaction, on the counts, filings and day of that moment.

Steps, with what happens when one fails:
1. Read the transfer, its files and votes, the registry, the persons counted so far, inside one serialised transaction.
   Database away: StoreError, nothing recorded, the conductor comes back. Rows that are not what the gateway recorded
   (`flow.recall`): BrokenPromise, nothing is decided on them.
2. Build the situation (`core.known`): what could not be read takes the strictest value.
3. Decide under the rule pack the registry activates. No active pack, or not installed: the transfer stays and the reason
   is reported; nothing is decided under another pack.
4. Count the votes on this very case, examine the channels of its project, and ask `core.seal.clear`.
5. Record: cleared (with the persons counted in the same transaction), held, refused, rejected; or nothing new.

Persons are counted once, here, and waiting in review reserves nothing (design.md section 7).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from math import ceil
from typing import Any

from gateway.core import certificate
from gateway.core.calendar import WorkCalendar
from gateway.core.choices import Choices
from gateway.core.decide import Decision, cures, decide
from gateway.core.derive import filings_in_force
from gateway.core.differences import differences
from gateway.core.errors import StoreError
from gateway.core.facts import SHANGHAI, Tag, local_day, timestamp
from gateway.core.incident import Incident
from gateway.core.known import Counted, know
from gateway.core.lineage import Lineage
from gateway.core.listing import institution_on, person_on, recipient_on
from gateway.core.persons import merge, unpack
from gateway.core.records import (
    INBOUND,
    OUTBOUND,
    ActiveRulebook,
    Endpoint,
    FiledMechanism,
    Institution,
    Person,
    Project,
    RestrictedRecipient,
    WhitelistEntry,
    direction_of,
)
from gateway.core.registry import Registry
from gateway.core.review import Case, Tally, tally
from gateway.core.seal import CLEARANCE_NAMESPACE, Cleared, clear, clearance_document
from gateway.core.situation import Technical, situation_document
from gateway.core.transfer import State, Transfer
from gateway.flow import census, usage
from gateway.flow.additions import hgr_of, samples_of, unkeyed_of
from gateway.flow.census import NATIONAL, Standing
from gateway.flow.channels import Examined, examined, record_passage
from gateway.flow.controls import Controls
from gateway.flow.findings import Joined, already, join
from gateway.flow.incidents import description, opened, prepared
from gateway.flow.lineage import let_in, look_into
from gateway.flow.recall import check_rows, check_transfer
from gateway.flow.recorder import Ledgering, Recorder
from gateway.flow.registrar import Registrar
from gateway.flow.usage import Usage
from gateway.ports import PersonSet, Reading, Rulebooks, Signer, StoredFile, Writing

# Rules.md section 11, P17: when is it a pattern? At least this many persons, and this share of the transfer's, already
# sent by other entities this year. Neither number is in a statute (uncertain, project policy).
SPLITTING_PERSONS = 100
SPLITTING_SHARE = 0.5
ESCALATE_DAYS = 5
# Routes that do not add to N and S (design.md section 7; CAC answers, from memory, see rules.md 3.1).
UNCOUNTED_EXEMPTIONS = frozenset({"art3", "art4", "art5.1", "art5.2", "art5.3", "reg35.6"})


@dataclass(frozen=True)
class Dossier:
    """Everything a settlement rests on, read in one transaction."""

    transfer: Transfer
    registry: Registry
    files: Sequence[StoredFile]
    joined: Joined
    standing: Standing
    counted: Counted
    technical: Technical
    filings: tuple[FiledMechanism, ...]
    usages: Mapping[str, Usage]
    lineage: Lineage | None


class Decider:
    """Settles transfers.

    Args:
        recorder: The only writer.
        registrar: Who is registered.
        rulebooks: Installed rule packs.
        calendar: The mainland's working days.
        controls: The state of the gateway's own controls.
        signer: Signs clearances.
        escalate_days: Working days after which a transfer held for a judgement is escalated, unless its project says.
        whitelist_needed: What must be on a whitelist to count as filed or of real name: `institution`, `person`.
    """

    def __init__(
        self,
        *,
        recorder: Recorder,
        registrar: Registrar,
        rulebooks: Rulebooks,
        calendar: WorkCalendar,
        controls: Controls,
        signer: Signer,
        escalate_days: int = ESCALATE_DAYS,
        whitelist_needed: frozenset[str] = frozenset(),
    ) -> None:
        self._escalate_days = escalate_days
        self._recorder = recorder
        self._registrar = registrar
        self._rulebooks = rulebooks
        self._calendar = calendar
        self._controls = controls
        self._signer = signer
        self._needed = whitelist_needed

    async def step(self, transfer: Transfer) -> Transfer:
        """Settle one transfer."""
        incident = await prepared(self._recorder) if transfer.findings.get("secrecy_mark") else ""
        return await self._recorder.do(lambda ledger: self._settle(ledger, transfer.id, incident))

    async def _settle(self, ledger: Ledgering, transfer_id: str, incident: str) -> Transfer:
        await ledger.tx.serialise("persons")  # step 1
        transfer = await ledger.transfer(transfer_id)
        if transfer.state not in {State.CLASSIFIED, State.HELD}:
            return transfer
        dossier = await self._read(ledger, transfer)
        decision = self._decide(dossier)  # steps 2 and 3
        case = case_of(transfer, decision, dossier.registry)
        now = ledger.now
        votes = await ledger.tx.votes(transfer.id)
        count = tally(votes, case, transfer.person, dossier.registry, now, local_day(now))  # step 4
        content = (dossier.files, dossier.joined)
        found = await examined(ledger.tx, transfer, case, decision, content, dossier.registry, now)
        outcome = clear(case, decision, count, found.passage)
        if isinstance(outcome, Cleared):  # step 5
            cleared = await self._cleared(ledger, dossier, decision, outcome)
            if not outcome.channel:
                return cleared
            return await record_passage(ledger, cleared, decision, found, self._recorder.entropy)
        settled = await self._not_cleared(ledger, dossier, decision, case, count, found)
        if incident and settled.state is State.REFUSED:
            await self._open_incident(ledger, settled, incident)
        return settled

    async def _open_incident(self, ledger: Ledgering, refused: Transfer, incident: str) -> None:
        """A secrecy mark in what somebody meant to send abroad is an incident whatever else it is (Secrets Law art 34)."""
        found = Incident(ledger.now, None, None, frozenset({"secret"}))
        await opened(ledger, incident, description(found, [refused.id], ""), actor="gateway", because="secrecy-mark")

    # --- what is known -----------------------------------------------------------------------------------------------

    async def _read(self, ledger: Ledgering, transfer: Transfer) -> Dossier:
        year = local_day(ledger.now).year
        files = await ledger.tx.files(transfer.id)
        key = await self._recorder.evidence_key(transfer.id)
        await check_transfer(ledger.tx, transfer, key)
        await asyncio.to_thread(check_rows, files, key)  # off the event loop: ten thousand files take seconds
        joined = await asyncio.to_thread(join, files, year)  # as above: a million people take a second
        standing, counted = await self._count(ledger, transfer, files, joined, year)
        registry = await self._registrar.fold(ledger.tx, thorough=True)
        filings = tuple(each for each in registry.all(FiledMechanism) if each.institution == transfer.institution)
        capped = [each.id for each in filings if each.persons_cap and transfer.endpoint in each.recipients]
        return Dossier(
            transfer=transfer,
            registry=registry,
            files=files,
            joined=joined,
            standing=standing,
            counted=counted,
            technical=await self._controls.check(ledger.tx, ledger.now),
            filings=filings,
            usages={each: await usage.usage(ledger.tx, each, transfer, files, joined, year) for each in capped},
            lineage=await look_into(ledger.tx, self._recorder, registry, transfer, files),
        )

    async def _count(
        self, ledger: Ledgering, transfer: Transfer, files: Sequence[StoredFile], joined: Joined, year: int
    ) -> tuple[Standing, Counted]:
        persons = {"sensitive": joined.sensitive, "nonsensitive": joined.nonsensitive}
        standing = await census.standing(ledger.tx, transfer.institution, year, NATIONAL, persons)
        subjects, sequenced = await ledger.tx.hgr_counted(transfer.project, transfer.endpoint)
        before = await ledger.tx.counted_transfers(transfer.institution, year, NATIONAL)
        known = await asyncio.to_thread(already, files, year, before)
        own_subjects, own_sequenced = hgr_of(transfer.declaration, joined, known)
        named, named_sequenced = await _named_subjects(ledger.tx, transfer, joined)
        extra_sensitive, extra_nonsensitive = unkeyed_of(joined, known, transfer.declaration.get("persons", {}))
        counted = Counted(
            sensitive=standing.sensitive + extra_sensitive,
            nonsensitive=standing.nonsensitive + extra_nonsensitive,
            hgr_subjects=subjects + own_subjects + named,
            hgr_sequencing_subjects=sequenced + own_sequenced + named_sequenced,
            splitting_suspected=await _splitting(ledger.tx, standing),
        )
        return standing, counted

    def _decide(self, dossier: Dossier) -> Decision:
        registry, transfer = dossier.registry, dossier.transfer
        on = local_day(self._recorder.clock.now())
        project = registry.find(Project, transfer.project)
        endpoint, institution = (
            registry.find(Endpoint, transfer.endpoint),
            registry.find(Institution, transfer.institution),
        )
        # Inbound only where it was recorded so and is so: a recipient that is registered elsewhere by now makes it an export.
        inbound = transfer.direction == direction_of(institution, endpoint) == INBOUND
        situation = know(
            on=on,
            direction=INBOUND if inbound else OUTBOUND,
            **self._parties(registry, transfer, on),
            filings=dossier.filings,
            purpose=project.purpose if project else None,
            declared=transfer.declaration,
            findings=dossier.joined.facts,
            counted=dossier.counted,
            technical=dossier.technical,
            used={
                each.id: dossier.usages[each.id].of(each.kind) for each in dossier.filings if each.id in dossier.usages
            },
            lineage=dossier.lineage,
        )
        return decide(self._rulebooks.rulebook(active_rulebook(registry, on)), situation, self._calendar)

    def _parties(self, registry: Registry, transfer: Transfer, on: date) -> dict[str, Any]:
        """Who sends and receives, as lists of that day make them."""
        institution = registry.find(Institution, transfer.institution)
        person, endpoint = registry.find(Person, transfer.person), registry.find(Endpoint, transfer.endpoint)
        whitelist, needed = registry.all(WhitelistEntry), self._needed
        return {
            "institution": institution and institution_on(institution, whitelist, on, needed="institution" in needed),
            "person": person and person_on(person, whitelist, on, needed="person" in needed),
            "endpoint": endpoint and recipient_on(endpoint, registry.all(RestrictedRecipient), on),
        }

    # --- what is recorded --------------------------------------------------------------------------------------------

    async def _cleared(self, ledger: Ledgering, dossier: Dossier, decision: Decision, cleared: Cleared) -> Transfer:
        transfer, now = dossier.transfer, ledger.now
        digest = decision.digest().hex()
        document = clearance_document(cleared, digest, timestamp(now))
        signature = self._signer.sign(CLEARANCE_NAMESPACE, document)
        counted = await self._count_persons(ledger, dossier, decision)
        choices = self._rulebooks.rulebook(decision.rulebook).choices
        under = carrying(decision, dossier.filings, self._calendar, choices)
        await self._count_usage(ledger, dossier, under)
        return await ledger.record(
            transfer,
            Tag.CLEARED,
            public={
                "rules": list(decision.rules),
                "rulebook": decision.rulebook,
                "decision": digest,
                "endpoint_key": cleared.case.endpoint_key,
                "votes": list(cleared.officers),
                "mechanism": decision.mechanism,
                "basis": cleared.basis,
                "channel": cleared.channel,
                "filings": list(under),
            },
            private={"facts": situation_document(decision.situation), "root": transfer.root, "persons": counted},
            changes={
                "decision": {
                    **self._certified(cleared.case, decision, timestamp(now)),
                    **_beside(dossier, ledger),
                },
                "registry_revision": dossier.registry.revision,
                "clearance": document.decode(),
                "clearance_signature": signature.decode(),
                "reason": "",
            },
        )

    def _certified(self, case: Case, decision: Decision, at: str) -> dict[str, Any]:
        """The decision as the row keeps it, with the gateway's signature over its certificate."""
        record = decision_record(decision)
        signature = self._signer.sign(certificate.NAMESPACE, certificate.compose(case, record, at))
        signed = {"endpoint_key": case.endpoint_key, "at": at, "signature": signature.decode()}
        return {**record, "certificate": signed}

    async def _count_persons(self, ledger: Ledgering, dossier: Dossier, decision: Decision) -> dict[str, Any]:
        """Count the transfer's persons on the track its route belongs to; returns what was counted."""
        transfer, joined, year = dossier.transfer, dossier.joined, local_day(ledger.now).year
        if not decision.derived.export:  # it comes in: nobody of it is counted as sent abroad
            return await let_in(ledger.tx, transfer, dossier.files)
        carried = await asyncio.to_thread(already, dossier.files, year, frozenset[str]())
        subjects, sequenced = hgr_of(transfer.declaration, joined, carried)
        if subjects or sequenced:
            await ledger.tx.put_hgr(transfer.id, transfer.project, transfer.endpoint, subjects, sequenced)
        samples, sequenced_samples = samples_of(transfer.declaration, joined)
        if samples:
            where = (transfer.id, transfer.project, transfer.endpoint)
            await ledger.tx.put_samples(*where, samples, sequenced_samples)
        track = counting_track(decision)
        if not track or not decision.situation.data.personal:
            return {"track": track, "sensitive": 0, "nonsensitive": 0}
        before = await ledger.tx.counted_transfers(transfer.institution, year, track)
        known = await asyncio.to_thread(already, dossier.files, year, before)
        sensitive, nonsensitive = unkeyed_of(joined, known, transfer.declaration.get("persons", {}))
        counted = PersonSet(
            transfer_id=transfer.id,
            entity=transfer.institution,
            year=year,
            track=track,
            sensitive=joined.sensitive,
            nonsensitive=joined.nonsensitive,
            unkeyed_sensitive=sensitive,
            unkeyed_nonsensitive=nonsensitive,
        )
        standing = dossier.standing
        if track != NATIONAL:
            persons = {"sensitive": joined.sensitive, "nonsensitive": joined.nonsensitive}
            standing = await census.standing(ledger.tx, transfer.institution, year, track, persons)
        await census.add(ledger.tx, standing, counted)
        return {
            "track": track,
            "sensitive": len(counted.sensitive) // 8 + counted.unkeyed_sensitive,
            "nonsensitive": len(counted.nonsensitive) // 8 + counted.unkeyed_nonsensitive,
        }

    async def _count_usage(self, ledger: Ledgering, dossier: Dossier, under: Sequence[str]) -> None:
        """Count the transfer's persons under each filing that carries it, once they are counted for its entity."""
        transfer, year = dossier.transfer, local_day(ledger.now).year
        counted = await ledger.tx.person_set(transfer.id) if under else None
        for each in under:
            before = dossier.usages.get(each) or await usage.usage(
                ledger.tx, each, transfer, dossier.files, dossier.joined, year
            )
            await usage.add(ledger.tx, before, counted)

    async def _not_cleared(
        self, ledger: Ledgering, dossier: Dossier, decision: Decision, case: Case, count: Tally, found: Examined
    ) -> Transfer:
        transfer = dossier.transfer
        if count.rejections and transfer.state is State.HELD:
            first = count.rejections[0]
            return await ledger.record(
                transfer,
                Tag.REJECTED,
                actor=first.officer.id,
                public={"officer": first.officer.id, "ballot": case.digest()},
                private={"reason": first.ballot.reason},
                changes={"reason": first.ballot.reason},
            )
        if transfer.state is State.HELD:
            if decision.verdict == "hold" and transfer.decision.get("case") == case.digest():
                quiet = replace(transfer, next_at=None, registry_revision=dossier.registry.revision)
                await ledger.tx.put_transfer(quiet)
                return quiet
            transfer = await ledger.record(transfer, Tag.RECONSIDERED, public={"because": "what is known changed"})
        tag = Tag.REFUSED if decision.verdict == "deny" else Tag.HELD
        public: dict[str, Any] = {
            "rules": list(decision.rules),
            "rulebook": decision.rulebook,
            "decision": decision.digest().hex(),
        }
        if tag is Tag.HELD:
            public["cure"] = cures(decision)
        return await ledger.record(
            transfer,
            tag,
            public=public,
            private={"facts": situation_document(decision.situation)},
            changes={
                "decision": {
                    **self._certified(case, decision, timestamp(ledger.now)),
                    "case": case.digest(),
                    **_beside(dossier, ledger),
                    "channels": list(found.told),
                },
                "registry_revision": dossier.registry.revision,
                "reason": "",
                "escalate_at": self._escalation(dossier, ledger.now) if public.get("cure") == "judgement" else None,
            },
        )

    def _escalation(self, dossier: Dossier, now: datetime) -> datetime:
        """When more people are told that a transfer waits for votes: the hour it was held, so many working days on."""
        project = dossier.registry.find(Project, dossier.transfer.project)
        days = (project.escalate_days if project else 0) or self._escalate_days
        last = self._calendar.nth_working_day_after(local_day(now), days)
        return datetime.combine(last, now.astimezone(SHANGHAI).timetz())


# --- pure parts, shared with sealing and enquiry -----------------------------------------------------------------------


def _beside(dossier: Dossier, ledger: Ledgering) -> dict[str, Any]:
    """What the row keeps beside the decision.

    Where the content shows more than was declared, as findings with the code of a remedy for the sender; and what was found of a
    claim that the data came from abroad.
    """
    found = differences(dossier.transfer.declaration, dossier.joined.facts, local_day(ledger.now))
    told: dict[str, Any] = {"differences": [{**each.finding(), "remedy": each.remedy} for each in found]}
    return told | ({"lineage": dossier.lineage.to_json()} if dossier.lineage else {})


def active_rulebook(registry: Registry, on: Any) -> str:
    """The digest of the rule pack in force on a day: of those begun, the latest.

    Raises:
        StoreError: Where none is.
    """
    begun = [each for each in registry.all(ActiveRulebook) if each.active_from <= on]
    if not begun:
        raise StoreError(
            "no rule pack is active: two officers activate one with `hetao registry activate-rules`", code="no-rulebook"
        )
    return max(begun, key=lambda each: (each.active_from, each.id)).digest


def case_of(transfer: Transfer, decision: Decision, registry: Registry) -> Case:
    """What officers vote on."""
    endpoint = registry.find(Endpoint, transfer.endpoint)
    return Case(
        transfer_id=transfer.id,
        files_root=transfer.root,
        endpoint=transfer.endpoint,
        endpoint_key=endpoint.key_fingerprint() if endpoint else "",
        rulebook=decision.rulebook,
        rules=decision.rules,
        known=situation_document(decision.situation),
    )


def decision_record(decision: Decision) -> dict[str, Any]:
    """The decision as the database keeps it: the record the digest covers, the remedies, the cure."""
    return {
        **decision.record(),
        "remedies": decision.to_json()["remedies"],
        "digest": decision.digest().hex(),
        "cure": cures(decision),
    }


def counting_track(decision: Decision) -> str:
    """Which ledger of persons a clearance adds to; empty where its route adds to none."""
    derived = decision.derived
    if not derived.export or derived.exempt in UNCOUNTED_EXEMPTIONS:
        return ""
    national = derived.band == "small" or bool({"SA", "SCC", "CERT"} & set(derived.in_force))
    return census.GBA if "GBA" in derived.in_force and not national else NATIONAL


def carrying(
    decision: Decision, filings: Sequence[FiledMechanism], calendar: WorkCalendar, choices: Choices
) -> tuple[str, ...]:
    """The filings a clearance goes under, by id: those in force for it, each by itself.

    Args:
        decision: Made on these filings, in this order.
        filings: The sender's.
        calendar: As it was decided with.
        choices: Of the pack it was decided under.
    """
    if not decision.derived.export:
        return ()
    in_force = [filings[at] for at in filings_in_force(decision.situation, calendar, choices)]
    data = decision.situation.data
    # What is exempt, or about nobody, needs no mechanism of the personal-data track; other duties stay (rules.md 5).
    needed = (data.personal or data.level == "important") and not decision.derived.exempt
    return tuple(each.id for each in in_force if needed or each.kind.startswith(("HGR_", "MOFCOM")))


async def _named_subjects(view: Reading, transfer: Transfer, joined: Joined) -> tuple[int, int]:
    """Distinct samples of a project that went to a recipient, all time, this transfer's included: all, and the sequenced."""
    kept = [*await view.hgr_samples(transfer.project, transfer.endpoint), samples_of(transfer.declaration, joined)]

    def work() -> tuple[int, int]:
        samples, sequenced = (merge(*(unpack(each[part]) for each in kept)) for part in (0, 1))
        return int(samples.size), int(sequenced.size)

    return await asyncio.to_thread(work)


async def _splitting(tx: Writing, standing: Standing) -> bool:
    """Whether many of this transfer's persons were sent by other entities this year (Order 13 art 4, Order 20 art 5)."""
    persons = standing.everybody
    enough = max(SPLITTING_PERSONS, ceil(SPLITTING_SHARE * persons))
    return persons >= SPLITTING_PERSONS and await census.sent_by_others(tx, standing, enough) >= enough
