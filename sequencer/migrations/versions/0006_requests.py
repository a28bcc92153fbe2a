"""Requests of contracts, and what is done about them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "requests",
        sa.Column("request_id", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("model_id", sa.LargeBinary(), nullable=False),
        sa.Column("input_root", sa.LargeBinary(), nullable=False),
        sa.Column("requester", sa.String(length=42), nullable=False),
        sa.Column("subscription_id", sa.LargeBinary(), nullable=True),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("transaction", sa.LargeBinary(), nullable=False),
        sa.Column("asked", sa.JSON(), nullable=False),
        sa.Column("inputs", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("progress", sa.String(length=12), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("asked_until", sa.BigInteger(), nullable=False),
        sa.Column("noted", sa.Integer(), nullable=False),
        sa.Column("standing", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("request_id", name="pk_requests"),
    )
    op.create_index("ix_requests_block", "requests", ["block"], unique=False)
    op.create_index("ix_requests_input_root", "requests", ["input_root"], unique=False)
    op.create_index("ix_requests_model_id_number", "requests", ["model_id", "number"], unique=False)
    op.create_index("ix_requests_number", "requests", ["number"], unique=False)
    op.create_index("ix_requests_progress_number", "requests", ["progress", "number"], unique=False)
    op.create_index("ix_requests_requester_number", "requests", ["requester", "number"], unique=False)
    op.create_table(
        "subscriptions",
        sa.Column("subscription_id", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("model_id", sa.LargeBinary(), nullable=False),
        sa.Column("input_root", sa.LargeBinary(), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("asked", sa.JSON(), nullable=False),
        sa.Column("inputs", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.Boolean(), nullable=False),
        sa.Column("standing", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("subscription_id", name="pk_subscriptions"),
    )
    op.create_index("ix_subscriptions_block", "subscriptions", ["block"], unique=False)
    op.create_index("ix_subscriptions_ended_due", "subscriptions", ["ended", "due"], unique=False)
    op.create_index("ix_subscriptions_input_root", "subscriptions", ["input_root"], unique=False)
    op.create_index("ix_subscriptions_number", "subscriptions", ["number"], unique=False)
    op.create_table(
        "undo",
        sa.Column("block", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("log_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("named", sa.LargeBinary(), nullable=False),
        sa.Column("standing", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("block", "log_index", name="pk_undo"),
    )
    op.create_table(
        "answerers",
        sa.Column("account", sa.String(length=42), nullable=False),
        sa.PrimaryKeyConstraint("account", name="pk_answerers"),
    )
    op.create_table(
        "decisions",
        sa.Column("request_id", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("request_id", name="pk_decisions"),
    )
    op.create_table(
        "spendings",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("named", sa.LargeBinary(), nullable=False),
        sa.Column("call", sa.String(length=20), nullable=False),
        sa.Column("wei", sa.LargeBinary(), nullable=False),
        sa.Column("settled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_spendings"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_spendings_at", "spendings", ["at"], unique=False)
    op.create_index("ix_claims_request_id_sequence", "claims", ["request_id", "sequence"], unique=False)
