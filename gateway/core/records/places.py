"""Where parties are registered, and so which way data go between them.

What it is not: a word of the sender's. Two officers signed both records; what a sender says changes no direction.

The rules:
1. Only one pair is inbound: from an institution outside the mainland to an endpoint inside it. Everything else counts as
   outbound, also what goes nowhere: the export rules are the stricter ones.
2. Hong Kong, Macao and Taiwan have codes of their own (ISO 3166-1) and are outside for data export (rules.md, conventions).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from gateway.core.records.kinds import Endpoint, Institution

MAINLAND: Final = "CN"
OUTBOUND, INBOUND = "outbound", "inbound"
# ISO 3166-1 (`HK`), or a part of such a place in the way of ISO 3166-2 (`CN-SZ`).
_PLACE: Final = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")


def country_of(place: str) -> str:
    """`CN` for `CN-SZ`: what the rules read."""
    return place.partition("-")[0]


def in_mainland(place: str) -> bool:
    """Whether a place is in the mainland; an institution without one is, as all were before places were kept."""
    return country_of(place or MAINLAND) == MAINLAND


def direction_of(institution: Institution | None, endpoint: Endpoint | None) -> str:
    """`inbound` or `outbound`; whoever is not registered is taken for a sender in the mainland."""
    if institution is None or endpoint is None:
        return OUTBOUND
    return INBOUND if not in_mainland(institution.place) and in_mainland(endpoint.place) else OUTBOUND


def place_complaints(record: Institution | Endpoint) -> Iterator[str]:
    """What does not go together with where a record says it is."""
    optional = isinstance(record, Institution)
    if not _PLACE.fullmatch(record.place) and not (optional and not record.place):
        yield "place must be HK, MO or another ISO 3166-1 code"
    if isinstance(record, Institution) and record.gba_city and not in_mainland(record.place):
        yield "gba_city is for institutions in the mainland"
    if isinstance(record, Endpoint) and record.institution and not in_mainland(record.place):
        yield "institution is for endpoints in the mainland"
