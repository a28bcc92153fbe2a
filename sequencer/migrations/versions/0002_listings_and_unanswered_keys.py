"""Indexes for a claimant's listing, and for keys that were never answered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_claims_claimant_sequence", "claims", ["claimant", "sequence"], unique=False)
    unfinished = sa.text("status IS NULL")
    op.create_index(
        "ix_answers_unfinished",
        "answers",
        ["created"],
        unique=False,
        sqlite_where=unfinished,
        postgresql_where=unfinished,
    )
