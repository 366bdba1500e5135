"""Signed rule packs (`gateway/stores/packs.py`), with ssh-keygen as the stranger that agrees."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from typer.testing import CliRunner

from gateway.cli.policy import app
from gateway.core.errors import StoreError, Unusable
from gateway.stores.packs import NAMESPACE, SIGNATURE, read_signers, signed_bytes, write_signature
from gateway.stores.rulebooks import load_policies, write_digest
from gateway.wire import sshsig

POLICIES = Path(__file__).parents[2] / "policies"
KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2))


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(POLICIES, tmp_path / "pack"))


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "key"
    path.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    path.chmod(0o600)
    return path


def line(key) -> str:
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def sign(folder, key=KEY, namespace=NAMESPACE, message=None):
    digest = (folder / "DIGEST").read_text().strip()
    write_signature(folder, sshsig.sign(key, message or signed_bytes(digest), namespace))


SIGNERS = frozenset({sshsig.blob_of(KEY)})
OTHERS = frozenset({sshsig.blob_of(OTHER)})


def test_an_unsigned_pack_is_used_where_nobody_asks_and_refused_where_somebody_does(folder):
    assert load_policies(folder).signer == ""
    with pytest.raises(Unusable, match=r"is not signed and policies\.signers asks for it"):
        load_policies(folder, signers=SIGNERS)


def test_a_signed_pack_tells_by_whom(folder):
    sign(folder)
    by = sshsig.fingerprint(sshsig.blob_of(KEY))
    assert load_policies(folder).signer == by
    assert load_policies(folder, signers=SIGNERS | OTHERS).signer == by


def test_a_pack_signed_by_another_is_refused_where_signers_are_named(folder):
    sign(folder)
    with pytest.raises(Unusable, match=r"which policies\.signers does not name"):
        load_policies(folder, signers=OTHERS)


@pytest.mark.parametrize("wrong", [{"namespace": "hetao-vote"}, {"message": b"0" * 64 + b"\n"}, {"message": b"x"}])
def test_a_signature_over_something_else_is_refused_though_nobody_asked(folder, wrong):
    sign(folder, **wrong)
    with pytest.raises(Unusable, match="does not hold over its content"):
        load_policies(folder)


@pytest.mark.parametrize("data", [b"", b"not a signature", b"-----BEGIN SSH SIGNATURE-----\n", b"A" * 20_000])
def test_what_is_no_signature_is_refused(folder, data):
    (folder / SIGNATURE).write_bytes(data)
    with pytest.raises(Unusable, match="does not hold"):
        load_policies(folder)


def test_a_signature_that_cannot_be_read_is_told(folder):
    (folder / SIGNATURE).mkdir()
    assert load_policies(folder).signer == ""  # a folder is no signature; where signers are named, none is there
    with pytest.raises(StoreError):
        write_signature(folder, b"x")
    with pytest.raises(StoreError):
        write_digest("0" * 64, folder)


def test_a_new_digest_drops_the_signature_over_the_old(folder):
    sign(folder)
    digest = load_policies(folder).rulebook.digest
    write_digest(digest, folder)
    assert (folder / SIGNATURE).is_file()
    write_digest("0" * 64, folder)
    assert not (folder / SIGNATURE).exists()


# --- who is trusted ---


def test_signers_are_lines_of_public_keys(tmp_path):
    path = tmp_path / "signers"
    path.write_text(f"# the law department\n{line(KEY)} zhang\n\n{line(OTHER)}\n")
    assert read_signers(path) == SIGNERS | OTHERS


@pytest.mark.parametrize("text", ["", "# nobody\n", "ssh-rsa AAAA\n", "hello\n", f"{line(KEY)}\n" * 101])
def test_a_file_of_signers_without_a_key_is_refused(tmp_path, text):
    path = tmp_path / "signers"
    path.write_text(text)
    with pytest.raises(Unusable, match=r"policies\.signers"):
        read_signers(path)


def test_a_file_of_signers_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(Unusable, match="cannot be read"):
        read_signers(tmp_path / "none")


# --- the command ---


def test_the_command_signs_and_ssh_keygen_agrees(folder, key_file, tmp_path):
    told = CliRunner().invoke(app, ["sign", "--key", str(key_file), "--policies", str(folder)])
    assert told.exit_code == 0, told.output
    assert load_policies(folder, signers=SIGNERS).rulebook.digest in told.stdout
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    allowed = tmp_path / "allowed"
    allowed.write_text(f"law {line(KEY)}\n")
    arguments = ["-Y", "verify", "-f", str(allowed), "-I", "law", "-n", NAMESPACE, "-s", str(folder / SIGNATURE)]
    with (folder / "DIGEST").open("rb") as digest:
        done = subprocess.run(["ssh-keygen", *arguments], stdin=digest, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("file", "old", "new", "why"),
    [
        ("cases/1-the-brief.toml", 'verdict = "allow"', 'verdict = "deny"', "13.1"),
        ("cases/3-human-genetic-resources.toml", 'misses = ["G1", "G2"]', "misses = []", "G1: no case is a near miss"),
        ("rules/1-every-transfer.toml", 'certainty = "memory"', 'certainty = "secondary"', "DIGEST states another"),
    ],
)
def test_a_pack_that_fails_its_test_is_not_signed(folder, key_file, file, old, new, why):
    path = folder / file
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    told = CliRunner().invoke(app, ["sign", "--key", str(key_file), "--policies", str(folder)])
    assert (told.exit_code, (folder / SIGNATURE).exists()) == (1, False)
    assert why in told.stderr
