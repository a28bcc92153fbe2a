"""Sequences of moves with what must come of each: `python -m tests.vectors.game_scenarios` writes them to game/*.json.

Who may say what when, and which error it gets, is written by hand here; hashes, paths and witnesses are filled in
from traces. The pure game and the contracts run the same files (tests/rollup/game/test_vectors.py,
tests/e2e/test_game_vectors.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from challenger.play.accusation import Accusation
from challenger.play.layout import TraceLayout
from challenger.play.trace import ValueTrace
from challenger.play.witnesses import witness
from rollup.claim import NO_ROOT, input_root, join, output_root, output_types, tensor_roots
from rollup.form.encoding import TracePolicy
from rollup.form.ops import Monoid
from rollup.game.moves import Rule
from rollup.game.position import ROOT, descendant, leaf_gindex
from rollup.game.question import Partial, Question, child_of, encode_results
from rollup.machine.witness import epilogue_witness, outline_witness, part_witness
from rollup.merkle import branch, depth_of
from rollup.settings import Parameters
from rollup.types import Duration, Gindex, Root
from tests.e2e.toy_program import Published, outputs_of, toy_inputs, toy_program, values_of, with_lie

FOLDER = Path(__file__).parent / "game"
TERMS = Parameters(Duration(100), Duration(40), Duration(5), Duration(60), 2, 1000, 500, 300, 10, 20)
FUNDS = 2000
PEOPLE = ("claimant", "alice", "bob", "carol")
SALT = bytes(range(32))

INPUTS = toy_inputs(7)
RIGHT = values_of(toy_program(), INPUTS)
LIE_AT, LIE_IN = 4, 1
LIED = with_lie(toy_program(), RIGHT, LIE_AT, LIE_IN, consistent=True)

PARTS = 100
"""Of the sum in which the lie is, where it is divided: every position is a part, and two answers lead to one."""

TERMS_OF_LIE = [int(term) for term in RIGHT[LIE_AT - 1].reshape(6, PARTS)[LIE_IN]]


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


@dataclass
class Scenario:
    """One claim and what is said about it. Times are seconds after the claim was posted; every move is a block of its
    own.
    """

    name: str
    says: str
    false: bool = True
    policy: TracePolicy = TracePolicy.WITH_CLAIM
    part: int = 0
    moves: list[dict[str, Any]] = field(default_factory=list)
    end: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.program = toy_program(self.policy, self.part)
        self.trace = Published(self.program, LIED if self.false else RIGHT)
        self.own = ValueTrace(self.program, RIGHT)
        self.depth = self.program.depth
        self.root = self.trace.root if self.policy is TracePolicy.WITH_CLAIM else NO_ROOT
        self.at_node: list[Gindex] = []
        self.asked: dict[int, Question] = {}
        self.answers: dict[Question, tuple[Partial, ...]] = {}
        header = self.program.header
        self.inputs = join(INPUTS, header.inputs)
        self.outputs = join(outputs_of(self.program, LIED if self.false else RIGHT), output_types(header))
        self.lied_leaf = LIE_AT << header.tensor_depth
        self.leaf = leaf_gindex(self.lied_leaf, self.depth)
        self.entry = leaf_gindex(LIE_AT, header.trace_depth)

    def claim(self) -> dict[str, Any]:
        header = self.program.header
        return {
            "header": _hex(self.program.header_bytes),
            "header_path": _hex(b"".join(branch(self.program.tree, Gindex(1 << self.program.tree.depth)))),
            "model_id": _hex(self.program.id),
            "trace_depth": header.trace_depth,
            "tensor_depth": header.tensor_depth,
            "input": _hex(self.inputs),
            "output": _hex(self.outputs),
            "input_root": _hex(input_root(header, self.inputs)),
            "output_root": _hex(output_root(header, self.outputs)),
            "trace_root": _hex(self.root),
        }

    def say(self, at: int, by: str, move: str, error: str | None = None, **fields: Any) -> Scenario:
        shown = {key: _hex(value) if isinstance(value, bytes) else value for key, value in fields.items()}
        self.moves.append({"at": at, "by": by, "move": move, **shown, "error": error})
        return self

    def _where(self, game: int) -> dict[str, Any]:
        """Inside an element the node is written as its question: its hash depends on the claim's id."""
        position = self.at_node[game]
        node: Any = self.root if position == ROOT else self.trace.node(position)
        if game in self.asked:
            node = asdict(self.asked[game])
        return {"game": game, "trace_root": self.root, "node": node}

    def challenge(
        self, at: int, by: str, place: Gindex | None = None, error: str | None = None, value: int = 0
    ) -> Scenario:
        """``place``: what the challenge commits to."""
        committed = {} if place is None else {"place": place, "salt": SALT}
        if error is None:
            self.at_node.append(ROOT)
        return self.say(at, by, "challenge", error, **committed, **({"value": value} if value else {}))

    def commit(
        self, at: int, by: str, number: int, place: Gindex, error: str | None = None, **instead: Any
    ) -> Scenario:
        fields = {**self._where(number), "place": place, "salt": SALT, **instead}
        return self.say(at, by, "commit", error, **fields)

    def set_root(self, at: int, by: str, root: Root | None = None, error: str | None = None) -> Scenario:
        given = self.trace.root if root is None else root
        if error is None:
            self.root = given
        return self.say(at, by, "set_trace_root", error, root=given)

    def reveal(self, at: int, by: str, number: int, error: str | None = None, **instead: Any) -> Scenario:
        position = self.at_node[number]
        levels = min(TERMS.arity, self.depth - depth_of(position))
        children = [_hex(self.trace.node(descendant(position, levels, j))) for j in range(1 << levels)]
        return self.say(at, by, "reveal", error, **{"children": children, **instead})

    def reveal_leaf(self, at: int, by: str, number: int, error: str | None = None, **instead: Any) -> Scenario:
        data = self.trace.leaf_bytes(self.lied_leaf)
        return self.say(at, by, "reveal_leaf", error, **{"data": data, **instead})

    def select(
        self, at: int, by: str, number: int, levels: int = 2, error: str | None = None, **instead: Any
    ) -> Scenario:
        """Go ``levels`` down on the way to the lie's leaf."""
        above = self.at_node[number]
        below = (
            Gindex(self.leaf >> (self.depth - depth_of(above) - levels)) if error is None or not instead else self.leaf
        )
        path = list(branch(self.trace, below))[: depth_of(below) - depth_of(above)]
        fields = {"position": below, "child": self.trace.node(below), "siblings": [_hex(node) for node in path]}
        self.say(at, by, "select", error, **{**self._where(number), **fields, **instead})
        if error is None:
            self.at_node[number] = below
        return self

    def prove(
        self,
        at: int,
        by: str,
        number: int,
        place: Gindex | None = None,
        rule: Rule = Rule.STEP,
        error: str | None = None,
        **instead: Any,
    ) -> Scenario:
        """Offer the proof about the lie's leaf, wherever the game stands."""
        header = self.program.header
        roots = tensor_roots(self.outputs, output_types(header), header.tensor_depth, "output")
        layout = TraceLayout.of(self.program, roots)
        proof = witness(
            Accusation(self.leaf, Rule.STEP, 1),
            layout,
            self.own,
            self.trace,
            self.trace.root,
            self.inputs,
            self.outputs,
        )
        fields = {
            "place": self.leaf if place is None else place,
            "salt": SALT,
            "rule": rule.name.lower(),
            "witness": proof,
            "differs": self.false,
        }
        return self.say(at, by, "prove", error, **{**self._where(number), **fields, **instead})

    def descend(
        self, at: int, by: str, number: int, element: int = LIE_IN, error: str | None = None, **instead: Any
    ) -> Scenario:
        """Into an element of the lie's leaf, wherever the game stands."""
        divided = self.part != 0
        fields = {
            "place": self.leaf,
            "salt": SALT,
            "element": element,
            "monoid": int(Monoid.SUM),
            "parts": PARTS if divided else 1,
            "descriptor": outline_witness(self.program, self.lied_leaf),
        }
        self.say(at, by, "descend", error, **{**self._where(number), **fields, **instead})
        if error is None:
            self.at_node[number] = self.leaf
            self.asked[number] = Question(self.leaf, element, Monoid.SUM, PARTS)
        return self

    def answer(
        self,
        at: int,
        by: str,
        question: Question | int,
        lies: Mapping[int, int] | None = None,
        error: str | None = None,
        **instead: Any,
    ) -> Scenario:
        """Partial results of the lie's element. ``question``: or the game that stands on it. ``lies``: what is added to
        the result of some children.
        """
        asked = self.asked[question] if isinstance(question, int) else question
        below = [child_of(asked, [Partial(0)] * asked.children, child) for child in range(asked.children)]
        right = [sum(TERMS_OF_LIE[part] for part in one.covers()) for one in below]
        results = tuple(Partial(value + (lies or {}).get(child, 0)) for child, value in enumerate(right))
        if error is None:
            self.answers.setdefault(asked, results)
        fields = {"trace_root": self.root, "question": asdict(asked), "results": encode_results(Monoid.SUM, results)}
        return self.say(at, by, "partials", error, **{**fields, **instead})

    def _answered(self, number: int) -> dict[str, Any]:
        asked = self.asked[number]
        results = encode_results(Monoid.SUM, self.answers.get(asked, ()))
        return {**self._where(number), "question": asdict(asked), "results": results}

    def narrow(self, at: int, by: str, number: int, child: int, error: str | None = None, **instead: Any) -> Scenario:
        self.say(at, by, "narrow", error, **{**self._answered(number), "child": child, **instead})
        if error is None:
            asked = self.asked[number]
            self.asked[number] = child_of(asked, self.answers[asked], child)
        return self

    def settle(
        self, at: int, by: str, number: int, child: int | None, error: str | None = None, **instead: Any
    ) -> Scenario:
        """``child``: None for the epilogue."""
        asked = self.asked[number]
        proof = b""
        if child is None:
            data, acc = self.trace.leaf_bytes(self.lied_leaf), sum(TERMS_OF_LIE)
            proof = epilogue_witness(self.program, RIGHT, self.trace, self.lied_leaf, data, LIE_IN, acc)
        elif asked.asks_for_parts and child < asked.children:
            proof = part_witness(self.program, RIGHT, self.trace, self.lied_leaf, LIE_IN, asked.part(child))
        fields = {"child": child, "witness": proof, "differs": self.false}
        return self.say(at, by, "settle", error, **{**self._answered(number), **fields, **instead})

    def money(self, at: int, by: str, move: str, wei: int | None = None, error: str | None = None) -> Scenario:
        """A move of the ledger: deposit fund redeposit withdraw announce_withdrawal complete_withdrawal."""
        return self.say(at, by, move, error, **({} if wei is None else {"wei": wei}))

    def together(self, at: int, by: str, first: int) -> Scenario:
        """All moves from number ``first`` on are one transaction of the same account, whose parts stand or fail alone."""
        calls, self.moves = self.moves[first:], self.moves[:first]
        assert all(call["by"] == by for call in calls)
        return self.say(at, by, "multicall", None, calls=calls)

    def timeout(self, at: int, by: str, *games: int, error: str | None = None) -> Scenario:
        return self.say(at, by, "timeout", error, games=list(games))

    def reclaim(self, at: int, by: str, *games: int, error: str | None = None) -> Scenario:
        return self.say(at, by, "reclaim", error, games=list(games))

    def release(self, at: int, by: str, error: str | None = None) -> Scenario:
        return self.say(at, by, "release", error)

    def ends(self, at: int, status: str, rule: str | None = None, free: int = -1000, **earned: int) -> Scenario:
        """What money exceeds what was paid in by, open bonds counted as lost. ``free``: the claimant's balance for claims;
        ``earned``: everybody's for challenges.
        """
        balance = {who: FUNDS + (free if who == "claimant" else 0) for who in PEOPLE}
        earnings = {who: FUNDS + earned.get(who, 0) for who in PEOPLE}
        self.end = {"at": at, "status": status, "rule": rule, "balance": balance, "earnings": earnings}
        return self


SCENARIOS: list[Callable[[], Scenario]] = []


def scenario(build: Callable[[], Scenario]) -> Callable[[], Scenario]:
    SCENARIOS.append(build)
    return build


@scenario
def direct_proof() -> Scenario:
    s = Scenario(
        "direct_proof", "A challenger who knows the place commits to it at the challenge, and proves in the next block."
    )
    s.challenge(1, "alice", s.leaf).prove(2, "alice", 0)
    return s.ends(2, "invalid", "step", alice=300)


@scenario
def interactive_proof() -> Scenario:
    s = Scenario(
        "interactive_proof", "Down to the leaf by reveals, against a defender that shows no more than it must."
    )
    s.challenge(1, "alice")
    for at in (2, 4, 6):
        s.reveal(at, "claimant", 0).select(at + 1, "alice", 0)
    s.reveal_leaf(8, "claimant", 0).prove(9, "alice", 0)
    return s.ends(9, "invalid", "step", alice=300)


@scenario
def deeper_than_revealed() -> Scenario:
    s = Scenario("deeper_than_revealed", "One selection passes every level whose preimages the challenger knows.")
    s.challenge(1, "alice").reveal(2, "bob", 0).select(3, "alice", 0, 6).prove(4, "alice", 0)
    return s.ends(4, "invalid", "step", alice=300)


@scenario
def silent_defender() -> Scenario:
    s = Scenario("silent_defender", "The defender's last second is in time; one second later its silence convicts.")
    s.challenge(10, "alice").timeout(50, "bob", 0, error="NothingToCollect").timeout(51, "bob", 0)
    return s.ends(51, "invalid", "timeout", alice=300, bob=20)


@scenario
def silent_challenger() -> Scenario:
    s = Scenario("silent_challenger", "A challenger that stops loses its own bond and nothing else ends.", false=False)
    s.challenge(10, "alice").reveal(20, "claimant", 0).timeout(60, "bob", 0, error="NothingToCollect")
    s.timeout(61, "bob", 0).release(105, "bob", error="NotFinal").release(106, "bob")
    s.release(107, "bob", error="AlreadyReleased")
    return s.ends(107, "final", free=0, claimant=10, alice=-500, bob=20)


@scenario
def last_second_of_the_window() -> Scenario:
    s = Scenario(
        "last_second_of_the_window",
        "A challenge, a reveal and a selection in their last second are in time; the first challenge stopped the clock.",
    )
    s.challenge(100, "alice").challenge(105, "carol").challenge(106, "bob", error="WindowOver")
    s.reveal(140, "claimant", 0).select(180, "alice", 0).timeout(181, "bob", 0)
    return s.ends(181, "invalid", "timeout", alice=300, bob=20, carol=-500)


@scenario
def opened_too_late() -> Scenario:
    s = Scenario("opened_too_late", "A node that is opened after the defender's deadline does not save that game.")
    s.challenge(1, "alice").challenge(30, "bob").reveal(42, "claimant", 0)
    s.select(43, "alice", 0, error="ClockExpired").select(44, "bob", 1).timeout(45, "carol", 1, 0)
    return s.ends(45, "invalid", "timeout", alice=300, bob=-500, carol=20)


@scenario
def expired_challenger_cannot_move() -> Scenario:
    s = Scenario("expired_challenger_cannot_move", "An expired side can't move, whether collected or not.")
    s.challenge(1, "alice", None).reveal(2, "claimant", 0)
    s.select(43, "alice", 0, error="ClockExpired").prove(44, "alice", 0, error="ClockExpired")
    s.commit(45, "alice", 0, s.leaf, error="ClockExpired").timeout(46, "claimant", 0)
    s.select(47, "alice", 0, error="GameOver").challenge(48, "alice", s.leaf).prove(49, "alice", 1)
    return s.ends(49, "invalid", "step", claimant=30, alice=-500 + 300)


@scenario
def trace_root_on_dispute() -> Scenario:
    s = Scenario(
        "trace_root_on_dispute",
        "The claimant gives the trace root once, when challenged.",
        policy=TracePolicy.ON_DISPUTE,
    )
    s.set_root(1, "claimant", error="NotChallenged").challenge(2, "alice")
    s.set_root(3, "bob", error="NotClaimant").set_root(4, "claimant", NO_ROOT, error="NoTraceRoot")
    s.prove(5, "alice", 0, error="NoTraceRoot").set_root(6, "claimant")
    s.set_root(7, "claimant", error="TraceRootAlreadySet")
    s.commit(8, "alice", 0, s.leaf, "WrongTraceRoot", trace_root=NO_ROOT)
    s.commit(9, "alice", 0, s.leaf).prove(10, "alice", 0)
    return s.ends(10, "invalid", "step", alice=300)


@scenario
def trace_root_never_given() -> Scenario:
    s = Scenario(
        "trace_root_never_given",
        "A claimant that never gives its trace root loses by time.",
        policy=TracePolicy.ON_DISPUTE,
    )
    s.challenge(2, "alice").timeout(42, "alice", 0, error="NothingToCollect").timeout(43, "alice", 0)
    s.set_root(44, "claimant", error="AlreadyConvicted")
    return s.ends(44, "invalid", "timeout", alice=320)


@scenario
def refused_reveals() -> Scenario:
    s = Scenario(
        "refused_reveals",
        "A node is opened by its own descendants alone, as deep as the arity says, a leaf by its bytes.",
    )
    short = [_hex(s.trace.node(descendant(ROOT, 1, j))) for j in range(2)]
    wrong = [_hex(NO_ROOT)] * 4
    s.challenge(1, "alice").reveal(2, "claimant", 0, "ChildCount", children=wrong[:3])
    s.reveal(3, "claimant", 0, "ChildCount", children=wrong[:1]).reveal(4, "claimant", 0, "ChildCount", children=[])
    s.reveal(5, "claimant", 0, "ChildCount", children=wrong * 2)
    # True of some node, but not of the game's, or not as deep as the game asks for.
    s.reveal(6, "claimant", 0, children=short).reveal(7, "claimant", 0, children=wrong)
    s.reveal_leaf(8, "claimant", 0).select(9, "alice", 0, error="NotOpened")
    s.reveal(10, "bob", 0).reveal(11, "claimant", 0).select(12, "alice", 0, 6).timeout(53, "carol", 0)
    s.reveal_leaf(54, "claimant", 0, "LeafLength", data=bytes(1023))
    s.challenge(55, "alice").select(56, "alice", 1, 4).reveal(57, "claimant", 1).reveal_leaf(58, "claimant", 1)
    s.select(59, "bob", 1, error="NotChallenger").select(60, "alice", 1)
    s.commit(61, "alice", 1, s.leaf, "GameOver", trace_root=s.trace.node(Gindex(2)))
    s.commit(62, "alice", 1, s.leaf, "WrongNode", node=s.trace.node(Gindex(2)))
    s.commit(63, "alice", 1, s.leaf, "GameOver", game=2)
    return s.ends(63, "challenged", claimant=10, alice=-1000, bob=10, carol=20)


@scenario
def refused_selections() -> Scenario:
    s = Scenario(
        "refused_selections",
        "A selection leads from the game's opened node to a descendant, by a path that hashes to it, as deep as was opened.",
    )
    beside = Gindex(s.leaf ^ 1)
    s.challenge(1, "alice").select(2, "alice", 0, error="NotOpened").reveal(3, "claimant", 0)
    s.select(4, "bob", 0, error="NotChallenger")
    s.select(5, "alice", 0, error="CannotSelect", position=1, child=s.root, siblings=[])
    s.select(6, "alice", 0, error="CannotSelect", position=s.leaf * 2, siblings=[_hex(NO_ROOT)] * 7)
    s.select(7, "alice", 0, 1, error="CannotSelect").select(8, "alice", 0, error="HashMismatch", position=beside)
    s.select(9, "alice", 0, error="SiblingCount", siblings=[_hex(NO_ROOT)] * 5).select(10, "alice", 0)
    s.reveal(11, "claimant", 0).select(12, "alice", 0, error="NotBelow", position=2)
    s.select(13, "alice", 0, 1, error="CannotSelect")
    return s.ends(13, "challenged", alice=-500)


@scenario
def refused_proofs() -> Scenario:
    s = Scenario("refused_proofs", "A proof needs its place reached or committed to, and a rule that applies there.")
    s.challenge(1, "alice").prove(2, "alice", 0, error="PlaceNotReached").commit(
        3, "bob", 0, s.leaf, error="NotChallenger"
    )
    s.commit(4, "alice", 0, s.leaf).prove(5, "bob", 0, error="NotChallenger")
    s.prove(6, "alice", 0, error="PlaceNotReached", salt=bytes(32))
    s.prove(7, "alice", 0, rule=Rule.TIMEOUT, error="RuleNotApplicable")
    s.prove(8, "alice", 0, rule=Rule.OUTPUT, error="RuleNotApplicable")
    s.commit(9, "alice", 0, s.entry).prove(10, "alice", 0, error="PlaceNotReached")
    s.prove(11, "alice", 0, place=s.entry, error="RuleNotApplicable").commit(12, "alice", 0, s.leaf).prove(
        13, "alice", 0
    )
    return s.ends(13, "invalid", "step", alice=300)


@scenario
def honest_claim_has_no_mismatch() -> Scenario:
    s = Scenario(
        "honest_claim_has_no_mismatch",
        "Equality never convicts; the attacker pays for every node it had opened.",
        false=False,
    )
    s.challenge(1, "alice", s.leaf).prove(2, "alice", 0, error="NoMismatch")
    for at in (3, 5, 7):
        s.reveal(at, "claimant", 0).select(at + 1, "alice", 0)
    s.reveal_leaf(9, "claimant", 0).prove(10, "alice", 0, error="NoMismatch")
    s.timeout(46, "claimant", 0, error="NothingToCollect").timeout(47, "claimant", 0).release(106, "claimant")
    return s.ends(106, "final", free=0, claimant=4 * 10 + 20, alice=-500)


@scenario
def one_conviction_ends_every_game() -> Scenario:
    s = Scenario("one_conviction_ends_every_game", "The other games end, their bonds are freed whole, once.")
    s.challenge(1, "alice").challenge(2, "bob", s.leaf).challenge(3, "carol").reclaim(
        4, "alice", 0, error="NothingToReclaim"
    )
    s.prove(5, "bob", 1).select(6, "alice", 0, error="GameOver").challenge(7, "alice", error="AlreadyConvicted")
    s.reveal(8, "claimant", 0).timeout(60, "carol", 0, error="NothingToCollect").reclaim(61, "bob", 0, 1, 2)
    s.reclaim(62, "alice", 0, error="NothingToReclaim").prove(63, "bob", 1, error="GameOver")
    return s.ends(63, "invalid", "step", bob=300)


@scenario
def sybils_share_openings() -> Scenario:
    s = Scenario(
        "sybils_share_openings", "A node is opened once for all games; each game's clock is its own.", false=False
    )
    s.challenge(1, "alice").challenge(2, "bob").challenge(3, "bob").reveal(10, "claimant", 1)
    s.challenge(12, "carol").select(13, "bob", 2).select(14, "carol", 3)
    s.reveal(20, "claimant", 3).timeout(50, "claimant", 0, 1, error="NothingToCollect")
    s.timeout(52, "claimant", 0, 1, 2, 3).timeout(59, "claimant", 2, 3)
    return s.ends(59, "posted", claimant=10 + 10 + 20 + 20 + 4 * 20, alice=-500, bob=-1000, carol=-500)


@scenario
def losing_to_oneself_protects_nothing() -> Scenario:
    s = Scenario("losing_to_oneself_protects_nothing", "A liar that loses a game against itself gains nothing by it.")
    s.challenge(1, "claimant").reveal(2, "claimant", 0).timeout(43, "claimant", 0)
    s.release(44, "claimant", error="NotFinal").challenge(45, "alice", s.leaf).prove(46, "alice", 0, error="GameOver")
    s.prove(47, "alice", 1)
    return s.ends(47, "invalid", "step", claimant=-500 + 10 + 20, alice=300)


@scenario
def bonds_need_money() -> Scenario:
    s = Scenario("bonds_need_money", "A game needs a free bond.")
    for at in range(4):
        s.challenge(at + 1, "alice")
    s.challenge(5, "alice", error="InsufficientEarnings")
    return s.ends(5, "challenged", alice=-2000)


@scenario
def a_part_of_a_long_sum() -> Scenario:
    s = Scenario(
        "a_part_of_a_long_sum",
        "Inside an element, the partial results lead to one part that is recomputed.",
        part=1,
    )
    s.challenge(1, "alice", s.leaf).descend(2, "alice", 0)
    # The claimant's answers combine to what it claimed: 1 too much, which it hides in the sixth part.
    s.answer(3, "claimant", 0, {0: 1}).narrow(4, "alice", 0, 0).answer(5, "claimant", 0, {5: 1})
    s.settle(6, "alice", 0, 5)
    return s.ends(6, "invalid", "part", alice=300)


@scenario
def the_epilogue_of_a_long_sum() -> Scenario:
    s = Scenario(
        "the_epilogue_of_a_long_sum",
        "Partial results that combine to the right accumulator give another element than the claimed one.",
        part=1,
    )
    s.challenge(1, "alice")
    for at in (2, 4, 6):
        s.reveal(at, "claimant", 0).select(at + 1, "alice", 0)
    s.descend(8, "alice", 0).answer(9, "claimant", 0).settle(10, "alice", 0, None)
    return s.ends(10, "invalid", "epilogue", alice=300)


@scenario
def silence_inside_an_element() -> Scenario:
    s = Scenario("silence_inside_an_element", "Who gives no partial results loses by time.", part=1)
    s.challenge(1, "alice", s.leaf).descend(10, "alice", 0)
    # Nobody can answer in the claimant's place, and an answer must combine to what is in question.
    s.answer(11, "bob", 0, error="NotClaimant").answer(12, "claimant", 0, {0: 1}).narrow(13, "alice", 0, 0)
    s.answer(14, "claimant", 0, {1: 2}, error="PartialsDoNotCombine").timeout(42, "bob", 0, error="NothingToCollect")
    s.timeout(43, "bob", 0)
    return s.ends(43, "invalid", "timeout", alice=300, bob=20)


@scenario
def an_honest_claimant_inside_an_element() -> Scenario:
    s = Scenario(
        "an_honest_claimant_inside_an_element",
        "Right partial results convict nobody; every answer is paid for by who asked for it.",
        false=False,
        part=1,
    )
    s.challenge(1, "alice", s.leaf).descend(2, "alice", 0).settle(3, "alice", 0, None, error="NotOpened")
    s.answer(4, "claimant", 0).settle(5, "alice", 0, None, error="NoMismatch").narrow(6, "alice", 0, 1)
    s.answer(7, "claimant", 0).settle(8, "alice", 0, 35, error="NoMismatch").prove(9, "alice", 0, error="NoMismatch")
    s.timeout(45, "bob", 0, error="NothingToCollect").timeout(46, "bob", 0).release(106, "bob")
    return s.ends(106, "final", free=0, claimant=20, alice=-500, bob=20)


@scenario
def refused_inside_an_element() -> Scenario:
    s = Scenario(
        "refused_inside_an_element",
        "What can't be said inside an element, or on the way into it.",
        policy=TracePolicy.ON_DISPUTE,
        part=1,
    )
    s.challenge(1, "alice").descend(2, "alice", 0, error="NoTraceRoot").set_root(3, "claimant")
    s.descend(4, "alice", 0, error="PlaceNotReached").commit(5, "alice", 0, s.leaf)
    s.descend(6, "bob", 0, error="NotChallenger").descend(7, "alice", 0, error="WrongNode", node=_hex(SALT))
    s.commit(8, "alice", 0, s.entry).descend(9, "alice", 0, error="RuleNotApplicable", place=s.entry)
    s.commit(10, "alice", 0, s.leaf).descend(11, "alice", 0)
    s.descend(12, "alice", 0, error="InsideElement").narrow(13, "alice", 0, 0, error="NotOpened")
    s.settle(14, "alice", 0, None, error="NotOpened").reveal(15, "claimant", 0, children=[_hex(NO_ROOT)] * 2)
    zeros = bytes(8)
    s.answer(16, "claimant", 0, error="PartialCount", results=zeros).answer(
        17, "claimant", 0, error="PartialCount", results=b""
    )
    nowhere = Question(s.leaf, LIE_IN, Monoid.SUM, PARTS, 1, 2)
    s.say(18, "claimant", "partials", "PartialCount", trace_root=s.root, question=asdict(nowhere), results=b"")
    s.answer(19, "claimant", 0, {0: 1})
    # Another answer to the same question is passed over.
    s.answer(20, "claimant", 0, {1: 1}).narrow(21, "bob", 0, 0, error="NotChallenger")
    s.narrow(22, "alice", 0, 0, error="NotThisQuestion", question=asdict(nowhere))
    s.narrow(23, "alice", 0, 0, error="NotTheseResults", results=zeros * 2).narrow(
        24, "alice", 0, 2, error="NoSuchChild"
    )
    s.settle(25, "alice", 0, 0, error="WrongLevel").select(26, "alice", 0, error="CannotSelect", position=s.leaf * 2)
    s.narrow(27, "alice", 0, 0).answer(28, "claimant", 0, {5: 1}).narrow(29, "alice", 0, 5, error="WrongLevel")
    s.settle(30, "alice", 0, None, error="WrongLevel").settle(31, "alice", 0, 64, error="NoSuchChild")
    s.settle(32, "bob", 0, 5, error="NotChallenger").settle(33, "alice", 0, 4, error="NoMismatch", differs=False)
    s.settle(34, "alice", 0, 5)
    s.answer(35, "claimant", 0, {5: 1}).narrow(36, "alice", 0, 5, error="GameOver")
    return s.ends(36, "invalid", "part", alice=300)


@scenario
def an_op_of_one_part() -> Scenario:
    s = Scenario("an_op_of_one_part", "What can be proven whole is not descended into.")
    s.challenge(1, "alice", s.leaf).descend(2, "alice", 0, error="NotDivided").prove(3, "alice", 0)
    return s.ends(3, "invalid", "step", alice=300)


@scenario
def one_answer_for_all_games() -> Scenario:
    s = Scenario(
        "one_answer_for_all_games",
        "An answer opens its question for every game on it, also for those that come later.",
        false=False,
        part=1,
    )
    s.challenge(1, "alice", s.leaf).challenge(2, "bob", s.leaf).descend(3, "alice", 0).answer(4, "claimant", 0)
    s.descend(10, "bob", 1).narrow(11, "alice", 0, 1).narrow(12, "bob", 1, 1).answer(13, "claimant", 1)
    s.timeout(46, "carol", 0, 1, error="NothingToCollect").timeout(53, "carol", 0, 1)
    return s.ends(53, "posted", claimant=4 * 10, alice=-500, bob=-500, carol=2 * 20)


@scenario
def the_earliest_challenge_is_rewarded() -> Scenario:
    s = Scenario(
        "the_earliest_challenge_is_rewarded",
        "Whoever follows another one's path to a place, or commits to it after him, proves for him.",
    )
    s.challenge(1, "alice").challenge(2, "bob").reveal(3, "claimant", 0).select(4, "alice", 0, 6).commit(
        5, "bob", 1, s.leaf
    )
    s.prove(6, "bob", 1).reclaim(7, "bob", 0)
    return s.ends(7, "invalid", "step", alice=300, bob=0)


@scenario
def a_game_that_left_or_ended_keeps_no_reward() -> Scenario:
    s = Scenario(
        "a_game_that_left_or_ended_keeps_no_reward",
        "An earlier game that was lost on the place stands in nobody's way.",
    )
    s.challenge(1, "carol").reveal(2, "claimant", 0).select(3, "carol", 0, 6).reveal_leaf(4, "claimant", 0)
    s.challenge(40, "alice").select(41, "alice", 1, 6).timeout(44, "bob", 0).prove(45, "alice", 1)
    return s.ends(45, "invalid", "step", claimant=20, alice=300, bob=20, carol=-500)


@scenario
def a_later_path_takes_nothing() -> Scenario:
    s = Scenario("a_later_path_takes_nothing", "A copied path comes after the challenge that it was copied from.")
    s.challenge(1, "alice", s.leaf).challenge(2, "bob").reveal(3, "claimant", 0).select(4, "bob", 1, 6).prove(
        5, "alice", 0
    )
    return s.ends(5, "invalid", "step", alice=300, bob=-500)


@scenario
def helpers_are_paid() -> Scenario:
    s = Scenario(
        "helpers_are_paid",
        "A lost challenge pays whoever opened its nodes, and for the trace root whoever gave it.",
        false=False,
        policy=TracePolicy.ON_DISPUTE,
    )
    s.challenge(1, "alice").set_root(2, "claimant").reveal(3, "bob", 0).select(4, "alice", 0).reveal(5, "claimant", 0)
    s.select(6, "alice", 0).reveal(7, "carol", 0).select(8, "alice", 0).reveal_leaf(9, "bob", 0).timeout(48, "bob", 0)
    return s.ends(48, "posted", claimant=10 + 10, alice=-500, bob=10 + 10 + 20, carol=10)


@scenario
def a_claim_stops_the_clock_once() -> Scenario:
    s = Scenario(
        "a_claim_stops_the_clock_once",
        "The first challenge stops the clock of the challenge period for the spacing, further ones do not.",
        false=False,
    )
    s.challenge(90, "alice").challenge(91, "bob").reveal(92, "claimant", 0).challenge(105, "bob")
    s.challenge(106, "carol", error="WindowOver").timeout(140, "carol", 0, 1)
    s.release(141, "claimant", error="NotFinal").timeout(146, "carol", 2).release(147, "claimant")
    return s.ends(147, "final", free=0, claimant=3 * 10, alice=-500, bob=-1000, carol=3 * 20)


@scenario
def two_kinds_of_money() -> Scenario:
    s = Scenario(
        "two_kinds_of_money",
        "Money for claims leaves after a wait; money for challenges at once, and it becomes no claim's bond by itself.",
    )
    s.money(1, "claimant", "announce_withdrawal", 1500).money(
        2, "claimant", "complete_withdrawal", error="WithdrawalNotDue"
    )
    s.money(60, "claimant", "complete_withdrawal", error="WithdrawalNotDue")
    # Only what is still free: 1,000 of 2,000 wei are the claim's bond.
    s.money(61, "claimant", "complete_withdrawal").money(
        62, "claimant", "complete_withdrawal", error="WithdrawalNotDue"
    )
    s.money(63, "alice", "withdraw", 2001, "InsufficientEarnings").money(64, "alice", "withdraw", 1600)
    s.challenge(65, "alice", error="InsufficientEarnings").challenge(66, "alice", s.leaf, value=100)
    s.money(67, "bob", "redeposit", 2001, "InsufficientEarnings").money(68, "bob", "redeposit", 700)
    s.money(69, "bob", "deposit", 5).money(70, "bob", "fund", 7)
    s.money(71, "bob", "announce_withdrawal", 100).money(72, "bob", "announce_withdrawal", 30)
    s.money(131, "bob", "complete_withdrawal", error="WithdrawalNotDue").money(132, "bob", "complete_withdrawal")
    s.money(133, "bob", "announce_withdrawal", 1).money(134, "bob", "announce_withdrawal", 0)
    s.money(200, "bob", "complete_withdrawal", error="WithdrawalNotDue")
    s.ends(200, "challenged", free=-2000, alice=-2000, bob=7 - 700)
    s.end["balance"]["bob"] += 700 + 5 - 30
    return s


@scenario
def nobody_comes_in_front_of_a_pending_proof() -> Scenario:
    s = Scenario(
        "nobody_comes_in_front_of_a_pending_proof",
        "Coming to a place counts from the next block on, as a commitment does.",
    )
    s.challenge(1, "carol").challenge(2, "alice", s.leaf).reveal(3, "claimant", 0)
    first = len(s.moves)
    s.select(4, "carol", 0, 6).prove(4, "carol", 0, error="PlaceNotReached").together(4, "carol", first)
    first = len(s.moves)
    s.commit(5, "alice", 1, s.leaf).prove(5, "alice", 1, error="PlaceNotReached").together(5, "alice", first)
    # Carol was faster with the challenge itself, before anybody could have known whether the claim is false.
    s.prove(6, "alice", 1).reclaim(7, "alice", 0)
    return s.ends(7, "invalid", "step", carol=300)


@scenario
def many_moves_in_one_transaction() -> Scenario:
    s = Scenario(
        "many_moves_in_one_transaction",
        "In a multicall every move stands or fails alone: a stale one spoils no other.",
        part=1,
    )
    s.challenge(1, "alice", s.leaf).challenge(2, "alice").reveal(3, "claimant", 1)
    first = len(s.moves)
    s.select(4, "alice", 1, 4).select(4, "alice", 1, 2, error="NotOpened").descend(4, "alice", 0)
    s.narrow(4, "alice", 0, 0, error="NotOpened").prove(4, "alice", 1, error="PlaceNotReached").together(
        4, "alice", first
    )
    first = len(s.moves)
    s.answer(5, "claimant", 0, {0: 1}).reveal(5, "claimant", 1, children=[_hex(NO_ROOT)] * 3, error="ChildCount")
    s.reveal(5, "claimant", 1).timeout(5, "claimant", 0, error="NothingToCollect").together(5, "claimant", first)
    s.narrow(6, "alice", 0, 0).select(7, "alice", 1).timeout(47, "bob", 0)
    return s.ends(47, "invalid", "timeout", alice=300 - 500, bob=20)


def render(build: Callable[[], Scenario]) -> tuple[str, str]:
    """(file name, JSON text) of a scenario."""
    s = build()
    document: Mapping[str, Any] = {
        "name": s.name,
        "says": s.says,
        "parameters": asdict(TERMS),
        "funds": FUNDS,
        "claim": {**s.claim(), "trace_root": _hex(s.trace.root if s.policy is TracePolicy.WITH_CLAIM else NO_ROOT)},
        "moves": s.moves,
        "end": s.end,
    }
    return f"{s.name}.json", json.dumps(document, indent=1) + "\n"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for build in SCENARIOS:
        name, text = render(build)
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
