"""Reads files as the gateway would: the same classifier, the same joining, persons told apart under a key of this run alone.

What it is not: sending. Nothing is kept: the key is drawn here, the digests made with it go when the command ends.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from gateway.core.classify import FileFindings, on_day
from gateway.core.errors import Unusable
from gateway.core.intake import ReceivedFile
from gateway.flow.findings import Joined, decision_facts, join, person_digests, sample_digests
from gateway.inspect.here import Here
from gateway.inspect.process import TableDocuments
from gateway.ports import StoredFile

SCOPE: Final = b"here"  # sample names are unique within a project, and a forecast is for one


@dataclass(frozen=True)
class Surveyed:
    """What the files show.

    Attributes:
        files: How many.
        bytes: Of all of them.
        joined: As a decision takes it.
        uninspectable: Names of those that were not read whole, at most a hundred.
    """

    files: int
    bytes: int
    joined: Joined
    uninspectable: tuple[str, ...]


def survey(
    entries: Iterable[tuple[str, Path]], documents: TableDocuments, on: date, told: Callable[[int], None]
) -> Surveyed:
    """Read every file once.

    Args:
        entries: Name in the dataset and place on this machine.
        documents: What detectors look for, as `core.detectors.parse_tables` takes it.
        on: Day of the decision.
        told: Called with the bytes just read.

    Raises:
        Unusable: There is no file, or one cannot be read.
    """
    key = secrets.token_bytes(32)
    with Here(documents) as here:
        stored = [
            _stored(number, name, on_day(_classified(here, name, path, told), on), key, on.year)
            for number, (name, path) in enumerate(entries)
        ]
    if not stored:
        raise Unusable("there are no files here: name files, or folders with files in them")
    unread = tuple(each.file.path for each in stored if not each.facts["inspectable"])
    return Surveyed(len(stored), sum(each.file.size for each in stored), join(stored, on.year), unread[:100])


def _classified(here: Here, name: str, path: Path, told: Callable[[int], None]) -> FileFindings:
    try:
        return here.read(path, name, told)[0]
    except OSError as wrong:
        raise Unusable(f"{name} cannot be read: {wrong.strerror}") from wrong


def _stored(number: int, name: str, findings: FileFindings, key: bytes, year: int) -> StoredFile:
    sensitive, nonsensitive = person_digests(findings, key, SCOPE)
    return StoredFile(
        transfer_id="",
        file=ReceivedFile(name, number, findings.size, b"", b"", 0, ()),
        findings={},
        facts={**decision_facts(findings, year), "samples": sample_digests(findings, key, SCOPE)},
        persons_sensitive=sensitive,
        persons_nonsensitive=nonsensitive,
        received_at=datetime.fromtimestamp(0, UTC),
    )
