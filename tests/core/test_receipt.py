"""Receipts: they verify offline, and any change to any word of them shows."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.facts import Fact, Tag, enter
from gateway.core.receipt import (
    DELIVERED,
    NAMESPACE,
    Checked,
    LedgerProof,
    check_receipt,
    compose_receipt,
    receipt_digest,
)
from gateway.wire import canonical, checkpoint, merkle, sshsig
from tests.core.examples import FILES, NOW, STRANGER_KEY, key, public_line

GATEWAY, LEDGER = key(21), key(22)
ORIGIN = "gateway.example/ledger"
LEDGER_LINE = checkpoint.format_verifier_key(
    checkpoint.VerifierKey(ORIGIN, checkpoint.ED25519, LEDGER.public_key().public_bytes_raw())
)
GATEWAY_LINE = public_line(GATEWAY)


def entry(tag: Tag = Tag.DELIVERED, subject: str = "t-1") -> bytes:
    fields: dict[str, Any] = {"public": {"proof": "signed", "attempts": 1}, "private": {"detail": "ok", "sent": 9}}
    if tag is not Tag.DELIVERED:
        fields = {"public": {"because": "x"}}
    return enter(Fact(tag, subject, NOW, "gateway", **fields), bytes(32)).body


def signed_head(leaves: list[bytes], private: Any = LEDGER) -> bytes:
    head = checkpoint.Checkpoint(ORIGIN, len(leaves), merkle.root(leaves))
    return checkpoint.format_note(checkpoint.sign(head, ORIGIN, private))


def proof(body: bytes | None = None, **changes: Any) -> LedgerProof:
    """The delivery as entry 3 of a ledger of 5."""
    body = body or entry()
    leaves = [merkle.leaf_hash(each) for each in (b"0", b"1", b"2", body, b"4")]
    values: dict[str, Any] = {
        "index": 3,
        "entry": body,
        "hashes": merkle.inclusion_proof(leaves, 3),
        "checkpoint": signed_head(leaves),
        **changes,
    }
    return LedgerProof(**values)


def receipt(of: LedgerProof | None = None, how: str = "signed", **more: Any) -> bytes:
    return compose_receipt(
        transfer={
            "id": "t-1",
            "institution": "sz-lab",
            "project": "trial-a",
            "dataset": "batch 1",
            "version": 1,
            "endpoint": "hku-genomics",
        },
        verdict={"verdict": "allow", "rules": ["P0"], "mechanism": "none", "rulebook": "0" * 64, "digest": "1" * 64},
        delivery={"at": "2026-11-20T02:00:00.000Z", "proof": how},
        files=FILES,
        proof=of or proof(),
        issued_at="2026-11-20T02:00:01.000Z",
        **more,
    )


def sign(data: bytes, private: Any = GATEWAY, namespace: str = NAMESPACE) -> bytes:
    return sshsig.sign(private, data, namespace)


def check(data: bytes, signature: bytes | None = None) -> Checked:
    return check_receipt(data, signature or sign(data), GATEWAY_LINE, LEDGER_LINE)


GOOD = receipt()
BODY = json.loads(GOOD)


def test_a_receipt_holds() -> None:
    found = check(GOOD)
    assert found.problems == ()
    assert found.body == BODY


def test_a_receipt_says_which_version_brought_a_carried_file() -> None:
    body = json.loads(receipt(carried={FILES[0].path: 3}))
    assert [each.pop("carried", None) for each in body["files"]] == [3, *[None] * (len(FILES) - 1)]
    assert body["files"] == BODY["files"]
    assert (body["carried"], BODY["carried"]) == (1, 0)


def test_what_a_receipt_says() -> None:
    assert BODY["type"] == "hetao-receipt"
    assert [file["path"] for file in BODY["files"]] == [file.path for file in FILES]
    assert BODY["files"][0]["sha256"] == FILES[0].sha256.hex()
    assert base64.b64decode(BODY["ledger"]["entry"]) == entry()
    assert len(receipt_digest(GOOD)) == 64


@pytest.mark.parametrize(
    ("how", "certified"),
    [
        ("signed", "endpoint"),
        ("size", "self-certified"),
        ("etag", "self-certified"),
        ("", "self-certified"),
        ("Signed", "self-certified"),
    ],
)
def test_only_an_endpoints_signature_makes_it_more_than_self_certified(how: str, certified: str) -> None:
    assert json.loads(receipt(how=how))["delivery"] == {
        "at": BODY["delivery"]["at"],
        "proof": how,
        "certified": certified,
    }


def test_the_tag_is_the_facts_tag() -> None:
    assert DELIVERED == Tag.DELIVERED


# --- every word, changed -------------------------------------------------------------------------------------------------


def words(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The places of every leaf and every table and list of the receipt."""
    if place:
        yield place
    if isinstance(value, dict | list):
        for step, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from words(inner, (*place, step))


def with_change(place: tuple[str | int, ...], value: Any) -> bytes:
    body = json.loads(GOOD)
    inner = body
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    return canonical.encode(body)


PLACES = list(words(BODY))


@pytest.mark.parametrize("value", ["tampered", 7, None, [], {}], ids=repr)
def test_any_changed_word_shows(value: Any) -> None:
    signature = sign(GOOD)
    for place in PLACES:
        found = check(with_change(place, value), signature)
        assert any("signature does not hold" in problem for problem in found.problems), place


IN_THE_PROOF = [place for place in PLACES if place[0] in {"ledger", "type", "v"} or place[:2] == ("transfer", "id")]


@pytest.mark.parametrize("value", ["tampered", 4, None, [], {}, True, "AAAA"], ids=repr)
def test_a_changed_proof_shows_even_where_the_gateway_signs_it(value: Any) -> None:
    """A gateway that lies: it signs a receipt whose ledger proof does not hold."""
    for place in IN_THE_PROOF:
        assert check(with_change(place, value)).problems, place


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (proof(entry(subject="t-2")), "about something else"),
        (proof(entry(Tag.LAPSED)), "about something else"),
        (proof(index=2), "not in the tree"),
        (proof(index=5), "not in the tree"),
        (proof(hashes=()), "not in the tree"),
        (proof(hashes=proof().hashes[::-1]), "not in the tree"),
        (proof(entry(), checkpoint=signed_head([merkle.leaf_hash(b"other")] * 5)), "not in the tree"),
        (proof(checkpoint=signed_head([merkle.leaf_hash(b"x")], STRANGER_KEY)), "checkpoint does not hold"),
        (proof(checkpoint=b"gateway.example/ledger\n5\n"), "checkpoint does not hold"),
        (proof(checkpoint=b""), "checkpoint does not hold"),
        (proof(b"not json"), "entry cannot be read"),
        (proof(b"{}"), "about something else"),
    ],
)  # fmt: skip
def test_proofs_that_do_not_hold(changed: LedgerProof, says: str) -> None:
    found = check(receipt(changed))
    assert any(says in problem for problem in found.problems), found.problems


# --- signatures and keys -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signature", "says"),
    [
        (sign(GOOD, STRANGER_KEY), "signed by another key"),
        (sign(GOOD, namespace="hetao-manifest"), "another namespace"),
        (sign(GOOD + b" "), "does not hold"),
        (b"", "does not hold"),
        (b"-----BEGIN SSH SIGNATURE-----", "does not hold"),
    ],
)
def test_signatures_that_do_not_hold(signature: bytes, says: str) -> None:
    (problem,) = check_receipt(GOOD, signature, GATEWAY_LINE, LEDGER_LINE).problems
    assert says in problem


def test_two_faults_are_both_told() -> None:
    bad = receipt(proof(index=2))
    assert len(check_receipt(bad, b"", GATEWAY_LINE, LEDGER_LINE).problems) == 2


@pytest.mark.parametrize(("gateway", "ledger"), [("", LEDGER_LINE), (GATEWAY_LINE, ""), (LEDGER_LINE, GATEWAY_LINE)])
def test_a_key_that_is_no_key_is_the_callers_mistake(gateway: str, ledger: str) -> None:
    with pytest.raises(ValueError, match=r"key|line|blob|note"):
        check_receipt(GOOD, sign(GOOD), gateway, ledger)


@given(st.binary(max_size=200))
def test_any_bytes_get_an_answer(data: bytes) -> None:
    found = check(data)
    assert found.problems
    assert found.body == {}


@given(st.integers(0, 8 * len(GOOD) - 1))
def test_any_flipped_bit_shows(bit: int) -> None:
    flipped = bytearray(GOOD)
    flipped[bit // 8] ^= 1 << bit % 8
    assert check(bytes(flipped), sign(GOOD)).problems


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs OpenSSH's ssh-keygen")
def test_a_stranger_verifies_it_with_ssh_keygen(tmp_path: Path) -> None:
    (tmp_path / "receipt.sig").write_bytes(sign(GOOD))
    (tmp_path / "allowed").write_text(f"gateway {GATEWAY_LINE}\n")
    command = ["ssh-keygen", "-Y", "verify", "-f", str(tmp_path / "allowed"), "-I", "gateway", "-n", NAMESPACE]
    command += ["-s", str(tmp_path / "receipt.sig")]
    assert subprocess.run(command, input=GOOD, capture_output=True, check=False).returncode == 0
    assert subprocess.run(command, input=GOOD + b" ", capture_output=True, check=False).returncode != 0
