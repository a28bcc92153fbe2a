"""Moves of the dispute game that an operator makes by hand, with the sequencer's account."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from rollup.batch import Inclusion
from rollup.claim import NO_ROOT, Claim, ClaimId
from rollup.errors import ChainError, ClaimError, CommitmentError, MoveError
from rollup.game.clock import Side
from rollup.game.position import offset_of
from rollup.l1.answers import ClaimStatus, GameInfo, Receipt
from rollup.l1.client import L1Client
from rollup.l1.events import Challenged
from rollup.merkle import depth_of, hash_leaf, hash_node
from rollup.types import LEAF_BYTES, Gindex, Root, Timestamp
from rollup.words import show_wei
from sequencer.admin.deciding import decide

ROOT_BYTES = 32


class ForcedMove(Enum):
    """What can be forced. Selecting and proving need the program and its trace: a watcher does that."""

    CHALLENGE = "challenge"
    REVEAL = "reveal"
    TIMEOUT = "timeout"
    RECLAIM = "reclaim"
    RELEASE = "release"


@dataclass(frozen=True)
class PostedStanding:
    """A claim on L1, and where it stands there."""

    claim: Claim
    inclusion: Inclusion
    closes_at: Timestamp
    """End of its challenge period, by the clock that stops."""


class KnownClaims(Protocol):
    """What was read from L1 about claims."""

    def sync(self) -> object:
        """Read what is new."""
        ...

    def standing(self, claim_id: ClaimId) -> PostedStanding:
        """Raises ClaimError if the claim is not on L1."""
        ...

    def games(self, claim_id: ClaimId) -> Sequence[Challenged]:
        """Every game ever opened about the claim, oldest first."""
        ...


class Published(Protocol):
    """Where claimants publish their traces. What it gives is used only if it hashes to what stands on L1."""

    def children(self, root: Root, gindex: Gindex, levels: int) -> Sequence[Root]:
        """Raises a TouchstoneError if the trace is not published there."""
        ...

    def leaf(self, root: Root, leaf: int) -> bytes: ...


@dataclass(frozen=True)
class ForcedMoves:
    """Makes a move if it is possible, and says why it is not."""

    client: L1Client
    claims: KnownClaims
    published: Published

    def make(self, claim_id: ClaimId, move: ForcedMove, opening: Sequence[bytes] = ()) -> Receipt:
        """``opening``, for a reveal: a node's descendants, or its leaf's 1,024 bytes; empty: ask the claim's prover.

        Raises MoveError, ClaimError, CommitmentError or ChainError, naming what is missing.
        """
        if opening and move is not ForcedMove.REVEAL:
            raise MoveError(f"only a reveal opens nodes, {move.value} does not; leave the children out")

        def make() -> Receipt:
            self.claims.sync()
            return self._made(claim_id, move, opening)

        receipt = decide(self.client, make)
        # Whoever looks next sees the move. That it can't be read now takes nothing from its having been made.
        with suppress(ChainError):
            self.claims.sync()
        return receipt

    def _made(self, claim_id: ClaimId, move: ForcedMove, opening: Sequence[bytes]) -> Receipt:
        match move:
            case ForcedMove.CHALLENGE:
                return self._challenge(claim_id)
            case ForcedMove.REVEAL:
                return self._reveal(claim_id, opening)
            case ForcedMove.TIMEOUT:
                return self._timeout(claim_id)
            case ForcedMove.RECLAIM:
                return self._reclaim(claim_id)
            case ForcedMove.RELEASE:
                return self._release(claim_id)

    def _status(self, standing: PostedStanding) -> ClaimStatus:
        return self.client.status(standing.claim, standing.inclusion)

    def _games(self, claim_id: ClaimId) -> list[GameInfo]:
        return [self.client.game(opened) for opened in self.claims.games(claim_id)]

    def _live(self, claim_id: ClaimId) -> list[GameInfo]:
        found = [game for game in self._games(claim_id) if game.live]
        if not found:
            raise MoveError(f"no game about claim {_short(claim_id)} is open; there is nothing to move in")
        return found

    def _challenge(self, claim_id: ClaimId) -> Receipt:
        standing, client = self.claims.standing(claim_id), self.client
        status, clock = self._status(standing), client.challenge_clock()
        if status in (ClaimStatus.FINAL, ClaimStatus.INVALID):
            raise MoveError(
                f"claim {_short(claim_id)} is {status.name.lower()} already; it can't be challenged any more"
            )
        if clock.is_over(standing.closes_at, client.chain.now()):
            raise MoveError(f"the challenge period of claim {_short(claim_id)} is over; it is too late")
        mine = [game for game in self._games(claim_id) if game.live and game.ref.challenger == client.account]
        if mine:
            raise MoveError(
                f"{client.account} plays game {mine[0].ref.counter} about claim {_short(claim_id)} already; play that one"
            )
        missing = max(0, client.parameters.challenge_bond - client.earnings(client.account))
        held = client.chain.wei_of(client.account)
        if missing > held:
            raise MoveError(
                f"{client.account} has {show_wei(held)} and needs {show_wei(missing)} more for the challenge bond; send it some"
            )
        return client.challenge(standing.claim, standing.inclusion, value=missing)

    def _reveal(self, claim_id: ClaimId, opening: Sequence[bytes]) -> Receipt:
        waiting = [game for game in self._live(claim_id) if game.turn is Side.DEFENDER]
        if not waiting:
            raise MoveError(f"every game about claim {_short(claim_id)} waits for its challenger; nothing is to reveal")
        waiting = [game for game in waiting if not game.inside]
        if not waiting:
            raise MoveError(
                f"every game about claim {_short(claim_id)} waits inside an element, where only the claimant can answer; its prover does"
            )
        if any(game.ref.trace_root == NO_ROOT for game in waiting):
            raise MoveError(
                f"claim {_short(claim_id)} has no trace root yet, which its claimant signs; only then is a node to open"
            )
        depth = self.client.dispute(claim_id).leaf_depth
        game = waiting[0]
        if opening:
            node = _top(opening)
            named = [one for one in waiting if one.node == node]
            if not named:
                raise CommitmentError(
                    f"what was given hashes to {_short(node)}, but the games stand on "
                    f"{', '.join(sorted({_short(one.node) for one in waiting}))}; give the descendants of one of these"
                )
            game = named[0]
        left = depth - depth_of(game.position)
        levels = min(self.client.parameters.arity, left)
        if left == 0:
            data = bytes(opening[0]) if opening else self._leaf(game)
            return self.client.reveal_leaf([data])
        children = [Root(child) for child in opening] if opening else self._children(game, levels)
        if len(children) != 1 << levels:
            raise MoveError(
                f"the game's next opening is {levels} levels deep, which is {1 << levels} nodes, "
                f"not {len(children)}; give all of them"
            )
        return self.client.reveal([children])

    def _children(self, game: GameInfo, levels: int) -> list[Root]:
        children = list(self.published.children(game.ref.trace_root, game.position, levels))
        if len(children) != 1 << levels or _top(children) != game.node:
            raise CommitmentError(
                f"what the prover publishes below node {game.position} of trace {_short(game.ref.trace_root)} "
                "does not hash to that node; it holds another trace"
            )
        return children

    def _leaf(self, game: GameInfo) -> bytes:
        leaf = offset_of(game.position)
        data = self.published.leaf(game.ref.trace_root, leaf)
        if len(data) != LEAF_BYTES or hash_leaf(data) != game.node:
            raise CommitmentError(
                f"what the prover publishes as leaf {leaf} of trace {_short(game.ref.trace_root)} "
                "does not hash to it; it holds another trace"
            )
        return data

    def _timeout(self, claim_id: ClaimId) -> Receipt:
        live = self._live(claim_id)
        expired = [game for game in live if game.expired is not None]
        if not expired:
            side, rest = min(
                (
                    (game.turn.value, game.clocks.defender if game.turn is Side.DEFENDER else game.clocks.challenger)
                    for game in live
                    if game.turn is not None and game.clocks is not None
                ),
                key=lambda found: found[1],
                default=("side to move", 0),
            )
            raise MoveError(
                f"no clock of the {len(live)} open games about claim {_short(claim_id)} has run out; "
                f"the {side} with the least time has {rest} s left"
            )
        return self.client.timeout([game.ref for game in expired])

    def _reclaim(self, claim_id: ClaimId) -> Receipt:
        if not self.client.dispute(claim_id).convicted:
            raise MoveError(f"claim {_short(claim_id)} is not invalid; bonds are freed when a game is won or lost")
        left = [game for game in self._games(claim_id) if game.open]
        if not left:
            raise MoveError(f"every bond of the games about claim {_short(claim_id)} is free already")
        return self.client.reclaim([game.ref for game in left])

    def _release(self, claim_id: ClaimId) -> Receipt:
        standing = self.claims.standing(claim_id)
        status = self._status(standing)
        if status is not ClaimStatus.FINAL:
            end = self.client.challenge_clock().real_end(standing.closes_at)
            why = {
                ClaimStatus.INVALID: "its bond is forfeited",
                ClaimStatus.CHALLENGED: "a game about it is open",
            }.get(status, f"its challenge period ends at {end} if nothing else is challenged")
            raise MoveError(
                f"claim {_short(claim_id)} is {status.name.lower()}: {why}; only a final claim's bond is free"
            )
        if self.client.is_released(standing.inclusion):
            raise MoveError(f"the bond of claim {_short(claim_id)} was released before; withdraw it from the balance")
        return self.client.release(standing.claim, standing.inclusion)


def parse(word: str) -> ForcedMove:
    """The move of that name; raises ClaimError for any other."""
    try:
        return ForcedMove(word)
    except ValueError:
        raise ClaimError(
            f"{word!r} is no move that can be forced; choose {', '.join(move.value for move in ForcedMove)}"
        ) from None


def _top(opening: Sequence[bytes]) -> Root:
    """What an opening hashes to; raises CommitmentError if it is none."""
    if len(opening) == 1 and len(opening[0]) == LEAF_BYTES:
        return hash_leaf(opening[0])
    if len(opening) < 2 or len(opening) & (len(opening) - 1) or any(len(child) != ROOT_BYTES for child in opening):
        raise CommitmentError(
            f"an opening is 2, 4, 8, ... nodes of {ROOT_BYTES} bytes, or one leaf of {LEAF_BYTES:,} bytes; "
            f"{len(opening)} parts were given"
        )
    level = [Root(child) for child in opening]
    while len(level) > 1:
        level = [hash_node(left, right) for left, right in zip(level[::2], level[1::2], strict=True)]
    return level[0]


def _short(root: bytes) -> str:
    return f"0x{root.hex()[:16]}..."
