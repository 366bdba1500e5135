"""Office documents, PDF, pictures."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Final

import xlsxwriter
from PIL import Image, PngImagePlugin, TiffImagePlugin

from tests.fuzz.seeds import archives
from tests.inspect.test_images import exif, picture
from tests.inspect.test_packages import sheet_of_opendocument
from tests.inspect.test_pdf import printed, rewritten

_WORD: Final = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_DRAWING: Final = "http://schemas.openxmlformats.org/drawingml/2006/main"


def _package(*parts: tuple[str, str]) -> bytes:
    """Only the parts that carry the document: those of the tools are 30 KB of styles."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        for name, content in parts:
            archive.writestr(name, content)
    return out.getvalue()


def _unpacked(content: bytes) -> bytes:
    """The same parts, not compressed: mutation reaches their text."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return out.getvalue()


def _workbook() -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        sheet = book.add_worksheet("people")
        for number, row in enumerate((["姓名", "id_number"], ["张三", "11010519491231002X"])):
            sheet.write_row(number, 0, row)
        sheet.write_formula("C1", '=IF(A1="","x",1)', None, 1)
        sheet.write_rich_string("D1", "a", book.add_format({"bold": True}), "b", "c")
        sheet.write_datetime("E1", date(2020, 2, 29), book.add_format({"num_format": "yyyy-mm-dd"}))
    return out.getvalue()


def _packages() -> Iterator[bytes]:
    yield from archives.zipped()
    for content in (_workbook(), sheet_of_opendocument()):
        yield content
        yield _unpacked(content)
    cell = "<w:tc><w:p><w:r><w:t>{}</w:t></w:r></w:p></w:tc>"
    row = "<w:tr>" + cell.format("name") + cell.format("11010519491231002X") + "</w:tr>"
    gone = '<w:del w:author="x"><w:r><w:delText>gone</w:delText></w:r></w:del>'
    body = f"<w:p><w:r><w:t>words</w:t></w:r>{gone}</w:p><w:tbl>{row * 2}</w:tbl>"
    yield _package(("word/document.xml", f'<w:document xmlns:w="{_WORD}"><w:body>{body}</w:body></w:document>'))
    slide = f'<p:sld xmlns:p="p" xmlns:a="{_DRAWING}"><a:p><a:r><a:t>words</a:t></a:r></a:p></p:sld>'
    yield _package(("ppt/slides/slide1.xml", slide), ("ppt/notesSlides/notesSlide1.xml", slide))


def _pdf() -> Iterator[bytes]:
    plain = printed("id number 11010519491231002X", title="words")
    yield plain
    yield rewritten(plain, lambda writer: writer.add_attachment("a.csv", archives.TABLE))
    yield rewritten(plain, lambda writer: writer.add_metadata({"/Subject": "x"}), incremental=True)
    yield rewritten(plain, lambda writer: [page.compress_content_streams() for page in writer.pages])
    out = io.BytesIO()
    Image.new("RGB", (20, 20)).save(out, "pdf")
    yield out.getvalue()
    yield _cross_reference_streams()


def _cross_reference_streams() -> bytes:
    """A PDF 1.5 by hand (ISO 32000-1 sections 7.5.7 and 7.5.8): objects in a stream, and a stream for where they are."""
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>", b"<</Type/Page/Parent 2 0 R>>"]
    starts = [sum(len(each) + 1 for each in objects[:n]) for n in range(len(objects))]
    index = b" ".join(b"%d %d" % (n + 1, at) for n, at in enumerate(starts)) + b"\n"
    body = index + b"\n".join(objects)
    out = b"%PDF-1.5\n"
    held = len(out)
    out += b"4 0 obj\n<</Type/ObjStm/N 3/First %d/Length %d>>\nstream\n" % (len(index), len(body))
    out += body + b"\nendstream\nendobj\n"
    here = len(out)
    rows = [(0, 0, 255), (2, 4, 0), (2, 4, 1), (2, 4, 2), (1, held, 0), (1, here, 0)]
    table = b"".join(bytes([kind]) + where.to_bytes(2, "big") + bytes([last]) for kind, where, last in rows)
    out += b"5 0 obj\n<</Type/XRef/Size 6/W[1 2 1]/Root 1 0 R/Length %d>>\nstream\n" % len(table)
    return out + table + b"\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n" % here


def _images() -> Iterator[bytes]:
    small = (18, 12)
    for form in ("png", "jpeg", "gif"):
        yield picture(form, small)
    for pack in (False, True):
        info = PngImagePlugin.PngInfo()
        info.add_text("Comment", "words", zip=pack)
        info.add_itxt("Title", "词", zip=pack)
        yield picture("png", small, pnginfo=info, exif=exif())
    yield picture("jpeg", small, exif=exif(), comment=b"words", xmp=b"<x>words</x>")
    yield picture("jpeg", small, progressive=True, restart_marker_rows=1)
    out = io.BytesIO()
    frames = [Image.new("P", small, n) for n in range(3)]
    frames[0].save(out, "gif", save_all=True, append_images=frames[1:], comment=b"words", loop=2, duration=9)
    yield out.getvalue()


def _tiff() -> Iterator[bytes]:
    small = (18, 12)
    for packing in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        yield picture("tiff", small, compression=packing)
    tags = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"MM")
    tags[270] = "words"
    yield picture("tiff", small, tiffinfo=tags, big_tiff=True)
    yield picture("tiff", small, tiffinfo=exif())
    out = io.BytesIO()
    pages = [Image.new("L", small, n) for n in range(2)]
    pages[0].save(out, "tiff", save_all=True, append_images=pages[1:])
    yield out.getvalue()


SEEDS: Final[Mapping[str, Callable[[], Iterator[bytes]]]] = {
    "packages": _packages,
    "pdf": _pdf,
    "images": _images,
    "tiff": _tiff,
}
