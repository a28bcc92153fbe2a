"""The clock that stops, by which challenge periods are measured, and games inside an element."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "stops",
        sa.Column("block", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("log_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("resumes_at", sa.BigInteger(), nullable=False),
        sa.Column("stopped", sa.BigInteger(), nullable=False),
        sa.Column("reading", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("block", "log_index", name=op.f("pk_stops")),
    )
    op.create_index("ix_stops_reading_stopped", "stops", ["reading", "stopped"], unique=False)
    with op.batch_alter_table("batches") as batches:
        batches.add_column(sa.Column("closes_at", sa.BigInteger(), nullable=True))
    # Before this version the clock was that of the blocks.
    op.execute(sa.text('UPDATE batches SET closes_at = posted_at + (SELECT deployment."window" FROM deployment)'))
    with op.batch_alter_table("batches") as batches:
        batches.alter_column("closes_at", existing_type=sa.BigInteger(), nullable=False)
        batches.create_index("ix_batches_posted_at", ["posted_at"], unique=False)
    op.create_index("ix_refusals_batch", "refusals", ["batch"], unique=False)
    with op.batch_alter_table("claims") as claims:
        claims.add_column(sa.Column("closes_at", sa.BigInteger(), nullable=True))
        claims.drop_index("ix_claims_state_posted_at")
        claims.create_index("ix_claims_state_closes_at", ["state", "closes_at"], unique=False)
    op.execute(
        sa.text(
            "UPDATE claims SET closes_at = (SELECT batches.closes_at FROM batches WHERE batches.number = claims.batch)"
        )
    )
    with op.batch_alter_table("deployment") as deployment:
        deployment.drop_column("window")
    with op.batch_alter_table("games") as games:
        games.add_column(sa.Column("question", sa.JSON(none_as_null=True), nullable=True))
