"""Webhooks hear everything once it is in the ledger, in order, whatever fails; and nothing but what they may."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import jwt
import pytest

from gateway.core.errors import Conflict, EndpointError, NotFound, StoreError
from gateway.core.registry import NAMESPACE, compose_change
from gateway.flow.registrar import Registrar
from gateway.flow.webhooks import LEASE, LONGEST_PAUSE, MAX_ATTEMPTS, PASSED, Deliveries, Webhooks, pause
from gateway.identity.jwk import TokenKey
from gateway.wire import sshsig
from tests.fakes.courier import FakeCourier
from tests.flow.rig import GENERAL, OFFICERS, Rig, filing, policies
from tests.identity.parties import p256, write_pem

ERP = {"id": "erp", "institution": "sz-lab", "url": "https://erp.example/hook", "ranges": ["10.0.0.0/8"]}
SOURCE = "https://gateway.example"
WHOLE = ["open", "submitted", "classified", "cleared", "sealed", "relaying", "delivered", "receipted"]
DOWN = EndpointError("down", code="no-answer")


class Post:
    """A rig with a webhook, and workers that deliver."""

    def __init__(self, rig: Rig, key: TokenKey, pool: Executor) -> None:
        self.rig = rig
        self.key = key
        self.pool = pool
        self.courier = FakeCourier()
        self.one = self.worker("one")

    def worker(self, name: str, registrar: Registrar | None = None) -> Deliveries:
        return Deliveries(
            recorder=self.rig.recorder,
            registrar=registrar or self.rig.registrar,
            courier=self.courier,
            signer=self.key,
            source=SOURCE,
            worker=name,
            pool=self.pool,
        )

    @property
    def desk(self) -> Webhooks:
        return Webhooks(recorder=self.rig.recorder, registrar=self.rig.registrar)

    async def outbox(self, webhook: str = "erp"):
        async with self.rig.records.read() as view:
            return {each.webhook: each for each in await view.outboxes()}.get(webhook)


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    rig = Rig()
    await rig.found()
    await rig.register(("webhook", ERP))
    with ThreadPoolExecutor(4) as pool:
        made = Post(rig, TokenKey(write_pem(p256(), tmp_path / "tokens.pem")), pool)
        await made.one.round()  # sees the webhook
        yield made


async def told(post: Post, times: int = 1) -> None:
    for _ in range(times):
        post.rig.clock.advance(LONGEST_PAUSE)
        await post.one.round()


# --- what is told -----------------------------------------------------------------------------------------------------


async def test_the_whole_story_is_told_in_order_and_once(post: Post) -> None:
    transfer = await post.rig.send({"a.csv": b"a,b\n1,2\n"}, dataset="the-name")
    await post.one.round()
    await post.rig.settle()
    await post.one.round()
    await post.one.round()
    assert post.courier.states() == WHOLE
    history = {each["index"]: each for each in await post.rig.enquiry.history(post.rig.sender, transfer.id)}
    for event in post.courier.told():
        entry = history[int(event["id"])]
        assert event["type"] == f"org.hetao.transfer.{event['data']['state']}"
        assert (event["source"], event["subject"]) == (SOURCE, transfer.id)
        assert event["time"] == event["data"]["at"] == entry["at"]
    cleared = next(event["data"] for event in post.courier.told() if event["data"]["state"] == "cleared")
    assert cleared == {
        "transfer": transfer.id,
        "institution": "sz-lab",
        "endpoint": "hku",
        "project": "trial",
        "version": 1,
        "state": "cleared",
        "verdict": "allow",
        "at": cleared["at"],
    }
    everything = b"".join(body for _, body, _ in post.courier.posted)
    assert b"the-name" not in everything
    assert b"a.csv" not in everything


async def test_where_the_secrecy_rule_fired_nothing_of_rules_is_told(post: Post) -> None:
    await post.rig.send({"a.txt": "机密★10年\n".encode()})
    await post.rig.settle()
    await post.one.round()
    assert post.courier.states()[-1] == "refused"
    assert all(b"D1" not in body and b"rules" not in body for _, body, _ in post.courier.posted)


async def test_the_signature_is_verified_by_a_stranger_over_the_bytes(post: Post) -> None:
    await post.rig.send({"a.csv": b"a,b\n"})
    await post.one.round()
    _, body, fields = post.courier.posted[0]
    assert fields["Content-Type"] == "application/cloudevents+json"
    head, _, signature = fields["Hetao-Signature"].split(".")
    key = jwt.PyJWKSet.from_dict({"keys": [dict(post.key.public.jwk)]}).keys[0]

    def verified(content: bytes) -> bytes:
        encoded = base64.urlsafe_b64encode(content).rstrip(b"=").decode()
        return jwt.PyJWS().decode(f"{head}.{encoded}.{signature}", key, algorithms=["ES256"])

    assert verified(body) == body
    assert jwt.get_unverified_header(f"{head}..{signature}") == {
        "typ": "hetao-event", "alg": "ES256", "kid": post.key.public.kid
    }  # fmt: skip
    with pytest.raises(jwt.InvalidSignatureError):
        verified(body.replace(b"open", b"held"))


async def test_nobody_hears_of_another_institution_and_filters_hold(post: Post) -> None:
    other = {"id": "gz-lab", "name_zh": "广", "name_en": "Guangzhou Laboratory", "uscc": "914403001922038216"}
    await post.rig.register(
        ("institution", other),
        ("webhook", {**ERP, "id": "gz", "institution": "gz-lab"}),
        ("webhook", {**ERP, "id": "ends", "events": ["receipted", "refused"]}),
        ("webhook", {**ERP, "id": "past", "valid_to": "2026-11-19"}),
    )
    post.rig.clock.advance(timedelta(seconds=3))
    await post.one.round()
    await post.rig.send({"a.csv": b"a,b\n1,2\n"})
    await post.rig.settle()
    await post.one.round()
    assert post.courier.states("erp") == WHOLE
    assert post.courier.states("ends") == ["receipted"]
    assert post.courier.states("gz") == post.courier.states("past") == []


async def test_what_waits_too_long_is_told_as_an_event_of_its_own(post: Post) -> None:
    await post.rig.register(("webhook", {**ERP, "id": "late", "events": ["escalated"]}))
    post.rig.clock.advance(timedelta(seconds=3))
    await post.one.round()
    waiting = await post.rig.send({"a.bin": bytes(range(256))})
    await post.rig.settle()
    post.rig.clock.advance(timedelta(days=7))
    await post.rig.settle()
    await post.one.round()
    ((event, _),) = [(each, None) for each in post.courier.told("late")]
    assert (event["type"], event["subject"]) == ("org.hetao.transfer.escalated", waiting.id)
    assert (event["data"]["state"], event["data"]["verdict"]) == ("held", "hold")
    assert post.courier.states("erp")[-2:] == ["held", "held"]


async def test_a_webhook_hears_what_happens_from_its_registration_on(post: Post) -> None:
    before = await post.rig.send({"a.csv": b"a,b\n"})
    await post.rig.register(("webhook", {**ERP, "id": "late"}))
    after = await post.rig.send({"a.csv": b"a,b\n"}, dataset="other")  # before any worker knew of it
    post.rig.clock.advance(timedelta(seconds=3))
    await post.one.round()
    await post.one.round()
    assert {event["subject"] for event in post.courier.told("late")} == {after.id}
    assert {event["subject"] for event in post.courier.told("erp")} == {before.id, after.id}


async def test_what_does_not_concern_a_webhook_costs_no_write(post: Post) -> None:
    await post.rig.register(("webhook", {**ERP, "id": "ends", "events": ["refused"]}))
    post.rig.clock.advance(timedelta(seconds=3))
    await post.one.round()
    await post.rig.send({"a.csv": b"a,b\n"})
    await post.one.round()
    commits, before = post.rig.records.commits, await post.outbox("ends")
    assert await post.one.round() == 0
    assert (post.rig.records.commits, await post.outbox("ends")) == (commits, before)
    for _ in range(PASSED // 40 + 1):  # every declaration is a fact
        draft = await post.rig.send({}, dataset="busy", submit=False)
        for number in range(40):
            words = {**GENERAL, "purpose": {"stated": f"trial {number}"}}
            await post.rig.intake.declare(post.rig.sender, draft.id, words)
    await post.one.round()
    assert (await post.outbox("ends")).position == len(post.rig.records.state.entries)
    assert post.courier.states("ends") == []


async def retire(post: Post) -> None:
    registry = await post.rig.registrar.registry()
    change = compose_change(registry.head, (), (("webhook", "erp"),))
    first, second = (sshsig.sign(OFFICERS[name][1], change.document, NAMESPACE) for name in ("chen", "zhao"))
    await post.rig.registrar.propose(change, first)
    await post.rig.registrar.approve(change.digest, second)


async def test_what_is_retired_is_forgotten(post: Post) -> None:
    await retire(post)
    await post.rig.send({"a.csv": b"a,b\n"})
    await post.one.round()
    assert await post.outbox() is None
    assert post.courier.posted == []


async def test_a_worker_that_has_not_heard_of_it_sends_nothing_to_what_was_retired(post: Post) -> None:
    """The registry as it was a moment ago may tell who is due; what leaves asks for what is signed now."""
    late = Registrar(post.rig.recorder, post.rig.genesis, policies().vocabulary)
    two = post.worker("two", late)
    await two.round()
    await post.rig.send({"a.csv": b"a,b\n"})
    await retire(post)
    assert await two.round() == 1
    assert post.courier.posted == []
    outbox = await post.outbox()
    assert (outbox.worker, outbox.until, outbox.attempts) == ("", None, 0)


# --- what fails -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [500, 404, 301, 302, 199, DOWN], ids=str)
async def test_what_fails_comes_again_later_and_nothing_overtakes_it(post: Post, failure: int | EndpointError) -> None:
    post.courier.answers = [204, failure]
    await post.rig.send({"a.csv": b"a,b\n1,2\n"})
    await post.rig.settle()
    await post.one.round()
    assert post.courier.states() == ["open", "submitted"]
    outbox = await post.outbox()
    assert (outbox.attempts, outbox.until, outbox.worker) == (1, None, "")
    assert outbox.reason == ("no-answer" if failure is DOWN else f"status {failure}")
    await post.one.round()  # its time has not come
    assert post.courier.states() == ["open", "submitted"]
    await told(post)
    assert post.courier.states() == ["open", "submitted", *WHOLE[1:]]
    assert post.courier.told()[1] == post.courier.told()[2]
    assert (await post.outbox()).attempts == 0


async def test_who_fails_for_a_day_is_parked_until_an_operator_says(post: Post) -> None:
    await post.rig.send({"a.csv": b"a,b\n"})
    post.courier.answers = [503] * MAX_ATTEMPTS
    await told(post, MAX_ATTEMPTS + 5)
    assert len(post.courier.posted) == MAX_ATTEMPTS
    assert (await post.outbox()).parked_at is not None
    assert len(post.rig.observer.of("webhook.parked")) == 1
    (standing,) = await post.desk.standing()
    assert (standing.outbox.reason, standing.behind > 0) == ("status 503", True)
    await post.desk.retry("erp")
    await post.one.round()
    assert post.courier.states()[MAX_ATTEMPTS:] == ["open", "submitted"]


async def test_who_is_gone_is_parked_at_once_and_an_event_may_be_passed_over(post: Post) -> None:
    await post.rig.send({"a.csv": b"a,b\n"})
    post.courier.answers = [410]
    await post.one.round()
    await told(post, 3)
    assert post.courier.states() == ["open"]
    await post.desk.retry("erp", skip=True)
    await post.one.round()
    assert post.courier.states() == ["open", "submitted"]


async def test_one_that_fails_does_not_hold_up_the_others(post: Post) -> None:
    await post.rig.register(("webhook", {**ERP, "id": "well"}))
    post.rig.clock.advance(timedelta(seconds=3))
    await post.one.round()
    await post.rig.send({"a.csv": b"a,b\n"})
    post.courier.answers = [500]
    await post.one.round()
    outboxes = [await post.outbox("erp"), await post.outbox("well")]
    assert sorted(each.attempts for each in outboxes) == [0, 1]
    assert sorted(len(post.courier.states(each)) for each in ("erp", "well")) == [1, 2]


async def test_a_defect_of_ours_is_counted_as_a_failure(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    await post.rig.send({"a.csv": b"a,b\n"})

    def broken(_payload: bytes) -> str:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(post.key, "sign_detached", broken)
        await post.one.round()
    assert (await post.outbox()).reason == "ZeroDivisionError"
    await told(post)
    assert post.courier.states() == ["open", "submitted"]


# --- who delivers -----------------------------------------------------------------------------------------------------


async def test_one_worker_delivers_at_a_time(post: Post) -> None:
    two = post.worker("two")
    await post.rig.send({"a.csv": b"a,b\n1,2\n"})
    await post.rig.settle()
    await asyncio.gather(post.one.round(), two.round(), post.one.round(), two.round())
    assert post.courier.states() == WHOLE


@contextmanager
def dying(post: Post) -> Iterator[None]:
    """The process dies after a delivery, before its position is kept."""

    def die() -> None:
        raise StoreError("killed")

    post.courier.before = lambda: setattr(post.rig.records, "before_commit", die)
    yield
    post.courier.before = lambda: None
    post.rig.records.before_commit = None


async def test_after_a_crash_the_event_comes_again_with_the_same_id(post: Post) -> None:
    await post.rig.send({"a.csv": b"a,b\n1,2\n"})
    await post.rig.settle()
    with dying(post), pytest.raises(StoreError):
        await post.one.round()
    assert post.courier.states() == ["open"]
    post.rig.restart()
    again = post.worker("three")
    await again.round()
    assert post.courier.states() == ["open"]  # the dead worker's lease still stands
    post.rig.clock.advance(LEASE)
    await again.round()
    assert post.courier.states() == ["open", *WHOLE]
    assert post.courier.posted[0][1] == post.courier.posted[1][1]


async def test_a_worker_that_lost_its_lease_stops(post: Post) -> None:
    await post.rig.send({"a.csv": b"a,b\n1,2\n"})
    await post.rig.settle()

    def stolen() -> None:
        state = post.rig.records.state
        state.outboxes["erp"] = replace(state.outboxes["erp"], worker="thief")

    post.courier.before = stolen
    await post.one.round()
    assert post.courier.states() == ["open"]
    assert (await post.outbox()).worker == "thief"


async def test_what_nobody_registered_cannot_be_retried(post: Post) -> None:
    with pytest.raises(NotFound):
        await post.desk.retry("nobody")
    outbox = await post.outbox()
    async with post.rig.records.write() as tx:
        await tx.put_outbox(replace(outbox, worker="one", until=post.rig.clock.now() + LEASE))
    with pytest.raises(Conflict):
        await post.desk.retry("erp")


async def test_the_loop_tells_as_it_happens_and_outlives_a_database_that_is_away(post: Post) -> None:
    heard, failed = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    post.courier.before = lambda: loop.call_soon_threadsafe(heard.set)
    real = post.rig.records.read
    away = iter([True])

    def read():
        if next(away, False):
            failed.set()
            raise StoreError("away")
        return real()

    post.rig.records.read = read
    running = asyncio.ensure_future(post.one.run())
    async with asyncio.timeout(10):
        await failed.wait()
        await post.rig.register(filing("SCC"))
        await post.rig.send({"a.csv": b"a,b\n"})
        while len(post.courier.posted) < 2:
            heard.clear()
            await heard.wait()
    running.cancel()
    assert len(post.rig.observer.of("webhooks.faltered")) == 1
    assert json.loads(post.courier.posted[0][1])["data"]["state"] == "open"


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
def test_pauses_grow_to_a_bound(chance: float) -> None:
    pauses = [pause(attempts, chance) for attempts in range(1, 60)]
    assert timedelta(seconds=2.5) <= pauses[0] <= timedelta(seconds=5)
    assert pauses == sorted(pauses)
    assert LONGEST_PAUSE / 2 <= pauses[-1] <= LONGEST_PAUSE
    assert timedelta(hours=8) < sum(pauses[: MAX_ATTEMPTS - 1], timedelta()) < timedelta(hours=30)
