"""Uploads that have an address of their own, so that any process finds them and goes on with them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v003"
down_revision = "v002"
branch_labels = None
depends_on = None

_WORD = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_TIME = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")


def upgrade() -> None:
    """Add them."""
    op.create_table(
        "uploads",
        sa.Column("id", _WORD, nullable=False),
        sa.Column("transfer_id", _WORD, nullable=False),
        sa.Column("path", _WORD, nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=True),
        sa.Column("made_at", _TIME, nullable=False),
        sa.Column("expires", _TIME, nullable=False),
        sa.Column("metadata", _WORD, nullable=False),
        sa.Column("concat", _WORD, nullable=False),
        sa.Column("sha256", _WORD, nullable=False),
        sa.Column("modified", _TIME, nullable=True),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_uploads"),
        sa.ForeignKeyConstraint(
            ["transfer_id"],
            ["transfers.id"],
            name="fk_uploads_transfers",
            deferrable=True,
            initially="DEFERRED",
        ),
    )
    op.create_index("ix_uploads_transfer_id", "uploads", ["transfer_id"])
    op.create_index("ix_uploads_expires", "uploads", ["expires"])
