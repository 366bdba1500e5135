"""Files on this machine, read as the gateway would: the pass first, and an inspector where the pass leaves them unread."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from gateway.core.classify import Classifier, FileFindings
from gateway.core.detectors import DetectorTables
from gateway.core.detectors.pack import tables_of
from gateway.inspect.parsers import PARSERS
from gateway.inspect.process import Inspector, TableDocuments

PIECE: Final = 1 << 20


def _untold(_read: int) -> None:
    return


class Here:
    """Reads files one after another. A context manager: a worker that was started ends with it.

    Args:
        documents: Documents of the detectors' tables, as `core.detectors.pack.tables_of` takes them.
    """

    def __init__(self, documents: TableDocuments) -> None:
        self._tables: DetectorTables = tables_of(documents)
        self._inspector = Inspector(documents)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inspector.close()

    def read(self, path: Path, name: str, told: Callable[[int], None] = _untold) -> tuple[FileFindings, str]:
        """Findings and SHA-256 in hexadecimal of a file.

        Args:
            path: Where it is.
            name: What it is called in its dataset.
            told: Called with the bytes just read.

        Raises:
            OSError: It cannot be read.
            StoreError: It needs an inspector, and none can be started.
        """
        with path.open("rb") as file:
            findings, digest = self._passed(file, name, told)
            if not findings.inspectable and findings.format in PARSERS:
                findings = self._inspector.inspect_plain(name, file)
        return findings, digest

    def _passed(self, file: BinaryIO, name: str, told: Callable[[int], None]) -> tuple[FileFindings, str]:
        digest, classifier = hashlib.sha256(), Classifier(name, self._tables)
        while piece := file.read(PIECE):
            digest.update(piece)
            classifier.feed(piece)
            told(len(piece))
        return classifier.close(), digest.hexdigest()
