"""`hetao keys`: what authorities sign, and passwords, in this process; `tests/interop` brings the results to a door."""

from __future__ import annotations

import base64
import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from typer.testing import CliRunner

from gateway.cli.keys import app, parse_duration
from gateway.cli.registry import parse_records
from gateway.core.errors import Conflict, Unusable
from gateway.core.identity import SENDER_SCOPES
from gateway.core.records import AppPassword, parse_record
from gateway.identity.apppasswords import SECRET
from gateway.identity.jwk import parse_jwk, public_jwk
from gateway.identity.sshcertificates import scopes_of
from gateway.wire import sshcert, sshsig
from tests.flow.rig import public_line, seeded_key
from tests.identity.certificates import request
from tests.identity.parties import p256


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


# --- client certificates -------------------------------------------------------------------------------------------------


@pytest.fixture
def client_ca(tmp_path: Path) -> Path:
    run("client-ca", "--dir", tmp_path / "client-ca")
    return tmp_path / "client-ca" / "client_ca.key"


@pytest.fixture
def csr(tmp_path: Path) -> Path:
    (tmp_path / "sender.csr").write_bytes(request(p256()))
    return tmp_path / "sender.csr"


def test_a_client_certificate_says_what_the_registry_must_say(client_ca, csr):
    about = ("--institution", "sz-lab", "--client", "sender", "--ca", client_ca)
    told = json.loads(run("client-sign", csr, *about, "--json"))
    made = x509.load_pem_x509_certificate(Path(told["certificate"]).read_bytes())
    assert told["certificate"] == str(csr.with_suffix(".crt"))
    assert told["registry"] == 'certificate = "urn:hetao:client:sender"'
    assert (int(told["serial"], 16), told["sha256"]) == (made.serial_number, made.fingerprint(SHA256()).hex())
    assert made.not_valid_after_utc - made.not_valid_before_utc == timedelta(days=30, minutes=5)
    with pytest.raises(Conflict):
        run("client-sign", csr, *about)
    printed = run("client-sign", "-", *about, "--out", "-", stdin=csr.read_text())
    assert x509.load_pem_x509_certificate(printed.encode()).issuer == made.issuer
    with pytest.raises(Unusable, match="--out"):
        run("client-sign", "-", *about, stdin=csr.read_text())
    with pytest.raises(Unusable, match="90 days"):
        run("client-sign", csr, *about, "--valid", "91d")


def test_a_list_takes_back_by_file_and_by_serial_number(client_ca, csr, tmp_path):
    told = json.loads(
        run("client-sign", csr, "--institution", "sz-lab", "--client", "sender", "--ca", client_ca, "--json")
    )
    target = tmp_path / "client.crl"
    run("client-crl", target, "--ca", client_ca)
    assert list(x509.load_pem_x509_crl(target.read_bytes())) == []
    run("client-crl", target, "--ca", client_ca, "--revoke", told["certificate"])
    said = json.loads(run("client-crl", target, "--ca", client_ca, "--serial", "0A:0b", "--json"))
    assert said["taken back now"] == ["a0b"]
    listed = {each.serial_number for each in x509.load_pem_x509_crl(target.read_bytes())}
    assert listed == {int(told["serial"], 16), 0x0A0B}
    for wrong in ("", "0", "xyz", "-1", "f" * 41):
        with pytest.raises(Unusable, match="--serial"):
            run("client-crl", target, "--ca", client_ca, "--serial", wrong)


# --- application passwords -----------------------------------------------------------------------------------------------


def test_a_password_is_shown_once_and_its_record_can_be_signed(tmp_path):
    told = json.loads(
        run(
            "app-password",
            *("--person", "lin", "--institution", "sz-lab", "--scopes", "transfers:read", "--days", "7"),
            *("--out", tmp_path / "password.toml", "--json"),
        )
    )
    ((kind, record),) = parse_records((tmp_path / "password.toml").read_bytes())
    assert (kind, isinstance(record, AppPassword)) == ("password", True)
    assert record == parse_record("password", told["record"])
    assert (record.id, record.person, record.institution, record.scopes) == (
        told["user"],
        "lin",
        "sz-lab",
        ("transfers:read",),
    )
    assert record.valid_to - record.valid_from == timedelta(days=7)
    assert record.is_proved_by(told["password"])
    assert SECRET.fullmatch(told["password"])
    assert told["password"] not in (tmp_path / "password.toml").read_text()
    assert told["user"].startswith("lin-")


def test_for_people_the_record_is_printed(tmp_path):
    printed = run("app-password", "--person", "lin", "--institution", "sz-lab", "--id", "lin-finder")
    secret = re.search(r"hap_[a-z2-7]{32}", printed)
    assert secret is not None
    ((_, record),) = parse_records(printed[printed.index("[[password]]") :].encode())
    assert record.is_proved_by(secret[0])
    assert (record.id, set(record.scopes)) == ("lin-finder", set(SENDER_SCOPES))


@pytest.mark.parametrize(
    "wrong", [("--scopes", "review:vote"), ("--scopes", ""), ("--days", "91"), ("--days", "0"), ("--id", "Lin")]
)
def test_passwords_nobody_gets(wrong):
    with pytest.raises((Unusable, SystemExit)):
        run("app-password", "--person", "lin", "--institution", "sz-lab", *wrong)


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
