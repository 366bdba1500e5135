"""The WebDAV tree: looking, sending, cutting, naming, submitting, as clients do it and as RFC 4918 says it."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.core.transfer import State
from gateway.doors.https.dav import writing
from tests.core.test_completeness import bag
from tests.doors.dav_site import BASE, DavSite
from tests.doors.site import head
from tests.doors.test_bodies import chunked
from tests.flow.rig import GENERAL

CSV = b"island,birds\nlamma,12\n" * 100
CONTENT = hashlib.shake_256(b"content").digest(300_000)
DECLARATION = b"""
[data]
level = "general"
personal = false
controlled_technology = false
remote_access = false
precise_geo = false
[hgr]
information = false
material = false
"""


@pytest.fixture
async def site(tmp_path):
    founded = await DavSite(tmp_path).found()
    async with founded.served():
        yield founded


async def send(site, files, dataset="d"):
    for path, content in files.items():
        assert (await site.dav("PUT", f"{dataset}/{path}", content)).status in {201, 204}


# --- looking ---------------------------------------------------------------------------------------------------------


async def test_options_say_what_class_this_is(site):
    for path in ("/dav", "/dav/", f"{BASE}/none"):
        said = await site.dav("OPTIONS", path)
        assert (said.status, said.headers["DAV"], said.headers["MS-Author-Via"]) == (200, "1, 2", "DAV")
        assert {"PROPFIND", "LOCK", "MOVE"} <= set(said.headers["Allow"].split(", "))


async def test_the_tree_is_the_one_of_the_sftp_door(site):
    await send(site, {"a.csv": CSV, "declaration.toml": DECLARATION})
    assert await site.listing("/dav/") == {
        "README.txt": len((await site.dav("GET", "/dav/README.txt")).body),
        "outbox": None,
        "receipts": None,
        "status": None,
    }
    assert await site.listing("/dav/outbox") == {"hku": None}
    assert await site.listing(BASE) == {"d": None}
    assert await site.listing("d") == {"a.csv": len(CSV), "declaration.toml": len(DECLARATION)}
    assert set(await site.listing("/dav/status/hku/trial/")) == {"d.txt"}
    text = await site.dav("GET", "/dav/status/hku/trial/d.txt")
    assert b"hku/trial/d\nVersion 1: " in text.body
    assert text.headers["Content-Type"].startswith("text/plain")
    assert await site.listing("/dav", client="gz") == await site.listing("/dav/")
    for path in (f"{BASE}/d", f"{BASE}/d/a.csv", "/dav/outbox/none", "/dav/none"):
        assert (await site.find(path, client="gz")).status == 404


async def test_a_listing_tells_what_sync_clients_compare(site):
    name = "鸟 & <b>'\"%41 .csv"
    assert (await site.dav("PUT", f"d/{name}", CSV, X_OC_Mtime="1700000000.5")).headers["X-OC-Mtime"] == "accepted"
    told = (await site.find("d", "1")).responses()
    assert list(told) == [f"{BASE}/d/", f"{BASE}/d/{name}"]
    about = told[f"{BASE}/d/{name}"]
    assert about["getcontentlength"] == (200, str(len(CSV)))
    assert about["getlastmodified"] == (200, "Tue, 14 Nov 2023 22:13:20 GMT")
    assert about["displayname"] == (200, name)
    assert about["resourcetype"] == (200, "")
    assert "collection" in told[f"{BASE}/d/"]["resourcetype"][1][0].tag
    got = await site.dav("GET", f"d/{name}")
    assert (got.body, got.headers["ETag"]) == (CSV, about["getetag"][1])
    assert "checksums" not in str(about)  # asked for by name only
    asked = b'<propfind xmlns="DAV:" xmlns:o="http://owncloud.org/ns"><prop><o:checksums/><o:size/></prop></propfind>'
    about = (await site.find(f"d/{name}", "0", asked)).responses()[f"{BASE}/d/{name}"]
    assert about["{http://owncloud.org/ns}checksums"][1][0].text == f"SHA256:{hashlib.sha256(CSV).hexdigest()}"
    assert about["{http://owncloud.org/ns}size"][0] == 404
    names = (await site.find(f"d/{name}", "0", b'<propfind xmlns="DAV:"><propname/></propfind>')).responses()
    assert {"getetag", "lockdiscovery"} <= set(names[f"{BASE}/d/{name}"])


async def test_a_thousand_files_are_listed_as_a_stream(site):
    draft = await site.rig.intake.open_transfer(site.rig.sender, endpoint="hku", project="trial", dataset="d")
    await site.dav("PUT", "d/f", CSV)
    await site.rig.intake.keeper.settled(draft.id)
    async with site.rig.records.write() as tx:
        row = await tx.file(draft.id, "f")
        assert row is not None
        for number in range(1_000):
            path = f"long name of a file, number {number:04}.csv"
            await tx.put_file(replace(row, file=replace(row.file, path=path)))
    found = await site.find("d", "1")
    assert len(found.listing()) == 1_001
    assert found.headers["Transfer-Encoding"] == "chunked"


@pytest.mark.parametrize("depth", ["infinity", "Infinity", None])
async def test_a_whole_tree_is_asked_for_folder_by_folder(site, depth):
    refused = await site.dav("PROPFIND", "/dav/", **({"Depth": depth} if depth else {}))
    assert (refused.status, refused.condition()) == (403, "propfind-finite-depth")


@pytest.mark.parametrize(
    "body",
    [
        b"<",
        b"<a/>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><propfind xmlns="DAV:"><allprop/></propfind>',
        b'<propfind xmlns="DAV:"/>',
    ],
)
async def test_what_is_no_propfind_is_refused(site, body):
    refused = await site.find("/dav/", "0", body)
    assert (refused.status, b"bad-xml" in refused.body) == (400, True)
    assert (await site.find("/dav/", "2")).status == 400
    assert (await site.find("/dav/", "0", b" " * 70_000)).status == 413


async def test_paths_are_decoded_once_and_named_as_at_every_door(site):
    raw = [
        (f"{BASE}/d/a%2Fb", 400),
        (f"{BASE}/d/%2e%2e/x", 400),
        (f"{BASE}/d/../x", 400),
        (f"{BASE}/d/a%zz", 400),
        (f"{BASE}/d/a?b", 400),
        (f"{BASE}/d/e%CC%81", 400),
        (f"{BASE}/d/%ff", 400),
        (f"{BASE}/d/a%5Cb", 400),
        (f"{BASE}//d//a%2541", 201),
    ]
    for target, status in raw:
        answer = await site.request("PUT", target, body=b"x")
        assert (target, answer.status) == (target, status)
    assert await site.files() == {"a%41": 1}
    absolute = await site.request("GET", f"http://gateway.example{BASE}/d/a%2541")
    assert (absolute.status, absolute.body) == (200, b"x")


async def test_ranges_and_conditions_of_a_get(site):
    etag = (await site.dav("PUT", "d/a", CONTENT)).headers["ETag"]
    part = await site.dav("GET", "d/a", Range="bytes=70000-70009")
    assert (part.status, part.body) == (206, CONTENT[70_000:70_010])
    assert part.headers["Content-Range"] == f"bytes 70000-70009/{len(CONTENT)}"
    assert (await site.dav("GET", "d/a", Range="bytes=-5")).body == CONTENT[-5:]
    assert (await site.dav("GET", "d/a", Range="bytes=1-2,4-5")).body == CONTENT
    assert (await site.dav("GET", "d/a", Range="bytes=0-1", If_Range='"other"')).body == CONTENT
    assert (await site.dav("GET", "d/a", Range=f"bytes={len(CONTENT)}-")).status == 416
    assert (await site.dav("GET", "d/a", If_None_Match=etag)).status == 304
    headed = await site.dav("HEAD", "d/a")
    assert (headed.headers["Content-Length"], headed.headers["ETag"]) == (str(len(CONTENT)), etag)
    assert (await site.dav("GET", "d")).status == 405
    assert len(site.observer.of("transfer.reopened")) == 1  # ranges of one file are one look


# --- sending ---------------------------------------------------------------------------------------------------------


async def test_files_come_whole_in_pieces_and_again(site):
    async def pieces():
        for at in range(0, len(CONTENT), 50_000):
            yield CONTENT[at : at + 50_000]

    assert (await site.dav("PUT", "d/a", pieces())).status == 201
    assert (await site.dav("GET", "d/a")).body == CONTENT
    for content in (b"", CSV):  # as Explorer and Finder do: first nothing, then all of it
        assert (await site.dav("PUT", "d/b", content)).status in {201, 204}
    assert await site.files() == {"a": len(CONTENT), "b": len(CSV)}
    assert (await site.dav("PUT", "d/b", CSV, If_None_Match="*")).status == 412
    assert (await site.dav("PUT", "d/b", CSV, If_Match='"other"')).status == 412
    assert (await site.dav("PUT", "d/c", CSV, If_None_Match="*")).status == 201


async def test_announced_digests_are_held_to(site):
    wrong = {"OC_Checksum": f"SHA1:{'0' * 40}"}, {"Repr_Digest": f"sha-256=:{'A' * 43}=:"}
    for each in wrong:
        assert (await site.dav("PUT", "d/a", CSV, **each)).status == 400
    assert await site.files() == {}
    right = {"OC_Checksum": f"SHA1:{hashlib.sha1(CSV).hexdigest()}"}
    assert (await site.dav("PUT", "d/a", CSV, **right)).status == 201


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("kept", [0.01, 0.5, 0.999, 1.0])
async def test_a_body_that_is_cut_leaves_no_file_and_no_fact(site, framing, kept):
    await send(site, {"a": CSV, "other": CSV})
    entries = len(site.rig.records.state.entries)
    told = {"Content-Length": str(len(CONTENT) + 1)} if framing == "length" else {"Transfer-Encoding": "chunked"}
    body = CONTENT if framing == "length" else chunked(CONTENT).removesuffix(b"0\r\n\r\n")
    start = head("PUT", f"{BASE}/d/a", {**(await site.bearer()), **told})
    await site.cut([start, body[: int(len(body) * kept)]])
    answered = await site.until("request.answered", 3)
    assert (answered["method"], answered["code"]) == ("PUT", "incomplete")
    assert await site.files() == {"a": len(CSV), "other": len(CSV)}
    assert (await site.dav("GET", "d/other")).body == CSV
    assert len(site.rig.records.state.entries) == entries + 1  # that look
    draft = await site.newest()
    assert await site.rig.intake.unfinished(draft.id) == 0
    async with site.rig.records.read() as view:  # quiet time does not take this for the end
        assert [lost is not None for _, lost in await view.connections(draft.id)] == [True]


async def test_files_are_sent_into_folders_that_are_there(site):
    assert (await site.dav("PUT", "d/deep/a", CSV)).status == 409
    assert (await site.dav("MKCOL", "d/deep/er")).status == 409
    assert (await site.dav("MKCOL", "d")).status == 201
    assert (await site.dav("MKCOL", "d")).status == 405
    assert (await site.dav("MKCOL", "d/deep")).status == 201
    assert (await site.dav("MKCOL", "d/deep", b"<x/>")).status == 415
    assert (await site.dav("PUT", "d/deep/a", CSV)).status == 201
    assert (await site.dav("PUT", "d/deep", CSV)).status == 405
    assert (await site.dav("MKCOL", "d/deep/a")).status == 405
    assert (await site.dav("MKCOL", "/dav/outbox/new")).status == 403
    assert (await site.dav("PUT", "/dav/status/x", CSV)).status == 403
    assert (await site.dav("PUT", "/dav/outbox/none/trial/d/a", CSV)).status == 404
    assert (await site.dav("DELETE", "d/deep")).status == 204
    assert await site.listing("d") == {}
    assert (await site.dav("DELETE", "d/deep")).status == 404
    assert (await site.dav("DELETE", "d")).status == 403


# --- names -----------------------------------------------------------------------------------------------------------


async def test_a_temporary_name_and_a_rename_are_one_file_under_the_final_name(site):
    await send(site, {"a.csv.part": CSV})
    for target, status in [
        ("http://127.0.0.1/x", 502),
        (f"http://other.example{BASE}/d/a.csv", 502),
        (f"{BASE}/d/none/a.csv", 409),
        (f"{BASE}/e/a.csv", 403),
        ("a.csv", 400),
        (f"{BASE}/d/a.csv.part", 403),
    ]:
        assert (target, (await site.dav("MOVE", "d/a.csv.part", Destination=target)).status) == (target, status)
    target = f"http://127.0.0.1:{site.port}{BASE}/d/a.csv"
    assert (await site.dav("MOVE", "d/a.csv.part", Destination=target)).status == 201
    assert await site.files() == {"a.csv": len(CSV)}
    await send(site, {"b.csv": CSV[:50]})
    assert (await site.dav("MOVE", "d/b.csv", Destination=target, Overwrite="F")).status == 412
    assert (await site.dav("MOVE", "d/b.csv", Destination=target)).status == 204
    assert await site.files() == {"a.csv": 50}


async def test_a_name_that_says_something_is_inspected_with_the_bytes(site):
    content = b"name,id\nX,11010519491231002X\n" * 3
    await send(site, {"new.txt": content})
    target = f"{BASE}/d/11010519491231002X.csv"
    assert (await site.dav("MOVE", "d/new.txt", Destination=target)).status == 201
    assert await site.files() == {"11010519491231002X.csv": len(content)}
    stored = site.rig.records.state.files[(await site.newest()).id, "11010519491231002X.csv"]
    assert any("name" in str(each["where"]) or each["where"] == "path" for each in stored.findings["findings"])
    assert site.rig.spool.busy == set()


async def test_folders_are_renamed_copied_and_deleted(site):
    assert (await site.dav("MKCOL", "d")).status == (await site.dav("MKCOL", "d/one")).status == 201
    assert (await site.dav("MOVE", "d/one", Destination=f"{BASE}/d/two")).status == 201  # "New folder", then its name
    await site.dav("MKCOL", "d/two/in")
    await send(site, {"two/a": CSV, "two/in/b": CSV})
    assert (await site.dav("MOVE", "d/two", Destination=f"{BASE}/d/two/in/x")).status == 403
    assert (await site.dav("MOVE", "d/two", Destination=f"{BASE}/d/three")).status == 201
    assert (await site.dav("COPY", "d/three", Destination=f"{BASE}/d/four")).status == 201
    assert (await site.dav("COPY", "d/three", Destination=f"{BASE}/d/flat", Depth="0")).status == 201
    assert (await site.dav("COPY", "d/three/a", Destination=f"{BASE}/d/a")).status == 201
    assert (await site.dav("COPY", "d/three/a", Destination=f"{BASE}/d/SUBMIT")).status == 403
    assert await site.listing("d") == {"three": None, "four": None, "flat": None, "a": len(CSV)}
    assert (await site.dav("GET", "d/four/in/b")).body == CSV
    assert (await site.dav("DELETE", "d/three")).status == 204
    assert set(await site.files()) == {"four/a", "four/in/b", "a"}
    draft = await site.newest()
    assert (draft.files, draft.bytes) == (3, 3 * len(CSV))


# --- submitting ------------------------------------------------------------------------------------------------------


async def test_submit_goes_the_whole_way_and_what_follows_is_a_version(site):
    await send(site, {"declaration.toml": DECLARATION, "a.csv": CSV})
    listed = "".join(
        f"{hashlib.sha256(content).hexdigest()}  {path}\n"
        for path, content in {"a.csv": CSV, "declaration.toml": DECLARATION}.items()
    )
    assert (await site.dav("PUT", "d/SUBMIT", listed.replace("  a", "  b"))).status == 400
    assert (await site.dav("PUT", "d/SUBMIT", listed)).status == 201
    assert (await site.find("d/SUBMIT")).status == 207  # whoever looks for what it wrote finds it; nobody has it listed
    assert "SUBMIT" not in await site.listing("d")
    assert (await site.dav("GET", "d/a.csv")).status == 403
    await site.rig.settle()
    assert (await site.newest()).state is State.RECEIPTED
    assert (await site.newest()).door == "webdav"
    assert (await site.listing("d"))["a.csv"] == len(CSV)
    assert set(await site.listing("/dav/receipts/hku/trial")) == {"d.v1.json", "d.v1.json.sig"}
    receipt = await site.dav("GET", "/dav/receipts/hku/trial/d.v1.json")
    assert receipt.headers["Content-Type"] == "application/json"
    assert not (await site.rig.audit.verify()).problems
    assert (await site.dav("DELETE", "d/a.csv")).status == 204
    assert (await site.newest()).version == 2
    assert set(await site.files()) == {"declaration.toml"}
    await site.dav("PUT", "d/SUBMIT.part", b"")
    assert (await site.newest()).state is State.OPEN
    assert (await site.dav("MOVE", "d/SUBMIT.part", Destination=f"{BASE}/d/SUBMIT")).status == 201
    assert (await site.newest()).state is State.SUBMITTED
    assert (await site.dav("PUT", "d/WITHDRAW", b"")).status == 201
    assert (await site.newest()).state is State.WITHDRAWN


async def test_a_temporary_name_keeps_a_dataset_open_and_a_bad_declaration_is_refused(site):
    await send(site, {"a.csv": CSV, "b.csv.filepart": CSV})
    assert (await site.dav("PUT", "d/SUBMIT", b"")).status == 400
    assert (await site.dav("PUT", "d/declaration.toml", b"level = ")).status == 422
    assert (await site.dav("PUT", "d/declaration.toml", b"x" * 70_000)).status == 413
    assert "declaration.toml" not in await site.files()
    assert (await site.newest()).state is State.OPEN


async def test_a_whole_bag_needs_no_submit(site):
    files = {**bag({"data/a.csv": CSV}, bag_info=None), "declaration.toml": DECLARATION}
    await site.dav("MKCOL", "d")
    await site.dav("MKCOL", "d/data")
    await send(site, files)
    await site.rig.intake.keeper.settled((await site.newest()).id)
    site.rig.clock.advance(seconds=10)
    await site.rig.settle()
    assert (await site.newest()).state is State.RECEIPTED


async def test_a_client_that_was_revoked_submits_no_bag(site):
    files = {**bag({"data/a.csv": CSV}, bag_info=None), "declaration.toml": DECLARATION}
    await site.dav("MKCOL", "d")
    await site.dav("MKCOL", "d/data")
    await send(site, files)
    async with site.rig.records.write() as tx:
        await tx.revoke("sz", "", site.rig.clock.now())
    await site.rig.intake.keeper.settled((await site.newest()).id)
    site.rig.clock.advance(seconds=10)
    await site.rig.settle()
    assert (await site.newest()).state is State.OPEN


async def test_silence_is_an_end_only_where_nobody_broke_off(site):
    about = {"id": "trial", "institution": "sz-lab", "endpoints": ["hku"], "purpose": "trial A", "declaration": GENERAL}
    await site.rig.register(("project", {**about, "quiet_minutes": 30}))

    async def connections():
        async with site.rig.records.read() as view:
            return [lost is None for _, lost in await view.connections((await site.newest()).id)]

    noted: list[list[bool]] = []

    async def slowly():
        yield CSV
        for _ in range(100_000):  # until the door has noted who writes
            if await connections() == [True]:
                break
            await asyncio.sleep(0)
        noted.append(await connections())
        yield CSV

    await send(site, {"a.csv": CSV})
    assert await connections() == []
    assert (await site.dav("PUT", "d/b.csv", slowly())).status == 201
    assert (noted, await connections()) == ([[True]], [])
    told = {**(await site.bearer()), "Content-Length": "5000"}
    await site.cut([head("PUT", f"{BASE}/d/c.csv", told), CSV])
    await site.until("request.answered", 3)
    assert await connections() == [False]
    site.rig.clock.advance(minutes=40)
    await site.rig.settle()
    assert (await site.newest()).state is State.OPEN
    await send(site, {"c.csv": CSV})
    await site.rig.intake.keeper.settled((await site.newest()).id)
    site.rig.clock.advance(minutes=31)
    await site.rig.settle()
    assert (await site.newest()).state is State.RECEIPTED


async def test_scopes_narrow_here_too(site):
    await send(site, {"a.csv": CSV})
    assert (await site.find("d", "1", client="sz-reader")).status == 207
    assert (await site.dav("GET", "/dav/status/hku/trial/d.txt", client="sz-reader")).status == 200
    assert (await site.dav("GET", "d/a.csv", client="sz-reader")).status == 403
    for method in ("PUT", "DELETE", "MKCOL", "MOVE", "COPY", "PROPPATCH", "LOCK", "UNLOCK"):
        assert (await site.dav(method, "d/a.csv", client="sz-reader")).status == 403
    narrowed = await site.bearer("sz", "transfers:open transfers:write transfers:read")
    submitting = await site.raw(head("PUT", f"{BASE}/d/SUBMIT", {**narrowed, "Content-Length": "0"}))
    assert submitting.status == 403
    assert (await site.newest()).state is State.OPEN


# --- properties ------------------------------------------------------------------------------------------------------


def patch(*properties: str, action: str = "set") -> bytes:
    body = "".join(f"<D:{action}><D:prop>{each}</D:prop></D:{action}>" for each in properties)
    spaces = (
        'xmlns:D="DAV:" xmlns:Z="urn:schemas-microsoft-com:" xmlns:A="http://apache.org/dav/props/" xmlns:X="urn:x"'
    )
    return f"<D:propertyupdate {spaces}>{body}</D:propertyupdate>".encode()


@pytest.mark.parametrize(
    ("said", "statuses", "at"),
    [
        (["<D:getlastmodified>Tue, 14 Nov 2023 22:13:20 GMT</D:getlastmodified>"], {200}, 1_700_000_000),
        (["<D:lastmodified>1700000000</D:lastmodified>"], {200}, 1_700_000_000),
        (
            [
                "<Z:Win32CreationTime>Tue, 14 Nov 2023 22:13:20 GMT</Z:Win32CreationTime>",
                "<Z:Win32LastModifiedTime>Tue, 14 Nov 2023 22:13:20 GMT</Z:Win32LastModifiedTime>",
                "<Z:Win32FileAttributes>00000020</Z:Win32FileAttributes>",
            ],
            {200},
            1_700_000_000,
        ),
        (["<A:executable>T</A:executable>"], {200}, None),
        (["<X:colour>red</X:colour>"], {403}, None),
        (["<D:getetag>x</D:getetag>"], {403}, None),
        (["<D:lastmodified>1700000000</D:lastmodified>", "<X:colour>red</X:colour>"], {424, 403}, None),
        (["<D:lastmodified>soon</D:lastmodified>"], {409}, None),
    ],
)
async def test_times_are_kept_habits_let_pass_and_the_rest_refused(site, said, statuses, at):
    await send(site, {"a": CSV})
    before = (await site.find("d/a")).responses()[f"{BASE}/d/a"]["getlastmodified"]
    told = await site.dav("PROPPATCH", "d/a", patch(*said))
    assert told.status == 207
    assert {status for status, _ in told.responses()[f"{BASE}/d/a"].values()} == statuses
    after = (await site.find("d/a")).responses()[f"{BASE}/d/a"]["getlastmodified"]
    wanted = f"{datetime.fromtimestamp(at, UTC):%a, %d %b %Y %H:%M:%S} GMT" if at else before[1]
    assert after[1] == wanted
    assert (await site.newest()).version == 1


async def test_a_proppatch_that_cannot_be_read_or_is_about_nothing(site):
    await send(site, {"a": CSV})
    assert (await site.dav("PROPPATCH", "d/a", b"<x/>")).status == 400
    assert (await site.dav("PROPPATCH", "d/none", patch("<D:lastmodified>1</D:lastmodified>"))).status == 404


# --- what file managers leave ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["._a.csv", ".DS_Store", "Thumbs.db", "desktop.ini", "._.DS_Store"])
async def test_what_file_managers_leave_is_taken_and_forgotten(site, name):
    await send(site, {"a.csv": CSV})
    entries = len(site.rig.records.state.entries)
    assert (await site.dav("PUT", f"d/{name}", b"x" * 4096)).status == 201
    assert (await site.dav("PUT", f"d/{name}", b"x" * 100)).status == 204
    about = (await site.find(f"d/{name}")).responses()[f"{BASE}/d/{name}"]
    assert about["getcontentlength"] == (200, "100")
    assert (await site.find(f"d/{name}", client="sz-two")).status == 404
    lock = await site.lock(f"d/{name}")
    assert lock.status == 200
    assert (await site.dav("PUT", f"d/{name}", b"y", If=f"({lock.token})")).status == 204
    assert (await site.dav("UNLOCK", f"d/{name}", Lock_Token=lock.token)).status == 204
    assert (await site.dav("PROPPATCH", f"d/{name}", patch("<D:lastmodified>1</D:lastmodified>"))).status == 207
    assert (await site.dav("MOVE", f"d/{name}", Destination=f"{BASE}/d/._b")).status == 201
    assert (await site.dav("MOVE", "d/a.csv", Destination=f"{BASE}/d/{name}")).status == 403
    assert (await site.dav("DELETE", "d/._b")).status == 204
    assert await site.files() == {"a.csv": len(CSV)}
    assert await site.listing("d") == {"a.csv": len(CSV)}
    assert len(site.rig.records.state.entries) == entries
    for place in ("/dav", "/dav/outbox"):
        assert (await site.dav("PUT", f"{place}/{name}", b"x")).status == 201


async def test_what_is_forgotten_is_bounded_too(site, monkeypatch):
    monkeypatch.setattr(writing, "MAX_FORGOTTEN", 10)
    assert (await site.dav("PUT", "d/._a", b"x" * 10)).status == 201
    assert (await site.dav("PUT", "d/._b", b"x" * 11)).status == 413
    assert (await site.find("d/._b")).status == 404


async def test_two_that_send_at_once_open_one_draft(site):
    done = await asyncio.gather(*(site.dav("PUT", f"d/f{number}", CSV) for number in range(12)))
    assert {each.status for each in done} == {201}
    assert len(await site.files()) == 12
    assert (await site.newest()).version == 1


async def test_the_status_says_that_it_waits_longer_than_it_should(site):
    await site.rig.send({"a.bin": bytes(range(256))}, dataset="d")
    await site.rig.settle()
    path = "/dav/status/hku/trial/d.txt"
    assert b"Waiting longer" not in (await site.dav("GET", path)).body
    site.rig.clock.advance(days=7)
    await site.rig.settle()
    said = (await site.dav("GET", path)).body.decode()
    assert "Waiting longer than it should" in said
    assert "等候审核已超出期限" in said
    assert "等候審核已超出期限" in said
