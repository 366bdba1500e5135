"""The document has the attributes CloudEvents 1.0 asks for, and the same event is the same bytes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gateway.wire import Malformed
from gateway.wire.cloudevents import CloudEvent

EVENT = CloudEvent(
    id="17",
    source="https://gateway.example",
    type="org.hetao.transfer.held",
    subject="t1",
    time="2026-11-20T02:00:00.000Z",
    data={"state": "held", "a": 1},
)


def test_the_attributes_are_those_of_the_standard():
    document = json.loads(EVENT.encode())
    assert document == {
        "specversion": "1.0",
        "id": "17",
        "source": "https://gateway.example",
        "type": "org.hetao.transfer.held",
        "subject": "t1",
        "time": "2026-11-20T02:00:00.000Z",
        "datacontenttype": "application/json",
        "data": {"state": "held", "a": 1},
    }


def test_the_same_event_is_the_same_bytes():
    assert replace(EVENT, data={"a": 1, "state": "held"}).encode() == EVENT.encode()


@pytest.mark.parametrize(
    "change", [{"id": ""}, {"source": ""}, {"type": "a b"}, {"subject": "\n"}, {"time": "yesterday"}, {"time": ""}]
)
def test_an_attribute_that_says_nothing_is_refused(change):
    with pytest.raises(Malformed):
        replace(EVENT, **change).encode()
