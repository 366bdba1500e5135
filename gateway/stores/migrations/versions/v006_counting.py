"""What counting needs: the union of an entity's sets in a year, in shards (made on first use), and genomic samples."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v006"
down_revision = "v005"
branch_labels = None
depends_on = None

_WORD = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Add it."""
    op.create_table(
        "person_unions",
        sa.Column("entity", _WORD, nullable=False),
        sa.Column("year", sa.BigInteger(), nullable=False),
        sa.Column("track", _WORD, nullable=False),
        sa.Column("sets", sa.BigInteger(), nullable=False),
        sa.Column("digests", sa.BigInteger(), nullable=False),
        sa.Column("sensitive", sa.BigInteger(), nullable=False),
        sa.Column("nonsensitive", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("entity", "year", "track", name="pk_person_unions"),
    )
    op.create_table(
        "person_shards",
        sa.Column("entity", _WORD, nullable=False),
        sa.Column("year", sa.BigInteger(), nullable=False),
        sa.Column("track", _WORD, nullable=False),
        sa.Column("kind", _WORD, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("digests", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("entity", "year", "track", "kind", "number", name="pk_person_shards"),
    )
    owner = sa.ForeignKeyConstraint(
        ["transfer_id"],
        ["transfers.id"],
        name="fk_hgr_samples_transfers",
        deferrable=True,
        initially="DEFERRED",
    )
    op.create_table(
        "hgr_samples",
        sa.Column("transfer_id", _WORD, nullable=False),
        sa.Column("project", _WORD, nullable=False),
        sa.Column("endpoint", _WORD, nullable=False),
        sa.Column("samples", sa.LargeBinary(), nullable=False),
        sa.Column("sequenced", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("transfer_id", name="pk_hgr_samples"),
        owner,
    )
    op.create_index("ix_hgr_samples_project_endpoint", "hgr_samples", ["project", "endpoint"])
