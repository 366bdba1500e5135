"""The socket: what is not HTTP, what comes too slowly, and TLS."""

from __future__ import annotations

import asyncio
import io
import ssl
from datetime import UTC, datetime

import pytest
from aiohttp import ClientSession

from certs.authority import DevelopmentAuthority
from gateway.core.errors import Unusable
from gateway.doors.https import server_context
from tests.doors.site import Site, head, read_answer


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello on a plain port\r\n\r\n",
        b"GET /secret.csv HTTP/9.9\r\n\r\n",
        b"GET /secret.csv HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /secret.csv HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /secret.csv HTTP/1.1\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"s" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: y\r\n" % number for number in range(200)) + b"\r\n",
    ],
)
async def test_what_is_not_http_gets_a_problem_and_no_echo(site, sent, caplog):
    answer = await site.raw(sent)
    assert (answer.status, answer.json()["code"]) == (400, "malformed-request")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"
    assert "aiohttp" not in str(answer.headers).lower()
    assert "python" not in str(answer.headers).lower()
    assert "secret" not in answer.body.decode() + caplog.text + repr(site.observer.seen)
    assert site.observer.of("request.answered")[-1]["code"] == "malformed-request"


async def test_a_request_of_http_0_9_has_no_credential_and_gets_nothing(site):
    assert (await site.raw(b"GET /v1/transfers\r\n\r\n")).status == 401


async def test_a_head_that_does_not_come_ends_the_connection(tmp_path):
    site = await Site(tmp_path).found()
    async with site.served(head_seconds=0.2):
        for begun in (b"", b"GET /healthz HTTP/1.1\r\nHost: a\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
            writer.write(begun)
            async with asyncio.timeout(60):
                assert await reader.read() == b""
            writer.close()


async def test_a_client_that_hangs_up_cancels_no_work(site):
    """The transfer is opened although nobody waits for the answer."""
    body = b'{"endpoint":"hku","project":"trial","dataset":"d"}'
    headers = {**await site.bearer(), "Content-Type": "application/json", "Content-Length": str(len(body))}
    await site.cut([head("POST", "/v1/transfers", headers) + body], reset=False)
    await site.until("request.answered")
    codes = site.observer.of("request.answered")[-1]["code"]
    found = len(site.rig.records.state.transfers)
    assert (codes, found) in {(None, 1), ("incomplete", 0)}


async def test_readiness_is_asked_and_told(site):
    answer = await site.request("GET", "/readyz", client="")
    assert (answer.status, answer.json()) == (200, {"status": "ok", "checks": {"database": "ok"}})
    site.health = {"database": "store"}
    answer = await site.request("GET", "/readyz", client="")
    assert (answer.status, answer.json()) == (503, {"status": "not-ready", "checks": {"database": "store"}})
    assert site.observer.of("request.answered")[-1]["probe"] is True


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def pki(tmp_path):
    now = datetime.now(UTC)
    authority = DevelopmentAuthority.create(now, accept_risk=True)
    issued = authority.issue_server(["localhost", "127.0.0.1"], now)
    folder = tmp_path / "pki"
    folder.mkdir(mode=0o700)
    root = folder / "root.crt"
    root.write_bytes(authority.certificate_pem)
    return issued.save(folder, "https"), root


def trusting(root, newest=None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(root))
    if newest:
        context.maximum_version = newest
    return context


async def test_a_file_goes_through_tls(tmp_path, pki):
    (certificate, key), root = pki
    site = await Site(tmp_path).found()
    async with site.served(tls=server_context(certificate, key)):
        base = f"https://localhost:{site.port}"
        async with ClientSession(base, headers=await site.bearer()) as session:
            about = {"endpoint": "hku", "project": "trial", "dataset": "d"}
            opened = await session.post("/v1/transfers", json=about, ssl=trusting(root))
            url = f"/v1/transfers/{(await opened.json())['id']}/files/a.bin"
            put = await session.put(url, data=io.BytesIO(b"x" * 3_000_000), ssl=trusting(root))
            assert (put.status, (await put.json())["size"]) == (201, 3_000_000)


async def test_a_tls_connection_cut_halfway_leaves_nothing(tmp_path, pki):
    (certificate, key), root = pki
    site = await Site(tmp_path).found()
    rig = site.rig
    opened = await rig.intake.open_transfer(rig.sender, endpoint="hku", project="trial", dataset="d", declaration={})
    async with site.served(tls=server_context(certificate, key)):
        target = f"/v1/transfers/{opened.id}/files/a.bin"
        for ending in ("abort", "close"):
            _, writer = await asyncio.open_connection("localhost", site.port, ssl=trusting(root))
            writer.write(head("PUT", target, {**await site.bearer(), "Content-Length": "1000000"}) + b"x" * 500_000)
            await writer.drain()
            (writer.transport.abort if ending == "abort" else writer.close)()
            await site.until("request.answered", 1 if ending == "abort" else 2)
            assert site.observer.of("request.answered")[-1]["code"] == "incomplete"
            assert rig.spool.parts == {}


async def test_tls_1_2_is_spoken_only_where_it_was_asked_for(tmp_path, pki):
    (certificate, key), root = pki
    site = await Site(tmp_path).found()
    old = trusting(root, ssl.TLSVersion.TLSv1_2)
    async with site.served(tls=server_context(certificate, key)):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("localhost", site.port, ssl=old)
    async with site.served(tls=server_context(certificate, key, minimum="1.2")):
        reader, writer = await asyncio.open_connection("localhost", site.port, ssl=old)
        writer.write(head("GET", "/healthz", {}))
        assert (await read_answer(reader)).status == 200
        name, version, _ = writer.get_extra_info("cipher")
        assert version == "TLSv1.2"
        assert name.startswith("ECDHE")
        assert "GCM" in name or "CHACHA20" in name
        writer.close()
        weak = trusting(root, ssl.TLSVersion.TLSv1_2)
        weak.set_ciphers("AES256-SHA256:ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("localhost", site.port, ssl=weak)


def test_files_that_cannot_be_used_for_tls_are_refused(tmp_path, pki):
    (certificate, key), root = pki
    with pytest.raises(Unusable, match=r"TLS begins at 1\.3 or 1\.2"):
        server_context(certificate, key, minimum="1.1")
    with pytest.raises(Unusable):
        server_context(certificate, tmp_path / "missing.key")
    with pytest.raises(Unusable):
        server_context(root, key)  # the key belongs to another certificate
    key.chmod(0o644)
    with pytest.raises(Unusable, match="chmod 600"):
        server_context(certificate, key)
