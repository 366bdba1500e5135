"""What is sent is what a client that follows the standard reads (HTML Living Standard section 9.2.6)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import Malformed
from gateway.wire.eventstream import HEARTBEAT, encode_event, retry_after


def read(stream: bytes) -> list[tuple[str, str, str]]:
    """Events as (id, type, data), by the standard's own steps; the id stays until there is another."""
    found, identifier, kind, data = [], "", "", []
    for line in stream.decode().split("\n"):
        if not line:
            if data:
                found.append((identifier, kind or "message", "\n".join(data)))
            kind, data = "", []
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            identifier = value if name == "id" else identifier
            kind = value if name == "event" else kind
            data += [value] if name == "data" else []
    return found


TEXT = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), min_size=1)


@given(TEXT, st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 99)), st.integers(0))
def test_events_arrive_one_by_one(kind, data, number):
    sent = retry_after(5) + encode_event(kind, data, str(number)) + HEARTBEAT + encode_event("next", [])
    first, second = read(sent)
    assert (first[0], first[1], json.loads(first[2])) == (str(number), kind, data)
    assert second == (str(number), "next", "[]")


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b", "\n"])
def test_no_field_ends_early(value):
    for fields in ((value, {}, "1"), ("state", {}, value)):
        with pytest.raises(Malformed):
            encode_event(*fields)


def test_line_breaks_in_data_stay_in_it():
    assert read(encode_event("state", {"a": "x\ny\r\nz"}, "1")) == [("1", "state", '{"a":"x\\ny\\r\\nz"}')]
