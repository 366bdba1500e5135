"""Classifiers in processes beside the gateway: the same findings; whatever becomes of the process, no file is called clean."""

from __future__ import annotations

import gc
import mmap
import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from gateway.core.classify import Classifier, FileFindings
from gateway.core.errors import StoreError, Unusable
from gateway.core.formats import HEAD
from gateway.inspect import classifying, told
from gateway.inspect.beside import SHARED, Beside, Remote, Side, _shared_memory
from gateway.stores.detectors import load_detector_tables, read_documents

TABLES = load_detector_tables()
PEOPLE = b"name,id_number,mobile\n" + b"".join(
    b"A%d,%s,138%08d\n" % (n, b"11010519491231002X", n) for n in range(40_000)
)
READS = b"@r1 x\nACGTACGTACGT\n+\nFFFF:FF,FFFF\n" * 9_000


@pytest.fixture(scope="module")
def beside() -> Iterator[Beside]:
    made = Beside(read_documents())
    assert made.stand()
    yield made
    made.close()


def here(path: str, content: bytes) -> FileFindings:
    classifier = Classifier(path, TABLES)
    classifier.feed(content)
    return classifier.close()


def same(one: FileFindings, other: FileFindings) -> None:
    assert told.encode(one) == told.encode(other)
    assert one.columns == other.columns


@pytest.mark.parametrize(("path", "content"), [("people.csv", PEOPLE), ("a.fastq", READS)])
@pytest.mark.parametrize("piece", [HEAD, 200_000, SHARED, 3 * SHARED + 7])
def test_findings_are_those_of_a_classifier_here(beside, path, content, piece):
    classifier = beside.classifier(path)
    for at in range(0, len(content), piece):
        classifier.feed(memoryview(bytearray(content[at : at + piece])))
    assert isinstance(classifier._chosen, Remote)
    same(classifier.close(), here(path, content))


def test_many_files_at_once_are_kept_apart(beside):
    def classified(number: int) -> tuple[FileFindings, FileFindings]:
        content = b"id_number,n\n" + b"11010519491231002X,%d\n" % number * (20_000 + number)
        classifier = beside.classifier(f"{number}.csv")
        for at in range(0, len(content), 70_000):
            classifier.feed(content[at : at + 70_000])
        return classifier.close(), here(f"{number}.csv", content)

    with ThreadPoolExecutor(4) as pool:
        for one, other in pool.map(classified, range(8)):
            same(one, other)


@pytest.mark.parametrize(
    ("path", "content"), [("small.csv", PEOPLE[: HEAD - 1]), ("a.bin", bytes(range(256)) * 1_000), ("empty.csv", b"")]
)
def test_what_is_small_or_no_text_stays_here(beside, path, content):
    classifier = beside.classifier(path)
    if content:
        classifier.feed(content)
    same(classifier.close(), here(path, content))
    assert not isinstance(classifier._chosen, Remote)


def test_until_a_process_stands_and_without_any_all_is_classified_here():
    with_none = Beside(read_documents(), most=0)
    classifier = with_none.classifier("people.csv")
    classifier.feed(PEOPLE)
    assert isinstance(classifier._chosen, Classifier)
    assert not with_none.stand(0)


def test_files_of_a_process_that_died_are_refused_and_the_next_ones_get_another(monkeypatch):
    monkeypatch.setattr("gateway.inspect.beside.AGAIN", 0.0)
    lost: list[str] = []
    beside = Beside(read_documents(), told=lost.append)
    try:
        assert beside.stand()
        fed, closed = beside.classifier("a.csv"), beside.classifier("b.csv")
        fed.feed(PEOPLE)
        closed.feed(PEOPLE)
        (side,) = beside._sides
        assert side._process is not None
        side._process.kill()
        assert side.over.wait(30)
        with pytest.raises(StoreError, match="send it again"):
            fed.feed(PEOPLE)
        with pytest.raises(StoreError, match="send it again"):
            closed.close()
        near = beside.classifier("c.csv")
        near.feed(PEOPLE)
        same(near.close(), here("c.csv", PEOPLE))
        assert beside.stand()
        far = beside.classifier("d.csv")
        far.feed(PEOPLE)
        assert isinstance(far._chosen, Remote)
        same(far.close(), here("d.csv", PEOPLE))
    finally:
        beside.close()
    assert lost == ["died"]


def test_where_none_can_be_started_it_is_told_and_not_tried_again_at_once(monkeypatch):
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    lost: list[str] = []
    beside = Beside(read_documents(), told=lost.append)
    first = beside.classifier("a.csv")
    first.feed(PEOPLE)
    (side,) = beside._sides
    assert side.over.wait(30)
    for name in ("b.csv", "c.csv"):
        classifier = beside.classifier(name)
        classifier.feed(PEOPLE)
        same(classifier.close(), here(name, PEOPLE))
    same(first.close(), here("a.csv", PEOPLE))
    assert beside._sides == []
    assert lost == ["start"]
    beside.close()


def test_a_file_that_is_given_up_is_forgotten_there(beside):
    (side,) = beside._sides
    classifier = beside.classifier("a.csv")
    classifier.feed(PEOPLE)
    before = side.files
    del classifier
    gc.collect()
    assert side.files == before - 1
    assert side._dropped


def test_a_process_has_the_walls_that_this_system_has(beside):
    (side,) = beside._sides
    assert side._process is not None
    status = Path(f"/proc/{side._process.pid}/status").read_text("utf-8")
    assert ("Seccomp:\t2" in status) == side.walls.seccomp
    assert "NoNewPrivs:\t1" in status
    assert "CapEff:\t0000000000000000" in status


def test_a_classifier_that_fails_there_is_a_file_nobody_calls_clean():
    class Broken(Classifier):
        def feed(self, chunk):
            raise ValueError("a mistake of ours")

    desk = classifying.Desk(TABLES)
    desk._files[1] = Broken("a.csv", TABLES)
    desk.feed(1, b"x")
    desk.feed(1, b"y")
    assert desk.close(1) is None
    desk.begin(2, "b.csv")
    desk.feed(2, PEOPLE)
    found = desk.close(2)
    assert found is not None
    same(found, here("b.csv", PEOPLE))


def test_an_answer_that_is_none_is_refused(beside, monkeypatch):
    classifier = beside.classifier("a.csv")
    classifier.feed(PEOPLE)
    (side,) = beside._sides
    monkeypatch.setattr(side, "_heard", lambda size: classifying.NOTHING[:size])
    with pytest.raises(StoreError, match="send it again"):
        classifier.close()


@pytest.fixture
def own(monkeypatch) -> Iterator[tuple[Beside, Side]]:
    """Processes of this test's own, which have little time."""
    made = Beside(read_documents())
    assert made.stand()
    monkeypatch.setattr("gateway.inspect.beside.PATIENCE", 0.2)
    yield made, made._sides[0]
    made.close()


def test_after_one_that_died_texts_are_classified_here_for_a_while(own):
    beside, side = own
    side.stop()
    assert side.over.wait(30)
    for name in ("a.csv", "b.csv"):
        classifier = beside.classifier(name)
        classifier.feed(PEOPLE)
        assert isinstance(classifier._chosen, Classifier)
    assert beside._sides == []


def test_one_that_hangs_is_ended_and_nobody_waits_longer(own):
    beside, side = own
    waiting = [beside.classifier(f"{number}.csv") for number in range(3)]
    for classifier in waiting:
        classifier.feed(PEOPLE)
    assert side._process is not None
    side._process.send_signal(signal.SIGSTOP)
    with ThreadPoolExecutor(3) as pool:
        for refused in [pool.submit(each.close) for each in waiting]:
            with pytest.raises(StoreError, match="send it again"):
                refused.result(10)
    assert side.over.wait(10)


def test_one_that_answers_a_byte_at_a_time_has_no_more_time_than_others(own, monkeypatch):
    beside, side = own
    classifier = beside.classifier("a.csv")
    classifier.feed(PEOPLE)
    (theirs, ours), own_link = socket.socketpair(), side._link
    ends = Event()

    def drip() -> None:
        while not ends.wait(0.05):
            theirs.send(b"\1")

    with theirs, ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr(side, "_link", ours)
        dripping = pool.submit(drip)
        with pytest.raises(StoreError, match="send it again"):
            classifier.close()
        ends.set()
        dripping.result(10)
    assert side.over.wait(10)
    ours.close()
    own_link.close()


def test_the_memory_that_is_shared_can_only_be_read_there():
    memory, shared = _shared_memory()
    try:
        shared[:3] = b"abc"
        assert os.pread(memory, 3, 0) == b"abc"
        for attempt in (
            lambda: os.ftruncate(memory, 0),
            lambda: os.ftruncate(memory, 2 * SHARED),
            lambda: os.pwrite(memory, b"x", 0),
            lambda: mmap.mmap(memory, SHARED),
        ):
            with pytest.raises(PermissionError):
                attempt()
    finally:
        os.close(memory)


def test_where_the_system_has_no_room_for_one_all_is_classified_here(monkeypatch):
    def none_left(*_: object) -> int:
        raise OSError(24, "too many open files")

    monkeypatch.setattr("os.memfd_create", none_left)
    lost: list[str] = []
    beside = Beside(read_documents(), told=lost.append)
    classifier = beside.classifier("a.csv")
    classifier.feed(PEOPLE)
    same(classifier.close(), here("a.csv", PEOPLE))
    assert lost == ["start"]


@pytest.mark.parametrize("document", [b"[]", b'{"people": [{"values": []}]}', b'{"people": [3]}', b'{"people": {}}'])
def test_an_answer_of_another_shape_is_unusable(document):
    with pytest.raises(Unusable):
        told.decode(document, b"", path="a.csv", size=1)
