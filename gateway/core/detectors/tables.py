"""The tables detectors read: kinds, words and number ranges, parsed once from data.

Not here: files (`gateway.stores.detectors` reads them) and the checks themselves (the sibling modules).
A change must keep: nothing is guessed, an unknown or missing key is refused by name; tables are never mutated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

import numpy as np
import numpy.typing as npt

from gateway.core.detectors.dicom import DicomTable, parse_dicom
from gateway.core.detectors.sensitivity import Sensitivity
from gateway.core.errors import Unusable

Table = Mapping[str, object]

_IDENTIFIER_KEYS = {
    "personal", "sensitive", "strength", "class", "chance", "mask", "citation", "hits", "near_misses",
}  # fmt: skip
_HEADER_KEYS = {"personal", "sensitive", "certain", "class", "words", "parts", "citation", "hits", "near_misses"}
_EXTRA_KEYS = {"instead", "reports", "provinces", "issuers", "context", "supports", "forms", "times", "subjects"}
_LONGEST_FORM = 32  # digits


@dataclass(frozen=True)
class Detector:
    """One identifier kind.

    Attributes:
        key: Name of the detector's table.
        kind: Kind that findings report (two detectors may report one kind).
        personal: A hit identifies a natural person (PIPL art. 4).
        sensitive: The identifier itself is sensitive (PIPL art. 28).
        strength: Preference as the key of a person; 0 means never.
        data_class: Kind of data in the words filings use.
        chance: Share of random text of the same shape that passes every check.
        mask: Characters shown at the front and at the back of a sample.
    """

    key: str
    kind: str
    personal: bool
    sensitive: bool
    strength: int
    data_class: str
    chance: float
    mask: tuple[int, int]


@dataclass(frozen=True)
class HeaderWords:
    """Words that say what a column holds; `certain` ones count alone, the others beside another person's header.

    Where one of `key` is met, those of the tables in `instead` say nothing more: a Macao telephone is no other telephone.
    """

    key: str
    kind: str
    personal: bool
    sensitive: bool
    certain: bool
    data_class: str
    words: frozenset[str]
    parts: tuple[str, ...]
    supports: frozenset[str]
    instead: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Marks:
    """Secrecy and internal marks, as text."""

    levels: tuple[str, ...]
    always: frozenset[str]
    stars: str
    labels: tuple[str, ...]
    brackets: tuple[str, ...]
    internal: tuple[str, ...]
    formed: tuple[str, ...]


@dataclass(frozen=True)
class TrackWords:
    """Whole headers, in their normal form, and parts of headers that wide characters are written in."""

    times: frozenset[str]
    subjects: frozenset[str]

    @staticmethod
    def named(header: str, words: frozenset[str]) -> bool:
        """Whether a header in its normal form is one of the words, or has one in wide characters in it."""
        return header in words or any(word in header for word in words if not word.isascii())


@dataclass(frozen=True, eq=False)
class DetectorTables:
    """Everything detectors look up; loaded once, so that what is compiled from it is kept by identity.

    Attributes:
        detectors: By key.
        headers: In the order they are tried.
        marks: Secrecy and internal marks.
        provinces: Shape (100,), true where two digits begin a region of GB/T 2260 or a residence permit.
        issuer_lengths: Shape (10000,), by the first four digits of a card, bit n set where length n is issued.
        context: Lower-case UTF-8 words by detector that make a number behind them one of its kind.
        document_keys: Detectors of `documents`, one a row of the next.
        document_forms: Shape (kinds, 33, 729), by digits and by the letters before them in base 27, true where issued.
        track: Words for columns of times, and of whoever or whatever is followed.
        dicom: What in a DICOM object tells who it is about.
        sensitivity: Categories, combinations, reasons for a level.
    """

    detectors: Mapping[str, Detector]
    headers: tuple[HeaderWords, ...]
    marks: Marks
    provinces: npt.NDArray[np.bool_]
    issuer_lengths: npt.NDArray[np.uint32]
    context: Mapping[str, tuple[bytes, ...]]
    document_keys: tuple[str, ...]
    document_forms: npt.NDArray[np.bool_]
    track: TrackWords
    dicom: DicomTable
    sensitivity: Sensitivity = field(default_factory=Sensitivity)

    @cached_property
    def announcing(self) -> tuple[bytes, ...]:
        """Words that make eight digits something: telephones of Hong Kong and Macao, permits and cards."""
        kinds = ("hk_mobile", "hk_landline", "mo_mobile", "taiwan_permit", "mo_bir")
        return tuple(dict.fromkeys(word for kind in kinds for word in self.context[kind]))

    @cached_property
    def any_document(self) -> npt.NDArray[np.bool_]:
        """Shape (33, 729), true where any document of `document_forms` is."""
        every: npt.NDArray[np.bool_] = np.logical_or.reduce(self.document_forms)
        return every


def parse_tables(identifiers: Table, marks: Table, headers: Table, dicom: Table) -> DetectorTables:
    """Read the documents of `policies/detectors`.

    Args:
        identifiers: One table per identifier kind.
        marks: `secrecy_mark` and `internal_mark`.
        headers: One table per header kind.
        dicom: `dicom_identity` and `face_image`.

    Raises:
        Unusable: With the table and key that is missing, unknown or of the wrong type.
    """
    try:
        documents = {k: _table(identifiers, k) for k in identifiers if "forms" in _table(identifiers, k)}
        return DetectorTables(
            detectors={key: _detector(key, _table(identifiers, key)) for key in identifiers},
            headers=tuple(_header(kind, _table(headers, kind)) for kind in headers),
            marks=_marks(_table(marks, "secrecy_mark"), _table(marks, "internal_mark")),
            provinces=_provinces(_table(identifiers, "cn_resident_id")),
            issuer_lengths=_issuers(_table(identifiers, "bank_card")),
            context={
                key: _context(_table(identifiers, key)) for key in identifiers if "context" in _table(identifiers, key)
            },
            document_keys=tuple(documents),
            document_forms=np.stack([_forms(table) for table in documents.values()]),
            track=_track(_table(identifiers, "track")),
            dicom=parse_dicom(dicom),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Unusable(f"detector tables cannot be read, mend the TOML: {error}") from error


def _detector(key: str, table: Table) -> Detector:
    _known(key, table, _IDENTIFIER_KEYS)
    front, back = cast("list[int]", table["mask"])
    return Detector(
        key=key,
        kind=str(table.get("reports", key)),
        personal=_flag(table, "personal"),
        sensitive=_flag(table, "sensitive"),
        strength=int(cast("int", table["strength"])),
        data_class=str(table["class"]),
        chance=float(cast("float", table["chance"])),
        mask=(int(front), int(back)),
    )


def _header(kind: str, table: Table) -> HeaderWords:
    _known(kind, table, _HEADER_KEYS)
    return HeaderWords(
        key=kind,
        kind=str(table.get("reports", kind)),
        personal=_flag(table, "personal"),
        sensitive=_flag(table, "sensitive"),
        certain=_flag(table, "certain"),
        data_class=str(table["class"]),
        words=frozenset(_strings(table, "words")),
        parts=_strings(table, "parts"),
        supports=frozenset(_strings(table, "supports") if "supports" in table else ()),
        instead=frozenset(_strings(table, "instead") if "instead" in table else ()),
    )


def _marks(secrecy: Table, internal: Table) -> Marks:
    marks = Marks(
        levels=_strings(secrecy, "levels"),
        always=frozenset(_strings(secrecy, "always")),
        stars="".join(_strings(secrecy, "stars")),
        labels=_strings(secrecy, "labels"),
        brackets=_strings(secrecy, "brackets"),
        internal=_strings(internal, "words"),
        formed=_strings(internal, "formed"),
    )
    words = marks.levels + marks.internal + marks.formed
    if any(len(word.encode()) != 3 * len(word) or not 2 <= len(word) <= 4 for word in words):
        raise ValueError("marks are words of two to four Chinese characters")
    return marks


def _provinces(table: Table) -> npt.NDArray[np.bool_]:
    known = np.zeros(100, np.bool_)
    known[cast("list[int]", table["provinces"])] = True
    return known


def _issuers(table: Table) -> npt.NDArray[np.uint32]:
    lengths = np.zeros(10_000, np.uint32)
    for issuer in cast("list[dict[str, str | list[int]]]", table["issuers"]):
        first, last = str(issuer["from"]), str(issuer["to"])
        if len(first) != len(last) or not 1 <= len(first) <= 4:
            raise ValueError(f"issuer range {first}-{last} must have one to four digits on both sides")
        bits = np.uint32(sum(1 << int(n) for n in issuer["lengths"]))
        lengths[int(first.ljust(4, "0")) : int(last.ljust(4, "9")) + 1] |= bits
    return lengths


def _context(table: Table) -> tuple[bytes, ...]:
    words = tuple(word.encode() for word in _strings(table, "context"))
    if any(len(word) < 2 or word != word.lower() or b"_" in word or b"-" in word for word in words):
        raise ValueError(
            "words of a context have two bytes and more, in lower case, and blanks for hyphens and underscores"
        )
    return words


def _forms(table: Table) -> npt.NDArray[np.bool_]:
    """Shape (33, 729): by digits and by letters in base 27."""
    known = np.zeros((_LONGEST_FORM + 1, 27 * 27), np.bool_)
    for form in cast("list[dict[str, str | int]]", table["forms"]):
        codes = [0]
        for letter in str(form["letters"]):
            every = "ABCDEFGHJKLMNPQRSTUVWXYZ" if letter == "?" else letter
            codes = [code * 27 + ord(one) - ord("A") + 1 for code in codes for one in every]
        known[int(form["digits"]), codes] = True
    return known


def _track(table: Table) -> TrackWords:
    return TrackWords(frozenset(_strings(table, "times")), frozenset(_strings(table, "subjects")))


def _table(document: Table, key: str) -> Table:
    table = document[key]
    if not isinstance(table, Mapping):
        raise TypeError(f"{key} must be a table")
    return table


def _known(name: str, table: Table, required: set[str]) -> None:
    missing, unknown = required - set(table), set(table) - required - _EXTRA_KEYS
    if missing or unknown:
        raise ValueError(f"[{name}] misses {sorted(missing)} and does not know {sorted(unknown)}")


def _flag(table: Table, key: str) -> bool:
    value = table[key]
    if not isinstance(value, bool):
        raise TypeError(f"{key} must be true or false")
    return value


def _strings(table: Table, key: str) -> tuple[str, ...]:
    value = table[key]
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise TypeError(f"{key} must be a list of strings")
    return tuple(value)
