"""What L1 said: written by the mirror alone, and undone with L1's blocks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rollup.claim import NO_ROOT, Address, ClaimId, PostedClaim
from rollup.game.moves import MoveKind
from rollup.game.stopping import StoppingClock
from rollup.l1.events import (
    BatchPosted,
    Challenged,
    ClaimPosted,
    ClaimSkipped,
    ClockStopped,
    GroupRefused,
    Logged,
    ModelRegistered,
    NonceCancelled,
    Released,
)
from rollup.l1.follow import News
from rollup.l1.games import Board
from rollup.l1.node.finality import Block
from rollup.l1.records import MOVES, MoveRecord, Said
from rollup.types import ModelId, Root, Timestamp
from sequencer.states import Head
from sequencer.store import asked, standing
from sequencer.store.database import Database, StoreError
from sequencer.store.rows import chunks, claim_columns, content_columns, game_columns, game_of, move_columns, move_of
from sequencer.tables import (
    FACTS,
    batches,
    blocks,
    claims,
    contents,
    deployment,
    games,
    headers,
    moves,
    nonces,
    postings,
    refusals,
    releases,
    stops,
)


class Facts:
    def __init__(self, database: Database) -> None:
        self._database = database

    def bind(self, chain_id: int, contract: Address) -> None:
        """Say which deployment this database is about, once and for all. Raises StoreError if it is another one's."""
        with self._database.write() as connection:
            row = connection.execute(sa.select(deployment)).first()
            if row is None:
                values = {"one": 1, "chain_id": chain_id, "contract": contract}
                connection.execute(sa.insert(deployment).values(values))
            elif (row.chain_id, row.contract) != (chain_id, contract):
                raise StoreError(
                    f"the database {self._database.name} belongs to contract {row.contract} on chain {row.chain_id}, not to "
                    f"{contract} on chain {chain_id}; give another database to this deployment"
                )

    def head(self) -> Head | None:
        """Up to where everything is known; None before the first news."""
        with self._database.read() as connection:
            return standing.head(connection)

    def clock(self) -> StoppingClock:
        """The clock on which challenge periods are measured, as of the head."""
        with self._database.read() as connection:
            return standing.clock(connection)

    def seen(self) -> tuple[Block, ...]:
        """What a follower needs to go on after the news that were applied last."""
        with self._database.read() as connection:
            return _seen(connection)

    def header(self, model_id: ModelId) -> bytes | None:
        """The header of a model that is registered on L1."""
        query = sa.select(headers.c.header).where(headers.c.model_id == model_id).limit(1)
        with self._database.read() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else bytes(found)

    def used_nonces(self, pairs: Iterable[tuple[Address, int]]) -> set[tuple[Address, int]]:
        """Those (claimant, nonce) that L1 knows as used or cancelled."""
        found: set[tuple[Address, int]] = set()
        with self._database.read() as connection:
            for part in chunks(set(pairs)):
                query = sa.select(nonces.c.claimant, nonces.c.nonce)
                query = query.where(sa.tuple_(nonces.c.claimant, nonces.c.nonce).in_(part))
                found |= {(Address(claimant), nonce) for claimant, nonce in connection.execute(query)}
        return found

    def is_nonce_used(self, claimant: Address, nonce: int) -> bool:
        return bool(self.used_nonces([(claimant, nonce)]))

    def has_open_games(self) -> bool:
        with self._database.read() as connection:
            return (
                connection.execute(sa.select(games.c.game_id).where(games.c.ended.is_(None)).limit(1)).first()
                is not None
            )

    def ours(self, claim_ids: Iterable[ClaimId]) -> set[ClaimId]:
        """Those claims that came in here."""
        found: set[ClaimId] = set()
        with self._database.read() as connection:
            for part in chunks(set(claim_ids)):
                query = sa.select(claims.c.claim_id).where(claims.c.claim_id.in_(part), claims.c.taken_at.is_not(None))
                found |= {ClaimId(bytes(one)) for one in connection.execute(query).scalars()}
        return found

    def concerns(self, refused: GroupRefused) -> bool:
        """Whether a group that L1 refused may have held claims that came in here."""
        with self._database.read() as connection:
            return bool(_claims_with(connection, refused))

    def apply(self, news: News, base: bytes | None, said: Mapping[bytes, Said], own: Collection[Address] = ()) -> bool:
        """Write news in one transaction, with all that follows from them; False, and nothing is written, if they do not
        go on from the store's head: another process was faster.

        ``base``: hash of the block after which they were read, None at the beginning. ``said``: by transaction, of every
        move in the news, and of every skipped claim that came in here (its ``log_index`` is ignored). ``own``: accounts
        whose batches count as ours: anybody can have a claim of ours skipped by posting it with wrong bytes, which says
        nothing about the claim.
        """
        with self._database.write() as connection:
            before = standing.head(connection)
            if (None if before is None else before.hash) != base:
                return False
            touched: set[ClaimId] = set()
            if news.rewound_to is not None:
                touched |= _rewind(connection, news.rewound_to)
            touched |= _write(connection, news.events, said, own)
            _remember(connection, news.seen)
            touched |= standing.sweep(connection)
            standing.refresh(connection, touched)
        return True


def _seen(connection: Connection) -> tuple[Block, ...]:
    rows = connection.execute(sa.select(blocks).order_by(blocks.c.number))
    return tuple(Block(row.number, bytes(row.hash), Timestamp(row.time), bytes(row.parent)) for row in rows)


def _remember(connection: Connection, seen: Sequence[Block]) -> None:
    known = set(_seen(connection))
    wanted = set(seen)
    for part in chunks(block.number for block in known - wanted):
        connection.execute(sa.delete(blocks).where(blocks.c.number.in_(part)))
    if wanted - known:
        connection.execute(
            sa.insert(blocks),
            [
                {"number": block.number, "hash": block.hash, "time": block.timestamp, "parent": block.parent}
                for block in wanted - known
            ],
        )


def _rewind(connection: Connection, to: int) -> set[ClaimId]:
    """Undo whatever stands above block ``to``; returns the claims about which something was undone."""
    touched: set[ClaimId] = set()
    for table in (postings, refusals, moves, releases):
        query = sa.select(table.c.claim_id).where(table.c.block > to).distinct()
        touched |= {ClaimId(bytes(one)) for one in connection.execute(query).scalars()}
    disputed = {
        ClaimId(bytes(one))
        for one in connection.execute(sa.select(moves.c.claim_id).where(moves.c.block > to).distinct()).scalars()
    }
    for table in FACTS:
        connection.execute(sa.delete(table).where(table.c.block > to))
    asked.rewind(connection, to)
    connection.execute(sa.delete(blocks).where(blocks.c.number > to))
    for part in chunks(disputed):
        connection.execute(sa.delete(games).where(games.c.claim_id.in_(part)))
        board = Board()
        query = sa.select(moves).where(moves.c.claim_id.in_(part)).order_by(moves.c.id)
        for row in connection.execute(query):
            board.apply(move_of(row))
        _put(connection, board, set())
    return touched


def _put(connection: Connection, board: Board, stored: set[bytes]) -> None:
    """Write the games that changed. ``stored``: those that have a row."""
    for game_id in sorted(board.changed & stored):
        values = game_columns(board.games[game_id])
        connection.execute(sa.update(games).where(games.c.game_id == game_id).values(values))
    added = [game_columns(board.games[game_id]) for game_id in sorted(board.changed - stored)]
    if added:
        connection.execute(sa.insert(games), added)


def _write(
    connection: Connection, events: Sequence[Logged], said: Mapping[bytes, Said], own: Collection[Address]
) -> set[ClaimId]:
    """Write events as facts; returns the claims that they are about."""

    def sent_by_us(logged: Logged) -> bool:
        by = said.get(logged.transaction)
        return by is not None and by.sender in own

    touched: set[ClaimId] = set()
    moves_said = _moves(connection, [one for one in events if isinstance(one.event, MOVES)], said)
    touched |= {move.claim_id for move in moves_said}
    asked.write(connection, events)
    known = _known(
        connection, [one.event.claim_id for one in events if isinstance(one.event, ClaimPosted | ClaimSkipped)]
    )
    for logged in events:
        at = {"block": logged.block}
        match logged.event:
            case ModelRegistered(model_id, header):
                values = {**at, "log_index": logged.index, "model_id": model_id, "header": header}
                connection.execute(sa.insert(headers).values(values))
            case BatchPosted(number, root, count, posted_at, closes_at):
                values = {**at, "number": number, "root": root, "size": count}
                values |= {"posted_at": posted_at, "closes_at": closes_at}
                connection.execute(sa.insert(batches).values(**values, transaction=logged.transaction))
            case ClaimPosted(number, index, claim_id, claim, inputs, outputs):
                touched.add(claim_id)
                values = {**at, "batch": number, "position": index, "claim_id": claim_id}
                connection.execute(sa.insert(postings).values(**values, transaction=logged.transaction))
                _spend(connection, logged.block, claim.claimant, claim.nonce)
                if claim_id not in known:
                    known.add(claim_id)
                    _meet(connection, claim_id, PostedClaim(claim, b"", inputs, outputs))
            case ClaimSkipped(number, _, claim_id, reason):
                if claim_id in known and sent_by_us(logged):
                    touched |= _refuse(connection, logged.block, number, [claim_id], reason)
            case GroupRefused() as refused if sent_by_us(logged):
                waiting = _claims_with(connection, refused)
                touched |= _refuse(connection, logged.block, refused.batch, waiting, refused.reason)
            case NonceCancelled(claimant, nonce, _):
                _spend(connection, logged.block, claimant, nonce)
            case ClockStopped(resumes_at, stopped):
                values = {**at, "log_index": logged.index, "resumes_at": resumes_at, "stopped": stopped}
                connection.execute(sa.insert(stops).values(**values, reading=resumes_at - stopped))
            case Released(number, _, indices):
                for claim_id in _standing_at(connection, number, indices):
                    touched.add(claim_id)
                    connection.execute(sa.insert(releases).values(**at, claim_id=claim_id))
    return touched


def _refuse(connection: Connection, block: int, batch: int, claim_ids: Iterable[ClaimId], reason: str) -> set[ClaimId]:
    """L1 did not post these claims in a batch of ours; returns them."""
    found = set(claim_ids)
    for claim_id in found:
        values = {"block": block, "claim_id": claim_id, "batch": batch, "reason": reason}
        connection.execute(sa.insert(refusals).values(values))
    return found


def _claims_with(connection: Connection, refused: GroupRefused) -> list[ClaimId]:
    """Claims that came in here and may have been in a group that L1 refused: L1 names them by their nonces."""
    last = refused.first_nonce + refused.count - 1
    if refused.count == 0 or last >> 256:
        return []
    query = sa.select(claims.c.claim_id).where(
        claims.c.claimant == refused.claimant,
        claims.c.nonce.between(refused.first_nonce, last),
        claims.c.taken_at.is_not(None),
    )
    return [ClaimId(bytes(one)) for one in connection.execute(query).scalars()]


def _standing_at(connection: Connection, batch: int, indices: Sequence[int]) -> list[ClaimId]:
    found = []
    for part in chunks(indices):
        query = sa.select(postings.c.claim_id).where(postings.c.batch == batch, postings.c.position.in_(part))
        found += [ClaimId(bytes(one)) for one in connection.execute(query).scalars()]
    return found


def _spend(connection: Connection, block: int, claimant: Address, nonce: int) -> None:
    """A nonce that is used, or will be void: for a while after that was announced, L1 still takes a claim with it."""
    same = (nonces.c.claimant == claimant) & (nonces.c.nonce == nonce)
    if connection.execute(sa.select(nonces.c.block).where(same)).first() is None:
        connection.execute(sa.insert(nonces).values(block=block, claimant=claimant, nonce=nonce))


def _known(connection: Connection, claim_ids: Iterable[ClaimId]) -> set[ClaimId]:
    found: set[ClaimId] = set()
    for part in chunks(set(claim_ids)):
        query = sa.select(claims.c.claim_id).where(claims.c.claim_id.in_(part))
        found |= {ClaimId(bytes(one)) for one in connection.execute(query).scalars()}
    return found


def _meet(connection: Connection, claim_id: ClaimId, posted: PostedClaim) -> None:
    """A claim that somebody else posted; the event does not say its signature."""
    # No state yet: the first one that is derived is a change.
    values = {**claim_columns(claim_id, posted), "gas": 0, "taken_at": None, "state": "", "released": False}
    connection.execute(sa.insert(claims).values(values))
    connection.execute(sa.insert(contents).values(content_columns(claim_id, posted)))


def _moves(connection: Connection, events: Sequence[Logged], said: Mapping[bytes, Said]) -> list[MoveRecord]:
    """Write moves and the games as they change them; returns the moves."""
    if not events:
        return []
    opened = [game_of(row) for row in connection.execute(sa.select(games).where(games.c.ended.is_(None)))]
    late = {
        one.event.claim_id for one in events if isinstance(one.event, Challenged) and one.event.trace_root == NO_ROOT
    } | {game.claim_id for game in opened if game.opened.trace_root == NO_ROOT}
    roots: dict[ClaimId, Root] = {}
    for part in chunks(late):
        query = sa.select(moves.c.claim_id, moves.c.node)
        query = query.where(moves.c.kind == MoveKind.SET_TRACE_ROOT.value, moves.c.claim_id.in_(part))
        roots |= {ClaimId(bytes(claim_id)): Root(bytes(node)) for claim_id, node in connection.execute(query)}
    board = Board(opened, roots)
    found: list[MoveRecord] = []
    for logged in events:
        who = said.get(logged.transaction)
        if who is None:
            continue  # a reveal while there was no game
        found += board.note(logged.event, replace(who, log_index=logged.index))
    if found:
        connection.execute(sa.insert(moves), [move_columns(move) for move in found])
    _put(connection, board, {game.game_id for game in opened})
    return found
