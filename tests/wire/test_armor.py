"""Strict base64 and armour: one spelling in, any line width and both line ends accepted."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import Malformed
from gateway.wire.armor import armored, dearmored, strict_base64
from tests.wire.damage import damaged, parsed_or_none


@given(st.binary(max_size=300), st.integers(1, 90), st.sampled_from([b"\n", b"\r\n"]))
def test_armour_goes_round(blob, width, newline):
    text = armored(b"TEST", blob, width=width)
    assert dearmored(b"TEST", text.replace(b"\n", newline), max_size=4096) == blob
    assert all(len(line) <= max(width, 20) for line in text.split(b"\n"))


@given(damaged(armored(b"TEST", b"some bytes inside", width=10)))
def test_armour_opens_or_is_malformed(data):
    blob = parsed_or_none(lambda text: dearmored(b"TEST", text, max_size=4096), data)
    assert blob is None or base64.b64encode(blob) in data.replace(b"\r", b"").replace(b"\n", b"")


@pytest.mark.parametrize(
    "text", [b"QQ", b"QQ=", b"QR==", b"QQ==\n", b" QQ==", b"QQ==QQ==", b"Q===", b"Q-==", b"=QQ=", b"\xff"]
)
def test_other_spellings_of_base64_are_refused(text):
    with pytest.raises(Malformed):
        strict_base64(text)


def test_base64_without_bytes_is_no_bytes():
    assert strict_base64(b"") == b""


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"-----BEGIN TEST-----",
        b"-----BEGIN TEST-----\nQQ==\n",
        b"-----BEGIN TEST-----\nQQ==\n-----END OTHER-----\n",
        b"-----BEGIN OTHER-----\nQQ==\n-----END TEST-----\n",
        b" -----BEGIN TEST-----\nQQ==\n-----END TEST-----\n",
        b"-----BEGIN TEST-----\nQQ==\n-----END TEST-----\nmore",
        b"-----BEGIN TEST-----\nQQ ==\n-----END TEST-----\n",
    ],
)
def test_frames_that_are_refused(text):
    with pytest.raises(Malformed):
        dearmored(b"TEST", text, max_size=4096)


def test_the_bound_comes_first():
    with pytest.raises(Malformed, match="over the bound of 10"):
        dearmored(b"TEST", b"x" * 11, max_size=10)
