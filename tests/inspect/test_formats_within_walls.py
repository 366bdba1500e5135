"""Every format in a real worker: what the libraries of its parser need is allowed there, and the findings are those of here.

A library that starts threads, opens a file late, reads /proc or reserves address space fails only in here.
"""

from __future__ import annotations

import tempfile

import pytest

from gateway.core.formats import HEAD, sniff
from gateway.inspect.objects import inspect_file
from gateway.inspect.parsers import PARSERS
from gateway.inspect.process import Inspector, Subject
from gateway.inspect.source import FileStore
from gateway.stores.detectors import load_detector_tables, read_documents
from tests.fuzz.seeds import SEEDS, seeds
from tests.fuzz.targets import names

TABLES = load_detector_tables()


@pytest.fixture(scope="module")
def inspector():
    with Inspector(read_documents()) as one:
        yield one


@pytest.mark.parametrize("target", [target for target in SEEDS if target != "text"])
def test_a_worker_finds_what_is_found_here(inspector, target):
    for content in seeds(target):
        for name in names(target):
            with tempfile.TemporaryFile() as file:
                file.write(content)
                file.flush()
                found = inspector.ask(Subject(name, len(content), [(file.fileno(), len(content))]))
                here = inspect_file(FileStore(file.fileno()), name, TABLES)
            assert found.to_json("") == here.to_json("")
            assert _people(found) == _people(here)


def _people(found):
    return {kind: values.tolist() for kind, values in found.identifiers.values.items()}


def test_every_format_is_among_the_seeds():
    seen = {sniff(content[:HEAD], name).name for target in SEEDS for content in seeds(target) for name in names(target)}
    assert set(PARSERS) - seen == set()
