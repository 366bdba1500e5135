"""The first schema: transfers, people counted, the registry's changes, the ledger and what workers share.

The triggers are the last line of rule "append-only": they hold for whoever has a connection, the gateway included.
Dropping them takes the rights of the tables' owner and shows in the schema; the signed checkpoints hold anyway.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v001"
down_revision = None
branch_labels = None
depends_on = None

_WORD = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_TIME = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")


def upgrade() -> None:
    """Make everything from nothing."""
    _make_transfers()
    _make_files()
    _make_counts()
    _make_registry()
    _make_ledger()
    _make_work()
    _make_credentials()
    _guard(op.get_bind().dialect.name)


def _word(name: str, *, primary: bool = False) -> sa.Column[str]:
    return sa.Column(name, _WORD, nullable=False, primary_key=primary)


def _whole(name: str, *, primary: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, primary_key=primary, autoincrement=False)


def _bytes(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=False)


def _json(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.JSON(), nullable=False)


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, _TIME, nullable=nullable)


def _of_transfer(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["transfer_id"], ["transfers.id"], name=f"fk_{table}_transfers", deferrable=True, initially="DEFERRED"
    )


def _make_transfers() -> None:
    op.create_table(
        "transfers",
        _word("id"),
        *(_word(name) for name in ("institution", "endpoint", "project", "dataset")),
        _whole("version"),
        *(_word(name) for name in ("direction", "door", "person", "client", "state")),
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
        *(_word(name) for name in ("clearance", "clearance_signature", "manifest", "manifest_signature")),
        _json("delivery"),
        _word("receipt"),
        _word("receipt_signature"),
        _whole("attempts"),
        _time("next_at", nullable=True),
        _word("reason"),
        sa.Column("keys_destroyed", sa.Boolean(), nullable=False),
        _time("ended_at", nullable=True),
        _whole("last_entry"),
        _word("verdict"),
        _word("rules"),
        sa.PrimaryKeyConstraint("id", name="pk_transfers"),
        sa.UniqueConstraint(
            "institution",
            "endpoint",
            "project",
            "dataset",
            "version",
            name="uq_transfers_institution_endpoint_project_dataset_version",
        ),
    )
    op.create_index("ix_transfers_opened_at_id", "transfers", ["opened_at", "id"])
    op.create_index("ix_transfers_state_next_at", "transfers", ["state", "next_at"])
    op.create_index("ix_transfers_due", "transfers", ["due"])
    op.create_index("ix_transfers_state_ended_at", "transfers", ["state", "ended_at"])
    op.create_table(
        "idempotency_keys",
        _word("institution"),
        _word("key"),
        _word("transfer_id"),
        sa.PrimaryKeyConstraint("institution", "key", name="pk_idempotency_keys"),
        _of_transfer("idempotency_keys"),
    )


def _make_files() -> None:
    op.create_table(
        "files",
        _word("transfer_id"),
        _word("path"),
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
        sa.PrimaryKeyConstraint("transfer_id", "path", name="pk_files"),
        _of_transfer("files"),
    )
    op.create_index("ix_files_sha256", "files", ["sha256"])
    op.create_table(
        "file_numbers",
        _word("transfer_id"),
        _whole("next"),
        sa.PrimaryKeyConstraint("transfer_id", name="pk_file_numbers"),
        _of_transfer("file_numbers"),
    )


def _make_counts() -> None:
    op.create_table(
        "votes",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), sa.Identity(), primary_key=True),
        _word("transfer_id"),
        _bytes("message"),
        _bytes("signature"),
        _time("at"),
        sa.PrimaryKeyConstraint("number", name="pk_votes"),
        _of_transfer("votes"),
    )
    op.create_index("ix_votes_transfer_id", "votes", ["transfer_id"])
    op.create_table(
        "person_sets",
        _word("transfer_id"),
        _word("entity"),
        _whole("year"),
        _word("track"),
        _bytes("sensitive"),
        _bytes("nonsensitive"),
        _whole("unkeyed_sensitive"),
        _whole("unkeyed_nonsensitive"),
        sa.PrimaryKeyConstraint("transfer_id", name="pk_person_sets"),
        _of_transfer("person_sets"),
    )
    op.create_index("ix_person_sets_year_track_entity", "person_sets", ["year", "track", "entity"])
    op.create_table(
        "hgr_counts",
        _word("transfer_id"),
        _word("project"),
        _word("endpoint"),
        _whole("subjects"),
        _whole("sequencing"),
        sa.PrimaryKeyConstraint("transfer_id", name="pk_hgr_counts"),
        _of_transfer("hgr_counts"),
    )
    op.create_index("ix_hgr_counts_project_endpoint", "hgr_counts", ["project", "endpoint"])


def _make_registry() -> None:
    op.create_table(
        "changes",
        _word("digest"),
        _bytes("document"),
        _word("state"),
        _bytes("proposer_signature"),
        _bytes("approver_signature"),
        _whole("serial"),
        _time("proposed_at", nullable=True),
        _time("approved_at", nullable=True),
        sa.PrimaryKeyConstraint("digest", name="pk_changes"),
    )
    approved = sa.text("serial > 0")
    op.create_index(
        "uq_changes_serial", "changes", ["serial"], unique=True, sqlite_where=approved, postgresql_where=approved
    )


def _make_ledger() -> None:
    op.create_table(
        "entries",
        _whole("index"),
        _word("tag"),
        _word("subject"),
        _time("at"),
        _bytes("body"),
        _bytes("opening"),
        sa.PrimaryKeyConstraint("index", name="pk_entries"),
    )
    op.create_index("ix_entries_subject_index", "entries", ["subject", "index"])
    op.create_table(
        "tree_nodes",
        sa.Column("level", sa.Integer(), nullable=False, autoincrement=False),
        _whole("index"),
        _bytes("hash"),
        sa.PrimaryKeyConstraint("level", "index", name="pk_tree_nodes"),
    )
    head = op.create_table(
        "tree_head",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        _whole("size"),
        sa.PrimaryKeyConstraint("id", name="pk_tree_head"),
        sa.CheckConstraint("id = 1", name="ck_tree_head_single"),
    )
    op.bulk_insert(head, [{"id": 1, "size": 0}])
    op.create_table(
        "checkpoints", _whole("size"), _bytes("note"), sa.PrimaryKeyConstraint("size", name="pk_checkpoints")
    )


def _make_work() -> None:
    op.create_table(
        "leases",
        _word("transfer_id"),
        _word("worker"),
        _time("until"),
        sa.PrimaryKeyConstraint("transfer_id", name="pk_leases"),
        _of_transfer("leases"),
    )


def _make_credentials() -> None:
    for table, when in (("spent_tokens", "expires"), ("revocations", "at")):
        op.create_table(
            table,
            _word("client"),
            _word("token_id"),
            _time(when),
            sa.PrimaryKeyConstraint("client", "token_id", name=f"pk_{table}"),
        )


# --- append-only -----------------------------------------------------------------------------------------------------

# Statements stand apart by an empty line.
_SQLITE = """
CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'entries is append-only'); END

CREATE TRIGGER entries_no_delete BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'entries is append-only'); END

CREATE TRIGGER entries_in_order BEFORE INSERT ON entries
WHEN NEW."index" IS NOT (SELECT size FROM tree_head WHERE id = 1)
BEGIN SELECT RAISE(ABORT, 'entries follow one another'); END

CREATE TRIGGER tree_nodes_no_update BEFORE UPDATE ON tree_nodes
BEGIN SELECT RAISE(ABORT, 'tree_nodes is append-only'); END

CREATE TRIGGER tree_nodes_no_delete BEFORE DELETE ON tree_nodes
BEGIN SELECT RAISE(ABORT, 'tree_nodes is append-only'); END

-- INSERT OR REPLACE would delete the old node without a word where recursive triggers are off
CREATE TRIGGER tree_nodes_once BEFORE INSERT ON tree_nodes
WHEN EXISTS (SELECT 1 FROM tree_nodes WHERE "level" = NEW."level" AND "index" = NEW."index")
BEGIN SELECT RAISE(ABORT, 'tree_nodes is append-only'); END

CREATE TRIGGER tree_head_grows BEFORE UPDATE ON tree_head
WHEN NEW.size IS NOT OLD.size + 1 OR NEW.id IS NOT OLD.id
BEGIN SELECT RAISE(ABORT, 'the ledger grows one by one'); END

CREATE TRIGGER tree_head_no_delete BEFORE DELETE ON tree_head
BEGIN SELECT RAISE(ABORT, 'tree_head stays'); END

CREATE TRIGGER tree_head_once BEFORE INSERT ON tree_head
WHEN EXISTS (SELECT 1 FROM tree_head)
BEGIN SELECT RAISE(ABORT, 'tree_head is one row'); END
"""

_POSTGRESQL = """
CREATE FUNCTION hetao_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'check_violation';
END $$

CREATE FUNCTION hetao_entries_in_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW."index" IS DISTINCT FROM (SELECT size FROM tree_head WHERE id = 1) THEN
    RAISE EXCEPTION 'entries follow one another' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$

CREATE FUNCTION hetao_tree_head_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.size IS DISTINCT FROM OLD.size + 1 OR NEW.id IS DISTINCT FROM OLD.id THEN
    RAISE EXCEPTION 'the ledger grows one by one' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$

CREATE TRIGGER entries_append_only BEFORE UPDATE OR DELETE ON entries
FOR EACH ROW EXECUTE FUNCTION hetao_append_only()

CREATE TRIGGER entries_no_truncate BEFORE TRUNCATE ON entries
FOR EACH STATEMENT EXECUTE FUNCTION hetao_append_only()

CREATE TRIGGER entries_in_order BEFORE INSERT ON entries
FOR EACH ROW EXECUTE FUNCTION hetao_entries_in_order()

CREATE TRIGGER tree_nodes_append_only BEFORE UPDATE OR DELETE ON tree_nodes
FOR EACH ROW EXECUTE FUNCTION hetao_append_only()

CREATE TRIGGER tree_nodes_no_truncate BEFORE TRUNCATE ON tree_nodes
FOR EACH STATEMENT EXECUTE FUNCTION hetao_append_only()

CREATE TRIGGER tree_head_grows BEFORE UPDATE ON tree_head
FOR EACH ROW EXECUTE FUNCTION hetao_tree_head_grows()

CREATE TRIGGER tree_head_no_delete BEFORE DELETE ON tree_head
FOR EACH ROW EXECUTE FUNCTION hetao_append_only()

CREATE TRIGGER tree_head_no_truncate BEFORE TRUNCATE ON tree_head
FOR EACH STATEMENT EXECUTE FUNCTION hetao_append_only()
"""


def _guard(dialect: str) -> None:
    for statement in (_SQLITE if dialect == "sqlite" else _POSTGRESQL).strip().split("\n\n"):
        op.execute(statement)
