"""What a client made in a dataset's folder that is no file of it: empty folders, and orders as they were written.

What it is not: content. No mark is ever submitted, relayed or entered into the ledger; doors show them, so that a client
that looks for what it made finds it, whichever process answers.

The rules:
1. A folder is shown as long as a version that has it stands. An order is shown with the newest version alone, so that the
   next write, which opens the version after, forgets it.
2. What an order said is kept only under a temporary name, until the rename that carries it out.
3. Both are bounded for every version.

When a step fails: nothing is marked; what was ordered stands all the same, since it was recorded before its mark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gateway.core.errors import TooLarge
from gateway.core.names import settled_name
from gateway.core.transfer import State, Transfer
from gateway.flow.incoming import require_state
from gateway.flow.recorder import Ledgering, Recorder
from gateway.ports import Mark, Reading

FOLDER = "folder"
MAX_MADE = 10_000  # empty folders of a version
MAX_ORDERS = 4  # of a version; the oldest gives way


async def shown_marks(view: Reading, standing: Sequence[Transfer], newest: Transfer | None) -> Mapping[str, Mark]:
    """What a folder shows beside its files, by path.

    Args:
        view: What to read.
        standing: The versions that stand, newest first.
        newest: The newest version, whether it stands or not; None where there is no version.
    """
    found = {each.path: each for each in await view.marks(newest.id) if each.kind != FOLDER} if newest else {}
    for transfer in standing:
        for mark in await view.marks(transfer.id):
            if mark.kind == FOLDER:
                found.setdefault(mark.path, mark)
    return found


class Marks:
    """Makes, moves and forgets them; who may is the caller's to say."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    async def put_folder(self, draft: Transfer, path: str) -> bool:
        """Remember an empty folder of a draft; False where it is there already.

        Raises:
            Conflict: The draft was submitted meanwhile.
            TooLarge: There are too many.
        """

        async def job(ledger: Ledgering) -> bool:
            require_state(await ledger.transfer(draft.id), State.OPEN)
            made = {each.path for each in await ledger.tx.marks(draft.id) if each.kind == FOLDER}
            if path in made:
                return False
            if len(made) >= MAX_MADE:
                raise TooLarge(f"at most {MAX_MADE} empty folders are remembered: put files into some")
            await ledger.tx.put_mark(Mark(draft.id, path, FOLDER, 0, ledger.now))
            return True

        return await self._recorder.do(job)

    async def put_order(self, transfer: Transfer, path: str, content: bytes, *, keep: bool = False) -> None:
        """Remember an order as it was written; with `keep`, what it says too."""

        async def job(ledger: Ledgering) -> None:
            orders = [each for each in await ledger.tx.marks(transfer.id) if each.kind != FOLDER and each.path != path]
            for old in sorted(orders, key=lambda each: each.at)[: max(0, len(orders) + 1 - MAX_ORDERS)]:
                await ledger.tx.drop_mark(old.transfer_id, old.path)
            mark = Mark(transfer.id, path, settled_name(path).lower(), len(content), ledger.now)
            await ledger.tx.put_mark(mark, content if keep else b"")

        await self._recorder.do(job)

    async def move(self, mark: Mark, to: str) -> None:
        """Give a folder another name."""

        async def job(ledger: Ledgering) -> None:
            await ledger.tx.drop_mark(mark.transfer_id, mark.path)
            await ledger.tx.put_mark(replace(mark, path=to))

        await self._recorder.do(job)

    async def drop(self, mark: Mark) -> None:
        """Forget one."""

        async def job(ledger: Ledgering) -> None:
            await ledger.tx.drop_mark(mark.transfer_id, mark.path)

        await self._recorder.do(job)
