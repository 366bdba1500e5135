"""Key files: what signs, what opens, what is refused; `ssh-keygen` is the oracle for keys and signatures."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.core.errors import BrokenPromise, Unusable
from gateway.stores.signing import MAX_KEY_FILE, FileLedgerSigner, FileSigner, VaultOpener
from gateway.wire import checkpoint, crypt4gh, crypt4gh_keys, sshsig

ORIGIN = "gateway.example/ledger"
VAULT = bytes(range(1, 33))


def key_file(path: Path, data: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


@pytest.fixture
def openssh(tmp_path: Path) -> Path:
    path = tmp_path / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "gateway", "-f", path], check=True)
    return path


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    private = Ed25519PrivateKey.from_private_bytes(VAULT).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return key_file(tmp_path / "key.pem", private)


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    return key_file(tmp_path / "vault.key", crypt4gh_keys.format_private_key(VAULT))


def test_a_signature_that_ssh_keygen_accepts(openssh: Path, tmp_path: Path) -> None:
    signer = FileSigner(openssh)
    assert signer.public_line == " ".join(openssh.with_suffix(".pub").read_text().split()[:2])
    signature = tmp_path / "message.sig"
    signature.write_bytes(signer.sign("hetao-receipt", b"a receipt"))
    allowed = tmp_path / "allowed"
    allowed.write_text(f"gateway {signer.public_line}\n")
    command = ["ssh-keygen", "-Y", "verify", "-f", allowed, "-I", "gateway", "-n", "hetao-receipt", "-s", signature]
    subprocess.run(command, input=b"a receipt", check=True, capture_output=True)
    assert subprocess.run(command, input=b"another", check=False, capture_output=True).returncode != 0


def test_a_pem_key_signs_too(pem: Path) -> None:
    signer = FileSigner(pem)
    signed = signer.sign("hetao-vote", b"x")
    assert sshsig.verify(signed, b"x", "hetao-vote") == sshsig.public_blob(signer.public_line)


def test_a_checkpoint_verifies_with_the_verifier_key(pem: Path) -> None:
    signer = FileLedgerSigner(pem, ORIGIN)
    note = signer.sign_checkpoint(7, b"\7" * 32)
    key = checkpoint.parse_verifier_key(signer.verifier_key)
    assert [each.key for each in checkpoint.verify(checkpoint.parse_note(note), [key])] == [key]
    head = checkpoint.parse_checkpoint(checkpoint.parse_note(note).text)
    assert (head.origin, head.size, head.root) == (ORIGIN, 7, b"\7" * 32)


@pytest.mark.parametrize("origin", ["", "two words", "plus+sign"])
def test_an_origin_that_is_no_key_name(pem: Path, origin: str) -> None:
    with pytest.raises(Unusable):
        FileLedgerSigner(pem, origin)


def test_the_vault_opens_what_was_sealed_to_it(vault: Path) -> None:
    opener = VaultOpener(vault)
    keys = [bytes([number]) * 32 for number in (1, 2)]
    header = crypt4gh.seal_header(keys, opener.public_key, bytes(range(32)), [b"\1" * 12, b"\2" * 12])
    assert list(opener.open(header)) == keys


def test_the_vault_does_not_open_what_was_sealed_to_another(vault: Path) -> None:
    stranger = crypt4gh_keys.public_key(b"\x42" * 32)
    header = crypt4gh.seal_header([b"\1" * 32], stranger, bytes(range(32)), [b"\1" * 12])
    for bad in (header, b"", b"crypt4gh", header[:-1]):
        with pytest.raises(BrokenPromise):
            VaultOpener(vault).open(bad)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610, 0o601])
def test_a_key_file_others_can_read_is_refused(openssh: Path, vault: Path, mode: int) -> None:
    openssh.chmod(mode)
    vault.chmod(mode)
    with pytest.raises(Unusable, match="chmod 600"):
        FileSigner(openssh)
    with pytest.raises(Unusable, match="chmod 600"):
        FileLedgerSigner(openssh, ORIGIN)
    with pytest.raises(Unusable, match="chmod 600"):
        VaultOpener(vault)


def test_files_that_are_no_key(tmp_path: Path) -> None:
    p256 = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    protected = Ed25519PrivateKey.from_private_bytes(VAULT).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"word")
    )
    files = [
        b"",
        b"nonsense",
        p256,
        protected,
        b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n",
        b"x" * (MAX_KEY_FILE + 1),
    ]
    for number, data in enumerate(files):
        path = key_file(tmp_path / str(number), data)
        with pytest.raises(Unusable):
            FileSigner(path)
        with pytest.raises(Unusable):
            VaultOpener(path)


def test_a_protected_key_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "protected"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "a passphrase", "-f", path], check=True)
    with pytest.raises(Unusable, match="passphrase"):
        FileSigner(path)


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path, Path("/dev/null")):
        with pytest.raises(Unusable):
            FileSigner(path)
