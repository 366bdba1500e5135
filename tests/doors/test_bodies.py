"""Bodies that are cut, lied about, encoded, slow or announced: whole and right, or nothing at all."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib

import pytest

from gateway.doors.https import BodyLimits
from tests.doors.site import Site, head, read_answer
from tests.flow.rig import GENERAL

CONTENT = hashlib.shake_256(b"content").digest(400_000)


def field(algorithm: str, content: bytes) -> str:
    digest = hashlib.new(algorithm.replace("-", ""), content).digest()
    return f"{algorithm}=:{base64.b64encode(digest).decode()}:"


def chunked(content: bytes, size: int = 30_000) -> bytes:
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@pytest.fixture
async def transfer(site):
    return await a_transfer(site)


async def a_transfer(site) -> str:
    rig = site.rig
    opened = await rig.intake.open_transfer(
        rig.sender, endpoint="hku", project="trial", dataset="d", declaration=GENERAL
    )
    return opened.id


async def sending(site, transfer, path="a.bin", **headers) -> bytes:
    """The head of a PUT."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return head("PUT", f"/v1/transfers/{transfer}/files/{path}", {**await site.bearer(), **given})


async def nothing_is_there(site, transfer):
    rig = site.rig
    assert await rig.enquiry.files(rig.sender, transfer) == []
    assert rig.spool.parts == {}
    assert not rig.spool.busy
    assert (await rig.transfer(transfer)).files == 0
    assert not [name for owner, name in rig.keyring.secrets if owner == transfer and name.startswith(transfer)]


# --- cut --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "polite"])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.999])
@pytest.mark.parametrize("coding", ["length", "chunked"])
async def test_a_body_that_ends_early_leaves_nothing(site, transfer, coding, kept, reset):
    if coding == "length":
        start, body = await sending(site, transfer, Content_Length=str(len(CONTENT))), CONTENT
    else:
        start, body = await sending(site, transfer, Transfer_Encoding="chunked"), chunked(CONTENT)
    await site.cut([start, body[: int(len(body) * kept)]], reset=reset)
    seen = await site.until("request.answered")
    assert seen["code"] == "incomplete"
    await nothing_is_there(site, transfer)
    refused = await site.request("POST", f"/v1/transfers/{transfer}/submit")
    assert refused.json()["code"] == "empty-submission"
    again = await site.raw(await sending(site, transfer, Content_Length=str(len(CONTENT))) + CONTENT)
    assert again.status == 201


async def test_a_chunked_body_without_its_last_chunk_is_not_whole(site, transfer):
    body = chunked(CONTENT).removesuffix(b"0\r\n\r\n")
    await site.cut([await sending(site, transfer, Transfer_Encoding="chunked"), body], reset=False)
    assert (await site.until("request.answered"))["code"] == "incomplete"
    await nothing_is_there(site, transfer)


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "polite"])
@pytest.mark.parametrize("coding", ["length", "chunked"])
async def test_all_bytes_sent_and_then_gone_may_be_complete_and_a_retry_changes_nothing(site, transfer, coding, reset):
    if coding == "length":
        start, body = await sending(site, transfer, Content_Length=str(len(CONTENT))), CONTENT
    else:
        start, body = await sending(site, transfer, Transfer_Encoding="chunked"), chunked(CONTENT)
    await site.cut([start, body], reset=reset)
    await site.until("request.answered")
    before = await site.rig.enquiry.files(site.rig.sender, transfer)
    again = await site.raw(await sending(site, transfer, Content_Length=str(len(CONTENT))) + CONTENT)
    assert again.status == (200 if before else 201)
    (only,) = await site.rig.enquiry.files(site.rig.sender, transfer)
    assert only == {"path": "a.bin", "size": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()}
    assert before in ([], [only])
    assert len(site.rig.spool.parts) == 1
    submitted = await site.request("POST", f"/v1/transfers/{transfer}/submit")
    assert submitted.status == 202


async def test_while_an_upload_runs_nothing_is_submitted(site, transfer):
    await site.raw(await sending(site, transfer, "whole.bin", Content_Length="1") + b"x")
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(await sending(site, transfer, Expect="100-continue", Content_Length=str(len(CONTENT))))
    await reader.readuntil(b"\r\n\r\n")  # 100: the upload is under way
    writer.write(CONTENT[:1000])
    submitted = await site.request("POST", f"/v1/transfers/{transfer}/submit")
    assert submitted.json()["code"] == "incomplete"
    writer.close()
    await site.until("request.answered", 3)
    assert (await site.request("POST", f"/v1/transfers/{transfer}/submit")).status == 202


# --- digests ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Content-Digest", "Repr-Digest"])
@pytest.mark.parametrize("algorithm", ["sha-256", "sha-512"])
async def test_an_announced_digest_is_kept_to(site, transfer, name, algorithm):
    length = {"Content_Length": str(len(CONTENT))}
    wrong = await site.raw(await sending(site, transfer, **{name: field(algorithm, b"other")}, **length) + CONTENT)
    assert (wrong.status, wrong.json()["code"]) == (400, "digest-mismatch")
    await nothing_is_there(site, transfer)
    right = await site.raw(await sending(site, transfer, **{name: field(algorithm, CONTENT)}, **length) + CONTENT)
    assert right.status == 201
    assert right.headers["repr-digest"] == field("sha-256", CONTENT)


@pytest.mark.parametrize(
    ("digest", "status"),
    [
        ("md5=:AAAA:", 201),  # an algorithm that does not count is set aside (RFC 9530 section 5)
        ("unixsum=:AAAA:, sha-256={right}", 201),
        ("sha-256=AAAA", 400),
        ("sha-256", 400),
        ("sha-256=:AAAA:", 400),
        ("sha-256=:!!!!:", 400),
        ("sha-256={right}, sha-256={right}", 400),
        ("=", 400),
        ("\u00e9", 400),
    ],
)
async def test_digest_fields_are_read_as_rfc_9530_writes_them(site, transfer, digest, status):
    value = digest.replace("{right}", field("sha-256", CONTENT).removeprefix("sha-256="))
    start = await sending(site, transfer, Content_Length=str(len(CONTENT)), Content_Digest=value)
    answer = await site.raw(start + CONTENT)
    assert answer.status == status, answer.body
    if status == 400:
        assert answer.json()["code"] == "bad-digest"
        await nothing_is_there(site, transfer)


async def test_two_fields_that_disagree_are_refused_and_two_that_agree_are_not(site, transfer):
    about = {"Content_Length": str(len(CONTENT)), "Content_Digest": field("sha-256", CONTENT)}
    wrong = await site.raw(await sending(site, transfer, **about, Repr_Digest=field("sha-256", b"x")) + CONTENT)
    assert wrong.json()["code"] == "bad-digest"
    both = {"Repr_Digest": field("sha-256", CONTENT) + ", " + field("sha-512", CONTENT)}
    assert (await site.raw(await sending(site, transfer, **about, **both) + CONTENT)).status == 201


# --- codings and ranges -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Content_Encoding": "gzip"}, 415, "unsupported-coding"),
        ({"Content_Encoding": "identity, br"}, 415, "unsupported-coding"),
        ({"Content_Encoding": "identity"}, 201, None),
        ({"Content_Range": "bytes 0-3/4"}, 400, "bad-header"),
        ({"Expect": "200-ok"}, 417, "expectation"),
    ],
)
async def test_what_would_have_to_be_decoded_is_refused(site, transfer, headers, status, code):
    answer = await site.raw(await sending(site, transfer, Content_Length="4", **headers) + b"\x1f\x8b\x08\x00")
    assert (answer.status, answer.json().get("code")) == (status, code)
    assert ("accept-encoding" in answer.headers) == (code == "unsupported-coding")
    if code:
        await nothing_is_there(site, transfer)


@pytest.mark.parametrize(
    "headers",
    [
        {"Transfer_Encoding": "gzip, chunked"},
        {"Transfer_Encoding": "chunked", "Content_Length": "5"},
        {"Transfer_Encoding": "identity", "Content_Length": "5"},
        {"Transfer_Encoding": "chunked, chunked"},
        {"Content_Length": "+5"},
        {"Content_Length": "5, 5"},
        {"Content_Length": "-1"},
    ],
)
async def test_framing_that_two_servers_could_read_differently_is_refused(site, transfer, headers):
    answer = await site.raw(await sending(site, transfer, **headers) + b"5\r\nabcde\r\n0\r\n\r\n")
    assert answer.status in {400, 415}
    await nothing_is_there(site, transfer)


async def test_a_broken_chunk_is_not_a_body(site, transfer):
    with contextlib.suppress(asyncio.IncompleteReadError):
        await site.raw(await sending(site, transfer, Transfer_Encoding="chunked") + b"5\r\nabcde\r\nXYZ\r\n")
    await site.until("request.answered")
    await nothing_is_there(site, transfer)


# --- expect -----------------------------------------------------------------------------------------------------------


async def test_the_body_is_asked_for_only_when_the_request_is_good(site, transfer):
    length = {"Content_Length": str(len(CONTENT)), "Expect": "100-continue"}
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(await sending(site, transfer, **length))
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(CONTENT)
    assert (await read_answer(reader)).status == 201
    writer.close()


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"Authorization": "Bearer x"}, 401),
        ({"Content_Encoding": "gzip"}, 415),
        ({"Content_Digest": "x"}, 400),
        ({"path": "../x"}, 400),
        ({"transfer": "t" + "a" * 24}, 404),
    ],
)
async def test_a_refused_request_is_never_asked_for_its_body(site, transfer, changed, status):
    where = changed.pop("transfer", transfer)
    start = await sending(
        site, where, changed.pop("path", "a.bin"), Content_Length="400000", Expect="100-continue", **changed
    )
    answer = await site.raw(start)
    assert (answer.status, answer.interim) == (status, [])
    assert answer.headers["connection"] == "close"  # what may still come is not the next request


async def test_an_unknown_address_does_not_ask_for_a_body_either(site):
    for client in ("", "sz"):
        answer = await site.request(
            "PUT", "/nowhere", client=client, headers={"Content-Length": "9", "Expect": "100-continue"}
        )
        assert answer.interim == []


async def test_json_and_forms_are_asked_for_too(site):
    body = b'{"endpoint":"hku","project":"trial","dataset":"d"}'
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Expect": "100-continue"}
    writer.write(head("POST", "/v1/transfers", {**await site.bearer(), **headers}))
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    assert (await read_answer(reader)).status == 201
    writer.close()


# --- bounds -----------------------------------------------------------------------------------------------------------


async def test_a_body_over_the_bound_is_refused_before_it_is_read(site, transfer):
    answer = await site.request("PUT", f"/v1/transfers/{transfer}/files/a", headers={"Content-Length": str(2**41)})
    assert (answer.status, answer.json()["code"]) == (413, "too-large")
    await nothing_is_there(site, transfer)


async def test_a_chunked_document_over_the_bound_is_refused_while_it_is_read(site):
    headers = {**await site.bearer(), "Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    answer = await site.raw(head("POST", "/v1/transfers", headers) + chunked(b" " * 80_000))
    assert (answer.status, answer.json()["code"]) == (413, "too-large")


@pytest.fixture
async def strict(tmp_path):
    """A door with very little patience."""
    site = await Site(tmp_path).found()
    async with site.served(BodyLimits(idle=0.2, grace=0.1, slowest=1 << 30)):
        yield site


async def test_a_sender_that_stops_gives_its_place_back(strict):
    transfer = await a_transfer(strict)
    answer = await strict.raw(await sending(strict, transfer, Content_Length="1000") + b"abc")
    assert (answer.status, answer.json()["code"]) == (408, "body-timeout")
    await nothing_is_there(strict, transfer)


async def test_a_sender_that_trickles_gives_its_place_back(strict):
    transfer = await a_transfer(strict)
    reader, writer = await asyncio.open_connection("127.0.0.1", strict.port)
    writer.write(await sending(strict, transfer, Content_Length="1000"))
    answering = asyncio.ensure_future(read_answer(reader))
    while not answering.done():
        writer.write(b"x")
        await asyncio.wait([answering], timeout=0.05)
    writer.close()
    answer = await answering
    assert (answer.status, answer.json()["code"]) == (408, "body-timeout")
    await nothing_is_there(strict, transfer)


async def test_an_empty_file_is_a_file(site, transfer):
    answer = await site.raw(await sending(site, transfer, Content_Length="0"))
    assert answer.status == 201
    assert answer.json()["sha256"] == hashlib.sha256(b"").hexdigest()
    assert (
        await site.raw(await sending(site, transfer, "b", Transfer_Encoding="chunked") + b"0\r\n\r\n")
    ).status == 201


async def test_a_body_without_length_or_chunks_is_an_empty_one(site, transfer):
    """RFC 9112 section 6.3, item 7: a request without either has no body, and the next bytes are the next request."""
    answer = await site.raw(await sending(site, transfer))
    assert (answer.status, answer.json()["size"]) == (201, 0)


async def test_a_connection_carries_one_request_after_another(site, transfer):
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    for number in range(3):
        writer.write(await sending(site, transfer, f"{number}.bin", Content_Length=str(len(CONTENT))) + CONTENT)
        assert (await read_answer(reader)).status == 201
    writer.close()
