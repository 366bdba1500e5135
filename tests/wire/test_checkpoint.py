"""Signed notes, checkpoints and cosignatures against the examples in the C2SP texts, and against forgery."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import BadSignature, Malformed
from gateway.wire.checkpoint import (
    COSIGNATURE,
    ED25519,
    MAX_NOTE,
    MAX_SIGNATURES,
    Checkpoint,
    NoteSignature,
    SignedNote,
    Signer,
    VerifierKey,
    cosign,
    format_checkpoint,
    format_note,
    format_verifier_key,
    key_id,
    parse_checkpoint,
    parse_note,
    parse_verifier_key,
    sign,
    verify,
)
from tests.wire.damage import damaged, parsed_or_none

# c2sp.org/signed-note, "Example" under "Verifier keys"
EXAMPLE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE_NOTE = (
    "This is an example message.\n\n— example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()

LOG = Ed25519PrivateKey.from_private_bytes(sha256(b"log").digest())
WITNESS = Ed25519PrivateKey.from_private_bytes(sha256(b"witness").digest())
HEAD = Checkpoint("gateway.example/sz", 20_852_163, sha256(b"root").digest())
NOTE = sign(HEAD, "gateway.example/sz", LOG)
COSIGNED = cosign(NOTE, "witness.example/hk", WITNESS, 1_679_315_147)


def verifier(name: str, algorithm: int, key: Ed25519PrivateKey) -> VerifierKey:
    return VerifierKey(name, algorithm, key.public_key().public_bytes_raw())


LOG_KEY = verifier("gateway.example/sz", ED25519, LOG)
WITNESS_KEY = verifier("witness.example/hk", COSIGNATURE, WITNESS)


def test_the_example_of_signed_note_verifies():
    key = parse_verifier_key(EXAMPLE_KEY)
    assert (key.name, key.algorithm, key.key_id.hex()) == ("example.com/foo", ED25519, "530d903a")
    assert format_verifier_key(key) == EXAMPLE_KEY
    note = parse_note(EXAMPLE_NOTE)
    assert note.text == b"This is an example message.\n"
    assert format_note(note) == EXAMPLE_NOTE
    assert verify(note, [key]) == (Signer(key, None),)


def test_a_checkpoint_has_the_text_of_the_standard():
    text = b"gateway.example/sz\n20852163\n" + b"SBNJTRN+FjG7owHVrKteucGxJ1nqkuTwnFiHzkmPvpI=\n"
    head = replace(HEAD, root=bytes.fromhex("4813494d137e1631bba301d5acab5eb9c1b12759ea92e4f09c5887ce498fbe92"))
    assert format_checkpoint(head) == text
    assert parse_checkpoint(text) == head
    assert parse_checkpoint(text + b"an extension\n") == replace(head, extensions=("an extension",))
    assert format_checkpoint(replace(head, size=0)).split(b"\n")[1] == b"0"


def test_a_signed_checkpoint_goes_round_and_verifies():
    assert parse_note(format_note(NOTE)) == NOTE
    assert parse_checkpoint(NOTE.text) == HEAD
    assert verify(NOTE, [LOG_KEY]) == (Signer(LOG_KEY, None),)
    assert NOTE.signatures[0].key_id == sha256(b"gateway.example/sz\n\x01" + LOG_KEY.public).digest()[:4]


def test_a_cosignature_signs_header_time_and_text():
    line = COSIGNED.signatures[1]
    assert line.key_id == sha256(b"witness.example/hk\n\x04" + WITNESS_KEY.public).digest()[:4]
    assert line.signature[:8] == (1_679_315_147).to_bytes(8, "big")
    message = b"cosignature/v1\ntime 1679315147\n" + NOTE.text
    WITNESS.public_key().verify(line.signature[8:], message)
    assert verify(COSIGNED, [WITNESS_KEY]) == (Signer(WITNESS_KEY, 1_679_315_147),)
    assert verify(COSIGNED, [LOG_KEY, WITNESS_KEY], 2) == (
        Signer(LOG_KEY, None),
        Signer(WITNESS_KEY, 1_679_315_147),
    )
    assert parse_note(format_note(COSIGNED)) == COSIGNED


def test_a_repeated_cosignature_counts_once_with_its_latest_time():
    twice = cosign(cosign(COSIGNED, "witness.example/hk", WITNESS, 1_700_000_000), "witness.example/hk", WITNESS, 5)
    assert verify(twice, [WITNESS_KEY]) == (Signer(WITNESS_KEY, 1_700_000_000),)
    with pytest.raises(BadSignature, match="needs 2"):
        verify(twice, [WITNESS_KEY], 2)


def test_one_key_under_two_names_is_one_signer():
    twice = cosign(COSIGNED, "witness.example/alias", WITNESS, 1)
    keys = [WITNESS_KEY, verifier("witness.example/alias", COSIGNATURE, WITNESS)]
    assert len(verify(twice, keys)) == 2
    with pytest.raises(BadSignature, match="needs 2"):
        verify(twice, keys, 2)


def test_unknown_keys_are_passed_over_and_known_keys_must_hold():
    other = verifier("gateway.example/sz", ED25519, WITNESS)
    with pytest.raises(BadSignature, match="needs 1"):
        verify(NOTE, [other])
    forged = replace(NOTE, text=NOTE.text.replace(b"20852163", b"20852164"))
    with pytest.raises(BadSignature, match="does not hold"):
        verify(forged, [LOG_KEY])
    stranger = NoteSignature("stranger", b"abcd", b"whatever")
    assert verify(replace(NOTE, signatures=(stranger, *NOTE.signatures)), [LOG_KEY]) == (Signer(LOG_KEY, None),)
    broken = replace(NOTE.signatures[0], signature=b"short")
    with pytest.raises(BadSignature, match="does not hold"):
        verify(replace(NOTE, signatures=(*NOTE.signatures, broken)), [LOG_KEY])


@pytest.mark.parametrize("signature", [b"", b"\0" * 8, b"\0" * 71, b"\0" * 72])
def test_a_cosignature_of_any_wrong_shape_does_not_hold(signature):
    line = replace(COSIGNED.signatures[1], signature=signature)
    with pytest.raises(BadSignature, match="does not hold"):
        verify(replace(COSIGNED, signatures=(line,)), [WITNESS_KEY])


def test_times_beyond_63_bits_are_refused():
    late = 2**63
    with pytest.raises(Malformed, match="timestamp"):
        cosign(NOTE, "w", WITNESS, late)
    with pytest.raises(Malformed, match="timestamp"):
        cosign(NOTE, "w", WITNESS, -1)
    signature = late.to_bytes(8, "big") + WITNESS.sign(b"cosignature/v1\ntime %d\n" % late + NOTE.text)
    line = NoteSignature("witness.example/hk", WITNESS_KEY.key_id, signature)
    with pytest.raises(BadSignature, match="timestamp"):
        verify(replace(NOTE, signatures=(line,)), [WITNESS_KEY])


def test_a_log_signature_is_no_cosignature_and_a_key_with_an_odd_point_signs_nothing():
    line = NoteSignature("w", key_id("w", COSIGNATURE, LOG_KEY.public), NOTE.signatures[0].signature)
    with pytest.raises(BadSignature):
        verify(replace(NOTE, signatures=(line,)), [VerifierKey("w", COSIGNATURE, LOG_KEY.public)])
    odd = VerifierKey("w", ED25519, b"short")
    with pytest.raises(BadSignature):
        verify(replace(NOTE, signatures=(NoteSignature("w", odd.key_id, b"s"),)), [odd])


def test_a_threshold_of_none_is_our_own_mistake():
    with pytest.raises(ValueError, match="nobody"):
        verify(NOTE, [LOG_KEY], 0)


@pytest.mark.parametrize(
    "head",
    [
        Checkpoint("two\nlines", 1, bytes(32)),
        Checkpoint("", 1, bytes(32)),
        Checkpoint("o", -1, bytes(32)),
        Checkpoint("o", 2**63, bytes(32)),
        Checkpoint("o", 1, bytes(31)),
        Checkpoint("o", 1, bytes(32), ("",)),
        Checkpoint("o", 1, bytes(32), ("a\nb",)),
        Checkpoint("tab\t", 1, bytes(32)),
        Checkpoint("\ud800", 1, bytes(32)),
    ],
)
def test_checkpoints_that_cannot_be_written(head):
    with pytest.raises(Malformed):
        format_checkpoint(head)


ROOT = b"SBNJTRN+FjG7owHVrKteucGxJ1nqkuTwnFiHzkmPvpI="


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"o\n1\n",
        b"o\n1\n" + ROOT,
        b"o\n01\n" + ROOT + b"\n",
        b"o\n+1\n" + ROOT + b"\n",
        b"o\n\xd9\xa1\n" + ROOT + b"\n",
        b"o\n9223372036854775808\n" + ROOT + b"\n",
        b"o\n1\n" + ROOT[:-1] + b"\n",
        b"o\n1\n" + ROOT[:-2] + b"J=\n",
        b"o\n1\n" + ROOT + b"\n\n",
        b"o\r\n1\n" + ROOT + b"\n",
        b"\xff\n1\n" + ROOT + b"\n",
        b"o\n1\nAAAA\n",
    ],
)
def test_texts_that_are_no_checkpoint(text):
    with pytest.raises(Malformed):
        parse_checkpoint(text)


@pytest.mark.parametrize(
    "data",
    [
        b"text\n",
        b"text\n\n",
        "text\n\n— name AAAAAAA=".encode(),
        b"text\n\n- name AAAAAAA=\n",
        "text\n\n— name\n".encode(),
        "text\n\n— nameAAAAAAA=\n".encode(),
        "text\n\n—  AAAAAAA=\n".encode(),
        "text\n\n— na+me AAAAAAA=\n".encode(),
        "text\n\n— na\u00a0me AAAAAAA=\n".encode(),
        "text\n\n— name AAAAAA==\n".encode(),
        "text\n\n— name AAAAAAA\n".encode(),
        ("text\n\n" + "— name AAAAAAA=\n" * (MAX_SIGNATURES + 1)).encode(),
        b"x" * (MAX_NOTE + 1),
    ],
)
def test_bytes_that_are_no_note(data):
    with pytest.raises(Malformed):
        parse_note(data)


def test_the_last_empty_line_ends_the_text():
    data = "a\n\n— not a signature\n\n— name AAAAAAA=\n".encode()
    assert parse_note(data).text == "a\n\n— not a signature\n".encode()


@pytest.mark.parametrize(
    "note",
    [
        SignedNote(b"no newline", NOTE.signatures),
        SignedNote(b"text\n", ()),
        SignedNote(b"text\n", (NoteSignature("a b", b"abcd", b"s"),)),
        SignedNote(b"text\n", (NoteSignature("a", b"abc", b"de"),)),
        SignedNote(b"text\n", (NoteSignature("a\n\n— b", b"abcd", b"s"),)),
    ],
)
def test_notes_that_cannot_be_written(note):
    with pytest.raises(Malformed):
        format_note(note)


def test_names_that_cannot_sign():
    for name in ("", "a b", "a+b", "a\nb"):
        with pytest.raises(Malformed, match="key name"):
            sign(HEAD, name, LOG)
        with pytest.raises(Malformed, match="key name"):
            cosign(NOTE, name, WITNESS, 1)
    with pytest.raises(Malformed):
        cosign(parse_note(EXAMPLE_NOTE), "w", WITNESS, 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        EXAMPLE_KEY.replace("530d903a", "530D903A"),
        EXAMPLE_KEY.replace("530d903a", "530d903b"),
        EXAMPLE_KEY.replace("example.com", "example com"),
        EXAMPLE_KEY[:-1],
        EXAMPLE_KEY.replace("AekyeR", "AukyeR"),
        EXAMPLE_KEY + "\n",
        "\ud800",
    ],
)
def test_verifier_keys_that_are_refused(text):
    with pytest.raises(Malformed):
        parse_verifier_key(text)


def test_verifier_keys_that_cannot_be_written():
    for key in (VerifierKey("a+b", ED25519, bytes(32)), VerifierKey("a", 2, bytes(32)), VerifierKey("a", 1, b"")):
        with pytest.raises(Malformed):
            format_verifier_key(key)


@given(damaged(format_note(COSIGNED)))
def test_notes_parse_or_are_malformed(data):
    note = parsed_or_none(parse_note, data)
    if note is not None:
        assert format_note(note) == data
        parsed_or_none(lambda _: verify(note, [LOG_KEY, WITNESS_KEY]), data)


@given(damaged(NOTE.text))
def test_checkpoints_parse_or_are_malformed(data):
    head = parsed_or_none(parse_checkpoint, data)
    assert head is None or format_checkpoint(head) == data


@given(st.one_of(st.text(), damaged(EXAMPLE_KEY.encode()).map(lambda data: data.decode("utf-8", "surrogateescape"))))
def test_verifier_keys_parse_or_are_malformed(text):
    key = parsed_or_none(lambda _: parse_verifier_key(text), b"")
    assert key is None or format_verifier_key(key) == text
