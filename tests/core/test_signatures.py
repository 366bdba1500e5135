"""Signatures by first byte, beside the whole table."""

from __future__ import annotations

import pytest

from gateway.core.signatures import SIGNATURES, signatures_from


@pytest.mark.parametrize("first", range(256))
def test_no_signature_that_a_file_may_have_is_left_out(first):
    asked = signatures_from(first)
    assert list(asked) == [s for s in SIGNATURES if s in asked], "in the order of the table"
    left = [s for s in SIGNATURES if s not in asked]
    assert not any(bytes([first, *magic[1:]]).startswith(magic) for offset, magic, _ in left if offset == 0)
    assert all(offset == 0 for offset, _, _ in left)


def test_longer_signatures_stand_before_their_beginnings():
    for place, (offset, magic, _) in enumerate(SIGNATURES):
        assert not [m for o, m, _ in SIGNATURES[:place] if o == offset and magic.startswith(m)]
