"""The time of last change a sender gave a file, which clients that synchronise folders compare."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v002"
down_revision = "v001"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")


def upgrade() -> None:
    """Add the column; what was received before has none."""
    op.add_column("files", sa.Column("modified_at", _TIME, nullable=True))
