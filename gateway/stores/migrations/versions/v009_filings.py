"""Which filings a clearance went under: their caps are counted by it. And whether a transfer's evidence is kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v009"
down_revision = "v008"
branch_labels = None
depends_on = None

_WORD = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Add it."""
    owner = sa.ForeignKeyConstraint(
        ["transfer_id"],
        ["transfers.id"],
        name="fk_filing_uses_transfers",
        deferrable=True,
        initially="DEFERRED",
    )
    op.create_table(
        "filing_uses",
        sa.Column("transfer_id", _WORD, nullable=False),
        sa.Column("filing", _WORD, nullable=False),
        sa.Column("year", sa.BigInteger(), nullable=False),
        sa.Column("persons", sa.BigInteger(), nullable=False),
        sa.Column("subjects", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("transfer_id", "filing", name="pk_filing_uses"),
        owner,
    )
    op.create_index("ix_filing_uses_filing_year", "filing_uses", ["filing", "year"])
    op.add_column("transfers", sa.Column("evidence", _WORD, nullable=False, server_default="kept"))
