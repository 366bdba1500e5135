"""Application passwords: one way to hold, many not to, and one answer for all of those."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from gateway.cli.apppassword import make_secret
from gateway.core import records as kinds
from gateway.core.errors import NotAuthenticated
from gateway.core.identity import Credential, Door, Permission
from gateway.core.records import AppPassword, Person, password_digest
from gateway.identity.apppasswords import SECRET, AppPasswords
from gateway.identity.holders import ClientHolders, Holders
from tests.identity.parties import Parties

NAME = "zhang-dav"
PASSWORD = "hap_" + "k3" * 16
RECORD = AppPassword(
    NAME,
    "sz-lab",
    "zhang-san",
    password_digest(NAME, PASSWORD),
    date(2026, 11, 20),
    date(2026, 12, 20),
    ("transfers:read", "transfers:open"),
)


@pytest.fixture
async def parties():
    made = await Parties().found()
    await made.amend(("password", RECORD))
    return made


@pytest.fixture
def passwords(parties):
    return AppPasswords(records=parties.records, registrar=parties.registrar, clock=parties.clock)


async def refused(passwords, user: str = NAME, secret: str = PASSWORD) -> tuple[str, str]:
    with pytest.raises(NotAuthenticated) as refusal:
        await passwords.principal(user, secret)
    return refusal.value.code, refusal.value.message


async def test_a_password_is_its_person_in_folders(passwords):
    found = await passwords.principal(NAME, PASSWORD)
    assert (found.institution, found.person, found.client) == ("sz-lab", "zhang-san", "app-password:zhang-dav")
    assert (found.credential, found.door) == (Credential.APP_PASSWORD, Door.WEBDAV)
    assert found.scopes == {Permission.TRANSFERS_READ, Permission.TRANSFERS_OPEN}
    assert all(found.may(each) for each in found.scopes)


async def test_through_another_door_it_may_do_nothing(passwords):
    found = await passwords.principal(NAME, PASSWORD, Door.HTTPS)
    assert not any(found.may(each) for each in Permission)


async def test_whatever_is_wrong_has_one_answer(passwords):
    tries = [
        (NAME, ""),
        (NAME, PASSWORD[:-1]),
        (NAME, PASSWORD + "a"),
        (NAME, PASSWORD.upper()),
        (NAME, RECORD.digest),
        (NAME, "密码"),
        (NAME.upper(), PASSWORD),
        ("", PASSWORD),
        ("nobody", PASSWORD),
        ("zhang-san", PASSWORD),
        ("sz-lab-ec", PASSWORD),
    ]
    answers = {await refused(passwords, *each) for each in tries}
    assert len(answers) == 1
    assert answers.pop()[0] == "invalid-password"


async def test_a_secret_of_another_form_is_none_whatever_was_registered(parties, passwords):
    """Two officers may sign the digest of a word people remember: it opens nothing."""
    await parties.amend(("password", replace(RECORD, digest=password_digest(NAME, "correct horse battery"))))
    await refused(passwords, NAME, "correct horse battery")


@pytest.mark.parametrize("user", ["nobody", NAME])
async def test_an_unknown_user_costs_a_digest_like_a_known_one(passwords, user, monkeypatch):
    counted = []
    original = kinds.kinds.password_digest
    monkeypatch.setattr(kinds.kinds, "password_digest", lambda *given: counted.append(given) or original(*given))
    await refused(passwords, user, "hap_" + "a" * 32)
    assert len(counted) == 1


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({"valid_from": date(2026, 11, 21)}, False),
        ({"valid_from": date(2026, 10, 1), "valid_to": date(2026, 11, 19)}, False),
        ({"valid_from": date(2026, 10, 1), "valid_to": date(2026, 11, 20)}, True),
    ],
)
async def test_it_holds_on_its_days(parties, passwords, changes, holds):
    await parties.amend(("password", replace(RECORD, **changes)))
    if holds:
        await passwords.principal(NAME, PASSWORD)
    else:
        await refused(passwords)


async def test_it_ends_with_its_person_its_record_and_by_revocation(parties, passwords):
    await parties.amend(("person", Person("zhang-san", "张三", "sz-lab", valid_to=date(2026, 11, 19))))
    await refused(passwords)
    await parties.amend(("person", Person("zhang-san", "张三", "sz-lab")))
    await passwords.principal(NAME, PASSWORD)
    await parties.amend(retire=(("password", NAME),))
    await refused(passwords)
    await parties.amend(("password", RECORD))
    await passwords.principal(NAME, PASSWORD)
    async with parties.records.write() as tx:
        await tx.revoke("app-password:zhang-dav", "", parties.clock.now())
    await refused(passwords)


def test_generated_secrets_are_all_different_and_of_the_form():
    made = {make_secret() for _ in range(100)}
    assert len(made) == 100
    assert all(SECRET.fullmatch(each) for each in made)


# --- who holds one later -------------------------------------------------------------------------------------------------


async def test_holders_know_passwords_and_clients_while_they_hold(parties):
    about = {"records": parties.records, "registrar": parties.registrar, "clock": parties.clock}
    holders = Holders(ClientHolders(**about), AppPasswords(**about))
    found = await holders.holder("sz-lab", "zhang-san", "app-password:zhang-dav")
    assert found is not None
    assert (found.client, found.credential, found.door) == (
        "app-password:zhang-dav",
        Credential.APP_PASSWORD,
        Door.WEBDAV,
    )
    machine = await holders.holder("sz-lab", "zhang-san", "sz-lab-ed")
    assert machine is not None
    assert (machine.credential, machine.scopes) == (Credential.CLIENT_JWT, {Permission.TRANSFERS_READ})
    for strangers in (
        ("gz-lab", "zhang-san", "app-password:zhang-dav"),
        ("sz-lab", "li-si", "app-password:zhang-dav"),
        ("sz-lab", "zhang-san", "app-password:"),
        ("sz-lab", "zhang-san", "zhang-dav"),
        ("gz-lab", "zhang-san", "sz-lab-ed"),
        ("sz-lab", "li-si", "sz-lab-ed"),
        ("sz-lab", "zhang-san", "nobody"),
    ):
        assert await holders.holder(*strangers) is None
    async with parties.records.write() as tx:
        await tx.revoke("app-password:zhang-dav", "", parties.clock.now())
        await tx.revoke("sz-lab-ed", "", parties.clock.now())
    await parties.client("sz-lab-ec", valid_to=date(2026, 11, 19))
    for client in ("app-password:zhang-dav", "sz-lab-ed", "sz-lab-ec"):
        assert await holders.holder("sz-lab", "zhang-san", client) is None
