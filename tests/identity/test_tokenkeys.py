"""Token keys that change under two gateways: nobody signs with the old one, and nobody refuses what it signed."""

from __future__ import annotations

import json
from datetime import timedelta

import jwt
import pytest

from certs.jwtkeys import make_jwt_key, rotate_jwt_key
from gateway.core.errors import Conflict, NotAuthenticated, StoreError, Unusable
from gateway.core.records import Client
from gateway.identity.tokenkeys import TokenKeys
from gateway.identity.tokens import ACCEPTED_AFTER, AccessTokens
from tests.identity.parties import ISSUER, Parties


@pytest.fixture
async def parties():
    return await Parties().found()


@pytest.fixture
def path(tmp_path):
    return make_jwt_key(tmp_path / "keys", "tokens").private


def gateway(parties, path) -> AccessTokens:
    """What one process holds."""
    return AccessTokens(
        records=parties.records,
        registrar=parties.registrar,
        clock=parties.clock,
        entropy=parties.entropy,
        issuer=ISSUER,
        key=TokenKeys(path),
    )


def kid(token: str) -> str:
    return jwt.get_unverified_header(token)["kid"]


async def test_after_a_rotation_every_process_signs_with_the_new_key_and_takes_both(parties, path):
    one, other = gateway(parties, path), gateway(parties, path)
    client = (await parties.registrar.registry()).get(Client, "sz-lab-ec")
    before = one.issue(client).token
    done = rotate_jwt_key(path, parties.clock.now(), ACCEPTED_AFTER)
    after = other.issue(client).token
    assert (kid(before), kid(after)) == (done.former, done.kid)
    for process in (one, other):
        assert [each["kid"] for each in process.jwks()["keys"]] == [done.kid, done.former]
        assert kid(process.issue(client).token) == done.kid
        for token in (before, after):
            await process.verify(token)
    assert not any("until" in each or "d" in each for each in one.jwks()["keys"])


async def test_the_old_key_is_gone_when_its_last_token_has_run_out(parties, path):
    process = gateway(parties, path)
    client = (await parties.registrar.registry()).get(Client, "sz-lab-ec")
    done = rotate_jwt_key(path, parties.clock.now(), ACCEPTED_AFTER)
    parties.clock.set(done.until - timedelta(seconds=1))
    assert len(process.jwks()["keys"]) == 2
    parties.clock.advance(seconds=3)
    assert [each["kid"] for each in process.jwks()["keys"]] == [done.kid]
    await process.verify(process.issue(client).token)


async def test_a_token_of_a_key_that_is_gone_is_refused_though_it_says_it_holds(parties, path):
    """Whoever finds an old private key in a backup can sign what he likes."""
    from gateway.identity.jwk import TokenKey

    stolen, process = TokenKey(path), gateway(parties, path)
    done = rotate_jwt_key(path, parties.clock.now(), ACCEPTED_AFTER)
    parties.clock.set(done.until + timedelta(seconds=2))
    forged = AccessTokens(
        records=parties.records,
        registrar=parties.registrar,
        clock=parties.clock,
        entropy=parties.entropy,
        issuer=ISSUER,
        key=stolen,
    ).issue((await parties.registrar.registry()).get(Client, "sz-lab-ec"))
    with pytest.raises(NotAuthenticated):
        await process.verify(forged.token)


async def test_several_rotations_in_a_row_keep_every_key_that_may_have_signed(parties, path):
    process = gateway(parties, path)
    client = (await parties.registrar.registry()).get(Client, "sz-lab-ec")
    tokens = [process.issue(client).token]
    for algorithm in ("EdDSA", "ES256", ""):
        rotate_jwt_key(path, parties.clock.now(), ACCEPTED_AFTER, algorithm)
        tokens.append(process.issue(client).token)
        parties.clock.advance(minutes=2)
    for token in tokens:
        await process.verify(token)
    assert [jwt.get_unverified_header(token)["alg"] for token in tokens] == ["ES256", "EdDSA", "ES256", "ES256"]
    parties.clock.advance(hours=1)
    rotate_jwt_key(path, parties.clock.now(), ACCEPTED_AFTER)
    assert len(json.loads(path.with_name("tokens.former").read_text())["keys"]) == 1


def test_the_old_private_half_is_nowhere_and_the_public_file_follows(parties, path):
    old = path.read_bytes()
    done = rotate_jwt_key(path, parties.clock.now(), ACCEPTED_AFTER)
    assert path.stat().st_mode & 0o777 == 0o600
    assert all(old not in each.read_bytes() for each in path.parent.iterdir())
    assert json.loads(path.with_name("tokens.jwk").read_text())["kid"] == done.kid
    assert sorted(each.name for each in path.parent.iterdir()) == ["tokens", "tokens.former", "tokens.jwk"]


def test_two_rotations_at_once_are_one(parties, path):
    path.with_name("tokens.next").write_bytes(b"another is at work")
    with pytest.raises(Conflict):
        rotate_jwt_key(path, parties.clock.now(), ACCEPTED_AFTER)
    assert path.with_name("tokens.next").read_bytes() == b"another is at work"


def test_a_rotation_that_was_cut_off_between_its_steps_changes_nothing(parties, path, monkeypatch):
    keys = TokenKeys(path)
    kid_before = keys.signing().public.kid
    monkeypatch.setattr("certs.jwtkeys.sync_folder", lambda _: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(StoreError):
        rotate_jwt_key(path, parties.clock.now(), ACCEPTED_AFTER)
    monkeypatch.undo()
    assert keys.signing().public.kid == kid_before
    done = rotate_jwt_key(path, parties.clock.now(), ACCEPTED_AFTER)
    assert keys.signing().public.kid == done.kid


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b'{"keys": 7}', b'{"keys": [{"kid": "x"}]}', b'{"keys": [{"kid": "x", "until": true}]}'],
)
def test_a_list_of_former_keys_that_is_none(parties, path, content):
    running = TokenKeys(path)
    path.with_name("tokens.former").write_bytes(content)
    with pytest.raises(Unusable):
        TokenKeys(path)
    with pytest.raises(StoreError):  # a gateway that runs: our fault, and no caller's
        running.published(parties.clock.now())
    if content != b'{"keys": [{"kid": "x", "until": true}]}':
        with pytest.raises(Unusable):
            rotate_jwt_key(path, parties.clock.now(), ACCEPTED_AFTER)


def test_a_list_others_can_write_is_refused(parties, path):
    rotate_jwt_key(path, parties.clock.now(), ACCEPTED_AFTER)
    path.with_name("tokens.former").chmod(0o666)
    with pytest.raises(Unusable, match="others may write"):
        TokenKeys(path)


def test_a_key_that_went_missing_is_our_fault(parties, path):
    running = TokenKeys(path)
    path.unlink()
    with pytest.raises(StoreError):
        running.signing()
