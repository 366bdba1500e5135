"""Keyed digests of persons: same person, same digest; no key, no answer."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.classify import PersonSet, newest_birth
from gateway.core.errors import Unusable
from gateway.core.persons import (
    counting_year,
    keyed_digests,
    lineage_key,
    merge,
    merge_persons,
    new_digests,
    pack,
    unpack,
)

KEY = bytes(range(32))


def _persons(kind: str, *values: int, **rest) -> PersonSet:
    return PersonSet({kind: np.array(values, np.uint64)}, **rest)


def test_the_digest_is_keyed_blake2b_of_kind_and_value():
    expected = hashlib.blake2b(b"hkid\0\0" + (7).to_bytes(8, "big"), digest_size=8, key=KEY).digest()
    assert pack(keyed_digests(_persons("hkid", 7), KEY)) == expected


def test_a_familys_key_follows_nobody_into_another_family():
    keys = {lineage_key(KEY, "cohort"), lineage_key(KEY, "cohort-2"), lineage_key(KEY[::-1], "cohort"), KEY}
    assert len(keys) == 4
    assert len({pack(keyed_digests(_persons("hkid", 7), key)) for key in keys}) == 4


def test_kind_and_key_separate_the_scope_only_samples():
    same = keyed_digests(_persons("hkid", 7), KEY)
    assert same != keyed_digests(_persons("cn_mobile", 7), KEY)
    assert same != keyed_digests(_persons("hkid", 7), KEY[::-1])
    assert same == keyed_digests(_persons("hkid", 7), KEY, b"project")
    sample = _persons("genomic_sample", 7)
    assert keyed_digests(sample, KEY, b"a") != keyed_digests(sample, KEY, b"b")


@pytest.mark.parametrize("size", [0, 15, 65])
def test_a_key_of_the_wrong_size_is_refused(size):
    with pytest.raises(Unusable, match="16 to 64"):
        keyed_digests(PersonSet(), b"k" * size)


def test_nobody_has_no_digest():
    assert keyed_digests(PersonSet(), KEY).size == 0


SETS = st.sets(st.integers(0, 2**64 - 1), max_size=50).map(lambda s: np.array(sorted(s), np.uint64))


@given(SETS, SETS)
def test_sets_behave_as_sets(one, two):
    first, second = set(one.tolist()), set(two.tolist())
    assert set(merge(one, two).tolist()) == first | second
    assert new_digests(one, two).tolist() == sorted(first - second)
    assert unpack(pack(one)).tolist() == one.tolist()


@pytest.mark.parametrize("data", [b"1234567", bytes(8) * 2, b"\1" + bytes(15)])
def test_packed_digests_are_checked(data):
    with pytest.raises(Unusable):
        unpack(data)


def test_the_same_person_in_two_files_is_one():
    both = merge_persons([_persons("hkid", 1, 2, uncounted=1), _persons("hkid", 2, 3, sensitive=True, ordinary=True)])
    assert both.values["hkid"].tolist() == [1, 2, 3]
    assert (both.count, both.sensitive, both.ordinary) == (4, True, True)
    assert keyed_digests(both, KEY).size == 3


def test_newest_birth_is_read_from_resident_numbers():
    assert newest_birth(_persons("cn_resident_id", 44030019900101123, 44030020150630001)) == 20150630
    assert newest_birth(_persons("hkid", 1)) is None


@pytest.mark.parametrize(
    ("at", "year"),
    [
        (datetime(2026, 12, 31, 15, 59, 59, tzinfo=UTC), 2026),
        (datetime(2026, 12, 31, 16, 0, tzinfo=UTC), 2027),
        (datetime(2027, 1, 1, 0, 0, tzinfo=timezone(timedelta(hours=9))), 2026),
    ],
)
def test_the_year_begins_at_midnight_in_shanghai(at, year):
    assert counting_year(at) == year


def test_a_time_without_zone_is_refused():
    with pytest.raises(Unusable):
        counting_year(datetime(2026, 1, 1))  # noqa: DTZ001 - the naive time is the case
