"""Crypt4GH 1.0, the GA4GH file encryption standard: header packets and data segments (key files: `crypt4gh_keys`).

What it is not: a file tool. It seals and opens byte strings it is handed; keys and nonces are the caller's.

A change must keep these:
1. No randomness: every nonce is a parameter. A nonce used twice under one key breaks ChaCha20-Poly1305, so callers draw
   each from the system's generator and never from a position or a counter.
2. Edit lists are refused. They hide payload from whoever inspects a file (hts-specs issue 649).
3. Segments are authenticated one by one; their order and number are not (specification, "Integrity"). Whoever opens a
   file must hold its signed manifest against it.
4. Packets for other readers are passed over, as the specification asks; a packet that opens must be understood whole.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from gateway.wire import Malformed, Unopenable
from gateway.wire.crypt4gh_keys import KEY_SIZE, NONCE_SIZE, TAG_SIZE, public_key, sized
from gateway.wire.crypt4gh_keys import format_private_key as format_private_key  # noqa: PLC0414 - part of this module's face
from gateway.wire.crypt4gh_keys import format_public_key as format_public_key  # noqa: PLC0414 - the same
from gateway.wire.crypt4gh_keys import parse_private_key as parse_private_key  # noqa: PLC0414 - the same
from gateway.wire.crypt4gh_keys import parse_public_key as parse_public_key  # noqa: PLC0414 - the same

SEGMENT: Final = 65_536
"""Plaintext bytes of every segment but a file's last."""
CIPHER_SEGMENT: Final = NONCE_SIZE + SEGMENT + TAG_SIZE

MAX_PACKETS: Final = 512
"""Most packets of a header: one per run of an upload and reader, with room."""
MAX_HEADER: Final = 65_536
"""Largest header in bytes; one of ours takes 16 and 108 a session key."""

Buffer: TypeAlias = bytes | bytearray | memoryview

_OVERHEAD: Final = NONCE_SIZE + TAG_SIZE
_PREAMBLE: Final = struct.Struct("<8sII")  # magic, version, number of packets
_LENGTH: Final = struct.Struct("<I")
_PACKET: Final = struct.Struct("<II32s12s")  # length, method, writer's public key, nonce
_DATA_KEY: Final = struct.Struct("<II32s")  # packet type, encryption method, session key
_MAGIC: Final = b"crypt4gh"
_VERSION: Final = 1
_X25519_CHACHA20: Final = 0
_DATA_PARAMETERS: Final = 0
_EDIT_LIST: Final = 1


# --- sizes -----------------------------------------------------------------------------------------------------------


def cipher_size(plain_size: int) -> int:
    """Bytes of the body (header not counted) that `plain_size` plaintext bytes become."""
    whole, rest = divmod(_not_negative(plain_size), SEGMENT)
    return whole * CIPHER_SEGMENT + (rest + _OVERHEAD if rest else 0)


def plain_size(cipher_size: int) -> int:
    """Plaintext bytes of a body of `cipher_size` bytes (header not counted).

    Raises:
        Malformed: When no whole number of segments has this size.
    """
    whole, rest = divmod(_not_negative(cipher_size), CIPHER_SEGMENT)
    if 0 < rest <= _OVERHEAD:
        raise Malformed(f"a body of {cipher_size} bytes ends inside a segment")
    return whole * SEGMENT + (rest - _OVERHEAD if rest else 0)


# --- header ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Opened:
    """What a header held for one reader.

    Attributes:
        session_keys: 32-byte data keys in the header's order, at least one.
        writers: The writer's public key of each packet that opened, in the same order.
        passed_over: Packets for other readers or of unknown methods.
    """

    session_keys: tuple[bytes, ...] = field(repr=False)
    writers: tuple[bytes, ...]
    passed_over: int


def seal_header(
    session_keys: Sequence[bytes], recipient_public: bytes, writer_private: bytes, nonces: Sequence[bytes]
) -> bytes:
    """A header giving `session_keys` to one recipient: 16 bytes and 108 for each key.

    Args:
        session_keys: 32-byte data keys; their order is the order in which a reader tries them.
        recipient_public: Raw X25519 public key.
        writer_private: Raw X25519 private key, fresh for a header that shall not name its writer.
        nonces: A fresh 12-byte nonce for each session key.

    Raises:
        ValueError: When a key or nonce has the wrong size, or their number is not 1 to `MAX_PACKETS`.
        Malformed: When the recipient's key is a point of low order, which no key file contains by chance.
    """
    return HeaderSealer(recipient_public, writer_private).seal(session_keys, nonces)


class HeaderSealer:
    """Seals headers from one writer to one recipient; the agreement on a key, the dear part, is made once.

    Args:
        recipient_public: Raw X25519 public key.
        writer_private: Raw X25519 private key; all headers name its public half.

    Raises:
        Malformed: When the recipient's key is a point of low order, which no key file contains by chance.
    """

    def __init__(self, recipient_public: bytes, writer_private: bytes) -> None:
        self._writer = public_key(writer_private)
        self._cipher = _shared_cipher(writer_private, recipient_public, recipient_public, self._writer)

    def seal(self, session_keys: Sequence[bytes], nonces: Sequence[bytes]) -> bytes:
        """A header; arguments and errors as of `seal_header`. No nonce may come twice, in any of its headers."""
        if not 1 <= len(session_keys) <= MAX_PACKETS or len(nonces) != len(session_keys):
            raise ValueError(f"a header takes 1 to {MAX_PACKETS} session keys and a nonce for each")
        packets = [_PREAMBLE.pack(_MAGIC, _VERSION, len(session_keys))]
        for key, nonce in zip(session_keys, nonces, strict=True):
            sized("session key", key, KEY_SIZE)
            sized("nonce", nonce, NONCE_SIZE)
            sealed = self._cipher.encrypt(nonce, _DATA_KEY.pack(_DATA_PARAMETERS, 0, key), None)
            length = _PACKET.size + len(sealed)
            packets += [_PACKET.pack(length, _X25519_CHACHA20, self._writer, nonce), sealed]
        return b"".join(packets)


def header_length(prefix: bytes) -> int | None:
    """Bytes of the header that a file beginning with `prefix` has; None when more of the file is needed to tell.

    Raises:
        Malformed: When this is no Crypt4GH 1 header, or it passes `MAX_PACKETS` or `MAX_HEADER`.
    """
    if not prefix.startswith(_MAGIC[: len(prefix)]):
        raise Malformed("not a Crypt4GH file")
    if len(prefix) < _PREAMBLE.size:
        return None
    _, version, count = _PREAMBLE.unpack_from(prefix)
    if version != _VERSION or not 1 <= count <= MAX_PACKETS:
        raise Malformed(f"Crypt4GH version {version} with {count} packets is not supported")
    at = _PREAMBLE.size
    for _ in range(count):
        if len(prefix) < at + _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(prefix, at)
        if length < _PACKET.size + TAG_SIZE or at + length > MAX_HEADER:
            raise Malformed(f"a header packet of {length} bytes is not possible or passes {MAX_HEADER} bytes of header")
        at += length
    return at


def open_header(header: bytes, recipient_private: bytes) -> Opened:
    """The session keys that a header holds for this reader.

    Args:
        header: The header alone, as long as `header_length` says.
        recipient_private: Raw X25519 private key.

    Raises:
        Malformed: When the bytes are not one whole header, or hold an edit list or an unknown packet for this reader.
        Unopenable: When no packet opens with this key.
        ValueError: When the private key is not 32 bytes.
    """
    if header_length(header) != len(header):
        raise Malformed("not exactly one Crypt4GH header")
    own_public = public_key(recipient_private)
    keys, writers, passed_over = [], [], 0
    at = _PREAMBLE.size
    while at < len(header):
        length, method, writer, nonce = _PACKET.unpack_from(header, at)
        shared = _reader_cipher(recipient_private, own_public, writer) if method == _X25519_CHACHA20 else None
        plain = _opened(shared, nonce, header[at + _PACKET.size : at + length]) if shared else None
        if plain is None:
            passed_over += 1
        else:
            keys.append(_session_key(plain))
            writers.append(writer)
        at += length
    if not keys:
        raise Unopenable("no packet of the header opens with this key")
    return Opened(tuple(keys), tuple(writers), passed_over)


def _reader_cipher(private: bytes, own_public: bytes, writer: bytes) -> ChaCha20Poly1305 | None:
    """The cipher of a packet; None where the writer's key is a point of low order, which no honest packet has."""
    try:
        return _shared_cipher(private, writer, own_public, writer)
    except Malformed:
        return None


def _opened(cipher: ChaCha20Poly1305, nonce: bytes, sealed: bytes) -> bytes | None:
    """The plaintext of a packet for this reader; None for one that is not (specification section 2.4)."""
    try:
        return cipher.decrypt(nonce, sealed, None)
    except InvalidTag:
        return None


def _session_key(plain: bytes) -> bytes:
    if len(plain) >= _LENGTH.size and _LENGTH.unpack_from(plain)[0] == _EDIT_LIST:
        raise Malformed("the header holds an edit list, which would hide payload from inspection")
    if len(plain) != _DATA_KEY.size:
        raise Malformed("a header packet is not a set of data encryption parameters")
    kind, method, key = _DATA_KEY.unpack(plain)
    if kind != _DATA_PARAMETERS or method != 0:
        raise Malformed(f"header packet type {kind} with encryption method {method} is not supported")
    return bytes(key)


def _shared_cipher(private: bytes, peer: bytes, reader_public: bytes, writer_public: bytes) -> ChaCha20Poly1305:
    """The cipher under the shared key: BLAKE2b-512 over DH result, reader's and writer's public key, first half."""
    sized("public key", peer, KEY_SIZE)
    try:
        secret = X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(peer))
    except ValueError:
        raise Malformed("the public key is a point of low order") from None
    return ChaCha20Poly1305(blake2b(secret + reader_public + writer_public).digest()[:KEY_SIZE])


# --- segments --------------------------------------------------------------------------------------------------------


class SegmentSealer:
    """Seals runs of plaintext under one session key; safe to use from several threads at once."""

    def __init__(self, key: bytes) -> None:
        self._cipher = ChaCha20Poly1305(sized("session key", key, KEY_SIZE))

    def seal_into(self, plain: Buffer, nonces: bytes, out: bytearray | memoryview) -> int:
        """Seal `plain` as segments at the start of `out`.

        Only the last segment may be short, and only at the end of a file: the caller passes whole segments till then.

        Args:
            plain: Plaintext of any length; none makes no segment.
            nonces: 12 fresh random bytes for each segment, in one piece.
            out: Room for `cipher_size(len(plain))` bytes or more.

        Returns:
            Bytes written.

        Raises:
            ValueError: When nonces or room do not fit the plaintext.
        """
        size = cipher_size(len(plain))
        count = -(-len(plain) // SEGMENT)
        if len(nonces) != count * NONCE_SIZE or len(out) < size:
            raise ValueError(f"{len(plain)} bytes take {count} nonces and {size} bytes of room")
        source, target = memoryview(plain), memoryview(out)
        for number in range(count):
            nonce = nonces[number * NONCE_SIZE : (number + 1) * NONCE_SIZE]
            piece = source[number * SEGMENT : (number + 1) * SEGMENT]
            start = number * CIPHER_SEGMENT
            body = start + NONCE_SIZE
            target[start:body] = nonce
            self._cipher.encrypt_into(nonce, piece, None, target[body : body + len(piece) + TAG_SIZE])
        return size


class SegmentOpener:
    """Opens runs of segments that were sealed under any of several session keys; safe to use from several threads."""

    def __init__(self, keys: bytes | Sequence[bytes]) -> None:
        several = [keys] if isinstance(keys, bytes) else keys
        self._ciphers = tuple(ChaCha20Poly1305(sized("session key", key, KEY_SIZE)) for key in several)

    def open(self, cipher_segments: Buffer) -> bytes:
        """The plaintext of whole segments, of which only the last may be short.

        Raises:
            Malformed: When the length ends inside a segment.
            Unopenable: When a segment opens under none of the keys; nothing of the run is given out.
        """
        plain_size(len(cipher_segments))
        source = memoryview(cipher_segments)
        ciphers = [*self._ciphers]
        parts = []
        for start in range(0, len(source), CIPHER_SEGMENT):
            which, part = _open_segment(ciphers, source[start : start + CIPHER_SEGMENT])
            # Keys change once a run of an upload: the one that fitted fits the next segment too.
            ciphers.insert(0, ciphers.pop(which))
            parts.append(part)
        return b"".join(parts)


def _open_segment(ciphers: Sequence[ChaCha20Poly1305], segment: memoryview) -> tuple[int, bytes]:
    nonce, sealed = bytes(segment[:NONCE_SIZE]), segment[NONCE_SIZE:]
    for which, cipher in enumerate(ciphers):
        try:
            return which, cipher.decrypt(nonce, sealed, None)
        except InvalidTag:
            continue
    raise Unopenable("a segment opens under none of the session keys")


def _not_negative(size: int) -> int:
    if size < 0:
        raise ValueError(f"a size is not negative: {size}")
    return size
