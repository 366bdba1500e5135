"""Memory that uploads share: bounded together, used again only when nobody works on it, and nobody's bytes become another's."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.core.classify import Classifier
from gateway.flow.pieces import BUDGET, PIECE, SHARE, SPARE, Pieces
from gateway.flow.upload import Pass
from gateway.ports import SpoolWriter
from gateway.stores.detectors import load_detector_tables
from gateway.wire import crypt4gh
from tests.fakes.entropy import FakeEntropy
from tests.fakes.spool import FakeSpool

TABLES = load_detector_tables()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as made:
        yield made


def begun(pieces: Pieces, pool: ThreadPoolExecutor, spool: FakeSpool, number: int) -> Pass:
    return Pass(
        classifier=Classifier(f"{number}.csv", TABLES),
        create=lambda: spool.create(f"t/{number}"),
        key=bytes([number]) * 32,
        entropy=FakeEntropy(),
        pool=pool,
        pieces=pieces,
    )


def test_pieces_shrink_to_a_segment_and_the_budget_holds():
    pieces = Pieces()
    taken = [pieces.take() for _ in range(256)]
    sizes = [len(piece) for piece in taken]
    assert sizes[:8] == [PIECE] * 8
    assert sizes == sorted(sizes, reverse=True)
    assert set(sizes) >= {PIECE, crypt4gh.SEGMENT}
    assert all(size % crypt4gh.SEGMENT == 0 for size in sizes)
    larger = [size for size in sizes if size > crypt4gh.SEGMENT]
    assert sum(larger) <= BUDGET - crypt4gh.SEGMENT * SHARE  # what is left gives everybody one segment
    for piece in taken:
        pieces.give(piece)
    assert pieces.left == BUDGET


def test_a_piece_is_used_again_and_not_more_than_a_few_are_kept():
    pieces = Pieces()
    taken = [pieces.take() for _ in range(SPARE + 2)]
    for piece in taken:
        pieces.give(piece)
    again = [pieces.take() for _ in range(SPARE + 2)]
    assert sum(any(new is old for old in taken) for new in again) == SPARE


def test_a_piece_that_may_still_be_read_goes_to_nobody():
    pieces = Pieces()
    piece = pieces.take()
    pieces.drop(piece)
    assert pieces.take() is not piece
    assert pieces.left == BUDGET - PIECE


@pytest.mark.parametrize("budget", [0, 3 << 20, BUDGET])
async def test_many_uploads_at_once_keep_their_bytes_apart(pool, budget):
    pieces, spool = Pieces(working=2, budget=budget), FakeSpool()
    contents = [b"%d,%d\n" % (number, number * 7) * 300_000 for number in range(1, 7)]

    async def sent(number: int, content: bytes) -> bytes:
        upload = begun(pieces, pool, spool, number)
        for at in range(0, len(content), 261_120):  # OpenSSH's writes
            await upload.feed(content[at : at + 261_120])
        passed = await upload.finish(lambda passed: (upload.commit(), passed)[1])
        assert passed.sha256 == hashlib.sha256(content).digest()
        return crypt4gh.SegmentOpener([bytes([number]) * 32]).open(spool.parts[f"t/{number}"])

    opened = await asyncio.gather(*(sent(number, content) for number, content in enumerate(contents, 1)))
    assert opened == contents
    assert pieces.left == budget


async def test_what_a_failed_lane_had_is_not_used_again_and_its_turn_is(pool, monkeypatch):
    pieces, spool = Pieces(working=1), FakeSpool()
    upload = begun(pieces, pool, spool, 1)

    def broken(_name: str) -> SpoolWriter:
        raise OSError("the disk is gone")

    monkeypatch.setattr(spool, "create", broken)
    for _ in range(3):
        await upload.feed(b"1,2\n" * (PIECE // 8))
    with pytest.raises(OSError, match="gone"):
        await upload.finish(lambda passed: passed)
    await upload.abort()
    assert pieces.left == BUDGET
    assert not pieces.turn.locked()
    assert pieces._spare == []  # what it says: nobody gets it
