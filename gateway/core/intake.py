"""What a submission is made of: received files, the list they form, and the bounds on both.

The rules:
1. A file counts only when a submission names it with its size (design.md section 2, point 9): a closed file is only
   received, since no protocol tells the end of a file from a client that gave up politely.
2. The file list is bound by one Merkle root (RFC 6962 over canonical JSON leaves in path order); facts, votes, the
   clearance and the manifest all commit to that root.
3. Two names that a case-insensitive or normalising file system would fold into one are refused at submission, in the
   form they have here and in the form they will have when sealed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.core.errors import Conflict, Incomplete, TooLarge, Unusable
from gateway.core.names import masked
from gateway.wire import canonical, merkle

SEALED_SUFFIX = ".c4gh"
PUBLISHED = frozenset({"manifest.json", "manifest.json.sig"})  # what lies beside the sealed files at the endpoint


@dataclass(frozen=True)
class Limits:
    """Bounds on what one transfer may hold; settings may lower and raise them.

    Attributes:
        files: Files a transfer.
        file_bytes: Plaintext bytes a file.
        transfer_bytes: Plaintext bytes a transfer.
        open_transfers: Transfers an institution may have open at once.
        undelivered_bytes: Plaintext bytes an institution may have here that are neither delivered nor ended; 0 is no bound.
    """

    files: int = 100_000
    file_bytes: int = 1 << 40
    transfer_bytes: int = 4 << 40
    open_transfers: int = 1_000
    undelivered_bytes: int = 16 << 40


@dataclass(frozen=True)
class Part:
    """A run of sealed segments in the vault: its name, and how many of its bytes count, from the first on.

    An upload that went on inside a part leaves what it replaced behind the counted bytes; nothing reads it.
    """

    name: str
    size: int


@dataclass(frozen=True)
class ReceivedFile:
    """A file whose bytes are durable in the vault.

    Attributes:
        path: Canonical path in the dataset.
        number: Its number in the transfer; the only name of it that logs use.
        size: Plaintext bytes.
        sha256: Digest of the plaintext.
        body_blake3: Digest of the ciphertext body, header excluded.
        body_size: Ciphertext bytes, header excluded.
        parts: Its sealed parts in the spool, in order; only the last segment of the last one may be short.
    """

    path: str
    number: int
    size: int
    sha256: bytes
    body_blake3: bytes
    body_size: int
    parts: tuple[Part, ...]


def file_leaf(file: ReceivedFile) -> bytes:
    """The canonical JSON a file contributes to the list's tree."""
    return canonical.encode(
        {
            "path": file.path,
            "size": file.size,
            "sha256": file.sha256.hex(),
            "body_size": file.body_size,
            "body_blake3": file.body_blake3.hex(),
        }
    )


def files_root(files: Sequence[ReceivedFile]) -> bytes:
    """The Merkle root of the file list, in path order: 32 bytes."""
    ordered = sorted(files, key=lambda file: file.path.encode())
    return merkle.root([merkle.leaf_hash(file_leaf(file)) for file in ordered])


def check_submission(files: Sequence[ReceivedFile], listed: Mapping[str, int] | None, unfinished: int) -> None:
    """Refuse a submission that is not exactly what was received.

    Args:
        files: What was received.
        listed: Path to size as the sender says; None where the door's protocol carries no list.
        unfinished: Uploads still running or cut off in this transfer.

    Raises:
        Incomplete: An upload is unfinished or a listed file is missing.
        Conflict: A listed size differs from what was received, or a file was received that is not listed.
        Unusable: There is no file, or two names would fold into one.
    """
    if unfinished:
        raise Incomplete(f"{unfinished} upload(s) are not finished: finish or delete them, then submit again")
    if not files:
        raise Unusable("there is no file to submit: upload at least one", code="empty-submission")
    refuse_folding([file.path for file in files])
    if listed is None:
        return
    received = {file.path: file.size for file in files}
    if missing := sorted(set(listed) - set(received)):
        raise Incomplete(f"{len(missing)} listed file(s) were not received, first {masked(missing[0])}: upload them")
    if extra := sorted(set(received) - set(listed)):
        raise Conflict(f"{len(extra)} received file(s) are not listed, first {masked(extra[0])}: list or delete them")
    if wrong := sorted(path for path in listed if listed[path] != received[path]):
        path = wrong[0]
        raise Conflict(
            f"{masked(path)} is listed with {listed[path]} bytes but {received[path]} were received: upload it again"
        )


def check_room(limits: Limits, files: int, transfer_bytes: int, incoming: int) -> None:
    """Refuse a file that would pass a bound, before its first byte is stored.

    Args:
        limits: The bounds.
        files: Files the transfer already has.
        transfer_bytes: Plaintext bytes it already has.
        incoming: Bytes of the new file, as announced or as received so far.

    Raises:
        TooLarge: Naming the bound.
    """
    if files >= limits.files:
        raise TooLarge(f"a transfer holds at most {limits.files} files: split the dataset or pack small files")
    if incoming > limits.file_bytes:
        raise TooLarge(f"a file holds at most {limits.file_bytes} bytes: split it")
    if transfer_bytes + incoming > limits.transfer_bytes:
        raise TooLarge(f"a transfer holds at most {limits.transfer_bytes} bytes: split the dataset")


def check_quota(limits: Limits, held: int, incoming: int) -> None:
    """Refuse a file an institution has no room for.

    Args:
        limits: The bounds.
        held: Plaintext bytes the institution has here that are neither delivered nor ended, without this file.
        incoming: Bytes of the new file, as announced or as received; 0 where nobody knows yet.

    Raises:
        TooLarge: Saying what makes room.
    """
    bound = limits.undelivered_bytes
    if bound and held + max(incoming, 1) > bound:
        raise TooLarge(
            f"your institution may have {bound} bytes here that are not delivered, and has {held}: "
            "submit what is ready, withdraw what is not needed, or wait until something is delivered",
            code="quota-reached",
            retry=True,
        )


def refuse_folding(paths: Sequence[str]) -> None:
    """Refuse names that a case-insensitive or normalising file system would fold into one.

    Raises:
        Unusable: Two names are one there, or one is both a file and a folder.
    """
    folded = {_folded(path) for path in paths}
    if len(folded) != len(paths):
        raise Unusable("two names differ only in case or width: rename one of them", code="folding-names")
    taken = folded | {name + SEALED_SUFFIX for name in folded} | PUBLISHED
    for path in paths:
        parent = path.rpartition("/")[0]
        while parent:
            if _folded(parent) in taken:
                raise Unusable("one name is both a file and a folder: rename one of them", code="folding-names")
            parent = parent.rpartition("/")[0]


def _folded(path: str) -> str:
    # Folding case can leave what normalising then changes (U+0390 and U+03AA U+0301), so it is normalised on both sides.
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", path).casefold())
