"""Office documents: what people see in them, what they hide, and people counted by rows of sheets."""

from __future__ import annotations

import io
import zipfile
from datetime import date

import docx
import odf.opendocument
import odf.table
import odf.text
import openpyxl
import openpyxl.comments
import pandas as pd
import pptx
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.inspect.limits import Limits
from gateway.inspect.objects import inspect_file
from gateway.inspect.source import MemoryStore
from gateway.stores.detectors import load_detector_tables

TABLES = load_detector_tables()
MARK = "机密★10年"
IDS = ("11010519491231002X", "440300199001011238")


def inspected(content: bytes, path: str, limits: Limits | None = None):
    return inspect_file(MemoryStore(content), path, TABLES, limits or Limits())


def kinds(found) -> set[str]:
    return {finding.kind for finding in found.findings}


def workbook(build) -> bytes:
    out = io.BytesIO()
    book = openpyxl.Workbook()
    build(book)
    book.save(out)
    return out.getvalue()


def changed(content: bytes, name: str, change) -> bytes:
    """The same package with one part changed."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for each in old.namelist():
            new.writestr(each, change(old.read(each)) if each == name else old.read(each))
        if name not in old.namelist():
            new.writestr(name, change(b""))
    return out.getvalue()


def people(book) -> None:
    sheet = book.active
    sheet.append(["某医院患者名单"])
    sheet.append(["姓名", "身份证号", "出生日期", "诊断"])
    for number in range(50):
        sheet.append([f"张{number}", IDS[number % 2], date(1990, 1, 1 + number % 28), "糖尿病"])


def test_people_of_a_sheet_are_those_that_pandas_reads():
    content = workbook(people)
    frame = pd.read_excel(io.BytesIO(content), header=1, dtype=str, engine="openpyxl")
    found = inspected(content, "名单.xlsx")
    assert found.inspectable, found.findings
    assert found.format == "xlsx"
    assert found.persons.sensitive == frame["身份证号"].nunique() == 2
    assert found.coverage == ((0, found.size),)
    assert "!/xl/worksheets/sheet1.xml: column 身份证号" in {finding.where for finding in found.findings}


def test_a_sheet_without_identifiers_counts_its_rows():
    def build(book):
        book.active.append(["姓名", "电话", "出生日期"])
        for number in range(40):
            book.active.append([f"张{number}", f"{number}", date(1990, 1, 2)])

    assert inspected(workbook(build), "a.xlsx").persons.nonsensitive == 40


def test_hidden_sheets_comments_properties_and_names_are_read():
    def hidden(book):
        book.create_sheet("x").append([MARK])
        book["x"].sheet_state = "veryHidden"

    def comment(book):
        book.active["A1"].comment = openpyxl.comments.Comment(MARK, "a")

    def title(book):
        book.properties.title = MARK

    def sheet_name(book):
        book.create_sheet(MARK)

    def formula(book):
        book.active["A1"] = f'=IF(1=1,"{MARK}","")'

    for build in (hidden, comment, title, sheet_name, formula):
        assert inspected(workbook(build), "a.xlsx").secrecy_mark, build.__name__


def test_a_shared_string_that_no_cell_shows_is_read():
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out)
    book.add_worksheet().write_row(0, 0, ["a", "b"])
    book.close()
    more = f"<si><t>{MARK}</t></si></sst>".encode()
    found = inspected(
        changed(out.getvalue(), "xl/sharedStrings.xml", lambda xml: xml.replace(b"</sst>", more)), "a.xlsx"
    )
    assert found.inspectable, found.findings
    assert found.secrecy_mark


def test_strings_in_runs_are_one_string():
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out)
    bold = book.add_format({"bold": True})
    book.add_worksheet().write_rich_string("A1", "机", bold, "密★", "10年")
    book.close()
    assert inspected(out.getvalue(), "a.xlsx").secrecy_mark


def test_numbers_and_dates_are_as_the_sheet_shows_them():
    def build(book):
        book.active.append(["id", "phone", "day"])
        for number in range(5):
            book.active.append([number, 13800138000 + number * 11, date(2020, 2, 29)])

    found = inspected(workbook(build), "a.xlsx")
    assert [f.distinct for f in found.findings if f.kind == "cn_mobile"] == [5]


def test_resident_numbers_typed_as_numbers_hold_the_file():
    def build(book):
        book.active.append(["a", "b"])
        for number in range(5):
            book.active.append([110105194912310020 + number * 1000, 440300199001011238])

    found = inspected(workbook(build), "a.xlsx")
    assert not found.inspectable
    assert "cn_resident_id" in kinds(found)


def test_a_sparse_sheet_is_paid_for():
    def build(book):
        for row in range(1, 400):
            book.active.cell(row, 16_000, 1)
            book.active.cell(row, 1, 1)

    found = inspected(workbook(build), "a.xlsx", Limits(spared=1 << 20, ratio=10))
    assert "archive_limit" in kinds(found)


def test_macros_and_unknown_parts_hold_the_file():
    assert not inspected(changed(workbook(people), "xl/vbaProject.bin", lambda _: b"\0\1\2\3"), "a.xlsm").inspectable
    assert not inspected(changed(workbook(people), "xl/x.bin", lambda _: b"\0\1\2\3"), "a.xlsx").inspectable
    assert inspected(
        changed(workbook(people), "xl/x.xml", lambda _: f"<a b='{MARK}'/>".encode()), "a.xlsx"
    ).secrecy_mark


def test_document_types_and_broken_xml_hold_the_file():
    bomb = b'<!DOCTYPE a [<!ENTITY b "bbbb">]><a>&b;</a>'
    assert not inspected(changed(workbook(people), "docProps/core.xml", lambda _: bomb), "a.xlsx").inspectable
    assert not inspected(changed(workbook(people), "docProps/core.xml", lambda xml: xml[:-5]), "a.xlsx").inspectable
    deep = b"<a>" * 10_000 + b"</a>" * 10_000
    assert not inspected(changed(workbook(people), "docProps/core.xml", lambda _: deep), "a.xlsx").inspectable


def document(build) -> bytes:
    out = io.BytesIO()
    text = docx.Document()
    build(text)
    text.save(out)
    # the template of python-docx brings a picture, which is another test's subject
    return without(out.getvalue(), "docProps/thumbnail.jpeg")


def without(content: bytes, gone: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for each in old.namelist():
            if each != gone:
                new.writestr(each, old.read(each))
    return out.getvalue()


def test_runs_of_a_paragraph_are_one_text():
    def build(text):
        paragraph = text.add_paragraph("患者身份证号：")
        for part in ("1101051", "9491231", "002X"):
            paragraph.add_run(part).bold = True

    found = inspected(document(build), "a.docx")
    assert found.inspectable, found.findings
    assert found.format == "docx"
    assert found.persons.nonsensitive == 1


@pytest.mark.parametrize("place", ["header", "footer", "comment", "property", "hidden"])
def test_everything_around_the_text_is_read(place):
    def build(text):
        paragraph = text.add_paragraph("words")
        if place == "header":
            text.sections[0].header.paragraphs[0].text = MARK
        elif place == "footer":
            text.sections[0].footer.paragraphs[0].text = MARK
        elif place == "comment":
            text.add_comment(paragraph.runs, text=MARK)
        elif place == "property":
            text.core_properties.comments = MARK
        else:
            run = paragraph.add_run(MARK)
            run.font.hidden = True

    assert inspected(document(build), "a.docx").secrecy_mark


def test_deleted_text_is_read_and_does_not_hide_what_stands_around_it():
    run = "<w:r><w:t>{}</w:t></w:r>"
    gone = '<w:del w:id="1" w:author="x"><w:r><w:delText>{}</w:delText></w:r></w:del>'
    body = run.format("机") + gone.format("x") + run.format("密★10年")

    def build(text):
        text.add_paragraph("PLACE")

    content = document(build)
    changed_text = changed(
        content, "word/document.xml", lambda xml: xml.replace(run.format("PLACE").encode(), body.encode())
    )
    assert inspected(changed_text, "a.docx").secrecy_mark
    body = run.format("机") + gone.format("密★10年") + '<w:ins w:id="2" w:author="x">' + run.format("x") + "</w:ins>"
    changed_text = changed(
        content, "word/document.xml", lambda xml: xml.replace(run.format("PLACE").encode(), body.encode())
    )
    assert inspected(changed_text, "a.docx").secrecy_mark


def test_tables_of_a_document_are_tables():
    def build(text):
        table = text.add_table(rows=0, cols=3)
        for cells in [["姓名", "身份证号", "诊断"], *([f"张{n}", IDS[n % 2], "糖尿病"] for n in range(6))]:
            row = table.add_row()
            for cell, value in zip(row.cells, cells, strict=True):
                cell.text = value

    found = inspected(document(build), "a.docx")
    assert found.persons.sensitive == 2
    assert any(finding.where.endswith("table 1: column 身份证号") for finding in found.findings)


def test_slides_and_their_notes_are_read():
    out = io.BytesIO()
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "words"
    slide.notes_slide.notes_text_frame.text = MARK
    deck.save(out)
    found = inspected(without(out.getvalue(), "docProps/thumbnail.jpeg"), "a.pptx")
    assert found.format == "pptx"
    assert found.secrecy_mark


def sheet_of_opendocument() -> bytes:
    book = odf.opendocument.OpenDocumentSpreadsheet()
    table = odf.table.Table(name="people")
    for cells in [["姓名", "身份证号"], *([f"张{n}", IDS[n % 2]] for n in range(6))]:
        row = odf.table.TableRow()
        for value in cells:
            cell = odf.table.TableCell(valuetype="string")
            cell.addElement(odf.text.P(text=value))
            row.addElement(cell)
        row.addElement(odf.table.TableCell(numbercolumnsrepeated=16_000))
        table.addElement(row)
    book.spreadsheet.addElement(table)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_opendocument_is_read():
    found = inspected(sheet_of_opendocument(), "a.ods")
    assert found.inspectable, found.findings
    assert found.format == "odf"
    assert found.persons.nonsensitive == 2
    text = odf.opendocument.OpenDocumentText()
    paragraph = odf.text.P(text="机")
    paragraph.addElement(odf.text.Span(text="密★10年"))
    text.text.addElement(paragraph)
    out = io.BytesIO()
    text.save(out)
    assert inspected(out.getvalue(), "a.odt").secrecy_mark


def test_an_encrypted_opendocument_is_encrypted_content():
    entry = b'<manifest:file-entry manifest:full-path="content.xml"><manifest:encryption-data/></manifest:file-entry>'
    content = changed(
        sheet_of_opendocument(),
        "META-INF/manifest.xml",
        lambda xml: xml.replace(b"</manifest:manifest>", entry + b"</manifest:manifest>"),
    )
    assert "encrypted_content" in kinds(inspected(content, "a.ods"))


def test_a_workbook_in_an_archive_in_a_document_is_read():
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("list.xlsx", workbook(people))
    found = inspected(changed(document(lambda _: None), "word/embeddings/x.zip", lambda _: inner.getvalue()), "a.docx")
    assert found.inspectable, found.findings
    assert found.persons.sensitive == 2


WHOLE = workbook(people)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255), st.integers(4, len(WHOLE) - 1))
def test_damage_is_a_finding_and_never_an_exception(at, change, cut):
    damaged = bytearray(WHOLE)
    damaged[at] ^= change
    inspected(bytes(damaged), "a.xlsx")
    assert not inspected(WHOLE[:cut], "a.xlsx").inspectable
