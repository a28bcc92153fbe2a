"""Indexes for what the page asks: figures over time, transactions and roots that are searched for, the games of an account."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table, columns in (
        ("changes", ["state", "at"]),
        ("batches", ["root"]),
        ("batches", ["closes_at"]),
        ("batches", ["transaction"]),
        ("games", ["challenger", "opened_at"]),
        ("games", ["opened_at"]),
        ("moves", ["transaction"]),
        ("requests", ["transaction"]),
    ):
        op.create_index(f"ix_{table}_{'_'.join(columns)}", table, columns, unique=False)
