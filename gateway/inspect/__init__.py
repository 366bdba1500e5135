"""Inspect: formats that need seeking or decompression, read in a sandboxed process.

The pass (`core.classify`) reads text while it streams. What it cannot read that way comes here after the file is durable:
archives, workbooks, columnar files, genomic and medical formats. A parser takes a file apart with a well-kept library and hands
what it finds to the same classifier, so that an identity number in a workbook is found by what finds it in a CSV.

In order: `source` gives bytes with random access, sealed or plain; `limits` bounds the work; `report` is what a parser speaks
to; `parsers` has one module a family of formats; `objects` chooses among them and descends into members; `sandbox` locks the
process down; `worker` is that process; `told` is how its answer travels; `process` starts workers, feeds and kills them.

A change must keep: whatever a file does to its parser ends as a finding; a byte counts as covered only where a parser
interpreted it; nothing of a file's content leaves the worker but its findings.
"""
