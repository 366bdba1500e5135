"""Locks of WebDAV clients: taken, shown, refreshed, in the way of others, and promises that are no files."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from gateway.core.transfer import State
from gateway.doors.https import serving
from gateway.flow import locks as flow_locks
from tests.doors.dav_site import BASE, DAV, LOCKINFO, DavSite

CSV = b"island,birds\nlamma,12\n" * 100


@pytest.fixture
async def site(tmp_path):
    founded = await DavSite(tmp_path).found()
    async with founded.served():
        yield founded


async def test_a_lock_is_shown_and_keeps_others_out(site):
    await site.dav("PUT", "d/a", CSV)
    lock = await site.lock("d/a", Timeout="Infinite, Second-4100000000")
    assert lock.status == 200
    assert b"Second-600" in lock.body
    assert b"lin &amp; co" in lock.body
    told = (await site.find("d", "1")).responses()
    assert told[f"{BASE}/d/"]["lockdiscovery"] == (200, "")
    active = told[f"{BASE}/d/a"]["lockdiscovery"][1][0]
    assert active.findtext(f"{DAV}locktoken/{DAV}href") == lock.token.strip("<>")
    assert active.findtext(f"{DAV}lockroot/{DAV}href") == f"{BASE}/d/a"
    for client in ("sz", "sz-two"):  # the credential alone is not enough, nor is the token
        refused = await site.dav("PUT", "d/a", b"x", client=client)
        assert (refused.status, refused.condition()) == (423, "lock-token-submitted")
    assert (await site.dav("PUT", "d/a", b"x", client="sz-two", If=f"({lock.token})")).status == 423
    for method, more in [("DELETE", {}), ("PROPPATCH", {}), ("MOVE", {"Destination": f"{BASE}/d/b"})]:
        body = b'<propertyupdate xmlns="DAV:"><set><prop><lastmodified>1</lastmodified></prop></set></propertyupdate>'
        refused = await site.dav(method, "d/a", body if method == "PROPPATCH" else None, **more)
        assert (method, refused.status) == (method, 423)
    again = await site.lock("d/a", client="sz-two")
    assert (again.status, again.condition()) == (423, "no-conflicting-lock")
    assert (await site.dav("PUT", "d/a", b"x", If=f"({lock.token})")).status == 204
    assert (await site.dav("UNLOCK", "d/a", client="sz-two", Lock_Token=lock.token)).status == 403
    assert (await site.dav("UNLOCK", "d/a", Lock_Token="<urn:uuid:0>")).status == 409
    assert (await site.dav("UNLOCK", "d/a", Lock_Token=lock.token)).status == 204
    assert (await site.dav("PUT", "d/a", CSV, client="sz-two")).status == 204
    assert (await site.find("d/a", client="gz")).status == 404


async def test_a_lock_ends_by_itself_and_is_refreshed_while_it_is_used(site):
    await site.dav("PUT", "d/a", CSV)
    lock = await site.lock("d/a", Timeout="Second-60")
    site.rig.clock.advance(seconds=59)
    refreshed = await site.dav("LOCK", "d/a", If=f"({lock.token})", Timeout="Second-60")
    assert (refreshed.status, refreshed.token) == (200, lock.token)
    site.rig.clock.advance(seconds=59)
    assert (await site.dav("PUT", "d/a", CSV)).status == 423
    site.rig.clock.advance(seconds=2)
    assert (await site.dav("PUT", "d/a", CSV, If=f"({lock.token})")).status == 412
    assert (await site.dav("LOCK", "d/a", If=f"({lock.token})")).status == 412
    assert (await site.dav("LOCK", "d/a")).status == 400
    assert (await site.dav("PUT", "d/a", CSV)).status == 204
    assert (await site.lock("d/a", client="sz-two")).status == 200


async def test_a_lock_on_a_name_without_a_file_promises_one_that_is_not_submitted(site):
    await site.dav("PUT", "d/a", CSV)
    lock = await site.lock("d/b")
    assert lock.status == 201
    assert await site.listing("d") == {"a": len(CSV), "b": 0}
    assert (await site.dav("GET", "d/b")).body == b""
    assert await site.files() == {"a": len(CSV)}
    assert (await site.dav("PUT", "d/SUBMIT", b"")).status == 400  # one file is on its way
    assert (await site.newest()).state is State.OPEN
    assert (await site.dav("UNLOCK", "d/b", Lock_Token=lock.token)).status == 204
    assert await site.listing("d") == {"a": len(CSV)}
    assert (await site.dav("PUT", "d/SUBMIT", b"")).status == 201
    await site.rig.settle()
    assert (await site.newest()).files == 1


async def test_a_promise_ends_with_the_first_bytes_with_its_time_or_by_being_deleted(site):
    await site.dav("PUT", "d/a", CSV)
    lock = await site.lock("d/b")
    assert (await site.dav("PUT", "d/b", b"", If=f"({lock.token})")).status == 204  # as file managers do first
    assert await site.files() == {"a": len(CSV), "b": 0}
    assert (await site.dav("PUT", "d/SUBMIT", b"")).status == 400
    assert (await site.dav("PUT", "d/b", CSV, If=f"({lock.token})")).status == 204
    other = await site.lock("d/c")
    assert (await site.dav("DELETE", "d/c", If=f"({other.token})")).status == 204
    await site.lock("d/e")
    assert set(await site.listing("d")) == {"a", "b", "e"}
    site.rig.clock.advance(minutes=11)
    assert set(await site.listing("d")) == {"a", "b"}
    assert (await site.dav("PUT", "d/SUBMIT", b"")).status == 201


async def test_locks_on_folders_guard_their_members(site):
    await site.dav("MKCOL", "d")
    await site.dav("MKCOL", "d/in")
    shallow = await site.lock("d/in")
    assert (await site.dav("PUT", "d/in/a", CSV)).status == 423
    assert (await site.dav("PUT", "d/in/a", CSV, If=f"<{BASE}/d/in> ({shallow.token})")).status == 201
    assert (await site.dav("PUT", "d/in/a", CSV)).status == 204  # it is a member already
    assert (await site.dav("DELETE", "d/in")).status == 423
    assert (await site.lock("d", depth="infinity")).status == 423
    await site.dav("UNLOCK", "d/in", Lock_Token=shallow.token)
    deep = await site.lock("d", depth="infinity")
    assert b"infinity" in deep.body
    assert (await site.lock("d/in/a")).status == 423
    assert (await site.dav("PUT", "d/in/a", CSV)).status == 423
    assert (await site.dav("PUT", "d/in/a", CSV, If=f"<{BASE}/d> ({deep.token})")).status == 204
    assert (await site.dav("PUT", "d/in/a", CSV, If=f"<http://other{BASE}/d/none> ({deep.token})")).status == 412


async def test_what_cannot_be_locked(site):
    shared = LOCKINFO.replace(b"exclusive", b"shared")
    assert (await site.dav("LOCK", "d/a", shared, Depth="0")).status == 403
    assert (await site.dav("LOCK", "d/a", LOCKINFO, Depth="1")).status == 400
    assert (await site.dav("LOCK", "d/a", b"<x/>", Depth="0")).status == 400
    for place in ("/dav/README.txt", "/dav/outbox", BASE):
        assert (await site.lock(place)).status == 403
    assert (await site.lock("/dav/outbox/none/trial/d/a")).status == 404
    assert (await site.lock("d/none/a")).status == 409
    assert (await site.dav("UNLOCK", "d/a")).status == 400
    assert (await site.dav("PUT", "d/a", b"x", If="(<")).status == 400


async def test_locks_are_bounded_for_every_institution(site, monkeypatch):
    monkeypatch.setattr(flow_locks, "MAX_LOCKS", 3)
    for name in "abc":
        assert (await site.lock(f"d/{name}")).status == 201
    assert (await site.lock("d/d")).status == 429
    site.rig.clock.advance(minutes=11)
    assert (await site.lock("d/d")).status == 201
    assert len(site.rig.records.state.locks) == 1  # those that ran out are forgotten


async def test_of_two_that_lock_at_once_one_gets_it_whichever_process_answers(site):
    """Two doors over one database are two workers."""
    async with serving(site.app(), host="127.0.0.1", port=0, tls=None, shutdown_seconds=1.0) as other:
        asked = [
            site.dav("LOCK", "d/a", LOCKINFO, client=client, port=port, Depth="0")
            for client, port in [("sz", site.port), ("sz-two", other)] * 3
        ]
        answers = await asyncio.gather(*asked)
        assert sorted(each.status for each in answers) == [201, 423, 423, 423, 423, 423]
        token = next(each.token for each in answers if each.status == 201)
        for port in (site.port, other):
            assert (await site.dav("PUT", "d/a", CSV, port=port)).status == 423
        assert (await site.listing("d", port=other) if await site.files() else {}) == {}
        owner = next(client for each, client in zip(answers, ["sz", "sz-two"] * 3, strict=True) if each.status == 201)
        put = await site.dav("PUT", "d/a", CSV, client=owner, port=other, If=f"({token})")
        assert put.status == 204
        assert await site.listing("d") == {"a": len(CSV)}


async def test_a_lock_lasts_ten_minutes_at_most(site):
    assert timedelta(minutes=10) == flow_locks.LONGEST
    lock = await site.lock("d/a", Timeout="Infinite")
    assert b"Second-600<" in lock.body
