"""`hetao keys`: the SSH CA and what it signs, in this process; `tests/interop` brings the results to a door."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli.keys import app, parse_duration
from gateway.core.errors import Conflict, Unusable
from gateway.core.identity import SENDER_SCOPES
from gateway.identity.jwk import parse_jwk, public_jwk
from gateway.identity.sshcertificates import scopes_of
from gateway.wire import sshcert, sshsig
from tests.flow.rig import public_line, seeded_key


def run(*words: object, stdin: str = "") -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], input=stdin)
    if result.exception is not None:
        raise result.exception
    return result.stdout


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    run("ssh-ca", "--dir", tmp_path / "ca")
    return tmp_path / "ca" / "ssh_user_ca"


@pytest.fixture
def public(tmp_path: Path) -> Path:
    (tmp_path / "mine.pub").write_text(public_line(seeded_key("lin")) + " lin\n")
    return tmp_path / "mine.pub"


def read(line: str) -> sshcert.Certificate:
    return sshcert.parse(base64.b64decode(line.split()[1]))


def test_a_certificate_lies_beside_the_key_and_says_what_was_told(ca, public):
    about = ("--institution", "sz-lab", "--person", "lin", "--ca", ca)
    told = json.loads(run("ssh-sign", public, *about, "--json"))
    assert told["certificate"] == str(public.with_name("mine-cert.pub"))
    found = read(Path(told["certificate"]).read_text())
    assert (told["serial"], told["institution"], told["person"]) == (str(found.serial), "sz-lab", "lin")
    assert found.authority == sshsig.public_blob(ca.with_suffix(".pub").read_text())
    assert {each.value for each in scopes_of(found)} == set(SENDER_SCOPES)
    assert timedelta(hours=24) <= timedelta(seconds=found.valid_to - found.valid_from) < timedelta(hours=25)
    with pytest.raises(Conflict):
        run("ssh-sign", public, *about)


def test_it_reads_standard_input_and_prints(ca, public):
    about = ("--institution", "sz-lab", "--person", "lin", "--ca", ca, "--scope", "transfers:read", "--valid", "90m")
    printed = run("ssh-sign", "-", *about, "--out", "-", stdin=public.read_text())
    assert printed.endswith(" lin\n")
    assert [each.value for each in scopes_of(read(printed))] == ["transfers:read"]
    with pytest.raises(Unusable, match="--out"):
        run("ssh-sign", "-", *about, stdin=public.read_text())


@pytest.mark.parametrize(
    ("text", "meant"),
    [("90m", timedelta(minutes=90)), ("24h", timedelta(hours=24)), ("7d", timedelta(days=7))],
)
def test_durations(text, meant):
    assert parse_duration(text) == meant


@pytest.mark.parametrize("text", ["", "h", "24", "0h", "-1h", "1.5h", "1w", "24h ", "٧d", "1d12h", "9999999d"])
def test_what_is_no_duration(text):
    with pytest.raises(Unusable, match="--valid"):
        parse_duration(text)


def test_the_jwk_of_an_ssh_key_is_one_the_registry_takes(public, tmp_path):
    told = json.loads(run("jwk", public))
    assert told == dict(parse_jwk(public_jwk(seeded_key("lin").public_key())).jwk)
    (tmp_path / "rsa.pub").write_text("ssh-rsa AAAA x\n")
    with pytest.raises(Unusable, match="no public SSH key"):
        run("jwk", tmp_path / "rsa.pub")
