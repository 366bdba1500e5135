"""Large bodies, received past the parser: whole or nothing, not a byte more, and the connection ends with them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ssl
from datetime import UTC, datetime

import pytest

from certs.authority import DevelopmentAuthority
from gateway.doors.https import BodyLimits, server_context
from gateway.doors.https.bulk import LEAST, Pace
from gateway.flow.pieces import PIECE
from tests.doors.site import Site, head, read_answer
from tests.flow.rig import GENERAL

CONTENT = hashlib.shake_256(b"bulk").digest(1 << 16) * (LEAST // (1 << 16) + 33) + b"and no whole piece"


async def a_transfer(site) -> str:
    rig = site.rig
    opened = await rig.intake.open_transfer(
        rig.sender, endpoint="hku", project="trial", dataset="d", declaration=GENERAL
    )
    return opened.id


async def sending(site, transfer, **headers) -> bytes:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    about = {**await site.bearer(), "Content-Length": str(len(CONTENT)), **given}
    return head("PUT", f"/v1/transfers/{transfer}/files/a.bin", about)


async def nothing_is_there(site, transfer):
    assert await site.rig.enquiry.files(site.rig.sender, transfer) == []
    assert site.rig.spool.parts == {}
    assert not site.rig.spool.busy


@pytest.mark.parametrize("before", [0, 1, 70_000, 300_000, PIECE, 3 * PIECE + 1])
async def test_what_came_with_the_head_and_what_came_in_bulk_are_one_body(site, before):
    transfer = await a_transfer(site)
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(await sending(site, transfer) + CONTENT[:before])
    await writer.drain()
    writer.write(CONTENT[before:])
    answer = await read_answer(reader)
    assert (answer.status, answer.json()["sha256"]) == (201, hashlib.sha256(CONTENT).hexdigest())
    assert answer.headers["connection"] == "close"
    async with asyncio.timeout(60):
        assert await reader.read() == b""
    writer.close()


async def test_what_follows_the_body_is_never_a_request(site):
    transfer = await a_transfer(site)
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(await sending(site, transfer, Expect="100-continue"))
    await reader.readuntil(b"\r\n\r\n")
    smuggled = head("POST", f"/v1/transfers/{transfer}/withdraw", await site.bearer())
    writer.write(CONTENT + smuggled)
    assert (await read_answer(reader)).json()["size"] == len(CONTENT)
    async with asyncio.timeout(60):
        assert await reader.read() == b""
    writer.close()
    assert len(site.observer.of("request.answered")) == 1
    assert (await site.rig.transfer(transfer)).state == "open"


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "polite"])
@pytest.mark.parametrize("kept", [1, PIECE, len(CONTENT) - 1])
async def test_a_large_body_that_ends_early_leaves_nothing(site, kept, reset):
    transfer = await a_transfer(site)
    await site.cut([await sending(site, transfer), CONTENT[:kept]], reset=reset)
    assert (await site.until("request.answered"))["code"] == "incomplete"
    await nothing_is_there(site, transfer)


@pytest.mark.parametrize("algorithm", ["sha-256", "sha-512"])
async def test_a_large_body_is_held_to_its_digest(site, algorithm):
    transfer = await a_transfer(site)
    wrong = base64.b64encode(hashlib.new(algorithm.replace("-", ""), b"other").digest()).decode()
    answer = await site.raw(await sending(site, transfer, Content_Digest=f"{algorithm}=:{wrong}:") + CONTENT)
    assert (answer.status, answer.json()["code"]) == (400, "digest-mismatch")
    assert answer.headers["connection"] == "close"
    await nothing_is_there(site, transfer)


async def test_a_refusal_in_the_middle_arrives_and_leaves_nothing(site):
    transfer = await a_transfer(site)
    site.rig.spool.room = 2 * PIECE
    answer = await site.raw(await sending(site, transfer) + CONTENT)
    assert answer.json()["code"] == "disk-full"
    assert answer.headers["connection"] == "close"
    await nothing_is_there(site, transfer)


async def test_a_sender_that_stops_in_the_middle_gives_its_place_back(tmp_path):
    strict = await Site(tmp_path).found()
    async with strict.served(BodyLimits(idle=0.2, grace=60.0, slowest=1 << 30)):
        transfer = await a_transfer(strict)
        answer = await strict.raw(await sending(strict, transfer) + CONTENT[: PIECE + 5])
        assert (answer.status, answer.json()["code"]) == (408, "body-timeout")
        await nothing_is_there(strict, transfer)


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "cut"])
async def test_a_large_body_over_tls(tmp_path, whole):
    now = datetime.now(UTC)
    authority = DevelopmentAuthority.create(now, accept_risk=True)
    folder = tmp_path / "pki"
    folder.mkdir(mode=0o700)
    certificate, key = authority.issue_server(["localhost", "127.0.0.1"], now).save(folder, "https")
    trusting = ssl.create_default_context(cadata=authority.certificate_pem.decode())
    site = await Site(tmp_path).found()
    async with site.served(tls=server_context(certificate, key)):
        transfer = await a_transfer(site)
        reader, writer = await asyncio.open_connection("localhost", site.port, ssl=trusting)
        writer.write(await sending(site, transfer) + (CONTENT if whole else CONTENT[: 3 * PIECE + 7]))
        await writer.drain()
        if whole:
            assert (await read_answer(reader)).json()["sha256"] == hashlib.sha256(CONTENT).hexdigest()
            writer.close()
        else:
            writer.transport.abort()
            assert (await site.until("request.answered"))["code"] == "incomplete"
            await nothing_is_there(site, transfer)


@pytest.mark.parametrize(
    ("waited", "began", "last", "received", "until"),
    [
        (0.0, 100.0, 90.0, 0, 110.0),  # ten seconds without a byte
        (0.0, 100.0, 107.0, 0, 117.0),
        (0.0, 100.0, 119.0, 0, 120.0),  # bytes come, and too few of them
        (15.0, 100.0, 104.0, 0, 105.0),
        (15.0, 100.0, 104.0, 2000, 107.0),
    ],
)
def test_patience_ends_by_silence_or_by_slowness(waited, began, last, received, until):
    pace = Pace(idle=10.0, grace=20.0, slowest=1000)
    pace.waited = waited
    assert pace.until(began, last, received) == until
