"""A spool in memory. `room` bounds its bytes, to play a full disk."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import BinaryIO

from gateway.core.errors import StoreError
from gateway.ports import SpoolWriter

_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}(?:/[A-Za-z0-9_-]{1,128}){0,7}")


class FakeSpool:
    """`gateway.ports.Spool`; `parts` holds what is committed."""

    def __init__(self, room: int | None = None) -> None:
        self.parts: dict[str, bytes] = {}
        self.busy: set[str] = set()
        self.room = room

    def create(self, name: str) -> SpoolWriter:
        _check(name)
        if name in self.busy:
            raise StoreError("this part is being written already", code="part-busy")
        if name in self.parts:
            raise StoreError("this part exists already", code="part-exists", retry=False)
        self.busy.add(name)
        return _Writer(self, name)

    def open(self, name: str) -> BinaryIO:
        _check(name)
        if name not in self.parts:
            raise StoreError("a sealed part is missing", code="part-missing", retry=False)
        return io.BytesIO(self.parts[name])

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
        stem = prefix.rstrip("/")
        if prefix:
            _check(stem)
        return sorted(name for name in self.parts if not stem or name == stem or name.startswith(stem + "/"))


class _Writer:
    def __init__(self, spool: FakeSpool, name: str) -> None:
        self._spool = spool
        self._name = name
        self._data = bytearray()
        self._open = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert self._open
        self._data += data
        used = sum(len(part) for part in self._spool.parts.values()) + len(self._data)
        if self._spool.room is not None and used > self._spool.room:
            self.abort()
            raise StoreError("the vault's disk is full", code="disk-full")

    def commit(self) -> None:
        assert self._open
        self._spool.parts[self._name] = bytes(self._data)
        self.abort()

    def abort(self) -> None:
        self._open = False
        self._spool.busy.discard(self._name)


def _check(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise StoreError("a part's name is made of tokens and slashes", code="part-name", retry=False)
