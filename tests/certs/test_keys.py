"""Keys as strangers' tools read them."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import asyncssh
import jwt
import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from certs.crypt4ghkeys import make_crypt4gh_key
from certs.jwtkeys import make_jwt_key, public_jwk
from certs.ledgerkeys import make_signing_key, verifier_key
from certs.sshkeys import fingerprint, make_ssh_key
from gateway.core.errors import Unusable


def test_the_stock_crypt4gh_tool_reads_the_pair(tmp_path: Path) -> None:
    from crypt4gh.keys import get_private_key, get_public_key

    made = make_crypt4gh_key(tmp_path / "keys", "hku")
    private = get_private_key(str(made.private), lambda: pytest.fail("asked for a passphrase"))
    public = get_public_key(str(made.public))
    assert X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw() == public
    assert base64.b64decode(made.identity) == public


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")
def test_ssh_keygen_reads_the_pair_and_prints_the_same_fingerprint(tmp_path: Path) -> None:
    made = make_ssh_key(tmp_path / "keys", "ssh_host_ed25519_key", "hk.example")
    printed = subprocess.run(
        ["ssh-keygen", "-l", "-f", made.public], check=True, capture_output=True, text=True
    ).stdout.split()
    assert printed == ["256", made.identity, "hk.example", "(ED25519)"]
    derived = subprocess.run(["ssh-keygen", "-y", "-f", made.private], check=True, capture_output=True, text=True)
    assert derived.stdout.split()[:2] == made.public.read_text().split()[:2]


def test_asyncssh_and_paramiko_read_it_too(tmp_path: Path) -> None:
    made = make_ssh_key(tmp_path / "keys", "user", "")
    blob = base64.b64decode(made.public.read_text().split()[1])
    assert asyncssh.read_private_key(made.private).public_data == blob
    assert paramiko.PKey.from_path(made.private).asbytes() == blob
    assert (
        asyncssh.read_public_key(made.public).get_fingerprint()
        == made.identity
        == fingerprint(b"x " + base64.b64encode(blob))
    )


@pytest.mark.parametrize("comment", ["a\nssh-ed25519 AAAA evil", "\0", "a\r"])
def test_a_comment_cannot_smuggle_a_second_key(tmp_path: Path, comment: str) -> None:
    with pytest.raises(Unusable):
        make_ssh_key(tmp_path / "keys", "user", comment)


def test_the_verifier_key_is_the_one_of_the_go_documentation() -> None:
    # The example of golang.org/x/mod/sumdb/note: a published key that others made.
    text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(text.rpartition("+")[2])[1:])
    assert verifier_key("PeterNeumann", public) == text


@pytest.mark.parametrize(("witness", "kind"), [(False, 1), (True, 4)])
def test_a_signing_key_signs_what_its_verifier_key_verifies(tmp_path: Path, kind: int, *, witness: bool) -> None:
    made = make_signing_key(tmp_path / "keys", "ledger", "gateway.example.cn/ledger", witness=witness)
    private = serialization.load_pem_private_key(made.private.read_bytes(), None)
    assert isinstance(private, Ed25519PrivateKey)
    name, digest, blob = made.public.read_text().strip().split("+", 2)
    typed = base64.b64decode(blob)
    assert typed[0] == kind
    assert digest == hashlib.sha256(name.encode() + b"\n" + typed).hexdigest()[:8]
    Ed25519PublicKey.from_public_bytes(typed[1:]).verify(private.sign(b"note"), b"note")


@pytest.mark.parametrize("origin", ["", "a b", "a+b", "a\n", "a\u00a0b"])
def test_a_signers_name_that_a_note_cannot_hold_is_refused(tmp_path: Path, origin: str) -> None:
    with pytest.raises(Unusable):
        make_signing_key(tmp_path / "keys", "ledger", origin)
    assert not (tmp_path / "keys" / "ledger").exists()


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
def test_pyjwt_verifies_with_the_jwk_what_the_key_signs(tmp_path: Path, algorithm: str) -> None:
    made = make_jwt_key(tmp_path / "keys", "client", algorithm)
    jwk = json.loads(made.public.read_text())
    assert (jwk["alg"], jwk["use"], jwk["kid"]) == (algorithm, "sig", made.identity)
    assert not set(jwk) & {"d", "p", "q", "k"}, "nothing private in the public file"
    token = jwt.encode({"iss": "sz-lab"}, made.private.read_text(), algorithm, headers={"kid": made.identity})
    assert jwt.decode(token, jwt.PyJWK(jwk), algorithms=[algorithm]) == {"iss": "sz-lab"}


def test_the_key_id_is_the_thumbprint_of_rfc_8037() -> None:
    # RFC 8037 appendix A.3.
    public = Ed25519PublicKey.from_public_bytes(
        base64.urlsafe_b64decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    )
    assert public_jwk(public)["kid"] == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_coordinates_keep_their_leading_zeros() -> None:
    for scalar in range(1, 2_000):  # one in 256 points has a short coordinate
        key = ec.derive_private_key(scalar, ec.SECP256R1()).public_key()
        jwk = public_jwk(key)
        assert (len(jwk["x"]), len(jwk["y"])) == (43, 43)


def test_other_keys_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Unusable):
        make_jwt_key(tmp_path / "keys", "client", "RS256")
    with pytest.raises(Unusable):
        public_jwk(ec.generate_private_key(ec.SECP384R1()).public_key())
