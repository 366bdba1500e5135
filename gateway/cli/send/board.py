"""What a run shows: bars on a terminal, plain lines where there is none, one JSON object a line for machines.

What it is not: wording of verdicts (`verdicts`). A change must keep these:
1. What is shown was measured. Where nothing moves, `waiting` is shown, and why, and no time left.
2. Names of files are shown to their owner on this terminal and stand in the events of `--json`; nothing else of a file does.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import unicodedata
from abc import abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from gateway.cli.dataset import LocalFile
from gateway.cli.send.pace import STILL, Pace, duration
from gateway.core.catalogue import Catalogue

FILE_COST: Final = 1 << 17  # what a file costs beside its bytes, in bytes: many small ones say nothing of a large one
EVERY: Final = 5.0  # seconds between lines where nobody watches bars


class Board:
    """Counts, and tells.

    Args:
        catalogue: Texts.
        language: One of its languages.
    """

    def __init__(self, catalogue: Catalogue, language: str) -> None:
        self.catalogue = catalogue
        self.language = language
        self.files = self.bytes = 0
        self.done = 0  # files
        self.there = 0  # bytes the gateway has, or that are on their way
        self.reason = ""
        self.pace = self._work = Pace(time.monotonic())
        self._read = -STILL
        self._offsets: dict[str, int] = {}

    # --- what the run tells ------------------------------------------------------------------------------------------

    def begin(self, files: int, size: int) -> None:
        """So much is to be sent."""
        self.files, self.bytes = files, size
        self.done = self.there = 0
        self._offsets.clear()
        self.pace, self._work = Pace(time.monotonic()), Pace(time.monotonic())
        self._begun()

    def reads(self) -> None:
        """A file is being read for its digest: nothing moves, and it is not the network's doing."""
        self._read = time.monotonic()

    def stands(self, file: LocalFile, offset: int) -> None:
        """A file is so far."""
        before = self._offsets.get(file.path)
        self._offsets[file.path] = offset
        self.there += offset - (before or 0)
        if before is not None:  # where it first stands was brought by an earlier run
            self.pace.moved(time.monotonic(), offset - before)
            self._work.moved(time.monotonic(), offset - before)
            self.reason = "" if offset > before else self.reason
        self._moved(file, offset)

    def finished(self, file: LocalFile, *, sent: bool) -> None:
        """A file is there: it was sent, or had been before."""
        self.there += file.size - self._offsets.pop(file.path, 0)
        self.done += 1
        if sent:
            self._work.moved(time.monotonic(), FILE_COST)
        self.event("sent" if sent else "skipped", path=file.path, size=file.size)
        self._gone(file)

    def again(self, file: LocalFile) -> None:
        """A file has to begin anew: it changed while it was sent."""
        self.there -= self._offsets.pop(file.path, 0)
        self._gone(file)
        self.say("changed", event="changed", path=file.path)

    def waits(self, reason: str) -> None:
        """Nothing goes on just now, and why."""
        self.reason = reason
        self.event("waiting", reason=reason)

    def say(self, message: str, *, event: str, style: str = "", **values: object) -> None:
        """A sentence of the catalogue, and the event it is for machines."""
        self.event(event, **values)
        self.line(self.catalogue.text(f"send.{message}", self.language, **values), style)

    def text(self, message: str, **values: object) -> str:
        """A text of the catalogue in the board's language."""
        return self.catalogue.text(message, self.language, **values)

    def left(self, now: float) -> float | None:
        """Seconds until all files are there; None where nobody can know."""
        missing = self.bytes - self.there + FILE_COST * (self.files - self.done)
        return None if self.pace.waiting(now) else self._work.left(now, missing)

    def status(self) -> str:
        """How it stands, in one line."""
        now = time.monotonic()
        left = self.left(now)
        if self.pace.waiting(now) and now - self._read < STILL:
            rest = self.text("send.reading")
        elif self.pace.waiting(now) and self.reason:
            rest = self.text("send.waiting-for", reason=self.reason)
        elif left is None:
            rest = self.text("send.waiting")
        else:
            rest = self.text("send.left", rate=decimal(round(self.pace.rate(now))), left=duration(left))
        counts = {"done": self.done, "files": self.files, "there": decimal(self.there), "bytes": decimal(self.bytes)}
        return self.text("send.progress", rest=rest, **counts)

    # --- how it is shown ---------------------------------------------------------------------------------------------

    def running(self) -> AbstractContextManager[object]:
        """Around the time in which files go."""
        return nullcontext()

    @abstractmethod
    def line(self, text: str, style: str = "") -> None:
        """A line for people."""

    def event(self, kind: str, **fields: object) -> None:
        """An event for machines."""

    async def tick(self) -> None:
        """Tell how it stands now and then, for as long as files go."""

    def _begun(self) -> None:
        """Files begin."""

    def _moved(self, file: LocalFile, offset: int) -> None:
        """A file moved."""

    def _gone(self, file: LocalFile) -> None:
        """A file needs no bar any more."""


class Lines(Board):
    """Plain lines, where nobody watches."""

    def line(self, text: str, style: str = "") -> None:
        """Print it."""
        del style
        print(plain(text), flush=True)  # noqa: T201  # a line for a log file, not through rich, which would wrap it

    async def tick(self) -> None:
        """A line every few seconds."""
        while True:
            await asyncio.sleep(EVERY)
            self.line(self.status())


class Events(Board):
    """One JSON object a line."""

    def line(self, text: str, style: str = "") -> None:
        """Nothing: machines read events."""

    def event(self, kind: str, **fields: object) -> None:
        """Print it."""
        print(json.dumps({"event": kind, **fields}, ensure_ascii=False), flush=True)  # noqa: T201  # what --json is for

    async def tick(self) -> None:
        """An event every few seconds."""
        while True:
            await asyncio.sleep(EVERY)
            now = time.monotonic()
            self.event(
                "progress",
                files=self.files,
                done=self.done,
                bytes=self.bytes,
                there=self.there,
                rate=round(self.pace.rate(now)),
                left=self.left(now),
                waiting=self.pace.waiting(now),
            )


class _Told(ProgressColumn):
    """How far a file is; the total says how fast and how long."""

    max_refresh = 0.5

    def __init__(self, board: Board) -> None:
        super().__init__()
        self._board = board

    def render(self, task: Task) -> Text:
        """The column's text."""
        if task.fields.get("whole"):
            return Text(self._board.status())
        return Text(f"{decimal(int(task.completed))} / {decimal(int(task.total or 0))}")


class Bars(Board):
    """Bars on a terminal: one for each file under way, and one for all."""

    def __init__(self, catalogue: Catalogue, language: str, console: Console) -> None:
        super().__init__(catalogue, language)
        self._console = console
        columns = (TextColumn("{task.description}", markup=False), BarColumn(24), _Told(self))
        self._bars = Progress(*columns, console=console, transient=True, refresh_per_second=4)
        self._tasks: dict[str, TaskID] = {}
        self._whole: TaskID | None = None

    def running(self) -> AbstractContextManager[object]:
        """Bars are drawn."""
        return self._bars

    def line(self, text: str, style: str = "") -> None:
        """Print it above the bars."""
        self._console.print(escape(plain(text)), style=style, soft_wrap=True, highlight=False)

    def _begun(self) -> None:
        for task in (*self._tasks.values(), *([self._whole] if self._whole is not None else [])):
            self._bars.remove_task(task)
        self._tasks.clear()
        self._whole = self._bars.add_task("", total=self.bytes or 1, whole=True)

    def _moved(self, file: LocalFile, offset: int) -> None:
        if file.path not in self._tasks:
            self._tasks[file.path] = self._bars.add_task(_short(file.path), total=file.size or 1)
        self._bars.update(self._tasks[file.path], completed=offset)
        self._all()

    def _gone(self, file: LocalFile) -> None:
        task = self._tasks.pop(file.path, None)
        if task is not None:
            self._bars.remove_task(task)
        self._all()

    def _all(self) -> None:
        if self._whole is not None:
            self._bars.update(self._whole, completed=self.there)


def plain(text: str) -> str:
    """Text without what could steer a terminal: the gateway's words are shown, not obeyed."""
    return "".join("?" if unicodedata.category(each) == "Cc" and each not in "\n\t" else each for each in text)


def make_board(catalogue: Catalogue, language: str, *, as_json: bool) -> Board:
    """The board that fits what standard output is."""
    if as_json:
        return Events(catalogue, language)
    return Bars(catalogue, language, Console()) if sys.stdout.isatty() else Lines(catalogue, language)


def _short(path: str) -> str:
    return path if len(path) <= 40 else "..." + path[-37:]
