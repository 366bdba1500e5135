"""Server-sent events as bytes: `text/event-stream`, the sending side.

What it is not: a connection, or what the events mean. A change must keep that no field can end early: a line break in a value
would begin a field of its own.

Source: HTML Living Standard, section 9.2 (server-sent events), 9.2.5 and 9.2.6.
"""

from __future__ import annotations

from typing import Final

from gateway.wire import Malformed, canonical
from gateway.wire.canonical import Json

MEDIA_TYPE: Final = "text/event-stream"
HEARTBEAT: Final = b":\n\n"
"""A comment: keeps what stands between from taking silence for an end."""


def encode_event(kind: str, data: Json, identifier: str = "") -> bytes:
    """One event.

    Args:
        kind: Its type; what a client listens for.
        data: Sent as canonical JSON, which has no line breaks.
        identifier: What a client that comes back sends as `Last-Event-ID`; empty leaves the one before.

    Raises:
        Malformed: The type or the identifier cannot stand in a field.
    """
    for value in (kind, identifier):
        if any(character in value for character in "\r\n\0"):
            raise Malformed("a field of an event has no line break and no NUL")
    lines = [f"event: {kind}\n".encode(), b"data: " + canonical.encode(data) + b"\n"]
    if identifier:
        lines.insert(0, f"id: {identifier}\n".encode())
    return b"".join((*lines, b"\n"))


def retry_after(milliseconds: int) -> bytes:
    """How long a client waits before it comes back."""
    return f"retry: {milliseconds}\n\n".encode()
