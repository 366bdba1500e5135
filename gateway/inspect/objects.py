"""Chooses how to read an object, reads it, and turns whatever goes wrong into a finding."""

from __future__ import annotations

from typing import BinaryIO, Final

from gateway.core.classify import Classifier, FileFindings
from gateway.core.detectors import DetectorTables
from gateway.core.formats import HEAD, sniff
from gateway.core.signatures import Format
from gateway.inspect.limits import Budget, Limits, Metered, Unreadable
from gateway.inspect.parsers import Parser, parser_of
from gateway.inspect.report import PIECE, Context, Report, head_of
from gateway.inspect.source import MemoryStore, Source, Store, Stream
from gateway.wire import Malformed

DEFAULTS: Final = Limits()


def inspect_file(store: Store, path: str, tables: DetectorTables, limits: Limits = DEFAULTS) -> FileFindings:
    """The findings of a whole file.

    Args:
        store: Its bytes.
        path: Its name or path within the dataset; data like its content.
        tables: What detectors look up.
        limits: What it may cost.

    Raises:
        Malformed: The sealed bytes do not open: they are not what was received, and nothing is known of the file.
        MemoryError: The process's bound is reached; the caller gives the file up.
    """
    context = Context(tables, Budget(limits, store.size), _descend)
    source = Source(store)
    format_ = sniff(source.read(HEAD), path)
    source.seek(0)
    if format_.interpretation == "text":
        return _classified(path, source, tables)
    report = Report(path, format_, context)
    parser = parser_of(format_)
    if parser is not None:
        source.forget()
    _run(parser, source, report)
    return report.finish(store.size)


def _descend(path: str, stream: BinaryIO, depth: int, outer: Report) -> FileFindings:
    """The findings of a member, read to its end whatever it is: its bytes are always wholly paid for."""
    context = outer.context
    head = head_of(stream)
    member = Stream(head, stream)
    format_ = sniff(head, path)
    if format_.interpretation == "text":
        return _classified(path, member, context.tables)
    report = Report(path, format_, context, depth=depth)
    parser = parser_of(format_)
    if parser is None or parser.streams:
        _run(parser, member, report)
        _drain(member)
        return report.finish(member.read_so_far)
    content, whole = _held(member, context.budget)
    if whole:
        _run(parser, Source(MemoryStore(content)), report)
    else:
        report.unreadable(f"a member of more than {context.budget.limits.held} bytes", kind="archive_limit")
    del content
    _drain(member)
    return report.finish(member.read_so_far)


def _run(parser: Parser | None, source: Source | Stream, report: Report) -> None:
    """Parse; nothing that a file does to its parser goes further than its own findings."""
    format_ = report.format
    if format_.encrypted:
        report.unreadable(f"{format_.name} under a key or password", kind="encrypted_content")
        return
    if parser is None:
        report.unreadable(f"no inspector for {_shown(format_)}")
        return
    try:
        parser.load()(source, report)
    except Unreadable as why:
        report.unreadable(str(why), kind=why.kind)
    except (Malformed, MemoryError):
        raise
    except RecursionError:
        report.unreadable(f"{format_.name}: nested too deeply")
    except Exception as wrong:  # noqa: BLE001  # a parser is a stranger's code on a stranger's bytes: its failure is a finding
        report.unreadable(f"{format_.name}: malformed ({type(wrong).__name__})")


def _classified(path: str, stream: Source | Stream, tables: DetectorTables) -> FileFindings:
    classifier = Classifier(path, tables)
    while piece := stream.read(PIECE):
        classifier.feed(piece)
    return classifier.close()


def _held(member: Stream, budget: Budget) -> tuple[bytearray, bool]:
    """A member in memory; False where it is too large for that."""
    content = bytearray()
    while piece := member.read(PIECE):
        content += piece
        if len(content) > budget.limits.held:
            return bytearray(), False
    return content, True


def _drain(member: Stream) -> None:
    while member.read(PIECE):
        pass


def _shown(format_: Format) -> str:
    return f"{format_.name}, {', '.join(format_.hints)}" if format_.hints else format_.name


__all__ = ["DEFAULTS", "Metered", "inspect_file"]
