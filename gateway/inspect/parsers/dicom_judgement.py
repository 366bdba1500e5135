"""What the elements of a DICOM object say of people: who, how old, recognisable or not, de-identified or not.

Rules (rules.md 10.3; PS3.15 annex E):

1. An identifying tag with a value is a finding. It is strong unless the object states that it was de-identified, (0012,0062)
   YES with a method in (0012,0063) or (0012,0064), and the profile lets a value stand there: then it may be a dummy.
2. Patients are subjects, with their issuer; one without an identifier goes by name and birth date, or by the study.
3. A head in a modality that shows the surface is a face, unless (0028,0302) says NO.
4. Pixels may hold text unless (0028,0301) says NO, where the modality is one whose pixels often do; YES always.

A change must keep: silence is never taken for a NO where rule 3 or 4 asks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from gateway.core.detectors.dicom import DicomTable
from gateway.inspect.parsers.dicom_elements import Dataset, Element, place_of
from gateway.inspect.report import Report

IMAGE_TYPE, SOP_CLASS, MODALITY, CONVERSION = 0x00080008, 0x00080016, 0x00080060, 0x00080064
NAME, PATIENT, ISSUER, BIRTH, AGE = 0x00100010, 0x00100020, 0x00100021, 0x00100030, 0x00101010
REMOVED, METHOD, METHOD_CODES = 0x00120062, 0x00120063, 0x00120064
STUDY, BURNED_IN, FEATURES, RECORD, RECORDS = 0x0020000D, 0x00280301, 0x00280302, 0x00041430, 0x00041220
_DATES: Final = (0x00080020, 0x00080021, 0x00080022, 0x00080023)
_DESCRIPTIONS: Final = (0x00081030, 0x0008103E, 0x00180015, 0x00181030, 0x00081032)
_CODE, _MEANING = 0x00080100, 0x00080104
_DESCRIBING: Final = frozenset({0x00082218, 0x00082228, 0x00081032, 0x00321064})  # anatomic region, procedure
KEPT: Final = frozenset(
    {IMAGE_TYPE, SOP_CLASS, MODALITY, CONVERSION, NAME, PATIENT, ISSUER, BIRTH, AGE, REMOVED, METHOD, STUDY, BURNED_IN,
     FEATURES, RECORD, *_DATES, *_DESCRIPTIONS}
)  # fmt: skip
_WORDS: Final = re.compile(r"[a-z]+")
_AGE: Final = re.compile(r"(\d{3})([DWMY])")
_YEARS: Final = {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}
_DISTINCT: Final = 100_000


@dataclass
class Seen:
    """An identifying tag in the object."""

    count: int = 0
    values: set[bytes] = field(default_factory=set)


class Judgement:
    """Grows as elements are read.

    Attributes:
        has_pixels: The object holds an image.
        directory: The object is a DICOMDIR.
    """

    def __init__(self, table: DicomTable) -> None:
        self._table = table
        self._seen: dict[int, Seen] = {}
        self._root: dict[int, str] = {}
        self._records: list[dict[int, str]] = []
        self._homes: dict[int, tuple[Dataset, dict[int, str]]] = {}
        self._methods: set[str] = set()
        self._descriptions: list[str] = []
        self._private: dict[int, int] = {}
        self.has_pixels = False
        self.directory = False

    def value(self, element: Element, raw: bytes, text: str) -> None:
        """An element with a value, as bytes and as text where it is one."""
        path, tag = element.home.path, element.tag
        if element.private:
            self._private[tag >> 16] = self._private.get(tag >> 16, 0) + 1
        if not raw.strip(b"\0 "):
            return
        if tag in self._table.tags:
            self._note(tag, raw)
        if path == (METHOD_CODES,) and tag == _CODE:
            self._methods.add(text.strip())
        elif tag == _MEANING and path and path[-1] in _DESCRIBING:
            self._descriptions.append(text[:1024])
        elif not path and tag in KEPT:
            self._root[tag] = text.strip()
        elif path == (RECORDS,) and tag in {NAME, PATIENT, ISSUER, BIRTH, RECORD, AGE, _DATES[0]}:
            self._record(element.home)[tag] = text.strip()

    def sequence(self, element: Element) -> None:
        """A sequence with items in it."""
        if element.tag in self._table.tags:
            self._note(element.tag, b"")
        if element.tag == RECORDS:
            self.directory = True
        if element.tag == METHOD_CODES and not element.home.path:
            self._methods.add("")

    def _note(self, tag: int, raw: bytes) -> None:
        seen = self._seen.setdefault(tag, Seen())
        seen.count += 1
        if len(seen.values) < _DISTINCT:
            seen.values.add(raw[:128])

    def _record(self, home: Dataset) -> dict[int, str]:
        if not self._homes or id(home) not in self._homes:
            self._homes = {id(home): (home, {})}  # records come one after another: the last one is enough
            self._records.append(self._homes[id(home)][1])
        return self._homes[id(home)][1]

    # --- the end -----------------------------------------------------------------------------------------------------

    @property
    def deidentified(self) -> bool:
        """Rule 1."""
        return self._root.get(REMOVED, "").upper() == "YES" and bool(self._root.get(METHOD) or self._methods)

    def tell(self, report: Report) -> None:
        """Everything, as findings."""
        methods = frozenset(self._methods)
        for tag, seen in sorted(self._seen.items()):
            rule = self._table.tags[tag]
            weak = self.deidentified and rule.remains(methods)
            report.found("dicom_identity", rule.place, count=seen.count, distinct=max(len(seen.values), 1), weak=weak)
        for group, count in sorted(self._private.items())[:32]:
            report.found("dicom_identity", f"private group {group:04X}", count=count, weak=True)
        report.classed("medical_image", *({"identity"} if self._seen and not self.deidentified else ()))
        self._patients(report)
        for told in [self._root, *self._records]:
            self._ages(told, report)
        self._face(report)
        self._burned_in(report)

    def _patients(self, report: Report) -> None:
        people = [told for told in self._records if told.get(RECORD) == "PATIENT" or PATIENT in told]
        if not self.directory:
            people.append(self._root)
        names = [self._key(told) for told in people]
        report.subjects((name for name in names if name), unnamed=names.count(""))

    @staticmethod
    def _key(told: dict[int, str]) -> str:
        if told.get(PATIENT):
            issuer = told.get(ISSUER, "")
            return f"{issuer}\x1f{told[PATIENT]}" if issuer else told[PATIENT]
        if told.get(NAME):
            return f"{told[NAME]}\x1f{told.get(BIRTH, '')}"
        return told.get(STUDY, "")

    def _ages(self, told: dict[int, str], report: Report) -> None:
        ages = [age for age in (_stated_age(told.get(AGE, "")), _age_then(told)) if age is not None]
        if any(age < 14 for age in ages):
            report.found("minor", place_of(AGE))
        if any(age >= 90 for age in ages):
            report.found("dicom_identity", f"{place_of(AGE)} over 89")

    def _face(self, report: Report) -> None:
        table, features = self._table, self._root.get(FEATURES, "").upper()
        if not self.has_pixels or features == "NO":
            return
        shown = "\n".join([*(self._root.get(tag, "") for tag in _DESCRIPTIONS), *self._descriptions]).lower()
        head = not table.face_words.isdisjoint(_WORDS.findall(shown)) or any(part in shown for part in table.face_parts)
        surface = self._root.get(MODALITY, "") in table.face_modalities
        if features == "YES" or (head and surface):
            report.found("face_image", place_of(FEATURES) if features else place_of(_DESCRIPTIONS[2]))
            report.classed("biometric")
        elif surface and not shown.strip():
            report.found("face_image", f"{place_of(_DESCRIPTIONS[2])}: not stated", weak=True)

    def _burned_in(self, report: Report) -> None:
        stated = self._root.get(BURNED_IN, "").upper()
        if not self.has_pixels or stated == "NO":
            return
        if stated == "YES" or self._may_hold_text():
            report.found("dicom_identity", place_of(BURNED_IN) if stated else f"{place_of(BURNED_IN)}: not stated")
            report.unreadable("dicom: text may be burned into the pixels; state NO in (0028,0301) where it is not")

    def _may_hold_text(self) -> bool:
        table, root = self._table, self._root
        types = {part.strip().upper() for part in root.get(IMAGE_TYPE, "").split("\\")}
        return (
            root.get(MODALITY, "OT") in table.burned_in_modalities
            or root.get(SOP_CLASS, "").startswith(table.burned_in_classes)
            or not table.burned_in_types.isdisjoint(types)
            or bool(root.get(CONVERSION))
            or bool(root.get(BURNED_IN))
        )


def _stated_age(text: str) -> float | None:
    match = _AGE.fullmatch(text)
    return int(match[1]) / _YEARS[match[2]] if match else None


def _age_then(told: dict[int, str]) -> float | None:
    """Age at the study by its birth date; the latest date of the object counts as its day."""
    born = _day(told.get(BIRTH, ""))
    days = [day for tag in _DATES if (day := _day(told.get(tag, ""))) is not None]
    if born is None or not days:
        return None
    then = min(days)
    return then.year - born.year - ((then.month, then.day) < (born.month, born.day))


def _day(text: str) -> date | None:
    digits = text.replace(".", "")[:8]
    if len(digits) != 8 or not digits.isascii() or not digits.isdigit():
        return None
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None
