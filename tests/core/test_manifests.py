"""Manifests as documents that are kept: which files are some, what is kept of each, and what of those nobody can read."""

from __future__ import annotations

import hashlib
import json

import pytest

from gateway.core.manifests import manifest_kind, read_manifest, unread_manifest
from tests.wire.test_rocrate import DIGEST, crate, file

SHA = hashlib.sha256(b"x")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("bagit.txt", "bagit"),
        ("bag-info.txt", "bag-info"),
        ("fetch.txt", "fetch"),
        ("manifest-sha256.txt", "manifest"),
        ("manifest-sha256.txt.filepart", "manifest"),
        ("manifest-md5.txt.1a2B3c4D.partial", "manifest"),
        ("tagmanifest-sha512.txt", "tagmanifest"),
        ("ro-crate-metadata.json", "ro-crate"),
        ("ro-crate-metadata.json.part", "ro-crate"),
        ("data/manifest-sha256.txt", ""),
        ("mybag/bagit.txt", ""),
        ("BAGIT.TXT", ""),
        ("declaration.toml", ""),
        ("a.csv", ""),
    ],
)
def test_which_files_are_manifests(path, kind):
    assert manifest_kind(path) == kind


@pytest.mark.parametrize(
    ("path", "content", "document"),
    [
        ("bagit.txt", b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n", {"version": "1.0"}),
        ("bag-info.txt", b"Payload-Oxum: 5.1\n", {"oxum": [5, 1]}),
        ("bag-info.txt", b"Contact-Name: Lin\n", {"oxum": None}),
        ("fetch.txt", b"https://example.org/a 5 data/a\n", {}),
        (
            "manifest-sha256.txt.filepart",
            f"{SHA.hexdigest()}  data/x\n".encode(),
            {"algorithm": "sha256", "entries": {"data/x": SHA.hexdigest()}},
        ),
        (
            "tagmanifest-sha256.txt",
            f"{SHA.hexdigest()}  bagit.txt\n".encode(),
            {"algorithm": "sha256", "entries": {"bagit.txt": SHA.hexdigest()}},
        ),
        (
            "ro-crate-metadata.json",
            json.dumps(crate(file("a", sha256=DIGEST), file("b"))).encode(),
            {"entries": {"a": DIGEST, "b": ""}},
        ),
    ],
)
def test_what_is_kept(path, content, document):
    kept = read_manifest(path, content, b"digest")
    assert (kept.path, kept.sha256, kept.document, kept.fault) == (path, b"digest", document, "")
    assert json.loads(json.dumps(kept.document)) == kept.document
    assert kept.entries == document.get("entries", {})


@pytest.mark.parametrize(
    "path", ["bagit.txt", "bag-info.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt", "ro-crate-metadata.json"]
)
def test_what_cannot_be_read_is_a_fault(path):
    kept = read_manifest(path, b"\xff", b"digest")
    assert kept.fault
    assert kept.entries == {}
    assert kept.algorithm == ""


def test_what_was_not_read():
    assert unread_manifest("bagit.txt", b"d", "too large").document == {"fault": "too large"}
