"""What webhooks need: how far each of them was told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v005"
down_revision = "v004"
branch_labels = None
depends_on = None

_WORD = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_TIME = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")


def upgrade() -> None:
    """Add it."""
    op.create_table(
        "outboxes",
        sa.Column("webhook", _WORD, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("next_at", _TIME, nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("reason", _WORD, nullable=False),
        sa.Column("parked_at", _TIME, nullable=True),
        sa.Column("delivered_at", _TIME, nullable=True),
        sa.Column("worker", _WORD, nullable=False),
        sa.Column("until", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("webhook", name="pk_outboxes"),
    )
