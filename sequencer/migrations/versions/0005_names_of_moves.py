"""One name for every move, as the public API says it, and how a game ended in its words."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

KINDS = {
    "challenged": "challenge",
    "committed": "commit",
    "trace_root_set": "set_trace_root",
    "revealed": "reveal",
    "leaf_revealed": "reveal_leaf",
    "selected": "select",
    "descended": "descend",
    "answered": "partials",
    "narrowed": "narrow",
    "challenge_lost": "timeout",
    "reclaimed": "reclaim",
}


def upgrade() -> None:
    connection = op.get_bind()
    moves = sa.table("moves", sa.column("id"), sa.column("game_id"), sa.column("kind"), sa.column("extra", sa.JSON()))
    games = sa.table("games", sa.column("game_id"), sa.column("ended"))
    for old, new in KINDS.items():
        connection.execute(sa.update(moves).where(moves.c.kind == old).values(kind=new))
    connection.execute(sa.update(games).where(games.c.ended == "challenge_lost").values(ended="lost"))
    connection.execute(sa.update(games).where(games.c.ended == "convicted").values(ended="ended"))
    for row in connection.execute(sa.select(moves).where(moves.c.kind == "convicted")).all():
        kind = {"timeout": "timeout", "part": "settle", "epilogue": "settle"}.get(row.extra["rule"], "prove")
        connection.execute(sa.update(moves).where(moves.c.id == row.id).values(kind=kind))
        connection.execute(sa.update(games).where(games.c.game_id == row.game_id).values(ended="convicted"))
