"""What only an HTTPS endpoint can get wrong, against a real TLS server."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from certs.authority import DevelopmentAuthority
from connectors.https.session import Answer, refusal
from gateway.core.errors import EndpointError
from tests.connectors.cargo import FOLDER, LARGE, SMALL, MemorySource, expected, pack
from tests.connectors.https_server import HttpsServerThread
from tests.connectors.sites import Site, https_site


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def site(tmp_path: Path, stack: ExitStack) -> Site:
    return https_site(tmp_path, stack)


def refused(site: Site, files=SMALL) -> EndpointError:
    with pytest.raises(EndpointError) as caught:
        site.connector().deliver(pack(files), MemorySource(files))
    return caught.value


@pytest.mark.parametrize(
    ("status", "retry"),
    [
        (301, False), (307, False), (400, False), (401, False), (403, False), (405, False), (407, False), (413, False),
        (501, False), (505, False), (408, True), (425, True), (429, True), (500, True), (502, True), (503, True),
        (504, True), (507, True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["HEAD", "PUT"])
def test_what_another_attempt_can_mend(site: Site, method: str, status: int, *, retry: bool) -> None:
    site.more["store"].answers[method] = (status, {})
    caught = refused(site)
    assert caught.retry is retry
    assert str(status) in caught.message
    assert site.everything() == {}


@pytest.mark.parametrize(
    ("after", "said"),
    [("120", "wait 120 s"), ("Wed, 21 Oct 2026 07:28:00 GMT", "until 2026-10-21T07:28:00+00:00")],
)
def test_what_the_endpoint_asks_for_is_passed_on(site: Site, after: str, said: str) -> None:
    site.more["store"].answers["PUT"] = (503, {"Retry-After": after})
    assert said in refused(site).message


@pytest.mark.parametrize("after", ["120\x1b[2J", "x" * 500, "/home/secret", "٣"])
def test_a_retry_after_that_is_neither_number_nor_date_is_not_repeated(after: str) -> None:
    assert after not in refusal(Answer(503, {"retry-after": after}), "answer").message


def test_a_server_that_refuses_early_is_heard_and_the_rest_is_not_sent(site: Site) -> None:
    site.more["store"].answers["PUT"] = (413, {})
    source = MemorySource({"large.bam.c4gh": LARGE["large.bam.c4gh"]})
    with pytest.raises(EndpointError) as caught:
        site.connector().deliver(pack({"large.bam.c4gh": LARGE["large.bam.c4gh"]}), source)
    assert caught.value.retry in {False, True}
    if caught.value.retry:  # the reset overtook the answer, which TCP allows
        assert "broke" in caught.value.message
    else:
        assert "413" in caught.value.message


def test_the_token_is_sent_and_read_anew_for_each_session(site: Site, tmp_path: Path) -> None:
    site.more["store"].token = "first-token"
    token = tmp_path / "token"
    token.write_text("first-token\n")
    site.more["settings"]["bearer_token_file"] = str(token)
    connector = site.connector()
    connector.deliver(pack(SMALL), MemorySource(SMALL))
    site.more["store"].token = "second-token"
    with pytest.raises(EndpointError) as caught:
        connector.deliver(pack(SMALL), MemorySource(SMALL))
    assert caught.value.retry is False
    token.write_text("second-token")
    assert connector.deliver(pack(SMALL), MemorySource(SMALL)).sent == 0


@pytest.mark.parametrize("content", [b"", b"two tokens", b"a\r\nHost: evil", "词".encode()])
def test_a_token_file_that_holds_no_token_is_refused_before_connecting(
    site: Site, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "token").write_bytes(content)
    site.more["settings"]["bearer_token_file"] = str(tmp_path / "token")
    assert (refused(site).retry, refused(site).code) == (False, "endpoint-credential")
    assert site.attempts() == 0


def test_a_certificate_of_another_authority_is_refused(site: Site, tmp_path: Path) -> None:
    other = DevelopmentAuthority.create(datetime.now(UTC), accept_risk=True).save(tmp_path / "other")
    site.more["settings"]["ca_file"] = str(other)
    assert (refused(site).retry, refused(site).code) == (False, "certificate")
    assert site.more["store"].requests == []


def test_a_certificate_for_another_name_is_refused(site: Site) -> None:
    site.more["settings"]["base_url"] = str(site.more["settings"]["base_url"]).replace("https.example.hk", "127.0.0.1")
    assert (refused(site).retry, refused(site).code) == (False, "certificate")


def test_an_expired_certificate_is_refused(site: Site, tmp_path: Path, stack: ExitStack) -> None:
    past = datetime.now(UTC) - timedelta(days=100)
    authority = DevelopmentAuthority.create(past, accept_risk=True)
    certificate, key = authority.issue_server(["https.example.hk"], past).save(tmp_path / "old", "server")
    server = HttpsServerThread(certificate, key)
    stack.callback(server.stop)
    site.more["settings"]["ca_file"] = str(authority.save(tmp_path / "old"))
    site.more["settings"]["base_url"] = f"https://https.example.hk:{server.port}/drop%20box"
    assert (refused(site).retry, refused(site).code) == (False, "certificate")


def test_tls_1_2_needs_to_be_asked_for(site: Site) -> None:
    store = site.more["store"]
    store._context.minimum_version = ssl.TLSVersion.TLSv1_2
    store._context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert refused(site).code == "https"
    site.more["settings"]["tls_minimum"] = "1.2"
    site.connector().deliver(pack(SMALL), MemorySource(SMALL))
    assert site.everything() == expected(SMALL, pack(SMALL))


def test_mutual_tls(site: Site, tmp_path: Path, stack: ExitStack) -> None:
    authority, folder = site.more["authority"], site.more["folder"] / "tls"
    server = HttpsServerThread(folder / "server.crt", folder / "server.key", client_ca=folder / "authority.crt")
    stack.callback(server.stop)
    site.more["settings"]["base_url"] = f"https://https.example.hk:{server.port}/x"
    assert refused(site).code == "https"
    certificate, key = authority.issue_client("gateway", datetime.now(UTC)).save(folder, "client")
    site.more["settings"].update(client_cert_file=str(certificate), client_key_file=str(key))
    site.connector().deliver(pack(SMALL), MemorySource(SMALL))
    assert len(server.store.files) == len(SMALL) + 2


@pytest.mark.parametrize("key", ["ca_file", "client"])
def test_credential_files_that_cannot_be_used_are_permanent(site: Site, tmp_path: Path, key: str) -> None:
    (tmp_path / "junk").write_bytes(b"junk")
    for name in ("junk", "missing"):
        path = str(tmp_path / name)
        changes = {"ca_file": path} if key == "ca_file" else {"client_cert_file": path, "client_key_file": path}
        site.more["settings"].update(changes)
        assert (refused(site).retry, refused(site).code) == (False, "endpoint-credential")


def test_every_name_arrives_as_it_is_and_nothing_climbs(site: Site) -> None:
    site.connector().deliver(pack(SMALL), MemorySource(SMALL))
    targets = {path for method, path in site.more["store"].requests if method == "PUT"}
    assert targets == {f"drop box/{path}" for path in expected(SMALL, pack(SMALL))}


def test_a_server_that_closes_after_each_answer_is_met_again_through_the_channel(site: Site) -> None:
    from tests.connectors.https_server import Handler

    class Closing(Handler):
        protocol_version = "HTTP/1.0"

    site.more["store"].RequestHandlerClass = Closing
    site.connector().deliver(pack(SMALL), MemorySource(SMALL))
    assert site.everything() == expected(SMALL, pack(SMALL))
    assert site.attempts() > len(SMALL)


def test_a_connection_is_kept_where_the_server_keeps_it(site: Site) -> None:
    site.connector().deliver(pack(SMALL), MemorySource(SMALL))
    assert site.attempts() == 1


@pytest.mark.parametrize("swallowed", [b"", b"short"])
def test_a_server_that_stores_something_else_is_found_out(site: Site, swallowed: bytes) -> None:
    site.more["store"].swallow = swallowed
    assert refused(site).code in {"foreign-content", "readback"}
    assert not any(path.endswith("manifest.json") for path in site.everything())


@pytest.mark.parametrize("verify", ["checksum", "readback"])
def test_a_server_that_stores_other_bytes_of_the_same_size_is_found_out(
    tmp_path: Path, stack: ExitStack, verify: str
) -> None:
    site = https_site(tmp_path, stack, verify=verify)
    files = {"a.csv.c4gh": SMALL["a.csv.c4gh"]}
    site.more["store"].swallow = bytes(len(files["a.csv.c4gh"]))
    assert refused(site, files).code == "foreign-content"


def test_a_server_without_digests_cannot_be_asked_for_checksums(
    tmp_path: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = https_site(tmp_path, stack, verify="checksum")
    from tests.connectors.https_server import Handler

    monkeypatch.setattr(Handler, "_etag", staticmethod(lambda _: '"x"'))
    real = Handler._head

    def plain(self, path: str, body: bytes):
        status, fields, content = real(self, path, body)
        fields.pop("Repr-Digest", None)
        return status, fields, content

    monkeypatch.setattr(Handler, "_head", plain)
    caught = refused(site)
    assert caught.retry is False
    assert "Repr-Digest" in caught.message


def test_move_needs_webdav_and_says_so(tmp_path: Path, stack: ExitStack) -> None:
    site = https_site(tmp_path, stack, atomic="move")
    site.more["store"].folders = None
    caught = refused(site)
    assert caught.retry is False
    assert "MKCOL" in caught.message


def test_put_into_a_webdav_server_without_the_folder_says_so(site: Site) -> None:
    site.more["store"].folders = {"", "drop box"}
    caught = refused(site)
    assert caught.retry is False
    assert "folder" in caught.message


def test_while_it_is_sent_a_file_has_a_temporary_name_where_move_is_set(tmp_path: Path, stack: ExitStack) -> None:
    site = https_site(tmp_path, stack, atomic="move")
    site.connector().deliver(pack(SMALL), MemorySource(SMALL))
    puts = [path for method, path in site.more["store"].requests if method == "PUT"]
    assert puts
    assert all(path.rpartition("/")[2].startswith(".hetao-") for path in puts)


@pytest.mark.parametrize("atomic", ["put", "move"])
def test_a_final_name_taken_while_the_file_was_sent_is_foreign_and_our_copy_goes(
    tmp_path: Path, stack: ExitStack, atomic: str
) -> None:
    site = https_site(tmp_path, stack, atomic=atomic)
    files = {"a.csv.c4gh": SMALL["a.csv.c4gh"]}

    def beaten() -> None:
        site.put(f"{FOLDER}/a.csv.c4gh", b"theirs")

    with pytest.raises(EndpointError) as caught:
        site.connector().deliver(pack(files), MemorySource(files, watch=beaten))
    assert caught.value.code == "foreign-content"
    assert site.everything() == {f"{FOLDER}/a.csv.c4gh": b"theirs"}


def test_a_server_that_says_nothing_is_given_up(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        site.more["settings"].update(base_url=f"https://https.example.hk:{port}/", connect_timeout=1, io_timeout=1)
        assert refused(site).retry is True


def test_no_address_outside_the_ranges_is_dialled(site: Site) -> None:
    site.more["settings"]["ranges"] = ["203.0.113.0/28"]
    assert (refused(site).retry, refused(site).code) == (False, "outside-ranges")
    assert site.more["store"].requests == []
