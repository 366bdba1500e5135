"""The SSH CA's key and the certificates it signs, as strangers' tools read them, and what it refuses to sign."""

from __future__ import annotations

import base64
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncssh
import pytest
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from certs.sshca import issue_user_certificate, make_ssh_ca
from certs.sshkeys import make_ssh_key
from gateway.core.errors import Conflict, Unusable
from gateway.core.identity import SENDER_SCOPES
from gateway.identity.sshcertificates import refusal
from gateway.wire import sshcert, sshsig
from tests.flow.rig import public_line, seeded_key
from tests.identity.certified import AUTHORITY
from tests.interop.sftp_world import need
from tests.wire.test_sshcert import SUBJECTS

NOW = datetime(2026, 11, 22, 8, 0, 0, 250_000, tzinfo=UTC)
LIN = public_line(seeded_key("lin"))


def issue(line: str = LIN, **changes):
    about = {
        "institution": "sz-lab",
        "person": "lin",
        "scopes": ["transfers:read"],
        "now": NOW,
        "validity": timedelta(hours=24),
    }
    return issue_user_certificate(AUTHORITY, line, **(about | changes))


def content(issued) -> sshcert.Certificate:
    return sshcert.parse(base64.b64decode(issued.line.split()[1]))


def test_the_authority_is_a_key_pair_that_others_cannot_read(tmp_path: Path) -> None:
    made = make_ssh_ca(tmp_path / "keys", "ssh_user_ca")
    assert stat.S_IMODE(made.private.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    assert sshsig.fingerprint(sshsig.public_blob(made.public.read_text())) == made.identity
    with pytest.raises(Conflict):
        make_ssh_ca(tmp_path / "keys", "ssh_user_ca")


def test_a_certificate_says_who_for_whom_how_long_and_what() -> None:
    issued = issue(scopes=["transfers:write", "transfers:open", "transfers:open"])
    found = content(issued)
    assert (found.kind, found.key_id, found.principals) == (sshcert.USER, "lin", ("sz-lab",))
    assert found.subject == sshsig.public_blob(LIN)
    assert found.authority == sshsig.blob_of(AUTHORITY)
    assert (found.valid_from, found.valid_to) == (issued.valid_from.timestamp(), issued.valid_to.timestamp())
    assert issued.valid_from < NOW < issued.valid_to <= NOW + timedelta(hours=24)
    assert issued.valid_to - issued.valid_from < timedelta(hours=25)
    assert found.critical == {}
    assert found.extensions == {"scopes@hetao": sshcert.option_data("transfers:open,transfers:write")}
    assert found.serial == issued.serial


def test_serial_numbers_are_random_and_look_like_no_persons_number() -> None:
    serials = {issue().serial for _ in range(50)}
    assert len(serials) == 50
    assert all(10**18 <= each < 1 << 64 for each in serials)  # 19 or 20 digits


def test_the_longest_certificate_passes_the_door() -> None:
    found = content(issue(validity=timedelta(days=90)))
    assert refusal(found, "sz-lab", "", NOW) == ""
    assert refusal(found, "sz-lab", "", NOW + timedelta(days=89, hours=23)) == ""
    assert refusal(found, "sz-lab", "", NOW + timedelta(days=90)) == "expired"


@pytest.mark.parametrize("algorithm", SUBJECTS)
def test_every_kind_of_key_is_certified_and_openssh_reads_it(algorithm: str, tmp_path: Path) -> None:
    line = f"{algorithm} {base64.b64encode(SUBJECTS[algorithm]).decode()} lin's token, left drawer"
    issued = issue(line, source_addresses=["192.0.2.0/24", "2001:db8::/32"])
    assert content(issued).subject == SUBJECTS[algorithm]
    assert asyncssh.import_certificate(issued.line).get_comment() == "lin's token, left drawer"
    (tmp_path / "lin-cert.pub").write_bytes(issued.line)
    program = [need("ssh-keygen"), "-L", "-f", "lin-cert.pub"]
    said = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "user certificate" in said
    assert f"Serial: {issued.serial}" in said
    assert 'Key ID: "lin"' in said
    assert "source-address 192.0.2.0/24,2001:db8::/32" in said
    assert "permit-" not in said


def test_a_certificate_follows_from_the_key_file_of_the_authority(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    made = make_ssh_ca(tmp_path, "ca")
    authority = load_ssh_private_key(made.private.read_bytes(), None)
    user = make_ssh_key(tmp_path, "lin", "lin")
    issued = issue_user_certificate(
        authority,
        user.public.read_text(),
        institution="sz-lab",
        person="lin",
        scopes=SENDER_SCOPES,
        now=NOW,
        validity=timedelta(minutes=1),
    )
    assert content(issued).authority == sshsig.public_blob(made.public.read_text())


@pytest.mark.parametrize(
    "changes",
    [
        {"line": ""},
        {"line": "ssh-rsa AAAA"},
        {"line": public_line(AUTHORITY)},
        {"line": f"{LIN} lin\n{LIN} other"},
        {"line": issue().line.decode()},
        {"institution": ""},
        {"institution": "sz lab"},
        {"institution": "sz-lab,gz-lab"},
        {"person": ""},
        {"person": "Lin"},
        {"scopes": []},
        {"scopes": ["review:vote"]},
        {"scopes": ["transfers:read,transfers:write"]},
        {"validity": timedelta(0)},
        {"validity": timedelta(hours=-1)},
        {"validity": timedelta(days=90, seconds=1)},
        {"source_addresses": ["example.com"]},
        {"source_addresses": ["192.0.2.7/24"]},
        {"source_addresses": [""]},
    ],
    ids=lambda changes: next(f"{name}={value!r:.30}" for name, value in changes.items()),
)
def test_what_is_not_signed(changes) -> None:
    with pytest.raises(Unusable):
        issue(**changes)


def test_a_naive_time_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="aware"):
        issue(now=datetime(2026, 11, 22))  # noqa: DTZ001  # the naive time is the test
