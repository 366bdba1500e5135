"""Certificates as an authority might sign them, good and bad, without the issuing code that is under test elsewhere."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from gateway.core.identity import CERTIFICATE_SCOPES, SENDER_SCOPES
from gateway.wire import sshcert, sshsig
from tests.flow.rig import NOW, seeded_key

AUTHORITY = seeded_key("ssh-ca")
AUTHORITIES = frozenset({bytes(sshsig.blob_of(AUTHORITY))})
SERIAL = 12_345_678_901_234_567_890


def scopes(*words: str) -> dict[str, bytes]:
    return {CERTIFICATE_SCOPES: sshcert.option_data(",".join(words))}


def certificate(now: datetime = NOW, **changes: Any) -> sshcert.Certificate:
    """Lin's of sz-lab for a day, with everything a sender may; `key` and `authority_key` are private keys."""
    key = changes.pop("key", seeded_key("certified"))
    about: dict[str, Any] = {
        "subject": sshsig.blob_of(key),
        "serial": SERIAL,
        "key_id": "lin",
        "principals": ("sz-lab",),
        "valid_from": int((now - timedelta(minutes=5)).timestamp()),
        "valid_to": int((now + timedelta(days=1)).timestamp()),
        "authority": sshsig.blob_of(AUTHORITY),
        "extensions": scopes(*SENDER_SCOPES),
    }
    return sshcert.Certificate(**(about | changes))


def signed(found: sshcert.Certificate, key: Any = AUTHORITY) -> bytes:
    return sshcert.issue(found, b"n" * 32, key)


def write_line(path: Path, blob: bytes) -> Path:
    path.write_text(f"{sshcert.type_name(blob)} {base64.b64encode(blob).decode()}\n")
    return path
