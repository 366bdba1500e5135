"""Activating a rule pack: from a day on, after all its cases passed, beside what is in force."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from gateway.cli.registry import activation
from gateway.core.errors import Unusable
from gateway.flow.decide import active_rulebook
from tests.core.examples import changed, registry
from tests.policies.packed import pack, read_as

OTHER = replace(pack(), rulebook=read_as(hk_authorities="foreign"), cases=())


def test_the_day_decides_which_pack_does():
    after = changed(registry(), ("rulebook", activation(OTHER, "2026-12-01")))
    assert active_rulebook(after, date(2026, 11, 30)) == pack().rulebook.digest
    assert active_rulebook(after, date(2026, 12, 1)) == OTHER.rulebook.digest


def test_an_activation_for_later_takes_nothing_from_today_and_a_pack_can_come_back():
    after = changed(registry(), ("rulebook", activation(pack(), "2026-11-01")))
    after = changed(after, ("rulebook", activation(pack(), "2027-01-01")))
    after = changed(after, ("rulebook", activation(OTHER, "2026-12-01")))
    found = [active_rulebook(after, date(*day)) for day in ((2026, 11, 20), (2026, 12, 31), (2027, 1, 1))]
    assert found == [pack().rulebook.digest, OTHER.rulebook.digest, pack().rulebook.digest]


def test_a_pack_whose_cases_fail_is_not_activated():
    failing = replace(pack(), cases=(replace(pack().cases[0], verdict="deny"),))
    with pytest.raises(Unusable, match=r"golden cases of the pack fail.*13\.1"):
        activation(failing, "2026-12-01")


@pytest.mark.parametrize("day", ["tomorrow", "2026-13-01", "01.12.2026"])
def test_what_is_no_day_is_refused(day):
    with pytest.raises(Unusable, match="--from must be a day"):
        activation(pack(), day)
