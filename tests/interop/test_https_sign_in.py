"""curl and openssl sign in to a real gateway of two processes: certificates, bound tokens, passwords, and what is taken back."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli.commands import build as build_commands
from gateway.cli.keys import app as keys_app
from gateway.cli.registry import app as registry_app
from tests.e2e.conftest import Running, build
from tests.interop.sftp_world import need

CLIENT = "sz-genomics-client"
PATIENCE = 5.0  # seconds within which what was taken back is so in every process
TRIES = 10  # new connections, which the system spreads over both processes
OPEN = ("/healthz", "/.well-known/jwks.json", "/.well-known/oauth-authorization-server")


def run(*words: object, stdin: str = "", fails: bool = False) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(word) for word in words], input=stdin, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode != 0) is fails, done.stdout + done.stderr
    return done


def hetao(group: Any, *words: object) -> str:
    """A command in this process, beside the gateway's: an interpreter for each would take longer than all of them."""
    done = CliRunner().invoke(group, [str(word) for word in words])
    if done.exception is not None:
        raise done.exception
    return done.stdout


def keys(*words: object) -> dict[str, Any]:
    return json.loads(hetao(keys_app, *words, "--json"))


@dataclass
class Answer:
    status: int
    head: str
    body: str

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Office:
    """The gateway, its client authority on another desk, and a client with a certificate."""

    running: Running
    folder: Path

    @property
    def ca(self) -> Path:
        return self.folder / "ca" / "client_ca.key"

    @property
    def crl(self) -> Path:
        return self.folder / "client.crl"

    @property
    def config(self) -> tuple[str, Path]:
        return "--config", self.running.world.config

    def card(self, name: str, client: str = CLIENT, institution: str = "sz-genomics") -> tuple[Path, Path]:
        """A key and a request made with openssl, certified with `hetao keys client-sign`."""
        key, csr = self.folder / f"{name}.key", self.folder / f"{name}.csr"
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        run(need("openssl"), "req", "-new", *curve, "-subj", "/CN=anything", "-keyout", key, "-out", csr)
        told = keys("client-sign", csr, "--ca", self.ca, "--institution", institution, "--client", client)
        return Path(told["certificate"]), key

    def curl(self, path: str, *more: object, card: tuple[Path, Path] | None = None, fails: bool = False) -> Answer:
        shown = ("--cert", card[0], "--key", card[1]) if card else ()
        world = self.running.world
        program = (need("curl"), "-sS", "-i", "--cacert", world.authority, *shown, *more, world.url + path)
        done = run(*program, fails=fails)
        if fails:
            return Answer(0, "", done.stderr)
        head, _, body = done.stdout.partition("\n\n")
        return Answer(int(head.split()[1]), head, body)

    def token(self, card: tuple[Path, Path]) -> str:
        form = ("-d", "grant_type=client_credentials", "-d", f"client_id={CLIENT}")
        answer = self.curl("/oauth2/token", *form, card=card)
        assert answer.status == 200, answer.body
        return str(answer.json()["access_token"])

    def everywhere(self, ask: Callable[[], int], wanted: int) -> None:
        """Every process answers so, and the last that did not did so within the bound."""
        until = time.monotonic() + PATIENCE
        while [ask() for _ in range(TRIES)] != [wanted] * TRIES:
            assert time.monotonic() < until, f"not all say {wanted}"

    def s_client(self, *more: object, fails: bool = False) -> str:
        world = self.running.world
        program = (need("openssl"), "s_client", "-connect", f"localhost:{world.https_port}", "-CAfile", world.authority)
        request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        done = run(*program, "-ign_eof", *more, stdin=request, fails=fails)
        return done.stdout + done.stderr


def with_certificate(running: Running, folder: Path) -> Path:
    """The client's record once more, with what its certificate must be."""
    jwk = json.loads((running.world.keys / "sz-genomics.jwk").read_text())
    members = ", ".join(f'{name} = "{value}"' for name, value in jwk.items())
    record = (
        f'[[client]]\nid = "{CLIENT}"\ninstitution = "sz-genomics"\nperson = "lin"\njwk = {{ {members} }}\n'
        f'scopes = ["transfers:read", "transfers:open"]\ncertificate = "urn:hetao:client:{CLIENT}"\n'
    )
    (folder / "client.toml").write_text(record)
    return folder / "client.toml"


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    need("curl")
    need("openssl")
    folder = tmp_path_factory.mktemp("office")
    hetao(keys_app, "client-ca", "--dir", folder / "ca")
    keys("client-crl", folder / "client.crl", "--ca", folder / "ca" / "client_ca.key")
    running = build(
        tmp_path_factory.mktemp("world"),
        HETAO_GATEWAY__WORKERS="2",
        HETAO_HTTPS__CLIENT_CA=str(folder / "ca" / "client_ca.crt"),
        HETAO_HTTPS__CLIENT_CRL=str(folder / "client.crl"),
    )
    officers, config = running.world.keys, ("--config", running.world.config)
    record = with_certificate(running, folder)
    change = json.loads(hetao(registry_app, "propose", record, "--key", officers / "chen", "--json", *config))["digest"]
    hetao(registry_app, "approve", change, "--key", officers / "zhao", *config)
    running.start()
    yield Office(running, folder)
    running.world.stop()


def test_curl_signs_in_by_certificate_alone(office):
    assert office.curl("/v1/transfers", card=office.card("alone")).status == 200
    without = office.curl("/v1/transfers")
    assert without.status == 401
    assert "www-authenticate: bearer" in without.head.lower()
    stranger = office.card("stranger", client="nobody")
    refused = office.curl("/v1/transfers", card=stranger)
    assert (refused.status, refused.json()["code"]) == (401, "invalid-certificate")


def test_a_certificate_of_another_authority_is_no_connection(office):
    key, crt = office.folder / "self.key", office.folder / "self.crt"
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-x509", "-days", "2")
    san = f"subjectAltName=URI:urn:hetao:client:{CLIENT}"
    run(need("openssl"), "req", *curve, "-subj", "/CN=x", "-addext", san, "-keyout", key, "-out", crt)
    assert office.curl("/healthz", card=(crt, key), fails=True).status == 0


def test_a_token_got_with_a_certificate_is_of_no_use_without_it(office):
    card, other = office.card("one"), office.card("other")
    bearer = ("-H", f"Authorization: Bearer {office.token(card)}")
    assert office.curl("/v1/transfers", *bearer, card=card).status == 200
    for shown in (None, other):
        answer = office.curl("/v1/transfers", *bearer, card=shown)
        assert (answer.status, answer.json()["code"]) == (401, "invalid-token")


def test_a_revoked_token_is_refused_by_every_process(office):
    card = office.card("revoking")
    token = office.token(card)
    bearer = ("-H", f"Authorization: Bearer {token}")
    office.everywhere(lambda: office.curl("/v1/transfers", *bearer, card=card).status, 200)
    form = ("-d", f"token={token}", "-d", f"client_id={CLIENT}")
    assert office.curl("/oauth2/introspect", *form, card=card).json()["active"] is True
    assert office.curl("/oauth2/revoke", *form, card=card).status == 200
    office.everywhere(lambda: office.curl("/v1/transfers", *bearer, card=card).status, 401)
    assert office.curl("/oauth2/introspect", *form, card=card).json() == {"active": False}


def test_a_certificate_is_taken_back_by_its_authority_or_by_the_gateway(office):
    listed, revoked, kept = office.card("listed"), office.card("revoked"), office.card("kept")
    for each in (listed, revoked):
        assert office.curl("/v1/transfers", card=each).status == 200
    keys("client-crl", office.crl, "--ca", office.ca, "--revoke", listed[0])
    office.everywhere(lambda: office.curl("/v1/transfers", card=listed).status, 401)
    said = run(need("openssl"), "x509", "-in", revoked[0], "-noout", "-fingerprint", "-sha256").stdout
    fingerprint = said.strip().partition("=")[2]
    keys("revoke", "client-certificate", fingerprint, "--reason", "stolen", *office.config)
    office.everywhere(lambda: office.curl("/v1/transfers", card=revoked).status, 401)
    assert office.curl("/v1/transfers", card=kept).status == 200


def test_openssl_reads_the_list(office):
    said = run(need("openssl"), "crl", "-in", office.crl, "-noout", "-text", "-CAfile", office.ca.with_suffix(".crt"))
    assert "verify OK" in said.stdout + said.stderr


def test_token_keys_rotate_under_two_running_processes(office):
    card = office.card("rotating")
    before = office.token(card)
    done = keys("rotate-tokens", *office.config)
    bearer = ("-H", f"Authorization: Bearer {before}")
    office.everywhere(lambda: office.curl("/v1/transfers", *bearer, card=card).status, 200)
    for _ in range(TRIES):
        published = office.curl("/.well-known/jwks.json")
        assert [each["kid"] for each in published.json()["keys"]][:2] == [done["signs"], done["signed"]]
        assert "max-age=300" in published.head
    after = ("-H", f"Authorization: Bearer {office.token(card)}")
    office.everywhere(lambda: office.curl("/v1/transfers", *after, card=card).status, 200)


def test_curl_signs_in_to_folders_with_a_password_that_two_officers_signed(office):
    officers = office.running.world.keys
    about = ("--person", "lin", "--institution", "sz-genomics", "--scopes", "transfers:read", "--days", "30")
    told = keys("app-password", *about, "--key", officers / "chen", *office.config)
    user = ("-u", f"{told['user']}:{told['password']}")
    refused = office.curl("/dav/", *user)  # one signature is none
    assert refused.status == 401
    challenges = re.findall(r"(?im)^www-authenticate: (\w+)", refused.head)
    assert challenges == ["Basic", "Bearer"]
    hetao(registry_app, "approve", told["change"], "--key", officers / "zhao", *office.config)
    office.everywhere(lambda: int(office.curl("/dav/", *user).status != 401), 1)
    assert office.curl("/v1/transfers", *user).status == 401
    assert office.curl("/dav/", "-u", f"{told['user']}:hap_{'a' * 32}").status == 401
    keys("revoke", "password", told["user"], "--reason", "laptop lost", *office.config)
    office.everywhere(lambda: office.curl("/dav/", *user).status, 401)
    log = (office.running.world.folder / "gateway.log").read_text()
    assert told["user"] in log  # who it was is told
    assert told["password"] not in log


def test_what_openssl_sees_of_the_handshake(office):
    card = office.card("seen")
    said = office.s_client("-cert", card[0], "-key", card[1])
    assert "TLSv1.3" in said
    assert "Requested Signature Algorithms" in said  # a certificate was asked for
    assert "HTTP/1.1 200 OK" in said
    assert "Strict-Transport-Security: max-age=" in said
    assert "Server:" not in said
    assert "Post-Handshake New Session Ticket" not in said
    assert "Early data was not sent" in said
    assert "HTTP/1.1 200 OK" in office.s_client()  # nobody has to show one
    assert "no peer certificate available" in office.s_client("-tls1_2", fails=True)  # it got not even that far


def test_the_open_addresses_answer_and_say_which_endpoints_there_are(office):
    for path in OPEN:
        assert office.curl(path).status == 200
    told = office.curl(OPEN[2]).json()
    assert told["issuer"] == office.running.world.url
    assert "tls_client_auth" in told["token_endpoint_auth_methods_supported"]
    for name in ("token", "introspection", "revocation"):
        path = told[f"{name}_endpoint"].removeprefix(told["issuer"])
        assert office.curl(path, "-d", "token=x&grant_type=client_credentials").json()["error"] == "invalid_client"


def test_the_doctor_knows_the_authorities(office, monkeypatch):
    for name, value in office.running.environment.items():
        monkeypatch.setenv(name, value)
    told = json.loads(
        CliRunner().invoke(build_commands("doctor"), ["doctor", "--json", *map(str, office.config)]).stdout
    )
    (line,) = [each for each in told if each["what"] == "client authorities"]
    assert (line["state"], "with a list" in line["says"]) == ("ok", True)
