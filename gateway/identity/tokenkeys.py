"""The gateway's token keys while they change: the one that signs, and public halves of those that signed before it.

What it is not: the change itself (`certs.jwtkeys.rotate_jwt_key`, `hetao keys rotate-tokens`).

A change must keep these:
1. The files are the truth for all processes: they are looked at whenever a token is signed or checked, so that no process signs
   with a key after another took its place, and none refuses the new one's tokens.
2. A former key is published and accepted until the last token it signed has run out, and not a moment longer.
3. What cannot be read is our fault (StoreError), never the caller's.

Source: RFC 7517 section 5.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from gateway.core.errors import StoreError, Unusable
from gateway.identity.jwk import TokenKey, VerifyingKey, parse_jwk
from gateway.wire import Malformed, canonical

FORMER_SUFFIX: Final = ".former"
MAX_FORMER: Final = 1 << 16
_WRITERS: Final = stat.S_IWGRP | stat.S_IWOTH

Stamp = tuple[int, int, int]


class TokenKeys:
    """The key of a file, and the former ones of the file beside it.

    Args:
        path: The private key; `<path>.former` holds the others and may be missing.

    Raises:
        Unusable: A file holds something else, or others can read the key or write the former ones.
        StoreError: The key cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._beside = path.with_name(path.name + FORMER_SUFFIX)
        self._stamps = self._looked()
        self._key, self._former = TokenKey(path), _read_former(self._beside)

    def signing(self) -> TokenKey:
        """The key that signs now."""
        self._refresh()
        return self._key

    def sign_detached(self, payload: bytes) -> str:
        """An event's signature by the key that signs now (`ports.EventSigner`)."""
        return self.signing().sign_detached(payload)

    def published(self, now: datetime) -> Mapping[str, VerifyingKey]:
        """By key id, every key whose tokens are accepted at that time, the signing one first."""
        self._refresh()
        standing = [self._key.public, *(key for key, until in self._former if now < until)]
        return {key.kid: key for key in standing}

    def _refresh(self) -> None:
        stamps = self._looked()
        if stamps == self._stamps:
            return
        try:
            self._key, self._former = TokenKey(self._path), _read_former(self._beside)
        except Unusable as wrong:
            raise StoreError(wrong.message, retry=False) from wrong
        self._stamps = stamps

    def _looked(self) -> tuple[Stamp | None, Stamp | None]:
        return _stamp(self._path), _stamp(self._beside)


def _stamp(path: Path) -> Stamp | None:
    try:
        about = path.stat()
    except FileNotFoundError:
        return None
    except OSError as failed:
        raise StoreError(f"{path.name} cannot be looked at: {failed.strerror}", retry=False) from failed
    return about.st_mtime_ns, about.st_ino, about.st_size


def _read_former(path: Path) -> tuple[tuple[VerifyingKey, datetime], ...]:
    try:
        about = path.stat()
        if about.st_mode & _WRITERS:
            raise Unusable(f"others may write {path.name}: chmod 644", code="key-file")
        listed: Any = canonical.parse(path.read_bytes(), max_size=MAX_FORMER)
        return tuple(_former(each) for each in listed["keys"])
    except FileNotFoundError:
        return ()
    except OSError as failed:
        raise StoreError(f"{path.name} cannot be read: {failed.strerror}", retry=False) from failed
    except (Malformed, KeyError, TypeError, ValueError) as wrong:
        raise Unusable(f"{path.name} is no list of former token keys: move it away", code="key-file") from wrong


def _former(entry: dict[str, Any]) -> tuple[VerifyingKey, datetime]:
    until = entry["until"]
    if type(until) is not int:
        raise ValueError("until must be a number of seconds")
    members = {name: value for name, value in entry.items() if isinstance(value, str)}
    return parse_jwk(members), datetime.fromtimestamp(until, UTC)
