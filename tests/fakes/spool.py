"""A spool in memory. `room` bounds its bytes, to play a full disk."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import BinaryIO

from gateway.core.errors import StoreError
from gateway.ports import SpoolWriter

_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}(?:/[A-Za-z0-9_-]{1,128}){0,7}")


class FakeSpool:
    """`gateway.ports.Spool`; `parts` holds what is committed."""

    def die(self) -> None:
        """All writers die where they are."""
        self.notes |= {writer.name: writer.note for writer in self.writers if writer.open and writer.note is not None}
        self.left |= {writer.name: bytes(writer.data) for writer in self.writers if writer.open}
        self.busy.clear()
        self.writers.clear()

    def __init__(self, room: int | None = None) -> None:
        self.parts: dict[str, bytes] = {}
        self.busy: set[str] = set()
        self.notes: dict[str, bytes] = {}
        self.left: dict[str, bytes] = {}  # by writers that died
        self.room = room
        self.writers: list[_Writer] = []

    def create(self, name: str) -> SpoolWriter:
        _check(name)
        if name in self.busy:
            raise StoreError("this part is being written already", code="part-busy")
        if name in self.parts:
            raise StoreError("this part exists already", code="part-exists", retry=False)
        self.busy.add(name)
        self.left.pop(name, None)
        writer = _Writer(self, name)
        self.writers.append(writer)
        return writer

    def commit(self, writers: Sequence[SpoolWriter]) -> None:
        for writer in writers:
            writer.commit()

    def open(self, name: str) -> BinaryIO:
        _check(name)
        if name not in self.parts:
            raise StoreError("a sealed part is missing", code="part-missing", retry=False)
        return io.BytesIO(self.parts[name])

    def salvage(self, name: str) -> int | None:
        _check(name)
        if name in self.busy:
            return None
        if name in self.left:
            self.notes.pop(name, None)
            self.parts.setdefault(name, self.left.pop(name))
        return len(self.parts.get(name, b""))

    def held(self) -> Sequence[tuple[str, bytes]]:
        return sorted(self.notes.items())

    def copy(self, names: Mapping[str, str]) -> None:
        made: dict[str, bytes] = {}
        for name, new in names.items():
            _check(name)
            _check(new)
            if name not in self.parts:
                raise StoreError("a sealed part is missing", code="part-missing", retry=False)
            if new in self.parts or new in made:
                raise StoreError("this part exists already", code="part-exists", retry=False)
            made[new] = self.parts[name]
        self.parts |= made

    def delete(self, name: str) -> None:
        _check(name)
        self.parts.pop(name, None)

    def names(self, prefix: str) -> Sequence[str]:
        return _below(self.parts, prefix)

    def unfinished(self, prefix: str) -> Sequence[str]:
        return _below(self.busy, prefix)


class _Writer:
    def __init__(self, spool: FakeSpool, name: str) -> None:
        self._spool = spool
        self.name = name
        self.data = bytearray()
        self.open = True
        self.note: bytes | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert self.open
        self.data += data
        used = sum(len(part) for part in self._spool.parts.values()) + len(self.data)
        if self._spool.room is not None and used > self._spool.room:
            self.abort()
            raise StoreError("the vault's disk is full", code="disk-full")

    def enter(self) -> None:
        assert self.open

    def hold(self, note: bytes) -> None:
        assert self.open
        self.note = note

    def commit(self) -> None:
        assert self.open
        self._spool.parts[self.name] = bytes(self.data)
        self.abort()

    def abort(self) -> None:
        self.open = False
        self._spool.busy.discard(self.name)


def _below(names: Iterable[str], prefix: str) -> list[str]:
    stem = prefix.rstrip("/")
    if prefix:
        _check(stem)
    return sorted(name for name in names if not stem or name == stem or name.startswith(stem + "/"))


def _check(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise StoreError("a part's name is made of tokens and slashes", code="part-name", retry=False)
