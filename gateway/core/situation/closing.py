"""Closing a situation upwards, and the situation of somebody who knows nothing.

What it is not: inference. Each step states what follows by definition, and only ever towards the stricter side.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from gateway.core.situation.sections import (
    Data,
    Duties,
    Exemption,
    Hgr,
    Persons,
    Purpose,
    Recipient,
    Request,
    Sender,
    Situation,
    Technical,
)

UNKNOWN_COUNT = 10**12
"""Stands for a count nobody made: above every threshold of the law, and two of them still fit a JSON integer."""

UNKNOWN_PLACE = "ZZ"
"""A user-assigned code of ISO 3166-1: nowhere, and so outside every area a rule favours."""


def close_upwards(situation: Situation) -> Situation:
    """The situation with everything stated that follows by definition; closing twice changes nothing.

    Individual-level human genetic data and data on persons under 14 are sensitive (PIPL art 28), sensitive data are
    personal, and personal data concern at least one person.
    """
    hgr = _close_hgr(situation.hgr)
    data = _close_data(situation.data, individual=hgr.information and not hgr.aggregate_only)
    return replace(situation, hgr=hgr, data=data, persons=_close_persons(situation.persons, data))


def _close_hgr(hgr: Hgr) -> Hgr:
    hints = hgr.aggregate_only or hgr.pedigree or hgr.special_region or hgr.subjects or hgr.wes_wgs_subjects
    return replace(hgr, information=hgr.information or bool(hints), subjects=max(hgr.subjects, hgr.wes_wgs_subjects))


def _close_data(data: Data, *, individual: bool) -> Data:
    sensitive = data.sensitive or data.under14 or individual
    return replace(data, sensitive=sensitive, personal=data.personal or sensitive)


def _close_persons(persons: Persons, data: Data) -> Persons:
    if data.sensitive:
        return replace(persons, sensitive=max(persons.sensitive, 1))
    if data.personal:
        return replace(persons, nonsensitive=max(persons.nonsensitive, 1))
    return persons


def strictest(on: date) -> Situation:
    """What is known when nothing is: every value is the one that allows least, and no verdict on it is an allow.

    The level is `unknown`, not `secret`: an unclassified file is a question for people, not a crime.

    Args:
        on: Day of the decision, Asia/Shanghai; the only thing always known.
    """
    return Situation(
        on=on,
        direction="outbound",
        sender=_STRICTEST_SENDER,
        recipient=_STRICTEST_RECIPIENT,
        request=Request(by="foreign_authority", mainland_approval=False),
        data=_STRICTEST_DATA,
        hgr=_STRICTEST_HGR,
        persons=Persons(nonsensitive=UNKNOWN_COUNT, sensitive=UNKNOWN_COUNT),
        exemption=Exemption(claimed="", evidence=(), mainland_data_added=True),
        duties=_STRICTEST_DUTIES,
        filings=(),
        purpose=Purpose(stated=""),
        technical=Technical(controls_ok=False, ledger_ok=False, clock_ok=False),
    )


_STRICTEST_SENDER = Sender(
    id="",
    filed=False,
    real_name=False,
    ciio=True,
    overseas_controlled=True,
    gba_city="",
    health_org=True,
    government_funded=True,
    splitting_suspected=True,
    in_ftz=False,
)
_STRICTEST_RECIPIENT = Recipient(
    id="",
    place=UNKNOWN_PLACE,
    mainland_controlled=False,
    listed_pipl42=True,
    in_hetao_hk_park=False,
    onward=(UNKNOWN_PLACE,),
)
_STRICTEST_DATA = Data(
    level="unknown",
    types=(),
    secrecy_mark=True,
    controlled_technology=True,
    inspectable=False,
    precise_geo=True,
    personal=True,
    sensitive=True,
    under14=True,
    anonymous_claimed=True,
    reidentification_tested=False,
    remote_access=True,
)
_STRICTEST_HGR = Hgr(
    information=True,
    material=True,
    aggregate_only=False,
    subjects=UNKNOWN_COUNT,
    wes_wgs_subjects=UNKNOWN_COUNT,
    pedigree=True,
    special_region=True,
)
_STRICTEST_DUTIES = Duties(
    notice=False,
    separate_consent=False,
    consent_based=True,
    guardian_consent=False,
    pipia=None,
    withdrawn_subjects=UNKNOWN_COUNT,
    ethics_approval=False,
    written_consent=False,
    institution_approval=False,
    owner_unit_approval=False,
)
