"""Fuzzes one target: `python -m tests.fuzz.run TARGET [libFuzzer arguments]`; atheris counts what is imported under it."""

from __future__ import annotations

import sys
from importlib import import_module

import atheris

# What reads a stranger's bytes: our parsers and the classifier, and of libraries that are Python all through what parsers use.
INSTRUMENTED = ["gateway.inspect", "gateway.core", "gateway.wire"]
ALSO = {
    "pdf": ["pypdf"],
    "dicom": ["pydicom"],
}  # take longer to prepare than all else together: elsewhere they run uncounted


def main() -> None:
    name = sys.argv.pop(1)
    with atheris.instrument_imports(include=[*INSTRUMENTED, *ALSO.get(name, [])]):
        targets = import_module("tests.fuzz.targets")
        for parser in import_module("gateway.inspect.parsers").PARSERS.values():
            parser.load()
    atheris.Setup(sys.argv, targets.TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
