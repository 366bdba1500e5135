"""What fuzzing found worth keeping, and its seeds: each holds, whatever library or parser changed since."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent.parent / "fuzz" / "corpus"


@pytest.mark.parametrize("target", TARGETS)
def test_what_holds_for_any_bytes_holds_for_these(target):
    inputs = [*seeds(target), *(path.read_bytes() for path in sorted((CORPUS / target).glob("*")))]
    assert inputs, f"write seeds for {target} in tests/fuzz/seeds.py"
    for content in inputs:
        TARGETS[target](content)
