"""Fuzzes one target: `python -m tests.fuzz.run TARGET [libFuzzer arguments]`; atheris counts what is imported under it."""

from __future__ import annotations

import sys
from importlib import import_module

import atheris

# What reads a stranger's bytes: our parsers and the classifier, and the libraries that are Python all through.
INSTRUMENTED = [
    "gateway.inspect",
    "gateway.core",
    "gateway.wire",
    "pypdf",
    "pydicom",
    "openpyxl",
    "rdata",
    "xdrlib",
    "py7zr",
]


def main() -> None:
    with atheris.instrument_imports(include=INSTRUMENTED):
        targets = import_module("tests.fuzz.targets")
        for parser in import_module("gateway.inspect.parsers").PARSERS.values():
            parser.load()
    target = targets.TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
