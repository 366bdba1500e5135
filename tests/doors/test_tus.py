"""tus 1.0.0 over a real socket: whatever was cut where, the file that is received is the file that was sent, or there is none."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import itertools
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gateway.core.errors import StoreError, Unusable
from gateway.doors.https.bulk import LEAST
from gateway.doors.https.origins import parse_origins
from gateway.flow import run, turns
from gateway.wire import crypt4gh
from tests.doors.site import Answer, Site, head, read_answer
from tests.doors.test_bodies import chunked
from tests.flow.rig import GENERAL, Rig

TABLE = b"island,birds\n" + b"lamma,12\n" * 120_000
SEGMENT = crypt4gh.SEGMENT
NOBODYS = "/files/" + "0" * 48
OCTETS = {"Content-Type": "application/offset+octet-stream"}


def metadata(**about: str) -> str:
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in about.items())


def checksum(content: bytes, algorithm: str = "sha1") -> dict[str, str]:
    digest = hashlib.new(algorithm.replace("-", ""), content).digest()
    return {"Upload-Checksum": f"{algorithm} {base64.b64encode(digest).decode()}"}


class Client:
    """Says exactly what it is told, with a token and the version."""

    def __init__(self, site: Site, transfer: str, name: str = "sz") -> None:
        self.site = site
        self.transfer = transfer
        self.name = name

    async def ask(self, method: str, target: str, body: bytes = b"", **headers: str) -> Answer:
        given = {"Tus-Resumable": "1.0.0", **{name.replace("_", "-"): value for name, value in headers.items()}}
        given = {name: value for name, value in given.items() if value}
        return await self.site.request(method, target, client=self.name, headers=given, body=body)

    async def make(self, length: int | None = len(TABLE), path: str = "a.csv", **about: str) -> str:
        said = {"Upload-Length": str(length)} if length is not None else {"Upload-Defer-Length": "1"}
        made = await self.ask(
            "POST", "/files/", **said, Upload_Metadata=metadata(transfer=self.transfer, path=path, **about)
        )
        assert made.status == 201, made.body
        assert made.headers["tus-resumable"] == "1.0.0"
        assert length == 0 or made.headers["upload-expires"].endswith(" GMT")
        return made.headers["location"]

    async def patch(self, url: str, offset: int, body: bytes, **headers: str) -> Answer:
        return await self.ask("PATCH", url, body, **OCTETS, Upload_Offset=str(offset), **headers)

    async def sending(self, url: str, offset: int, **headers: str) -> bytes:
        """The head of a PATCH."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        about = {"Tus-Resumable": "1.0.0", "Upload-Offset": str(offset), **OCTETS, **given}
        return head("PATCH", url, {**await self.site.bearer(self.name), **about})

    async def offset(self, url: str) -> int:
        said = await self.ask("HEAD", url)
        assert said.status == 200, said
        assert said.headers["cache-control"] == "no-store"
        return int(said.headers["upload-offset"])


async def a_transfer(rig: Rig) -> str:
    opened = await rig.intake.open_transfer(
        rig.sender, endpoint="hku", project="trial", dataset="d", declaration=GENERAL
    )
    return opened.id


@pytest.fixture
async def client(site):
    return Client(site, await a_transfer(site.rig))


async def received(client: Client) -> list[dict[str, Any]]:
    return await client.site.rig.enquiry.files(client.site.rig.sender, client.transfer)


async def is_received(client: Client, content: bytes = TABLE, path: str = "a.csv") -> None:
    rig = client.site.rig
    assert await received(client) == [{"path": path, "size": len(content), "sha256": sha256(content)}]
    async with rig.records.read() as view:
        (stored,) = await view.files(client.transfer)
        assert await view.partials(client.transfer) == []
    assert {part.name for part in stored.file.parts} == set(rig.spool.parts)
    keys = [name for owner, name in rig.keyring.secrets if owner == client.transfer and name.startswith("t")]
    assert sorted(keys) == sorted(rig.spool.parts)
    assert not rig.spool.busy


async def arrives(client: Client, content: bytes = TABLE, path: str = "a.csv") -> None:
    """Submitted, it arrives whole in Hong Kong."""
    rig = client.site.rig
    submitted = await client.site.request("POST", f"/v1/transfers/{client.transfer}/submit")
    assert submitted.status == 202, submitted.body
    await rig.settle()
    assert rig.arrived(f"{path}.c4gh") == content


async def nothing_is_received(client: Client) -> None:
    assert await received(client) == []
    assert client.site.observer.of("file.received") == []
    refused = await client.site.request("POST", f"/v1/transfers/{client.transfer}/submit")
    assert (refused.status, refused.json()["code"]) == (400, "incomplete")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def vanishing(client: Client, url: str, offset: int, sent: bytes) -> asyncio.StreamWriter:
    """A PATCH that stops half-way with its connection left open; returns once the gateway has what was sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.site.port)
    writer.write(await client.sending(url, offset, Content_Length=str(len(TABLE) - offset), Expect="100-continue"))
    assert b" 100 " in await reader.readuntil(b"\r\n\r\n")
    writer.write(sent)
    await writer.drain()
    turn = client.site.rig.uploads.turns.taken[url.removeprefix("/files/")]
    assert not turn.over.is_set()
    return writer


# --- one after another ------------------------------------------------------------------------------------------------


async def test_a_file_in_one_request_is_received_with_its_digest_and_arrives(client):
    url = await client.make(sha256=sha256(TABLE), mtime="2026-11-01T10:00:00+08:00")
    shown = (await client.site.request("GET", f"/v1/transfers/{client.transfer}/files")).json()
    assert shown["files"] == []
    (begun,) = shown["unfinished"]
    assert (begun["path"], begun["size"], begun["length"], begun["upload"]) == ("a.csv", 0, len(TABLE), url)
    said = await client.ask("HEAD", url)
    assert said.headers["upload-length"] == str(len(TABLE))
    assert said.headers["upload-metadata"].startswith("transfer ")
    done = await client.patch(url, 0, TABLE)
    assert (done.status, done.headers["upload-offset"]) == (204, str(len(TABLE)))
    assert await client.offset(url) == len(TABLE)
    shown = (await client.site.request("GET", f"/v1/transfers/{client.transfer}/files")).json()
    assert set(shown) == {"files"}
    await is_received(client)
    async with client.site.rig.records.read() as view:
        (stored,) = await view.files(client.transfer)
    assert stored.modified_at.isoformat() == "2026-11-01T02:00:00+00:00"
    await arrives(client)


@pytest.mark.parametrize("step", [70_000, SEGMENT, 3 * SEGMENT, (1 << 20) + 1])
@pytest.mark.parametrize("restarted", [False, True])
async def test_a_file_in_many_requests_is_one_file(client, step, restarted):
    """Also where every request meets another process, as after a restart."""
    rig = client.site.rig
    url = await client.make()
    for at in range(0, len(TABLE), step):
        if restarted:
            rig.uploads._ready.clear()
        answer = await client.patch(url, at, TABLE[at : at + step])
        assert answer.status == 204, answer.body
        assert await client.offset(url) == min(at + step, len(TABLE))
    await is_received(client)
    whole = await client.site.request("PUT", f"/v1/transfers/{client.transfer}/files/b.csv", body=TABLE)
    async with rig.records.read() as view:
        one, other = await view.files(client.transfer)
        entries = await view.entries_of(client.transfer)
    assert whole.status == 201
    assert {**one.findings, "path": ""} == {**other.findings, "path": ""}
    reopened = [body for _, body in entries if b"transfer.reopened" in body]
    assert bool(reopened) is restarted  # in one process nothing is read back
    await arrives(client)


async def test_many_tiny_requests_leave_few_parts(client):
    content = TABLE[:150_000]
    url = await client.make(len(content))
    for at in range(0, len(content), 3_000):
        assert (await client.patch(url, at, content[at : at + 3_000])).status == 204
        assert len(client.site.rig.spool.parts) <= 4
    await is_received(client, content)
    await arrives(client, content)


async def test_bytes_come_with_the_creation(client):
    said = {"Upload_Length": str(len(TABLE)), "Upload_Metadata": metadata(transfer=client.transfer, path="a.csv")}
    made = await client.ask("POST", "/files/", TABLE[:500_000], **OCTETS, **said)
    assert (made.status, made.headers["upload-offset"]) == (201, "500000")
    url = made.headers["location"]
    assert (await client.patch(url, 500_000, TABLE[500_000:])).status == 204
    await is_received(client)
    other = {**said, "Upload_Metadata": metadata(transfer=client.transfer, path="b.csv")}
    whole = await client.ask("POST", "/files/", TABLE, **OCTETS, **other)
    assert (whole.status, whole.headers["upload-offset"]) == (201, str(len(TABLE)))
    assert len(await received(client)) == 2


async def test_bytes_that_come_with_a_creation_and_break_off_leave_no_upload_nobody_knows_of(client):
    said = {"Upload-Length": str(len(TABLE)), "Upload-Metadata": metadata(transfer=client.transfer, path="a.csv")}
    start = head(
        "POST",
        "/files/",
        {**await client.site.bearer(), "Tus-Resumable": "1.0.0", **OCTETS, **said, "Content-Length": str(len(TABLE))},
    )
    await client.site.cut([start, TABLE[:500_000]])
    await client.site.until("request.answered")
    async with client.site.rig.records.read() as view:
        assert await view.uploads(client.transfer) == []
    assert client.site.rig.spool.parts == {}


async def test_an_empty_file_is_received_when_it_is_made(client):
    url = await client.make(0)
    assert await client.offset(url) == 0
    await is_received(client, b"")
    assert (await client.patch(url, 0, b"", Content_Length="0")).status == 204
    assert (await client.patch(url, 0, b"x")).status == 413


async def test_a_length_may_be_said_later_and_once(client):
    url = await client.make(None)
    said = await client.ask("HEAD", url)
    assert said.headers["upload-defer-length"] == "1"
    assert "upload-length" not in said.headers
    assert (await client.patch(url, 0, TABLE[:100_000])).status == 204
    short = await client.patch(url, 100_000, b"", Upload_Length="99999", Content_Length="0")
    assert (short.status, short.json()["code"]) == (400, "bad-header")
    assert (await client.patch(url, 100_000, TABLE[100_000:200_000], Upload_Length=str(len(TABLE)))).status == 204
    said = await client.ask("HEAD", url)
    assert said.headers["upload-length"] == str(len(TABLE))
    assert "upload-defer-length" not in said.headers
    other = await client.patch(url, 200_000, TABLE[200_000:], Upload_Length=str(len(TABLE) + 1))
    assert other.status == 400
    assert (await client.patch(url, 200_000, TABLE[200_000:])).status == 204
    await is_received(client)


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_length_may_be_said_when_all_bytes_are_there(client, restarted):
    url = await client.make(None)
    assert (await client.patch(url, 0, TABLE[: 4 * SEGMENT])).status == 204
    if restarted:
        client.site.rig.uploads._ready.clear()
    assert (await client.patch(url, 4 * SEGMENT, b"", Upload_Length=str(4 * SEGMENT), Content_Length="0")).status == 204
    await is_received(client, TABLE[: 4 * SEGMENT])
    await arrives(client, TABLE[: 4 * SEGMENT])


async def test_a_chunked_body_is_a_body(client):
    url = await client.make()
    sent = await client.sending(url, 0, Transfer_Encoding="chunked") + chunked(TABLE)
    assert (await client.site.raw(sent)).status == 204
    await is_received(client)


async def test_a_request_without_bytes_changes_nothing(client):
    url = await client.make()
    assert (await client.patch(url, 0, b"", Content_Length="0")).status == 204
    assert (await client.patch(url, 0, TABLE[:100_001])).status == 204
    assert (await client.patch(url, 100_001, b"", Content_Length="0")).status == 204
    assert (await client.patch(url, 100_001, TABLE[100_001:])).status == 204
    await is_received(client)


async def test_methods_may_be_said_in_a_header(client):
    url = await client.make()
    by = {"X_HTTP_Method_Override": "PATCH"}
    assert (await client.ask("POST", url, TABLE[:9], **OCTETS, Upload_Offset="0", **by)).status == 204
    asked = await client.ask("POST", url, X_HTTP_Method_Override="HEAD")
    assert (asked.status, asked.headers["upload-offset"]) == (200, "9")
    assert (await client.ask("POST", url)).status == 405
    assert (await client.ask("POST", "/files/", X_HTTP_Method_Override="DELETE")).status == 405
    assert (await client.ask("PATCH", url, X_HTTP_Method_Override="DELETE")).status == 204
    assert (await client.ask("HEAD", url)).status == 404


def carried(sent: bytes, size: int = 30_000) -> int:
    """Bytes in the beginning of a chunked body."""
    line = len(b"%x\r\n" % size)
    whole, left = divmod(len(sent), line + size + 2)
    return whole * size + min(size, max(0, left - line))


# --- cut --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "polite"])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.999])
@pytest.mark.parametrize("coding", ["length", "chunked"])
async def test_a_body_that_ends_early_is_no_file_and_goes_on(client, coding, kept, reset):
    url = await client.make()
    if coding == "length":
        start, body = await client.sending(url, 0, Content_Length=str(len(TABLE))), TABLE
    else:
        start, body = await client.sending(url, 0, Transfer_Encoding="chunked"), chunked(TABLE)
    await client.site.cut([start, body[: int(len(body) * kept)]], reset=reset)
    assert (await client.site.until("request.answered", 2))["code"] == "incomplete"
    await nothing_is_received(client)
    at = await client.offset(url)
    assert at < len(TABLE)
    if not reset:  # what was sent before a polite end came all the same
        wanted = int(len(TABLE) * kept) if coding == "length" else carried(body[: int(len(body) * kept)])
        assert at == min(wanted, len(TABLE) - 1)
    assert (await client.patch(url, at, TABLE[at:])).status == 204
    await is_received(client)
    await arrives(client)


@pytest.mark.parametrize("kept", [0.01, 0.5, 0.999])
async def test_a_body_taken_past_the_parser_keeps_every_byte_that_came(client, kept):
    """Large bodies fill pieces of their own (`doors/https/bulk.py`); a cut leaves the last of them half filled."""
    large = TABLE * (LEAST // len(TABLE) + 3)
    url, sent = await client.make(len(large)), int(len(large) * kept)
    await client.site.cut([await client.sending(url, 0, Content_Length=str(len(large))), large[:sent]], reset=False)
    assert (await client.site.until("request.answered", 2))["code"] == "incomplete"
    await nothing_is_received(client)
    assert await client.offset(url) == sent
    assert (await client.patch(url, sent, large[sent:])).status == 204
    await is_received(client, large)
    await arrives(client, large)


@pytest.mark.parametrize("restarted", [False, True])
async def test_all_bytes_without_the_end_of_the_body_are_not_all(client, restarted):
    """The last chunk never comes: the sender asks, and comes back for the last byte."""
    url = await client.make()
    body = chunked(TABLE).removesuffix(b"0\r\n\r\n")
    await client.site.cut([await client.sending(url, 0, Transfer_Encoding="chunked"), body], reset=False)
    assert (await client.site.until("request.answered", 2))["code"] == "incomplete"
    await nothing_is_received(client)
    if restarted:
        client.site.rig.uploads._ready.clear()
    assert await client.offset(url) == len(TABLE) - 1
    assert (await client.patch(url, len(TABLE) - 1, TABLE[-1:])).status == 204
    await is_received(client)
    await arrives(client)


async def test_all_bytes_sent_and_then_gone_may_be_received_and_the_offset_says_so(client):
    url = await client.make()
    await client.site.cut([await client.sending(url, 0, Content_Length=str(len(TABLE))), TABLE])
    await client.site.until("request.answered", 2)
    at = await client.offset(url)
    assert bool(await received(client)) is (at == len(TABLE))
    assert (await client.patch(url, at, TABLE[at:], Content_Length=str(len(TABLE) - at))).status == 204
    await is_received(client)


async def test_cut_again_and_again_it_still_arrives(client):
    url = await client.make()
    at, answered = 0, 1
    for step in (1, 65_535, 300_000, 65_536, 200_001):
        start = await client.sending(url, at, Content_Length=str(len(TABLE) - at))
        await client.site.cut([start, TABLE[at : at + step]], reset=False)
        answered += 1
        await client.site.until("request.answered", answered)
        assert (await client.offset(url)) == at + step
        answered += 1
        at += step
    assert (await client.patch(url, at, TABLE[at:])).status == 204
    await is_received(client)
    await arrives(client)


async def test_a_restarted_gateway_goes_on(tmp_path):
    site = await Site(tmp_path).found()
    client = Client(site, await a_transfer(site.rig))
    async with site.served():
        url = await client.make()
        assert (await client.patch(url, 0, TABLE[:700_003])).status == 204
    site.rig.restart()
    async with site.served():
        assert await client.offset(url) == 700_003
        assert (await client.patch(url, 700_003, TABLE[700_003:])).status == 204
        await is_received(client)
        await arrives(client)


# --- whose turn -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asking", ["HEAD", "PATCH"])
async def test_the_newest_request_takes_over_one_that_hangs(client, asking):
    url = await client.make()
    assert (await client.patch(url, 0, TABLE[:100_000])).status == 204
    hanging = await vanishing(client, url, 100_000, b"")
    if asking == "HEAD":
        assert await client.offset(url) == 100_000
    assert (await client.patch(url, 100_000, TABLE[100_000:])).status == 204
    await is_received(client)
    hanging.close()


async def test_what_a_hanging_request_brought_counts(client):
    url = await client.make()
    hanging = await vanishing(client, url, 0, TABLE[:300_000])
    rig = client.site.rig
    at = await client.offset(url)
    assert 0 <= at <= 300_000  # a HEAD may come before the bytes are read
    assert not rig.uploads.turns.taken
    assert (await client.patch(url, at, TABLE[at:])).status == 204
    await is_received(client)
    hanging.close()


async def test_another_process_gives_way(tmp_path, monkeypatch):
    """Two processes over one database and one vault: the second asks, the first gives way and keeps what came."""
    monkeypatch.setattr(turns, "WATCH", 0.02)
    site = await Site(tmp_path).found()
    first = site.rig.uploads
    first.turns.shared = True
    client = Client(site, await a_transfer(site.rig))
    async with site.served():
        url = await client.make()
        hanging = await vanishing(client, url, 0, TABLE[:300_000])
        site.rig.restart()
        site.rig.uploads.turns.shared = True
        other = await site.rig.uploads.look(site.sender(), url.removeprefix("/files/"))
        assert other.offset <= 300_000
        assert not first.turns.taken
        async with site.served():
            assert (await client.patch(url, other.offset, TABLE[other.offset :])).status == 204
            await is_received(client)
        hanging.close()


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("before", [0, 200_000])
@pytest.mark.parametrize("sent", [0, 3_000, (2 << 20) + 5])
async def test_what_a_killed_process_left_is_found_at_once(client, before, sent, shared):
    content = TABLE * 3
    rig = client.site.rig
    url = await client.make(len(content))
    if before:
        assert (await client.patch(url, 0, content[:before])).status == 204
    reader, writer = await asyncio.open_connection("127.0.0.1", client.site.port)
    start = await client.sending(url, before, Content_Length=str(len(content) - before), Expect="100-continue")
    writer.write(start)
    assert b" 100 " in await reader.readuntil(b"\r\n\r\n")
    (name,) = rig.spool.busy
    writer.write(content[before : before + sent])
    wanted = sent // (1 << 20) * 16 * crypt4gh.CIPHER_SEGMENT
    async with asyncio.timeout(20):
        while len(rig.spool.writers[-1].data) < wanted:
            await asyncio.wait([asyncio.ensure_future(asyncio.to_thread(lambda: None))])
    rig.spool.die()
    dead, rig.uploads = rig.uploads, None
    rig.restart()
    rig.uploads.turns.shared = shared
    found = await rig.uploads.look(client.site.sender(), url.removeprefix("/files/"))
    assert before <= found.offset <= before + sent
    assert found.offset >= (
        before // SEGMENT * SEGMENT + wanted // crypt4gh.CIPHER_SEGMENT * SEGMENT if wanted else before
    )
    assert name not in rig.spool.left
    async with client.site.served():
        assert (await client.patch(url, found.offset, content[found.offset :])).status == 204
        await is_received(client, content)
        await arrives(client, content)
    del dead
    writer.close()


async def test_who_was_taken_for_dead_records_nothing(client):
    """Its claim is gone: what it brings does not count, and what the other one keeps stays."""
    rig = client.site.rig
    url = await client.make()
    assert (await client.patch(url, 0, TABLE[:100_000])).status == 204
    reader, writer = await asyncio.open_connection("127.0.0.1", client.site.port)
    rest = TABLE[100_000:]
    writer.write(await client.sending(url, 100_000, Content_Length=str(len(rest)), Expect="100-continue"))
    assert b" 100 " in await reader.readuntil(b"\r\n\r\n")
    upload = url.removeprefix("/files/")
    async with rig.records.write() as tx:
        note = await tx.partial(client.transfer, f"/{upload}")
        await tx.put_partial(note.__class__(**{**vars(note), "parts": note.parts[:-1]}))
    writer.write(rest)
    answer = await read_answer(reader)
    assert (answer.status, answer.json()["code"]) == (423, "upload-busy")
    writer.close()
    assert await client.offset(url) == 100_000
    assert (await client.patch(url, 100_000, rest)).status == 204
    await is_received(client)


async def test_a_database_that_goes_away_at_the_end_costs_less_than_a_segment(client):
    rig = client.site.rig
    url = await client.make()

    def away() -> None:
        if rig.spool.parts:
            raise StoreError("the database is away")

    rig.records.before_commit = away
    assert (await client.patch(url, 0, TABLE)).status == 503
    rig.records.before_commit = None
    at = await client.offset(url)
    assert len(TABLE) - SEGMENT <= at < len(TABLE)
    assert (await client.patch(url, at, TABLE[at:])).status == 204
    await is_received(client)


# --- refused ----------------------------------------------------------------------------------------------------------


async def test_an_offset_that_is_not_the_uploads_is_refused(client):
    url = await client.make()
    assert (await client.patch(url, 0, TABLE[:100_000])).status == 204
    for offset in (0, 99_999, 100_001, len(TABLE)):
        answer = await client.patch(url, offset, b"x")
        assert (answer.status, answer.json()["code"]) == (409, "offset-mismatch")
    assert await client.offset(url) == 100_000


async def test_more_bytes_than_were_announced_are_refused(client):
    url = await client.make()
    assert (await client.patch(url, 0, TABLE[:100_000])).status == 204
    long = await client.patch(url, 100_000, TABLE)
    assert (long.status, long.json()["code"]) == (413, "too-large")
    sent = await client.sending(url, 100_000, Transfer_Encoding="chunked") + chunked(TABLE)
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        assert (await client.site.raw(sent)).status == 413
    assert await client.offset(url) == 100_000
    assert (await client.patch(url, 100_000, TABLE[100_000:])).status == 204
    await is_received(client)


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha-256", "sha512"])
@pytest.mark.parametrize("restarted", [False, True])
async def test_a_body_counts_only_with_its_checksum(client, algorithm, restarted):
    url = await client.make()
    assert (await client.patch(url, 0, TABLE[:100_001], **checksum(TABLE[:100_001], algorithm))).status == 204
    before = dict(client.site.rig.spool.parts)
    rest = TABLE[100_001:]
    for wrong in (TABLE[100_001:600_000], rest):  # in the middle, and with the last byte
        answer = await client.patch(url, 100_001, wrong, **checksum(b"other", algorithm))
        assert (answer.status, answer.json()["code"]) == (460, "checksum-mismatch")
        if restarted:
            client.site.rig.uploads._ready.clear()
        assert await client.offset(url) == 100_001
        assert client.site.rig.spool.parts == before
    assert await received(client) == []
    assert (await client.patch(url, 100_001, rest, **checksum(rest, algorithm))).status == 204
    await is_received(client)


async def test_a_body_with_a_checksum_that_breaks_off_does_not_count(client):
    url = await client.make()
    about = {**checksum(TABLE), "Content_Length": str(len(TABLE))}
    await client.site.cut([await client.sending(url, 0, **about), TABLE[:500_000]], reset=False)
    await client.site.until("request.answered", 2)
    assert await client.offset(url) == 0
    assert client.site.rig.spool.parts == {}


@pytest.mark.parametrize(
    ("given", "code"),
    [("md5 AAAA", "bad-header"), ("sha1 AAAA", "bad-header"), ("sha1", "bad-header"), ("sha1 !", "bad-header")],
)
async def test_a_checksum_that_cannot_be_read_is_refused(client, given, code):
    url = await client.make()
    answer = await client.patch(url, 0, TABLE, Upload_Checksum=given)
    assert (answer.status, answer.json()["code"]) == (400, code)
    assert await client.offset(url) == 0


async def test_a_file_with_another_digest_than_announced_is_not_received_and_its_upload_ends(client):
    url = await client.make(sha256=sha256(b"other"))
    assert (await client.patch(url, 0, TABLE[:100_000])).status == 204
    answer = await client.patch(url, 100_000, TABLE[100_000:])
    assert (answer.status, answer.json()["code"]) == (400, "digest-mismatch")
    assert (await client.ask("HEAD", url)).status == 404
    assert await received(client) == []
    assert client.site.rig.spool.parts == {}


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        ({"Upload_Metadata": ""}, 400, "bad-metadata"),
        ({"Upload_Metadata": metadata(path="a.csv")}, 400, "bad-metadata"),
        ({"Upload_Metadata": "transfer dDE="}, 400, "bad-metadata"),
        ({"Upload_Metadata": "path !"}, 400, "bad-metadata"),
        ({"Upload_Metadata": metadata(transfer="{id}", path="../a")}, 400, "bad-path"),
        ({"Upload_Metadata": metadata(transfer="t" + "a" * 24, path="a")}, 404, "no-such-transfer"),
        ({"Upload_Metadata": metadata(transfer="{id}", path="a", sha256="zz")}, 400, "bad-metadata"),
        ({"Upload_Metadata": metadata(transfer="{id}", path="a", mtime="yesterday")}, 400, "bad-metadata"),
        ({"Upload_Metadata": metadata(transfer="{id}", path="a", mtime="2026-11-01T10:00:00")}, 400, "bad-metadata"),
        ({"Upload_Length": ""}, 400, "bad-header"),
        ({"Upload_Length": "-1"}, 400, "bad-header"),
        ({"Upload_Length": "1e3"}, 400, "bad-header"),
        ({"Upload_Defer_Length": "1"}, 400, "bad-header"),
        ({"Upload_Length": "", "Upload_Defer_Length": "2"}, 400, "bad-header"),
        ({"Upload_Length": str((1 << 40) + 1)}, 413, "too-large"),
        ({"Upload_Concat": "middle"}, 400, "bad-header"),
        ({"Tus_Resumable": ""}, 412, "tus-version"),
        ({"Tus_Resumable": "0.2.2"}, 412, "tus-version"),
    ],
)
async def test_a_creation_that_says_too_little_or_nonsense_is_refused(client, said, status, code):
    given = {"Upload_Length": "9", "Upload_Metadata": metadata(transfer=client.transfer, path="a.csv"), **said}
    held = base64.b64encode(b"{id}").decode()
    given["Upload_Metadata"] = given["Upload_Metadata"].replace(
        held, base64.b64encode(client.transfer.encode()).decode()
    )
    answer = await client.ask("POST", "/files/", **given)
    assert (answer.status, answer.json()["code"]) == (status, code)
    assert answer.headers["tus-resumable"] == "1.0.0"
    assert (answer.headers.get("tus-version") == "1.0.0") is (status == 412)
    async with client.site.rig.records.read() as view:
        assert await view.uploads(client.transfer) == []


async def test_what_is_no_patch_is_refused(client):
    url = await client.make()
    assert (await client.ask("PATCH", url, b"x", Upload_Offset="0")).status == 415
    assert (await client.ask("PATCH", url, b"x", **OCTETS)).status == 400
    assert (await client.ask("PATCH", url, b"x", **OCTETS, Upload_Offset="0", Content_Encoding="gzip")).status == 415
    assert (await client.ask("PUT", url, b"x")).status == 405
    assert (await client.ask("GET", url)).status == 405
    assert await client.offset(url) == 0


async def test_a_refused_patch_is_never_asked_for_its_body(client):
    url = await client.make()
    for target, offset in ((url, 5), (NOBODYS, 0)):
        answer = await client.site.raw(
            await client.sending(target, offset, Content_Length="400000", Expect="100-continue")
        )
        assert answer.interim == []
        assert answer.status in {404, 409}


async def test_what_this_server_does_is_said_to_whoever_may_write(client):
    for target in ("/files/", NOBODYS):
        said = await client.ask("OPTIONS", target, Tus_Resumable="")
        assert said.status == 204
        assert said.headers["tus-version"] == "1.0.0"
        assert said.headers["tus-max-size"] == str(1 << 40)
        assert {"creation", "checksum", "concatenation"} <= set(said.headers["tus-extension"].split(","))
        assert {"sha1", "sha256"} <= set(said.headers["tus-checksum-algorithm"].split(","))
        assert (await client.site.request("OPTIONS", target, client="")).status == 401


async def test_what_is_kept_takes_room_as_files_do(tmp_path):
    site = await Site(tmp_path).found()
    site.rig.limits = replace(site.rig.limits, undelivered_bytes=len(TABLE) + 100_000)
    site.rig.restart()
    client = Client(site, await a_transfer(site.rig))
    async with site.served():
        url = await client.make()
        assert (await client.patch(url, 0, TABLE[:500_000])).status == 204
        said = {"Upload_Length": str(700_000), "Upload_Metadata": metadata(transfer=client.transfer, path="b.csv")}
        refused = await client.ask("POST", "/files/", **said)
        assert (refused.status, refused.json()["code"]) == (413, "quota-reached")
        site.rig.uploads._ready.clear()  # what is read back is not counted twice
        assert (await client.patch(url, 500_000, TABLE[500_000:])).status == 204
        await is_received(client)


async def test_an_upload_comes_in_so_many_parts_and_no_more(client, monkeypatch):
    monkeypatch.setattr(run, "MAX_PARTS", 3)
    url = await client.make()
    for at in range(0, 3 * SEGMENT, SEGMENT):
        assert (await client.patch(url, at, TABLE[at : at + SEGMENT])).status == 204
    assert (await client.patch(url, 3 * SEGMENT, TABLE[3 * SEGMENT :])).status == 413
    assert await client.offset(url) == 3 * SEGMENT


# --- whose ------------------------------------------------------------------------------------------------------------


async def test_another_institutions_upload_is_none(client):
    url = await client.make()
    stranger = Client(client.site, client.transfer, "gz")
    hanging = await vanishing(client, url, 0, b"")
    for target in (url, NOBODYS, "/files/x", "/files/" + "A" * 48):
        assert (await stranger.ask("HEAD", target)).status == 404
        answers = [await stranger.patch(target, 0, b"x"), await stranger.ask("DELETE", target)]
        assert {(each.status, each.json()["code"]) for each in answers} == {(404, "no-such-upload")}
    said = {"Upload_Length": "9", "Upload_Metadata": metadata(transfer=client.transfer, path="a.csv")}
    assert (await stranger.ask("POST", "/files/", **said)).json()["code"] == "no-such-transfer"
    assert client.site.rig.uploads.turns.taken  # nobody's connection was ended by a stranger
    hanging.close()


async def test_a_token_that_may_only_read_sees_no_offset(client):
    url = await client.make()
    reader = Client(client.site, client.transfer, "sz-reader")
    assert (await reader.ask("HEAD", url)).status == 403
    assert (await reader.ask("OPTIONS", "/files/")).status == 403


# --- the end ----------------------------------------------------------------------------------------------------------


async def test_an_ended_upload_leaves_nothing(client):
    url = await client.make()
    assert (await client.patch(url, 0, TABLE[:100_000])).status == 204
    hanging = await vanishing(client, url, 100_000, b"")
    ended = await client.ask("DELETE", url)
    assert (ended.status, ended.body) == (204, b"")
    assert (await client.ask("HEAD", url)).status == 404
    assert (await client.patch(url, 100_000, b"x")).status == 404
    assert client.site.rig.spool.parts == {}
    assert not client.site.rig.spool.busy
    keys = [name for owner, name in client.site.rig.keyring.secrets if owner == client.transfer]
    assert not [name for name in keys if name.startswith("t")]
    hanging.close()


async def test_ending_an_upload_that_is_done_takes_its_file_back_and_no_other(client):
    url = await client.make()
    assert (await client.patch(url, 0, TABLE)).status == 204
    other = await client.make()
    assert (await client.patch(other, 0, TABLE[::-1])).status == 204
    assert (await client.ask("DELETE", url)).status == 204
    await is_received(client, TABLE[::-1])
    assert (await client.ask("DELETE", other)).status == 204
    assert await received(client) == []


async def test_the_file_of_a_submitted_transfer_is_not_taken_back(client):
    url = await client.make()
    assert (await client.patch(url, 0, TABLE)).status == 204
    await client.site.request("POST", f"/v1/transfers/{client.transfer}/submit")
    assert (await client.ask("DELETE", url)).json()["code"] == "wrong-state"
    assert await client.offset(url) == len(TABLE)


async def test_an_upload_nobody_comes_back_for_is_gone(client):
    rig = client.site.rig
    url = await client.make()
    assert (await client.patch(url, 0, TABLE[:100_000])).status == 204
    await client.site.request("PUT", f"/v1/transfers/{client.transfer}/files/b.csv", body=b"u,v\n1,2\n")
    rig.clock.advance(timedelta(hours=71))
    assert (await client.patch(url, 100_000, TABLE[100_000:100_001])).status == 204
    rig.clock.advance(timedelta(hours=71))
    assert (await client.ask("HEAD", url)).status == 200
    rig.clock.advance(timedelta(hours=1))
    for _ in range(2):
        assert (await client.ask("HEAD", url)).status in {404, 410}
        answer = await client.patch(url, 100_001, b"x")
        assert answer.json()["code"] in {"upload-gone", "no-such-upload"}
        shown = (await client.site.request("GET", f"/v1/transfers/{client.transfer}/files")).json()
        assert "unfinished" not in shown
        await rig.housekeeping.round()
    assert len(rig.spool.parts) == 1
    assert (await client.site.request("POST", f"/v1/transfers/{client.transfer}/submit")).status == 202


async def test_a_deleted_file_takes_its_uploads_along(client):
    url = await client.make()
    assert (await client.patch(url, 0, TABLE[:100_000])).status == 204
    deleted = await client.site.request("DELETE", f"/v1/transfers/{client.transfer}/files/a.csv")
    assert deleted.status == 204
    assert (await client.ask("HEAD", url)).status == 404
    assert client.site.rig.spool.parts == {}


async def test_the_upload_of_a_withdrawn_transfer_is_gone(client):
    url = await client.make()
    hanging = await vanishing(client, url, 0, b"")
    await client.site.request("POST", f"/v1/transfers/{client.transfer}/withdraw")
    assert (await client.ask("HEAD", url)).status == 410
    hanging.close()


async def test_two_uploads_of_one_path_do_not_mix(client):
    one, other = await client.make(), await client.make(path="a.csv")
    backwards = TABLE[::-1]
    assert (await client.patch(one, 0, TABLE[:100_000])).status == 204
    assert (await client.patch(other, 0, backwards[:200_000])).status == 204
    assert (await client.patch(one, 100_000, TABLE[100_000:])).status == 204
    assert (await client.patch(other, 200_000, backwards[200_000:])).status == 204
    await is_received(client, backwards)


# --- pieces -----------------------------------------------------------------------------------------------------------


async def a_piece(client: Client, content: bytes, *, whole: bool = True) -> str:
    said = {"Upload_Length": str(len(content)), "Upload_Metadata": metadata(transfer=client.transfer)}
    made = await client.ask("POST", "/files/", Upload_Concat="partial", **said)
    assert made.status == 201, made.body
    url = made.headers["location"]
    half = len(content) // 2
    assert (await client.patch(url, 0, content[:half])).status == 204
    if whole:
        assert (await client.patch(url, half, content[half:], Content_Length=str(len(content) - half))).status == 204
    return url


async def join(client: Client, *pieces: str, **about: str) -> Answer:
    said = metadata(transfer=client.transfer, path="a.csv", **about)
    return await client.ask("POST", "/files/", Upload_Concat="final;" + " ".join(pieces), Upload_Metadata=said)


async def test_pieces_are_one_file_inspected_as_one(client):
    rig = client.site.rig
    sizes = [0, 1, SEGMENT, 300_007]
    ends = [sum(sizes[: number + 1]) for number in range(len(sizes))]
    cuts = [0, *ends, len(TABLE)]
    contents = [TABLE[start:end] for start, end in itertools.pairwise(cuts)]
    pieces = list(await asyncio.gather(*(a_piece(client, content) for content in contents)))
    said = await client.ask("HEAD", pieces[3])
    assert (said.headers["upload-concat"], said.headers["upload-offset"]) == ("partial", str(len(contents[3])))
    assert await received(client) == []
    await nothing_is_received(client)
    pieces[1] = f"https://gateway.example{pieces[1]}"
    made = await join(client, *pieces, sha256=sha256(TABLE))
    assert made.status == 201, made.body
    url = made.headers["location"]
    said = await client.ask("HEAD", url)
    assert said.headers["upload-offset"] == said.headers["upload-length"] == str(len(TABLE))
    assert said.headers["upload-concat"] == "final;" + " ".join(pieces)
    refused = await client.patch(url, len(TABLE), b"", Content_Length="0")
    assert (refused.status, refused.json()["code"]) == (403, "upload-final")
    await is_received(client)
    whole = await client.site.request("PUT", f"/v1/transfers/{client.transfer}/files/b.csv", body=TABLE)
    async with rig.records.read() as view:
        one, other = await view.files(client.transfer)
    assert whole.status == 201
    assert {**one.findings, "path": ""} == {**other.findings, "path": ""}
    assert (await client.ask("HEAD", pieces[0])).status == 404
    await arrives(client)


async def test_pieces_that_are_not_whole_or_not_there_make_no_file(client):
    whole, half = await a_piece(client, TABLE), await a_piece(client, TABLE, whole=False)
    file = await client.make(path="b.csv")
    assert (await join(client, whole, half)).json()["code"] == "conflict"
    assert (await join(client, whole, file)).json()["code"] == "conflict"
    assert (await join(client, whole, NOBODYS)).json()["code"] == "no-such-upload"
    assert (await join(client, whole, "/elsewhere")).json()["code"] == "no-such-upload"
    assert (await join(client, whole, sha256=sha256(b"other"))).json()["code"] == "digest-mismatch"
    stranger = Client(client.site, client.transfer, "gz")
    assert (await join(stranger, whole)).status == 404
    with_length = await client.ask(
        "POST",
        "/files/",
        Upload_Concat=f"final;{whole}",
        Upload_Length="5",
        Upload_Metadata=metadata(transfer=client.transfer, path="a"),
    )
    assert with_length.status == 400
    assert await received(client) == []
    assert await client.offset(whole) == len(TABLE)
    assert (await client.ask("DELETE", half)).status == 204
    assert (await client.ask("DELETE", file)).status == 204
    assert (await join(client, whole, whole)).status == 201
    await is_received(client, TABLE * 2)
    await arrives(client, TABLE * 2)


# --- from a browser ---------------------------------------------------------------------------------------------------

PORTAL = "https://portal.example:8444"


@pytest.fixture
async def opened(tmp_path):
    site = await Site(tmp_path).found()
    site.origins = frozenset({PORTAL})
    async with site.served():
        yield Client(site, await a_transfer(site.rig))


async def preflight(client: Client, target: str, origin: str) -> Answer:
    asked = {"Origin": origin, "Access-Control-Request-Method": "PATCH"}
    return await client.site.request("OPTIONS", target, client="", headers=asked)


async def test_a_named_origin_may_ask_and_read(opened):
    for target in ("/files/", NOBODYS, f"/v1/transfers/{opened.transfer}/submit"):
        may = await preflight(opened, target, PORTAL)
        assert (may.status, may.headers["access-control-allow-origin"]) == (204, PORTAL)
        assert "PATCH" in may.headers["access-control-allow-methods"]
        assert "Upload-Offset" in may.headers["access-control-allow-headers"]
        assert "Origin" in may.headers["vary"]
    url = await opened.make()
    said = await opened.ask("HEAD", url, Origin=PORTAL)
    assert said.headers["access-control-allow-origin"] == PORTAL
    assert {"Upload-Offset", "Location"} <= set(said.headers["access-control-expose-headers"].split(", "))
    refused = await opened.site.request("GET", "/v1/transfers", client="", headers={"Origin": PORTAL})
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, PORTAL)


@pytest.mark.parametrize("origin", ["https://portal.example", PORTAL.upper(), "null", "*", f"{PORTAL}/", ""])
async def test_no_other_origin_may(opened, origin):
    assert (await preflight(opened, "/files/", origin)).status == 401
    said = await opened.ask("HEAD", await opened.make(), Origin=origin)
    assert "access-control-allow-origin" not in said.headers


async def test_nothing_else_is_opened_and_by_default_nothing(opened, site):
    for target in ("/oauth2/token", "/healthz", "/v1", "/elsewhere"):
        asked = await preflight(opened, target, PORTAL)
        assert asked.status in {401, 405}
        assert "access-control-allow-origin" not in asked.headers
    shut = Client(site, await a_transfer(site.rig))
    assert (await preflight(shut, "/files/", PORTAL)).status == 401
    assert "vary" not in (await shut.ask("HEAD", await shut.make(), Origin=PORTAL)).headers


@pytest.mark.parametrize("text", ["", "  ", f"{PORTAL} http://localhost:8444\n https://[::1]:8444"])
def test_origins_are_listed_apart_by_spaces(text):
    assert parse_origins(text) == frozenset(text.split())


@pytest.mark.parametrize("text", ["*", "null", "portal.example", f"{PORTAL}/", PORTAL.upper(), "https://a,https://b"])
def test_what_is_no_origin_is_refused_at_the_start(text):
    with pytest.raises(Unusable, match=r"https\.origins"):
        parse_origins(text)
