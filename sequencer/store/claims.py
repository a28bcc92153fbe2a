"""Claims, from the moment they are accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rollup.claim import Address, ClaimId
from rollup.errors import ClaimError
from rollup.types import ModelId, Timestamp
from sequencer.intake.refusals import Paused
from sequencer.states import NOTHING_HELD, OVERHEAD, Accepted, Entry, HeldBack, NewClaim, Page, State, Switch
from sequencer.store import cursors, standing, switches
from sequencer.store.database import Database
from sequencer.store.rows import chunks, claim_columns, content_columns, entry_of
from sequencer.tables import batches, changes, claims, contents, nonces, postings, refusals

_WHOLE = sa.select(claims, contents.c.inputs, contents.c.outputs).join(
    contents, contents.c.claim_id == claims.c.claim_id
)


class Claims:
    def __init__(self, database: Database) -> None:
        self._database = database

    def accept(self, new: Sequence[NewClaim]) -> list[Accepted | ClaimError | Paused]:
        """One transaction for all; an outcome for each, in order. A claim that is known already is no error; a nonce that
        another claim has, here or on L1, is one. While the intake is paused, none is taken that is not known.
        """
        with self._database.write() as connection:
            known = _states(connection, [one.claim_id for one in new])
            taken = _taken(connection, new)
            paused = switches.is_on(connection, Switch.INTAKE_PAUSED)
            outcomes: list[Accepted | ClaimError | Paused] = []
            fresh: list[NewClaim] = []
            for one in new:
                claim = one.posted.claim
                if one.claim_id in known:
                    state, ours = known[one.claim_id]
                    if not ours and (claim.claimant, claim.nonce) not in taken.here:
                        _adopt(connection, one)
                    outcomes.append(Accepted(one.claim_id, state, False))
                elif paused:
                    outcomes.append(Paused())
                elif (claim.claimant, claim.nonce) in taken.here | taken.on_l1:
                    outcomes.append(
                        ClaimError(f"{claim.claimant} has used or cancelled nonce {claim.nonce}; sign with another")
                    )
                else:
                    known[one.claim_id] = (State.PENDING, True)
                    taken.here.add((claim.claimant, claim.nonce))
                    fresh.append(one)
                    outcomes.append(Accepted(one.claim_id, State.PENDING, True))
            if fresh:
                connection.execute(sa.insert(claims), [_columns(one) for one in fresh])
                connection.execute(sa.insert(contents), [content_columns(one.claim_id, one.posted) for one in fresh])
                connection.execute(
                    sa.insert(changes),
                    [{"claim_id": one.claim_id, "state": State.PENDING, "at": one.taken_at} for one in fresh],
                )
        return outcomes

    def get(self, claim_id: ClaimId) -> Entry | None:
        """The claim with its bytes."""
        with self._database.read() as connection:
            row = connection.execute(_WHOLE.where(claims.c.claim_id == claim_id)).first()
        return None if row is None else entry_of(row, bytes(row.inputs), bytes(row.outputs))

    def state(self, claim_id: ClaimId) -> State | None:
        with self._database.read() as connection:
            found = connection.execute(sa.select(claims.c.state).where(claims.c.claim_id == claim_id)).scalar()
        return None if found is None else State(found)

    def page(
        self,
        state: State | None = None,
        model: ModelId | None = None,
        claimant: Address | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Entry]:
        """Newest first, without bytes; raises CursorError."""
        query = sa.select(claims).order_by(claims.c.sequence.desc()).limit(limit + 1)
        before = cursors.decode(cursor)
        if before is not None:
            query = query.where(claims.c.sequence < before)
        for column, wanted in ((claims.c.state, state), (claims.c.model_id, model), (claims.c.claimant, claimant)):
            if wanted is not None:
                query = query.where(column == wanted)
        with self._database.read() as connection:
            entries = [entry_of(row) for row in connection.execute(query)]
        return cursors.page(entries, limit, lambda entry: entry.sequence)

    def pending(self, limit: int, without: HeldBack = NOTHING_HELD) -> list[Entry]:
        """What waits and is not held back, oldest first, with bytes."""
        query = _WHOLE.where(claims.c.state == State.PENDING).order_by(claims.c.sequence).limit(limit)
        for column, some in (
            (claims.c.claimant, without.claimants),
            (claims.c.model_id, without.models),
            (claims.c.claim_id, without.claims),
        ):
            for part in chunks(some):
                query = query.where(column.not_in(part))
        with self._database.read() as connection:
            return [entry_of(row, bytes(row.inputs), bytes(row.outputs)) for row in connection.execute(query)]

    def pending_of(self, claimant: Address) -> list[ClaimId]:
        query = sa.select(claims.c.claim_id).where(claims.c.claimant == claimant, claims.c.state == State.PENDING)
        with self._database.read() as connection:
            return [ClaimId(bytes(one)) for one in connection.execute(query.order_by(claims.c.sequence)).scalars()]

    def waiting(self) -> int:
        """How many claims are pending."""
        return self._count(claims.c.state == State.PENDING)

    def waiting_bytes(self) -> int:
        """About what all pending claims take in calldata."""
        size = sa.func.octet_length if not self._database.is_sqlite else sa.func.length
        each = size(contents.c.inputs) + size(contents.c.outputs) + OVERHEAD
        query = sa.select(sa.func.sum(each)).join(claims, claims.c.claim_id == contents.c.claim_id)
        with self._database.read() as connection:
            return int(connection.execute(query.where(claims.c.state == State.PENDING)).scalar() or 0)

    def waiting_of(self, claimant: Address) -> int:
        return self._count((claims.c.claimant == claimant) & (claims.c.state == State.PENDING))

    def _count(self, condition: sa.ColumnElement[bool]) -> int:
        with self._database.read() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(claims).where(condition)).scalar_one()

    def counts(self) -> dict[State, int]:
        """Claims by state; 0 where there are none."""
        query = sa.select(claims.c.state, sa.func.count()).group_by(claims.c.state)
        with self._database.read() as connection:
            found = {State(state): count for state, count in connection.execute(query)}
        return {state: found.get(state, 0) for state in State}

    def oldest_waiting(self) -> Timestamp | None:
        """When the oldest pending claim came in."""
        query = sa.select(claims.c.taken_at).where(claims.c.state == State.PENDING).order_by(claims.c.sequence).limit(1)
        with self._database.read() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else Timestamp(found)

    def spoilers(self, since: Timestamp) -> dict[Address, Timestamp]:
        """Claimants of whom L1 skipped a claim in a batch of ours from ``since`` on, for a reason that lies in the claimant alone;
        and when it last did.
        """
        query = (
            sa.select(claims.c.claimant, sa.func.max(batches.c.posted_at))
            .select_from(
                batches.join(refusals, refusals.c.batch == batches.c.number).join(
                    claims, claims.c.claim_id == refusals.c.claim_id
                )
            )
            .where(
                batches.c.posted_at >= since,
                refusals.c.reason.in_(standing.OWN_DOING),
                # Whoever holds a signed claim can post it in front of ours: that is not its claimant's doing.
                refusals.c.claim_id.not_in(sa.select(postings.c.claim_id)),
            )
            .group_by(claims.c.claimant)
        )
        with self._database.read() as connection:
            return {Address(claimant): Timestamp(at) for claimant, at in connection.execute(query)}

    def refuse(self, reasons: Mapping[ClaimId, str]) -> None:
        """Give up on pending claims for these reasons, until L1's head that the store knows is undone."""
        if not reasons:
            return
        with self._database.write() as connection:
            head = standing.head(connection)
            block = 0 if head is None else head.number
            connection.execute(
                sa.insert(refusals),
                [{"claim_id": claim_id, "block": block, "reason": reason} for claim_id, reason in reasons.items()],
            )
            standing.refresh(connection, reasons)


class _Taken:
    """Nonces that can't be used for a new claim."""

    def __init__(self, here: set[tuple[Address, int]], on_l1: set[tuple[Address, int]]) -> None:
        self.here, self.on_l1 = here, on_l1


def _states(connection: Connection, claim_ids: Sequence[ClaimId]) -> dict[ClaimId, tuple[State, bool]]:
    """State, and whether the claim came in here, of those that are known."""
    found = {}
    for part in chunks(claim_ids):
        query = sa.select(claims.c.claim_id, claims.c.state, claims.c.taken_at).where(claims.c.claim_id.in_(part))
        for claim_id, state, taken_at in connection.execute(query):
            found[ClaimId(bytes(claim_id))] = (State(state), taken_at is not None)
    return found


def _taken(connection: Connection, new: Sequence[NewClaim]) -> _Taken:
    taken = _Taken(set(), set())
    for part in chunks({(one.posted.claim.claimant, one.posted.claim.nonce) for one in new}):
        for table, found in ((claims, taken.here), (nonces, taken.on_l1)):
            pair = sa.tuple_(table.c.claimant, table.c.nonce)
            query = sa.select(table.c.claimant, table.c.nonce).where(pair.in_(part))
            if table is claims:
                query = query.where(claims.c.taken_at.is_not(None))
            found |= {(Address(claimant), nonce) for claimant, nonce in connection.execute(query)}
    return taken


def _columns(one: NewClaim) -> dict[str, Any]:
    own = {"gas": one.gas, "taken_at": one.taken_at, "state": State.PENDING, "released": False}
    return {**claim_columns(one.claim_id, one.posted), **own}


def _adopt(connection: Connection, one: NewClaim) -> None:
    """A claim that somebody else posted came in here too: if its block vanishes, it is ours to post."""
    values = {"signature": one.posted.signature, "gas": one.gas, "taken_at": one.taken_at}
    connection.execute(sa.update(claims).where(claims.c.claim_id == one.claim_id).values(**values))
    content = {"inputs": one.posted.inputs, "outputs": one.posted.outputs}
    connection.execute(sa.update(contents).where(contents.c.claim_id == one.claim_id).values(**content))
