"""How far claims are, derived from the facts: a pure function of what L1 said and of what came in here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rollup.claim import ClaimId
from rollup.game.moves import MoveKind
from rollup.game.stopping import StoppingClock
from rollup.types import Duration, Timestamp
from sequencer.states import Head, State
from sequencer.store.rows import chunks
from sequencer.tables import (
    batches,
    blocks,
    changes,
    claims,
    contents,
    games,
    moves,
    postings,
    refusals,
    releases,
    stops,
)

PASSING = frozenset({"InsufficientBalance", "UnknownModel", "InputMissing", "OutputMissing"})
"""L1's reasons that may lie in what a reorganisation undid for a while: a deposit, a registration, an upload."""

OWN_DOING = frozenset({"InsufficientBalance", "NonceUsed"})
"""L1's reasons that the claimant brings about: its claims were paid for, and its nonce was free, when the batch was sent."""

SKIPS = 3
"""How often a claim is posted in vain at most; every time costs us gas, and a claimant could provoke it."""

CONVICTING = tuple(kind.value for kind in (MoveKind.PROVE, MoveKind.SETTLE, MoveKind.TIMEOUT))
"""Moves that may convict; of a timeout only one that the claimant lost."""

_DERIVED = ("state", "reason", "batch", "position", "block", "transaction", "posted_at", "closes_at", "released")
_NOWHERE: dict[str, Any] = dict.fromkeys(_DERIVED[1:-1])

STOPPED = sa.func.coalesce(
    sa.select(stops.c.stopped)
    .where(stops.c.reading <= batches.c.closes_at)
    .order_by(stops.c.reading.desc(), stops.c.stopped.desc())
    .limit(1)
    .correlate(batches)
    .scalar_subquery(),
    0,
)
"""Of a batch: for how long the clock was stopped, as far as it delayed this batch's end: a stop after it does not count."""


def head(connection: Connection) -> Head | None:
    """The block up to which everything is known."""
    row = connection.execute(sa.select(blocks).order_by(blocks.c.number.desc()).limit(1)).first()
    return None if row is None else Head(row.number, bytes(row.hash), Timestamp(row.time))


def clock(connection: Connection) -> StoppingClock:
    """The clock on which challenge periods are measured."""
    newest = stops.c.block.desc(), stops.c.log_index.desc()
    row = connection.execute(sa.select(stops).order_by(*newest).limit(1)).first()
    return StoppingClock() if row is None else StoppingClock(Timestamp(row.resumes_at), Duration(row.stopped))


def reading(connection: Connection) -> Timestamp:
    """What that clock says at the head; 0 before the first news."""
    known = head(connection)
    return Timestamp(0) if known is None else clock(connection).reading(known.time)


def refresh(connection: Connection, claim_ids: Iterable[ClaimId]) -> None:
    """Derive the state of these claims again, and note what changed. Claims that stand nowhere and never came in here
    vanish.
    """
    known = head(connection)
    now = 0 if known is None else known.time
    over = reading(connection)
    for part in chunks(sorted(set(claim_ids))):
        _refresh(connection, part, now, over)


def sweep(connection: Connection) -> set[ClaimId]:
    """Claims whose challenge period is over by now, or is not over any more."""
    over = reading(connection)
    due = (claims.c.state == State.POSTED) & (claims.c.closes_at < over)
    undone = (claims.c.state == State.FINAL) & (claims.c.closes_at >= over)
    query = sa.union_all(sa.select(claims.c.claim_id).where(due), sa.select(claims.c.claim_id).where(undone))
    return {ClaimId(bytes(one)) for one in connection.execute(query).scalars()}


@dataclass(frozen=True)
class _Said:
    """What the facts say of some claims, by claim. ``stands``: where it is posted; ``convicted``: by which rule."""

    stands: Mapping[bytes, Any]
    refused: Mapping[bytes, Sequence[str]]
    challenged: Collection[bytes]
    convicted: Mapping[bytes, str]
    released: Collection[bytes]


def _read(connection: Connection, part: Sequence[ClaimId]) -> _Said:
    standing = (
        sa.select(postings, batches.c.posted_at, batches.c.closes_at)
        .join(batches, batches.c.number == postings.c.batch)
        .where(postings.c.claim_id.in_(part))
    )
    refused: dict[bytes, list[str]] = {}
    reasons = sa.select(refusals.c.claim_id, refusals.c.reason).where(refusals.c.claim_id.in_(part))
    for claim_id, reason in connection.execute(reasons.order_by(refusals.c.id)):
        refused.setdefault(bytes(claim_id), []).append(reason)
    open_games = sa.select(games.c.claim_id).where(games.c.claim_id.in_(part), games.c.ended.is_(None)).distinct()
    endings = sa.select(moves.c.claim_id, moves.c.extra).where(moves.c.claim_id.in_(part), moves.c.kind.in_(CONVICTING))
    freed = sa.select(releases.c.claim_id).where(releases.c.claim_id.in_(part))
    return _Said(
        {bytes(row.claim_id): row for row in connection.execute(standing)},
        refused,
        {bytes(one) for one in connection.execute(open_games).scalars()},
        {bytes(claim_id): extra["rule"] for claim_id, extra in connection.execute(endings) if "rule" in extra},
        {bytes(one) for one in connection.execute(freed).scalars()},
    )


def _derived(row: Any, said: _Said, over: int) -> dict[str, Any] | None:
    """What follows of one claim; None if it stands nowhere and never came in here."""
    claim_id = bytes(row.claim_id)
    found: dict[str, Any] = {**_NOWHERE, "released": claim_id in said.released}
    stand = said.stands.get(claim_id)
    if stand is None:
        if row.taken_at is None:
            return None
        reason = _final(said.refused.get(claim_id, []))
        return found | {"state": State.PENDING if reason is None else State.INVALID, "reason": reason}
    found |= {name: getattr(stand, name) for name in _DERIVED[2:-1]}
    if claim_id in said.convicted:
        return found | {"state": State.INVALID, "reason": _sentence(said.convicted[claim_id])}
    if claim_id in said.challenged:
        return found | {"state": State.CHALLENGED}
    return found | {"state": State.FINAL if stand.closes_at < over else State.POSTED}


def _refresh(connection: Connection, part: Sequence[ClaimId], now: int, over: int) -> None:
    said = _read(connection, part)
    updates, changed, gone = [], [], []
    for row in connection.execute(sa.select(claims).where(claims.c.claim_id.in_(part))).all():
        found = _derived(row, said, over)
        if found is None:
            gone.append(row.claim_id)
            continue
        if any(getattr(row, name) != found[name] for name in _DERIVED):
            updates.append({"which": row.claim_id, **found})
        if row.state != found["state"]:
            changed.append({"claim_id": row.claim_id, "state": found["state"], "at": now})
    if updates:
        connection.execute(sa.update(claims).where(claims.c.claim_id == sa.bindparam("which")), updates)
    if changed:
        connection.execute(sa.insert(changes), changed)
    for table in (contents, claims):
        for some in chunks(gone):
            connection.execute(sa.delete(table).where(table.c.claim_id.in_(some)))


def _final(reasons: Sequence[str]) -> str | None:
    """Why a claim that stands nowhere never will; None if it may yet be posted."""
    lasting = next((reason for reason in reasons if reason not in PASSING), None)
    return lasting if lasting is not None or len(reasons) < SKIPS else reasons[-1]


def _sentence(rule: str) -> str:
    if rule == "timeout":
        return "not defended in time: the claimant's clock ran out in a dispute"
    return f"proven false in a dispute, by rule '{rule}'; the dispute shows the element"
