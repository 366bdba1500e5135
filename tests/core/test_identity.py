"""Who may do what through which door: the table, and nothing beside it."""

from __future__ import annotations

import itertools

import pytest

from gateway.core.identity import PERMISSION_DOORS, SENDER_SCOPES, Credential, Door, Permission, Principal

EVERYTHING = frozenset(Permission)

# The whole table once more, as a stranger would audit it: credential, door, permissions. Change both or neither.
AUDITED = {
    ("client_jwt", "https"): {
        "transfers:open",
        "transfers:write",
        "transfers:submit",
        "transfers:withdraw",
        "transfers:read",
        "receipts:read",
    },
    ("client_jwt", "webdav"): {
        "transfers:open",
        "transfers:write",
        "transfers:submit",
        "transfers:withdraw",
        "transfers:read",
        "receipts:read",
    },
    ("ssh_key", "sftp"): {
        "transfers:open",
        "transfers:write",
        "transfers:submit",
        "transfers:withdraw",
        "transfers:read",
        "receipts:read",
    },
    ("ssh_certificate", "sftp"): {
        "transfers:open",
        "transfers:write",
        "transfers:submit",
        "transfers:withdraw",
        "transfers:read",
        "receipts:read",
    },
    ("officer_signature", "cli"): {"review:vote", "registry:propose", "registry:approve"},
    ("operator_shell", "cli"): {
        "transfers:read",
        "transfers:withdraw",
        "receipts:read",
        "review:read",
        "ledger:read",
        "credentials:revoke",
    },
}


def principal(credential: Credential, door: Door, scopes: frozenset[Permission] = EVERYTHING) -> Principal:
    return Principal("sz-lab", "chen", "sz-lab-cli", credential, door, scopes)


def test_the_table_is_the_audited_one() -> None:
    assert {
        (credential.value, door.value): {permission.value for permission in allowed}
        for (credential, door), allowed in PERMISSION_DOORS.items()
    } == AUDITED


def test_the_table_is_total() -> None:
    """Every permission is somebody's, every credential has a door, every door is somebody's."""
    assert set().union(*PERMISSION_DOORS.values()) == EVERYTHING
    assert {credential for credential, _ in PERMISSION_DOORS} == set(Credential)
    assert {door for _, door in PERMISSION_DOORS} == set(Door)


@pytest.mark.parametrize(("credential", "door"), list(itertools.product(Credential, Door)))
def test_all_scopes_give_exactly_the_table(credential: Credential, door: Door) -> None:
    caller = principal(credential, door)
    assert {permission for permission in Permission if caller.may(permission)} == PERMISSION_DOORS.get(
        (credential, door), frozenset()
    )


@pytest.mark.parametrize(("credential", "door"), list(itertools.product(Credential, Door)))
def test_scopes_narrow_and_never_widen(credential: Credential, door: Door) -> None:
    for permission in Permission:
        only = principal(credential, door, frozenset({permission}))
        granted = {each for each in Permission if only.may(each)}
        assert granted <= {permission} & PERMISSION_DOORS.get((credential, door), frozenset())
    nothing = principal(credential, door, frozenset())
    assert not any(nothing.may(permission) for permission in Permission)


def test_only_an_officers_signature_votes_and_changes_the_registry() -> None:
    for (credential, _), allowed in PERMISSION_DOORS.items():
        powers = {Permission.REVIEW_VOTE, Permission.REGISTRY_PROPOSE, Permission.REGISTRY_APPROVE}
        assert not (allowed & powers) or credential is Credential.OFFICER_SIGNATURE


def test_sender_scopes_are_what_a_client_may_do() -> None:
    assert set(SENDER_SCOPES) == AUDITED["client_jwt", "https"]
    assert list(SENDER_SCOPES) == sorted(SENDER_SCOPES)


def test_permissions_are_words_of_two_parts() -> None:
    assert all(permission.value.count(":") == 1 and permission.value.islower() for permission in Permission)
