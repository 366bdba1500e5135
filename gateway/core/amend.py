"""The smallest change that would make a decision pass: what a sender or an officer could do about it.

It tries, on the recorded facts, what people can really bring about: a filing made, a paper recorded, a claim withdrawn. It never
tries what would be untrue by wishing, such as fewer persons or a lower level than was found.

The rules:
1. An answer is a set of changes after which every rule is evaluated again and the verdict is allow; no smaller set does it.
2. Where none of at most MOST changes does, there is no answer: say that nothing on file helps.
3. A change that would allow is not a promise: whoever files an untrue paper has an untrue paper.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any, Final

from gateway.core.calendar import WorkCalendar
from gateway.core.decide import Decision, decide
from gateway.core.rulebook import Rulebook
from gateway.core.situation import Filing, Situation

MOST: Final = 6  # changes in one answer
ANSWERS: Final = 5  # of the same size
_TRIES: Final = 3_000  # decisions of half a millisecond each

Change = Callable[[Situation], Situation]


def _duty(**changes: Any) -> Change:
    return lambda situation: replace(situation, duties=replace(situation.duties, **changes))


def _data(**changes: Any) -> Change:
    return lambda situation: replace(situation, data=replace(situation.data, **changes))


def _filed(kind: str) -> Change:
    """A filing of the kind for this recipient and any purpose, in force and filed on the day."""

    def change(situation: Situation) -> Situation:
        filing = Filing(
            kind=kind,
            recipients=(situation.recipient.id,),
            purpose="",
            data_types=(),
            effective=situation.on,
            filed=situation.on,
            valid_to=None,
            extended=False,
            persons_cap=0,
            persons_used=None,
        )
        return replace(situation, filings=(*situation.filings, filing))

    return change


def _assessed(situation: Situation) -> Situation:
    return _duty(pipia=situation.on)(situation)


def _unclaimed(situation: Situation) -> Situation:
    return replace(situation, exemption=replace(situation.exemption, claimed=""))


# In the order in which they are offered: what costs a sender least comes first. Ids are those of the catalogue's `amend` section.
CHANGES: Final[Mapping[str, Change]] = {
    "unclaim": _unclaimed,
    "notice": _duty(notice=True),
    "separate_consent": _duty(separate_consent=True),
    "guardian_consent": _duty(guardian_consent=True),
    "written_consent": _duty(written_consent=True),
    "withdrawn": _duty(withdrawn_subjects=0),
    "pipia": _assessed,
    "institution_approval": _duty(institution_approval=True),
    "owner_unit_approval": _duty(owner_unit_approval=True),
    "ethics_approval": _duty(ethics_approval=True),
    "reidentification": _data(reidentification_tested=True),
    "inspectable": _data(inspectable=True),
    "classified": lambda s: _data(level="general")(s) if s.data.level == "unknown" else s,
    "registered": lambda s: replace(s, sender=replace(s.sender, filed=True)),
    "real_name": lambda s: replace(s, sender=replace(s.sender, real_name=True)),
    "approval_of_authority": lambda s: replace(s, request=replace(s.request, mainland_approval=True)),
    "file_scc": _filed("SCC"),
    "file_cert": _filed("CERT"),
    "file_gba": _filed("GBA"),
    "file_hgr_report": _filed("HGR_REPORT"),
    "file_hgr_backup": _filed("HGR_BACKUP"),
    "file_hgr_cooperation": _filed("HGR_COOPERATION"),
    "file_hgr_review": _filed("HGR_REVIEW"),
    "file_mofcom": _filed("MOFCOM"),
    "file_sa": _filed("SA"),
}


def smallest(rulebook: Rulebook, situation: Situation, calendar: WorkCalendar) -> tuple[tuple[str, ...], ...]:
    """The smallest sets of changes that make the verdict allow, at most ANSWERS of them; none where none is found.

    Args:
        rulebook: The pack to decide under.
        situation: What was known.
        calendar: The mainland's working days.

    Returns:
        Sets of ids of `CHANGES`; one empty set where it is allowed as it stands.
    """

    def decided(names: tuple[str, ...]) -> Decision:
        changed = situation
        for name in names:
            changed = CHANGES[name](changed)
        return decide(rulebook, changed, calendar)

    before = decided(())
    if before.verdict == "allow":
        return ((),)
    useful = [name for name in CHANGES if _helps(before, decided((name,)))]
    tries = 0
    for size in range(1, min(MOST, len(useful)) + 1):
        found: list[tuple[str, ...]] = []
        for names in combinations(useful, size):
            tries += 1
            if tries > _TRIES:
                return tuple(found)
            if decided(names).verdict == "allow":
                found.append(names)
                if len(found) == ANSWERS:
                    break
        if found:
            return tuple(found)
    return ()


def _helps(before: Decision, after: Decision) -> bool:
    """Whether a change alters which rules fire, or what filings carry: alone or as half of a pair."""
    return before.rules != after.rules or before.derived != after.derived
