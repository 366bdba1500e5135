"""What is not known is the strictest: from a transfer that is allowed, take away anything that was known, and it is not."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.decide import Decision, decide
from gateway.core.declaration import SECTIONS, parse_declaration
from gateway.core.known import LEVELS, Counted, know
from gateway.core.lineage import ADDED, LOST, PROVEN, UNNAMED, UNPROVEN, Lineage
from gateway.core.records import Endpoint, FiledMechanism, Institution, Person
from gateway.core.situation import (
    Filing,
    Situation,
    Technical,
    close_upwards,
    situation_document,
    strictest,
    thaw_situation,
)
from gateway.stores.rulebooks import prc_calendar
from tests.core.examples import ENDPOINT, FILING, INSTITUTION, PERSONS, TODAY
from tests.policies.packed import pack

VOCABULARY, RULEBOOK = pack().vocabulary, pack().rulebook

# Everything a sender may say, said: general personal data of a trial, under a filed contract.
DECLARED: dict[str, Any] = {
    "data": {
        "level": "general",
        "types": ["contact", "diagnosis"],
        "secrecy_mark": False,
        "controlled_technology": False,
        "inspectable": True,
        "precise_geo": False,
        "personal": True,
        "sensitive": True,
        "under14": False,
        "anonymous_claimed": False,
        "reidentification_tested": True,
        "remote_access": False,
    },
    "hgr": {
        "information": False,
        "material": False,
        "aggregate_only": False,
        "subjects": 0,
        "wes_wgs_subjects": 0,
        "pedigree": False,
        "special_region": False,
    },
    "persons": {"sensitive": 1200, "nonsensitive": 0},
    "exemption": {"claimed": "", "evidence": [], "mainland_data_added": False},
    "duties": {
        "notice": True,
        "separate_consent": True,
        "consent_based": True,
        "guardian_consent": True,
        "pipia": "2026-10-01",
        "withdrawn_subjects": 0,
        "ethics_approval": True,
        "written_consent": True,
        "institution_approval": True,
        "owner_unit_approval": True,
    },
    "request": {"by": "sender", "mainland_approval": False},
    "filings": ["scc-1"],
}  # no purpose: the project's registered one counts

CLEAN: dict[str, Any] = {
    "level": "general",
    "inspectable": True,
    "secrecy_mark": False,
    "personal": True,
    "sensitive": True,
    "precise_geo": False,
    "persons_sensitive": 1200,
    "persons_nonsensitive": 0,
    "hgr": {"information": False, "aggregate_only": False, "subjects": 0, "sequencing_subjects": 0},
}

FINE = Technical(controls_ok=True, ledger_ok=True, clock_ok=True)
COUNTED = Counted(sensitive=1200, nonsensitive=0, hgr_subjects=0, hgr_sequencing_subjects=0, splitting_suspected=False)
KNOWN: dict[str, Any] = {
    "on": TODAY,
    "direction": "outbound",
    "institution": INSTITUTION,
    "person": PERSONS[1],
    "endpoint": ENDPOINT,
    "filings": (FILING,),
    "purpose": "trial A",
    "declared": DECLARED,
    "findings": CLEAN,
    "counted": COUNTED,
    "technical": FINE,
    "lineage": None,  # nobody claims that the data came from abroad
}
SOURCES = [name for name in KNOWN if name not in {"on", "direction", "lineage"}]

# The same without a person in it: nothing but general data, allowed by Order 16 article 3.
IMPERSONAL: dict[str, Any] = {
    **KNOWN,
    "declared": {
        **DECLARED,
        "data": {**DECLARED["data"], "personal": False, "sensitive": False},
        "persons": {"sensitive": 0, "nonsensitive": 0},
    },
    "findings": {**CLEAN, "personal": False, "sensitive": False, "persons_sensitive": 0},
    "counted": replace(COUNTED, sensitive=0),
}

# Human genetic data of individuals, allowed under everything the law asks for.
HGR_KINDS = ("HGR_REPORT", "HGR_BACKUP", "HGR_COOPERATION")
GENETIC: dict[str, Any] = {
    **KNOWN,
    "declared": {
        **DECLARED,
        "hgr": {**DECLARED["hgr"], "information": True, "subjects": 300, "wes_wgs_subjects": 300},
    },
    "findings": {**CLEAN, "hgr": {**CLEAN["hgr"], "information": True}},
    "counted": replace(COUNTED, hgr_subjects=300, hgr_sequencing_subjects=300),
    "filings": (FILING, *(replace(FILING, id=kind.lower(), kind=kind, persons_cap=500) for kind in HGR_KINDS)),
}

WORLDS = {"personal": KNOWN, "impersonal": IMPERSONAL, "genetic": GENETIC}


def situation(**known: Any) -> Situation:
    return know(**known)


def decision(known: Mapping[str, Any], **changes: Any) -> Decision:
    return decide(RULEBOOK, situation(**{**known, **changes}), prc_calendar())


def verdict(known: Mapping[str, Any], **changes: Any) -> str:
    return decision(known, **changes).verdict


def said(known: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The declaration with one key said otherwise."""
    section, name = path.split(".")
    declared = copy.deepcopy(known["declared"])
    declared.setdefault(section, {})[name] = value
    return declared


def unsaid(known: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The declaration without one key."""
    section, name = path.split(".")
    declared = copy.deepcopy(known["declared"])
    declared[section].pop(name, None)
    return declared


def declared_paths(known: Mapping[str, Any]) -> Iterator[str]:
    yield from (
        f"{section}.{name}" for section, table in known["declared"].items() if section != "filings" for name in table
    )


# --- each input in turn ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("world", WORLDS)
def test_fully_known_it_is_allowed(world: str) -> None:
    assert verdict(WORLDS[world]) == "allow", decision(WORLDS[world]).rules
    assert parse_declaration(WORLDS[world]["declared"], VOCABULARY) == WORLDS[world]["declared"]


def test_the_sender_says_everything_the_vocabulary_has() -> None:
    sayable = {path for path in VOCABULARY.facts if path.partition(".")[0] in SECTIONS}
    assert set(declared_paths(KNOWN)) | {"purpose.stated"} == sayable


@pytest.mark.parametrize("source", SOURCES)
def test_without_any_one_input_nothing_is_allowed(source: str) -> None:
    """THE test of design.md section 9: remove each input in turn and expect no allow."""
    assert verdict(KNOWN, **{source: None}) != "allow"


@pytest.mark.parametrize("world", ["impersonal", "genetic"])
@pytest.mark.parametrize("source", SOURCES)
def test_without_any_one_input_that_matters_nothing_is_allowed(world: str, source: str) -> None:
    """Where no person is in the data no filing and no purpose is asked for; everything else is."""
    matters = {"impersonal": set(SOURCES) - {"filings", "purpose"}, "genetic": set(SOURCES)}[world]
    assert (verdict(WORLDS[world], **{source: None}) == "allow") is (source not in matters)


@given(st.sets(st.sampled_from(SOURCES), min_size=1), st.booleans())
def test_knowing_less_still_never_allows(missing: set[str], genetic: bool) -> None:  # noqa: FBT001 - drawn by Hypothesis
    assert verdict(GENETIC if genetic else KNOWN, **dict.fromkeys(missing)) != "allow"


@pytest.mark.parametrize("direction", ["outbound", "inbound"])
def test_knowing_nothing_is_the_strictest_situation(direction: str) -> None:
    nothing = situation(on=TODAY, direction=direction, **dict.fromkeys([*SOURCES, "lineage"]))
    expected = strictest(TODAY)
    unclaimed = replace(expected.data, anonymous_claimed=False)  # a claim nobody made was not made
    assert nothing == replace(expected, direction=direction, data=unclaimed)
    assert decide(RULEBOOK, nothing, prc_calendar()).verdict == "deny"


def test_an_empty_declaration_is_not_an_answer() -> None:
    assert verdict(KNOWN, declared={}) != "allow"
    assert verdict(IMPERSONAL, declared={}) != "allow"


@pytest.mark.parametrize("source", [None, *SOURCES])
def test_whatever_is_known_can_be_recorded_and_thawed(source: str | None) -> None:
    """Sealing decides again from the record."""
    found = close_upwards(situation(**{**KNOWN, **({source: None} if source else {})}))
    assert thaw_situation(situation_document(found), VOCABULARY) == found


# --- a claim that the data came from abroad ------------------------------------------------------------------------------------

EVIDENCE = {"claimed": "art4", "evidence": ["collected_abroad"], "mainland_data_added": False}
BARE = {"claimed": "art4"}


@pytest.mark.parametrize(
    ("exemption", "lineage", "evidence", "added"),
    [
        (EVIDENCE, None, True, True),  # nobody looked: nothing is known of it
        (EVIDENCE, Lineage(UNPROVEN), True, False),  # the sender's word, as it always was
        (BARE, Lineage(UNPROVEN), False, True),
        (BARE, Lineage(PROVEN), True, False),  # the people in the bytes are the evidence
        (EVIDENCE, Lineage(PROVEN), True, False),
        ({**EVIDENCE, "mainland_data_added": True}, Lineage(PROVEN), True, True),  # the stricter wins
        (EVIDENCE, Lineage(ADDED, 1), True, True),
        (EVIDENCE, Lineage(UNNAMED), True, True),
        (EVIDENCE, Lineage(LOST), True, True),
        ({"claimed": "art5.1", "evidence": ["emergency"], "mainland_data_added": False}, None, False, False),
    ],
)
def test_what_lineage_makes_of_a_claim(exemption: Any, lineage: Any, evidence: bool, added: bool) -> None:  # noqa: FBT001 - a table
    said_so = {**DECLARED, "exemption": exemption}
    found = situation(**{**KNOWN, "declared": said_so, "lineage": lineage}).exemption
    assert ("collected_abroad" in found.evidence, found.mainland_data_added) == (evidence, added)
    fired = decision(KNOWN, declared=said_so, lineage=lineage).rules
    claim_holds = exemption["claimed"] == "art4" and evidence and not added
    assert ("P1" in fired, "P19" in fired) == (claim_holds, not claim_holds)


@given(st.sampled_from([None, *(Lineage(state) for state in (PROVEN, ADDED, UNPROVEN, UNNAMED, LOST))]), st.booleans())
def test_lineage_never_makes_less_of_what_a_sender_admits(lineage: Any, admits: bool) -> None:  # noqa: FBT001 - drawn by Hypothesis
    said_so = {**DECLARED, "exemption": {**EVIDENCE, "mainland_data_added": admits}}
    found = situation(**{**KNOWN, "declared": said_so, "lineage": lineage}).exemption
    assert found.mainland_data_added or not admits


# --- each declared key in turn -------------------------------------------------------------------------------------------------

# What a sender admits of the own accord, and what follows when it is not said. These are the only keys whose absence is
# laxer than some value of theirs: nobody else can know them, or the bytes answer instead.
ADMISSIONS = {
    "data.secrecy_mark": "a stated level says there is none, and the bytes are searched for one",
    "data.precise_geo": "every byte was understood and shows none",
    "data.anonymous_claimed": "a claim nobody made was not made",
    "exemption.claimed": "a claim nobody made was not made",
    "request.by": "a transfer comes under the sender's own credential; only the sender knows of an authority behind it",
}
# Said beside a definition that excludes them, these contradict the rest of the declaration (rule 3 of gateway.core.known).
CONTRADICTIONS = {
    "personal": (),
    "impersonal": ("data.sensitive", "data.under14", "duties.withdrawn_subjects"),
    "genetic": (),
}
WITHOUT_GENETICS = ("hgr.aggregate_only", "hgr.subjects", "hgr.wes_wgs_subjects", "hgr.pedigree", "hgr.special_region")


def others(path: str, value: Any) -> list[Any]:
    """Other values a sender could have said."""
    operand = VOCABULARY.facts[path]
    if operand.type == "flag":
        return [not value]
    if operand.type == "count":
        return [1, 501, 10_000, 2_000_000]
    if operand.type == "word":
        return [word for word in operand.words if word != value]
    if operand.type == "words":
        return [list(operand.words)]
    if operand.type == "date_or_false":
        return [False, "2026-01-01", "2027-01-01"]
    return [["location"], ["contact"], []] if operand.type == "texts" else ["trial B", ""]


@pytest.mark.parametrize("world", WORLDS)
def test_saying_less_never_allows_more(world: str) -> None:
    """From every declaration one word away: where it is not allowed, leaving the word out does not allow it either."""
    known, laxer = WORLDS[world], set()
    for path in declared_paths(known):
        section, name = path.split(".")
        silent = verdict(known, declared=unsaid(known, path))
        for value in others(path, known["declared"][section][name]):
            spoken = verdict(known, declared=said(known, path, value))
            if spoken != "allow" and silent == "allow":
                laxer.add(path)
    expected = set(ADMISSIONS) | set(CONTRADICTIONS[world]) | (set() if world == "genetic" else set(WITHOUT_GENETICS))
    assert laxer <= expected, f"leaving out {laxer - expected} allows what saying it does not"


def test_every_admission_is_one() -> None:
    """The list of exceptions holds nothing that is no exception."""
    values = {
        "data.secrecy_mark": True,
        "data.precise_geo": True,
        "data.anonymous_claimed": True,
        "exemption.claimed": "art6",
        "request.by": "foreign_authority",
    }
    assert set(values) == set(ADMISSIONS)
    untested = {**IMPERSONAL, "declared": said(IMPERSONAL, "data.reidentification_tested", value=False)}
    for path, value in values.items():
        assert verdict(untested, declared=said(untested, path, value)) != "allow"
        assert verdict(untested, declared=unsaid(untested, path)) == "allow"


def test_a_pedigree_in_the_bytes_counts_whatever_was_said() -> None:
    seen = {**GENETIC, "findings": {**GENETIC["findings"], "hgr": {**GENETIC["findings"]["hgr"], "pedigree": True}}}
    assert verdict(GENETIC) == "allow"
    assert verdict(seen) == "deny"  # G3: an important pedigree needs the security review (rules.md 11)


MUST_BE_SAID = {
    "personal": {
        "data.level", "data.types", "data.controlled_technology", "data.under14", "hgr.information", "hgr.material",
        "persons.sensitive", "duties.notice", "duties.separate_consent", "duties.pipia", "duties.withdrawn_subjects",
    },
    "impersonal": {"data.level", "data.controlled_technology", "hgr.information", "hgr.material"},
    "genetic": {
        "hgr.subjects", "hgr.wes_wgs_subjects", "hgr.pedigree", "hgr.special_region",
        "duties.ethics_approval", "duties.written_consent",
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("world", "path"), [(world, path) for world, paths in MUST_BE_SAID.items() for path in sorted(paths)]
)
def test_what_must_be_said(world: str, path: str) -> None:
    known = WORLDS[world]
    if path in {"data.under14", "hgr.special_region", "hgr.pedigree"}:  # nothing may stand in for it
        declared = unsaid({"declared": said(known, "duties.guardian_consent", value=False)}, path)
    elif path == "persons.sensitive":
        known = {**known, "findings": {**known["findings"], "persons_sensitive": 0}}
        declared = unsaid(known, path)
    else:
        declared = unsaid(known, path)
    assert verdict(known, declared=declared) != "allow"


SAID = st.fixed_dictionaries(
    {},
    optional={
        path: st.sampled_from([value for value in others(path, None) if value is not None]) | st.booleans()
        if VOCABULARY.facts[path].type == "flag"
        else st.sampled_from(others(path, None))
        for path in declared_paths(KNOWN)
        if path not in ADMISSIONS and path.partition(".")[0] != "hgr"
    },
)


@given(SAID, st.sampled_from(["data", "duties", "exemption", "request", "persons"]), st.data())
def test_any_declaration_says_less_and_is_not_allowed_more(
    changes: dict[str, Any], section: str, data: st.DataObject
) -> None:
    """The same from anywhere, as long as the declaration does not contradict itself."""
    declared = copy.deepcopy(DECLARED)
    for path, value in changes.items():
        where, name = path.split(".")
        declared[where][name] = value
    if not declared["data"]["personal"]:
        declared["data"] |= {"sensitive": False, "under14": False}
        declared["duties"]["withdrawn_subjects"] = 0
    name = data.draw(st.sampled_from(sorted(declared[section])))
    if f"{section}.{name}" in ADMISSIONS:
        return
    less = copy.deepcopy(declared)
    del less[section][name]
    if verdict(KNOWN, declared=declared) != "allow":
        assert verdict(KNOWN, declared=less) != "allow"


# --- the bytes ---------------------------------------------------------------------------------------------------------------

FINDINGS = st.fixed_dictionaries(
    {
        "level": st.sampled_from(LEVELS),
        "inspectable": st.booleans(),
        "secrecy_mark": st.booleans(),
        "personal": st.booleans(),
        "sensitive": st.booleans(),
        "precise_geo": st.booleans(),
        "persons_sensitive": st.integers(0, 5),
        "persons_nonsensitive": st.integers(0, 5),
        "hgr": st.fixed_dictionaries(
            {
                "information": st.booleans(),
                "aggregate_only": st.booleans(),
                "subjects": st.integers(0, 5),
                "sequencing_subjects": st.integers(0, 5),
            }
        ),
    }
)
SILENT: dict[str, Any] = {
    **CLEAN,
    "personal": False,
    "sensitive": False,
    "persons_sensitive": 0,
}
FLAGS_THAT_TIGHTEN = ("secrecy_mark", "precise_geo", "personal", "sensitive")


@given(FINDINGS, SAID)
def test_detection_only_tightens(findings: dict[str, Any], changes: dict[str, Any]) -> None:
    """Field by field: whatever the bytes show, nothing becomes laxer than what the sender said of clean bytes."""
    declared = copy.deepcopy(DECLARED)
    for path, value in changes.items():
        section, name = path.split(".")
        declared[section][name] = value
    before = situation(**{**KNOWN, "declared": declared, "findings": SILENT})
    after = situation(**{**KNOWN, "declared": declared, "findings": findings})
    assert LEVELS.index(after.data.level) <= LEVELS.index(before.data.level)
    for name in FLAGS_THAT_TIGHTEN:
        assert getattr(after.data, name) >= getattr(before.data, name)
        assert getattr(after.data, name) >= findings[name]
    assert after.data.inspectable <= before.data.inspectable
    assert after.hgr.information >= max(before.hgr.information, findings["hgr"]["information"])
    if after.hgr.aggregate_only:
        assert declared["hgr"]["aggregate_only"]
    # What the bytes cannot show stays as it was said.
    assert replace(after, data=before.data, hgr=before.hgr, persons=before.persons, duties=before.duties) == before


@given(FINDINGS)
def test_detection_never_allows_what_the_word_alone_did_not(findings: dict[str, Any]) -> None:
    for declared in (
        said(IMPERSONAL, "data.level", "important_suspected"),
        said(IMPERSONAL, "data.level", "core"),
        said(IMPERSONAL, "data.controlled_technology", value=True),
        said(IMPERSONAL, "data.secrecy_mark", value=True),
        said(IMPERSONAL, "hgr.material", value=True),
    ):
        assert verdict(IMPERSONAL, declared=declared, findings=findings) != "allow"


@pytest.mark.parametrize(
    "change",
    [
        {"inspectable": False},
        {"level": "secret"},
        {"level": "core"},
        {"level": "important"},
        {"level": "important_suspected"},
        {"level": "unknown"},
        {"secrecy_mark": True},
        {"precise_geo": True},
        {"hgr": {"information": True, "aggregate_only": False, "subjects": 9, "sequencing_subjects": 9}},
        {"hgr": {"information": True, "aggregate_only": True, "subjects": 0, "sequencing_subjects": 0}},
    ],
)
@pytest.mark.parametrize("world", ["personal", "impersonal"])
def test_each_detection_ends_an_allow(world: str, change: dict[str, Any]) -> None:
    known = WORLDS[world]
    assert verdict(known, findings={**known["findings"], **change}) != "allow"


def test_an_uninspected_file_does_not_hide_what_was_seen() -> None:
    seen = {**CLEAN, "inspectable": False, "level": "core"}
    assert situation(**{**KNOWN, "findings": seen}).data.level == "core"
    unknown = {**CLEAN, "inspectable": False, "level": "unknown"}
    assert situation(**{**KNOWN, "findings": unknown}).data.level == "general", "the word stands, D10 holds the rest"
    assert decision(KNOWN, findings=unknown).verdict == "hold"


def test_persons_found_in_what_was_said_to_be_impersonal_end_the_allow() -> None:
    found = {**IMPERSONAL["findings"], "personal": True, "persons_nonsensitive": 3}
    many = decision(IMPERSONAL, findings=found, counted=replace(COUNTED, nonsensitive=3, sensitive=0))
    assert many.situation.data.personal
    assert many.situation.persons.nonsensitive == 3


# --- counts ------------------------------------------------------------------------------------------------------------------

STRICT = strictest(TODAY)


@pytest.mark.parametrize(
    ("persons", "seen", "sensitive", "nonsensitive"),
    [
        ({"sensitive": 5, "nonsensitive": 7}, {}, 1200, 40),
        ({"sensitive": 0}, {}, 1200, 40),
        ({"nonsensitive": 7}, {}, STRICT.persons.sensitive, 40),
        ({"nonsensitive": 7}, {"persons_sensitive": 3}, 1200, 40),
        ({}, {"persons_sensitive": 3}, 1200, 40),
        ({}, {}, STRICT.persons.sensitive, STRICT.persons.nonsensitive),
        # People were counted in bytes that were read; how many of them have sensitive data nobody said: all may.
        ({"nonsensitive": 7}, {"persons_nonsensitive": 7}, 1240, 40),
        ({}, {"persons_nonsensitive": 7}, 1240, 40),
        ({}, {"persons_nonsensitive": 7, "inspectable": False}, STRICT.persons.sensitive, 40),
    ],
)
def test_a_number_nobody_told_is_not_zero(
    persons: dict[str, int], seen: dict[str, Any], sensitive: int, nonsensitive: int
) -> None:
    found = situation(
        **{
            **KNOWN,
            "declared": {**DECLARED, "persons": persons},
            "findings": {**CLEAN, "persons_sensitive": 0, **seen},
            "counted": replace(COUNTED, nonsensitive=40),
        }
    ).persons
    assert (found.sensitive, found.nonsensitive) == (sensitive, nonsensitive)


def test_of_nobody_there_is_nothing_to_tell() -> None:
    known = {**IMPERSONAL, "declared": {**IMPERSONAL["declared"], "persons": {}}}
    assert situation(**known).persons.sensitive == 0
    assert verdict(known) == "allow"


@pytest.mark.parametrize(
    ("hgr", "seen", "subjects", "sequenced"),
    [
        ({"subjects": 300, "wes_wgs_subjects": 300}, {}, 300, 300),
        ({"subjects": 300}, {}, 300, STRICT.hgr.wes_wgs_subjects),
        ({"wes_wgs_subjects": 300}, {}, STRICT.hgr.subjects, 300),
        ({}, {}, STRICT.hgr.subjects, STRICT.hgr.wes_wgs_subjects),
        ({}, {"subjects": 2}, 300, STRICT.hgr.wes_wgs_subjects),
        ({}, {"subjects": 2, "sequencing_subjects": 2}, 300, 300),
        ({"aggregate_only": True}, {"aggregate_only": True}, 300, 300),
    ],
)
def test_subjects_nobody_told_are_not_zero(
    hgr: dict[str, Any], seen: dict[str, Any], subjects: int, sequenced: int
) -> None:
    declared = {**DECLARED, "hgr": {"information": True, "material": False, **hgr}}
    findings = {**CLEAN, "hgr": {**CLEAN["hgr"], "information": True, **seen}}
    found = situation(**{**GENETIC, "declared": declared, "findings": findings}).hgr
    assert (found.subjects, found.wes_wgs_subjects) == (subjects, sequenced)


def test_aggregates_are_aggregates_only_where_nobody_says_otherwise() -> None:
    declared = {**DECLARED, "hgr": {**DECLARED["hgr"], "information": True, "aggregate_only": True}}
    for findings, aggregate in (
        (None, True),
        (CLEAN, True),
        ({**CLEAN, "hgr": {"information": True, "aggregate_only": True}}, True),
        ({**CLEAN, "hgr": {"information": True, "aggregate_only": False}}, False),
    ):
        assert situation(**{**KNOWN, "declared": declared, "findings": findings}).hgr.aggregate_only is aggregate
    seen = {**CLEAN, "hgr": {"information": True, "aggregate_only": True}}
    assert not situation(**{**KNOWN, "findings": seen}).hgr.aggregate_only, "the sender must say it too"


# --- who -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("person", "real"),
    [
        (PERSONS[1], True),
        (replace(PERSONS[1], real_name_verified=False), False),
        (replace(PERSONS[1], valid_to=TODAY), True),
        (replace(PERSONS[1], valid_to=TODAY - timedelta(days=1)), False),
        (None, False),
    ],
)
def test_a_real_name_is_verified_and_valid(person: Person | None, real: bool) -> None:  # noqa: FBT001 - a row of the table
    assert situation(**{**KNOWN, "person": person}).sender.real_name is real


@pytest.mark.parametrize(
    ("institution", "filed"),
    [
        (INSTITUTION, True),
        (replace(INSTITUTION, filed_to=TODAY), True),
        (replace(INSTITUTION, filed_to=TODAY - timedelta(days=1)), False),
        (replace(INSTITUTION, filing_number=""), False),
    ],
)
def test_an_institution_is_filed_on_the_day(institution: Institution, filed: bool) -> None:  # noqa: FBT001 - a row of the table
    assert situation(**{**KNOWN, "institution": institution}).sender.filed is filed


@pytest.mark.parametrize("name", ["ciio", "overseas_controlled", "health_org", "government_funded", "in_ftz"])
def test_the_registry_speaks_of_the_sender(name: str) -> None:
    for value in (True, False):
        found = situation(**{**KNOWN, "institution": replace(INSTITUTION, **{name: value})})
        assert getattr(found.sender, name) is value


def test_the_registry_speaks_of_the_recipient() -> None:
    endpoint = Endpoint(
        id="mo-lab",
        name="Macao",
        place="MO",
        connector="directory",
        recipient_key="",
        mainland_controlled=True,
        listed_pipl42=True,
        in_hetao_hk_park=True,
        onward=("SG",),
    )
    found = situation(**{**KNOWN, "endpoint": endpoint}).recipient
    assert vars(found) == {
        "id": "mo-lab",
        "place": "MO",
        "mainland_controlled": True,
        "listed_pipl42": True,
        "in_hetao_hk_park": True,
        "onward": ("SG",),
    }


def test_every_word_of_a_filing_reaches_the_rules() -> None:
    filed = FiledMechanism(
        id="sa-1",
        institution="sz-lab",
        kind="SA",
        recipients=("a",),
        purpose="p",
        data_types=("t",),
        effective=date(2026, 1, 1),
        filed=date(2026, 1, 2),
        valid_to=date(2029, 1, 1),
        extended=True,
        persons_cap=9,
    )
    (found,) = situation(**{**KNOWN, "filings": (filed,)}).filings
    assert found.persons_used is None, "absent: everybody of the year"
    (counted,) = situation(**{**KNOWN, "filings": (filed,), "used": {"sa-1": 4, "sa-2": 7}}).filings
    assert counted == replace(found, persons_used=4)
    for each in fields(Filing):
        if each.name != "persons_used":
            assert getattr(found, each.name) == getattr(filed, each.name)


def test_a_transfers_own_purpose_stands_over_the_projects() -> None:
    declared = {**DECLARED, "purpose": {"stated": "trial B"}}
    assert situation(**{**KNOWN, "declared": declared}).purpose.stated == "trial B"
    assert verdict(KNOWN, declared=declared) != "allow", "the filing is for trial A"
    assert situation(**KNOWN).purpose.stated == "trial A"


def test_suspected_splitting_is_the_ledgers_to_say() -> None:
    for suspected in (True, False):
        counted = replace(COUNTED, splitting_suspected=suspected)
        assert situation(**{**KNOWN, "counted": counted}).sender.splitting_suspected is suspected


def test_levels_are_the_vocabularys() -> None:
    assert set(LEVELS) == set(VOCABULARY.facts["data.level"].words)
