"""User certificates at the SFTP door: who comes in, who does not, and when somebody who is in has to stop."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta

import asyncssh
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.core.identity import certificate_client, holder_client
from gateway.wire import sshcert, sshsig
from tests.doors.sftp_site import BASE, SftpSite
from tests.flow.rig import seeded_key
from tests.identity.certified import AUTHORITY, SERIAL, certificate, scopes, signed, write_line

P256 = ec.derive_private_key(77, ec.SECP256R1())


@pytest.fixture
async def site(tmp_path):
    made = SftpSite(tmp_path)
    # The library looks at the machine's own clock as well.
    made.rig.clock.set(datetime.now(UTC))
    await made.found()
    async with made.served():
        yield made


def offered(site: SftpSite, key=None, authority=AUTHORITY, **changes: object) -> dict[str, object]:
    """A client's options: a key that is registered nowhere, and its certificate."""
    key = key or seeded_key("certified")
    found = certificate(site.rig.clock.now(), key=key, authority=sshsig.blob_of(authority), **changes)
    private = site.folder / "certified"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    private.chmod(0o600)
    line = write_line(site.folder / "certified.line", signed(found, authority))
    # The library would offer the key alone as well.
    (pair,) = [each for each in asyncssh.load_keypairs([(str(private), str(line))]) if each.has_cert]
    return {"client_keys": [pair], "login": "sz-lab"}


async def refused(site: SftpSite, options: dict[str, object]) -> None:
    before = len(site.observer.of("sftp.entered"))
    with pytest.raises(asyncssh.PermissionDenied):
        async with site.connected(**options):
            pass
    assert len(site.observer.of("sftp.entered")) == before


@pytest.mark.parametrize("key", [None, P256], ids=["ed25519", "p256"])
async def test_a_certificate_signs_in_and_sends(site, key):
    async with site.client(**offered(site, key)) as client, client.open(f"{BASE}/birds/a.csv", "wb") as file:
        await file.write(b"island,birds\nlamma,12\n")
    assert list(await site.files()) == ["a.csv"]
    assert site.observer.of("sftp.entered")[-1]["client"] == certificate_client(SERIAL)


async def test_scopes_narrow_it(site):
    async with site.client(**offered(site, extensions=scopes("transfers:read"))) as client:
        assert "README.txt" in await client.listdir("/")
        with pytest.raises(asyncssh.SFTPPermissionDenied):
            await client.open(f"{BASE}/birds/a.csv", "wb")


REFUSED = {
    "wrong authority": {"authority": seeded_key("other-ca")},
    "signed by the key itself": {"authority": seeded_key("certified")},
    "host": {"kind": sshcert.HOST},
    "wrong principal": {"principals": ("gz-lab",)},
    "no principals": {"principals": ()},
    "unknown person": {"key_id": "nobody"},
    "another institution's person": {"key_id": "li-si"},
    "forced command": {"critical": {"force-command": sshcert.option_data("internal-sftp")}},
    "from elsewhere": {"critical": {"source-address": sshcert.option_data("198.51.100.0/24")}},
    "from nowhere": {"critical": {"source-address": sshcert.option_data("")}},
    "no scopes": {"extensions": {"permit-pty": b""}},
}


@pytest.mark.parametrize("changes", REFUSED.values(), ids=REFUSED)
async def test_what_is_refused(site, changes):
    await refused(site, offered(site, **changes))
    assert len(site.observer.of("login.refused")) == 1


@pytest.mark.parametrize("shift", [timedelta(days=-2), timedelta(days=2)], ids=["not yet valid", "expired"])
@pytest.mark.parametrize("whose", ["the gateway's clock", "the machine's clock"])
async def test_both_clocks_count(site, shift, whose):
    now = site.rig.clock.now()
    site.rig.clock.advance(-shift if whose == "the machine's clock" else timedelta())
    options = offered(site)
    if whose == "the gateway's clock":
        site.rig.clock.set(now + shift)
    await refused(site, options)


async def test_revoked_ones_are_refused(site):
    options = offered(site)
    async with site.connected(**options):
        pass
    async with site.rig.records.write() as tx:
        await tx.revoke(certificate_client(SERIAL), "", site.rig.clock.now())
    await refused(site, options)
    other = offered(site, serial=SERIAL + 1)
    async with site.connected(**other):
        pass
    async with site.rig.records.write() as tx:
        await tx.revoke(holder_client("lin"), "", site.rig.clock.now())
    await refused(site, other)


@pytest.mark.parametrize("reserved", [False, True], ids=["unknown option", "not understood"])
async def test_what_the_library_does_not_read_is_refused(site, reserved):
    """asyncssh's client would not load these; so it offers them in another one's place."""
    options = offered(site)
    (pair,) = options["client_keys"]
    found = certificate(site.rig.clock.now(), critical={} if reserved else {"shoe-size@hetao": b""})
    blob = signed(found)
    pair.public_data = blob.replace(b"ssh-ed25519-cert-v01", b"ssh-ed25519-cert-v02") if reserved else blob
    await refused(site, options | {"client_keys": [pair]})


async def test_its_source_address_may_be_here(site):
    here = {"source-address": sshcert.option_data("127.0.0.0/8")}
    async with site.connected(**offered(site, critical=here)):
        pass


async def test_the_key_in_a_certificate_is_no_key(site):
    options = offered(site)
    await refused(site, options | {"client_keys": [str(site.folder / "certified")]})
    assert len(site.observer.of("login.refused")) == 1


async def test_a_certificate_is_no_use_without_its_key(site):
    """A thief of the file alone: the client signs with another key than the certified one."""
    options = offered(site)
    (thief,) = options["client_keys"]
    other = asyncssh.import_private_key(
        P256.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    )
    thief.sign = lambda data: other.sign(data, b"ecdsa-sha2-nistp256")
    await refused(site, options | {"client_keys": [thief]})
    assert site.observer.of("login.refused") == []  # the certificate was in order; the proof was not


async def test_an_rsa_key_is_not_taken_for_being_certified(site, tmp_path):
    authority = asyncssh.import_private_key(
        AUTHORITY.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    )
    pem = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    key = asyncssh.import_private_key(pem.decode())
    issued = authority.generate_user_certificate(
        key, "lin", serial=5, principals=["sz-lab"], valid_after="-1m", valid_before="+1h"
    )
    await refused(site, {"client_keys": [(key, issued)], "login": "sz-lab"})


@pytest.mark.parametrize("how", ["revoked", "expired", "person retired"])
async def test_it_stops_while_it_works(site, how, monkeypatch):
    monkeypatch.setattr("gateway.doors.sftp.server.RECHECK_SECONDS", -1.0)
    async with site.client(**offered(site)) as client:
        async with client.open(f"{BASE}/birds/a.csv", "wb") as file:
            await file.write(b"island,birds\nlamma,12\n")
        if how == "revoked":
            async with site.rig.records.write() as tx:
                await tx.revoke(certificate_client(SERIAL), "", site.rig.clock.now())
        elif how == "expired":
            site.rig.clock.advance(days=1)
        else:
            gone = {"id": "lin", "name": "Lin", "institution": "sz-lab", "valid_to": "2026-01-01"}
            await site.rig.register(("person", gone))
        with pytest.raises(asyncssh.SFTPPermissionDenied):
            await client.open(f"{BASE}/birds/b.csv", "wb")
    assert list(await site.files()) == ["a.csv"]


async def test_the_library_still_shows_what_was_offered(site):
    """The door reads offers on their way into `SSHServerConnection.validate_public_key`; an upgrade must not move it."""
    options = offered(site)
    async with site.connected(**options):
        pass
    assert [each["client"] for each in site.observer.of("sftp.entered")] == [certificate_client(SERIAL)]
    signature = "(self, username: str, key_data: bytes, msg: bytes, signature: bytes) -> bool"
    assert str(inspect.signature(asyncssh.SSHServerConnection.validate_public_key)) == signature
