"""Strict base64 (RFC 4648 section 4) and the BEGIN/END armour around it, as in RFC 7468's strict form.

What it is not: a lenient PEM reader. A change must keep that every value has one base64 spelling (padding present,
unused bits zero, no blanks): two spellings of one signature would be two digests of one piece of evidence.
"""

from __future__ import annotations

import base64
import binascii

from gateway.wire import Malformed


def strict_base64(text: bytes) -> bytes:
    """Decode base64 that is spelled exactly as an encoder spells it.

    Raises:
        Malformed: On any other character, missing padding or unused bits that are set.
    """
    try:
        blob = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise Malformed(f"not base64: {error}") from None
    if base64.b64encode(blob) != text:
        raise Malformed("base64 with unused bits set or data after its padding")
    return blob


def armored(label: bytes, blob: bytes, *, width: int) -> bytes:
    """`blob` between BEGIN and END lines of `label`, broken into lines of `width` characters, ending in a newline."""
    text = base64.b64encode(blob)
    lines = [text[at : at + width] for at in range(0, len(text), width)]
    return b"\n".join([b"-----BEGIN " + label + b"-----", *lines, b"-----END " + label + b"-----", b""])


def dearmored(label: bytes, data: bytes, *, max_size: int) -> bytes:
    """The bytes between the BEGIN and END lines of `label`.

    Lines may end in CR LF and be of any width, since editors and mailers change both; nothing may stand around it.

    Args:
        label: What stands behind BEGIN, such as `SSH SIGNATURE`.
        data: The armoured text.
        max_size: Largest armoured size in bytes that is looked at.

    Raises:
        Malformed: When the frame is not there or the content is not strict base64.
    """
    if len(data) > max_size:
        raise Malformed(f"armoured text of {len(data)} bytes is over the bound of {max_size}")
    first, *middle = data.replace(b"\r\n", b"\n").rstrip(b"\n").split(b"\n")
    if first != b"-----BEGIN " + label + b"-----" or not middle or middle[-1] != b"-----END " + label + b"-----":
        raise Malformed(f"not an armoured {label.decode('ascii')}")
    return strict_base64(b"".join(middle[:-1]))
