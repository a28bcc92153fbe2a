"""The tables of requests, on the schema of ``sequencer.tables``."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, LargeBinary, String, Table, Text

from sequencer.tables import ADDRESS, Big, Unsigned, metadata

# Requests and subscriptions. ``asked``: the struct, which never changes; ``standing``: what the events made of it; ``undo``: what it was
# before each of them. ``number`` counts them on L1. ``progress`` and ``until`` are the standing's.
requests = Table(
    "requests",
    metadata,
    Column("request_id", LargeBinary, primary_key=True),
    Column("number", BigInteger, nullable=False, index=True),
    Column("model_id", LargeBinary, nullable=False),
    Column("input_root", LargeBinary, nullable=False, index=True),
    Column("requester", ADDRESS, nullable=False),
    Column("subscription_id", LargeBinary),
    Column("block", BigInteger, nullable=False, index=True),
    Column("transaction", LargeBinary, nullable=False, index=True),
    Column("asked", JSON, nullable=False),
    Column("inputs", LargeBinary, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("progress", String(12), nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("asked_until", BigInteger, nullable=False),
    Column("noted", Integer, nullable=False),
    Column("standing", JSON, nullable=False),
    Index(None, "progress", "number"),
    Index(None, "model_id", "number"),
    Index(None, "requester", "number"),
)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("subscription_id", LargeBinary, primary_key=True),
    Column("number", BigInteger, nullable=False, index=True),
    Column("model_id", LargeBinary, nullable=False),
    Column("input_root", LargeBinary, nullable=False, index=True),
    Column("block", BigInteger, nullable=False, index=True),
    Column("asked", JSON, nullable=False),
    Column("inputs", LargeBinary, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("ended", Boolean, nullable=False),
    Column("standing", JSON, nullable=False),
    Index(None, "ended", "due"),
)

undo = Table(
    "undo",
    metadata,
    Column("block", BigInteger, primary_key=True, autoincrement=False),
    Column("log_index", BigInteger, primary_key=True, autoincrement=False),
    Column("named", LargeBinary, nullable=False),
    Column("standing", JSON, nullable=False),
)

# Requests that the sequencer answers: whose claims it shows, what it decided last, and what it spent. ``wei``: what a transaction may
# cost, once it is mined what it did.
answerers = Table("answerers", metadata, Column("account", ADDRESS, primary_key=True))

decisions = Table(
    "decisions",
    metadata,
    Column("request_id", LargeBinary, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

spendings = Table(
    "spendings",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False, index=True),
    Column("named", LargeBinary, nullable=False),
    Column("call", String(20), nullable=False),
    Column("wei", Unsigned(32), nullable=False),
    Column("settled", Boolean, nullable=False),
    sqlite_autoincrement=True,
)
