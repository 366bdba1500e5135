"""The clearance is earned or not had; the manifest binds exactly what was cleared."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import seal
from gateway.core.decide import Decision, cures
from gateway.core.review import APPROVE, REJECT, Tally, Vote, tally
from gateway.core.seal import (
    Carried,
    Cleared,
    NotCleared,
    clear,
    clearance_document,
    compose_manifest,
    manifest_digest,
    sealed_name,
)
from gateway.wire import canonical, crypt4gh
from tests.core.examples import (
    ALLOWING,
    DENIED,
    FILES,
    HELD_FOR_BOTH,
    HELD_FOR_DOCUMENTS,
    HELD_FOR_JUDGEMENT,
    HELD_FOR_NOTHING_KNOWN,
    NOW,
    TODAY,
    approvals,
    ballot,
    case_of,
    cast,
    decided,
    founded,
    received,
)

REGISTRY = founded()
NOBODY = Tally((), (), ())
ALLOW, JUDGEMENT, DOCUMENTS, BOTH, NOTHING, DENY = (
    decided(**facts)
    for facts in (ALLOWING, HELD_FOR_JUDGEMENT, HELD_FOR_DOCUMENTS, HELD_FOR_BOTH, HELD_FOR_NOTHING_KNOWN, DENIED)
)


def outcome(decision: Decision, *votes: Vote) -> Cleared | NotCleared:
    case = case_of(decision)
    return clear(case, decision, tally(votes, case, "chen", REGISTRY, NOW, TODAY))


def voted_for(decision: Decision) -> list[Vote]:
    return approvals(case_of(decision))


def cleared(decision: Decision = ALLOW) -> Cleared:
    found = outcome(decision, *voted_for(decision))
    assert isinstance(found, Cleared)
    return found


# --- who clears ------------------------------------------------------------------------------------------------------------


def test_an_allow_clears_by_itself() -> None:
    found = outcome(ALLOW)
    assert isinstance(found, Cleared)
    assert (found.basis, found.officers, found.case) == ("rules", (), case_of(ALLOW))


def test_a_judgement_clears_by_two_votes() -> None:
    found = outcome(JUDGEMENT, *voted_for(JUDGEMENT))
    assert isinstance(found, Cleared)
    assert (found.basis, found.officers) == ("votes", ("officer-li", "officer-zhao"))


def test_a_judgement_does_not_clear_before() -> None:
    assert outcome(JUDGEMENT) == NotCleared("2 approval(s) missing")
    assert outcome(JUDGEMENT, *voted_for(JUDGEMENT)[:1]) == NotCleared("1 approval(s) missing")


def test_one_rejection_keeps_it() -> None:
    case = case_of(JUDGEMENT)
    against = cast(ballot(case, "officer-zhao", REJECT))
    assert outcome(JUDGEMENT, cast(ballot(case)), against) == NotCleared("rejected by an officer")


@pytest.mark.parametrize(
    ("decision", "says"),
    [
        (DENY, "not voted away"),
        (DOCUMENTS, "a document is missing"),
        (BOTH, "a document is missing"),
        (NOTHING, "no rule allows it"),
    ],
    ids=["denied", "documents", "documents and judgement", "no rule"],
)
def test_votes_clear_nothing_else(decision: Decision, says: str) -> None:
    for votes in ([], voted_for(decision)):
        found = outcome(decision, *votes)
        assert isinstance(found, NotCleared)
        assert says in found.reason


def test_a_broken_rule_is_not_voted_away() -> None:
    broken = replace(
        JUDGEMENT, fired=tuple(replace(rule, cure="none", error="no such key") for rule in JUDGEMENT.fired)
    )
    found = outcome(broken, *voted_for(broken))
    assert isinstance(found, NotCleared)
    assert "could not be evaluated" in found.reason


@pytest.mark.parametrize(
    "change",
    [{"rulebook": "0" * 64}, {"rules": ()}, {"rules": ("P0", "D10")}, {"rules": ("P0",)}],
    ids=["pack", "no rules", "order", "fewer"],
)
def test_the_decision_must_be_the_cases(change: dict[str, Any]) -> None:
    case = case_of(JUDGEMENT, **change)
    votes = tally(approvals(case), case, "chen", REGISTRY, NOW, TODAY)
    assert votes.approved
    assert clear(case, JUDGEMENT, votes) == NotCleared("the decision is not about this case")


def test_votes_on_another_case_do_not_clear_this_one() -> None:
    other = case_of(JUDGEMENT, files_root="0" * 64)
    count = tally(approvals(other), other, "chen", REGISTRY, NOW, TODAY)
    assert count.approved
    assert clear(case_of(JUDGEMENT), JUDGEMENT, count) == NotCleared("the votes are on another case")


NEVER = [DENY, DOCUMENTS, BOTH, NOTHING]
EVERY_VOTE = [
    [
        cast(ballot(case_of(decision), officer, word))
        for officer in ("officer-li", "officer-zhao", "officer-sun")
        for word in (APPROVE, REJECT)
    ]
    for decision in NEVER
]


@given(st.integers(0, len(NEVER) - 1), st.lists(st.integers(0, 5), max_size=6))
def test_no_votes_whatever_clear_a_denial_or_a_missing_document(which: int, votes: list[int]) -> None:
    assert cures(NEVER[which]) != "judgement"
    assert isinstance(outcome(NEVER[which], *(EVERY_VOTE[which][vote] for vote in votes)), NotCleared)


# --- a clearance cannot be had otherwise -------------------------------------------------------------------------------------

OTHER = case_of(DENY)


FORGERIES: dict[str, Callable[[], Any]] = {
    "constructed": lambda: Cleared(OTHER, "rules", (), object()),
    "constructed without": lambda: Cleared(OTHER, "rules", ()),
    "constructed with None": lambda: Cleared(OTHER, "rules", (), None),
    "constructed by name": lambda: Cleared(case=OTHER, basis="votes", officers=("officer-li",), earned="earned"),
    "replaced": lambda: replace(cleared(), case=OTHER),
    "replaced with a token": lambda: replace(cleared(), case=OTHER, earned=object()),
    "copied": lambda: copy.copy(cleared()),
    "copied deeply": lambda: copy.deepcopy(cleared()),
    "pickled": lambda: pickle.loads(pickle.dumps(cleared())),
    "pickled by an old protocol": lambda: pickle.loads(pickle.dumps(cleared(), protocol=0)),
    "subclassed": lambda: type("Forged", (Cleared,), {"__post_init__": print})(OTHER, "rules", (), None),
    "assigned": lambda: setattr(cleared(), "case", OTHER),
    "deleted": lambda: delattr(cleared(), "case"),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_clearance_is_earned_only(forge: Callable[[], Any]) -> None:
    with pytest.raises((TypeError, ValueError, AttributeError)):
        forge()


def test_nothing_but_clear_hands_out_the_token() -> None:
    assert [name for name, value in vars(seal).items() if value is seal._EARNED] == ["_EARNED"]
    assert not any(value is seal._EARNED for value in vars(cleared()).values()), "the token is not kept"


# --- documents -------------------------------------------------------------------------------------------------------------


def test_the_clearance_document_says_what_was_cleared() -> None:
    earned = cleared(JUDGEMENT)
    body = json.loads(clearance_document(earned, "d" * 64, "2026-11-20T02:00:00.000Z"))
    case = case_of(JUDGEMENT)
    assert body == {
        "v": 1,
        "type": "hetao-clearance",
        "case": case.digest(),
        "transfer": "t-1",
        "files_root": case.files_root,
        "endpoint": "hku-genomics",
        "endpoint_key": case.endpoint_key,
        "rulebook": JUDGEMENT.rulebook,
        "decision": "d" * 64,
        "basis": "votes",
        "officers": ["officer-li", "officer-zhao"],
        "at": "2026-11-20T02:00:00.000Z",
    }
    assert clearance_document(earned, "d" * 64, "x") == canonical.encode({**body, "at": "x"})


DATASET = {"institution": "sz-lab", "project": "trial-a", "dataset": "batch 1", "version": 1}


def manifest(*files: Any, sizes: dict[str, int] | None = None) -> bytes:
    return compose_manifest(
        cleared(),
        dataset=DATASET,
        files=files or FILES,
        header_sizes=sizes or {file.path: 124 for file in files or FILES},
        sealed_at="2026-11-20T02:00:00.000Z",
    )


def test_the_manifest_names_every_file_in_order() -> None:
    body = json.loads(manifest())
    assert body["type"] == "hetao-manifest"
    assert body["dataset"] == DATASET
    assert body["recipient_key"] == case_of(ALLOW).endpoint_key
    assert body["files_root"] == case_of(ALLOW).files_root
    assert [file["path"] for file in body["files"]] == ["a.csv", "b/genes.csv"]
    first = body["files"][0]
    assert first == {
        "name": "a.csv.c4gh",
        "path": "a.csv",
        "size": 65_536,
        "sha256": FILES[1].sha256.hex(),
        "header_size": 124,
        "body_size": 65_564,
        "body_blake3": FILES[1].body_blake3.hex(),
        "segments": 1,
    }
    assert manifest(*FILES[::-1]) == manifest(), "the order in which files are given does not matter"


def test_a_carried_file_says_where_it_lies() -> None:
    plain, (first, *_) = json.loads(manifest()), sorted(FILES, key=lambda file: file.path)
    body = json.loads(
        compose_manifest(
            cleared(),
            dataset=DATASET,
            files=FILES,
            header_sizes={file.path: 124 for file in FILES if file is not first},
            sealed_at="2026-11-20T02:00:00.000Z",
            carried={first.path: Carried(1, "old name.csv.c4gh", 108, "SHA256:old")},
        )
    )
    place = {"version": 1, "name": "old name.csv.c4gh", "recipient_key": "SHA256:old"}
    assert body["files"][0] == {**plain["files"][0], "header_size": 108, "carried": place}
    assert body["files"][1:] == plain["files"][1:]
    assert body["files_root"] == plain["files_root"], "the root covers carried files, too"


@pytest.mark.parametrize(
    ("body_size", "segments"), [(0, 0), (29, 1), (65_564, 1), (65_565, 2), (131_128, 2), (131_129, 3)]
)
def test_segments_are_counted(body_size: int, segments: int) -> None:
    assert crypt4gh.CIPHER_SEGMENT == 65_564
    file = replace(FILES[0], body_size=body_size)
    case = case_of(ALLOW, files_root=seal.merkle.root([seal.merkle.leaf_hash(seal.file_leaf(file))]).hex())
    earned = clear(case, ALLOW, NOBODY)
    assert isinstance(earned, Cleared)
    body = json.loads(
        compose_manifest(earned, dataset=DATASET, files=[file], header_sizes={file.path: 124}, sealed_at="x")
    )
    assert body["files"][0]["segments"] == segments


@pytest.mark.parametrize(
    "files",
    [
        FILES[:1],
        (*FILES, received("c.csv", b"one more")),
        (FILES[0], FILES[0]),
        (replace(FILES[0], size=1), FILES[1]),
        (replace(FILES[0], sha256=bytes(32)), FILES[1]),
        (replace(FILES[0], body_blake3=bytes(32)), FILES[1]),
        (replace(FILES[0], path="c.csv"), FILES[1]),
    ],
    ids=["dropped", "added", "doubled", "other size", "other digest", "other ciphertext", "renamed"],
)
def test_the_manifest_refuses_other_files(files: Any) -> None:
    with pytest.raises(ValueError, match="not the files that were cleared"):
        manifest(*files)


def test_the_digest_is_sha256() -> None:
    assert manifest_digest(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_sealed_names() -> None:
    assert sealed_name("a/b.csv") == "a/b.csv.c4gh"
