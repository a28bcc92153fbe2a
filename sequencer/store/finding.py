"""What a word stands for, and what is known of an account."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rollup.claim import Address
from rollup.types import ModelId, Root
from sequencer.request_tables import requests
from sequencer.states import Found, GameAbout, State
from sequencer.store.database import Database
from sequencer.store.rows import game_of
from sequencer.tables import batches, claims, games, headers, models, moves

MOST = 20
"""Things of one kind that one word finds at most."""

LISTED = 50
"""Games of an account, the newest ones."""


class Finding:
    def __init__(self, database: Database) -> None:
        self._database = database

    def named(self, word: bytes) -> list[Found]:
        """Whatever 32 bytes name: as its id, as a batch's root, or as the transaction that did it."""
        disputed = sa.select(moves.c.claim_id).where(moves.c.transaction == word).distinct()
        lookups: Sequence[tuple[str, str, Any]] = (
            ("claim", "id", sa.select(claims.c.claim_id).where(claims.c.claim_id == word)),
            ("model", "id", sa.select(models.c.model_id).where(models.c.model_id == word)),
            ("model", "id", sa.select(headers.c.model_id).where(headers.c.model_id == word)),
            ("request", "id", sa.select(requests.c.request_id).where(requests.c.request_id == word)),
            ("dispute", "game", sa.select(games.c.claim_id).where(games.c.game_id == word)),
            ("batch", "root", sa.select(batches.c.number).where(batches.c.root == word)),
            ("batch", "transaction", sa.select(batches.c.number).where(batches.c.transaction == word)),
            ("dispute", "transaction", disputed),
            ("request", "transaction", sa.select(requests.c.request_id).where(requests.c.transaction == word)),
        )
        with self._database.read() as connection:
            found = [
                Found(kind, _written(one), by)
                for kind, by, query in lookups
                for one in connection.execute(query.limit(MOST)).scalars()
            ]
        return list(dict.fromkeys(found))

    def beginning(self, low: bytes, high: bytes) -> list[Found]:
        """Claims and models whose ids lie between two, both included."""
        columns = (("claim", claims.c.claim_id), ("model", models.c.model_id))
        with self._database.read() as connection:
            return [
                Found(kind, _written(one), "beginning")
                for kind, column in columns
                for one in connection.execute(
                    sa.select(column).where(column.between(low, high)).order_by(column).limit(MOST)
                ).scalars()
            ]

    def claims_of(self, account: Address) -> dict[State, int]:
        """An account's claims by state."""
        query = sa.select(claims.c.state, sa.func.count()).where(claims.c.claimant == account).group_by(claims.c.state)
        with self._database.read() as connection:
            found = {State(state): count for state, count in connection.execute(query)}
        return {state: found.get(state, 0) for state in State}

    def challenges_of(self, account: Address) -> list[GameAbout]:
        """The games that an account opened, newest first."""
        with self._database.read() as connection:
            return _games(connection, games.c.challenger == account)

    def games_about(self, account: Address) -> list[GameAbout]:
        """The games about an account's claims, newest first."""
        with self._database.read() as connection:
            return _games(connection, claims.c.claimant == account)


def _written(value: Any) -> str:
    return str(value) if isinstance(value, int) else f"0x{bytes(value).hex()}"


def _games(connection: Connection, where: sa.ColumnElement[bool]) -> list[GameAbout]:
    query = sa.select(games, claims.c.model_id, claims.c.claimant)
    query = query.join(claims, claims.c.claim_id == games.c.claim_id).where(where)
    rows = connection.execute(query.order_by(games.c.opened_at.desc()).limit(LISTED))
    return [GameAbout(game_of(row), ModelId(Root(bytes(row.model_id))), Address(row.claimant)) for row in rows]
