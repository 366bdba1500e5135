"""A report on paper: PDF by ReportLab, in Chinese or English.

Chinese is set in the PDF's own CID fonts (STSong, MSung): no font file travels with the gateway, and every reader has a
face for them.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, Final
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.platypus import LongTable, Paragraph, SimpleDocTemplate, Spacer, TableStyle

from gateway.core.reporting import Report, Section, shown

_FONTS: Final = {"en": "STSong-Light", "zh-Hans": "STSong-Light", "zh-Hant": "MSung-Light"}
_NARROW: Final = frozenset({"version", "files", "count", "in_force"})


def as_pdf(report: Report, words: Mapping[str, str], language: str) -> bytes:
    """The report as PDF, A4 across.

    Args:
        report: What to set.
        words: The catalogue's `report` section in the language, by id.
        language: Of the catalogue.
    """
    font = _FONTS[language]
    if font not in pdfmetrics.getRegisteredFontNames():
        pdfmetrics.registerFont(UnicodeCIDFont(font))
    plain = ParagraphStyle("plain", fontName=font, fontSize=7, leading=9, wordWrap="CJK")
    head = ParagraphStyle("head", parent=plain, fontSize=14, leading=20)
    second = ParagraphStyle("second", parent=plain, fontSize=10, leading=16, spaceBefore=4 * mm)
    story: list[Any] = [Paragraph(escape(words[report.kind]), head)]
    story += [
        Paragraph(f"{escape(words[name])}: {escape(shown(value))}", plain) for name, value in report.about.items()
    ]
    for section in report.sections:
        story += [Paragraph(escape(words[section.id]), second), _table(section, words, plain)]
    story.append(Paragraph(escape(words["evidence_of_report"]), second))
    story += [
        Paragraph(f"{escape(words.get(name, name))}: {escape(value)}", plain) for name, value in report.evidence.items()
    ]
    story += [Spacer(1, 10 * mm), Paragraph(escape(words["signature"]), plain)]
    out = io.BytesIO()
    title = f"{words[report.kind]} {report.about['institution']}"
    SimpleDocTemplate(
        out,
        pagesize=landscape(A4),
        leftMargin=10 * mm,
        rightMargin=10 * mm,
        topMargin=12 * mm,
        bottomMargin=12 * mm,
        title=title,
    ).build(story, onFirstPage=_numbered, onLaterPages=_numbered)
    return out.getvalue()


def _table(section: Section, words: Mapping[str, str], plain: ParagraphStyle) -> Any:
    if not section.rows:
        return Paragraph(escape(words["none"]), plain)
    width = (landscape(A4)[0] - 20 * mm) / sum(0.5 if name in _NARROW else 1 for name in section.columns)
    rows = [[Paragraph(escape(words[name]), plain) for name in section.columns]]
    rows += [[Paragraph(escape(shown(value)), plain) for value in row] for row in section.rows]
    table = LongTable(rows, [width * (0.5 if name in _NARROW else 1) for name in section.columns], repeatRows=1)
    grid = [("GRID", (0, 0), (-1, -1), 0.25, colors.grey), ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke)]
    padding = [
        ("LEFTPADDING", (0, 0), (-1, -1), 2),
        ("RIGHTPADDING", (0, 0), (-1, -1), 2),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ]
    table.setStyle(TableStyle([*grid, *padding]))
    return table


def _numbered(canvas: Any, document: Any) -> None:
    canvas.setFont("Helvetica", 7)
    canvas.drawRightString(landscape(A4)[0] - 10 * mm, 6 * mm, str(document.page))
