"""From what the gateway knows of a transfer to the situation the rules decide on.

The rules:
1. There are no defaults. Every source is an argument that may be None, and what a missing source would have said takes
   the strictest value (`strictest`). A test takes each source away in turn and expects no allow.
2. Declared and detected both count and the stricter wins: the bytes may only add to what the sender said.
3. What follows by definition is not unknown: data that are not personal have no withdrawn persons, data without human
   genetic information have no subjects. A claim nobody made was not made.
4. Counts are of persons: the situation's `persons` are everybody sent this year, this transfer included.

Sources: design.md section 9; rules.md sections 3, 5 and 10.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from gateway.core.classify import is_minor
from gateway.core.declaration import LEVELS
from gateway.core.differences import undeclared_types
from gateway.core.lineage import DOUBTED, PROVEN, Lineage
from gateway.core.records import Endpoint, FiledMechanism, Institution, Person, country_of
from gateway.core.situation import (
    Data,
    Duties,
    Exemption,
    Filing,
    Hgr,
    Persons,
    Purpose,
    Recipient,
    Request,
    Sender,
    Situation,
    Technical,
    strictest,
)

Table = Mapping[str, Any]


@dataclass(frozen=True)
class Counted:
    """What the ledgers of persons say, this transfer included.

    Attributes:
        sensitive: Distinct persons with sensitive data sent by the entity this year.
        nonsensitive: The same of the others.
        hgr_subjects: Individual-level subjects, all time, this project and recipient.
        hgr_sequencing_subjects: Those of them sequenced.
        splitting_suspected: Whether many of these persons were sent by other entities this year.
    """

    sensitive: int
    nonsensitive: int
    hgr_subjects: int
    hgr_sequencing_subjects: int
    splitting_suspected: bool


def know(
    *,
    on: date,
    direction: str,
    institution: Institution | None,
    person: Person | None,
    endpoint: Endpoint | None,
    filings: tuple[FiledMechanism, ...] | None,
    purpose: str | None,
    declared: Table | None,
    findings: Table | None,
    counted: Counted | None,
    technical: Technical | None,
    lineage: Lineage | None,
    used: Mapping[str, int] | None = None,
) -> Situation:
    """The situation of a transfer on a day.

    Args:
        on: Day in Asia/Shanghai.
        direction: `outbound` or `inbound`.
        institution: Who sends.
        person: Who answers for it.
        endpoint: Who receives.
        filings: The sender's mechanisms on file.
        purpose: The project's registered purpose, unless the declaration states another.
        declared: The declaration (`core.declaration`).
        findings: The joined findings of all files (`flow.findings`).
        counted: Persons so far.
        technical: The state of the gateway's own controls.
        lineage: What was found of a claim that the data came from abroad.
        used: Persons sent under filings by their ids, this transfer included. One that is not among them is taken to have
            carried everybody of the year; that is less than an older one may have, so a caller who decides counts those
            that have a cap.
    """
    nothing = strictest(on)
    said: Table = declared or {}
    data = _data(nothing.data, said.get("data", {}), findings, on)
    hgr = _hgr(nothing.hgr, said.get("hgr", {}), findings, counted)
    individual = hgr.information and not hgr.aggregate_only
    sensitive = data.sensitive or data.under14 or individual
    personal = data.personal or sensitive
    return Situation(
        on=on,
        direction=direction,
        sender=_sender(nothing.sender, institution, person, counted, on),
        recipient=_recipient(nothing.recipient, endpoint),
        request=_request(nothing.request, said.get("request"), declared),
        data=data,
        hgr=hgr,
        persons=_persons(nothing.persons, counted, said, findings, personal=personal, sensitive=sensitive),
        exemption=_exemption(nothing.exemption, said.get("exemption", {}), lineage),
        duties=_duties(nothing.duties, said.get("duties", {}), personal=personal),
        filings=tuple(_filing(each, used or {}) for each in filings or ()),
        purpose=Purpose(stated=said.get("purpose", {}).get("stated", purpose or "")),
        technical=technical or nothing.technical,
    )


def _sender(
    nothing: Sender, institution: Institution | None, person: Person | None, counted: Counted | None, on: date
) -> Sender:
    known = replace(
        nothing,
        real_name=person is not None
        and person.real_name_verified
        and (person.valid_to is None or on <= person.valid_to),
        splitting_suspected=nothing.splitting_suspected if counted is None else counted.splitting_suspected,
    )
    if institution is None:
        return known
    return replace(
        known,
        id=institution.id,
        filed=institution.filed_on(on),
        ciio=institution.ciio,
        overseas_controlled=institution.overseas_controlled,
        gba_city=institution.gba_city,
        health_org=institution.health_org,
        government_funded=institution.government_funded,
        in_ftz=institution.in_ftz,
    )


def _recipient(nothing: Recipient, endpoint: Endpoint | None) -> Recipient:
    if endpoint is None:
        return nothing
    return Recipient(
        id=endpoint.id,
        place=country_of(endpoint.place),
        mainland_controlled=endpoint.mainland_controlled,
        listed_pipl42=endpoint.listed_pipl42,
        in_hetao_hk_park=endpoint.in_hetao_hk_park,
        onward=endpoint.onward,
    )


def _request(nothing: Request, said: Table | None, declared: Table | None) -> Request:
    if declared is None:
        return nothing
    # A transfer comes in under the sender's own credential; only the sender can say that an authority is behind it.
    words = said or {}
    return Request(by=words.get("by", "sender"), mainland_approval=words.get("mainland_approval", False))


def _data(nothing: Data, said: Table, findings: Table | None, on: date) -> Data:
    inspected = findings is not None and findings["inspectable"]
    seen: Table = findings or {}
    level = said.get("level", nothing.level)
    detected = seen.get("level", "unknown")
    # An uninspected file has no level of its own: D10 holds it, and the declared level stands beside that.
    if inspected or detected in {"secret", "core", "important", "important_suspected"}:
        level = min(level, detected, key=LEVELS.index)
    personal = said.get("personal", nothing.personal) or seen.get("personal", nothing.personal)
    implied = nothing.sensitive if personal else False
    return Data(
        level=level,
        # What was found and not named is a type as well: a filing that lists its types does not cover it.
        types=(*said.get("types", ()), *undeclared_types(said.get("types", ()), seen)),
        secrecy_mark=_marked(nothing, said, seen),
        controlled_technology=said.get("controlled_technology", nothing.controlled_technology),
        inspectable=inspected,
        precise_geo=_either("precise_geo", said, seen, unknown=not inspected and "precise_geo" not in said),
        personal=personal,
        sensitive=said.get("sensitive", implied) or seen.get("sensitive", False),
        under14=said.get("under14", nothing.under14 if personal else False)
        or is_minor(seen.get("newest_birth", 0), on),
        anonymous_claimed=said.get("anonymous_claimed", False),
        reidentification_tested=said.get("reidentification_tested", nothing.reidentification_tested),
        remote_access=said.get("remote_access", nothing.remote_access),
    )


def _marked(nothing: Data, said: Table, seen: Table) -> bool:
    """Whether a secrecy mark is known or must be assumed: a stated level says there is none, the bytes may add one."""
    assumed = nothing.secrecy_mark if "level" not in said and not seen else False
    return bool(said.get("secrecy_mark", assumed) or seen.get("secrecy_mark", False))


def _either(name: str, said: Table, seen: Table, *, unknown: bool) -> bool:
    return bool(said.get(name, unknown) or seen.get(name, False))


def _hgr(nothing: Hgr, said: Table, findings: Table | None, counted: Counted | None) -> Hgr:
    seen: Table = (findings or {}).get("hgr", {})
    information = said.get("information", nothing.information) or seen.get("information", False)
    material = said.get("material", nothing.material)
    if not information:
        return Hgr(
            information=False,
            material=material,
            aggregate_only=said.get("aggregate_only", False),
            subjects=said.get("subjects", 0),
            wes_wgs_subjects=said.get("wes_wgs_subjects", 0),
            pedigree=said.get("pedigree", False),
            special_region=said.get("special_region", False),
        )
    # Aggregate only where nobody says otherwise: neither the sender nor a file with individual-level data.
    contradicted = seen.get("information", False) and not seen.get("aggregate_only", False)
    aggregate = said.get("aggregate_only", False) and not contradicted
    # Nobody counts aggregates; of individuals a number nobody told is unknown, not 0.
    told_subjects = aggregate or "subjects" in said or seen.get("subjects", 0)
    told_sequenced = aggregate or "wes_wgs_subjects" in said or seen.get("sequencing_subjects", 0)
    return Hgr(
        information=True,
        material=material,
        aggregate_only=aggregate,
        subjects=counted.hgr_subjects if counted and told_subjects else nothing.subjects,
        wes_wgs_subjects=counted.hgr_sequencing_subjects if counted and told_sequenced else nothing.wes_wgs_subjects,
        pedigree=_either("pedigree", said, seen, unknown=nothing.pedigree),
        special_region=said.get("special_region", nothing.special_region),
    )


def _persons(
    nothing: Persons, counted: Counted | None, said: Table, findings: Table | None, *, personal: bool, sensitive: bool
) -> Persons:
    """The counts, where somebody told them: the sender or the bytes. Of data about nobody knows how many, a count tells 0."""
    if counted is None:
        return nothing
    words: Table = said.get("persons", {})
    seen: Table = findings or {}
    of_sensitive = "sensitive" in words or bool(seen.get("persons_sensitive", 0))
    of_anybody = of_sensitive or "nonsensitive" in words or bool(seen.get("persons_nonsensitive", 0))
    # Where the bytes were read and people counted in them, all of those may have sensitive data, but nobody else.
    read = bool(seen.get("inspectable")) and bool(seen.get("persons_nonsensitive", 0))
    at_most = counted.sensitive + counted.nonsensitive if read else nothing.sensitive
    return Persons(
        nonsensitive=counted.nonsensitive if of_anybody or not personal else nothing.nonsensitive,
        sensitive=counted.sensitive if of_sensitive or not sensitive else at_most,
    )


def _exemption(nothing: Exemption, said: Table, lineage: Lineage | None) -> Exemption:
    claimed, evidence = said.get("claimed", ""), tuple(said.get("evidence", ()))
    proven = lineage is not None and lineage.state == PROVEN
    # Of a claim nobody looked into nothing is known; of one that was, the sender's word counts unless it is contradicted.
    doubted = claimed == "art4" if lineage is None else lineage.state in DOUBTED
    return Exemption(
        claimed=claimed,
        evidence=(*evidence, *({"collected_abroad"} - {*evidence} if proven else ())),
        mainland_data_added=doubted
        or said.get("mainland_data_added", False if proven else nothing.mainland_data_added),
    )


def _duties(nothing: Duties, said: Table, *, personal: bool) -> Duties:
    pipia = said.get("pipia", False)
    withdrawn = nothing.withdrawn_subjects if personal else 0
    return Duties(
        notice=said.get("notice", nothing.notice),
        separate_consent=said.get("separate_consent", nothing.separate_consent),
        consent_based=said.get("consent_based", nothing.consent_based),
        guardian_consent=said.get("guardian_consent", nothing.guardian_consent),
        pipia=date.fromisoformat(pipia) if isinstance(pipia, str) else nothing.pipia,
        withdrawn_subjects=said.get("withdrawn_subjects", withdrawn),
        ethics_approval=said.get("ethics_approval", nothing.ethics_approval),
        written_consent=said.get("written_consent", nothing.written_consent),
        institution_approval=said.get("institution_approval", nothing.institution_approval),
        owner_unit_approval=said.get("owner_unit_approval", nothing.owner_unit_approval),
    )


def _filing(filed: FiledMechanism, used: Mapping[str, int]) -> Filing:
    return Filing(
        kind=filed.kind,
        recipients=filed.recipients,
        purpose=filed.purpose,
        data_types=filed.data_types,
        effective=filed.effective,
        filed=filed.filed,
        valid_to=filed.valid_to,
        extended=filed.extended,
        persons_cap=filed.persons_cap,
        persons_used=used.get(filed.id),
    )
