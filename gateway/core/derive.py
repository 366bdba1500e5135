"""Derived facts: what follows from a situation and the calendar, and is all that rules see of filings and dates.

What it is not: verdicts. It says "no filing covers this today", never "hold".

A change must keep these:
1. Input is a closed situation (`close_upwards`); nothing here reads a clock.
2. A filing counts only if everything about it fits today; what is absent never counts as present.
3. The numbers are those of Order 16 (促进和规范数据跨境流动规定) and stand here once, with their article.
4. `Derived` holds what the vocabulary lists under `derived`, plus `provisional`, which no rule reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from gateway.core.calendar import WorkCalendar, add_months
from gateway.core.choices import CAREFUL, Choices
from gateway.core.situation import Filing, Situation
from gateway.core.terms import last_day

N_EXEMPT_BELOW: Final = 100_000
"""Order 16 art 5(4): fewer persons than this, nothing sensitive, need no mechanism."""

N_ASSESSMENT_FROM: Final = 1_000_000
"""Order 16 art 7(2)."""

S_ASSESSMENT_FROM: Final = 10_000
"""Order 16 art 7(2)."""

FILING_WORKING_DAYS: Final = 10
"""Order 13 art 7 and GBA guideline art 8: a contract is filed within ten working days of taking effect."""

PIPIA_FRESH_MONTHS: Final = 3
"""Filing guide to Order 13 and GBA guideline art 5: the assessment is at most three months old at filing."""

NINE_CITIES: Final = frozenset(
    {"Guangzhou", "Shenzhen", "Zhuhai", "Foshan", "Huizhou", "Dongguan", "Zhongshan", "Jiangmen", "Zhaoqing"}
)
GBA: Final = NINE_CITIES | {"HK"}
"""Where the GBA contract for the mainland and Hong Kong lets data be; Macao has a guideline of its own."""

EVIDENCE: Final = {
    "art3": frozenset[str](),
    "art4": frozenset({"collected_abroad"}),
    "art5.1": frozenset({"contract_with_individual"}),
    "art5.2": frozenset({"labour_rules", "collective_contract", "employees"}),
    "art5.3": frozenset({"emergency"}),
    "reg35.6": frozenset({"statutory_duty"}),
}
"""What proves each exemption. Art 6 is absent: no negative list is configured."""

_EITHER: Final = (frozenset({"labour_rules", "employees"}), frozenset({"collective_contract", "employees"}))
"""Art 5(2) where the choice `labour_rules` reads "and" as "or"."""

_NOT_BY_GBA: Final = frozenset({"important", "core", "secret"})
_CONTRACTS: Final = frozenset({"SCC", "GBA"})


@dataclass(frozen=True, kw_only=True)
class Derived:
    """What rules see of filings, dates and counts; the words are the vocabulary's.

    Attributes:
        provisional: A count of working days went beyond the published calendar. Not for rules.
    """

    export: bool
    in_force: tuple[str, ...]
    gba: str
    band: str
    exempt: str
    claim_failed: bool
    carried: bool
    onward_outside_gba: bool
    sa_broken: bool
    filing_overdue: bool
    pipia: str
    provisional: bool


@dataclass(frozen=True)
class _Term:
    """How one contract stands with the ten working days."""

    filing: Filing
    in_time: bool
    provisional: bool


def derive(situation: Situation, calendar: WorkCalendar, choices: Choices = CAREFUL) -> Derived:
    """Everything derived from a closed situation.

    Args:
        situation: Closed upwards.
        calendar: The mainland's working days.
        choices: How the pack reads what the law leaves open.
    """
    covering = [filing for filing in situation.filings if _covers(filing, situation, choices)]
    terms = [_term(filing, situation.on, calendar) for filing in covering]
    in_force = frozenset(term.filing.kind for term in terms if _in_force(term, situation))
    band, exempt = _band(situation, choices), _exempt(situation, choices)
    carried = _carried(situation, band, exempt, in_force)
    claimed = situation.exemption.claimed
    return Derived(
        export=situation.direction == "outbound" or situation.data.remote_access,
        in_force=tuple(sorted(in_force)),
        gba=_gba(situation, covering),
        band=band,
        exempt=exempt,
        claim_failed=situation.data.personal and claimed not in {"", "art6"} and not exempt,
        carried=carried,
        onward_outside_gba=_onward_outside(situation),
        sa_broken=not carried and _sa_broken(situation, covering),
        filing_overdue=not carried and not all(term.in_time for term in terms),
        pipia=_pipia(situation, band, exempt, terms, carried=carried),
        provisional=any(term.provisional for term in terms),
    )


def filings_in_force(situation: Situation, calendar: WorkCalendar, choices: Choices = CAREFUL) -> tuple[int, ...]:
    """Which of a closed situation's filings cover it that day, each by itself: their places in `situation.filings`.

    `Derived.in_force` has the kinds of exactly these.
    """
    return tuple(
        at
        for at, filing in enumerate(situation.filings)
        if _covers(filing, situation, choices) and _in_force(_term(filing, situation.on, calendar), situation)
    )


# --- filings ---


def _in_force(term: _Term, situation: Situation) -> bool:
    return _holds(term, situation) and _fresh(term.filing, situation)


def _covers(filing: Filing, situation: Situation, choices: Choices) -> bool:
    """Recipient, purpose, types, days and cap; what a kind asks beyond that is `_holds` and `_fresh`."""
    return (
        situation.recipient.id in filing.recipients
        and filing.purpose in {"", situation.purpose.stated}
        and _covers_types(filing, situation.data.types)
        and _started(filing, situation.on)
        and situation.on <= last_day(filing, choices)
        and (not filing.persons_cap or _persons_used(filing, situation) <= filing.persons_cap)
    )


def _covers_types(filing: Filing, types: tuple[str, ...]) -> bool:
    return not filing.data_types or (bool(types) and set(types) <= set(filing.data_types))


def _started(filing: Filing, on: date) -> bool:
    return filing.effective is not None and filing.effective <= on


def _persons_used(filing: Filing, situation: Situation) -> int:
    if filing.persons_used is not None:
        return filing.persons_used
    if filing.kind.startswith("HGR_"):
        return situation.hgr.subjects
    return situation.persons.nonsensitive + situation.persons.sensitive


def _filed(filing: Filing, on: date) -> date | None:
    return filing.filed if filing.filed is not None and filing.filed <= on else None


def _term(filing: Filing, on: date, calendar: WorkCalendar) -> _Term:
    if filing.kind not in _CONTRACTS or _filed(filing, on) is not None or filing.effective is None:
        return _Term(filing, in_time=True, provisional=False)
    elapsed = calendar.working_days_between(filing.effective, on, limit=FILING_WORKING_DAYS)
    return _Term(filing, in_time=elapsed.days <= FILING_WORKING_DAYS, provisional=elapsed.provisional)


def _holds(term: _Term, situation: Situation) -> bool:
    """Whether a covering filing stands, its impact assessment left aside."""
    if term.filing.kind != "GBA":
        return term.in_time
    return (
        term.in_time
        and _parties_qualify(situation)
        and not _onward_outside(situation)
        and situation.data.level not in _NOT_BY_GBA
    )


def _fresh(filing: Filing, situation: Situation) -> bool:
    """Whether the impact assessment is young enough for a contract; other kinds bring their own assessment."""
    if filing.kind not in _CONTRACTS:
        return True
    done = situation.duties.pipia
    if done is None or done > situation.on:
        return False
    return add_months(done, PIPIA_FRESH_MONTHS) >= (_filed(filing, situation.on) or situation.on)


def _sa_broken(situation: Situation, covering: list[Filing]) -> bool:
    return any(
        filing.kind == "SA"
        and _started(filing, situation.on)
        and situation.recipient.id in filing.recipients
        and filing not in covering
        for filing in situation.filings
    )


# --- the GBA contract ---


def _parties_qualify(situation: Situation) -> bool:
    return situation.sender.gba_city in NINE_CITIES and situation.recipient.place == "HK"


def _onward_outside(situation: Situation) -> bool:
    return any(place not in GBA for place in situation.recipient.onward)


def _gba(situation: Situation, covering: list[Filing]) -> str:
    if not any(filing.kind == "GBA" for filing in covering):
        return "none"
    return "effective" if _parties_qualify(situation) else "signed"


# --- numbers, exemptions, what carries ---


def _band(situation: Situation, choices: Choices) -> str:
    """Which mechanism the sender and the numbers ask for; the first match counts (Order 16 arts 5(4), 7, 8)."""
    persons = situation.persons
    if not situation.data.personal:
        return "none"
    if situation.sender.ciio:
        return "assessment"
    if (
        not situation.data.sensitive
        and persons.nonsensitive < N_EXEMPT_BELOW
        and _may_be_small(persons.sensitive, choices)
    ):
        return "small"
    if persons.nonsensitive >= N_ASSESSMENT_FROM or persons.sensitive >= S_ASSESSMENT_FROM:
        return "assessment"
    return "contract"


def _may_be_small(sensitive: int, choices: Choices) -> bool:
    """Whether a sender of so many persons with sensitive data may still use art 5(4) for others (rules.md 12.13)."""
    return not sensitive or choices.taken("sensitive_senders") == "n-only"


def _exempt(situation: Situation, choices: Choices) -> str:
    """The claimed exemption if it is proven; none of them covers anything but general data (Order 16 art 5 last)."""
    claimed = situation.exemption.claimed
    proven = (
        claimed in EVIDENCE
        and _shown(claimed, frozenset(situation.exemption.evidence), choices)
        and situation.data.level == "general"
        and situation.data.personal is (claimed != "art3")
        and not (claimed == "art4" and situation.exemption.mainland_data_added)
    )
    return claimed if proven else ""


def _shown(claimed: str, evidence: frozenset[str], choices: Choices) -> bool:
    if claimed == "art5.2" and choices.taken("labour_rules") == "either":
        return any(words <= evidence for words in _EITHER)
    return EVIDENCE[claimed] <= evidence


def _carried(situation: Situation, band: str, exempt: str, in_force: frozenset[str]) -> bool:
    if situation.data.level == "important":
        return "SA" in in_force
    return (
        band in {"none", "small"}
        or bool(exempt)
        or "SA" in in_force
        or (band == "contract" and bool(in_force & {"SCC", "CERT"}))
        or ("GBA" in in_force and not situation.sender.ciio)
    )


def _pipia(situation: Situation, band: str, exempt: str, terms: list[_Term], *, carried: bool) -> str:
    done = situation.duties.pipia
    if done is None or done > situation.on:
        return "none"
    if carried:
        return "ok"
    if_fresh = frozenset(term.filing.kind for term in terms if _holds(term, situation))
    return "stale" if _carried(situation, band, exempt, if_fresh) else "ok"
