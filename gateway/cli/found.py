"""What was found in a transfer, printed for an officer in a language: the whole, then file by file.

What it is not: the findings or the words. `flow.review` brings the ones, `core.explanation` the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.markup import escape

from gateway.cli.desk import out, show_table
from gateway.core.explanation import Explained, Explanation
from gateway.stores.locales import load_catalogue
from gateway.stores.rulebooks import load_policies

FILES: Final = 50
FINDINGS: Final = 30  # of a file


def show_found(shown: Mapping[str, Any], language: str) -> None:
    """Print what `Review.show` has: people, what stands against the declaration, and every file's findings.

    Args:
        shown: The transfer.
        language: One of the catalogue's.
    """
    explain = Explanation(load_catalogue(), load_policies().vocabulary, language)
    if shown["findings"]:
        out.print(
            f"[bold]{explain.text('finding.persons')}[/bold]: {explain.persons(shown['findings'])}", highlight=False
        )
    rows = [_row(explain.text("finding.whole"), each) for each in explain.findings(shown["on_the_whole"])]
    for file in shown["files"][:FILES]:
        found = explain.findings(file["findings"]["findings"])[:FINDINGS]
        rows += [_row(f"{file['number']} {file['path']}", each) for each in found]
    if not rows:
        out.print(explain.text("finding.none"))
        return
    columns = ("file", "kind", "where", "number", "confidence", "samples")
    show_table("", [explain.text(f"finding.{name}") for name in columns], rows)
    if len(shown["files"]) > FILES:
        out.print(explain.text("finding.more", count=len(shown["files"]) - FILES))


def _row(file: str, found: Explained) -> Sequence[str]:
    cells = (file, found.kind, found.where, found.counts, found.confidence, found.samples)
    return [escape(cell) for cell in cells]
