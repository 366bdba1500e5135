"""What lineage needs: who is in a file under the key of its family of projects, which holds over the years."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v007"
down_revision = "v006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it; files received before have none, and prove nothing."""
    op.add_column("files", sa.Column("persons_lasting", sa.LargeBinary(), nullable=True))
