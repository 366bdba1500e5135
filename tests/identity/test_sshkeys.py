"""SSH keys: who is behind one, and everything that gives nobody."""

from __future__ import annotations

import pytest

from gateway.core.errors import Unusable
from gateway.core.identity import SENDER_SCOPES, Credential, Door
from gateway.identity.sshkeys import SshKeys
from gateway.wire import sshsig
from tests.flow.rig import NOW, Rig, public_line, seeded_key

LIN, STRANGER = seeded_key("lin"), seeded_key("stranger")


def blob(key) -> bytes:
    return bytes(sshsig.public_blob(public_line(key)))


def record(**changes) -> tuple[str, dict]:
    table = {"id": "lin-laptop", "institution": "sz-lab", "person": "lin", "key": public_line(LIN)}
    return "sshkey", table | {"scopes": list(SENDER_SCOPES)} | changes


@pytest.fixture
async def rig() -> Rig:
    made = Rig()
    await made.found()
    return made


def keys(rig: Rig) -> SshKeys:
    return SshKeys(records=rig.records, registrar=rig.registrar, clock=rig.clock)


async def test_a_registered_key_is_its_person_of_its_institution(rig):
    await rig.register(record(scopes=["transfers:open"]))
    found = await keys(rig).principal("sz-lab", blob(LIN))
    assert found is not None
    assert (found.institution, found.person, found.client) == ("sz-lab", "lin", "lin-laptop")
    assert (found.credential, found.door) == (Credential.SSH_KEY, Door.SFTP)
    assert [each.value for each in found.scopes] == ["transfers:open"]


@pytest.mark.parametrize("login", ["", "gz-lab", "lin", "sz-lab ", "SZ-LAB", "root", "深圳", "sz-lab\0", "a" * 64])
async def test_another_login_name_gives_nobody(rig, login):
    await rig.register(record())
    assert await keys(rig).principal(login, blob(LIN)) is None


async def test_a_stranger_and_nonsense_give_nobody(rig):
    await rig.register(record())
    for given in (blob(STRANGER), b"", b"\0" * 51, blob(LIN) + b"\0"):
        assert await keys(rig).principal("sz-lab", given) is None


async def test_a_key_that_ran_out_gives_nobody_from_the_day_after(rig):
    await rig.register(record(valid_to="2026-11-20"))
    assert await keys(rig).principal("sz-lab", blob(LIN))
    rig.clock.advance(days=1)
    assert await keys(rig).principal("sz-lab", blob(LIN)) is None


async def test_a_revoked_key_gives_nobody(rig):
    await rig.register(record())
    async with rig.records.write() as tx:
        await tx.revoke("lin-laptop", "", NOW)
    assert await keys(rig).principal("sz-lab", blob(LIN)) is None


async def test_a_registered_keys_holder_is_the_one_who_signs_in_with_it(rig):
    await rig.register(record(scopes=["transfers:open"]))
    found = await keys(rig).holder("sz-lab", "lin", "lin-laptop")
    assert found is not None
    assert found == await keys(rig).principal("sz-lab", blob(LIN))


@pytest.mark.parametrize(
    ("institution", "person", "client"),
    [
        ("gz-lab", "lin", "lin-laptop"),
        ("sz-lab", "boss", "lin-laptop"),
        ("sz-lab", "lin", "other"),
        ("sz-lab", "lin", "lin"),
        ("sz-lab", "lin", ""),
        ("", "", ""),
    ],
)
async def test_what_is_not_that_keys_gives_no_holder(rig, institution, person, client):
    await rig.register(record())
    assert await keys(rig).holder(institution, person, client) is None


async def test_a_key_that_ran_out_or_was_revoked_has_no_holder(rig):
    await rig.register(record(valid_to="2026-11-20"))
    asked = ("sz-lab", "lin", "lin-laptop")
    assert await keys(rig).holder(*asked)
    rig.clock.advance(days=1)
    assert await keys(rig).holder(*asked) is None
    rig.clock.set(NOW)
    async with rig.records.write() as tx:
        await tx.revoke("lin-laptop", "", NOW)
    assert await keys(rig).holder(*asked) is None


async def test_one_key_is_one_persons(rig):
    await rig.register(record())
    with pytest.raises(Unusable, match="one key is registered"):
        await rig.register(record(id="other", person="boss"))


@pytest.mark.parametrize(
    "key", ["", "ssh-rsa AAAA", "ssh-ed25519 AAAA", "ssh-dss x", 'command="x" ' + public_line(LIN)]
)
async def test_other_kinds_of_keys_are_not_registered(rig, key):
    with pytest.raises(Unusable, match="OpenSSH public key"):
        await rig.register(record(key=key))
