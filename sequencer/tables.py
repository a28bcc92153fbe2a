"""The tables. What L1 said is kept as facts, each with its block, so that a reorganisation deletes rows; what follows from
facts (a claim's state, where a game stands) is derived again from those that are left.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)


class Unsigned(TypeDecorator[int]):
    """An integer of 0 to 2^(8 size) - 1 as big-endian bytes, which sort as numbers: databases know 63 bits only."""

    impl = LargeBinary
    cache_ok = True

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def process_bind_param(self, value: int | None, dialect: Dialect) -> bytes | None:
        return None if value is None else value.to_bytes(self.size, "big")

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        return None if value is None else int.from_bytes(bytes(value), "big")


Big = BigInteger().with_variant(Integer, "sqlite")
"""63 bits; in SQLite only a plain INTEGER counts up by itself."""

ADDRESS = String(42)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Claims. ``taken_at`` null: somebody else posted it. From ``state`` on: derived from the facts.
claims = Table(
    "claims",
    metadata,
    Column("sequence", Big, primary_key=True, autoincrement=True),
    Column("claim_id", LargeBinary, nullable=False, unique=True),
    Column("model_id", LargeBinary, nullable=False),
    Column("claimant", ADDRESS, nullable=False),
    Column("nonce", Unsigned(32), nullable=False),
    Column("valid_until", Unsigned(8), nullable=False),
    Column("request_id", LargeBinary, nullable=False),
    Column("input_root", LargeBinary, nullable=False),
    Column("output_root", LargeBinary, nullable=False),
    Column("trace_root", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("gas", BigInteger, nullable=False),
    Column("taken_at", BigInteger),
    Column("state", String(10), nullable=False),
    Column("reason", Text),
    Column("batch", BigInteger),
    Column("position", BigInteger),
    Column("block", BigInteger),
    Column("transaction", LargeBinary),
    Column("posted_at", BigInteger),
    Column("closes_at", BigInteger),
    Column("released", Boolean, nullable=False),
    Index(None, "state", "sequence"),
    Index(None, "state", "closes_at"),
    Index(None, "claimant", "state"),
    Index(None, "claimant", "sequence"),
    Index(None, "model_id", "sequence"),
    Index(None, "request_id", "sequence"),
    sqlite_autoincrement=True,
)
Index(
    "uq_claims_claimant_nonce",
    claims.c.claimant,
    claims.c.nonce,
    unique=True,
    sqlite_where=claims.c.taken_at.is_not(None),
    postgresql_where=claims.c.taken_at.is_not(None),
)

contents = Table(
    "contents",
    metadata,
    Column("claim_id", LargeBinary, ForeignKey("claims.claim_id", ondelete="CASCADE"), primary_key=True),
    Column("inputs", LargeBinary, nullable=False),
    Column("outputs", LargeBinary, nullable=False),
)

changes = Table(
    "changes",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=True),
    Column("claim_id", LargeBinary, nullable=False),
    Column("state", String(10), nullable=False),
    Column("at", BigInteger, nullable=False),
    Index(None, "claim_id", "id"),
    Index(None, "state", "at"),
    sqlite_autoincrement=True,
)

# Facts: what L1 said. A row lives as long as its block.
deployment = Table(
    "deployment",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("chain_id", BigInteger, nullable=False),
    Column("contract", ADDRESS, nullable=False),
)

blocks = Table(
    "blocks",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("parent", LargeBinary, nullable=False),
)

headers = Table(
    "headers",
    metadata,
    Column("block", BigInteger, primary_key=True, autoincrement=False),
    Column("log_index", BigInteger, primary_key=True, autoincrement=False),
    Column("model_id", LargeBinary, nullable=False, index=True),
    Column("header", LargeBinary, nullable=False),
)

batches = Table(
    "batches",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False, index=True),
    Column("size", BigInteger, nullable=False),
    Column("posted_at", BigInteger, nullable=False, index=True),
    # By the clock of challenge periods.
    Column("closes_at", BigInteger, nullable=False, index=True),
    Column("block", BigInteger, nullable=False, index=True),
    Column("transaction", LargeBinary, nullable=False, index=True),
)

# When the clock of challenge periods was stopped; ``reading``: what it said then.
stops = Table(
    "stops",
    metadata,
    Column("block", BigInteger, primary_key=True, autoincrement=False),
    Column("log_index", BigInteger, primary_key=True, autoincrement=False),
    Column("resumes_at", BigInteger, nullable=False),
    Column("stopped", BigInteger, nullable=False),
    Column("reading", BigInteger, nullable=False),
    Index(None, "reading", "stopped"),
)

postings = Table(
    "postings",
    metadata,
    Column("batch", BigInteger, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("claim_id", LargeBinary, nullable=False, index=True),
    Column("block", BigInteger, nullable=False, index=True),
    Column("transaction", LargeBinary, nullable=False),
)

# Claims that are not posted because L1 skipped them in a batch of ours (``batch`` not null), or would.
refusals = Table(
    "refusals",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=True),
    Column("claim_id", LargeBinary, nullable=False, index=True),
    Column("block", BigInteger, nullable=False, index=True),
    Column("batch", BigInteger, index=True),
    Column("reason", Text, nullable=False),
)

nonces = Table(
    "nonces",
    metadata,
    Column("claimant", ADDRESS, primary_key=True),
    Column("nonce", Unsigned(32), primary_key=True),
    Column("block", BigInteger, nullable=False, index=True),
)

games = Table(
    "games",
    metadata,
    Column("game_id", LargeBinary, primary_key=True),
    Column("claim_id", LargeBinary, nullable=False, index=True),
    Column("challenger", ADDRESS, nullable=False),
    Column("counter", BigInteger, nullable=False),
    Column("trace_root", LargeBinary, nullable=False),
    Column("commitment", LargeBinary, nullable=False),
    Column("position", Unsigned(16), nullable=False),
    Column("node", LargeBinary, nullable=False),
    Column("question", JSON(none_as_null=True)),
    Column("opened_at", BigInteger, nullable=False, index=True),
    Column("block", BigInteger, nullable=False),
    Column("ended", String(16), index=True),
    Index(None, "challenger", "opened_at"),
)

moves = Table(
    "moves",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=True),
    Column("claim_id", LargeBinary, nullable=False, index=True),
    Column("game_id", LargeBinary),
    Column("kind", String(16), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("block", BigInteger, nullable=False, index=True),
    Column("log_index", BigInteger, nullable=False),
    Column("transaction", LargeBinary, nullable=False, index=True),
    Column("sender", ADDRESS, nullable=False),
    Column("gas", BigInteger, nullable=False),
    Column("position", Unsigned(16)),
    Column("node", LargeBinary),
    Column("extra", JSON, nullable=False),
)

releases = Table(
    "releases",
    metadata,
    Column("claim_id", LargeBinary, primary_key=True),
    Column("block", BigInteger, nullable=False, index=True),
)

# What is the operator's, not L1's.
models = Table(
    "models",
    metadata,
    Column("model_id", LargeBinary, primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("header", LargeBinary, nullable=False),
    Column("interface", LargeBinary, nullable=False),
    Column("proof", LargeBinary, nullable=False),
    Column("added_at", BigInteger, nullable=False),
    Column("retired", Boolean, nullable=False),
)

answers = Table(
    "answers",
    metadata,
    Column("caller", LargeBinary, primary_key=True),
    Column("key", LargeBinary, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("status", Integer),
    Column("response", LargeBinary, nullable=False),
    Column("created", BigInteger, nullable=False, index=True),
)
Index(
    "ix_answers_unfinished",
    answers.c.created,
    sqlite_where=answers.c.status.is_(None),
    postgresql_where=answers.c.status.is_(None),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("role", String(40), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("action", String(200), nullable=False),
    Column("detail", JSON, nullable=False),
    Column("outcome", Text, nullable=False),
)

switches = Table(
    "switches",
    metadata,
    Column("name", String(40), primary_key=True),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("holder", String(200), nullable=False),
    Column("until", BigInteger, nullable=False),
)

FACTS = (headers, batches, stops, postings, refusals, nonces, moves, releases)
"""Tables whose rows are undone with their block; games follow from moves."""
