"""Locks of WebDAV clients, for all processes that serve."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v004"
down_revision = "v003"
branch_labels = None
depends_on = None

_WORD = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_TIME = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")
_WORDS = ("token", "institution", "endpoint", "project", "dataset", "path", "client", "owner")


def upgrade() -> None:
    """Add them."""
    op.create_table(
        "locks",
        *(sa.Column(name, _WORD, nullable=False) for name in _WORDS),
        sa.Column("deep", sa.Boolean(), nullable=False),
        sa.Column("awaits", sa.Boolean(), nullable=False),
        sa.Column("until", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("token", name="pk_locks"),
    )
    op.create_index("ix_locks_institution", "locks", ["institution"])
