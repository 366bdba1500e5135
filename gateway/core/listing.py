"""Listing: what lists say, on a day, of a sender, its people and a recipient.

What it is not: a rule. D4 and D9 read what follows here as facts like any other.

A change must keep these:
1. A restricted recipient (PIPL art 42) is met by id, by any of its names in any spelling, or by its registration number; the
   endpoint's own mark is never taken away.
2. A whitelist entry makes filed, or of real name, only where the officers who signed it said so (`counts_as`). Where a
   setting asks for an entry, its lack takes both away; no setting grants anything.

Sources: plan clause 6 (whitelists), PIPL art 42. What a whitelist proves is open (rules.md 12.1, 12.2).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date

from gateway.core.records import Endpoint, Institution, Person, RestrictedRecipient, WhitelistEntry, plain


def restricted_by(endpoint: Endpoint, entries: Iterable[RestrictedRecipient], on: date) -> tuple[str, ...]:
    """Ids of the entries that list this endpoint on that day."""
    names = {plain(each) for each in (endpoint.name, *endpoint.also_named)} - {""}
    number = plain(endpoint.registration)
    return tuple(
        each.id
        for each in entries
        if each.holds_on(on)
        and (
            endpoint.id in each.endpoints
            or not names.isdisjoint(map(plain, each.names))
            or (number and number in map(plain, each.registrations))
        )
    )


def recipient_on(endpoint: Endpoint, entries: Iterable[RestrictedRecipient], on: date) -> Endpoint:
    """The endpoint with its mark of that day."""
    return replace(endpoint, listed_pipl42=endpoint.listed_pipl42 or bool(restricted_by(endpoint, entries, on)))


def institution_on(
    institution: Institution, entries: Iterable[WhitelistEntry], on: date, *, needed: bool = False
) -> Institution:
    """The institution as filed as the whitelist makes it that day.

    Args:
        institution: As it is registered.
        entries: Of every kind.
        on: The day.
        needed: Whether an institution that is not listed does not count as filed.
    """
    names = {institution.id, institution.uscc}
    mine = [each for each in entries if each.kind == "institution" and each.subject in names and each.holds_on(on)]
    if needed and not mine:
        return replace(institution, filed_from=None)
    if institution.filed_on(on):
        return institution
    proving = [each for each in mine if each.counts_as == "filed"]
    if not proving:
        return institution
    entry = proving[0]
    return replace(institution, filing_number=entry.id, filed_from=entry.listed_from, filed_to=entry.listed_to)


def person_on(person: Person, entries: Iterable[WhitelistEntry], on: date, *, needed: bool = False) -> Person:
    """The person as known by real name as the whitelist makes them that day; see `institution_on`."""
    mine = [each for each in entries if each.kind == "person" and each.subject == person.id and each.holds_on(on)]
    if needed and not mine:
        return replace(person, real_name_verified=False)
    proven = any(each.counts_as == "real_name" for each in mine)
    return replace(person, real_name_verified=person.real_name_verified or proven)
