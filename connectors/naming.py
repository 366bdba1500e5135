"""Where a consignment's files lie at an endpoint: final names, temporary names, and what may not be a name.

What this is not: a cleaner. `gateway.core.names` made every name canonical at the door; here that promise is checked
again, because a name that climbs out of its folder would be written with the connector's credentials.

The rules a change must keep:
1. A temporary name is a function of what it will hold, so a later attempt finds its own leftover and nobody else's.
2. It stays in the final name's folder (a rename must not cross a file system) and is short (NAME_MAX is 255 bytes).
3. The manifest is the last name to appear: whoever sees it may rely on all others, its signature included.
"""

from __future__ import annotations

from dataclasses import dataclass

import blake3

from gateway.core.errors import BrokenPromise, EndpointError, Unusable
from gateway.core.names import parse_path
from gateway.ports import Consignment, Parcel

MANIFEST = "manifest.json"
SIGNATURE = "manifest.json.sig"
SEALED = ".c4gh"
_PREFIX, _SUFFIX = ".hetao-", ".part"


@dataclass(frozen=True)
class Placed:
    """One parcel and where it goes.

    Attributes:
        parcel: The sealed file.
        folder: Path segments of its folder below the endpoint's base.
        name: Last segment of its final name.
        temporary: Last segment of the name it has until it is whole.
        ordinal: "parcel 3 of 10", for messages: file names may name people and stay out of them.
    """

    parcel: Parcel
    folder: tuple[str, ...]
    name: str
    temporary: str
    ordinal: str


@dataclass(frozen=True)
class Notice:
    """One small file that is published after all parcels: the signature, then the manifest it signs."""

    name: str
    temporary: str
    content: bytes


@dataclass(frozen=True)
class Layout:
    """A consignment laid out below an endpoint's base.

    Attributes:
        folder: `<institution>/<project>/<dataset>/v<n>` as segments.
        placed: Parcels in the manifest's order.
        notices: What is published last, in order of publication.
    """

    folder: tuple[str, ...]
    placed: tuple[Placed, ...]
    notices: tuple[Notice, ...]


def lay_out(consignment: Consignment) -> Layout:
    """Where everything of a consignment goes.

    Raises:
        BrokenPromise: A name is not canonical or appears twice: the flow or its database was tampered with.
        EndpointError: `retry=False` where two honest names cannot live side by side at the endpoint.
    """
    folder = _segments(consignment.folder)
    names = [_segments(_stem(parcel.name)) for parcel in consignment.parcels]
    if len(set(names)) != len(names):
        raise BrokenPromise("the consignment names one parcel twice: compare it with its manifest")
    _refuse_collisions([_sealed(name) for name in names])
    total = len(names)
    placed = tuple(
        _place(consignment, parcel, folder + _sealed(name), f"parcel {number} of {total}")
        for number, (parcel, name) in enumerate(zip(consignment.parcels, names, strict=True), 1)
    )
    notices = tuple(
        Notice(name, _temporary(consignment.transfer_id, name, content), content)
        for name, content in ((SIGNATURE, consignment.signature), (MANIFEST, consignment.manifest))
    )
    return Layout(folder, placed, notices)


def is_temporary(name: str) -> bool:
    """Whether the last segment of a path is a half-sent file of ours, which a receiver must not read."""
    last = name.rpartition("/")[2]
    return last.startswith(_PREFIX) and last.endswith(_SUFFIX)


def _place(consignment: Consignment, parcel: Parcel, path: tuple[str, ...], ordinal: str) -> Placed:
    identity = parcel.blake3 + parcel.size.to_bytes(8, "big")
    temporary = _temporary(consignment.transfer_id, parcel.name, identity)
    return Placed(parcel, path[:-1], path[-1], temporary, ordinal)


def _temporary(transfer_id: str, name: str, identity: bytes) -> str:
    digest = blake3.blake3(f"{transfer_id}\0{name}\0".encode() + identity).hexdigest(length=12)
    return f"{_PREFIX}{digest}{_SUFFIX}"


def _stem(name: str) -> str:
    if not name.endswith(SEALED):
        raise BrokenPromise("a parcel's name does not end in .c4gh: only sealed files may leave")
    return name.removesuffix(SEALED)


def _sealed(segments: tuple[str, ...]) -> tuple[str, ...]:
    return (*segments[:-1], segments[-1] + SEALED)


def _segments(path: str) -> tuple[str, ...]:
    try:
        return tuple(parse_path(path).split("/"))
    except Unusable as refused:
        raise BrokenPromise(f"a name in the consignment is not canonical: {refused.message}") from refused


def _refuse_collisions(paths: list[tuple[str, ...]]) -> None:
    """Refuse a file where another needs a folder: `a` and `a.c4gh/b` seal to `a.c4gh` and `a.c4gh/b.c4gh`."""
    files = {*paths, (MANIFEST,), (SIGNATURE,)}
    for path in paths:
        if any(path[:depth] in files for depth in range(1, len(path))):
            raise EndpointError(
                "a folder of the dataset has the name of a sealed file or of the manifest: rename the folder",
                code="name-collision",
                retry=False,
            )
        if is_temporary(path[0]) or any(is_temporary(segment) for segment in path[:-1]):
            raise EndpointError(
                "a folder of the dataset has the form of a temporary name (.hetao-*.part): rename it",
                code="name-collision",
                retry=False,
            )
