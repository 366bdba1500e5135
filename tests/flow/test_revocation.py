"""A revocation takes away at once, for ever, and the ledger knows."""

from __future__ import annotations

import json

import pytest

from gateway.cli.desk import SHELL
from gateway.core.errors import NotFound, NotPermitted, Unusable
from gateway.core.facts import opens
from gateway.flow.recorder import open_opening
from gateway.flow.registrar import GATEWAY
from gateway.flow.revocation import Revocation
from tests.flow.rig import Rig, public_line, seeded_key

SERIAL = "12345678901234567890"


@pytest.fixture
async def rig() -> Rig:
    made = Rig()
    await made.found()
    key = {"id": "lin-key", "institution": "sz-lab", "person": "lin", "key": public_line(seeded_key("lin"))}
    dates = {"valid_from": "2026-11-20", "valid_to": "2026-12-20"}
    password = {"id": "lin-dav", "institution": "sz-lab", "person": "lin", "digest": "0" * 64, **dates}
    await made.register(("sshkey", key), ("password", password))
    return made


def revocation(rig: Rig) -> Revocation:
    return Revocation(recorder=rig.recorder, registrar=rig.registrar)


async def recorded(rig: Rig) -> list[dict]:
    async with rig.records.read() as view:
        entries = [json.loads(body) for _, body in await view.entries_of(GATEWAY)]
    return [each for each in entries if each["tag"] == "client.revoked"]


@pytest.mark.parametrize(
    ("kind", "name", "client"),
    [
        ("sshkey", "lin-key", "lin-key"),
        ("certificate", SERIAL, f"ssh-cert:{SERIAL}"),
        ("certificate", "1", "ssh-cert:1"),
        ("person", "lin", "ssh-certs-of:lin"),
        ("password", "lin-dav", "app-password:lin-dav"),
        ("client-certificate", "ab" * 32, "tls-cert:" + "ab" * 32),
        ("client-certificate", ":".join(["AB"] * 32), "tls-cert:" + "ab" * 32),
    ],
)
async def test_it_is_revoked_once_and_recorded(rig, kind, name, client):
    assert await revocation(rig).revoke(SHELL, kind, name, " lost on a train ") == (client, True)
    async with rig.records.read() as view:
        assert await view.revoked(client, "")
        assert await view.revoked(client, "anything of it")
    (entry,) = await recorded(rig)
    assert (entry["actor"], entry["body"]) == ("shell", {"client": client})
    assert "train" not in json.dumps(entry)
    assert await revocation(rig).revoke(SHELL, kind, name, "again") == (client, False)
    assert len(await recorded(rig)) == 1


async def test_the_reason_is_committed_to(rig):
    await revocation(rig).revoke(SHELL, "certificate", SERIAL, "lost on a train")
    async with rig.records.read() as view:
        index, body = (await view.entries_of(GATEWAY))[-1]
        sealed = await view.opening(index)
    opening = json.loads(open_opening(await rig.recorder.evidence_key(GATEWAY), sealed, body))
    assert opens(json.loads(body), opening)
    assert opening["private"] == {"reason": "lost on a train"}


@pytest.mark.parametrize(
    ("kind", "name", "failure"),
    [
        ("client", "lin-key", NotFound),
        ("sshkey", "lin", NotFound),
        ("sshkey", "", NotFound),
        ("person", "nobody", NotFound),
        ("password", "lin-key", NotFound),
        ("client-certificate", "lin-key", Unusable),
        ("client-certificate", "ab" * 31, Unusable),
        ("institution", "sz-lab", Unusable),
        ("certificate", "", Unusable),
        ("certificate", "0", Unusable),
        ("certificate", "007", Unusable),
        ("certificate", "-1", Unusable),
        ("certificate", "0x10", Unusable),
        ("certificate", str(1 << 64), Unusable),
        ("certificate", "١٢", Unusable),
    ],
)
async def test_what_cannot_be_revoked(rig, kind, name, failure):
    with pytest.raises(failure):
        await revocation(rig).revoke(SHELL, kind, name, "because")
    assert await recorded(rig) == []


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
async def test_a_reason_is_asked_for(rig, reason):
    with pytest.raises(Unusable, match="reason"):
        await revocation(rig).revoke(SHELL, "person", "lin", reason)


async def test_senders_revoke_nothing(rig):
    with pytest.raises(NotPermitted):
        await revocation(rig).revoke(rig.sender, "person", "lin", "because")
    assert await recorded(rig) == []
