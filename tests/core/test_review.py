"""Four eyes: which votes count, which are void and why, and what two approvals are. All with real signatures."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import registry as registry_rules
from gateway.core.errors import BrokenPromise, Unusable
from gateway.core.records import Delegation, Officer, Person, SshKey
from gateway.core.registry import Registry, compose_change
from gateway.core.review import (
    APPROVE,
    CLOCK_SLACK,
    MAX_REASON,
    REJECT,
    VOTE_LIFE,
    Case,
    Counted,
    Tally,
    Void,
    Vote,
    check_vote,
    parse_ballot,
    tally,
)
from gateway.wire import canonical, sshsig
from tests.core.examples import (
    HELD_FOR_JUDGEMENT,
    NOW,
    OFFICERS,
    SECURITY_KEY,
    STRANGER_KEY,
    TODAY,
    approvals,
    ballot,
    case_of,
    cast,
    changed,
    decided,
    founded,
    key,
    public_line,
    signed,
)

REGISTRY = founded()
CASE = case_of(decided(**HELD_FOR_JUDGEMENT))


def checked(vote: Vote, **changes: Any) -> Counted | Void:
    given_values: dict[str, Any] = {"case": CASE, "sender": "chen", "registry": REGISTRY, "now": NOW, "today": TODAY}
    return check_vote(vote, **(given_values | changes))


def counted(*votes: Vote, case: Case = CASE, sender: str = "chen", registry: Registry = REGISTRY) -> Tally:
    return tally(votes, case, sender, registry, NOW, TODAY)


# --- what counts, what is void -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("officer", ["officer-li", "officer-zhao"])
@pytest.mark.parametrize("word", [APPROVE, REJECT])
def test_a_vote_that_counts(officer: str, word: str) -> None:
    found = checked(cast(ballot(CASE, officer, word)))
    assert isinstance(found, Counted)
    assert (found.officer.id, found.ballot.vote) == (officer, word)


CHANGED_CASE = replace(CASE, files_root="0" * 64)
VOID: dict[str, tuple[Vote, str]] = {
    "unreadable": (Vote(b"yes!", b""), "cannot be read"),
    "about another case": (cast(ballot(CHANGED_CASE)), "the decision changed"),
    "about another transfer": (cast(ballot(CASE, transfer_id="t-2")), "the decision changed"),
    "not signed": (Vote(ballot(CASE).message(), b""), "signature does not hold"),
    "signed by a stranger": (cast(ballot(CASE), STRANGER_KEY), "no officer in office"),
    "signed for another purpose": (cast(ballot(CASE), namespace="hetao-registry"), "another namespace"),
    "signature of another ballot": (
        Vote(ballot(CASE, reason="other").message(), cast(ballot(CASE)).signature),
        "signature does not hold",
    ),
    "in another officer's name": (
        cast(ballot(CASE, "officer-zhao"), SECURITY_KEY),
        "signature is by officer officer-li",
    ),
    "by an office that does not vote": (cast(ballot(CASE, "officer-sun")), "the system officer does not vote"),
    "from the future": (cast(ballot(CASE, at=NOW + CLOCK_SLACK + timedelta(seconds=1))), "holds 14 days"),
    "expired": (cast(ballot(CASE, at=NOW - VOTE_LIFE - timedelta(seconds=1))), "holds 14 days"),
}


@pytest.mark.parametrize(("vote", "reason"), VOID.values(), ids=VOID)
def test_a_void_vote_says_why_and_moves_nothing(vote: Vote, reason: str) -> None:
    found = checked(vote)
    assert isinstance(found, Void)
    assert reason in found.reason
    total = counted(vote, *approvals(CASE, "officer-zhao" if found.officer != "officer-zhao" else "officer-li"))
    assert total.void == (found,)
    assert (total.approved, total.missing, total.rejections) == (False, 1, ())


@pytest.mark.parametrize("at", [NOW + CLOCK_SLACK, NOW - VOTE_LIFE])
def test_the_edges_of_a_votes_life(at: datetime) -> None:
    assert isinstance(checked(cast(ballot(CASE, at=at))), Counted)


@pytest.mark.parametrize("sender", ["li", "below-li", "above-li"])
def test_nobody_votes_in_the_senders_line(sender: str) -> None:
    registry = changed(
        changed(REGISTRY, ("person", Person("above-li", "上", real_name_verified=True))),
        ("person", Person("li", "李安全", supervisor="above-li")),
        ("person", Person("below-li", "下", supervisor="li")),
    )
    found = checked(cast(ballot(CASE, "officer-li")), registry=registry, sender=sender)
    assert isinstance(found, Void)
    assert "line" in found.reason
    assert isinstance(checked(cast(ballot(CASE, "officer-zhao")), registry=registry, sender=sender), Counted)


def test_an_office_that_is_over_does_not_vote() -> None:
    leaving = changed(REGISTRY, ("officer", replace(OFFICERS[1], valid_to=TODAY)))
    vote = cast(ballot(CASE, "officer-zhao"))
    assert isinstance(checked(vote, registry=leaving), Counted)
    found = checked(vote, registry=leaving, today=TODAY + timedelta(days=1))
    assert isinstance(found, Void)
    assert "no officer in office" in found.reason


def test_a_key_that_was_replaced_does_not_vote() -> None:
    rotated = changed(REGISTRY, ("officer", replace(OFFICERS[1], key=public_line(key(5)))))
    assert isinstance(checked(cast(ballot(CASE, "officer-zhao")), registry=rotated), Void)
    assert isinstance(checked(cast(ballot(CASE, "officer-zhao"), key(5)), registry=rotated), Counted)


# --- the count -------------------------------------------------------------------------------------------------------------


def test_two_persons_approve() -> None:
    total = counted(*approvals(CASE))
    assert (total.approved, total.missing, total.void) == (True, 0, ())
    assert [each.officer.id for each in total.approvals] == ["officer-li", "officer-zhao"]


def test_nobody_and_one_are_not_enough() -> None:
    assert (counted().approved, counted().missing) == (False, 2)
    one = counted(*approvals(CASE, "officer-li"))
    assert (one.approved, one.missing) == (False, 1)


def test_voting_twice_is_one_vote() -> None:
    twice = counted(*approvals(CASE, "officer-li"), cast(ballot(CASE, "officer-li", reason="once more")))
    assert (twice.approved, twice.missing) == (False, 1)


def test_one_person_with_two_offices_is_one_person() -> None:
    second = Officer("officer-li-2", "li", "security", public_line(key(4)))
    registry = changed(REGISTRY, ("officer", second))
    total = counted(*approvals(CASE, "officer-li"), cast(ballot(CASE, "officer-li-2"), key(4)), registry=registry)
    assert len(total.approvals) == 2
    assert (total.approved, total.missing) == (False, 1)


def test_a_rejection_wins_over_any_number_of_approvals() -> None:
    total = counted(cast(ballot(CASE, "officer-li")), cast(ballot(CASE, "officer-zhao", REJECT)))
    assert (total.approved, len(total.rejections), total.missing) == (False, 1, 1)
    more = replace(total, approvals=(*counted(*approvals(CASE)).approvals,))
    assert not more.approved


@pytest.mark.parametrize(("first", "second"), [(APPROVE, REJECT), (REJECT, APPROVE)])
@pytest.mark.parametrize("recorded", [(0, 1), (1, 0)])
def test_a_rejection_stands_whatever_its_officer_says_later(first: str, second: str, recorded: tuple[int, int]) -> None:
    votes = [
        cast(ballot(CASE, "officer-li", first, at=NOW - timedelta(hours=2))),
        cast(ballot(CASE, "officer-li", second, at=NOW - timedelta(hours=1))),
    ]
    total = counted(*(votes[place] for place in recorded), *approvals(CASE, "officer-zhao"))
    assert total.approved is (first == second == APPROVE)
    assert total.rejections


def test_a_void_vote_does_not_replace_a_good_one() -> None:
    later_but_void = cast(ballot(CASE, "officer-li", REJECT, at=NOW + timedelta(days=1)))
    forged = cast(ballot(CASE, "officer-li", REJECT, at=NOW), STRANGER_KEY)
    assert counted(*approvals(CASE), later_but_void, forged).approved


def test_of_two_votes_of_one_instant_the_rejection_stands() -> None:
    votes = [cast(ballot(CASE, "officer-li", word)) for word in (REJECT, APPROVE)]
    assert counted(*votes, *approvals(CASE, "officer-zhao")).rejections
    assert counted(*votes[::-1], *approvals(CASE, "officer-zhao")).rejections


VOTES = [
    *(cast(ballot(CASE, officer, word)) for officer in ("officer-li", "officer-zhao") for word in (APPROVE, REJECT)),
    *(vote for vote, _ in VOID.values()),
]


@given(st.lists(st.sampled_from(VOTES), max_size=8))
def test_approved_means_two_persons_in_voting_offices(votes: list[Vote]) -> None:
    total = counted(*votes)
    assert len(total.void) == sum(vote in [void for void, _ in VOID.values()] for vote in votes)
    persons = {each.officer.person for each in total.approvals}
    assert total.approved is (persons == {"li", "zhao"} and not total.rejections)
    assert not persons & {each.officer.person for each in total.rejections}
    assert not persons & REGISTRY.line_of("chen")


# --- deputies ----------------------------------------------------------------------------------------------------------------

DEPUTY_KEY = key(7)
HE = Person("he", "何代理", real_name_verified=True, qualified=("audit",))
LEAVE = Delegation("leave", "officer-zhao", "he", public_line(DEPUTY_KEY), TODAY, TODAY + timedelta(days=3), "leave")
DEPUTISED = changed(REGISTRY, ("person", HE), ("delegation", LEAVE))
OF_DEPUTY = cast(ballot(CASE, "officer-zhao"), DEPUTY_KEY)


def test_a_deputys_vote_is_the_officers() -> None:
    found = checked(OF_DEPUTY, registry=DEPUTISED)
    assert isinstance(found, Counted)
    assert (found.officer.id, found.person) == ("officer-zhao", "he")
    assert counted(*approvals(CASE, "officer-li"), OF_DEPUTY, registry=DEPUTISED).approved
    assert isinstance(checked(OF_DEPUTY), Void), "without the delegation it is a stranger's"


@pytest.mark.parametrize(("days", "counts"), [(-1, False), (0, True), (3, True), (4, False)])
def test_a_deputy_votes_on_the_days_of_the_delegation_only(days: int, *, counts: bool) -> None:
    day = timedelta(days=days)
    vote = cast(ballot(CASE, "officer-zhao", at=NOW + day), DEPUTY_KEY)
    found = checked(vote, registry=DEPUTISED, now=NOW + day, today=TODAY + day)
    assert isinstance(found, Counted if counts else Void)


def test_officer_and_deputy_are_one_vote() -> None:
    both = counted(*approvals(CASE, "officer-zhao"), OF_DEPUTY, registry=DEPUTISED)
    assert (len(both.approvals), both.approved, both.missing) == (1, False, 1)
    against = cast(ballot(CASE, "officer-zhao", REJECT, at=NOW - timedelta(hours=1)), DEPUTY_KEY)
    for votes in ([against, *approvals(CASE)], [*approvals(CASE), against]):
        assert counted(*votes, registry=DEPUTISED).rejections, "the deputy's rejection is not taken back by the officer"


def test_a_deputy_votes_in_no_other_name() -> None:
    assert isinstance(checked(cast(ballot(CASE, "officer-li"), DEPUTY_KEY), registry=DEPUTISED), Void)


@pytest.mark.parametrize("sender", ["he", "zhao", "below-he"])
def test_neither_deputy_nor_officer_may_be_of_the_senders_line(sender: str) -> None:
    registry = changed(DEPUTISED, ("person", Person("below-he", "下", supervisor="he")))
    found = checked(OF_DEPUTY, registry=registry, sender=sender)
    assert isinstance(found, Void)
    assert "line" in found.reason


def test_one_person_in_two_seats_is_one_person() -> None:
    """An officer who stands in for a colleague has two seats, and is one pair of eyes."""
    second = Officer("officer-zhao-2", "qian", "audit", public_line(key(8)))
    qian = Person("qian", "钱审计", real_name_verified=True)
    stands_in = Delegation("two", "officer-zhao", "qian", public_line(key(8)), TODAY, TODAY, "leave")
    registry = changed(REGISTRY, ("person", qian), ("officer", second), ("delegation", stands_in))
    votes = [cast(ballot(CASE, officer), key(8)) for officer in ("officer-zhao", "officer-zhao-2")]
    total = counted(*votes, registry=registry)
    assert (len(total.approvals), total.approved, total.missing) == (2, False, 1)
    assert counted(*votes, *approvals(CASE, "officer-li"), registry=registry).approved


@pytest.mark.parametrize(
    ("put", "says"),
    [
        ((("person", replace(HE, qualified=())), ("delegation", LEAVE)), "not qualified for the audit role"),
        ((("person", replace(HE, qualified=("security",))), ("delegation", LEAVE)), "not qualified for the audit role"),
        ((("person", replace(HE, real_name_verified=False)), ("delegation", LEAVE)), "real name"),
        ((("person", HE), ("delegation", replace(LEAVE, person="sun", key=OFFICERS[2].key))), "holds two offices"),
        ((("person", HE), ("delegation", replace(LEAVE, person="zhao", key=OFFICERS[1].key))), "own deputy"),
        ((("person", HE), ("delegation", replace(LEAVE, key=OFFICERS[0].key))), "one key is registered"),
        ((("person", HE), ("delegation", replace(LEAVE, officer="nobody"))), "not registered"),
        (
            (
                ("person", replace(HE, institution="sz-lab")),
                ("delegation", LEAVE),
                ("sshkey", SshKey("he-key", "sz-lab", "he", public_line(key(6)))),
            ),
            "can send data",
        ),
        (
            (
                ("person", replace(HE, qualified=("audit", "security"))),
                ("delegation", LEAVE),
                ("delegation", replace(LEAVE, id="second", officer="officer-li")),
            ),
            "holds two offices",
        ),
    ],
    ids=[
        "unqualified",
        "of another role",
        "no real name",
        "system officer",
        "self",
        "key",
        "no officer",
        "sends",
        "two",
    ],
)
def test_who_may_not_be_a_deputy(put: Any, says: str) -> None:
    with pytest.raises(Unusable, match=says):
        changed(REGISTRY, *put)


def test_a_deputy_signs_no_change_of_the_registry() -> None:
    change = compose_change(DEPUTISED.head, (("person", Person("new", "新")),))
    theirs = sshsig.sign(DEPUTY_KEY, change.document, registry_rules.NAMESPACE)
    with pytest.raises(BrokenPromise, match="does not hold"):
        DEPUTISED.apply(change, (signed(change)[0], theirs), TODAY)


# --- the case --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"transfer_id": "t-2"},
        {"files_root": "00" * 32},
        {"endpoint": "cuhk"},
        {"endpoint_key": "SHA256:" + "0" * 64},
        {"rulebook": "0" * 64},
        {"rules": (*CASE.rules, "P8")},
        {"rules": CASE.rules[::-1]},
        {"known": {**CASE.known, "direction": "inbound"}},
        {"known": {**CASE.known, "data": {**CASE.known["data"], "personal": True}}},
    ],
    ids=["transfer", "files", "endpoint", "key", "rule pack", "rules", "order of rules", "direction", "data"],
)
def test_a_changed_case_voids_the_votes(change: dict[str, Any]) -> None:
    other = replace(CASE, **change)
    assert other.digest() != CASE.digest()
    total = counted(*approvals(CASE), case=other)
    assert (total.approved, len(total.void)) == (False, 2)


@pytest.mark.parametrize("change", [{"on": "2026-11-21"}, {"persons": {"sensitive": 5, "nonsensitive": 7}}])
def test_the_day_and_the_running_counts_do_not(change: dict[str, Any]) -> None:
    assert replace(CASE, known={**CASE.known, **change}).digest() == CASE.digest()


def test_a_case_does_not_depend_on_the_order_of_words() -> None:
    assert replace(CASE, known=dict(reversed(CASE.known.items()))).digest() == CASE.digest()


# --- ballots ---------------------------------------------------------------------------------------------------------------


def test_a_ballot_is_its_message() -> None:
    made = ballot(CASE, reason="人 looked at it")
    assert parse_ballot(made.message()) == made


GOOD: dict[str, Any] = {
    "v": 1,
    "case": CASE.digest(),
    "transfer": "t-1",
    "officer": "officer-li",
    "vote": "approve",
    "reason": "seen",
    "at": "2026-11-20T10:00:00+08:00",
}


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"v": True},
        {"v": None},
        {"note": "x"},
        {"case": 5},
        {"transfer": None},
        {"officer": ["officer-li"]},
        {"vote": "abstain"},
        {"vote": "APPROVE"},
        {"vote": ["approve"]},
        {"vote": {}},
        {"reason": ""},
        {"reason": "  \n"},
        {"reason": "x" * (MAX_REASON + 1)},
        {"reason": 7},
        {"reason": None},
        {"at": "2026-11-20T10:00:00"},
        {"at": "2026-11-20"},
        {"at": "yesterday"},
        {"at": 1_800_000_000},
    ],
)
def test_a_ballot_of_another_form(change: dict[str, Any]) -> None:
    parse_ballot(canonical.encode(GOOD))
    with pytest.raises(Unusable):
        parse_ballot(canonical.encode({**GOOD, **change}))


@pytest.mark.parametrize("missing", GOOD)
def test_every_field_of_a_ballot_is_needed(missing: str) -> None:
    with pytest.raises(Unusable):
        parse_ballot(canonical.encode({key: value for key, value in GOOD.items() if key != missing}))


@given(st.binary(max_size=100))
def test_bytes_that_are_no_ballot(message: bytes) -> None:
    assert isinstance(checked(Vote(message, message)), Void)


def test_the_longest_reason_fits() -> None:
    assert parse_ballot(canonical.encode({**GOOD, "reason": "理" * MAX_REASON})).reason
