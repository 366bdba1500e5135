"""What datasets as folders need: cut uploads, folders, manifests, files taken over from a version; and who is kept out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v002"
down_revision = "v001"
branch_labels = None
depends_on = None

_WORD = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_TIME = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")


def upgrade() -> None:
    """Add them."""
    op.add_column("files", sa.Column("carried", _WORD, nullable=False, server_default=""))
    _make_of_transfer(
        "partials",
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", _TIME, nullable=True),
        sa.Column("at", _TIME, nullable=False),
    )
    _make_of_transfer(
        "marks",
        sa.Column("kind", _WORD, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
    )
    _make_of_transfer(
        "manifests",
        sa.Column("kind", _WORD, nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "bans",
        sa.Column("remote", _WORD, nullable=False),
        sa.Column("reason", _WORD, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("until", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("remote", name="pk_bans"),
    )


def _make_of_transfer(table: str, *columns: sa.Column[object]) -> None:
    """A table of things at a path of a transfer."""
    op.create_table(
        table,
        sa.Column("transfer_id", _WORD, nullable=False),
        sa.Column("path", _WORD, nullable=False),
        *columns,
        sa.PrimaryKeyConstraint("transfer_id", "path", name=f"pk_{table}"),
        sa.ForeignKeyConstraint(
            ["transfer_id"],
            ["transfers.id"],
            name=f"fk_{table}_transfers",
            deferrable=True,
            initially="DEFERRED",
        ),
    )
