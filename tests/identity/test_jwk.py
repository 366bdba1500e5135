from __future__ import annotations

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from certs.jwtkeys import public_jwk as public_jwk_of_certs
from gateway.core.errors import StoreError, Unusable
from gateway.identity.jwk import TokenKey, parse_jwk, public_jwk
from tests.identity.parties import jwk_of, p256, write_pem

# RFC 8037 appendix A.2 and A.3: an Ed25519 public key and its thumbprint.
RFC8037 = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
RFC8037_THUMBPRINT = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_the_thumbprint_is_the_one_of_rfc_8037():
    assert parse_jwk(RFC8037).kid == RFC8037_THUMBPRINT


@pytest.mark.parametrize("key", [p256(), Ed25519PrivateKey.generate()], ids=["P-256", "Ed25519"])
def test_public_members_agree_with_pyjwt_and_with_the_key_tooling(key):
    assert public_jwk(key.public_key()) == jwk_of(key)
    assert parse_jwk(public_jwk_of_certs(key.public_key())).jwk == public_jwk_of_certs(key.public_key())


@pytest.mark.parametrize(
    "jwk",
    [
        {},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-256", "x": "AA"},
        {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43},  # a point that is not on the curve
        {**RFC8037, "alg": "HS256"},
        {**RFC8037, "use": "enc"},
        {**RFC8037, "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"},
        {**RFC8037, "crv": "Ed448"},
        {**RFC8037, "x": "AA"},
        {**RFC8037, "x": 7},
    ],
)
def test_other_keys_are_refused(jwk):
    with pytest.raises(Unusable) as refused:
        parse_jwk(jwk)
    assert refused.value.code == "bad-jwk"
    assert "nWGxne" not in refused.value.message


def test_a_token_key_signs_what_pyjwt_verifies(tmp_path):
    for number, key in enumerate((p256(), Ed25519PrivateKey.generate())):
        ours = TokenKey(write_pem(key, tmp_path / f"{number}.pem"))
        token = ours.sign(b'{"a":1}', "at+jwt")
        assert jwt.decode(token, key.public_key(), algorithms=[ours.public.algorithm]) == {"a": 1}
        assert jwt.get_unverified_header(token) == {
            "typ": "at+jwt",
            "alg": ours.public.algorithm,
            "kid": ours.public.kid,
        }
        assert ours.public.verified(token)[1] == b'{"a":1}'


def test_a_key_file_others_can_read_or_that_holds_something_else_is_refused(tmp_path):
    good = write_pem(p256(), tmp_path / "good.pem")
    good.chmod(0o640)
    others = {
        "rsa.pem": rsa.generate_private_key(65537, 2048),
        "p384.pem": ec.generate_private_key(ec.SECP384R1()),
    }
    for name, key in others.items():
        write_pem(key, tmp_path / name)
    (tmp_path / "text.pem").write_text("not a key: hunter2")
    (tmp_path / "text.pem").chmod(0o600)
    for name in ("good.pem", "text.pem", *others):
        with pytest.raises(Unusable) as refused:
            TokenKey(tmp_path / name)
        assert "hunter2" not in refused.value.message
    with pytest.raises(StoreError):
        TokenKey(tmp_path / "missing.pem")
