"""Persons as keyed digests: counted across files and years without being stored.

A digest is BLAKE2b-64 keyed with the gateway's key of the year over `kind NUL scope NUL value`. BLAKE2b in keyed mode is
a MAC by itself (RFC 7693 section 2.9), made in one call of `hashlib` where HMAC-SHA-256 takes two hashes and more Python:
about twice the digests a second here, for the same strength at 64 bits. 64 bits are for counting: among five million
persons the expected number of collisions is below one in a million. Whoever holds no key cannot test a guess.

Canonical form: the kind that findings report and the detector's canonical 64-bit value, so the same person by the same
identifier has the same digest in any file, form or year of the same key. Sample names are unique inside a project only:
their digests include the scope, those of national identifiers never do.

Not here: which key, which ledger, which year's counts (the flow's and the store's).
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from gateway.core.classify import PersonSet
from gateway.core.errors import Unusable

Digests = npt.NDArray[np.uint64]

KEY_SIZES = range(16, 65)  # bytes; BLAKE2b takes at most 64
# 1,024 shards: five million persons make shards of 39 kB, and a transfer of ten persons reads ten of them.
SHARD_BITS = 10
SCOPED_KINDS = frozenset({"genomic_sample"})
_SHANGHAI = timezone(timedelta(hours=8))  # no summer time since 1991, so no zone file is read


def keyed_digests(persons: PersonSet, key: bytes, scope: bytes = b"") -> Digests:
    """Sorted distinct digests of the identified persons; `persons.uncounted` are extra and have none.

    Args:
        persons: From one file, or several through `merge_persons`.
        key: Secret of 16 to 64 bytes, one per gateway and year.
        scope: What makes sample names unique, such as `entity/project`; ignored for national identifiers.

    Raises:
        Unusable: The key is too short or too long.
    """
    if len(key) not in KEY_SIZES:
        raise Unusable("the counting key must have 16 to 64 bytes: make a new one with the keyring")
    parts = [_of_kind(kind, values, key, scope) for kind, values in persons.values.items()]
    return merge(*parts)


def lineage_key(key: bytes, family: str) -> bytes:
    """The key under which people of one family of projects are compared over the years (`core.lineage`), 32 bytes.

    Derived for each family, so that nobody can be followed from one undertaking into another.

    Args:
        key: The counting key of all time.
        family: The projects' registered family.
    """
    return hmac.digest(key, b"hetao/lineage/v1\0" + family.encode(), "sha256")


def _of_kind(kind: str, values: Digests, key: bytes, scope: bytes) -> Digests:
    namespace = kind.encode() + b"\0" + (scope if kind in SCOPED_KINDS else b"") + b"\0"
    start = blake2b(namespace, digest_size=8, key=key)
    raw = values.astype(">u8").tobytes()
    out = bytearray()
    for at in range(0, len(raw), 8):
        state = start.copy()
        state.update(raw[at : at + 8])
        out += state.digest()
    return np.frombuffer(bytes(out), ">u8").astype(np.uint64)


def merge(*sets: Digests) -> Digests:
    """Sorted distinct union; one sort of all arguments, so give it all sets at once."""
    if not sets:
        return np.zeros(0, np.uint64)
    together: Digests = np.concatenate(sets)
    together.sort()
    fresh = np.ones(together.size, np.bool_)
    fresh[1:] = together[1:] != together[:-1]
    return together[fresh]


def new_digests(digests: Digests, known: Digests) -> Digests:
    """Those not counted before; both sorted and distinct, and so is the answer."""
    fresh: Digests = digests[~among(digests, known)]
    return fresh


def among(digests: Digests, known: Digests) -> npt.NDArray[np.bool_]:
    """Which of the digests are known; both sorted and distinct."""
    if not known.size:
        return np.zeros(digests.size, np.bool_)
    place = np.minimum(np.searchsorted(known, digests), known.size - 1)
    found: npt.NDArray[np.bool_] = known[place] == digests
    return found


def shards_of(digests: Digests) -> dict[int, Digests]:
    """Sorted digests cut by their first SHARD_BITS bits, by number; empty shards are left out."""
    numbers = (digests >> np.uint64(64 - SHARD_BITS)).astype(np.intp)
    starts = (
        np.flatnonzero(np.concatenate([[True], numbers[1:] != numbers[:-1]])) if digests.size else np.zeros(0, np.intp)
    )
    parts = np.split(digests, starts[1:])
    return {int(numbers[start]): part for start, part in zip(starts, parts, strict=False)}


def pack(digests: Digests) -> bytes:
    """Sorted big-endian 64-bit digests, 8 bytes each."""
    return digests.astype(">u8").tobytes()


def unpack(data: bytes) -> Digests:
    """The inverse of `pack`.

    Raises:
        Unusable: Not a multiple of 8 bytes, or not sorted and distinct.
    """
    if len(data) % 8:
        raise Unusable("packed digests must be a multiple of 8 bytes")
    digests = np.frombuffer(data, ">u8").astype(np.uint64)
    if (digests[1:] <= digests[:-1]).any():
        raise Unusable("packed digests must be sorted and distinct")
    return digests


def packed_digests(sets: Iterable[PersonSet], key: bytes, scope: bytes = b"") -> tuple[bytes, bytes]:
    """(with sensitive data, with ordinary personal data): packed digests of a file's persons; in both, who is in both.

    Args:
        sets: `FileFindings.people`.
        key: As for `keyed_digests`.
        scope: The same.
    """
    sensitive, ordinary = [], []
    for people in sets:
        digests = keyed_digests(people, key, scope) if people.values else merge()
        sensitive += [digests] if people.sensitive else []
        ordinary += [digests] if people.ordinary else []
    return pack(merge(*sensitive)), pack(merge(*ordinary))


def merge_persons(sets: Iterable[PersonSet]) -> PersonSet:
    """Persons of several files of one transfer; the same identifier in two files is one person."""
    parts: dict[str, list[Digests]] = {}
    uncounted, sensitive, ordinary = 0, False, False
    for persons in sets:
        for kind, part in persons.values.items():
            parts.setdefault(kind, []).append(part)
        uncounted += persons.uncounted
        sensitive, ordinary = sensitive or persons.sensitive, ordinary or persons.ordinary
    values = {kind: merge(*each) for kind, each in parts.items()}
    return PersonSet(values, uncounted, sensitive=sensitive, ordinary=ordinary)


def counting_year(at: datetime) -> int:
    """Calendar year in Asia/Shanghai that a clearance counts in (Order 16 art. 7, 8: since 1 January).

    Raises:
        Unusable: The time has no zone.
    """
    if at.tzinfo is None:
        raise Unusable("a clearance needs a time with its zone")
    return at.astimezone(_SHANGHAI).year
