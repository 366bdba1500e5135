"""Files that say which other files there must be, as documents that can be kept: BagIt tag files and RO-Crate metadata.

What it is not: the comparison of what is listed with what is there (`completeness`).

The rules:
1. Plaintext is never at rest and nobody reads it back, so a manifest is read while it comes in; what is kept is what it says.
2. A manifest that cannot be read is kept as a fault and refused nowhere: it is a file like any other, and `SUBMIT` takes it.
   But nothing is complete by it.
3. Only the top of a dataset is looked at: a bag or a crate further down is data.

Sources: RFC 8493 (BagIt 1.0), RO-Crate 1.1 and 1.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.core.names import settled_name
from gateway.wire import Malformed, bagit, rocrate

BAGIT: Final = "bagit"
INFO: Final = "bag-info"
FETCH: Final = "fetch"
MANIFEST: Final = "manifest"
TAG_MANIFEST: Final = "tagmanifest"
CRATE: Final = "ro-crate"
MAX_MANIFEST: Final = bagit.MAX_SIZE

_NAMES: Final = {bagit.DECLARATION: BAGIT, bagit.INFO: INFO, bagit.FETCH: FETCH, rocrate.NAME: CRATE}


@dataclass(frozen=True)
class Manifest:
    """What a manifest says.

    Attributes:
        path: The file's path in the dataset.
        kind: One of the words above.
        document: `{"fault": why}` where it cannot be read; else by kind `{"version"}`, `{"oxum": [bytes, files] | null}`,
            `{}`, `{"algorithm", "entries": {path: hex}}`, `{"entries": {path: hex or ""}}`.
        sha256: Digest of the file it was read from.
    """

    path: str
    kind: str
    document: Mapping[str, Any]
    sha256: bytes

    @property
    def fault(self) -> str:
        """Why it cannot be read; empty where it can."""
        return str(self.document.get("fault", ""))

    @property
    def algorithm(self) -> str:
        """Of a BagIt manifest: `sha256`."""
        return str(self.document.get("algorithm", ""))

    @property
    def entries(self) -> Mapping[str, str]:
        """What it lists: path to digest in hex."""
        listed: Mapping[str, str] = self.document.get("entries", {})
        return listed


def manifest_kind(path: str) -> str:
    """The kind of manifest a file at this path is, also while it has a temporary name; empty where it is none."""
    name = settled_name(path)
    if (known := _NAMES.get(name)) is not None:
        return known
    found = bagit.parse_manifest_name(name)
    return "" if found is None else TAG_MANIFEST if found.tags else MANIFEST


def read_manifest(path: str, content: bytes, sha256: bytes) -> Manifest:
    """What the manifest at a path says; `manifest_kind` must know the path."""
    kind = manifest_kind(path)
    try:
        document = _document(kind, settled_name(path), content)
    except Malformed as wrong:
        document = {"fault": str(wrong)}
    return Manifest(path, kind, document, sha256)


def unread_manifest(path: str, sha256: bytes, fault: str) -> Manifest:
    """A manifest that was not read, and why."""
    return Manifest(path, manifest_kind(path), {"fault": fault}, sha256)


def _document(kind: str, name: str, content: bytes) -> dict[str, Any]:
    if kind == BAGIT:
        return {"version": bagit.parse_declaration(content)}
    if kind == INFO:
        oxum = bagit.payload_oxum(bagit.parse_info(content))
        return {"oxum": list(oxum) if oxum else None}
    if kind == CRATE:
        files = rocrate.parse_files(content)
        return {"entries": {path: digest.hex() if digest else "" for path, digest in files.items()}}
    if kind == FETCH:
        return {}
    found = bagit.parse_manifest_name(name)
    assert found is not None
    entries = bagit.parse_manifest(content, found)
    return {"algorithm": found.algorithm, "entries": {path: digest.hex() for path, digest in entries.items()}}
