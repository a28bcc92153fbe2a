"""Everything that a sequencer remembers, on SQLite or PostgreSQL: the only room with SQL.

store = Store.open("sqlite:///sequencer.db")          # or postgresql+psycopg://...; migrates the schema
store.claims      accept get page waiting waiting_of counts refuse
store.batches     get heads page
store.disputes    get page
store.changes     after latest floor prune            for server-sent events
store.models      add require_free get named all retire
store.answers     begin finish forget prune           idempotency keys
store.audit       write page
store.switches    get set
store.leases      take release
store.requests    get page unanswered ...            what contracts ask, and what is done about it
store.figures     tally                              what happened over a span of time
store.finding     named beginning claims_of ...      what a word stands for; an account
store.l1          what the mirror writes
"""

from __future__ import annotations

from sequencer.store.answers import Answers
from sequencer.store.audit import AuditLog
from sequencer.store.batches import Batches
from sequencer.store.changes import Changes
from sequencer.store.claims import Claims
from sequencer.store.database import Database, StoreError
from sequencer.store.disputes import Disputes
from sequencer.store.facts import Facts
from sequencer.store.figures import Figures
from sequencer.store.finding import Finding
from sequencer.store.leases import Leases
from sequencer.store.models import Models
from sequencer.store.requests import Requests
from sequencer.store.switches import Switches

__all__ = ["Store", "StoreError"]


class Store:
    """One database. Every method is one transaction, may be called from any thread, and raises StoreError if the
    database does not answer."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.claims = Claims(database)
        self.batches = Batches(database)
        self.disputes = Disputes(database)
        self.changes = Changes(database)
        self.models = Models(database)
        self.answers = Answers(database)
        self.audit = AuditLog(database)
        self.switches = Switches(database)
        self.leases = Leases(database)
        self.requests = Requests(database)
        self.figures = Figures(database)
        self.finding = Finding(database)
        self.l1 = Facts(database)

    @classmethod
    def open(cls, url: str = "sqlite://") -> Store:
        """Connect and bring the schema up to date; ``sqlite://`` alone lives in memory. Raises StoreError."""
        database = Database(url)
        database.upgrade()
        return cls(database)

    def close(self) -> None:
        self.database.close()

    def trouble(self) -> str | None:
        """Why the database can't be used now, as a sentence; None if it can."""
        return self.database.trouble()
