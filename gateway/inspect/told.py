"""A worker's answer on its way to the gateway: frames of a length, a JSON object, and packed numbers.

The worker read bytes that a stranger made, and may be under their control. So its answer is parsed as a stranger's: bounded,
and with no field believed that would not be believed of a file. What a captured worker can still do is call its own file clean.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, get_args

import numpy as np

from gateway.core.classify import CAP, FileFindings, Finding, Hgr, Level, PersonCount, PersonSet
from gateway.core.classify.findings import Basis, Confidence
from gateway.core.errors import Unusable

WORDS: Final = 64 * 1024 * 1024  # bytes of the JSON: 1,000 findings with their places take a few hundred kB
NUMBERS: Final = 4 * 8 * CAP  # bytes of packed persons: at most three sets of one file, and room
LENGTHS: Final = struct.Struct(">II")  # bytes of JSON, bytes of numbers
_KIND: Final = 64
_PLACE: Final = 4_096
_FINDINGS: Final = 20_000
_SPANS: Final = 200_000


def encode(findings: FileFindings) -> bytes:
    """A frame."""
    numbers: list[bytes] = []
    document = findings.to_json("")
    for name in ("secrecy_mark", "personal", "sensitive", "precise_geo"):
        document[name] = getattr(findings, name)
    document["births"] = {str(day): count for day, count in findings.births.items()}
    document["categories"] = {name: list(words) for name, words in findings.categories.items()}
    document["columns"] = None if findings.columns is None else list(findings.columns)
    document["subject_limits"] = dict(findings.subject_limits)
    document["people"] = [_people(people, numbers) for people in findings.people]
    words = json.dumps(document).encode()
    packed = b"".join(numbers)
    return LENGTHS.pack(len(words), len(packed)) + words + packed


def _people(people: PersonSet, numbers: list[bytes]) -> dict[str, Any]:
    numbers += [values.astype(">u8").tobytes() for values in people.values.values()]
    return {
        "values": {kind: len(values) for kind, values in people.values.items()},
        "uncounted": people.uncounted,
        "sensitive": people.sensitive,
        "ordinary": people.ordinary,
    }


def decode(words: bytes, numbers: bytes, *, path: str, size: int) -> FileFindings:
    """The findings of the file that was asked about.

    Raises:
        Unusable: The answer is none, or is about another file.
    """
    try:
        document = json.loads(words)
        found = _findings(document, numbers)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as wrong:
        raise Unusable("an inspector's answer cannot be read") from wrong
    if found.path != path or found.size != size:
        raise Unusable("an inspector answered about another file")
    return found


def _findings(document: Mapping[str, Any], numbers: bytes) -> FileFindings:
    sets, used = [], 0
    for each in _listed(document["people"], 8):
        people, used = _set(each, numbers, used)
        sets.append(people)
    if used != len(numbers) or not sets:
        raise ValueError("numbers that belong to nobody")
    persons, hgr = document["persons"], document["hgr"]
    return FileFindings(
        path=_word(document["path"], _PLACE * 4),
        size=_count(document["size"]),
        format=_word(document["format"], _KIND),
        level=_among(document["level"], Level),
        classes=tuple(_word(each, _KIND) for each in _listed(document["classes"], 1_000)),
        inspectable=_flag(document["inspectable"]),
        coverage=tuple((_count(start), _count(end)) for start, end in _listed(document["coverage"], _SPANS)),
        persons=PersonCount(
            _count(persons["sensitive"]), _count(persons["nonsensitive"]), _among(persons["basis"], Basis)
        ),
        hgr=Hgr(
            _flag(hgr["information"]),
            _count(hgr["sequencing_subjects"]),
            _count(hgr["subjects"]),
            _flag(hgr["aggregate_only"]),
        ),
        findings=tuple(map(_finding, _listed(document["findings"], _FINDINGS))),
        secrecy_mark=_flag(document["secrecy_mark"]),
        personal=_flag(document["personal"]),
        sensitive=_flag(document["sensitive"]),
        precise_geo=_flag(document["precise_geo"]),
        identifiers=sets[0],
        others=tuple(sets[1:]),
        births={_count(int(day)): _count(count) for day, count in _table(document["births"])},
        categories={
            _word(name, _KIND): tuple(_word(each, _KIND) for each in _listed(words, 1_000))
            for name, words in _table(document["categories"])
        },
        columns=None
        if document["columns"] is None
        else tuple(_word(each, _PLACE) for each in _listed(document["columns"], _SPANS)),
        subject_limits={_word(name, _KIND): _count(limit) for name, limit in _table(document["subject_limits"])},
    )


def _set(told: Mapping[str, Any], numbers: bytes, used: int) -> tuple[PersonSet, int]:
    values = {}
    for kind, length in _table(told["values"]):
        end = used + 8 * _count(length)
        if end > len(numbers):
            raise ValueError("fewer numbers than announced")
        part = np.frombuffer(numbers[used:end], ">u8").astype(np.uint64)
        if (part[1:] <= part[:-1]).any():
            raise ValueError("numbers that are not sorted and distinct")
        values[_word(kind, _KIND)] = part
        used = end
    people = PersonSet(
        values, _count(told["uncounted"]), sensitive=_flag(told["sensitive"]), ordinary=_flag(told["ordinary"])
    )
    return people, used


def _finding(told: Mapping[str, Any]) -> Finding:
    return Finding(
        _word(told["kind"], _KIND),
        _word(told["where"], _PLACE),
        _count(told["count"]),
        _count(told["distinct"]),
        _among(told["confidence"], Confidence),
        tuple(_word(each, 512) for each in _listed(told["samples"], 8)),
    )


def _listed(value: Any, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise ValueError("a list that is none, or too long")
    return value


def _table(value: Any) -> Iterable[tuple[Any, Any]]:
    if not isinstance(value, dict) or len(value) > _SPANS:
        raise ValueError("a table that is none, or too long")
    return value.items()


def _word(value: Any, most: int) -> str:
    if not isinstance(value, str) or len(value) > most:
        raise ValueError("a word that is none, or too long")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 62:
        raise ValueError("a number that counts nothing")
    return value


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError("a flag that is none")
    return value


def _among(value: Any, literal: Any) -> Any:
    if value not in get_args(literal):
        raise ValueError("a word outside its list")
    return value


Reader = Callable[[int], bytes]


def read_frame(read: Reader) -> tuple[bytes, bytes]:
    """The two parts of a frame; `read` gives exactly as many bytes as asked for.

    Raises:
        Unusable: It announces more than an answer can have.
    """
    words, numbers = LENGTHS.unpack(read(LENGTHS.size))
    if words > WORDS or numbers > NUMBERS:
        raise Unusable("an inspector's answer is too long")
    return read(words), read(numbers)
