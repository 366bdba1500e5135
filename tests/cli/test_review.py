"""The officers' desk at the terminal: a drafted channel is one that can be signed, seats are found by key, words exist."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gateway.cli import channels, officer, review
from gateway.cli.channels import drafted, show_bounds
from gateway.cli.registry import parse_records
from gateway.core.errors import Unusable
from gateway.core.records import Channel
from gateway.core.transfer import State
from gateway.stores.locales import load_catalogue
from gateway.wire import sshsig
from tests.flow.rig import OFFICERS, Rig, public_line, seeded_key
from tests.flow.test_channels import DECLARED, SITES, channel, sent


@pytest.fixture
async def rig() -> Rig:
    made = Rig()
    await made.found()
    return made


async def test_a_drafted_channel_is_signed_and_lets_the_next_one_pass(rig: Rig):
    waiting = await sent(rig)
    found, shape = await rig.review.shape(waiting.id)
    text = drafted(found, shape, "2026-11-20", "2027-02-18")
    with pytest.raises(Unusable, match="reason is missing"):
        parse_records(text.encode())
    ((kind, record),) = parse_records(text.replace('reason = ""', 'reason = "stations"').encode())
    assert isinstance(record, Channel)
    assert (kind, record.rules, record.files, record.bytes) == (
        "channel",
        tuple(waiting.decision["rules"]),
        1,
        len(SITES),
    )
    assert set(record.columns) == {"site", "latitude", "longitude"}
    await rig.register((kind, {**vars(record)}))
    await rig.settle()
    assert (await rig.transfer(waiting.id)).state is State.RECEIPTED
    assert (await sent(rig, dataset="next")).state is State.RECEIPTED


async def test_the_list_of_channels_says_what_went_through(rig: Rig):
    await rig.register(channel())
    await sent(rig)
    (row,) = [channels._row(each) for each in await rig.review.channels()]
    assert (row["id"], row["transfers"], row["files"], row["shut"]) == ("sites", 1, "1/30", "")
    assert row["signed"] == "security-chen audit-zhao"


async def test_the_list_of_what_is_held_says_what_was_escalated(rig: Rig):
    waiting = await sent(rig)
    assert review._row(waiting)["escalated"] == ""
    rig.clock.advance(days=7)
    await rig.settle()
    (held,) = await rig.review.held()
    assert review._row(held)["escalated"].startswith("2026-11-27")


def test_every_bound_has_words_in_three_languages(capsys: pytest.CaptureFixture[str]):
    words = {
        "verdict", "cure", "rule", "signers", "office", "line", "institution", "project", "endpoint", "direction", "early",
        "expired", "filing", "level", "under14", "secrecy_mark", "controlled_technology", "remote_access", "uninspectable",
        "format", "class", "column", "unread", "kind", "files", "bytes", "persons", "total_files", "total_bytes",
        "total_persons", "objection", "unlooked",
    }  # fmt: skip
    known = {each.removeprefix("channel.") for each in load_catalogue().ids() if each.startswith("channel.")}
    assert known == {word.replace("_", "-") for word in words}
    for language in ("en", "zh-Hans", "zh-Hant"):
        show_bounds([{"channel": "sites", "broken": [{"word": "column", "outside": "note[b]"}]}], language)
    assert capsys.readouterr().out.count("note[b]") == 3


async def test_whose_office_a_key_signs_in(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    deputy = seeded_key("deputy")
    he: dict[str, Any] = {"id": "he", "name": "He", "real_name_verified": True, "qualified": ["audit", "security"]}
    leave = {"valid_from": "2026-11-20", "valid_to": "2026-11-27", "reason": "leave"}
    delegation = {"id": "zhao-leave", "officer": "audit-zhao", "person": "he", "key": public_line(deputy), **leave}
    await rig.register(("person", he), ("delegation", delegation))
    gateway: Any = SimpleNamespace(review=rig.review)
    key = deputy

    monkeypatch.setattr(officer, "own_blob", lambda _: sshsig.blob_of(key))
    assert await officer.office(gateway, None, "") == "audit-zhao"  # type: ignore[arg-type]  # the key file is not read here
    with pytest.raises(Unusable, match="this key signs for: audit-zhao"):
        await officer.office(gateway, None, "security-chen")  # type: ignore[arg-type]  # the same
    key = OFFICERS["chen"][1]
    assert await officer.office(gateway, None, "") == "security-chen"  # type: ignore[arg-type]  # the same


async def test_a_deputys_vote_clears_with_another_officers(rig: Rig):
    deputy = seeded_key("deputy")
    he: dict[str, Any] = {"id": "he", "name": "He", "real_name_verified": True, "qualified": ["audit"]}
    leave = {"valid_from": "2026-11-20", "valid_to": "2026-11-27", "reason": "leave"}
    delegation = {"id": "zhao-leave", "officer": "audit-zhao", "person": "he", "key": public_line(deputy), **leave}
    await rig.register(("person", he), ("delegation", delegation))
    waiting = await sent(rig)
    ballot = await rig.review.ballot(waiting.id, officer="audit-zhao", vote="approve", reason="seen for Zhao")
    await rig.review.vote(ballot.message(), sshsig.sign(deputy, ballot.message(), "hetao-vote"))
    await rig.vote(waiting.id, "zhao")
    await rig.settle()
    assert (await rig.transfer(waiting.id)).state is State.HELD, "officer and deputy are one vote"
    await rig.vote(waiting.id, "chen")
    await rig.settle()
    assert (await rig.transfer(waiting.id)).state is State.RECEIPTED


async def test_a_bound_that_is_shown_is_one_that_was_found(rig: Rig):
    """What `review show` prints comes from the recorded decision, in the words of `broken`."""
    await rig.register(channel(bytes=20))
    waiting = await rig.send({"sites.csv": SITES}, DECLARED)
    await rig.settle()
    shown = await rig.review.show(waiting.id)
    (told,) = shown["decision"]["channels"]
    assert told == {"channel": "sites", "broken": [{"word": "bytes", "outside": f"{len(SITES)} > 20"}]}
