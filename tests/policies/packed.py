"""The packaged pack and random situations, for tests of the core and of the pack itself."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from gateway.core.derive import EVIDENCE, NINE_CITIES
from gateway.core.rulebook import CHOICES, Rulebook, parse_rulebook
from gateway.core.situation import Filing, Situation, parse_situation
from gateway.core.situation.sections import SECTIONS
from gateway.stores.rulebooks import Policies, load_policies, packaged_policies

ON = date(2026, 11, 20)

CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine is no counter-example; what is slow is judged where slowness is the question."""


@cache
def pack() -> Policies:
    return load_policies()


@cache
def documents() -> dict[str, bytes]:
    """The packaged pack's documents by path, as its digest covers them."""
    root = Path(str(packaged_policies()))
    paths = [*root.glob("*.toml"), *root.glob("instruments/*.toml"), *root.glob("rules/*.toml")]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


@cache
def read_as(**readings: str) -> Rulebook:
    """The packaged pack with other readings of open questions."""
    text = documents()[CHOICES].decode()
    for name, taken in readings.items():
        text, count = re.subn(rf'(id = "{name}"\n(?:.*\n)*?taken = ")[^"]*"', rf'\g<1>{taken}"', text, count=1)
        assert count == 1, name
    return parse_rulebook({**documents(), CHOICES: text.encode()}, pack().vocabulary)


def situation(**document: Any) -> Situation:
    return parse_situation(document, pack().vocabulary)


def changed(subject: Situation, path: str, value: Any) -> Situation:
    """The situation with one fact changed, by its dotted path."""
    section, _, name = path.rpartition(".")
    if not section:
        return replace(subject, **{name: value})
    return replace(subject, **{section: replace(getattr(subject, section), **{name: value})})


_DAYS = st.integers(-1200, 40).map(lambda days: ON + timedelta(days=days))
_COUNTS = st.sampled_from([0, 1, 3, 500, 501, 9_999, 10_000, 99_999, 100_000, 999_999, 1_000_000, 1_500_000])
_RECIPIENTS = st.sampled_from([("hku-genomics",), ("hku-genomics", "cuhk"), ("cuhk",), ()])
_TYPES = st.sampled_from([(), ("contact",), ("contact", "diagnosis")])


def _filing() -> st.SearchStrategy[Filing]:
    vocabulary = pack().vocabulary
    return st.builds(
        Filing,
        kind=st.sampled_from(vocabulary.filings["kind"].words),
        recipients=_RECIPIENTS,
        purpose=st.sampled_from(["", "trial A", "trial B"]),
        data_types=_TYPES,
        effective=st.none() | _DAYS,
        filed=st.none() | _DAYS,
        valid_to=st.none() | _DAYS,
        extended=st.booleans(),
        persons_cap=st.sampled_from([0, 0, 1_000, 1_000_000]),
        persons_used=st.none() | _COUNTS,
    )


def _field(path: str) -> st.SearchStrategy[Any]:
    operand = pack().vocabulary.facts[path]
    special = {
        "recipient.onward": st.sampled_from([(), ("HK",), ("Shenzhen",), ("SG",), ("HK", "CN-BJ")]),
        "recipient.place": st.sampled_from(["HK", "HK", "MO", "SG"]),
        "recipient.id": st.sampled_from(["hku-genomics", "cuhk"]),
        "sender.gba_city": st.sampled_from(["", *sorted(NINE_CITIES)]),
        "data.types": _TYPES,
        "purpose.stated": st.sampled_from(["trial A", "trial B"]),
        "exemption.evidence": st.sampled_from([(), *(tuple(sorted(words)) for words in EVIDENCE.values())]),
        "duties.pipia": st.none() | _DAYS,
        "on": st.just(ON),
        "data.personal": st.just(True) | st.booleans(),
    }
    if path in special:
        return special[path]
    if operand.type == "flag":
        return st.booleans()
    if operand.type == "count":
        return _COUNTS
    if operand.type == "word":
        return st.sampled_from(operand.words)
    return st.just(operand.default)


def _anything() -> st.SearchStrategy[Situation]:
    sections = {
        name: st.builds(section, **{field.name: _field(f"{name}.{field.name}") for field in fields(section)})
        for name, section in SECTIONS.items()
    }
    return st.builds(
        Situation,
        on=_field("on"),
        direction=st.sampled_from(["outbound", "outbound", "outbound", "inbound"]),
        filings=st.lists(_filing(), max_size=3).map(tuple),
        **sections,
    )


@st.composite
def _nearly_in_order(draw: st.DrawFn) -> Situation:
    """The defaults with a few facts changed: where the verdicts lie close together."""
    found = replace(situation(), filings=tuple(draw(st.lists(_filing(), max_size=2))))
    paths = sorted(pack().vocabulary.facts)
    for path in draw(st.lists(st.sampled_from(paths), max_size=6, unique=True)):
        found = changed(found, path, draw(_field(path)))
    return found


def situations() -> st.SearchStrategy[Situation]:
    """Situations on both sides of every number: half of them anything, half nearly in order."""
    return _anything() | _nearly_in_order()
