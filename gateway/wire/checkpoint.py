"""Tree heads of a transparency log: C2SP signed-note, tlog-checkpoint and tlog-cosignature (cosignature/v1).

What it is not: trust. It says which of the given keys signed; which keys to give, and how many must sign, is the
caller's matter.

A change must keep these:
1. A signature of a known key that does not hold refuses the whole note; those of unknown keys are passed over
   (signed-note, "Signatures").
2. A threshold counts distinct public keys, so that one key under two names is one signer.
3. A value that would read back as another is never written: a line break in an origin would be a forged tree size.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateway.wire import BadSignature, Malformed
from gateway.wire.armor import strict_base64

ED25519: Final = 0x01
"""Signature type of a log's own signature."""
COSIGNATURE: Final = 0x04
"""Signature type of a witness: timestamped Ed25519."""
MAX_NOTE: Final = 1 << 18
"""Largest note in bytes: 16 post-quantum signatures of strangers fit, as signed-note asks."""
MAX_SIGNATURES: Final = 64
MAX_SIZE: Final = 2**63 - 1
MAX_TIMESTAMP: Final = 2**63 - 1

_HASH_SIZE: Final = 32
_KEY_ID_SIZE: Final = 4
_PUBLIC_SIZE: Final = 32
_TIMESTAMP_SIZE: Final = 8
_DASH: Final = "\N{EM DASH} "
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_KEY_ID: Final = re.compile(r"[0-9a-f]{8}", re.ASCII)


@dataclass(frozen=True)
class Checkpoint:
    """A tree head.

    Attributes:
        origin: Identity of the log, one line.
        size: Number of leaves.
        root: 32-byte RFC 6962 root.
        extensions: Further lines, not recommended by the standard.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()


@dataclass(frozen=True)
class NoteSignature:
    """One signature line: who (`name` and 4-byte `key_id`), and the bytes behind the key id."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True)
class SignedNote:
    """A text, ending in a newline, and the signatures on it."""

    text: bytes
    signatures: tuple[NoteSignature, ...]


@dataclass(frozen=True)
class VerifierKey:
    """A public key that may sign notes.

    Attributes:
        name: Key name, no blanks and no plus sign.
        algorithm: `ED25519` or `COSIGNATURE`.
        public: 32-byte Ed25519 public key.
    """

    name: str
    algorithm: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The 4 bytes by which a signature line names this key."""
        return key_id(self.name, self.algorithm, self.public)


@dataclass(frozen=True)
class Signer:
    """A key that signed; `timestamp` is POSIX seconds where it is a cosignature, else None."""

    key: VerifierKey
    timestamp: int | None


# --- checkpoints -----------------------------------------------------------------------------------------------------


def format_checkpoint(checkpoint: Checkpoint) -> bytes:
    """The note text of a checkpoint.

    Raises:
        Malformed: When the value has no text that reads back as the same value.
    """
    root = base64.b64encode(checkpoint.root).decode("ascii")
    lines = [checkpoint.origin, str(checkpoint.size), root, *checkpoint.extensions, ""]
    text = _utf8("\n".join(lines))
    if parse_checkpoint(text) != checkpoint:
        raise Malformed("a line of the checkpoint would read back as another")
    return text


def parse_checkpoint(text: bytes) -> Checkpoint:
    """The checkpoint of a note text.

    Raises:
        Malformed: When lines are missing, empty or not in the standard's form.
    """
    *lines, last = _clean(text).split("\n")
    if last or len(lines) < 3 or not all(lines):
        raise Malformed("a checkpoint has three or more lines, none empty, each ending in a newline")
    origin, size, root, *extensions = lines
    if not _DECIMAL.fullmatch(size) or int(size) > MAX_SIZE:
        raise Malformed("a checkpoint's size is a decimal without leading zeroes, below 2**63")
    hashed = strict_base64(_utf8(root))
    if len(hashed) != _HASH_SIZE:
        raise Malformed(f"a checkpoint's root has {_HASH_SIZE} bytes, not {len(hashed)}")
    return Checkpoint(origin, int(size), hashed, tuple(extensions))


# --- notes -----------------------------------------------------------------------------------------------------------


def format_note(note: SignedNote) -> bytes:
    """The bytes of a signed note.

    Raises:
        Malformed: When the value has no bytes that read back as the same value.
    """
    lines = [
        f"{_DASH}{one.name} {base64.b64encode(one.key_id + one.signature).decode('ascii')}\n" for one in note.signatures
    ]
    data = note.text + b"\n" + _utf8("".join(lines))
    if parse_note(data) != note:
        raise Malformed("a part of the note would read back as another")
    return data


def parse_note(data: bytes) -> SignedNote:
    """The text and signatures of a note; nothing is verified.

    Raises:
        Malformed: When this is not a signed note or passes a bound.
    """
    text, gap, tail = _clean(data).rpartition("\n\n")
    lines = tail.split("\n")
    if not gap or lines.pop() or not 1 <= len(lines) <= MAX_SIGNATURES:
        raise Malformed(f"a note is a text, an empty line and 1 to {MAX_SIGNATURES} signature lines")
    return SignedNote(_utf8(text + "\n"), tuple(_signature_line(line) for line in lines))


def _signature_line(line: str) -> NoteSignature:
    name, blank, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not blank:
        raise Malformed("a signature line is a dash, a name and base64")
    blob = strict_base64(_utf8(encoded))
    if len(blob) <= _KEY_ID_SIZE:
        raise Malformed("a signature line without a signature")
    return NoteSignature(_key_name(name), blob[:_KEY_ID_SIZE], blob[_KEY_ID_SIZE:])


# --- keys ------------------------------------------------------------------------------------------------------------


def key_id(name: str, algorithm: int, public: bytes) -> bytes:
    """The key id of an Ed25519 key: `SHA-256(name || 0x0A || algorithm || public)[:4]`."""
    return sha256(_utf8(name) + bytes([0x0A, algorithm]) + public).digest()[:_KEY_ID_SIZE]


def format_verifier_key(key: VerifierKey) -> str:
    """The text form of a key (signed-note, "Verifier keys"): `name+hash+base64`.

    Raises:
        Malformed: When the key has no text that reads back.
    """
    blob = base64.b64encode(bytes([key.algorithm]) + key.public).decode("ascii")
    text = f"{key.name}+{key.key_id.hex()}+{blob}"
    parse_verifier_key(text)  # refuses a name with a plus sign, another algorithm, another size
    return text


def parse_verifier_key(text: str) -> VerifierKey:
    """The key of a `name+hash+base64` text.

    Raises:
        Malformed: When the text is something else, the algorithm is neither of the two, or the hash is not the key's.
    """
    name, *rest = _clean(_utf8(text)).split("+", 2)
    if len(rest) != 2 or not _KEY_ID.fullmatch(rest[0]):
        raise Malformed("a verifier key is name+hash+base64")
    blob = strict_base64(_utf8(rest[1]))
    if len(blob) != 1 + _PUBLIC_SIZE or blob[0] not in {ED25519, COSIGNATURE}:
        raise Malformed("a verifier key that is not Ed25519")
    key = VerifierKey(_key_name(name), blob[0], blob[1:])
    if key.key_id.hex() != rest[0]:
        raise Malformed("the verifier key's hash is not that of its key")
    return key


# --- signing and verifying -------------------------------------------------------------------------------------------


def sign(checkpoint: Checkpoint, name: str, private_key: Ed25519PrivateKey) -> SignedNote:
    """A checkpoint signed by its log.

    Args:
        checkpoint: The tree head.
        name: The log's key name; the standard recommends the origin.
        private_key: The log's key.

    Raises:
        Malformed: When checkpoint or name cannot be written.
    """
    text = format_checkpoint(checkpoint)
    public = private_key.public_key().public_bytes_raw()
    line = NoteSignature(_key_name(name), key_id(name, ED25519, public), private_key.sign(text))
    return SignedNote(text, (line,))


def cosign(note: SignedNote, name: str, private_key: Ed25519PrivateKey, timestamp: int) -> SignedNote:
    """The note with one more line: a witness says it saw this tree head as the largest consistent one at `timestamp`.

    Args:
        note: A signed checkpoint; the caller has verified its signature and its consistency.
        name: The witness's key name.
        private_key: The witness's key, used for nothing else.
        timestamp: POSIX seconds, 0 to 2**63 - 1.

    Raises:
        Malformed: When the note is not a checkpoint, or name or timestamp cannot be written.
    """
    parse_checkpoint(note.text)
    if not 0 <= timestamp <= MAX_TIMESTAMP:
        raise Malformed("a cosignature's timestamp lies outside 0 to 2**63 - 1")
    public = private_key.public_key().public_bytes_raw()
    signature = timestamp.to_bytes(_TIMESTAMP_SIZE, "big") + private_key.sign(_cosigned(note.text, timestamp))
    line = NoteSignature(_key_name(name), key_id(name, COSIGNATURE, public), signature)
    return replace(note, signatures=(*note.signatures, line))


def verify(note: SignedNote, verifier_keys: Iterable[VerifierKey], threshold: int = 1) -> tuple[Signer, ...]:
    """Who of the given keys signed the note.

    Args:
        note: A parsed note.
        verifier_keys: Keys that count. Ask for the log's own key and for witnesses in two calls: this one does not tell
            them apart.
        threshold: How many distinct public keys must have signed, at least 1.

    Returns:
        The signers in the order of the note's lines, each key once, with its latest timestamp.

    Raises:
        BadSignature: When a line of a known key does not hold, or fewer than `threshold` keys signed.
        ValueError: When `threshold` is below 1.
    """
    if threshold < 1:
        raise ValueError("a note that nobody need sign says nothing")
    known = {(key.name, key.key_id): key for key in verifier_keys}
    signers: dict[VerifierKey, Signer] = {}
    for line in note.signatures:
        key = known.get((line.name, line.key_id))
        if key is None:
            continue
        timestamp = _verify_line(note.text, line, key)
        before = signers.get(key)
        if before is None or (timestamp or 0) > (before.timestamp or 0):
            signers[key] = Signer(key, timestamp)
    if len({key.public for key in signers}) < threshold:
        raise BadSignature(f"the note needs {threshold} known signers and has {len(signers)}")
    return tuple(signers.values())


def _verify_line(text: bytes, line: NoteSignature, key: VerifierKey) -> int | None:
    """The timestamp of a line that holds (None where its kind has none)."""
    timestamp: int | None = None
    signature, message = line.signature, text
    if key.algorithm == COSIGNATURE:
        timestamp = int.from_bytes(signature[:_TIMESTAMP_SIZE], "big")
        signature, message = signature[_TIMESTAMP_SIZE:], _cosigned(text, timestamp)
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise BadSignature(f"the signature of {key.name} does not hold") from None
    if timestamp is not None and timestamp > MAX_TIMESTAMP:
        raise BadSignature(f"the cosignature of {key.name} has a timestamp past 2**63 - 1")
    return timestamp


def _cosigned(text: bytes, timestamp: int) -> bytes:
    return b"cosignature/v1\ntime %d\n" % timestamp + text


# --- text ------------------------------------------------------------------------------------------------------------


def _clean(data: bytes) -> str:
    """UTF-8 text without control characters other than the newline, within `MAX_NOTE`."""
    if len(data) > MAX_NOTE:
        raise Malformed(f"a note of {len(data)} bytes is over the bound of {MAX_NOTE}")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("a note is UTF-8") from None
    if any(char < " " and char != "\n" for char in text):
        raise Malformed("a note holds control characters")
    return text


def _key_name(name: str) -> str:
    if not name or "+" in name or any(char.isspace() for char in name):
        raise Malformed("a key name is not empty and has neither blanks nor a plus sign")
    return name


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise Malformed("text holds a lone surrogate") from None
