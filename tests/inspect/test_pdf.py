"""PDF: what pages show and what objects hide; what no structure refers to."""

from __future__ import annotations

import io

import pypdf
import pypdf.annotations
import pytest
from fpdf import FPDF
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pypdf.generic import (
    ArrayObject,
    ByteStringObject,
    DecodedStreamObject,
    DictionaryObject,
    FloatObject,
    NameObject,
    TextStringObject,
)

from gateway.inspect.limits import Limits
from gateway.inspect.objects import inspect_file
from gateway.inspect.source import MemoryStore
from gateway.stores.detectors import load_detector_tables

TABLES = load_detector_tables()
MARK = "机密★10年"
IDS = ("11010519491231002X", "440300199001011238")


def inspected(content: bytes, path: str = "report.pdf", limits: Limits | None = None):
    return inspect_file(MemoryStore(content), path, TABLES, limits or Limits())


def kinds(found) -> set[str]:
    return {finding.kind for finding in found.findings}


def printed(*lines: str, **metadata: str) -> bytes:
    pdf = FPDF()
    pdf.set_font("helvetica", size=12)
    for line in lines:
        pdf.add_page()
        pdf.multi_cell(0, 8, line)
    for key, value in metadata.items():
        getattr(pdf, f"set_{key}")(value)
    return bytes(pdf.output())


def rewritten(content: bytes, build, *, incremental: bool = False) -> bytes:
    writer = pypdf.PdfWriter(io.BytesIO(content), incremental=incremental)
    build(writer)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


PLAIN = printed("words on a page", "words on another")


def test_text_of_all_pages_is_read():
    content = printed("words", f"id number {IDS[0]}", f"id number {IDS[1]}")
    found = inspected(content)
    assert found.inspectable, found.findings
    assert found.persons.nonsensitive == 2
    assert found.coverage == ((0, found.size),)
    text = "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(content)).pages)
    assert all(number in text for number in IDS)


def test_object_streams_are_read():
    def squeeze(writer):
        writer.compress_identical_objects()
        for page in writer.pages:
            page.compress_content_streams()

    assert inspected(rewritten(printed(f"id number {IDS[0]}"), squeeze)).persons.nonsensitive == 1


def test_properties_notes_fields_scripts_and_attachments_are_read():
    def properties(writer):
        writer.add_metadata({"/Subject": MARK})

    def note(writer):
        writer.add_annotation(0, pypdf.annotations.FreeText(text=MARK, rect=(50, 50, 200, 100)))

    def script(writer):
        action = {"/S": NameObject("/JavaScript"), "/JS": TextStringObject(f"app.alert('{MARK}')")}
        writer.root_object[NameObject("/OpenAction")] = DictionaryObject({NameObject(k): v for k, v in action.items()})

    def attachment(writer):
        writer.add_attachment("a.txt", MARK.encode())

    def attachment_name(writer):
        writer.add_attachment(MARK, b"words")

    def orphan(writer):
        writer._add_object(TextStringObject(MARK))

    def bytes_string(writer):
        writer._add_object(ByteStringObject(MARK.encode("gb18030")))

    def replacement(writer):
        stream = DecodedStreamObject()
        stream.set_data(b"/Span <</ActualText <FEFF" + MARK.encode("utf-16-be").hex().encode() + b">>> BDC EMC")
        writer.pages[0][NameObject("/Contents")] = writer._add_object(stream)

    builds = (properties, note, script, attachment, attachment_name, orphan, bytes_string, replacement)
    for build in builds:
        assert inspected(rewritten(PLAIN, build)).secrecy_mark, build.__name__


def test_an_attached_table_is_a_member():
    table = "name,id_number\n" + "".join(f"x,{number}\n" for number in IDS)
    found = inspected(rewritten(PLAIN, lambda writer: writer.add_attachment("a.csv", table.encode())))
    assert found.persons.nonsensitive == 2


def test_forms_that_no_page_draws_are_read():
    def build(writer):
        form = DecodedStreamObject()
        form.set_data(f"BT /F1 12 Tf (id number {IDS[0]}) Tj ET".encode())
        font = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
        fonts = DictionaryObject(
            {NameObject("/F1"): DictionaryObject({NameObject(k): NameObject(v) for k, v in font.items()})}
        )
        form.update(
            {
                NameObject("/Type"): NameObject("/XObject"),
                NameObject("/Subtype"): NameObject("/Form"),
                NameObject("/BBox"): ArrayObject([FloatObject(each) for each in (0, 0, 100, 100)]),
                NameObject("/Resources"): DictionaryObject({NameObject("/Font"): fonts}),
            }
        )
        writer._add_object(form)

    assert inspected(rewritten(PLAIN, build)).persons.nonsensitive == 1


@pytest.mark.parametrize(
    "hidden", [b"PK\x03\x04hidden", b"\x01\x02\x03", b"1 0 obj (x) endobj", MARK.encode("utf-16-le")]
)
def test_bytes_outside_of_the_structure_are_a_gap(hidden):
    middle = PLAIN.index(b"endobj") + 7
    for content in (PLAIN + hidden, PLAIN[:middle] + hidden + PLAIN[middle:]):
        found = inspected(content)
        assert not found.inspectable
        assert found.level == "unknown"
    found = inspected(PLAIN + hidden)
    assert [f.where for f in found.findings if f.kind == "gap"] == [f"bytes {len(PLAIN)}-{len(PLAIN) + len(hidden)}"]


def test_comments_between_objects_are_text():
    found = inspected(PLAIN + b"% fine words\n")
    assert found.inspectable, found.findings
    assert inspected(PLAIN + f"% {MARK}\n".encode()).secrecy_mark
    assert not inspected(PLAIN + b"% \x00\x01\x02\xff\xfe\n").inspectable


def test_what_a_revision_left_behind_is_a_gap():
    def first(writer):
        writer.add_metadata({"/Subject": MARK})

    def second(writer):
        writer.add_metadata({"/Subject": "fine"})

    old = rewritten(PLAIN, first)
    found = inspected(rewritten(old, second, incremental=True))
    assert not found.inspectable
    assert "gap" in kinds(found)


def test_bytes_after_the_end_of_a_stream_are_found():
    def build(writer):
        stream = DecodedStreamObject()
        stream.set_data(b"BT ET")
        packed = stream.flate_encode()
        packed._data += b"hidden bytes"
        writer.pages[0][NameObject("/Contents")] = writer._add_object(packed)

    assert not inspected(rewritten(PLAIN, build)).inspectable


def test_a_scanned_page_is_uninspectable_and_its_picture_is_one():
    pdf = FPDF()
    pdf.add_page()
    pdf.image(Image.new("RGB", (400, 300), "white"))
    found = inspected(bytes(pdf.output()))
    assert not found.inspectable
    assert "face_image" in kinds(found)
    assert any("a page without text" in finding.where for finding in found.findings)


def test_pictures_beside_text_hold_the_file_unless_they_are_only_noted():
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("helvetica", size=12)
    pdf.cell(text="words")
    pdf.image(Image.new("RGB", (400, 300), "white"))
    content = bytes(pdf.output())
    assert not inspected(content).inspectable
    found = inspected(content, limits=Limits(pictures="noted"))
    assert found.inspectable, found.findings
    assert "face_image" in kinds(found)


def test_a_password_makes_it_encrypted_content():
    found = inspected(rewritten(PLAIN, lambda writer: writer.encrypt("secret", algorithm="RC4-128")))
    assert not found.inspectable
    assert "encrypted_content" in kinds(found)


def test_a_stream_of_unknown_use_holds_the_file():
    def build(writer):
        stream = DecodedStreamObject()
        stream.set_data(bytes(range(256)))
        writer._add_object(stream)

    assert not inspected(rewritten(PLAIN, build)).inspectable


@pytest.mark.parametrize("cut", [1, 3, 10, 100, 400])
def test_a_cut_document_is_never_clean(cut):
    content = PLAIN.rstrip()
    assert not inspected(content[: len(content) - cut - 5]).inspectable


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(PLAIN) - 1), st.integers(1, 255), st.integers(9, len(PLAIN) - 8))
def test_damage_is_a_finding_and_never_an_exception(at, change, cut):
    damaged = bytearray(PLAIN)
    damaged[at] ^= change
    inspected(bytes(damaged))
    assert not inspected(PLAIN[:cut]).inspectable
