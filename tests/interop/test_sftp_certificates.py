"""User certificates with OpenSSH's own programs: made by `hetao keys`, or by ssh-keygen with the same authority."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import build
from tests.interop.sftp_world import BASE, DECLARATION, SftpWorld, need

INSTITUTION = "sz-genomics"
SECONDS = 30


def hetao(*arguments: object, code: int = 0) -> str:
    """A command that opens no gateway."""
    command = [sys.executable, "-m", "gateway.cli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory):
    need("sftp")
    folder = tmp_path_factory.mktemp("certified")
    hetao("keys", "ssh-ca", "--dir", folder / "ca")
    running = build(folder / "world", HETAO_SFTP__USER_CA=str(folder / "ca" / "ssh_user_ca.pub"))
    running.start()
    made = SftpWorld(running, folder)
    yield made
    running.world.stop()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A person's own key, made with ssh-keygen and registered nowhere."""
    subprocess.run([need("ssh-keygen"), "-q", "-t", "ecdsa", "-N", "", "-f", tmp_path / "mine"], check=True, timeout=30)
    return tmp_path / "mine"


def certify(world: SftpWorld, key: Path, *more: object) -> dict[str, str]:
    about = ["--institution", INSTITUTION, "--person", "lin", "--ca", world.folder / "ca" / "ssh_user_ca", *more]
    told: dict[str, str] = json.loads(hetao("keys", "ssh-sign", f"{key}.pub", *about, "--json"))
    return told


def program(world: SftpWorld, key: Path, certificate: Path | None = None) -> list[str]:
    """OpenSSH's sftp with this key alone."""
    options = [each.replace(str(world.key), str(key)) for each in world.options()]
    named = ["-o", f"CertificateFile={certificate}"] if certificate else []
    return [need("sftp"), *named, *options, "-b", "-", "127.0.0.1"]


def sftp(world: SftpWorld, key: Path, commands: str = "ls /", certificate: Path | None = None) -> tuple[int, str]:
    done = subprocess.run(
        program(world, key, certificate), input=commands, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_a_person_sends_with_a_certificate_that_openssh_finds_beside_the_key(world, key, tmp_path):
    told = certify(world, key)
    assert Path(told["certificate"]) == key.with_name("mine-cert.pub")
    (tmp_path / "declaration.toml").write_text(DECLARATION)
    (tmp_path / "a.csv").write_text("island,birds\nlamma,12\n")
    folder = f"{BASE}/certified"
    commands = f"mkdir {folder}\nput {tmp_path}/declaration.toml {folder}\nput {tmp_path}/a.csv {folder}\nls {folder}\n"
    code, said = sftp(world, key, commands)
    assert code == 0, said
    assert "a.csv" in said
    listed = json.loads(world.running.hetao("transfers", "search", "--dataset", "certified", "--json"))
    shown = json.loads(world.running.hetao("transfers", "show", listed[0]["id"], "--json"))
    assert shown["ledger"][0]["actor"] == f"ssh-cert:{told['serial']}"


def test_the_key_alone_stays_outside(world, key):
    code, said = sftp(world, key)
    assert code != 0
    assert "Permission denied (publickey)" in said


def refused(world: SftpWorld, key: Path, because: str) -> None:
    """The client learns nothing but no; the operator learns why."""
    log = world.running.world.folder / "gateway.log"
    before = log.stat().st_size
    code, said = sftp(world, key)
    assert code != 0
    assert "Permission denied (publickey)" in said
    assert because not in said
    lines = [json.loads(line) for line in log.read_bytes()[before:].splitlines()]
    assert [line["because"] for line in lines if line["event"] == "certificate.refused"] == [because]


REFUSED = {
    "wrong institution": (["--institution", "futian-hospital"], "principal"),
    "another institution's person": (["--person", "huang"], "person"),
    "unknown person": (["--person", "nobody"], "person"),
    "from elsewhere": (["--source-address", "198.51.100.0/24"], "address"),
}


@pytest.mark.parametrize(("more", "because"), REFUSED.values(), ids=REFUSED)
def test_what_the_door_refuses(world, key, more, because):
    certify(world, key, *more)
    refused(world, key, because)


def test_reading_only_and_from_here(world, key, tmp_path):
    told = certify(
        world, key, "--scope", "transfers:read", "--source-address", "127.0.0.0/8", "--out", tmp_path / "reads.pub"
    )
    assert sftp(world, key)[0] != 0  # OpenSSH does not find it under that name
    code, said = sftp(world, key, f"ls /outbox\nput {key}.pub {BASE}/reads/a.txt", Path(told["certificate"]))
    assert code != 0
    assert "hku-genomics" in said
    assert "permission denied" in said.lower()


BY_HAND = {
    "who": ["-n", INSTITUTION],
    "serial": ["-z", "4711"],
    "when": ["-V", "-5m:+1d"],
    "nothing else": ["-O", "clear"],
    "scopes": ["-O", "extension:scopes@hetao=transfers:read"],
}
NOT_BY_HAND = {
    "principal": {"who": []},
    "serial": {"serial": []},
    "life": {"when": ["-V", "always:forever"]},
    "expired": {"when": ["-V", "-2d:-1d"]},
    "early": {"when": ["-V", "+1h:+1d"]},
    "scopes": {"scopes": []},
    "option": {"nothing else": ["-O", "force-command=ls"]},
}


def certify_by_hand(world: SftpWorld, key: Path, changes: dict[str, list[str]]) -> None:
    words = [word for words in (BY_HAND | changes).values() for word in words]
    command = [need("ssh-keygen"), "-q", "-s", world.folder / "ca" / "ssh_user_ca", "-I", "lin", *words, f"{key}.pub"]
    subprocess.run(command, check=True, timeout=30)


def test_a_certificate_made_with_ssh_keygen(world, key):
    """The authority's key may live where there is no `hetao`: on a security key, for instance."""
    certify_by_hand(world, key, {})
    code, said = sftp(world, key)
    assert code == 0, said


@pytest.mark.parametrize(("because", "changes"), NOT_BY_HAND.items(), ids=NOT_BY_HAND)
def test_a_careless_certificate_made_with_ssh_keygen(world, key, because, changes):
    certify_by_hand(world, key, changes)
    refused(world, key, because)


def test_a_certificate_of_another_authority(world, key, tmp_path):
    hetao("keys", "ssh-ca", "--dir", tmp_path / "other")
    certify(world, key, "--ca", tmp_path / "other" / "ssh_user_ca")
    code, said = sftp(world, key)
    assert code != 0
    assert "Permission denied (publickey)" in said


def test_revoking_ends_a_session_and_opens_no_other(world, key):
    serial = certify(world, key)["serial"]
    session = subprocess.Popen(
        program(world, key), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        assert said_until(session, "README.txt")
        told = json.loads(world.running.hetao("keys", "revoke", "certificate", serial, "--reason", "a test", "--json"))
        assert told == {"client": f"ssh-cert:{serial}", "revoked_now": True}
        assert said_until(session, '"/" not found')
    finally:
        session.kill()
        session.wait(20)
        for pipe in (session.stdin, session.stdout):
            pipe.close()
    assert sftp(world, key)[0] != 0
    again = world.running.hetao("keys", "revoke", "certificate", serial, "--reason", "a test")
    assert "was revoked before" in again
    world.running.hetao("ledger", "verify")
    certify(world, key, "--out", f"{key}-2.pub")
    assert sftp(world, key, "ls /", Path(f"{key}-2.pub"))[0] == 0  # another certificate of the same person


def said_until(session: subprocess.Popen[bytes], word: str) -> str:
    """Ask for the root until the answer has the word."""
    assert session.stdin is not None
    assert session.stdout is not None
    said, deadline = b"", time.monotonic() + SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(session.stdout, selectors.EVENT_READ)
        while word.encode() not in said:
            assert time.monotonic() < deadline, said
            session.stdin.write(b"-ls /\n")
            session.stdin.flush()
            while selector.select(0.3):
                piece = os.read(session.stdout.fileno(), 65536)
                assert piece, said
                said += piece
    return said.decode()


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (["--valid", "91d"], 2),
        (["--valid", "forever"], 2),
        (["--scope", "review:vote"], 2),
        (["--person", "Lin"], 2),
        (["--ca", "nowhere"], 2),
        (["--source-address", "example.com"], 2),
    ],
)
def test_what_is_not_signed(world, key, more, code):
    about = ["--institution", INSTITUTION, "--person", "lin", "--ca", world.folder / "ca" / "ssh_user_ca", *more]
    hetao("keys", "ssh-sign", f"{key}.pub", *about, code=code)
    assert not key.with_name("mine-cert.pub").exists()


def test_a_certificate_that_is_there_is_not_overwritten(world, key):
    certify(world, key)
    before = key.with_name("mine-cert.pub").read_bytes()
    about = ["--institution", INSTITUTION, "--person", "lin", "--ca", world.folder / "ca" / "ssh_user_ca"]
    hetao("keys", "ssh-sign", f"{key}.pub", *about, code=1)
    assert key.with_name("mine-cert.pub").read_bytes() == before
    printed = hetao("keys", "ssh-sign", f"{key}.pub", *about, "--out", "-")
    assert printed.startswith("ecdsa-sha2-nistp256-cert-v01@openssh.com ")
    assert printed.count("\n") == 1


def test_revoking_what_is_not_there_fails(world):
    for kind, name in (("client", "nobody"), ("person", "nobody"), ("certificate", "x"), ("officer", "chen")):
        world.running.hetao("keys", "revoke", kind, name, "--reason", "a test", fails=True)


def test_a_gateway_does_not_start_with_an_authority_it_cannot_read(world):
    environment = {**os.environ, "HETAO_SFTP__USER_CA": "nowhere.pub"}
    command = [sys.executable, "-m", "gateway.cli", "serve", "--config", str(world.running.world.config)]
    environment |= {"HETAO_HTTPS__PORT": "0", "HETAO_SFTP__PORT": "0", "HETAO_METRICS__PORT": "0"}
    environment["HETAO_PAGE__PORT"] = "0"
    world.running.kill()
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    finally:
        world.running.start()
    assert done.returncode == 2
    assert "sftp.user_ca" in done.stderr
