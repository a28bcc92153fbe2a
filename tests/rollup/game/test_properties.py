"""What must always hold (SECURITY.md), tried against a cast of adversaries on a toy trace: Sybils, copiers, stallers, silent and chatty
defenders.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from challenger.play import strategy
from challenger.play.accusation import Accusation
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
from challenger.play.known import KnownTrace, Preimages, RevealedTrace
from rollup.claim import NO_ROOT, Address
from rollup.errors import CommitmentError
from rollup.form.ops import Monoid
from rollup.game.dispute import Dispute, GameStatus, Instant, Opening
from rollup.game.endings import release
from rollup.game.game import multicall, play
from rollup.game.ledger import Ledger
from rollup.game.moves import (
    Challenge,
    Commit,
    Commitment,
    Descend,
    GameAt,
    HiddenPlace,
    Move,
    Narrow,
    Partials,
    Prove,
    Reclaim,
    Reveal,
    RevealLeaf,
    Rule,
    Select,
    Settle,
    SetTraceRoot,
    Timeout,
)
from rollup.game.position import descendant, offset_of, relative
from rollup.game.question import Asked, Partial, Question, accumulator, child_of, combine
from rollup.game.refusal import Refusal
from rollup.merkle import branch, depth_of
from rollup.settings import Parameters
from rollup.types import Duration, Gindex, Root, Timestamp
from tests.rollup.game import toy

CLAIMANT = Address("0x" + "c1" * 20)
HONEST = Address("0x" + "a0" * 20)
SYBILS = [Address("0x" + f"{n:02x}" * 20) for n in range(0xE0, 0xE4)]
TERMS = Parameters(Duration(100), Duration(40), Duration(5), Duration(60), 1, 1000, 500, 300, 10, 20)
FUNDS = 10_000
MONOIDS = [monoid for monoid in Monoid if monoid is not Monoid.NONE]
DIVIDED = frozenset({2, 3, 5})
"""Leaves of the toy whose elements are proven in parts."""

ENDINGS: Counter[Rule | str] = Counter()
"""How the worlds ended that were really tried."""

SURVIVED: Counter[str] = Counter()


@dataclass
class Player:
    """Carries the pure strategy's actions into the pure game: what players do on L1."""

    me: Address
    salt: bytes = b"salt" * 8

    def view(self, dispute: Dispute, now: Instant, number: int) -> strategy.SeenGame:
        game = dispute.games[number]
        node = dispute.node_of(game)
        opening = dispute.opening_of(game)
        place = game.commitment.place.position if game.commitment else None
        return strategy.SeenGame(
            game.position,
            Root(bytes(32)) if isinstance(node, Asked) else node,
            dispute.turn(game),
            dispute.trace_root,
            place if game.commitment and game.commitment.trace_root == dispute.trace_root else None,
            game.committed_in < now.block,
            dispute.expired(game, now.time),
            Inside(node.question, opening.results if opening else None) if isinstance(node, Asked) else None,
        )

    def move(self, dispute: Dispute, action: Action, number: int, truth: GameMachine) -> Move:
        def at() -> GameAt:
            return GameAt(number, dispute.trace_root, dispute.node_of(dispute.games[number]))

        match action:
            case ToChallenge(place):
                named = None if place is None else Commitment(dispute.trace_root, HiddenPlace(place, self.salt))
                return Challenge(self.me, named)
            case ToCommit(place):
                return Commit(self.me, at(), Commitment(dispute.trace_root, HiddenPlace(place, self.salt)))
            case ToSelect(position, child, siblings):
                return Select(self.me, at(), position, child, siblings)
            case ToProve(accusation):
                verdict = truth.verdict(accusation.position, accusation.rule)
                return Prove(self.me, at(), HiddenPlace(accusation.position, self.salt), accusation.rule, verdict)
            case ToDescend(accusation):
                named_place = HiddenPlace(accusation.position, self.salt)
                return Descend(self.me, at(), named_place, accusation.detail, truth.monoid, toy.PARTS)
            case ToNarrow(question, results, child):
                return Narrow(self.me, at(), question, results, child)
            case ToSettle(question, results, which):
                return Settle(self.me, at(), question, results, which, truth.settled(question, results, which))
            case ToSetTraceRoot(root):
                return SetTraceRoot(self.me, root)
            case ToReveal(children):
                return Reveal(self.me, children)
            case ToRevealLeaf(data):
                return RevealLeaf(self.me, data)
            case ToPartials(question, results):
                return Partials(self.me, dispute.trace_root, question, results)
            case ToTimeout():
                return Timeout(self.me, (number,))


class GameMachine(RuleBasedStateMachine):
    """One claim, honest or false, among everybody who may want to hurt it or to save it."""

    lie = "none"
    answering = True
    inside = "nothing"
    """What a liar says inside elements: nothing, an accumulator that is right, or one that fits the false element."""

    @initialize(
        at=st.integers(1, 5),
        arity=st.integers(1, 3),
        on_dispute=st.booleans(),
        publishes=st.booleans(),
        preopened=st.booleans(),
        monoid=st.sampled_from(MONOIDS),
        fault=st.integers(0, 63),
    )
    def begin(
        self, at: int, arity: int, on_dispute: bool, publishes: bool, preopened: bool, monoid: Monoid, fault: int
    ) -> None:
        if self.inside != "nothing":
            at = 2 + at % 2
        self.monoid = monoid
        self.right = toy.right_trace()
        self.input, self.output = self.right.leaves[0], self.right.leaves[toy.OUTPUT]
        self.trace = self.right
        match self.lie:
            case "input":
                self.trace = toy.altered(self.right, 0, consistent=True)
                self.output = self.trace.leaves[toy.OUTPUT]
            case "output":
                self.output = toy.altered(self.right, toy.OUTPUT, consistent=False).leaves[toy.OUTPUT]
            case "step":
                self.trace = toy.altered(self.right, at, consistent=False)
            case "consistent":
                self.trace = toy.altered(self.right, at, consistent=True)
                self.output = self.trace.leaves[toy.OUTPUT]
            case "padding":
                self.trace = toy.altered(self.right, toy.USED, consistent=False)
            case "withheld":
                self.trace = replace(self.right, withheld=frozenset({at}))
        self.false = self.lie != "none"
        self.answers = self.answering or not self.false
        self.layout = toy.layout(self.output, DIVIDED)
        self.own_elements = toy.ToyElements(self.right, monoid)
        self.claimants_elements: Elements | None = toy.ToyElements(self.trace, monoid)
        if self.false:
            lying = toy.LyingElements(self.trace, monoid, lambda count: fault % count, self.inside == "an epilogue")
            self.claimants_elements = None if self.inside == "nothing" else lying
        root = NO_ROOT if on_dispute else self.trace.root
        ledger = Ledger()
        for account in [CLAIMANT, HONEST, *SYBILS]:
            ledger = ledger.deposit(account, FUNDS).fund(account, FUNDS)
        terms = replace(TERMS, arity=arity)
        self.now = Instant(Timestamp(1000), 10)
        self.dispute = Dispute.begin(terms, CLAIMANT, self.now.time, (toy.TRACE_DEPTH, 0), root, ledger)
        if preopened:
            # Another claim with the same trace was disputed before: its root counts as opened, long ago.
            self.dispute = replace(self.dispute, opened={(self.trace.root, arity): Opening(Timestamp(5), SYBILS[0])})
        self.preimages = Preimages()
        self.preimages.add_children([self.trace.node(Gindex((1 << arity) | j)) for j in range(1 << arity)])
        self.publishes = publishes
        self.read = self.dispute.clock.reading(self.now.time)
        self.was_final = False
        if self.false:
            self.act_honest_challenger()

    def verdict(self, place: Gindex, rule: Rule) -> bool:
        return toy.differs(self.trace, self.input, self.output, place, rule)

    def settled(self, question: Question, results: tuple[Partial, ...], child: int | None) -> bool:
        """The machine's verdict about an answer, whatever it is asked."""
        if child is None:
            acc = accumulator(question.monoid, combine(question.monoid, results))
            return toy.epilogue_differs(self.trace, question, acc)
        if not question.asks_for_parts or not 0 <= child < len(results):
            return False
        return toy.part_differs(self.trace, question, results[child], question.part(child))

    def try_move(self, move: Move) -> bool:
        """Play a move; a refused one must change nothing (it cannot: states are immutable)."""
        before = self.dispute
        try:
            self.dispute = play(before, move, self.now)
        except Refusal:
            return False
        self.nobody_is_paid_for_a_copy(before, move)
        if isinstance(move, Reveal):
            self.preimages.add_children(move.children)
        if isinstance(move, RevealLeaf):
            self.preimages.add_leaf(move.data)
        if isinstance(move, Select):
            above = depth_of(move.position) - len(move.siblings)
            self.preimages.add_path(
                move.child, relative(move.position, Gindex(move.position >> len(move.siblings))), move.siblings
            )
            assert above >= 0
        return True

    def nobody_is_paid_for_a_copy(self, before: Dispute, move: Move) -> None:
        """Invariant 8: who stood on the proven place first, in an earlier block, has the reward, whoever proves it."""
        after = self.dispute
        if not isinstance(move, Prove | Settle) or after.conviction is None:
            return
        standing = [
            number
            for number in before.open_games
            if before.stands_at(number, after.conviction.place) and before.games[number].committed_in < self.now.block
        ]
        winner = before.games[min([*standing, move.at.game])].challenger
        gained = after.ledger.wealth(winner) - before.ledger.wealth(winner)
        assert gained == self.dispute.parameters.reward

    def theirs(self) -> KnownTrace:
        revealed = RevealedTrace(self.preimages, self.dispute.trace_root, self.dispute.depth)
        return self.trace if self.publishes else revealed

    def act_honest_challenger(self) -> None:
        """One honest, timely challenger plays whatever its strategy says."""
        if self.dispute.conviction is not None or not self.false:
            return
        mine = [n for n, game in enumerate(self.dispute.games) if game.challenger == HONEST]
        player = Player(HONEST)
        view = player.view(self.dispute, self.now, mine[0]) if mine else None
        root = self.dispute.trace_root
        for action in strategy.challenger(self.layout, self.right, self.theirs(), root, view, self.own_elements):
            number = mine[0] if mine else len(self.dispute.games)
            move = player.move(self.dispute, action, number, self)
            if isinstance(move, Prove | Descend | Settle) and self.dispute.games[number].committed_in >= self.now.block:
                continue
            assert self.try_move(move), f"the honest challenger's {action} was refused"

    def act_defender(self) -> None:
        """The claimant's side answers in every game, if it answers at all."""
        if not self.answers:
            return
        player = Player(CLAIMANT)
        for number in list(self.dispute.open_games):
            if not self.dispute.is_live(number):
                continue
            view = player.view(self.dispute, self.now, number)
            try:
                arity = self.dispute.parameters.arity
                actions = strategy.defender(self.layout, self.trace, arity, view, self.claimants_elements)
            except CommitmentError:
                continue
            for action in actions:
                self.try_move(player.move(self.dispute, action, number, self))

    def next_block(self, seconds: int) -> None:
        self.now = Instant(Timestamp(self.now.time + seconds), self.now.block + 1)

    @rule(seconds=st.integers(0, 12))
    def time_passes(self, seconds: int) -> None:
        self.act_defender()
        self.act_honest_challenger()
        self.next_block(seconds)

    @rule(who=st.sampled_from(SYBILS), place=st.sampled_from(toy.all_accusations()), hidden=st.booleans())
    def a_sybil_challenges(self, who: Address, place: Accusation, hidden: bool) -> None:
        named = Commitment(self.dispute.trace_root, HiddenPlace(place.position, b"copy" * 8)) if hidden else None
        self.try_move(Challenge(who, named))

    @precondition(lambda self: self.dispute.games)
    @rule(data=st.data(), who=st.sampled_from(SYBILS), accusation=st.sampled_from(toy.all_accusations()))
    def a_sybil_proves_or_copies_a_proof(self, data: st.DataObject, who: Address, accusation: Accusation) -> None:
        number = data.draw(st.sampled_from(range(len(self.dispute.games))))
        game = self.dispute.games[number]
        place = HiddenPlace(accusation.position, data.draw(st.sampled_from([b"copy" * 8, b"salt" * 8])))
        before = self.dispute
        named = Commitment(self.dispute.trace_root, place)
        stood = game.position == accusation.position or game.commitment == named
        stood = stood and game.committed_in < self.now.block
        at = GameAt(number, self.dispute.trace_root, self.dispute.node_of(game))
        verdict = self.verdict(accusation.position, accusation.rule)
        if self.try_move(Prove(who, at, place, accusation.rule, verdict)):
            assert game.challenger == who and stood and before.trace_root == self.trace.root

    @precondition(lambda self: self.dispute.games)
    @rule(data=st.data(), who=st.sampled_from(SYBILS))
    def a_sybil_selects(self, data: st.DataObject, who: Address) -> None:
        number = data.draw(st.sampled_from(range(len(self.dispute.games))))
        game = self.dispute.games[number]
        levels = data.draw(st.integers(1, 3))
        position = descendant(game.position, levels, data.draw(st.integers(0, (1 << levels) - 1)))
        if depth_of(position) > self.dispute.depth:
            return
        path: list[Root] = list(branch(self.trace, position))[:levels]
        child = self.trace.node(position)
        at = GameAt(number, self.dispute.trace_root, self.dispute.node_of(game))
        self.try_move(Select(who, at, position, child, tuple(path)))

    def questions(self) -> list[Question]:
        """Everything that could be asked, from the leaves on which somebody stands."""
        asked = [game.node.question for game in self.dispute.games if isinstance(game.node, Asked)]
        place = Gindex(1 << toy.TRACE_DEPTH | 2)
        return [*asked, Question(place, 0, self.monoid, toy.PARTS), Question(place, 3, self.monoid, toy.PARTS, 1, 1)]

    @precondition(lambda self: self.dispute.games)
    @rule(
        data=st.data(),
        who=st.sampled_from(SYBILS),
        leaf=st.integers(0, 7),
        element=st.sampled_from([0, 0, 5]),
        salt=st.sampled_from([b"copy" * 8, b"salt" * 8]),
    )
    def a_sybil_descends(self, data: st.DataObject, who: Address, leaf: int, element: int, salt: bytes) -> None:
        number = data.draw(st.sampled_from(range(len(self.dispute.games))))
        place = HiddenPlace(Gindex(1 << toy.TRACE_DEPTH | leaf), salt)
        at = GameAt(number, self.dispute.trace_root, self.dispute.node_of(self.dispute.games[number]))
        if leaf in DIVIDED:
            self.try_move(Descend(who, at, place, element, self.monoid, toy.PARTS))

    @precondition(lambda self: self.dispute.games)
    @rule(data=st.data(), who=st.sampled_from(SYBILS), child=st.integers(-1, 64), right=st.booleans())
    def a_sybil_narrows_or_settles(self, data: st.DataObject, who: Address, child: int, right: bool) -> None:
        number = data.draw(st.sampled_from(range(len(self.dispute.games))))
        game = self.dispute.games[number]
        question = data.draw(st.sampled_from(self.questions()))
        if isinstance(game.node, Asked) and right:
            question = game.node.question
        opening = self.dispute.opened.get((Asked(self.dispute.trace_root, question), 0))
        results = opening.results if opening else (Partial(0),) * question.children
        at = GameAt(number, self.dispute.trace_root, self.dispute.node_of(game))
        self.try_move(Narrow(who, at, question, results, child))
        which = None if child < 0 else child
        if self.try_move(Settle(who, at, question, results, which, self.settled(question, results, which))):
            assert self.false and game.challenger == who

    @precondition(lambda self: self.dispute.games)
    @rule(data=st.data(), who=st.sampled_from([*SYBILS, CLAIMANT]), values=st.lists(st.integers(-3, 3), max_size=3))
    def somebody_answers_what_nobody_asked(self, data: st.DataObject, who: Address, values: list[int]) -> None:
        """Only a liar answers out of turn, and only the claimant can answer."""
        question = data.draw(st.sampled_from(self.questions()))
        if data.draw(st.booleans()):
            lying = toy.LyingElements(self.trace, self.monoid, lambda count: 0)
            if 0 < offset_of(question.place) - 1 not in self.trace.withheld:
                question = child_of(question, lying.partials(question), 0) if not question.asks_for_parts else question
        results = tuple(Partial(value) for value in values)
        if who != CLAIMANT:
            assert not self.try_move(Partials(who, self.dispute.trace_root, question, results))
        elif self.false and self.claimants_elements is not None:
            self.try_move(Partials(who, self.dispute.trace_root, question, results))
            if question.disputed is not None or data.draw(st.booleans()):
                answer = tuple(self.claimants_elements.partials(question))
                self.try_move(Partials(who, self.trace.root, question, answer))

    @rule(who=st.sampled_from(SYBILS), at=st.integers(1, 7), levels=st.integers(0, 3))
    def a_sybil_opens_a_node(self, who: Address, at: int, levels: int) -> None:
        position = Gindex(at)
        if depth_of(position) + levels > toy.TRACE_DEPTH or not levels:
            leaf = at % (1 << toy.TRACE_DEPTH)
            if leaf not in self.trace.withheld:
                self.try_move(RevealLeaf(who, self.trace.leaf_bytes(leaf)))
            return
        self.try_move(Reveal(who, tuple(self.trace.node(descendant(position, levels, j)) for j in range(1 << levels))))

    @precondition(lambda self: self.dispute.games)
    @rule(who=st.sampled_from(SYBILS), order=st.permutations(range(4)), data=st.data())
    def a_sybil_says_many_things_at_once(self, who: Address, order: list[int], data: st.DataObject) -> None:
        """A multicall is its moves one after the other; a stale one spoils nothing."""
        number = data.draw(st.sampled_from(range(len(self.dispute.games))))
        node = self.dispute.node_of(self.dispute.games[number])
        at = GameAt(number, self.dispute.trace_root, node)
        place = HiddenPlace(Gindex(1 << toy.TRACE_DEPTH | 2), b"copy" * 8)
        moves: list[Move] = [
            Commit(who, at, Commitment(self.dispute.trace_root, place)),
            Prove(who, at, place, Rule.STEP, self.verdict(place.position, Rule.STEP)),
            Timeout(who, (number,)),
            Commit(who, replace(at, node=Root(b"?" * 32)), Commitment(self.dispute.trace_root, place)),
        ]
        moves = [moves[which] for which in order]
        before = self.dispute
        together, refusals = multicall(before, moves, self.now)
        assert len(refusals) == len(moves)
        for move, refusal in zip(moves, refusals, strict=True):
            assert self.try_move(move) == (refusal is None)
        assert self.dispute == together

    @precondition(lambda self: self.dispute.games)
    @rule(data=st.data(), who=st.sampled_from([*SYBILS, CLAIMANT]))
    def anybody_collects_or_reclaims(self, data: st.DataObject, who: Address) -> None:
        number = data.draw(st.sampled_from(range(len(self.dispute.games))))
        before, invalid = self.dispute, self.dispute.conviction
        if self.try_move(Timeout(who, (number,))):
            assert before.expired(before.games[number], self.now.time) is not None and invalid is None
        if self.try_move(Reclaim(who, (number,))):
            assert invalid is not None and before.games[number].status is GameStatus.OPEN

    @rule()
    def the_claimant_challenges_itself(self) -> None:
        """Invariant 3: it may lose the game on purpose; the invariants below say that this protects nothing."""
        self.try_move(Challenge(CLAIMANT))

    @invariant()
    def bonds_in_are_bonds_out_plus_burned(self) -> None:
        """Invariant 6, and the locked bonds are exactly those that are at stake."""
        if not hasattr(self, "dispute"):
            return
        ledger, terms = self.dispute.ledger, self.dispute.parameters
        assert ledger.balanced
        at_stake = sum(game.status is GameStatus.OPEN for game in self.dispute.games) * terms.challenge_bond
        claim = 0 if self.dispute.conviction or self.dispute.released else terms.claim_bond
        assert sum(ledger.locked.values()) == at_stake + claim

    @invariant()
    def the_clock_never_goes_back_and_finality_is_never_taken_back(self) -> None:
        """The challenge period's clock stops for every first challenge, and only for that."""
        if not hasattr(self, "dispute"):
            return
        dispute, now = self.dispute, self.now.time
        assert dispute.clock.stopped == (dispute.parameters.spacing if dispute.games else 0)
        read = dispute.clock.reading(now)
        assert self.read <= read <= now
        final = dispute.is_final(now) or dispute.released
        assert final or not self.was_final
        self.read, self.was_final = read, final

    @invariant()
    def every_second_charges_exactly_one_clock(self) -> None:
        """Invariant 4: used time adds up to elapsed time, and proof and timeout exclude each other."""
        if not hasattr(self, "dispute"):
            return
        for game in self.dispute.games:
            at = game.clocks.charged(self.dispute.opened_at(game), self.now.time)
            used = game.clocks.defender - at.defender + game.clocks.challenger - at.challenger
            assert used == self.now.time - game.clocks.since
            assert at.defender <= game.clocks.defender and at.challenger <= game.clocks.challenger

    @invariant()
    def an_honest_claim_is_never_convicted(self) -> None:
        """Invariant 2, first half."""
        if hasattr(self, "dispute") and not self.false:
            assert self.dispute.conviction is None

    @invariant()
    def a_false_claim_under_an_honest_challenge_is_never_final(self) -> None:
        """Invariants 1 and 3: whoever loses whatever game, the honest one is open until the claim is invalid."""
        if hasattr(self, "dispute") and self.false:
            assert not self.dispute.is_final(self.now.time)
            mine = [game for game in self.dispute.games if game.challenger == HONEST]
            assert self.dispute.conviction is not None or mine[0].status is GameStatus.OPEN

    def teardown(self) -> None:
        """Everybody who is honest plays on until nothing moves: what must hold at the end, holds."""
        if not hasattr(self, "dispute"):
            return
        started, terms = self.now.time, self.dispute.parameters
        limit = max(1000 + terms.window + terms.spacing, started) + 2 * terms.clock + 2
        while self.now.time < limit:
            self.act_defender()
            self.act_honest_challenger()
            for number in list(self.dispute.open_games):
                self.try_move(Timeout(SYBILS[0], (number,)))
            self.next_block(1)
        if self.false:
            assert self.dispute.conviction is not None
            ENDINGS[self.dispute.conviction.rule] += 1
            return
        ENDINGS["final"] += 1
        SURVIVED["honest claims' games that were lost"] += len(self.dispute.games)
        assert self.dispute.is_final(self.now.time), "an honest claim is final within window + one game"
        self.dispute = release(self.dispute, self.now.time)
        lost = sum(terms.challenge_bond for game in self.dispute.games if game.challenger == CLAIMANT)
        assert self.dispute.ledger.balance(CLAIMANT) == FUNDS, "the claim's bond is free again, whole"
        assert self.dispute.ledger.earnings(CLAIMANT) >= FUNDS - lost
        for number, game in enumerate(self.dispute.games):
            assert game.status is GameStatus.LOST, f"game {number} against an honest claim ended {game.status}"


@pytest.mark.parametrize(
    ("lie", "answering", "inside", "ending"),
    [
        ("none", True, "", "final"),
        ("input", True, "nothing", Rule.INPUT),
        ("output", True, "nothing", Rule.OUTPUT),
        ("step", True, "an epilogue", Rule.EPILOGUE),
        ("step", True, "a part", Rule.PART),
        ("consistent", True, "a part", Rule.PART),
        ("padding", True, "nothing", Rule.PADDING),
        ("withheld", True, "nothing", Rule.TIMEOUT),
        ("step", False, "nothing", Rule.TIMEOUT),
    ],
)
def test_what_must_always_hold_holds_in_every_world(lie: str, answering: bool, inside: str, ending: Rule | str) -> None:
    """40 worlds of each kind; ``ending``: how most of them must end, which says that they were really played."""
    ENDINGS.clear()
    SURVIVED.clear()
    world = type("GameMachine", (GameMachine,), {"lie": lie, "answering": answering, "inside": inside})
    few = settings(max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(world, settings=settings(few, derandomize=True, database=None))
    # A silent liar may have published its trace before, and is then convicted by a proof.
    assert ENDINGS[ending] >= (30 if answering else 20), ENDINGS
    assert ending != "final" or SURVIVED["honest claims' games that were lost"] >= 40, SURVIVED
