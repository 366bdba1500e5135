"""SSH certificates against the real `ssh-keygen`, asyncssh and cryptography, and against forgery."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import asyncssh
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_public_identity,
)
from cryptography.hazmat.primitives.serialization.ssh import SSHCertificate
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire import BadSignature, Malformed, sshcert, sshsig
from tests.wire.damage import damaged, parsed_or_none

CA = Ed25519PrivateKey.from_private_bytes(sha256(b"ca").digest())
CA_P256 = ec.derive_private_key(int.from_bytes(sha256(b"ca-p256").digest()), ec.SECP256R1())
CA_P384 = ec.derive_private_key(int.from_bytes(sha256(b"ca-p384").digest()), ec.SECP384R1())
AUTHORITIES = {"ed25519": CA, "p256": CA_P256, "p384": CA_P384}
ED25519 = Ed25519PrivateKey.from_private_bytes(sha256(b"subject").digest())
P256 = ec.derive_private_key(int.from_bytes(sha256(b"p256").digest()), ec.SECP256R1())
P384 = ec.derive_private_key(int.from_bytes(sha256(b"p384").digest()), ec.SECP384R1())
NONCE = b"\x07" * 32
_POINT = P256.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def strings(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


SUBJECTS = {
    "ssh-ed25519": bytes(sshsig.blob_of(ED25519)),
    "ecdsa-sha2-nistp256": bytes(sshsig.blob_of(P256)),
    "ecdsa-sha2-nistp384": bytes(sshsig.blob_of(P384)),
    "sk-ssh-ed25519@openssh.com": strings(
        b"sk-ssh-ed25519@openssh.com", ED25519.public_key().public_bytes_raw(), b"ssh:"
    ),
    "sk-ecdsa-sha2-nistp256@openssh.com": strings(b"sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256", _POINT, b"ssh:"),
}


def certificate(subject: bytes = SUBJECTS["ssh-ed25519"], key=CA, **changes) -> sshcert.Certificate:
    about = {
        "serial": 12_345_678_901_234_567_890,
        "key_id": "lin 林",
        "principals": ("sz-lab", "深圳"),
        "valid_from": 1_790_000_000,
        "valid_to": 1_790_086_400,
        "authority": sshsig.blob_of(key),
        "critical": {"source-address": sshcert.option_data("192.0.2.0/24")},
        "extensions": {"scopes@hetao": sshcert.option_data("a:b,c:d"), "permit-pty": b""},
    }
    return sshcert.Certificate(subject=sshsig.PublicKeyBlob(subject), **(about | changes))


def line(blob: bytes) -> str:
    return f"{sshcert.type_name(blob)} {base64.b64encode(blob).decode()}"


@pytest.fixture
def keygen(tmp_path: Path):
    program = shutil.which("ssh-keygen")
    if program is None:
        reason = "ssh-keygen is missing: SSH certificates are NOT checked against OpenSSH"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)

    def run(*arguments: str) -> str:
        environment = {**os.environ, "TZ": "UTC"}
        done = subprocess.run(
            [program, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    return run


# --- strangers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("authority", AUTHORITIES)
def test_openssh_reads_what_we_issue(subject, authority, keygen, tmp_path):
    key = AUTHORITIES[authority]
    blob = sshcert.issue(certificate(SUBJECTS[subject], key), NONCE, key)
    (tmp_path / "cert.pub").write_text(line(blob) + "\n")
    said = keygen("-L", "-f", "cert.pub")
    shown = [text.strip() for text in said.splitlines()]
    assert f"Type: {sshcert.type_name(blob)} user certificate" in shown
    assert f"{sshsig.fingerprint(sshsig.PublicKeyBlob(SUBJECTS[subject]))}" in said
    assert sshsig.fingerprint(sshsig.blob_of(key)) in said
    assert "Serial: 12345678901234567890" in shown
    assert "Valid: from 2026-09-21T14:13:20 to 2026-09-22T14:13:20" in shown
    assert "source-address 192.0.2.0/24" in shown
    assert "sz-lab" in shown
    assert any(text.startswith("scopes@hetao") for text in shown)


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("authority", AUTHORITIES)
def test_asyncssh_reads_what_we_issue(subject, authority):
    key = AUTHORITIES[authority]
    found = asyncssh.import_certificate(line(sshcert.issue(certificate(SUBJECTS[subject], key), NONCE, key)))
    assert found.key.public_data == SUBJECTS[subject]
    assert found.signing_key.public_data == sshsig.blob_of(key)
    assert list(found.principals) == ["sz-lab", "深圳"]
    assert [str(each) for each in found.options["source-address"]] == ["192.0.2.0/24"]


@pytest.mark.parametrize("subject", [name for name in SUBJECTS if not name.startswith("sk-")])
def test_cryptography_reads_what_we_issue(subject):
    wanted = certificate(SUBJECTS[subject])
    found = load_ssh_public_identity(line(sshcert.issue(wanted, NONCE, CA)).encode())
    assert isinstance(found, SSHCertificate)
    found.verify_cert_signature()
    assert (found.serial, found.key_id.decode(), found.nonce) == (wanted.serial, wanted.key_id, NONCE)
    assert found.extensions == {b"scopes@hetao": b"a:b,c:d", b"permit-pty": b""}
    assert found.critical_options == {b"source-address": b"192.0.2.0/24"}
    assert (found.valid_after, found.valid_before) == (wanted.valid_from, wanted.valid_to)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_we_read_what_openssh_issues(kind, keygen, tmp_path):
    pem = (CA if kind == "ed25519" else CA_P256).private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    (tmp_path / "ca").touch(0o600)
    (tmp_path / "ca").write_bytes(pem)
    subject = "sk-ecdsa-sha2-nistp256@openssh.com" if kind == "ecdsa" else "ssh-ed25519"
    (tmp_path / "lin.pub").write_text(f"{subject} {base64.b64encode(SUBJECTS[subject]).decode()} lin\n")
    options = ["clear", "source-address=192.0.2.0/24", "extension:scopes@hetao=a:b,c:d"]
    flags = [word for option in options for word in ("-O", option)]
    validity = "20260921141320:20260922141320"
    keygen("-q", "-s", "ca", "-I", "lin", "-n", "sz-lab,x", "-z", "77", "-V", validity, *flags, "lin.pub")
    found = sshcert.parse(base64.b64decode((tmp_path / "lin-cert.pub").read_text().split()[1]))
    assert found == certificate(
        SUBJECTS[subject],
        CA if kind == "ed25519" else CA_P256,
        serial=77,
        key_id="lin",
        principals=("sz-lab", "x"),
        extensions={"scopes@hetao": sshcert.option_data("a:b,c:d")},
    )
    assert sshcert.option_text(found.extensions["scopes@hetao"]) == "a:b,c:d"


# --- ourselves -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("authority", AUTHORITIES)
def test_what_was_issued_is_parsed(subject, authority):
    wanted = certificate(SUBJECTS[subject], AUTHORITIES[authority])
    blob = sshcert.issue(wanted, NONCE, AUTHORITIES[authority])
    assert sshcert.parse(blob) == wanted
    assert sshcert.is_certificate(blob)


def test_other_kinds_times_and_emptiness_are_carried():
    bare = certificate(
        key_id="", principals=(), critical={}, extensions={}, kind=sshcert.HOST, valid_from=0, valid_to=(1 << 64) - 1
    )
    assert sshcert.parse(sshcert.issue(bare, NONCE, CA)) == bare


@pytest.mark.parametrize("blob", [b"", b"\0", b"\0\0\0\5ssh", *SUBJECTS.values()])
def test_keys_and_nonsense_are_no_certificates(blob):
    assert not sshcert.is_certificate(blob)
    with pytest.raises(Malformed):
        sshcert.parse(blob)


def test_certificates_of_refused_algorithms_are_certificates_and_refused():
    blob = strings(b"ssh-rsa-cert-v01@openssh.com", NONCE)
    assert sshcert.is_certificate(blob)
    with pytest.raises(Malformed, match="algorithm"):
        sshcert.parse(blob)


def raw(parts: dict[str, bytes] | None = None, key=CA) -> bytes:
    """A certificate by an independent writer, with single parts replaced, signed over what stands there."""
    number = (5).to_bytes(8, "big")
    fields = {
        "head": strings(b"ssh-ed25519-cert-v01@openssh.com", NONCE, ED25519.public_key().public_bytes_raw()),
        "numbers": number + (1).to_bytes(4, "big"),
        "key_id": strings(b"lin"),
        "principals": strings(strings(b"sz-lab")),
        "validity": number + number,
        "critical": strings(b""),
        "extensions": strings(b""),
        "reserved": strings(b""),
        "authority": strings(bytes(sshsig.blob_of(key))),
    }
    signed = b"".join((fields | (parts or {})).values())
    return signed + strings(sshsig.sign_raw(key, signed))


def test_the_independent_writer_agrees():
    wanted = certificate(
        serial=5, key_id="lin", principals=("sz-lab",), valid_from=5, valid_to=5, critical={}, extensions={}
    )
    assert raw() == sshcert.issue(wanted, NONCE, CA)


@pytest.mark.parametrize(
    "parts",
    [
        {"reserved": strings(b"x")},
        {"key_id": strings(b"\xff")},
        {"principals": strings(strings(b"\xff"))},
        {"principals": strings(b"\0\0\0\1")},
        {"critical": strings(strings(b"b", b"", b"a", b""))},
        {"extensions": strings(strings(b"a", b"", b"a", b""))},
        {"extensions": strings(strings(b"a"))},
        {"extensions": strings(strings(b"\xff", b""))},
        {"authority": strings(b"nonsense")},
        {"head": strings(b"ssh-ed25519-cert-v01@openssh.com", NONCE, b"short")},
        {"head": strings(b"ssh-ed25519-cert-v00@openssh.com", NONCE, ED25519.public_key().public_bytes_raw())},
        {"principals": strings(strings(*[b"sz-lab"] * 2000))},
    ],
    ids=repr,
)
def test_well_signed_certificates_of_another_form_are_refused(parts):
    with pytest.raises(Malformed):
        sshcert.parse(raw(parts))


def test_a_signature_by_somebody_else_does_not_hold():
    other = raw(key=ED25519)
    ours = raw()
    forged = ours[:-64] + other[-64:]
    with pytest.raises(BadSignature):
        sshcert.parse(forged)
    with pytest.raises(Malformed, match="algorithm"):
        sshcert.parse(ours[: -len(strings(sshsig.sign_raw(CA, b"")))] + strings(sshsig.sign_raw(CA_P256, b"")))


def test_issuing_refuses_what_could_not_be_parsed():
    good = certificate()
    with pytest.raises(ValueError, match="authority"):
        sshcert.issue(good, NONCE, CA_P256)
    with pytest.raises(ValueError, match="nonce"):
        sshcert.issue(good, b"", CA)
    for change in ({"serial": 1 << 64}, {"serial": -1}, {"valid_to": 1 << 64}, {"valid_from": -1}):
        with pytest.raises(ValueError, match="64 bits"):
            sshcert.issue(replace(good, **change), NONCE, CA)
    with pytest.raises(Malformed):
        sshcert.issue(replace(good, subject=sshsig.PublicKeyBlob(b"x")), NONCE, CA)


@pytest.mark.parametrize("data", [b"", b"text", strings(b"a") + b"x", strings(b"\xff")])
def test_option_data_that_is_no_text(data):
    with pytest.raises(Malformed):
        sshcert.option_text(data)


@pytest.mark.parametrize("key", [CA, CA_P256], ids=["ed25519", "p256"])
@given(data=st.data())
@settings(deadline=None)
def test_damaged_certificates_are_what_was_signed_or_malformed(key, data):
    wanted = certificate(SUBJECTS["sk-ssh-ed25519@openssh.com"], key)
    blob = data.draw(damaged(sshcert.issue(wanted, NONCE, key)))
    assert parsed_or_none(sshcert.parse, blob) in (None, wanted)
