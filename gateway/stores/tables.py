"""The database's tables, as SQLAlchemy Core sees them.

What it is not: the way they come to be. `gateway.stores.migrations` creates and changes them, triggers included; a test
compares what the migrations make with what is said here.

A change must keep these:
1. What is asked by column has a column; everything else of a value is JSON or bytes.
2. Times come back aware and in UTC, whatever the engine keeps; texts are compared and sorted by code point on both.
3. Names that are SQL words (`index`, `level`) keep the ledger's vocabulary; SQLAlchemy quotes them.
4. No secret that can be destroyed is here: a deleted row stays readable in free pages, in the WAL and on replicas.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

VERSION_TABLE = "schema_version"
"""Where Alembic keeps the revision the database is at."""

REVISION = "v009"
"""The newest migration; a test compares it with the scripts."""

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


class Instant(TypeDecorator[datetime]):
    """A point in time: `timestamptz` in PostgreSQL, in SQLite a text of one length that sorts as the time does."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The engine's own type."""
        kept: TypeEngine[Any] = sa.String(32) if dialect.name == "sqlite" else sa.DateTime(timezone=True)
        return dialect.type_descriptor(kept)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | str | None:
        """The value as the engine keeps it; raises ValueError on a time without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        at = value.astimezone(UTC)
        return at.isoformat(timespec="microseconds") if dialect.name == "sqlite" else at

    def process_result_value(self, value: datetime | str | None, dialect: Dialect) -> datetime | None:
        """The value as the gateway knows it: aware, UTC."""
        del dialect
        if value is None:
            return None
        return (datetime.fromisoformat(value) if isinstance(value, str) else value).astimezone(UTC)


# Code points on both engines: SQLite compares bytes of UTF-8, PostgreSQL would follow the database's locale.
Word = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def _word(name: str) -> sa.Column[str]:
    return sa.Column(name, Word, nullable=False)


def _whole(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _bytes(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=False)


def _json(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.JSON, nullable=False)


def _time(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, Instant, nullable=nullable)


def _of_transfer(*, primary: bool) -> sa.Column[str]:
    # Checked at commit, so that a transaction may write a transfer and what belongs to it in any order.
    owner = sa.ForeignKey("transfers.id", deferrable=True, initially="DEFERRED")
    return sa.Column("transfer_id", Word, owner, primary_key=primary, nullable=False)


transfers = sa.Table(
    "transfers",
    metadata,
    sa.Column("id", Word, primary_key=True),
    _word("institution"),
    _word("endpoint"),
    _word("project"),
    _word("dataset"),
    _whole("version"),
    _word("direction"),
    _word("door"),
    _word("person"),
    _word("client"),
    _word("state"),
    _time("since"),
    _time("due", nullable=True),
    _time("opened_at"),
    _json("declaration"),
    _whole("files"),
    _whole("bytes"),
    _word("root"),
    _json("findings"),
    _json("decision"),
    _whole("registry_revision"),
    _word("clearance"),
    _word("clearance_signature"),
    _word("manifest"),
    _word("manifest_signature"),
    _json("delivery"),
    _word("receipt"),
    _word("receipt_signature"),
    _whole("attempts"),
    _time("next_at", nullable=True),
    _word("reason"),
    sa.Column("keys_destroyed", sa.Boolean, nullable=False),
    _time("ended_at", nullable=True),
    _whole("last_entry"),
    # Drawn from `decision` on every write, so that they can be asked for: the verdict, and the rules as `|P8|P8.1|`.
    _word("verdict"),
    _word("rules"),
    _time("escalate_at", nullable=True),
    _time("escalated_at", nullable=True),
    sa.Column("evidence", Word, nullable=False, server_default="kept"),
    sa.UniqueConstraint("institution", "endpoint", "project", "dataset", "version"),
    sa.Index(None, "opened_at", "id"),
    sa.Index(None, "state", "next_at"),
    sa.Index(None, "due"),
    sa.Index(None, "state", "ended_at"),
    sa.Index(None, "escalate_at"),
)

idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("institution", Word, primary_key=True),
    sa.Column("key", Word, primary_key=True),
    _of_transfer(primary=False),
)

files = sa.Table(
    "files",
    metadata,
    _of_transfer(primary=True),
    sa.Column("path", Word, primary_key=True),
    _whole("number"),
    _whole("size"),
    _bytes("sha256"),
    _bytes("body_blake3"),
    _whole("body_size"),
    _json("parts"),
    _json("findings"),
    _json("facts"),
    _bytes("persons_sensitive"),
    _bytes("persons_nonsensitive"),
    _bytes("seal"),
    _time("modified_at", nullable=True),
    _time("received_at"),
    # The version whose delivery brought the bytes; empty where they lie in the vault under this one.
    sa.Column("carried", Word, nullable=False, server_default=""),
    # Who is in it under the key of a family of projects, for those that have one; NULL in rows of before that was kept.
    sa.Column("persons_lasting", sa.LargeBinary, nullable=True),
    sa.Index(None, "sha256"),
    sa.Index(None, "transfer_id", "number"),
)

# Numbers are never given twice in a transfer, also after a file was dropped: spool names are made of them.
file_numbers = sa.Table("file_numbers", metadata, _of_transfer(primary=True), _whole("next"))

# Uploads under way or cut off. The last part may still be unfinished in the vault, where its size tells what it holds.
partials = sa.Table(
    "partials",
    metadata,
    _of_transfer(primary=True),
    sa.Column("path", Word, primary_key=True),
    _json("parts"),
    _whole("size"),
    _time("modified_at", nullable=True),
    _time("at"),
)

# Uploads that have an address (tus). What was kept of one is the row of `partials` at `/` and its id.
uploads = sa.Table(
    "uploads",
    metadata,
    sa.Column("id", Word, primary_key=True),
    _of_transfer(primary=False),
    _word("path"),
    sa.Column("length", sa.BigInteger, nullable=True),
    _time("made_at"),
    _time("expires"),
    _word("metadata"),
    _word("concat"),
    _word("sha256"),
    _time("modified", nullable=True),
    sa.Column("done", sa.Boolean, nullable=False),
    _whole("turn"),
    sa.Index(None, "transfer_id"),
    sa.Index(None, "expires"),
)

# What a client made in a dataset's folder that is no file of it: `folder`, `submit`, `withdraw`. `content` is kept for an
# order that was written under a temporary name, until it gets its own.
marks = sa.Table(
    "marks",
    metadata,
    _of_transfer(primary=True),
    sa.Column("path", Word, primary_key=True),
    _word("kind"),
    _whole("size"),
    _time("at"),
    _bytes("content"),
)

# Locks of WebDAV clients; what ran out is forgotten when its institution takes the next one.
locks = sa.Table(
    "locks",
    metadata,
    sa.Column("token", Word, primary_key=True),
    _word("institution"),
    _word("endpoint"),
    _word("project"),
    _word("dataset"),
    _word("path"),
    _word("client"),
    _word("owner"),
    sa.Column("deep", sa.Boolean, nullable=False),
    sa.Column("awaits", sa.Boolean, nullable=False),
    _time("until"),
    sa.Index(None, "institution"),
)

# What files that list other files say (BagIt manifests, RO-Crate), as it was read when they came in.
manifests = sa.Table(
    "manifests",
    metadata,
    _of_transfer(primary=True),
    sa.Column("path", Word, primary_key=True),
    _word("kind"),
    _json("document"),
    _bytes("sha256"),
)

# Connections that wrote into a draft and did not end in order; `lost_at` is empty while one lives, or died with its process.
connections = sa.Table(
    "connections",
    metadata,
    _of_transfer(primary=True),
    sa.Column("connection", Word, primary_key=True),
    _time("lost_at", nullable=True),
)

votes = sa.Table(
    "votes",
    metadata,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), sa.Identity(), primary_key=True),
    _of_transfer(primary=False),
    _bytes("message"),
    _bytes("signature"),
    _time("at"),
    sa.Index(None, "transfer_id"),
)

channel_passages = sa.Table(
    "channel_passages",
    metadata,
    _of_transfer(primary=True),
    _word("channel"),
    _word("record"),
    _whole("number"),
    _whole("files"),
    _whole("size"),
    _whole("persons"),
    _time("at"),
    _word("sampled"),
    _time("due", nullable=True),
    _word("finding"),
    _time("closed_at", nullable=True),
    _bytes("message"),
    _bytes("signature"),
    sa.UniqueConstraint("channel", "number"),
)

person_sets = sa.Table(
    "person_sets",
    metadata,
    _of_transfer(primary=True),
    _word("entity"),
    _whole("year"),
    _word("track"),
    _bytes("sensitive"),
    _bytes("nonsensitive"),
    _whole("unkeyed_sensitive"),
    _whole("unkeyed_nonsensitive"),
    sa.Index(None, "year", "track", "entity"),
)

person_unions = sa.Table(
    "person_unions",
    metadata,
    sa.Column("entity", Word, primary_key=True),
    sa.Column("year", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("track", Word, primary_key=True),
    _whole("sets"),
    _whole("digests"),
    _whole("sensitive"),
    _whole("nonsensitive"),
)

person_shards = sa.Table(
    "person_shards",
    metadata,
    sa.Column("entity", Word, primary_key=True),
    sa.Column("year", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("track", Word, primary_key=True),
    sa.Column("kind", Word, primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    _bytes("digests"),
)

hgr_counts = sa.Table(
    "hgr_counts",
    metadata,
    _of_transfer(primary=True),
    _word("project"),
    _word("endpoint"),
    _whole("subjects"),
    _whole("sequencing"),
    sa.Index(None, "project", "endpoint"),
)

hgr_samples = sa.Table(
    "hgr_samples",
    metadata,
    _of_transfer(primary=True),
    _word("project"),
    _word("endpoint"),
    _bytes("samples"),
    _bytes("sequenced"),
    sa.Index(None, "project", "endpoint"),
)

filing_uses = sa.Table(
    "filing_uses",
    metadata,
    _of_transfer(primary=True),
    sa.Column("filing", Word, primary_key=True),
    _whole("year"),
    _whole("persons"),
    _whole("subjects"),
    sa.Index(None, "filing", "year"),
)

changes = sa.Table(
    "changes",
    metadata,
    sa.Column("digest", Word, primary_key=True),
    _bytes("document"),
    _word("state"),
    _bytes("proposer_signature"),
    _bytes("approver_signature"),
    _whole("serial"),
    _time("proposed_at", nullable=True),
    _time("approved_at", nullable=True),
    # Two changes approved at once cannot both be the next one.
    sa.Index(
        "uq_changes_serial",
        "serial",
        unique=True,
        sqlite_where=sa.text("serial > 0"),
        postgresql_where=sa.text("serial > 0"),
    ),
)

entries = sa.Table(
    "entries",
    metadata,
    sa.Column("index", sa.BigInteger, primary_key=True, autoincrement=False),
    _word("tag"),
    _word("subject"),
    _time("at"),
    _bytes("body"),
    _bytes("opening"),
    sa.Index(None, "subject", "index"),
)

tree_nodes = sa.Table(
    "tree_nodes",
    metadata,
    sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("index", sa.BigInteger, primary_key=True, autoincrement=False),
    _bytes("hash"),
)

# One row; whoever holds it is the only writer (PostgreSQL), and `size` is the index of the next entry.
tree_head = sa.Table(
    "tree_head",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    _whole("size"),
    sa.CheckConstraint("id = 1", name="single"),
)

checkpoints = sa.Table(
    "checkpoints",
    metadata,
    sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
    _bytes("note"),
)

leases = sa.Table("leases", metadata, _of_transfer(primary=True), _word("worker"), _time("until"))

spent_tokens = sa.Table(
    "spent_tokens",
    metadata,
    sa.Column("client", Word, primary_key=True),
    sa.Column("token_id", Word, primary_key=True),
    _time("expires"),
)

revocations = sa.Table(
    "revocations",
    metadata,
    sa.Column("client", Word, primary_key=True),
    sa.Column("token_id", Word, primary_key=True),
    _time("at"),
)

# Addresses no door talks to for a while.
bans = sa.Table(
    "bans",
    metadata,
    sa.Column("remote", Word, primary_key=True),
    _word("reason"),
    _time("at"),
    _time("until"),
)

# How far each registered webhook was told; the events themselves are the ledger's.
outboxes = sa.Table(
    "outboxes",
    metadata,
    sa.Column("webhook", Word, primary_key=True),
    _whole("position"),
    _time("next_at"),
    _whole("attempts"),
    _word("reason"),
    _time("parked_at", nullable=True),
    _time("delivered_at", nullable=True),
    _word("worker"),
    _time("until", nullable=True),
)
