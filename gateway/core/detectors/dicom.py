"""What in a DICOM object tells who it is about: tags, modalities and words, parsed once from data.

Not here: DICOM files (`gateway.inspect.parsers.dicom` reads them). A change must keep: a line that is not understood is
refused by its text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast

Action = Literal["X", "Z", "D", "U"]
_TAG: Final = re.compile(r"([0-9A-F]{4}),([0-9A-F]{4}) ([A-Za-z0-9]+) ([XZDU])((?: 1131\d\d)*)")


@dataclass(frozen=True)
class IdentityTag:
    """A tag that identifies.

    Attributes:
        place: As findings show it: `(0010,0010) PatientName`.
        action: Of the basic profile: X remove, Z empty or dummy, D dummy, U another UID (PS3.15 table E.1-1).
        options: Codes of the options that keep it (PS3.16 CID 7050).
    """

    place: str
    action: Action
    options: frozenset[str]

    def remains(self, methods: frozenset[str]) -> bool:
        """Whether a value may stand here after de-identification by these methods."""
        return self.action != "X" or bool(self.options & methods)


@dataclass(frozen=True)
class DicomTable:
    """Everything the DICOM inspector looks up.

    Attributes:
        tags: By group << 16 | element.
        burned_in_modalities: Modalities whose pixels often hold text.
        burned_in_classes: Beginnings of such SOP class UIDs.
        burned_in_types: Such values of ImageType, upper case.
        face_modalities: Modalities from which a face can be rebuilt.
        face_words: Lower-case words of a head in descriptions.
        face_parts: The same, found anywhere.
    """

    tags: Mapping[int, IdentityTag]
    burned_in_modalities: frozenset[str]
    burned_in_classes: tuple[str, ...]
    burned_in_types: frozenset[str]
    face_modalities: frozenset[str]
    face_words: frozenset[str]
    face_parts: tuple[str, ...]


def parse_dicom(document: Mapping[str, object]) -> DicomTable:
    """Read `policies/detectors/dicom.toml`.

    Raises:
        KeyError: A table or list is missing.
        TypeError: Something is no list of strings.
        ValueError: A tag's line is not understood.
    """
    identity, face = _table(document, "dicom_identity"), _table(document, "face_image")
    return DicomTable(
        tags=dict(map(_tag, _strings(identity, "tags"))),
        burned_in_modalities=frozenset(_strings(identity, "burned_in_modalities")),
        burned_in_classes=_strings(identity, "burned_in_classes"),
        burned_in_types=frozenset(_strings(identity, "burned_in_types")),
        face_modalities=frozenset(_strings(face, "modalities")),
        face_words=frozenset(_strings(face, "words")),
        face_parts=_strings(face, "parts"),
    )


def _tag(line: str) -> tuple[int, IdentityTag]:
    match = _TAG.fullmatch(line)
    if match is None:
        raise ValueError(f"{line!r} is no group,element keyword action")
    group, element, keyword, action, options = match.groups()
    tag = IdentityTag(f"({group},{element}) {keyword}", cast("Action", action), frozenset(options.split()))
    return int(group, 16) << 16 | int(element, 16), tag


def _table(document: Mapping[str, object], key: str) -> Mapping[str, object]:
    table = document[key]
    if not isinstance(table, Mapping):
        raise TypeError(f"{key} must be a table")
    return table


def _strings(table: Mapping[str, object], key: str) -> tuple[str, ...]:
    value = table[key]
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise TypeError(f"{key} must be a list of strings")
    return tuple(value)
