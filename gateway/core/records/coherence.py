"""What records must be to each other: references that lead somewhere, one office a person, one key a person.

What it is not: a registry, or a signature (`gateway.core.registry`). A change must keep: every complaint says which record, and
what to do. A delegation counts like the office it lends: whoever holds or lends out an office has no second role, today or on
any other day (a delegation that is over is retired).

Source: the separation of the three administrators (三员分立) of GB/T 22239-2019.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.core.records.kinds import (
    AppPassword,
    Client,
    Endpoint,
    FiledMechanism,
    Officer,
    Person,
    Project,
    Record,
    SshKey,
    Webhook,
)
from gateway.core.records.papers import RestrictedRecipient
from gateway.core.records.standing import Channel, Delegation
from gateway.wire import sshsig

Records = Mapping[tuple[str, str], Record]


def incoherences(records: Records) -> list[str]:
    """Everything that does not fit together."""
    return [
        *_dangling(records),
        *_double_offices(records),
        *_unfit_deputies(records),
        *_wide_channels(records),
        *_shared_keys(records),
        *_shared_certificates(records),
    ]


def climb(person: str, people: Mapping[str, Person]) -> set[str]:
    """Everyone above a person; a circle of supervisors ends where it began."""
    above: set[str] = set()
    while person in people and (person := people[person].supervisor) and person not in above:
        above.add(person)
    return above


def _dangling(records: Records) -> list[str]:
    return [
        f"{kind} {identifier!r} names {named} {target!r}, which is not registered"
        for (kind, identifier), record in sorted(records.items())
        for named, target in _references(record)
        if (named, target) not in records
    ]


def _officers(records: Records) -> dict[str, Officer]:
    return {each.id: each for each in records.values() if isinstance(each, Officer)}


def _delegations(records: Records) -> list[Delegation]:
    return [each for _, each in sorted(records.items()) if isinstance(each, Delegation)]


def _double_offices(records: Records) -> list[str]:
    officers, roles = _officers(records), dict[str, set[str]]()
    for officer in officers.values():
        roles.setdefault(officer.person, set()).add(officer.role)
    for each in _delegations(records):
        if each.officer in officers:
            roles.setdefault(each.person, set()).add(officers[each.officer].role)
    return [
        f"person {person!r} holds two offices: give one to somebody else"
        for person, held in roles.items()
        if len(held) > 1
    ]


def _unfit_deputies(records: Records) -> Iterable[str]:
    """Deputies who are the officer, are not qualified for the role, or send data themselves."""
    officers = _officers(records)
    senders = {each.person for each in records.values() if isinstance(each, Client | SshKey | AppPassword)}
    for each in _delegations(records):
        officer, person = officers.get(each.officer), records.get(("person", each.person))
        if officer is None or not isinstance(person, Person):
            continue  # said by `_dangling`
        if each.person == officer.person:
            yield f"delegation {each.id!r} names the officer as the officer's own deputy"
        colleague = any(other.person == each.person and other.role == officer.role for other in officers.values())
        if not colleague and officer.role not in person.qualified:
            yield f"person {each.person!r} is not qualified for the {officer.role} role: register that first (`qualified`)"
        if not person.real_name_verified:
            yield f"person {each.person!r} is not known by the real name, which a deputy must be"
        if each.person in senders:
            yield f"person {each.person!r} can send data and is therefore nobody's deputy: retire that credential first"


def _wide_channels(records: Records) -> Iterable[str]:
    """Channels that name a project, an endpoint or a filing of somebody else."""
    for _, each in sorted(records.items()):
        if not isinstance(each, Channel):
            continue
        project = records.get(("project", each.project))
        if isinstance(project, Project) and (
            project.institution != each.institution or each.endpoint not in project.endpoints
        ):
            yield f"channel {each.id!r}: project {each.project!r} is not of that institution, or not for that endpoint"
        for name in each.filings:
            filing = records.get(("filing", name))
            if isinstance(filing, FiledMechanism) and filing.institution != each.institution:
                yield f"channel {each.id!r}: filing {name!r} is not of that institution"


def _shared_keys(records: Records) -> list[str]:
    owners: dict[bytes, set[str]] = {}
    for each in records.values():
        if isinstance(each, Officer | SshKey | Delegation):
            owners.setdefault(sshsig.public_blob(each.key), set()).add(each.person)
    return [
        f"one key is registered for {', '.join(sorted(persons))}: each person has a key of their own"
        for persons in owners.values()
        if len(persons) > 1
    ]


def _shared_certificates(records: Records) -> list[str]:
    owners: dict[str, list[str]] = {}
    for _, each in sorted(records.items()):
        if isinstance(each, Client):
            owners.setdefault(each.certificate, []).append(each.id)
    return [
        f"one certificate is registered for {', '.join(clients)}: each client has one of its own"
        for certificate, clients in owners.items()
        if certificate and len(clients) > 1
    ]


def _references(record: Record) -> list[tuple[str, str]]:
    if isinstance(record, Client | SshKey | AppPassword):
        return [("institution", record.institution), ("person", record.person)]
    if isinstance(record, Webhook):
        return [("institution", record.institution)]
    if isinstance(record, Endpoint):
        return [("institution", record.institution)] if record.institution else []
    if isinstance(record, Person):
        found = [("institution", record.institution)] if record.institution else []
        return found + ([("person", record.supervisor)] if record.supervisor else [])
    if isinstance(record, Project):
        return [("institution", record.institution), *(("endpoint", each) for each in record.endpoints)]
    if isinstance(record, FiledMechanism):
        return [("institution", record.institution), *(("endpoint", each) for each in record.recipients)]
    if isinstance(record, Officer):
        return [("person", record.person)]
    if isinstance(record, RestrictedRecipient):
        return [("endpoint", each) for each in record.endpoints]
    return _standing_references(record)


def _standing_references(record: Record) -> list[tuple[str, str]]:
    if isinstance(record, Delegation):
        return [("officer", record.officer), ("person", record.person)]
    if isinstance(record, Channel):
        named = [("institution", record.institution), ("project", record.project), ("endpoint", record.endpoint)]
        return named + [("filing", each) for each in record.filings]
    return []
