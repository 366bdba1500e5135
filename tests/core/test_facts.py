"""Facts: tags and fields for ever, entries that hide what is private, clocks of the law."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.facts import FIELDS, SALT_BYTES, SHANGHAI, Fact, Tag, commit, enter, local_day, opens, timestamp
from gateway.wire import canonical, tiles
from tests.core.examples import NOW

# The ledger's grammar. Entries of years ago must still be read: this list may only grow, and only at the end of each part.
PERMANENT: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "transfer.opened": (
        ("institution", "endpoint", "project", "version", "door", "direction", "follows"),
        ("dataset", "person", "declaration"),
    ),
    "transfer.declared": ((), ("declaration",)),
    "transfer.submitted": (("files", "root_committed", "carried", "by"), ("root", "bytes", "declaration")),
    "transfer.classified": (("inspectable", "level"), ("findings", "persons")),
    "transfer.held": (("rules", "cure", "rulebook", "decision"), ("facts",)),
    "transfer.voted": (("officer", "vote", "ballot"), ("reason", "signature")),
    "transfer.reconsidered": (("because",), ()),
    "transfer.cleared": (
        ("rules", "rulebook", "decision", "endpoint_key", "votes", "mechanism", "basis", "channel", "filings"),
        ("facts", "root", "persons"),
    ),
    "transfer.lapsed": (("because",), ()),
    "transfer.refused": (("rules", "rulebook", "decision"), ("facts",)),
    "transfer.rejected": (("officer", "ballot"), ("reason",)),
    "transfer.sealed": (("endpoint_key", "files"), ("manifest",)),
    "transfer.departed": (("endpoint", "connector"), ()),
    "transfer.deferred": (("attempt", "code"), ("reason",)),
    "transfer.delivered": (("proof", "attempts"), ("detail", "sent")),
    "transfer.receipted": (("receipt",), ()),
    "transfer.withdrawn": (("by",), ()),
    "transfer.expired": (("state",), ()),
    "transfer.failed": (("state", "code"), ("reason",)),
    "transfer.key_destroyed": (("because", "files"), ()),
    "transfer.persons_returned": (("because",), ("persons",)),
    "gateway.initialised": (("genesis", "origin", "ledger_key"), ()),
    "registry.proposed": (("change", "officer"), ("document",)),
    "registry.approved": (("change", "proposer", "approver", "revision"), ("document",)),
    "registry.discarded": (("change", "officer"), ("reason",)),
    "client.revoked": (("client",), ("reason",)),
    "transfer.reopened": (("purpose",), ("path",)),
    "incident.opened": (("incident", "because"), ()),
    "incident.described": ((), ("facts", "transfers", "words")),
    "incident.told": (("duty",), ("reference",)),
    "incident.closed": ((), ("reason",)),
    "transfer.escalated": (("held_since",), ()),
    "transfer.sampled": (("channel", "because"), ()),
    "transfer.spot_checked": (("channel", "officer", "finding"), ("reason", "signature")),
    "transfer.forgotten": (("kept_to", "by"), ()),
}

# Never in the open: names, sizes, content digests, exact person counts and reasons (design.md section 7).
NEVER_PUBLIC = {
    "dataset", "person", "persons", "declaration", "root", "bytes", "findings", "facts", "reason", "manifest", "document",
    "path", "paths", "sha256", "size", "sizes", "name", "names", "detail", "sent", "signature",
}  # fmt: skip

SALT = bytes(range(SALT_BYTES))


def fact(tag: Tag = Tag.OPENED, **changes: Any) -> Fact:
    public, private = FIELDS[tag]
    values: dict[str, Any] = {
        "tag": tag,
        "subject": "t-1",
        "at": NOW,
        "actor": "sz-lab-cli",
        "public": dict.fromkeys(public, "open"),
        "private": dict.fromkeys(private, "hidden"),
        **changes,
    }
    return Fact(**values)


# --- the grammar -----------------------------------------------------------------------------------------------------------


def test_a_tag_is_for_ever() -> None:
    for name, (was_public, was_private) in PERMANENT.items():
        public, private = FIELDS[Tag(name)]
        assert public[: len(was_public)] == was_public, name
        assert private[: len(was_private)] == was_private, name


def test_a_new_tag_is_written_down_here_too() -> None:
    assert [tag.value for tag in Tag] == list(PERMANENT), "add the new tag at the end of PERMANENT"
    assert {tag.value: fields for tag, fields in FIELDS.items()} == PERMANENT, (
        "add the new field at the end of its part"
    )


def test_the_words_of_a_tag() -> None:
    for tag in Tag:
        subject, _, what = tag.value.partition(".")
        assert subject in {"transfer", "gateway", "registry", "client", "incident"}
        assert what.replace("_", "").isalpha()
        assert what.endswith(("ed", "held", "drawn", "told", "forgotten")), "a fact is past"
        public, private = FIELDS[tag]
        assert len({*public, *private}) == len(public) + len(private)
        assert not NEVER_PUBLIC & set(public), tag


@pytest.mark.parametrize("tag", list(Tag))
def test_a_fact_carries_exactly_its_fields(tag: Tag) -> None:
    good = fact(tag)
    for part in ("public", "private"):
        values = dict(getattr(good, part))
        with pytest.raises(ValueError, match="exactly"):
            fact(tag, **{part: {**values, "extra": 1}})
        for name in values:
            with pytest.raises(ValueError, match="exactly"):
                fact(tag, **{part: {key: value for key, value in values.items() if key != name}})


def test_a_fact_does_not_read_the_machines_zone() -> None:
    with pytest.raises(ValueError, match="aware"):
        fact(at=datetime(2026, 11, 20))  # noqa: DTZ001 - a naive time is the point


# --- entries ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", list(Tag))
def test_an_entry(tag: Tag) -> None:
    entry = enter(fact(tag), SALT)
    body = canonical.decode(entry.body)
    assert isinstance(body, dict)
    assert body | {"commitment": ""} == {
        "v": 1,
        "tag": tag.value,
        "subject": "t-1",
        "at": "2026-11-20T02:00:00.000Z",
        "actor": "sz-lab-cli",
        "body": dict.fromkeys(FIELDS[tag][0], "open"),
        "commitment": "",
    }
    assert b"hidden" not in entry.body
    if FIELDS[tag][1]:
        opening = canonical.decode(entry.opening)
        assert isinstance(opening, dict)
        assert opens(body, opening)
        assert opening["private"] == dict.fromkeys(FIELDS[tag][1], "hidden")
    else:
        assert entry.opening == b""
        assert "commitment" not in body


def test_the_commitment_is_what_the_docstring_says() -> None:
    """An auditor with hashlib only must come to the same."""
    entry = canonical.decode(enter(fact(Tag.REJECTED), SALT).body)
    assert isinstance(entry, dict)
    assert (
        entry["commitment"]
        == hashlib.sha256(SALT + b'{"reason":"hidden"}').hexdigest()
        == commit(SALT, b'{"reason":"hidden"}')
    )


def test_two_salts_hide_that_two_facts_are_alike() -> None:
    one, other = enter(fact(), SALT), enter(fact(), bytes(SALT_BYTES))
    assert one.body != other.body


@pytest.mark.parametrize("size", [0, 16, 31, 33, 64])
def test_a_salt_has_one_length(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        enter(fact(), bytes(size))


@pytest.mark.parametrize(
    "change",
    [
        {"salt": "00" * 32},
        {"salt": SALT.hex() + "00"},
        {"salt": SALT.hex()[:-2]},
        {"salt": "salt"},
        {"salt": None},
        {"private": {"reason": "another"}},
        {"private": {}},
        {"private": None},
        {"private": {"reason": float("nan")}},
    ],
)
def test_what_does_not_open_an_entry(change: dict[str, Any]) -> None:
    made = enter(fact(Tag.REJECTED), SALT)
    entry, opening = canonical.decode(made.body), canonical.decode(made.opening)
    assert isinstance(entry, dict)
    assert isinstance(opening, dict)
    assert opens(entry, opening)
    assert not opens(entry, {**opening, **change})
    assert not opens({key: value for key, value in entry.items() if key != "commitment"}, opening)


@pytest.mark.parametrize("missing", ["salt", "private"])
def test_what_is_no_opening_opens_nothing(missing: str) -> None:
    made = enter(fact(Tag.REJECTED), SALT)
    entry, opening = canonical.decode(made.body), canonical.decode(made.opening)
    assert isinstance(entry, dict)
    assert isinstance(opening, dict)
    assert not opens(entry, {key: value for key, value in opening.items() if key != missing})


def test_a_salt_cannot_swallow_the_fields() -> None:
    """SHA-256(salt || fields) is the same for a longer salt and a shorter rest; the length of the salt forbids it."""
    private = b'{"a":"b"}'
    assert commit(SALT, private) == commit(SALT + private[:5], private[5:])
    assert not opens({"commitment": commit(SALT, private)}, {"salt": (SALT + private[:5]).hex(), "private": "b"})


def test_ordinary_entries_fit_a_tile() -> None:
    assert len(enter(fact(Tag.CLEARED), SALT).body) < tiles.MAX_ENTRY


# --- clocks ----------------------------------------------------------------------------------------------------------------


@given(
    st.datetimes(
        timezones=st.sampled_from([UTC, SHANGHAI, timezone(-timedelta(hours=11)), timezone(timedelta(hours=14))]),
        min_value=NOW.replace(tzinfo=None) - timedelta(days=12_000),  # 1994: daylight saving is over
        max_value=NOW.replace(tzinfo=None) + timedelta(days=60_000),
    )
)
def test_the_day_is_shanghais_and_hong_kongs(at: datetime) -> None:
    assert (
        local_day(at)
        == at.astimezone(ZoneInfo("Asia/Shanghai")).date()
        == at.astimezone(ZoneInfo("Asia/Hong_Kong")).date()
    )
    assert (
        datetime.fromisoformat(timestamp(at)) <= at < datetime.fromisoformat(timestamp(at)) + timedelta(milliseconds=1)
    )


@pytest.mark.parametrize(
    ("at", "day"),
    [
        (datetime(2026, 12, 31, 15, 59, 59, tzinfo=UTC), date(2026, 12, 31)),
        (datetime(2026, 12, 31, 16, 0, tzinfo=UTC), date(2027, 1, 1)),
        (datetime(2027, 1, 1, 0, 0, tzinfo=SHANGHAI), date(2027, 1, 1)),
    ],
)
def test_the_year_turns_at_midnight_in_shanghai(at: datetime, day: date) -> None:
    assert local_day(at) == day


def test_a_timestamp_is_rfc_3339_in_utc() -> None:
    assert timestamp(datetime(2026, 11, 20, 10, 0, 0, 123_999, tzinfo=SHANGHAI)) == "2026-11-20T02:00:00.123Z"
