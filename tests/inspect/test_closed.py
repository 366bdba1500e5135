"""Formats that stay closed say why, and which of them are under a password."""

from __future__ import annotations

import pytest

from gateway.inspect.objects import inspect_file
from gateway.inspect.source import MemoryStore
from gateway.stores.detectors import load_detector_tables

OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@pytest.mark.parametrize(
    ("content", "kind", "says"),
    [
        (OLE2 + bytes(5000), "uninspectable", "save it as docx"),
        (OLE2 + bytes((1 << 20) - 20) + "EncryptedPackage".encode("utf-16-le"), "encrypted_content", "password"),
        (b"Rar!\x1a\x07\x01\x00" + bytes(50), "uninspectable", "send a ZIP"),
    ],
)
def test_a_closed_format_says_what_to_do(content, kind, says):
    found = inspect_file(MemoryStore(content), "a.bin", load_detector_tables())
    assert not found.inspectable
    assert [f.where for f in found.findings if f.kind == kind and says in f.where]
