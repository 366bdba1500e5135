"""NIfTI-1 and NIfTI-2 images, `.nii` and the `.hdr` of a pair (nifti1.h and nifti2.h of the NIfTI Data Format Working Group).

Every text field and every extension is classified; voxels are passed over and must be as many as the dimensions say. The image
does not say of whom it is: the subject is the `sub-` of its path (BIDS 1.10, common principles), else nobody known by name.

A change must keep: a volume fine enough to show a face is one, unless its name or its intent says that there is none in it.
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass
from typing import Final

from gateway.inspect.forward import Cursor, Window, plain_text
from gateway.inspect.limits import Unreadable
from gateway.inspect.report import Report
from gateway.inspect.source import Source, Stream

_BITS: Final = {
    1: 1, 2: 8, 4: 16, 8: 32, 16: 32, 32: 64, 64: 64, 128: 24, 256: 8, 512: 16, 768: 32, 1024: 64, 1280: 64, 1536: 128,
    1792: 128, 2048: 256, 2304: 32,
}  # fmt: skip
_DICOM, _PICKLE = 2, 16  # codes of extensions (nifti1_io.h)
_EXTENSIONS: Final = 1_000
_SUBJECT: Final = re.compile(r"(?:^|[/\\_])sub-([A-Za-z0-9]+)")
_FACELESS: Final = re.compile(
    r"defac|skull-?strip|stripped|desc-brain|brain_?mask|[_-]mask|dseg|probseg|aparc|aseg|_bet\b|pydeface|mri_deface|tissue",
    re.IGNORECASE,
)
_LABEL, _STATISTICS = 1002, range(2, 25)  # intents: a segmentation, a map of a test's values
_FINE: Final = 3.0  # mm: coarser voxels show no features
_SPANS_HEAD: Final = 90.0  # mm in every direction


@dataclass(frozen=True)
class Header:
    """What is used of either version.

    Attributes:
        size: Bytes of the header itself.
        paired: The voxels are in another file.
        dimensions: Counts of each.
        spacing: Of the first three, in mm as a rule.
        bits: Of a voxel.
        offset: Where voxels begin.
        intent: Code of what the values mean.
        texts: Free text by field.
    """

    size: int
    paired: bool
    dimensions: tuple[int, ...]
    spacing: tuple[float, ...]
    bits: int
    offset: int
    intent: int
    texts: dict[str, bytes]


def inspect(source: Source | Stream, report: Report) -> None:
    """The whole image."""
    cursor = Cursor(source, report.context.budget, "nifti")
    header, order = _header(cursor)
    sink = report.text("header")
    for name, value in header.texts.items():
        if value.strip(b"\0 "):
            text = value.replace(b"\0", b" ")
            sink.line(f"{name}: {plain_text(text) or text.decode('latin-1')}")
    report.cover(0, header.size)
    flags = cursor.some(4)
    if header.paired and not flags:  # a .hdr may end with the header
        _people(header, report)
        return
    if len(flags) < 4 or flags[0] > 1:
        raise Unreadable("nifti: no word about extensions behind the header")
    report.cover(header.size, header.size + 4 if not any(flags[1:]) else header.size + 1)
    if flags[0]:
        _extensions(cursor, header, order, report)
    _people(header, report)
    if not header.paired:
        _voxels(cursor, header, report)


def _header(cursor: Cursor) -> tuple[Header, str]:
    head = cursor.peek(8)
    for order in "<>":
        size = struct.unpack_from(order + "i", head.ljust(4, b"\0"))[0]
        if size == 348:
            return _first(cursor.take(348), order), order
        if size == 540:
            return _second(cursor.take(540), order), order
    raise Unreadable("nifti: no header of 348 or 540 bytes")


def _first(raw: bytes, order: str) -> Header:
    dim = struct.unpack_from(order + "8h", raw, 40)
    intent, datatype, bits = struct.unpack_from(order + "3h", raw, 68)
    spacing = struct.unpack_from(order + "8f", raw, 76)
    offset = struct.unpack_from(order + "f", raw, 108)[0]
    if not math.isfinite(offset) or offset != int(offset):
        raise Unreadable("nifti: the voxels begin nowhere")
    texts = {
        "data_type": raw[4:14],
        "db_name": raw[14:32],
        "descrip": raw[148:228],
        "aux_file": raw[228:252],
        "intent_name": raw[328:344],
    }
    return _checked(raw[344:348], 348, dim, spacing, (datatype, bits), int(offset), intent, texts)


def _second(raw: bytes, order: str) -> Header:
    datatype, bits = struct.unpack_from(order + "2h", raw, 12)
    dim = struct.unpack_from(order + "8q", raw, 16)
    spacing = struct.unpack_from(order + "8d", raw, 104)
    offset = struct.unpack_from(order + "q", raw, 168)[0]
    intent = struct.unpack_from(order + "i", raw, 504)[0]
    texts = {"descrip": raw[240:320], "aux_file": raw[320:344], "intent_name": raw[508:524], "unused": raw[525:540]}
    if raw[8:12] != b"\r\n\x1a\n":
        raise Unreadable("nifti: the signature is damaged")
    return _checked(raw[4:8], 540, dim, spacing, (datatype, bits), offset, intent, texts)


def _checked(
    magic: bytes, size: int, dim: tuple[int, ...], spacing: tuple[float, ...], kind: tuple[int, int], offset: int, intent: int,
    texts: dict[str, bytes],
) -> Header:  # fmt: skip
    if magic not in {b"n+1\0", b"ni1\0", b"n+2\0", b"ni2\0"}:
        raise Unreadable("nifti: no signature")
    count = dim[0]
    if not 1 <= count <= 7 or any(each < 1 or each > 1 << 31 for each in dim[1 : count + 1]):
        raise Unreadable("nifti: dimensions that cannot be")
    if _BITS.get(kind[0]) != kind[1]:
        raise Unreadable("nifti: a voxel of another size than its type has")
    paired = magic.startswith(b"ni")
    if not paired and not size + 4 <= offset <= 1 << 40:
        raise Unreadable("nifti: the voxels begin within the header")
    return Header(size, paired, dim[1 : count + 1], tuple(map(abs, spacing[1:4])), kind[1], offset, intent, texts)


def _extensions(cursor: Cursor, header: Header, order: str, report: Report) -> None:
    """Blocks of size, code and content up to the voxels (nifti1.h, "EXTENDED HEADER")."""
    sink = report.text("extensions")
    for _ in range(_EXTENSIONS):
        if (not header.paired and cursor.at + 16 > header.offset) or not cursor.peek(8):
            return
        start = cursor.at
        size, code = cursor.unpack(order + "2i")
        if size < 16 or size % 16 or (not header.paired and start + size > header.offset):
            raise Unreadable("nifti: an extension of a size that cannot be")
        report.cover(start, start + 8)
        if code == _PICKLE:
            report.unreadable("nifti: an extension holds a program (pickle)")
        if code == _DICOM:
            window = Window(cursor, size - 8)
            if report.member("extension.dcm", window).inspectable:  # type: ignore[arg-type]  # a raw file reads like any
                report.cover(start + 8, start + size)
            while window.left:
                window.read(1 << 20)
            continue
        content = cursor.take(size - 8)
        text = plain_text(content)
        if text is not None:
            sink.line(text)
            report.cover(start + 8, start + size)
    raise Unreadable(f"nifti: more than {_EXTENSIONS} extensions", kind="archive_limit")


def _voxels(cursor: Cursor, header: Header, report: Report) -> None:
    between = header.offset - cursor.at
    if between > 0:
        start = cursor.at
        report.cover(start, start + between if cursor.zeros(between) else start)
    bits = math.prod(header.dimensions) * header.bits
    start = cursor.at
    cursor.skip((bits + 7) // 8)
    report.cover(start, cursor.at)


def _people(header: Header, report: Report) -> None:
    path = report.path.rpartition("!/")[2] if "sub-" in report.path.rpartition("!/")[2] else report.path
    subject = _SUBJECT.findall(path)
    report.subjects(subject[-1:], unnamed=0 if subject else 1)
    report.classed("medical_image")
    if _shows_face(header) and not _FACELESS.search(path.replace("\\", "/").rpartition("/")[2]):
        report.found("face_image", "voxels")
        report.classed("biometric")


def _shows_face(header: Header) -> bool:
    """A volume of fine voxels, as large as a head; no map of labels or of statistics."""
    if header.intent == _LABEL or header.intent in _STATISTICS or header.bits == 1 or len(header.dimensions) < 3:
        return False
    spacing = [each if 0 < each < 100 else 1.0 for each in header.spacing]
    extent = [count * each for count, each in zip(header.dimensions, spacing, strict=False)]
    return sorted(spacing)[1] <= _FINE and min(extent[:3]) >= _SPANS_HEAD
