"""RO-Crate 1.1 and 1.2 metadata: which files of the crate it describes, and with which SHA-256.

What it is not: a JSON-LD processor. RO-Crate documents are flattened and compacted against the crate's own context, so that
terms can be read as they stand (RO-Crate 1.1, appendix on JSON-LD).

A change must keep these:
1. A document that is not surely such a crate is refused, also where half of it could be read.
2. Every entity that is a File and lies in the crate is told, with or without a digest; whether it is reached by `hasPart` or
   not: what is described is expected.

Sources: RO-Crate 1.1 and 1.2, "Root Data Entity", "Data Entities"; RFC 3986 sections 2.1 and 4.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from gateway.wire import Malformed, canonical

NAME: Final = "ro-crate-metadata.json"
MAX_SIZE: Final = 1 << 25
MAX_DEPTH: Final = 16
MAX_ENTITIES: Final = 400_000

_VERSION: Final = re.compile(r"https?://w3id\.org/ro/crate/1\.[12](?:[./-].*)?")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SHA256: Final = re.compile(r"[0-9A-Fa-f]{64}")


def parse_files(
    data: bytes, *, max_size: int = MAX_SIZE, max_depth: int = MAX_DEPTH, max_entities: int = MAX_ENTITIES
) -> dict[str, bytes | None]:
    """Digests by path of every file in the crate; None where it has no usable `sha256`.

    Files on the web (an absolute URL as `@id`) are not in the crate and left out; so is the metadata file itself, which
    cannot hold its own digest.

    Raises:
        Malformed: When this is not the metadata of an RO-Crate 1.1 or 1.2, describes something twice, a path leaves the
            crate, or a bound is passed.
    """
    entities = _entities(data, max_size, max_depth, max_entities)
    _check_descriptor(entities)
    files: dict[str, bytes | None] = {}
    for identifier, entity in entities.items():
        if "File" not in _words(entity.get("@type")) or identifier == NAME:
            continue
        path = _path(identifier)
        if path is None:
            continue
        if path in files:
            raise Malformed("a file is described twice")
        files[path] = _digest(entity.get("sha256"))
    return files


def _entities(data: bytes, max_size: int, max_depth: int, max_entities: int) -> dict[str, Mapping[str, Any]]:
    document = canonical.parse(data, max_size=max_size, max_depth=max_depth)
    graph = document.get("@graph") if isinstance(document, dict) else None
    if not isinstance(graph, list) or len(graph) > max_entities:
        raise Malformed(f"there is no @graph of at most {max_entities} entities")
    found: dict[str, Mapping[str, Any]] = {}
    for entity in graph:
        identifier = entity.get("@id") if isinstance(entity, dict) else None
        if not isinstance(entity, dict) or not isinstance(identifier, str) or identifier in found:
            raise Malformed("an entity has no @id of its own")
        found[identifier] = entity
    return found


def _check_descriptor(entities: Mapping[str, Mapping[str, Any]]) -> None:
    descriptor = entities.get(NAME, entities.get(f"./{NAME}"))
    if descriptor is None:
        raise Malformed(f"{NAME} does not describe itself")
    if not any(_VERSION.fullmatch(each) for each in _references(descriptor.get("conformsTo"))):
        raise Malformed("this is not RO-Crate 1.1 or 1.2")
    roots = list(_references(descriptor.get("about")))
    if len(roots) != 1 or "Dataset" not in _words(entities.get(roots[0], {}).get("@type")):
        raise Malformed("the crate has no root Dataset")


def _words(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _references(value: object) -> Iterator[str]:
    for each in _words(value):
        identifier = each.get("@id") if isinstance(each, dict) else None
        if isinstance(identifier, str):
            yield identifier


def _path(identifier: str) -> str | None:
    """Where a File lies in the crate; None where it is on the web.

    Raises:
        Malformed: Where it is neither.
    """
    if _SCHEME.match(identifier) and not identifier.lower().startswith("file:"):
        return None
    if identifier.lower().startswith("file:") or identifier.startswith("/") or re.search(r"[?#\\]", identifier):
        raise Malformed("a file has an @id that is neither a plain relative path nor a URL")
    if _PERCENT.search(identifier):
        raise Malformed("a file's @id has a broken percent escape")
    try:
        path = unquote_to_bytes(identifier.removeprefix("./")).decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("a file's @id is not UTF-8") from None
    if any(segment in {"", ".", ".."} for segment in path.split("/")):
        raise Malformed("a file's @id leaves the crate or is not plain")
    return None if path == NAME else path


def _digest(value: object) -> bytes | None:
    return bytes.fromhex(value) if isinstance(value, str) and _SHA256.fullmatch(value) else None
