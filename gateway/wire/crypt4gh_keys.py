"""Crypt4GH key files: public keys, and private keys of format `c4gh-v1` in clear or under a passphrase (scrypt).

What it is not: a key store. It reads no file and makes no key; salts and nonces are the caller's.

A change must keep these:
1. What is written here, the stock `crypt4gh` tool reads, and the other way round for kdf `none` and `scrypt`.
2. The cost of scrypt is fixed by the format, never read from the file, so that no file can ask for hours.
"""

from __future__ import annotations

from hashlib import scrypt
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from gateway.wire import Malformed, Unopenable
from gateway.wire.armor import armored, dearmored

KEY_SIZE: Final = 32
NONCE_SIZE: Final = 12
TAG_SIZE: Final = 16
SALT_SIZE: Final = 16
MAX_KEY_FILE: Final = 4_096

_MAGIC: Final = b"c4gh-v1"
_PUBLIC_LABEL: Final = b"CRYPT4GH PUBLIC KEY"
_PRIVATE_LABEL: Final = b"CRYPT4GH PRIVATE KEY"
_LINE: Final = 64
# Fixed by the key format: its option "rounds" is 0 for scrypt.
_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 1 << 14, 8, 1


def sized(what: str, value: bytes, size: int) -> bytes:
    """`value`, checked to have `size` bytes; raises ValueError naming `what` otherwise."""
    if len(value) != size:
        raise ValueError(f"a {what} has {size} bytes, not {len(value)}")
    return value


def public_key(private: bytes) -> bytes:
    """The raw X25519 public key of a raw private key.

    Raises:
        ValueError: When the private key is not 32 bytes.
    """
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def format_public_key(key: bytes) -> bytes:
    """A public key file."""
    return armored(_PUBLIC_LABEL, sized("public key", key, KEY_SIZE), width=_LINE)


def parse_public_key(data: bytes) -> bytes:
    """The raw 32-byte key of a public key file.

    Raises:
        Malformed: When the file is something else.
    """
    key = dearmored(_PUBLIC_LABEL, data, max_size=MAX_KEY_FILE)
    if len(key) != KEY_SIZE:
        raise Malformed(f"a Crypt4GH public key has {KEY_SIZE} bytes, not {len(key)}")
    return key


def format_private_key(
    key: bytes,
    *,
    passphrase: bytes | None = None,
    salt: bytes | None = None,
    nonce: bytes | None = None,
    comment: bytes = b"",
) -> bytes:
    """A private key file in `c4gh-v1`: in clear, or under a passphrase through scrypt.

    Args:
        key: Raw 32-byte private key.
        passphrase: Where given, `salt` and `nonce` are needed too.
        salt: 16 fresh random bytes.
        nonce: 12 fresh random bytes.
        comment: Kept in clear at the end of the file.

    Raises:
        ValueError: When a size is wrong, or some but not all of passphrase, salt and nonce are there.
    """
    sized("private key", key, KEY_SIZE)
    if passphrase and salt and nonce:
        sized("nonce", nonce, NONCE_SIZE)
        options = b"\x00\x00\x00\x00" + sized("salt", salt, SALT_SIZE)
        sealed = nonce + _passphrase_cipher(passphrase, salt).encrypt(nonce, key, None)
        strings = [b"scrypt", options, b"chacha20_poly1305", sealed]
    elif passphrase is salt is nonce is None:
        strings = [b"none", b"none", key]
    else:
        raise ValueError("a passphrase, a salt and a nonce go together")
    if comment:
        strings.append(comment)
    body = b"".join(len(one).to_bytes(2, "big") + one for one in strings)
    return armored(_PRIVATE_LABEL, _MAGIC + body, width=_LINE)


def parse_private_key(data: bytes, *, passphrase: bytes | None = None) -> bytes:
    """The raw 32-byte key of a private key file; the comment, if any, is dropped.

    Raises:
        Malformed: When the file is something else, or protected in a way other than scrypt.
        Unopenable: When the file needs a passphrase and this is not it.
    """
    blob = dearmored(_PRIVATE_LABEL, data, max_size=MAX_KEY_FILE)
    if not blob.startswith(_MAGIC):
        raise Malformed("not a c4gh-v1 private key")
    kdf, *rest = _strings(blob[len(_MAGIC) :])
    if kdf == b"none" and len(rest) in {2, 3} and rest[0] == b"none":
        key = rest[1]
    elif kdf == b"scrypt" and len(rest) in {3, 4} and rest[1] == b"chacha20_poly1305":
        key = _open_key(rest[0], rest[2], passphrase)
    else:
        raise Malformed("a private key protected in a way that is not supported")
    if len(key) != KEY_SIZE:
        raise Malformed(f"a Crypt4GH private key has {KEY_SIZE} bytes, not {len(key)}")
    return key


def _open_key(options: bytes, sealed: bytes, passphrase: bytes | None) -> bytes:
    if len(options) != 4 + SALT_SIZE or len(sealed) <= NONCE_SIZE + TAG_SIZE:
        raise Malformed("a private key with wrong scrypt options")
    if not passphrase:
        raise Unopenable("the private key needs its passphrase")
    try:
        return _passphrase_cipher(passphrase, options[4:]).decrypt(sealed[:NONCE_SIZE], sealed[NONCE_SIZE:], None)
    except InvalidTag:
        raise Unopenable("the passphrase does not open the private key") from None


def _passphrase_cipher(passphrase: bytes, salt: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(scrypt(passphrase, salt=salt, n=_SCRYPT_N, r=_SCRYPT_R, p=_SCRYPT_P, dklen=KEY_SIZE))


def _strings(data: bytes) -> list[bytes]:
    """The two-byte length-prefixed strings of a key file, at least one."""
    found: list[bytes] = []
    at = 0
    while at < len(data) or not found:
        size = int.from_bytes(data[at : at + 2], "big")
        if at + 2 + size > len(data):
            raise Malformed("a private key ends inside a field")
        found.append(data[at + 2 : at + 2 + size])
        at += 2 + size
    return found
