"""SSH signatures against the real `ssh-keygen`, both ways, security keys included, and against forgery."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from hashlib import sha256, sha512
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire import BadSignature, Malformed, sshsig
from gateway.wire.armor import armored, dearmored
from tests.wire.damage import damaged, parsed_or_none

ED25519 = Ed25519PrivateKey.from_private_bytes(sha256(b"officer").digest())
P256 = ec.derive_private_key(int.from_bytes(sha256(b"p256").digest()), ec.SECP256R1())
P384 = ec.derive_private_key(int.from_bytes(sha256(b"p384").digest()), ec.SECP384R1())
P521 = ec.derive_private_key(12345, ec.SECP521R1())
KEYS = {"ed25519": ED25519, "p256": P256, "p384": P384}
NAMESPACE = "approval@hetao"
MESSAGE = b"the decision certificate"


# --- an independent writer of blobs, for what the module under test never writes -------------------------------------


def string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def mpint(number: int) -> bytes:
    return string(number.to_bytes(number.bit_length() // 8 + 1, "big"))


def signed_data(namespace: bytes = NAMESPACE.encode(), reserved: bytes = b"", message: bytes = MESSAGE) -> bytes:
    return b"SSHSIG" + string(namespace) + string(reserved) + string(b"sha512") + string(sha512(message).digest())


def envelope(
    public: bytes,
    signature: bytes,
    *,
    namespace: bytes = NAMESPACE.encode(),
    reserved: bytes = b"",
    algorithm: bytes = b"sha512",
    version: int = 1,
    tail: bytes = b"",
) -> bytes:
    fields = [public, namespace, reserved, algorithm, signature]
    body = b"SSHSIG" + version.to_bytes(4, "big") + b"".join(map(string, fields)) + tail
    return armored(b"SSH SIGNATURE", body, width=70)


def security_key(kind: str, flags: int, *, application: bytes = b"ssh:") -> tuple[bytes, bytes]:
    """A public key blob and an armoured signature as a FIDO token makes them (PROTOCOL.u2f)."""
    trailer = bytes([flags]) + (7).to_bytes(4, "big")
    signed = sha256(application).digest() + trailer + sha256(signed_data()).digest()
    if kind == "ed25519":
        name = b"sk-ssh-ed25519@openssh.com"
        public = string(name) + string(ED25519.public_key().public_bytes_raw()) + string(application)
        inner = ED25519.sign(signed)
    else:
        name = b"sk-ecdsa-sha2-nistp256@openssh.com"
        point = P256.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        public = string(name) + string(b"nistp256") + string(point) + string(application)
        inner = b"".join(map(mpint, decode_dss_signature(P256.sign(signed, ec.ECDSA(hashes.SHA256())))))
    return public, envelope(public, string(name) + string(inner) + trailer)


# --- the stranger ----------------------------------------------------------------------------------------------------


@pytest.fixture
def keygen(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    program = shutil.which("ssh-keygen")
    if program is None:
        reason = "ssh-keygen is missing: SSH signatures are NOT checked against OpenSSH"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)

    def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([program, *arguments], cwd=tmp_path, input=stdin, capture_output=True, check=False)

    return run


def public_line(key) -> str:
    line = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return line.decode() + " officer@example"


def write_private(path: Path, key) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    path.touch(mode=0o600)
    path.write_bytes(pem)


@pytest.mark.parametrize("name", KEYS)
def test_openssh_verifies_what_we_sign(name, keygen, tmp_path):
    (tmp_path / "signature").write_bytes(sshsig.sign(KEYS[name], MESSAGE, NAMESPACE))
    (tmp_path / "allowed").write_text(f"officer {public_line(KEYS[name])}\n")
    verify = ["-Y", "verify", "-f", "allowed", "-I", "officer", "-s", "signature", "-n"]
    done = keygen(*verify, NAMESPACE, stdin=MESSAGE)
    assert done.returncode == 0, done.stderr
    assert keygen(*verify, "git", stdin=MESSAGE).returncode != 0
    assert keygen(*verify, NAMESPACE, stdin=MESSAGE + b".").returncode != 0


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_we_verify_what_openssh_signs(name, algorithm, keygen, tmp_path):
    write_private(tmp_path / "key", KEYS[name])
    (tmp_path / "message").write_bytes(MESSAGE)
    done = keygen("-Y", "sign", "-f", "key", "-n", NAMESPACE, "-O", f"hashalg={algorithm}", "message")
    assert done.returncode == 0, done.stderr
    data = (tmp_path / "message.sig").read_bytes()
    assert sshsig.verify(data, MESSAGE, NAMESPACE) == sshsig.public_blob(public_line(KEYS[name]))
    if name == "ed25519" and algorithm == "sha512":
        assert data == sshsig.sign(ED25519, MESSAGE, NAMESPACE)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_openssh_agrees_about_security_keys(kind, keygen, tmp_path):
    public, data = security_key(kind, 0x05)
    (tmp_path / "signature").write_bytes(data)
    done = keygen("-Y", "check-novalidate", "-n", NAMESPACE, "-s", "signature", stdin=MESSAGE)
    assert done.returncode == 0, done.stderr
    assert sshsig.fingerprint(sshsig.verify(data, MESSAGE, NAMESPACE)).encode() in done.stdout
    assert sshsig.verify(data, MESSAGE, NAMESPACE) == public


@pytest.mark.parametrize("name", KEYS)
def test_fingerprints_are_those_of_openssh(name, keygen, tmp_path):
    (tmp_path / "key.pub").write_text(public_line(KEYS[name]) + "\n")
    done = keygen("-l", "-f", "key.pub")
    assert sshsig.fingerprint(sshsig.blob_of(KEYS[name])).encode() in done.stdout.split()


def test_rsa_signatures_of_openssh_are_refused(keygen, tmp_path):
    write_private(tmp_path / "key", rsa.generate_private_key(65_537, 2048))
    done = keygen("-Y", "sign", "-f", "key", "-n", NAMESPACE, stdin=MESSAGE)
    assert done.returncode == 0, done.stderr
    with pytest.raises(Malformed, match="refused"):
        sshsig.verify(done.stdout, MESSAGE, NAMESPACE)


# --- what verification notices ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KEYS)
def test_signatures_are_deterministic_and_bind_message_and_namespace(name):
    data = sshsig.sign(KEYS[name], MESSAGE, NAMESPACE)
    assert data == sshsig.sign(KEYS[name], MESSAGE, NAMESPACE)
    assert sshsig.verify(data, MESSAGE, NAMESPACE) == sshsig.blob_of(KEYS[name].public_key())
    with pytest.raises(BadSignature, match="does not hold"):
        sshsig.verify(data, MESSAGE + b".", NAMESPACE)
    with pytest.raises(BadSignature, match="another namespace"):
        sshsig.verify(data, MESSAGE, "git")


def test_a_signature_is_not_valid_under_another_key():
    found = sshsig.parse_armored(sshsig.sign(ED25519, MESSAGE, NAMESPACE))
    other = Ed25519PrivateKey.from_private_bytes(sha256(b"other").digest())
    with pytest.raises(BadSignature, match="does not hold"):
        sshsig.verify(envelope(sshsig.blob_of(other), found.signature), MESSAGE, NAMESPACE)


def test_the_reserved_field_is_carried_and_signed():
    inner = string(b"ssh-ed25519") + string(ED25519.sign(signed_data(reserved=b"tag")))
    public = sshsig.blob_of(ED25519)
    assert sshsig.verify(envelope(public, inner, reserved=b"tag"), MESSAGE, NAMESPACE) == public
    with pytest.raises(BadSignature):
        sshsig.verify(envelope(public, inner), MESSAGE, NAMESPACE)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_security_keys_need_their_user(kind):
    public, data = security_key(kind, 0x01)
    assert sshsig.verify(data, MESSAGE, NAMESPACE) == public
    with pytest.raises(BadSignature, match="present"):
        sshsig.verify(security_key(kind, 0x04)[1], MESSAGE, NAMESPACE)
    _, other_application = security_key(kind, 0x01, application=b"ssh:other")
    swapped = sshsig.parse_armored(other_application).signature
    with pytest.raises(BadSignature, match="does not hold"):
        sshsig.verify(envelope(public, swapped), MESSAGE, NAMESPACE)


def test_presence_cannot_be_added_afterwards():
    public, data = security_key("ed25519", 0x00)
    inner = bytearray(sshsig.parse_armored(data).signature)
    inner[-5] = 0x01
    with pytest.raises(BadSignature, match="does not hold"):
        sshsig.verify(envelope(public, bytes(inner)), MESSAGE, NAMESPACE)


def r_and_s() -> tuple[int, int]:
    return decode_dss_signature(P256.sign(signed_data(), ec.ECDSA(hashes.SHA256())))


def padded(number: int) -> bytes:
    return string(b"\0" + number.to_bytes(number.bit_length() // 8 + 1, "big"))


@pytest.mark.parametrize(
    "inner",
    [
        lambda pair: mpint(pair[0]) + mpint(pair[1]) + b"\0",
        lambda pair: mpint(pair[0]),
        lambda pair: padded(pair[0]) + mpint(pair[1]),
        lambda pair: string(b"\xff" * 32) + mpint(pair[1]),
        lambda pair: mpint(pair[0])[:-1],
    ],
)
def test_ecdsa_numbers_have_one_spelling(inner):
    r, s = r_and_s()
    good = string(b"ecdsa-sha2-nistp256") + string(mpint(r) + mpint(s))
    assert sshsig.verify(envelope(sshsig.blob_of(P256), good), MESSAGE, NAMESPACE)
    bad = string(b"ecdsa-sha2-nistp256") + string(inner((r, s)))
    with pytest.raises(Malformed):
        sshsig.verify(envelope(sshsig.blob_of(P256), bad), MESSAGE, NAMESPACE)


def test_ecdsa_numbers_of_zero_do_not_hold():
    inner = string(b"ecdsa-sha2-nistp256") + string(string(b"") + string(b""))
    with pytest.raises(BadSignature):
        sshsig.verify(envelope(sshsig.blob_of(P256), inner), MESSAGE, NAMESPACE)


GOOD = string(b"ssh-ed25519") + string(ED25519.sign(signed_data()))
PUBLIC = sshsig.blob_of(ED25519)
POINT = sshsig.blob_of(P256)[-65:]
COMPRESSED = P256.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)


@pytest.mark.parametrize(
    "data",
    [
        envelope(PUBLIC, GOOD, version=2),
        envelope(PUBLIC, GOOD, namespace=b""),
        envelope(PUBLIC, GOOD, algorithm=b"sha1"),
        envelope(PUBLIC, GOOD, tail=b"x"),
        envelope(PUBLIC, GOOD + b"x"),
        envelope(PUBLIC, string(b"ssh-rsa") + string(bytes(64))),
        envelope(PUBLIC, b""),
        envelope(PUBLIC + b"x", GOOD),
        envelope(string(b"ssh-ed25519") + string(bytes(31)), GOOD),
        envelope(string(b"ssh-rsa") + string(b"\1\0\1") + string(bytes(256)), GOOD),
        envelope(string(b"ecdsa-sha2-nistp256") + string(b"nistp384") + string(POINT), GOOD),
        envelope(string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(COMPRESSED), GOOD),
        envelope(string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(b"\4" + bytes(64)), GOOD),
        envelope(string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(b"\4"), GOOD),
        armored(b"SSH SIGNATURE", b"SSHSIX" + bytes(80), width=70),
        armored(b"SSH SIGNATURE", b"", width=70),
        armored(b"PGP SIGNATURE", b"SSHSIG", width=70),
        b"x" * (sshsig.MAX_SIGNATURE + 1),
    ],
)
def test_signatures_that_are_refused(data):
    with pytest.raises(Malformed) as caught:
        sshsig.verify(data, MESSAGE, NAMESPACE)
    assert not isinstance(caught.value, BadSignature)


def test_parsing_gives_the_parts():
    found = sshsig.parse_armored(sshsig.sign(ED25519, MESSAGE, NAMESPACE))
    assert found == sshsig.Signature(PUBLIC, NAMESPACE.encode(), b"", b"sha512", GOOD)


def test_signing_refuses_what_could_not_be_verified():
    with pytest.raises(ValueError, match="namespace"):
        sshsig.sign(ED25519, MESSAGE, "")
    with pytest.raises(ValueError, match="secp521r1"):
        sshsig.sign(P521, MESSAGE, NAMESPACE)


# --- public keys -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KEYS)
def test_public_key_lines(name):
    line = public_line(KEYS[name])
    assert sshsig.public_blob(line) == sshsig.blob_of(KEYS[name])
    assert sshsig.public_blob(line.rsplit(" ", 1)[0] + "\n") == sshsig.blob_of(KEYS[name])


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        "ssh-ed25519 \u0661",
        'command="x" ' + public_line(ED25519),
        public_line(ED25519).replace("ssh-ed25519", "ssh-rsa", 1),
        public_line(P521),
        public_line(ED25519) + "x" * sshsig.MAX_LINE,
    ],
)
def test_other_lines_are_refused(line):
    with pytest.raises(Malformed):
        sshsig.public_blob(line)


@given(damaged(sshsig.sign(P256, MESSAGE, NAMESPACE)))
@settings(deadline=None)
def test_damaged_armour_verifies_for_its_own_key_or_is_malformed(data):
    blob = parsed_or_none(lambda armour: sshsig.verify(armour, MESSAGE, NAMESPACE), data)
    assert blob in {None, sshsig.blob_of(P256)}


@given(
    st.sampled_from([sshsig.sign(P256, MESSAGE, NAMESPACE), security_key("ed25519", 1)[1]]).flatmap(
        lambda armour: damaged(dearmored(b"SSH SIGNATURE", armour, max_size=4096))
    )
)
@settings(deadline=None)
def test_damaged_bodies_verify_for_their_own_key_or_are_malformed(body):
    armour = armored(b"SSH SIGNATURE", body, width=70)
    blob = parsed_or_none(lambda data: sshsig.verify(data, MESSAGE, NAMESPACE), armour)
    assert blob in {None, sshsig.blob_of(P256), security_key("ed25519", 1)[0]}


@given(st.one_of(st.text(), damaged(public_line(P256).encode()).map(lambda data: data.decode("latin-1"))))
def test_lines_parse_or_are_malformed(line):
    blob = parsed_or_none(lambda _: sshsig.public_blob(line), b"")
    assert blob is None or sshsig.fingerprint(blob).startswith("SHA256:")
