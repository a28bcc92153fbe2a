"""What the claimant's side can do next, in the games about one claim: answers as calls of the contracts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from challenger.play import strategy
from challenger.play.actions import (
    Action,
    ToPartials,
    ToReveal,
    ToRevealLeaf,
    ToSetTraceRoot,
    ToTimeout,
)
from challenger.play.inside import Elements, Inside
from challenger.play.known import KnownTrace
from challenger.play.reading import inside_of, layout_of
from challenger.play.strategy import SeenGame
from challenger.sending.bundle import NEVER, REVEALS, TIMEOUTS, Due, batched
from challenger.sending.costs import Costs
from challenger.state.games import Games
from challenger.state.l1_state import L1State
from rollup.claim import NO_ROOT, ClaimId
from rollup.form.program import Program
from rollup.game.clock import Side
from rollup.game.position import ROOT, descendant
from rollup.game.question import encode_results
from rollup.l1 import calls
from rollup.l1.answers import GameInfo, GameRef
from rollup.l1.client import L1Client
from rollup.l1.events import Challenged
from rollup.types import Gindex, Root


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
        due = _Gathered(claim_id, l1.trace_root(claim_id))
        for opened, game in games:
            if not self._waits_for_us(game, due.root) or (helps and not self._is_late(game)):
                continue
            inside = inside_of(l1, game, opened.game_id)
            if game.inside and inside is None:
                continue
            if inside is not None and elements is None and game.expired is None:
                self.helpless.add(claim_id)
                continue
            trace = _NoTrace() if game.expired is not None or inside is not None else own()
            for action in self._actions(l1, program, claim_id, trace, game, inside, elements):
                if isinstance(action, ToSetTraceRoot) and due.given is None:
                    due.reveal(trace.node(ROOT), self._root_opening(program, trace), game)
                due.add(action, game)
        return due.moves()

    def _waits_for_us(self, game: GameInfo, root: Root) -> bool:
        """Whether the defender has something to do: to answer, to give the trace root, or to collect the challenger's clock."""
        if not game.live or game.turn is None or game.expired is Side.DEFENDER:
            return False
        return game.expired is Side.CHALLENGER or game.turn is Side.DEFENDER or root == NO_ROOT

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

    def _root_opening(self, program: Program, trace: KnownTrace) -> Sequence[Root]:
        """The root's own opening, which follows at once."""
        depth = min(self.client.parameters.arity, program.depth)
        return [trace.node(descendant(ROOT, depth, j)) for j in range(1 << depth)]


@dataclass
class _Gathered:
    """What is due about one claim, gathered over its games: what is opened counts for every game that stands on it."""

    claim_id: ClaimId
    root: Root
    given: Due | None = None
    nodes: dict[Root, tuple[float, Sequence[Root]]] = field(default_factory=dict)
    leaves: dict[Root, tuple[float, bytes]] = field(default_factory=dict)
    answers: dict[Root, Due] = field(default_factory=dict)
    expired: list[GameRef] = field(default_factory=list)

    def add(self, action: Action, game: GameInfo) -> None:
        """An action in one of the games."""
        slack = _slack(game)
        match action:
            case ToSetTraceRoot(root):
                self.given = self.given or Due(self.claim_id, calls.set_trace_root(self.claim_id, root), slack)
            case ToReveal(children):
                self.reveal(game.node, children, game)
            case ToRevealLeaf(data):
                self.leaves[game.node] = min(slack, self.leaves.get(game.node, (NEVER,))[0]), data
            case ToPartials(question, results):
                given = encode_results(question.monoid, results)
                call = calls.partials(self.claim_id, self.root, question, given)
                self.answers[game.node] = Due(self.claim_id, call, slack)
            case ToTimeout():
                self.expired.append(game.ref)

    def reveal(self, node: Root, children: Sequence[Root], game: GameInfo) -> None:
        """Open a node that the game stands on, or will."""
        self.nodes[node] = min(_slack(game), self.nodes.get(node, (NEVER,))[0]), children

    def moves(self) -> list[Due]:
        """As few calls as possible; what is most urgent comes first among its kind."""
        found = [] if self.given is None else [self.given]
        for part in batched(sorted(self.nodes.values(), key=lambda one: one[0]), REVEALS):
            found.append(Due(self.claim_id, calls.reveal([children for _, children in part]), part[0][0]))
        for bottom in batched(sorted(self.leaves.values(), key=lambda one: one[0]), REVEALS):
            found.append(Due(self.claim_id, calls.reveal_leaf([data for _, data in bottom]), bottom[0][0]))
        found += self.answers.values()
        for late in batched(self.expired, TIMEOUTS):
            found.append(Due(self.claim_id, calls.timeout(late)))
        return found


def _slack(game: GameInfo) -> float:
    return float(game.clocks.defender) if game.clocks else NEVER


class _NoTrace:
    """Stands for a trace where none is needed."""

    def node(self, gindex: Gindex) -> Root:
        raise AssertionError("no trace is needed here")

    def leaf_bytes(self, leaf: int) -> bytes:
        raise AssertionError("no trace is needed here")
