"""Secrets that can be destroyed, in a store of their own: a directory with one SQLite file and the keys it is wrapped under.

What it is not: in the main database, its WAL or its replicas, where a deleted row stays readable.

Every secret is wrapped (ChaCha20-Poly1305) under the key-encryption key of the month it came in, a file beside the
database. `drop` and `destroy` leave no wrapped byte in the file; a block device may keep older copies of them, and
backups do. `destroy_month` removes the month's key, and with it whatever copies there are, wherever they are. That holds
once backups of this directory have gone too; they live at most 7 days (design.md section 7).

A change must keep these:
1. Whoever reads or makes a key-encryption key does so inside BEGIN IMMEDIATE: the one lock between all processes. So no
   secret is ever wrapped under a key that is being destroyed.
2. No key and no connection outlives a call: what was destroyed by one process is gone for all of them.
3. What deletes also vacuums before it returns. `secure_delete` alone is not enough: it zeroes the deleted cell, but not
   the copies that remain in a page's gap where SQLite once moved that cell to balance its tree (a test found them). No
   journal keeps pages either (`journal_mode=TRUNCATE`, never WAL), and temporary tables stay in memory.
4. What callers ask for while a commit is under way shares the next one: a commit waits for the disk several times.
5. A wrapped secret opens only under the name it was put under: transfer and name are the associated data.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Generic, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from gateway.core.errors import BrokenPromise, StoreError, Unusable
from gateway.ports import Clock, Entropy

KEY_SIZE = 32
_NONCE_SIZE = 12
_BUSY_TIMEOUT = 30.0
_MAX_BATCH = 256
_MONTH = re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])")
_YEARS = ""  # stands for the transfer of the year keys: no transfer has an empty id
_CONTEXT = b"hetao-keyring-v1"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS secrets (
  transfer_id TEXT NOT NULL,
  name TEXT NOT NULL,
  wrapper TEXT NOT NULL,
  fingerprint BLOB NOT NULL,
  wrapped BLOB NOT NULL,
  PRIMARY KEY (transfer_id, name)
) WITHOUT ROWID
"""

T = TypeVar("T")


@dataclass
class _Pending(Generic[T]):
    """Work that waits for its transaction."""

    work: Callable[[sqlite3.Connection], T]
    done: asyncio.Future[T]

    def succeed(self, result: T) -> None:
        if not self.done.cancelled():  # the caller went away; the work stands
            self.done.set_result(result)

    def fail(self, failure: Exception) -> None:
        if not self.done.cancelled():
            self.done.set_exception(failure)


class FileKeyring:
    """`gateway.ports.Keyring` in a directory. For several threads and processes at once.

    Args:
        path: The directory; made with mode 0700 where it is missing.
        clock: Tells the month a new secret belongs to (UTC).
        entropy: Where keys and nonces come from.

    Raises:
        Unusable: Where others may read the directory.
        StoreError: Where it cannot be made or opened.
    """

    def __init__(self, path: Path, clock: Clock, entropy: Entropy) -> None:
        self._path = path
        self._clock = clock
        self._entropy = entropy
        self._queue: list[_Pending[Any]] = []
        self._drainer: asyncio.Future[None] | None = None
        with _told():
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if path.stat().st_mode & 0o077:
                raise Unusable(f"others may read the keyring's directory: chmod 700 {path}")
            os.close(os.open(self._database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        with self._transaction() as connection:
            connection.execute(_SCHEMA)

    # --- gateway.ports.Keyring ---------------------------------------------------------------------------------------

    async def put(self, transfer_id: str, name: str, secret: bytes) -> None:
        """Keep a secret under a transfer; durable on return. Replaces one of the same name."""
        _check_names(transfer_id, name)
        month = _month_of(self._clock.now())

        def replace(connection: sqlite3.Connection) -> None:
            _delete(connection, "transfer_id = ? AND name = ?", (transfer_id, name))
            self._wrap(connection, month, transfer_id, name, secret)

        await self._do(replace)

    async def get(self, transfer_id: str, name: str) -> bytes:
        """A secret.

        Raises:
            StoreError: Code `key-destroyed`: it was destroyed, or never there.
            BrokenPromise: Where the wrapped bytes were changed.
        """
        _check_names(transfer_id, name)
        return await asyncio.to_thread(self._get, transfer_id, name)

    async def get_all(self, transfer_id: str, prefix: str = "") -> Mapping[str, bytes]:
        """By name, what is left of a transfer's secrets whose names begin so.

        Raises:
            BrokenPromise: Where wrapped bytes were changed.
        """
        _check_names(transfer_id, prefix)
        return await asyncio.to_thread(self._get_all, transfer_id, prefix)

    async def copy(self, transfer_id: str, to: str, names: Mapping[str, str]) -> None:
        """Keep a transfer's secrets (old name to new) under another as well; all of them, or none.

        They are unwrapped and wrapped again under their new names, in one transaction.

        Raises:
            StoreError: Code `key-destroyed`: one of them was destroyed, or never there.
        """
        for name, new in names.items():
            _check_names(transfer_id, name)
            _check_names(to, new)
        month = _month_of(self._clock.now())
        await self._do(lambda connection: self._copy(connection, month, transfer_id, to, names))

    async def drop(self, transfer_id: str, name: str) -> None:
        """Destroy one secret, if it is there."""
        _check_names(transfer_id, name)
        await self._do(lambda connection: _delete(connection, "transfer_id = ? AND name = ?", (transfer_id, name)))

    async def destroy(self, transfer_id: str, prefix: str = "") -> int:
        """Destroy a transfer's secrets whose names begin so; returns how many there were."""
        _check_names(transfer_id, prefix)
        condition, values = "transfer_id = ? AND substr(name, 1, ?) = ?", (transfer_id, len(prefix), prefix)
        return await self._do(lambda connection: _delete(connection, condition, values))

    async def year_key(self, year: int) -> bytes:
        """The key persons are digested under in a calendar year, 32 bytes, made on first use.

        It is wrapped under a key of its own, which `destroy_month` does not touch.
        """
        return await self._do(lambda connection: self._year_key(connection, year))

    # --- housekeeping ------------------------------------------------------------------------------------------------

    async def destroy_month(self, month: str) -> int:
        """Destroy a month's key-encryption key and every secret that was put in that month.

        Args:
            month: `YYYY-MM`.

        Returns:
            How many secrets there were.

        Raises:
            Unusable: Where the month is not written so.
        """
        if not _MONTH.fullmatch(month):
            raise Unusable("a month is written YYYY-MM")
        return await self._do(lambda connection: self._destroy_wrapper(connection, month))

    def months(self) -> list[str]:
        """Months whose key still exists, oldest first."""
        with _told():
            names = (path.name.removeprefix("month-") for path in self._path.glob("month-*"))
            return sorted(name for name in names if _MONTH.fullmatch(name))

    # --- inside a transaction ----------------------------------------------------------------------------------------

    def _wrap(self, connection: sqlite3.Connection, wrapper: str, transfer_id: str, name: str, secret: bytes) -> None:
        key = self._wrapping_key(wrapper) or self._make_wrapping_key(wrapper)
        nonce = self._entropy.token(_NONCE_SIZE)
        wrapped = nonce + ChaCha20Poly1305(key).encrypt(nonce, secret, _associated(transfer_id, name))
        connection.execute(
            "INSERT INTO secrets (transfer_id, name, wrapper, fingerprint, wrapped) VALUES (?, ?, ?, ?, ?)",
            (transfer_id, name, wrapper, _fingerprint(key), wrapped),
        )

    def _copy(
        self, connection: sqlite3.Connection, month: str, transfer_id: str, to: str, names: Mapping[str, str]
    ) -> None:
        for name, new in names.items():
            secret = self._unwrap(connection, transfer_id, name)
            if secret is None:
                raise StoreError("this key was destroyed, or never made", code="key-destroyed", retry=False)
            _delete(connection, "transfer_id = ? AND name = ?", (to, new))
            self._wrap(connection, month, to, new, secret)

    def _unwrap(self, connection: sqlite3.Connection, transfer_id: str, name: str) -> bytes | None:
        """A secret; None where it is gone, or the key it was wrapped under."""
        statement = "SELECT wrapper, fingerprint, wrapped FROM secrets WHERE transfer_id = ? AND name = ?"
        row = connection.execute(statement, (transfer_id, name)).fetchone()
        key = self._wrapping_key(row[0]) if row else None
        if row is None or key is None or _fingerprint(key) != row[1]:
            return None
        return _unwrapped(key, row[2], transfer_id, name)

    def _get_all(self, transfer_id: str, prefix: str) -> Mapping[str, bytes]:
        statement = (
            "SELECT name, wrapper, fingerprint, wrapped FROM secrets WHERE transfer_id = ? AND substr(name, 1, ?) = ?"
        )
        with self._connected() as connection:
            rows = connection.execute(statement, (transfer_id, len(prefix), prefix)).fetchall()
            # Read after the rows and once a month, not once a row: a wrapping key that is gone takes all its secrets along.
            keys = {wrapper: self._wrapping_key(wrapper) for wrapper in {row[1] for row in rows}}
        return {
            name: _unwrapped(key, wrapped, transfer_id, name)
            for name, wrapper, fingerprint, wrapped in rows
            if (key := keys[wrapper]) is not None and _fingerprint(key) == fingerprint
        }

    def _get(self, transfer_id: str, name: str) -> bytes:
        with self._connected() as connection:
            secret = self._unwrap(connection, transfer_id, name)
        if secret is None:
            raise StoreError("this key was destroyed, or never made", code="key-destroyed", retry=False)
        return secret

    def _year_key(self, connection: sqlite3.Connection, year: int) -> bytes:
        name = f"{year:04d}"
        known = connection.execute(
            "SELECT 1 FROM secrets WHERE transfer_id = ? AND name = ?", (_YEARS, name)
        ).fetchone()
        if known is None:
            self._wrap(connection, f"year-{name}", _YEARS, name, self._entropy.token(KEY_SIZE))
        key = self._unwrap(connection, _YEARS, name)
        if key is None:  # a second key for one year would count every person twice: never made in silence
            raise StoreError(f"the key of {name} lost its wrapping key: restore it", code="key-destroyed", retry=False)
        return key

    def _destroy_wrapper(self, connection: sqlite3.Connection, wrapper: str) -> int:
        path = self._wrapper_path(wrapper)
        with contextlib.suppress(FileNotFoundError):
            _overwrite(path, self._entropy.token(KEY_SIZE))
            path.unlink()
            _sync_directory(self._path)
        return _delete(connection, "wrapper = ?", (wrapper,))

    # --- key-encryption keys -----------------------------------------------------------------------------------------

    def _wrapper_path(self, wrapper: str) -> Path:
        return self._path / (wrapper if wrapper.startswith("year-") else f"month-{wrapper}")

    def _wrapping_key(self, wrapper: str) -> bytes | None:
        """A key-encryption key; None where there is none (any more)."""
        try:
            key = self._wrapper_path(wrapper).read_bytes()
        except FileNotFoundError:
            return None
        if len(key) != KEY_SIZE:
            raise BrokenPromise(f"the wrapping key of {wrapper} has {len(key)} bytes: restore the keyring")
        return key

    def _make_wrapping_key(self, wrapper: str) -> bytes:
        """A new key-encryption key, durable on return; only ever called under the lock."""
        key = self._entropy.token(KEY_SIZE)
        path = self._wrapper_path(wrapper)
        unfinished = path.with_name(f"unfinished-{path.name}")
        unfinished.unlink(missing_ok=True)  # a process died here; it never got to use that key
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, key)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        unfinished.rename(path)
        _sync_directory(self._path)
        return key

    # --- SQLite ------------------------------------------------------------------------------------------------------

    @property
    def _database(self) -> Path:
        return self._path / "secrets.sqlite"

    async def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run work in a transaction, together with what others asked for meanwhile; durable on return."""
        pending: _Pending[T] = _Pending(work, asyncio.get_running_loop().create_future())
        self._queue.append(pending)
        if self._drainer is None or self._drainer.done():
            # Held here and not by a caller: one that is cancelled takes nobody's work along.
            self._drainer = asyncio.ensure_future(self._drain())
        return await pending.done

    async def _drain(self) -> None:
        while self._queue:
            batch, self._queue = self._queue[:_MAX_BATCH], self._queue[_MAX_BATCH:]
            await self._settle(batch)

    async def _settle(self, batch: list[_Pending[Any]]) -> None:
        try:
            results = await asyncio.to_thread(self._commit, [each.work for each in batch])
        except Exception as failure:  # noqa: BLE001  # handed to the caller whose work it is, below
            if len(batch) == 1:
                batch[0].fail(failure)
                return
            for each in batch:  # so that nobody's failure is somebody else's
                await self._settle([each])
            return
        for each, result in zip(batch, results, strict=True):
            each.succeed(result)

    def _commit(self, works: list[Callable[[sqlite3.Connection], Any]]) -> list[Any]:
        """Do all works or none, then leave no trace of what they deleted."""
        with self._transaction() as connection:
            results = [work(connection) for work in works]
            unswept = _user_version(connection)
        if unswept:
            with self._connected() as connection:
                connection.execute("VACUUM")
            with self._transaction() as connection:
                if _user_version(connection) == unswept:  # else another process deleted more, and vacuums itself
                    connection.execute("PRAGMA user_version = 0")
        return results

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with _told(), contextlib.closing(_connection(self._database)) as connection:
            yield connection

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """BEGIN IMMEDIATE to COMMIT; an exception rolls back when the connection closes."""
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")


def _unwrapped(key: bytes, wrapped: bytes, transfer_id: str, name: str) -> bytes:
    try:
        return ChaCha20Poly1305(key).decrypt(
            wrapped[:_NONCE_SIZE], wrapped[_NONCE_SIZE:], _associated(transfer_id, name)
        )
    except InvalidTag:
        raise BrokenPromise("a wrapped secret was changed or moved: somebody wrote to the keyring") from None


def _connection(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT, isolation_level=None)
    connection.execute("PRAGMA journal_mode = TRUNCATE")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _delete(connection: sqlite3.Connection, condition: str, values: tuple[str | int, ...]) -> int:
    """Delete secrets; returns how many.

    `user_version` counts deletions that no vacuum has followed yet, so that one a crash cut off is made up for.
    """
    deleted = connection.execute(f"DELETE FROM secrets WHERE {condition}", values).rowcount  # noqa: S608  # our own words
    if deleted:
        connection.execute(f"PRAGMA user_version = {_user_version(connection) + 1}")
    return deleted


def _user_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _check_names(transfer_id: str, name: str) -> None:
    if not transfer_id or "\0" in transfer_id or "\0" in name:
        raise ValueError("a secret is kept under a transfer's id, and neither id nor name has a NUL")


def _associated(transfer_id: str, name: str) -> bytes:
    return b"\0".join([_CONTEXT, transfer_id.encode(), name.encode()])


def _fingerprint(key: bytes) -> bytes:
    """Tells a month's key from one made anew after it was destroyed."""
    return sha256(_CONTEXT + b"\0fingerprint\0" + key).digest()[:16]


def _month_of(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m")


def _overwrite(path: Path, noise: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.write(descriptor, noise)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Turn the system's and SQLite's refusals into StoreErrors that say what to do."""
    try:
        yield
    except sqlite3.Error as failure:
        if getattr(failure, "sqlite_errorname", "") == "SQLITE_FULL":
            raise _full() from failure
        raise StoreError("the keyring failed: try again, and look at its disk and owner", code="keyring") from failure
    except OSError as refused:
        if refused.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise _full() from refused
        raise StoreError(
            "the keyring cannot be used: look at its directory's owner and disk", code="keyring"
        ) from refused


def _full() -> StoreError:
    return StoreError("the keyring's disk is full: free space, then ask again", code="disk-full")
