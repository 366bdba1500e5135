"""Settings of the law: who must have signed the pack, and which controls must be kept; and what the doctor says."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.cli.doctor import _controls
from gateway.core.errors import GatewayError, Unusable
from gateway.settings import load_settings
from gateway.stores.packs import NAMESPACE, signed_bytes, write_signature
from gateway.wire import sshsig
from gateway.wiring import _policies, unkept
from tests.policies.packed import pack

POLICIES = Path(__file__).parents[2] / "policies"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


def settings(tmp_path, text):
    path = tmp_path / "gateway.toml"
    path.write_text(text)
    return load_settings(path, {})


def test_a_pack_must_be_signed_where_signers_are_set(tmp_path):
    folder = Path(shutil.copytree(POLICIES, tmp_path / "pack"))
    line = KEY.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    (tmp_path / "signers").write_text(line + "\n")
    found = settings(tmp_path, f'[policies]\nfolder = "{folder}"\nsigners = "signers"\n')
    with pytest.raises(Unusable, match="not signed"):
        _policies(found)
    write_signature(folder, sshsig.sign(KEY, signed_bytes(pack().rulebook.digest), NAMESPACE))
    assert _policies(found).signer == sshsig.fingerprint(sshsig.blob_of(KEY))
    assert _policies(settings(tmp_path, f'[policies]\nfolder = "{folder}"\n')).signer


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("", 0),
        ('[https]\nminimum_tls = "1.2"\n', 1),
        ('[controls]\nprofile = "commercial-cryptography"\n', 4),
        ('[controls]\nprofile = "commercial-cryptography"\n[https]\nminimum_tls = "1.2"\n', 5),
    ],
)
async def test_what_the_profile_misses_and_what_the_doctor_says(tmp_path, text, missing):
    found = settings(tmp_path, text)
    assert len(unkept(found, pack())) == missing
    gateway = SimpleNamespace(settings=found, policies=pack())
    if not missing:
        assert await _controls(gateway) == "profile international is kept"
        return
    with pytest.raises(GatewayError) as told:
        await _controls(gateway)
    assert "rule T1 denies every transfer" in told.value.message
    assert all(reason in told.value.message for reason in unkept(found, pack()))


def test_a_profile_that_does_not_exist_is_refused_as_a_setting(tmp_path):
    with pytest.raises(Unusable, match=r"controls\.profile"):
        settings(tmp_path, '[controls]\nprofile = "sovereign"\n')
