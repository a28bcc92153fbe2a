"""What one account can do next, in the games about one claim: the strategy's actions as calls of the contracts. Everything it
needs it reads from L1: it can be stopped at any moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from challenger.play import strategy
from challenger.play.accusation import Accusation, accuse, is_divided
from challenger.play.actions import (
    Action,
    ToChallenge,
    ToCommit,
    ToDescend,
    ToNarrow,
    ToPartials,
    ToProve,
    ToReveal,
    ToRevealLeaf,
    ToSelect,
    ToSettle,
    ToSetTraceRoot,
    ToTimeout,
)
from challenger.play.inside import Elements, Inside
from challenger.play.known import FirstOf, KnownTrace, RevealedTrace
from challenger.play.layout import TraceLayout
from challenger.play.reductions import Reductions
from challenger.play.simulation import Simulation, Unprovable
from challenger.play.strategy import SeenGame
from challenger.play.trace import TraceStore, ValueTrace
from challenger.play.witnesses import settling, witness
from challenger.sending import prices
from challenger.sending.bundle import NEVER, RACES, Due
from challenger.sending.costs import Costs
from challenger.sending.pace import Work
from challenger.state.games import Games
from challenger.state.l1_state import L1State
from challenger.troubles import Awaited
from rollup.claim import NO_ROOT, ClaimId, output_types, tensor_roots
from rollup.errors import CommitmentError, EncodingError
from rollup.form.parts import levels, partition
from rollup.form.program import Program
from rollup.game.clock import Side
from rollup.game.position import ROOT, ancestor_at, descendant, offset_of
from rollup.game.question import decode_results, encode_results
from rollup.l1 import calls
from rollup.l1.client import NOTHING, GameInfo, L1Client
from rollup.l1.events import Challenged
from rollup.machine.witness import outline_witness
from rollup.merkle import depth_of
from rollup.types import Gindex, Root

__all__ = ["ChallengerPlayer", "Costs", "DefenderPlayer", "layout_of", "theirs"]

NOT_YET = frozenset({"PlaceNotReached"})
"""What is said to a proof of the very place that was committed to, as long as that is not a block ago: most nodes try a
transaction out in the context of the newest block, which may be the commitment's own.
"""

REVEALS = 16
"""Most nodes or leaves opened in one call: about 1 KiB each."""

TIMEOUTS = 16
"""Most clocks collected in one call."""

T = TypeVar("T")


def batched(things: Iterable[T], size: int) -> Iterator[list[T]]:
    """The things in order, at most ``size`` at a time."""
    rest = list(things)
    for start in range(0, len(rest), size):
        yield rest[start : start + size]


def layout_of(l1: L1State, program: Program, claim_id: ClaimId) -> TraceLayout:
    """What the claim says of its trace."""
    _, outputs = l1.data_of(claim_id)
    header = program.header
    return TraceLayout.of(program, tensor_roots(outputs, output_types(header), header.tensor_depth, "output"))


def theirs(l1: L1State, program: Program, claim_id: ClaimId, store: TraceStore | None) -> KnownTrace:
    """The claimant's trace, as far as it was revealed on L1 or published."""
    revealed = RevealedTrace(l1.preimages, l1.trace_root(claim_id), program.depth)
    published = None
    if store is not None:
        with suppress(Exception):
            published = store.published(claim_id, revealed.root, program.depth)
    return revealed if published is None else FirstOf([revealed, published])


def inside_of(l1: L1State, game: GameInfo, game_id: bytes) -> Inside | None:
    """Where a game stands inside an element, with the answer as far as it is known."""
    question = l1.question(game_id)
    if not game.inside or question is None:
        return None
    results = None
    with suppress(EncodingError):
        given = l1.preimages.answer(game.node)
        results = None if given is None else decode_results(question.monoid, given)
    return Inside(question, results)


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
            published = _is_known(other, program, ROOT, root)
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
        return _is_known(other, program, game.position, game.node)

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


def _is_known(trace: KnownTrace, program: Program, position: Gindex, node: Root) -> bool:
    """Whether anything below a node of the opponent's trace is known; what it says is checked where it is used."""
    try:
        if depth_of(position) == program.depth:
            trace.leaf_bytes(offset_of(position))
        else:
            trace.node(descendant(position, 1, 0))
    except CommitmentError:
        return False
    return True


@dataclass
class DefenderPlayer:
    """The claimant's side in every game about its claims; whoever is not the claimant can play it but for the trace root, and
    for answers inside an element.

    ``helpless``: claims whose games have come to where only the claimant can answer.
    """

    client: L1Client
    costs: Costs = field(default_factory=Costs)
    most: int | None = None
    helpless: set[ClaimId] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.games = Games(self.client, self.most)

    def late(self, l1: L1State, claim_id: ClaimId, games: Sequence[tuple[Challenged, GameInfo]]) -> bool:
        """Whether somebody should help in one of these games about a right claim: it waits for a defender who has used half of
        its clock, or its challenger ran out of its own.
        """
        known = claim_id not in l1.convicted and l1.trace_root(claim_id) != NO_ROOT
        return known and any(self._is_late(game) for _, game in games)

    def _is_late(self, game: GameInfo) -> bool:
        if not game.live or game.clocks is None:
            return False
        late = game.turn is Side.DEFENDER and game.clocks.defender < self.client.parameters.clock / 2
        return game.expired is Side.CHALLENGER or (late and game.expired is None)

    def due(
        self,
        l1: L1State,
        program: Program,
        claim_id: ClaimId,
        own: Callable[[], KnownTrace],
        games: Sequence[tuple[Challenged, GameInfo]],
        elements: Callable[[], Elements] | None = None,
        helps: bool = False,
    ) -> list[Due]:
        """Answers in these games about the claim, as far as one can give them now. ``own``: the trace, asked for only where it is
        needed; ``elements``: what its elements reduce to, which the claimant alone may say. ``helps``: only where it is late.
        """
        if claim_id in l1.convicted:
            return []
        root = l1.trace_root(claim_id)
        found: list[Due] = []
        nodes: dict[Root, tuple[float, Sequence[Root]]] = {}
        leaves: dict[Root, tuple[float, bytes]] = {}
        answers: dict[Root, Due] = {}
        expired = []
        for opened, game in games:
            if not game.live or game.turn is None or (helps and not self._is_late(game)):
                continue
            inside = inside_of(l1, game, opened.game_id)
            if game.inside and inside is None:
                continue
            waits = game.expired is not Side.CHALLENGER and game.turn is Side.CHALLENGER and root != NO_ROOT
            if waits or game.expired is Side.DEFENDER:
                continue
            if inside is not None and elements is None and game.expired is None:
                self.helpless.add(claim_id)
                continue
            slack = float(game.clocks.defender) if game.clocks else NEVER
            trace = _NoTrace() if game.expired is not None or inside is not None else own()
            for action in self._actions(l1, program, claim_id, trace, game, inside, elements):
                match action:
                    case ToSetTraceRoot(given):
                        if not any(one.call.name == "setTraceRoot" for one in found):
                            found.append(Due(claim_id, calls.set_trace_root(claim_id, given), slack))
                            nodes |= self._at_root(program, trace, slack)
                    case ToReveal(children):
                        nodes[game.node] = min(slack, nodes.get(game.node, (NEVER,))[0]), children
                    case ToRevealLeaf(data):
                        leaves[game.node] = min(slack, leaves.get(game.node, (NEVER,))[0]), data
                    case ToPartials(question, results):
                        given_bytes = encode_results(question.monoid, results)
                        call = calls.partials(claim_id, root, question, given_bytes)
                        answers[game.node] = Due(claim_id, call, slack)
                    case ToTimeout():
                        expired.append(game.ref)
        for part in batched(sorted(nodes.values(), key=lambda one: one[0]), REVEALS):
            found.append(Due(claim_id, calls.reveal([children for _, children in part]), part[0][0]))
        for bottom in batched(sorted(leaves.values(), key=lambda one: one[0]), REVEALS):
            found.append(Due(claim_id, calls.reveal_leaf([data for _, data in bottom]), bottom[0][0]))
        found += answers.values()
        for late in batched(expired, TIMEOUTS):
            found.append(Due(claim_id, calls.timeout(late)))
        return found

    def _actions(
        self,
        l1: L1State,
        program: Program,
        claim_id: ClaimId,
        own: KnownTrace,
        game: GameInfo,
        inside: Inside | None,
        elements: Callable[[], Elements] | None,
    ) -> list[Action]:
        layout, arity = layout_of(l1, program, claim_id), self.client.parameters.arity
        assert game.turn is not None
        root = l1.trace_root(claim_id)
        view = SeenGame(game.position, game.node, game.turn, root, expired=game.expired, inside=inside)
        needed = inside is not None and game.expired is None and elements is not None
        return strategy.defender(layout, own, arity, view, elements() if needed and elements else None)

    def _at_root(self, program: Program, trace: KnownTrace, slack: float) -> dict[Root, tuple[float, Sequence[Root]]]:
        """The root's own opening, which follows at once."""
        depth = min(self.client.parameters.arity, program.depth)
        if depth == 0:
            return {}
        return {trace.node(ROOT): (slack, [trace.node(descendant(ROOT, depth, j)) for j in range(1 << depth)])}


class _NoTrace:
    """Stands for a trace where none is needed."""

    def node(self, gindex: Gindex) -> Root:
        raise AssertionError("no trace is needed here")

    def leaf_bytes(self, leaf: int) -> bytes:
        raise AssertionError("no trace is needed here")
