"""Who may still speak for a draft: clients and keys by their names, as long as they hold."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.core.identity import SENDER_SCOPES, Credential, Door, Permission
from gateway.identity.holders import ClientHolders, Holders
from gateway.identity.sshkeys import SshKeys
from tests.flow.rig import Rig
from tests.identity.parties import jwk_of, p256


@pytest.fixture
async def rig() -> Rig:
    made = Rig()
    await made.found()
    ends = (made.clock.now() + timedelta(days=2)).date()
    about = {"institution": "sz-lab", "person": "lin", "jwk": jwk_of(p256())}
    await made.register(
        ("client", {"id": "sz", **about, "scopes": list(SENDER_SCOPES)}),
        ("client", {"id": "reader", **about, "scopes": ["transfers:read"]}),
        ("client", {"id": "short", **about, "scopes": ["transfers:read"], "valid_to": ends}),
    )
    return made


def holders(rig: Rig) -> Holders:
    about = {"records": rig.records, "registrar": rig.registrar, "clock": rig.clock}
    return Holders(SshKeys(**about), ClientHolders(**about))


async def test_a_client_holds_what_it_is_registered_with(rig):
    found = await holders(rig).holder("sz-lab", "lin", "sz")
    assert (found.credential, found.door) == (Credential.CLIENT_JWT, Door.WEBDAV)
    assert found.may(Permission.TRANSFERS_SUBMIT)
    reader = await holders(rig).holder("sz-lab", "lin", "reader")
    assert reader.scopes == {Permission.TRANSFERS_READ}


@pytest.mark.parametrize(
    ("institution", "person", "client"), [("gz-lab", "lin", "sz"), ("sz-lab", "x", "sz"), ("sz-lab", "lin", "x")]
)
async def test_nobody_else_holds_it(rig, institution, person, client):
    assert await holders(rig).holder(institution, person, client) is None


async def test_what_ended_or_was_revoked_holds_nothing(rig):
    assert await holders(rig).holder("sz-lab", "lin", "short")
    rig.clock.advance(days=4)
    assert await holders(rig).holder("sz-lab", "lin", "short") is None
    async with rig.records.write() as tx:
        await tx.revoke("sz", "", rig.clock.now())
    assert await holders(rig).holder("sz-lab", "lin", "sz") is None
