"""Streams over the real door: everything once and in order, whatever breaks off, and nothing to who may not."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import ClientPayloadError

from gateway.core.errors import StoreError
from gateway.core.transfer import State
from tests.doors.site import Site
from tests.doors.test_transfers import CSV, NOBODYS, opened, sent

SECRET = "机密★10年\n".encode()


@dataclass(frozen=True)
class Event:
    id: str
    kind: str
    data: dict[str, Any]


class Reader:
    """An event stream's client; tells comments as events of kind `:`."""

    def __init__(self, response) -> None:
        self.response = response
        self.id = ""

    async def next(self) -> Event | None:
        """The next event, or None where the stream ended in order."""
        kind, data = "", ""
        async with asyncio.timeout(20):
            while line := await self.response.content.readline():
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name == ":":
                    return Event("", ":", {})
                self.id = value if name == "id" else self.id
                kind = value if name == "event" else kind
                data = value if name == "data" else data
                if line == b"\n" and data:
                    return Event(self.id if kind == "state" else "", kind, json.loads(data))
        return None

    async def states(self, until: str = "", count: int = 99) -> list[str]:
        """States that are told, until one of them, or so many, or the end."""
        found: list[str] = []
        while len(found) < count and until not in found[-1:] and (event := await self.next()):
            found += [event.data["state"]] if event.kind == "state" else []
        return found


@asynccontextmanager
async def following(session, transfer: str = "", after: str = ""):
    url = f"/v1/transfers/{transfer}/events" if transfer else "/v1/events"
    async with session.get(url, headers={"Last-Event-ID": after} if after else {}) as response:
        assert response.status == 200, await response.text()
        yield Reader(response)


WHOLE = ["open", "submitted", "classified", "cleared", "sealed", "relaying", "delivered", "receipted"]


async def test_a_stream_tells_the_whole_story_and_ends(site):
    async with site.session() as session:
        transfer = await opened(session)
        async with following(session, transfer) as stream:
            assert stream.response.headers["Content-Type"] == "text/event-stream"
            assert stream.response.headers["Cache-Control"] == "no-store, no-transform"
            assert stream.response.headers["X-Accel-Buffering"] == "no"
            assert await stream.states(count=1) == ["open"]
            await session.put(f"/v1/transfers/{transfer}/files/a.csv", data=CSV)
            assert (await session.post(f"/v1/transfers/{transfer}/submit")).status == 202
            await site.rig.settle()
            assert await stream.states() == WHOLE[1:]
        entries = {each["tag"]: each for each in await site.rig.enquiry.history(site.rig.sender, transfer)}
        assert stream.id == str(entries["transfer.receipted"]["index"])


async def test_news_have_a_verdict_and_no_names(site):
    async with site.session() as session:
        transfer = await sent(site, session, CSV, dataset="the-name")
        async with following(session, transfer) as stream:
            events = [event async for event in _all(stream)]
    cleared = next(event for event in events if event.data["state"] == "cleared")
    at = next(
        each["at"] for each in await site.rig.enquiry.history(site.rig.sender, transfer) if "cleared" in each["tag"]
    )
    assert cleared.data == {"transfer": transfer, "state": "cleared", "verdict": "allow", "at": at}
    told = json.dumps([event.data for event in events])
    assert "the-name" not in told
    assert "data.csv" not in told


async def _all(stream):
    while event := await stream.next():
        if event.kind == "state":
            yield event


async def test_whoever_comes_back_at_any_event_loses_nothing_and_hears_nothing_twice(site):
    async with site.session() as session:
        transfer = await sent(site, session, CSV)
        async with following(session, transfer) as stream:
            events = [event async for event in _all(stream)]
        assert [event.data["state"] for event in events] == WHOLE
        site.rig.restart()  # what a worker knew is gone; another one goes on from the database
        async with site.served():
            for position, event in enumerate(events[:-1]):
                async with site.session() as again, following(again, transfer, event.id) as stream:
                    assert [each async for each in _all(stream)] == events[position + 1 :]
            over = await site.request(
                "GET", f"/v1/transfers/{transfer}/events", headers={"Last-Event-ID": events[-1].id}
            )
            assert over.status == 204


async def test_uploads_under_way_are_told_and_not_told_again(site):
    async with site.session() as session:
        transfer = await opened(session)
        release = asyncio.Event()

        async def body():
            yield b"a,b\n" * 50_000
            await release.wait()
            yield b"1,2\n"

        async with following(session, transfer) as stream:
            upload = asyncio.ensure_future(session.put(f"/v1/transfers/{transfer}/files/a.csv", data=body()))
            progress = []
            while not progress or progress[-1]["upload_bytes"] < 200_000:
                event = await stream.next()
                progress += [event.data] if event.kind == "progress" else []
            assert progress[-1] == {
                "transfer": transfer, "files": 0, "bytes": 0, "uploads": 1, "upload_bytes": 200_000
            }  # fmt: skip
            release.set()
            assert (await upload).status == 201
            while progress[-1]["files"] == 0:
                event = await stream.next()
                progress += [event.data] if event.kind == "progress" else []
            assert (progress[-1]["bytes"], progress[-1]["uploads"]) == (200_004, 0)
            assert len(progress) == len({json.dumps(each) for each in progress})


async def test_silence_is_kept_alive(site):
    async with site.session() as session:
        transfer = await opened(session)
        async with following(session, transfer) as stream:
            kinds = {(await stream.next()).kind for _ in range(4)}
    assert ":" in kinds


# --- who --------------------------------------------------------------------------------------------------------------


async def test_another_institutions_transfer_cannot_be_followed(site):
    async with site.session() as session, site.session("gz") as stranger:
        mine = await opened(session)
        for transfer in (mine, NOBODYS):
            answer = await stranger.get(f"/v1/transfers/{transfer}/events")
            assert (answer.status, (await answer.json(content_type=None))["code"]) == (404, "no-such-transfer")


async def test_an_institution_hears_of_all_its_transfers_and_of_nobody_elses(site):
    async with site.session() as session, site.session("gz") as stranger, following(session) as stream:
        theirs = await stranger.post("/v1/transfers", json={"endpoint": "hku", "project": "other", "dataset": "d"})
        assert theirs.status == 201
        first, second = await opened(session), await opened(session, dataset="other")
        told = [await stream.next() for _ in range(2)]
        assert [event.data["transfer"] for event in told] == [first, second]
        async with following(session, after=told[0].id) as again:
            assert await again.next() == told[1]


async def test_a_revoked_credential_ends_its_stream(site):
    async with site.session() as session:
        transfer = await opened(session)
        async with following(session, transfer) as stream:
            assert await stream.states(count=1) == ["open"]
            async with site.rig.records.write() as tx:
                await tx.revoke("sz", "", site.rig.clock.now())
            with pytest.raises(ClientPayloadError):  # cut, not ended: the last chunk never comes
                await stream.states()


async def test_where_the_secrecy_rule_fired_a_stream_tells_the_state_alone(site):
    async with site.session() as session:
        transfer = await sent(site, session, SECRET)
        async with following(session, transfer) as stream:
            events = [event.data async for event in _all(stream)]
    assert events[-1]["state"] == "refused"
    assert {name for event in events for name in event} == {"transfer", "state", "at", "verdict"}
    assert "D1" not in json.dumps(events)


# --- bounds -----------------------------------------------------------------------------------------------------------


async def test_streams_of_an_institution_are_bounded_and_places_come_back(site):
    async with site.session() as session, site.session("gz") as stranger:
        transfer = await opened(session)
        streams = [await session.get(f"/v1/transfers/{transfer}/events") for _ in range(site.streams.each)]
        assert {each.status for each in streams} == {200}
        refused = await session.get("/v1/events")
        assert (refused.status, (await refused.json(content_type=None))["code"]) == (429, "too-many-streams")
        assert refused.headers["Retry-After"] == "10"
        other = await stranger.get("/v1/events")  # another institution has its own
        assert other.status == 200
        other.close()
        for each in streams:
            each.close()
        await site.until("request.answered", len(site.observer.of("request.answered")) + len(streams))
        async with following(session, transfer) as stream:
            assert await stream.states(count=1) == ["open"]


@pytest.mark.parametrize("given", ["x", "-1", "1.5", "9" * 17, "99999", "01"])
async def test_an_id_that_is_not_ours_is_refused(site, given):
    async with site.session() as session:
        transfer = await opened(session)
        for url in (f"/v1/transfers/{transfer}/events", "/v1/events"):
            answer = await session.get(url, headers={"Last-Event-ID": given})
            assert (answer.status, (await answer.json(content_type=None))["code"]) == (400, "bad-header")


async def test_head_is_the_head_alone(site):
    async with site.session() as session:
        transfer = await opened(session)
        answer = await session.head(f"/v1/transfers/{transfer}/events")
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/event-stream")


async def test_a_door_that_closes_ends_its_streams(tmp_path):
    site = await Site(tmp_path).found()
    async with AsyncExitStack() as door:
        await door.enter_async_context(site.served(shutdown_seconds=15.0))
        async with site.session() as session:
            transfer = await opened(session)
            async with following(session, transfer) as stream:
                assert await stream.states(count=1) == ["open"]
                async with asyncio.timeout(5):
                    await asyncio.gather(door.aclose(), stream.states())


async def test_a_stream_goes_on_over_a_database_that_comes_back(site, monkeypatch):
    """What the database cannot answer ends the stream; the client's return is answered as any other request."""
    async with site.session() as session:
        transfer = await opened(session)
        async with following(session, transfer) as stream:
            assert await stream.states(count=1) == ["open"]

            def away():
                raise StoreError("away")

            with monkeypatch.context() as patched:
                patched.setattr(site.rig.records, "read", away)
                with pytest.raises(ClientPayloadError):
                    await stream.states()
        async with following(session, transfer, stream.id) as stream:
            await site.rig.intake.withdraw(site.rig.sender, transfer)
            assert await stream.states() == [State.WITHDRAWN]
    assert site.observer.of("request.mistaken") == []
