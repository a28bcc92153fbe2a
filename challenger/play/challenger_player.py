"""What a challenger can do next, in the games about one claim: the strategy's actions as calls of the contracts. Everything it needs
it reads from L1: it can be stopped at any moment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from challenger.play import strategy
from challenger.play.accusation import Accusation, accuse, is_divided
from challenger.play.actions import (
    Action,
    ToChallenge,
    ToCommit,
    ToDescend,
    ToNarrow,
    ToProve,
    ToSelect,
    ToSettle,
)
from challenger.play.inside import Inside
from challenger.play.known import KnownTrace
from challenger.play.layout import TraceLayout
from challenger.play.reading import inside_of, is_known, layout_of, theirs
from challenger.play.reductions import Reductions
from challenger.play.simulation import Simulation, Unprovable
from challenger.play.strategy import SeenGame
from challenger.play.trace import TraceStore, ValueTrace
from challenger.play.witnesses import settling, witness
from challenger.sending import prices
from challenger.sending.bundle import NEVER, RACES, TIMEOUTS, Due, batched
from challenger.sending.capacity import Work
from challenger.sending.costs import Costs
from challenger.state.games import Games
from challenger.state.l1_state import L1State
from challenger.troubles import Awaited
from rollup.claim import NO_ROOT, ClaimId
from rollup.form.parts import levels, partition
from rollup.form.program import Program
from rollup.game.clock import Side
from rollup.game.position import ROOT, ancestor_at, offset_of
from rollup.game.question import encode_results
from rollup.l1 import calls
from rollup.l1.answers import GameInfo
from rollup.l1.client import NOTHING, L1Client
from rollup.l1.events import Challenged
from rollup.machine.witness import outline_witness
from rollup.merkle import depth_of
from rollup.types import Gindex, Root

NOT_YET = frozenset({"PlaceNotReached"})
"""What is said to a proof of the very place that was committed to, as long as that is not a block ago: most nodes try a
transaction out in the context of the newest block, which may be the commitment's own.
"""


def longest(program: Program, arity: int, position: Gindex = ROOT, inside: Inside | None = None) -> Work:
    """What a challenger has left to do in a game that stands there, if nothing is published; no clock is named."""
    inner = max((levels(partition(op).count) for op in program.ops if op.part), default=0)
    if inside is not None:
        below = levels(inside.question.parts) - inside.question.level
        return Work(below, (below - 1) * NARROW + SETTLE, 0.0)
    selects = -(-(program.depth - depth_of(position)) // arity)
    # Into the element, through it, and what settles it; or one proof.
    deeper = DESCEND + (inner - 1) * NARROW if inner else 0
    return Work(selects + 1 + inner, selects * SELECT + deeper + SETTLE, 0.0)


SELECT = prices.MOVES["select"] + 1000 * prices.BYTE // 2
DESCEND = prices.MOVES["descend"] + 1500 * prices.BYTE
NARROW = prices.MOVES["narrow"] + 1500 * prices.BYTE
SETTLE = prices.PROOF + 50_000
"""Gas of a challenger's moves that are still to come, about."""


@dataclass
class ChallengerPlayer:
    """One account's game about each claim that it was told is false; one game per claim.

    ``unprovable``: why claims are not challenged, or not again: what is held against them can't be shown on L1.
    """

    client: L1Client
    store: TraceStore | None = None
    costs: Costs = field(default_factory=Costs)
    unprovable: dict[ClaimId, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.games = Games(self.client)
        self.simulation = Simulation(self.client)

    def live(self, l1: L1State, claim_id: ClaimId) -> list[tuple[Challenged, GameInfo]]:
        """This account's games about the claim that can still be won. One whose clock ran out while it was away is lost:
        another can be opened as long as there is time.
        """
        games = self.games.look(l1, l1.games_of(claim_id, self.client.account))
        return [(opened, game) for opened, game in games if game.live and game.expired is not Side.CHALLENGER]

    def work(self, l1: L1State, program: Program, opened: Challenged, game: GameInfo) -> Work:
        """What is left to be done in a game, and the time for it."""
        left = longest(program, self.client.parameters.arity, game.position, inside_of(l1, game, opened.game_id))
        assert game.clocks is not None
        return Work(left.moves, left.gas, float(game.clocks.challenger))

    def whole(self, program: Program) -> Work:
        """A game that is not begun yet."""
        parameters = self.client.parameters
        left = longest(program, parameters.arity)
        return Work(left.moves, left.gas, float(parameters.clock))

    def due(
        self, l1: L1State, program: Program, claim_id: ClaimId, own: Callable[[], ValueTrace], slack: float = NEVER
    ) -> list[Due]:
        """Every move that can be made now. ``own``: the right trace, asked for only where it is needed; ``slack``: for how
        long the moves can wait.

        Raises Doubtful where L1 did not see what is wrong, and after some blocks of that Unprovable, once; no bond is put on that again.
        """
        if claim_id in l1.convicted:
            games = self.games.look(l1, l1.games_of(claim_id, self.client.account))
            open_games = [game.ref for _, game in games if game.open]
            return [Due(claim_id, calls.reclaim(part)) for part in batched(open_games, TIMEOUTS)]
        live = self.live(l1, claim_id)
        try:
            if live:
                # Its bond is at stake: what L1 did not see yet is tried again.
                found = self._moves(l1, program, claim_id, *live[0], own, slack)
            elif claim_id in self.unprovable or l1.seconds_left(claim_id) <= 0:
                return []
            else:
                found = self._opening(l1, program, claim_id, own, slack)
        except Unprovable as error:
            if claim_id in self.unprovable:
                return []
            self.unprovable[claim_id] = str(error)
            raise
        return found

    def _opening(
        self, l1: L1State, program: Program, claim_id: ClaimId, own: Callable[[], ValueTrace], slack: float
    ) -> list[Due]:
        root = l1.trace_root(claim_id)
        named = NOTHING
        if root != NO_ROOT:
            other = theirs(l1, program, claim_id, self.store)
            published = is_known(other, program, ROOT, root)
            try:
                layout, trace = layout_of(l1, program, claim_id), own()
            except Awaited:
                # Without a publication the place can't be named yet anyway.
                if published:
                    raise
            else:
                (action,) = strategy.challenger(layout, trace, other, root, None)
                assert isinstance(action, ToChallenge)
                if action.place is not None:
                    accusation = accuse(layout, trace, other, root)
                    assert accusation is not None
                    self._try(l1, claim_id, accusation, layout, trace, other)
                    named = self._commitment(claim_id, root, action.place)
        posted = l1.claims[claim_id]
        return [Due(claim_id, calls.challenge(posted.claim, l1.inclusion(claim_id), named), slack)]

    def _moves(
        self,
        l1: L1State,
        program: Program,
        claim_id: ClaimId,
        opened: Challenged,
        game: GameInfo,
        own: Callable[[], ValueTrace],
        slack: float,
    ) -> list[Due]:
        if game.expired is Side.DEFENDER:
            return [Due(claim_id, calls.timeout([game.ref]), game_id=opened.game_id)]
        root = l1.trace_root(claim_id)
        if root == NO_ROOT:
            return []
        other = theirs(l1, program, claim_id, self.store)
        inside = inside_of(l1, game, opened.game_id)
        if game.inside and (inside is None or game.turn is Side.DEFENDER):
            return []
        if game.turn is Side.DEFENDER and not self._may_go_on(l1, program, game, other):
            return []
        trace = own()
        layout = layout_of(l1, program, claim_id)
        view = self._view(game, layout, trace, other, root, inside)
        elements = Reductions(program, trace.values)
        found = []
        for action in strategy.challenger(layout, trace, other, root, view, elements):
            found.append(self._due(l1, claim_id, action, opened, game, layout, trace, other, slack))
        return found

    def _may_go_on(self, l1: L1State, program: Program, game: GameInfo, other: KnownTrace) -> bool:
        """Whether there may be something to do in the defender's turn: a place that was committed to, an entry that is a place
        itself, or what is known below the game's node.
        """
        depth = program.header.trace_depth
        if game.commitment != NOTHING:
            return True
        at = ancestor_at(game.position, depth) if depth_of(game.position) >= depth else ROOT
        if at != ROOT and offset_of(at) < len(program.header.inputs):
            return True
        return is_known(other, program, game.position, game.node)

    def _salt(self, claim_id: ClaimId, place: Gindex) -> bytes:
        return self.client.derive(b"salt" + claim_id + place.to_bytes(16, "big"))

    def _commitment(self, claim_id: ClaimId, trace_root: Root, place: Gindex) -> bytes:
        return self.client.commitment(claim_id, trace_root, place, self._salt(claim_id, place))

    def _view(
        self,
        game: GameInfo,
        layout: TraceLayout,
        own: KnownTrace,
        other: KnownTrace,
        trace_root: Root,
        inside: Inside | None,
    ) -> SeenGame:
        place = None
        accusation = None if inside else accuse(layout, own, other, trace_root)
        if accusation and game.commitment == self._commitment(game.ref.claim_id, trace_root, accusation.position):
            place = accusation.position
        assert game.turn is not None
        counts = game.committed_in <= self.client.chain.height()
        return SeenGame(game.position, game.node, game.turn, trace_root, place, counts, game.expired, inside)

    def _due(
        self,
        l1: L1State,
        claim_id: ClaimId,
        action: Action,
        opened: Challenged,
        game: GameInfo,
        layout: TraceLayout,
        own: ValueTrace,
        other: KnownTrace,
        slack: float,
    ) -> Due:
        root, at, height = l1.trace_root(claim_id), game.at, self.client.chain.height()
        claim = l1.claims[claim_id].claim

        def due(call: calls.Call, place: Gindex | None = None) -> Due:
            # Where a game has come to, and what it committed to, counts from the next block.
            waits = place is not None and (place != game.position or game.committed_in >= height)
            return Due(claim_id, call, slack, opened.game_id, RACES | NOT_YET if waits else RACES)

        match action:
            case ToCommit(place):
                accusation = accuse(layout, own, other, root)
                assert accusation is not None
                self._try(l1, claim_id, accusation, layout, own, other)
                return due(calls.commit(at, self._commitment(claim_id, root, place)))
            case ToSelect(position, child, siblings):
                return due(calls.select(at, position, child, siblings))
            case ToProve(Accusation(place, rule) as accusation):
                proof = self._try(l1, claim_id, accusation, layout, own, other)
                return due(calls.prove(at, claim, place, self._salt(claim_id, place), rule, proof), place)
            case ToDescend(Accusation(place, _, element) as accusation):
                shown = self._try(l1, claim_id, accusation, layout, own, other)
                salt = self._salt(claim_id, place)
                return due(calls.descend(at, claim, place, salt, element, shown), place)
            case ToNarrow(question, results, child):
                return due(calls.narrow(at, question, encode_results(question.monoid, results), child))
            case ToSettle(question, results, child):
                proof = settling(question, results, child, layout, own, other, root)
                self.simulation.settles(own.program, root, question, results, child, proof)
                given = encode_results(question.monoid, results)
                return due(calls.settle(at, claim, question, given, child, proof))
        raise AssertionError(f"{action} is no move of a challenger")

    def _try(
        self,
        l1: L1State,
        claim_id: ClaimId,
        accusation: Accusation,
        layout: TraceLayout,
        own: ValueTrace,
        other: KnownTrace,
    ) -> bytes:
        """What shows an accusation on L1, tried out there: a witness, or the descriptor of an op that is proven in parts.

        Raises Unprovable if L1 would not see it.
        """
        root = l1.trace_root(claim_id)
        if is_divided(layout, accusation):
            shown = outline_witness(own.program, offset_of(accusation.position))
            self.simulation.divides(own.program, root, accusation, shown)
            return shown
        proof = witness(accusation, layout, own, other, root, *l1.data_of(claim_id))
        self.simulation.convicts(own.program, root, accusation, proof)
        return proof
