"""A model's interface, which its id commits to, instead of free metadata."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Programs of the encoding before have other ids; what was offered under those has to be lowered and offered again.
    op.execute(sa.text("DELETE FROM models"))
    with op.batch_alter_table("models") as models:
        models.drop_column("meta")
        models.add_column(sa.Column("interface", sa.LargeBinary(), nullable=False))
        models.add_column(sa.Column("proof", sa.LargeBinary(), nullable=False))
