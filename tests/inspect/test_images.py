"""Pictures: their text, their EXIF, what follows them; pixels that nobody sees hold a file unless a setting says otherwise."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin, TiffImagePlugin

from gateway.inspect.limits import Limits
from gateway.inspect.objects import inspect_file
from gateway.inspect.source import MemoryStore
from gateway.stores.detectors import load_detector_tables

TABLES = load_detector_tables()
MARK = "机密★10年"
NOTED = Limits(pictures="noted")
FORMS = ("png", "jpeg", "gif", "tiff")


def inspected(content: bytes, path: str = "a.bin", limits: Limits = NOTED):
    return inspect_file(MemoryStore(content), path, TABLES, limits)


def kinds(found) -> set[str]:
    return {finding.kind for finding in found.findings}


def picture(form: str, size: tuple[int, int] = (200, 100), **options) -> bytes:
    out = io.BytesIO()
    Image.effect_noise(size, 40).convert("P" if form == "gif" else "RGB").save(out, form, **options)
    return out.getvalue()


@pytest.mark.parametrize("form", FORMS)
def test_pixels_are_covered_and_hold_the_file_unless_they_are_only_noted(form):
    content = picture(form)
    found = inspected(content, limits=Limits())
    assert found.format == form
    assert not found.inspectable
    assert found.coverage == ((0, len(content)),)
    found = inspected(content)
    assert found.inspectable, found.findings
    assert [f.confidence for f in found.findings if f.kind == "face_image"] == ["weak"]
    assert not found.personal


@pytest.mark.parametrize("form", FORMS)
def test_icons_are_too_small_to_hold_a_file(form):
    assert inspected(picture(form, (16, 16)), limits=Limits()).inspectable


@pytest.mark.parametrize("form", FORMS)
def test_what_follows_a_picture_is_a_gap(form):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("people.csv", "x")
    content = picture(form)
    found = inspected(content + inner.getvalue())
    assert not found.inspectable
    assert [f.where for f in found.findings if f.kind == "gap"] == [
        f"bytes {len(content)}-{len(content) + len(inner.getvalue())}"
    ]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("cut", [1, 2, 5, 50, 4000])
def test_a_cut_picture_is_never_clean(form, cut):
    assert not inspected(picture(form)[:-cut]).inspectable


@pytest.mark.parametrize("packed", [False, True])
def test_text_of_png_is_read(packed):
    for add in ("add_text", "add_itxt"):
        info = PngImagePlugin.PngInfo()
        getattr(info, add)("Comment", MARK if add == "add_itxt" else "id number 11010519491231002X", zip=packed)
        found = inspected(picture("png", pnginfo=info))
        assert found.inspectable, found.findings
        assert found.secrecy_mark or found.persons.nonsensitive == 1


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(body, zlib.crc32(kind)))


def test_slack_in_png_is_found():
    content = picture("png", (64, 64))
    at = content.index(b"IDAT") - 4
    assert not inspected(content[:at] + chunk(b"teXX", b"\0\1hidden") + content[at:]).inspectable
    end = content.index(b"IEND") - 4
    pixels = bytes(64 * (1 + 64 * 3))
    data = [chunk(b"IDAT", zlib.compress(pixels) + b"hidden"), chunk(b"IDAT", zlib.compress(pixels + b"hidden"))]
    assert inspected(content[:at] + chunk(b"IDAT", zlib.compress(pixels)) + content[end:]).inspectable
    for more in data:
        assert not inspected(content[:at] + more + content[end:]).inspectable
    assert not inspected(content[:at] + chunk(b"tEXt", bytes(range(256))) + content[at:]).inspectable
    broken = bytearray(content)
    broken[at + 20] ^= 1
    assert not inspected(bytes(broken)).inspectable


def test_interlaced_png_is_read():
    width, height = 9, 7
    rows = b"".join(
        (1 + wide) * high * b"\0"
        for left, top, across, down in (
            (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)
        )
        if (wide := len(range(left, width, across))) and (high := len(range(top, height, down)))
    )  # fmt: skip
    header = struct.pack(">2L5B", width, height, 8, 0, 0, 0, 1)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert Image.open(io.BytesIO(content)).load() is not None
    assert inspected(content).inspectable


def exif() -> Image.Exif:
    tags = Image.Exif()
    tags[0x010F], tags[0x0110] = "Camera Works", "Model 1"
    tags.get_ifd(0x8769)[0xA431] = "serial 12345"
    tags.get_ifd(0x8825).update({1: "N", 2: (22.0, 31.0, 12.3456), 3: "E", 4: (113.0, 56.0, 1.2345)})
    return tags


@pytest.mark.parametrize("form", ["png", "jpeg"])
def test_exif_tells_the_place_and_the_camera(form):
    found = inspected(picture(form, exif=exif()))
    assert found.precise_geo
    assert "geo_precise" in kinds(found)
    assert [f.where for f in found.findings if "camera" in f.where] == ["EXIF: taken by a camera"]
    assert found.inspectable, found.findings


@pytest.mark.parametrize("tag", [0x010E, 0x013B, 0x9C9C])
def test_text_in_exif_is_read(tag):
    tags = Image.Exif()
    tags[tag] = MARK.encode("utf-16-le") + b"\0\0" if tag == 0x9C9C else MARK.encode()
    for form in ("jpeg", "tiff"):
        found = inspected(picture(form, exif=tags) if form == "jpeg" else picture("tiff", tiffinfo=tags))
        assert found.secrecy_mark, (form, found.findings)


def test_comments_and_xmp_of_jpeg_and_gif_are_read():
    assert inspected(picture("jpeg", comment=MARK.encode())).secrecy_mark
    assert inspected(picture("gif", comment=MARK.encode())).secrecy_mark
    assert inspected(picture("jpeg", xmp=f"<x>{MARK}</x>".encode())).secrecy_mark
    found = inspected(picture("jpeg")[:2] + b"\xff\xef\x00\x0ahidden\x00\x01" + picture("jpeg")[2:])
    assert not found.inspectable
    assert "gap" in kinds(found)


def test_a_progressive_jpeg_with_restarts_is_read():
    assert inspected(picture("jpeg", progressive=True, restart_marker_rows=1)).inspectable


def test_slack_in_tiff_is_a_gap():
    content = picture("tiff")
    assert not inspected(content + b"hidden").inspectable
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[65000] = b"\0\1\2\3hidden bytes of a private tag"
    tags.tagtype[65000] = 7
    found = inspected(picture("tiff", tiffinfo=tags))
    assert not found.inspectable


@pytest.mark.parametrize("packing", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
def test_strips_of_any_length_are_followed_by_a_word(packing):
    for width in range(9, 17):
        content = picture("tiff", (width, 9), compression=packing)
        found = inspected(content)
        assert found.inspectable, (width, found.findings)


def test_a_directory_that_leads_to_itself_ends():
    content = bytearray(
        b"II*\0\x08\0\0\0" + struct.pack("<H", 1) + struct.pack("<2HLL", 256, 3, 1, 5) + struct.pack("<L", 8)
    )
    assert not inspected(bytes(content)).inspectable


WHOLE = {form: picture(form, (20, 20)) for form in FORMS}


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(FORMS), st.integers(0, 10_000), st.integers(1, 255), st.integers(8, 10_000))
def test_damage_is_a_finding_and_never_an_exception(form, at, change, cut):
    damaged = bytearray(WHOLE[form])
    damaged[at % len(damaged)] ^= change
    inspected(bytes(damaged))
    assert not inspected(WHOLE[form][: max(cut % len(damaged), 8)]).inspectable
