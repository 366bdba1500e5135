"""How well identifiers are found: a generated corpus with its truth, a scorer, and Microsoft Presidio beside us.

Not part of the tests, and nothing generated is kept. README.md in this folder says what is in it and what is not.
"""

from tests.bench.corpus.report import main

__all__ = ["main"]
