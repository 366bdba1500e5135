"""Changes take effect on a second person's signature, and only if the rules know their words."""

from __future__ import annotations

import pytest

from gateway.core.errors import BrokenPromise, Conflict, NotFound, Unusable
from gateway.core.records import Endpoint, Person, parse_record
from gateway.core.registry import NAMESPACE, compose_change
from gateway.wire import sshsig
from tests.flow.rig import OFFICERS, Rig

GAO = ("person", {"id": "gao", "name": "Gao", "institution": "sz-lab", "real_name_verified": True})


async def proposed(rig: Rig, record: tuple[str, dict[str, object]], by: str = "chen") -> tuple[str, bytes]:
    kind, table = record
    change = compose_change((await rig.registrar.registry()).head, ((kind, parse_record(kind, table)),))
    digest = await rig.registrar.propose(change, sshsig.sign(OFFICERS[by][1], change.document, NAMESPACE))
    return digest, change.document


async def test_a_proposal_changes_nothing_until_a_second_person_signs(rig: Rig):
    digest, document = await proposed(rig, GAO)
    assert (await rig.registrar.registry()).find(Person, "gao") is None
    assert [each.change.digest for each in await rig.registrar.proposals()] == [digest]
    with pytest.raises(BrokenPromise, match="same person"):
        await rig.registrar.approve(digest, sshsig.sign(OFFICERS["chen"][1], document, NAMESPACE))
    await rig.registrar.approve(digest, sshsig.sign(OFFICERS["wu"][1], document, NAMESPACE))
    assert (await rig.registrar.registry()).get(Person, "gao").name == "Gao"
    assert await rig.registrar.proposals() == []


async def test_of_two_proposals_on_one_revision_the_second_is_stale(rig: Rig):
    first, document = await proposed(rig, GAO)
    second, other = await proposed(rig, (GAO[0], {**GAO[1], "id": "mo"}))
    await rig.registrar.approve(first, sshsig.sign(OFFICERS["zhao"][1], document, NAMESPACE))
    with pytest.raises(Conflict, match="propose it again"):
        await rig.registrar.approve(second, sshsig.sign(OFFICERS["zhao"][1], other, NAMESPACE))


async def test_a_stranger_cannot_propose(rig: Rig):
    from tests.flow.rig import seeded_key

    change = compose_change((await rig.registrar.registry()).head, ((GAO[0], parse_record(*GAO)),))
    with pytest.raises(BrokenPromise, match="no officer"):
        await rig.registrar.propose(change, sshsig.sign(seeded_key("stranger"), change.document, NAMESPACE))
    with pytest.raises(NotFound, match="no proposal"):
        await rig.registrar.approve(change.digest, b"")


@pytest.mark.parametrize(
    ("record", "word"),
    [
        (("project", {"declaration": {"data": {"level": "foo"}}}), "level"),
        (("project", {"declaration": {"dta": {}}}), "dta"),
        (("endpoint", {"place": "XQ"}), "place"),
    ],
)
async def test_words_the_rules_do_not_know_are_refused_when_proposed(rig: Rig, record, word: str):
    kind, changes = record
    base = dict(rig.world())[kind]
    with pytest.raises(Unusable, match=word):
        await proposed(rig, (kind, {**base, **changes}))


async def test_a_second_gateway_sees_a_change_at_once(rig: Rig):
    other = Rig.__new__(Rig)
    other.__dict__.update(rig.__dict__)
    other.restart()
    await rig.register(("endpoint", rig.endpoint(name="HKU, new wing")))
    assert (await other.registrar.registry()).get(Endpoint, "hku").name == "HKU, new wing"
    other.pool.shutdown()
