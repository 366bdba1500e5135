"""`python -m tests.bench NAME [ARGUMENT]`: timings on demand; never part of the tests.

Names: `scan` (detectors against SHA-256 in the same run), `large_file` (one file by PUT, memory and digest),
`sftp` (the SFTP door beside OpenSSH and rclone), `https` (the HTTPS door beside nginx and rclone), `rss` (memory under many
uploads at once), `folders` (trees of many small files, the whole way), `persons` (counting millions of them), `corpus` (how
well identifiers are found, beside Presidio; `corpus [seed] [--show] [--files] [--write]`), `policy` (decisions, and replay of
100,000 of them).
"""

from __future__ import annotations

import importlib
import sys

QUICK = ("scan", "large_file", "sftp")
NAMES = (*QUICK, "https", "rss", "folders", "persons", "corpus", "policy")


def main(arguments: list[str]) -> None:
    """Run one bench, or those that take minutes only."""
    wanted, rest = (arguments[:1], arguments[1:]) if arguments else (list(QUICK), [])
    for name in wanted:
        if name not in NAMES:
            raise SystemExit(f"there is no bench {name!r}: {', '.join(NAMES)}")
        importlib.import_module(f"tests.bench.{name}").main(
            *(each if each.startswith("--") else int(each) for each in rest)
        )


main(sys.argv[1:])
