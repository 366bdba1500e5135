"""The parent of the workers: what they say, and what becomes of a file when they say nothing."""

from __future__ import annotations

import gzip
import os
import signal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.classify import Finding, PersonSet
from gateway.core.classify.nested import Outer, nest
from gateway.core.errors import BrokenPromise, Unusable
from gateway.inspect import told
from gateway.inspect.objects import inspect_file
from gateway.inspect.process import Allowance, Inspector, Subject
from gateway.inspect.source import FileStore
from gateway.stores.detectors import load_detector_tables, read_documents
from gateway.wire import crypt4gh

TABLES = read_documents()
PACKED = gzip.compress(b"name,id_number\nA,11010519491231002X\nB,440300199001011238\n")
KEY = bytes(range(32))


def sealed(plain: bytes, key: bytes = KEY) -> bytes:
    out = bytearray(crypt4gh.cipher_size(len(plain)))
    nonces = os.urandom(12 * -(-len(plain) // crypt4gh.SEGMENT))
    crypt4gh.SegmentSealer(key).seal_into(plain, nonces, out)
    return bytes(out)


@pytest.fixture
def vault(tmp_path):
    opened = []

    def put(content: bytes) -> int:
        path = tmp_path / f"part{len(opened)}"
        path.write_bytes(content)
        opened.append(os.open(path, os.O_RDONLY))
        return opened[-1]

    yield put
    for descriptor in opened:
        os.close(descriptor)


def test_a_worker_finds_what_the_parser_finds_here(vault):
    file = vault(PACKED)
    with Inspector(TABLES) as inspector:
        found = inspector.ask(Subject("a.csv.gz", len(PACKED), [(file, len(PACKED))]))
    here = inspect_file(FileStore(file), "a.csv.gz", load_detector_tables())
    assert found.to_json("") == here.to_json("")
    assert found.persons.nonsensitive == 2
    assert {k: v.tolist() for k, v in found.identifiers.values.items()} == {
        k: v.tolist() for k, v in here.identifiers.values.items()
    }


def test_a_sealed_file_in_several_parts_under_several_keys(vault):
    plain = gzip.compress(os.urandom(150_000) + b"\n11010519491231002X\n", compresslevel=0)
    first, second = plain[: crypt4gh.SEGMENT], plain[crypt4gh.SEGMENT :]
    other = bytes(reversed(KEY))
    parts = [(vault(c), len(c)) for c in (sealed(first), sealed(second, other))]
    with Inspector(TABLES) as inspector:
        found = inspector.ask(Subject("x.gz", len(plain), parts, [KEY, other]))
    assert found.size == len(plain)
    assert found.format == "gzip"
    assert "unknown" in {
        f.where.split()[-1] for f in found.findings
    }  # random bytes are no format, and it was them that were read


def test_altered_sealed_bytes_are_a_broken_promise_and_no_finding(vault):
    body = bytearray(sealed(PACKED))
    body[40] ^= 1
    with Inspector(TABLES) as inspector, pytest.raises(BrokenPromise):
        inspector.ask(Subject("x.gz", len(PACKED), [(vault(bytes(body)), len(body))], [KEY]))


def test_a_worker_that_is_killed_costs_its_file_and_not_the_next(vault):
    file = vault(PACKED)
    subject = Subject("a.csv.gz", len(PACKED), [(file, len(PACKED))])
    with Inspector(TABLES) as inspector:
        assert inspector.ask(subject).inspectable
        worker = inspector._worker
        assert worker is not None
        os.kill(worker.pid, signal.SIGSTOP)
        os.kill(worker.pid, signal.SIGKILL)
        os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
        assert inspector.ask(subject).inspectable  # found dead before it was asked
        worker = inspector._worker
        assert worker is not None


def test_a_worker_that_hangs_is_given_up(vault):
    file = vault(PACKED)
    subject = Subject("a.csv.gz", len(PACKED), [(file, len(PACKED))])
    with Inspector(TABLES) as inspector:
        assert inspector.ask(subject).inspectable
        worker = inspector._worker
        inspector._allowance = Allowance(seconds=0.3)
        assert worker is not None
        os.kill(worker.pid, signal.SIGSTOP)
        found = inspector.ask(subject)
        assert not found.inspectable
        assert [f.where for f in found.findings] == ["the inspector took too long"]
        assert worker.poll() is not None
        inspector._allowance = Allowance()
        assert inspector.ask(subject).inspectable


def test_a_file_in_very_many_parts_is_refused_and_said_why(vault):
    file = vault(PACKED)
    with Inspector(TABLES) as inspector:
        found = inspector.ask(Subject("a.gz", 300, [(file, 1)] * 300, [KEY]))
    assert not found.inspectable


def example(count: int) -> bytes:
    people = PersonSet({"cn_resident_id": np.arange(1, count + 1, dtype=np.uint64)}, 3, sensitive=True)
    outer = Outer("p", 10, "zip", [(0, 10)], [Finding("gap", "bytes 1-2", 1, 1, "strong")], persons=people)
    return told.encode(nest(outer, []))


def parted(frame: bytes) -> tuple[bytes, bytes]:
    words, numbers = told.LENGTHS.unpack_from(frame)
    body = frame[told.LENGTHS.size :]
    return body[:words], body[words : words + numbers]


def test_an_answer_comes_back_as_it_was():
    found = told.decode(*parted(example(5)), path="p", size=10)
    assert found.identifiers.values["cn_resident_id"].tolist() == [1, 2, 3, 4, 5]
    assert found.persons.sensitive == 8
    assert found.identifiers.sensitive


@pytest.mark.parametrize(("path", "size"), [("q", 10), ("p", 11)])
def test_an_answer_about_another_file_is_none(path, size):
    with pytest.raises(Unusable):
        told.decode(*parted(example(2)), path=path, size=size)


@given(st.data())
def test_no_answer_breaks_the_parent(data):
    words, numbers = parted(example(4))
    broken = bytearray(words)
    for _ in range(data.draw(st.integers(1, 5))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = told.decode(bytes(broken), numbers, path="p", size=10)
    except Unusable:
        return
    assert found.path == "p"


@given(st.integers(0, 40), st.binary(max_size=40))
def test_persons_are_exactly_what_was_announced(cut, more):
    words, numbers = parted(example(4))
    if (changed := numbers[:cut] + more) != numbers:
        try:
            told.decode(words, changed, path="p", size=10)
        except Unusable:
            return
        assert len(changed) == len(numbers)


def test_an_endless_answer_is_cut_off():
    with pytest.raises(Unusable):
        told.read_frame(lambda size: told.LENGTHS.pack(1 << 31, 0)[:size])
