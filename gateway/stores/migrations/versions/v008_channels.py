"""When a held transfer is escalated, and what went through green channels."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v008"
down_revision = "v007"
branch_labels = None
depends_on = None

_WORD = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_TIME = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")


def upgrade() -> None:
    """Add it."""
    op.add_column("transfers", sa.Column("escalate_at", _TIME, nullable=True))
    op.add_column("transfers", sa.Column("escalated_at", _TIME, nullable=True))
    op.create_index("ix_transfers_escalate_at", "transfers", ["escalate_at"])
    owner = sa.ForeignKeyConstraint(
        ["transfer_id"],
        ["transfers.id"],
        name="fk_channel_passages_transfers",
        deferrable=True,
        initially="DEFERRED",
    )
    op.create_table(
        "channel_passages",
        sa.Column("transfer_id", _WORD, nullable=False),
        sa.Column("channel", _WORD, nullable=False),
        sa.Column("record", _WORD, nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("number", "files", "size", "persons")),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("sampled", _WORD, nullable=False),
        sa.Column("due", _TIME, nullable=True),
        sa.Column("finding", _WORD, nullable=False),
        sa.Column("closed_at", _TIME, nullable=True),
        sa.Column("message", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("transfer_id", name="pk_channel_passages"),
        sa.UniqueConstraint("channel", "number", name="uq_channel_passages_channel_number"),
        owner,
    )
