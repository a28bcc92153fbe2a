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

from challenger.strategy import Accusation, Layout
from challenger.trace import ValueTrace
from challenger.witnesses import witness
from rollup.claim import NO_ROOT, input_root, join, output_root, output_types, tensor_roots
from rollup.encoding import TracePolicy
from rollup.game.moves import Rule
from rollup.game.position import ROOT, descendant, leaf_gindex
from rollup.merkle import branch, depth_of
from rollup.settings import Parameters
from rollup.types import Duration, Gindex, Root
from tests.e2e.toy_program import Published, outputs_of, toy_inputs, toy_program, values_of, with_lie

FOLDER = Path(__file__).parent / "game"
TERMS = Parameters(Duration(100), Duration(40), Duration(1), Duration(50), 2, 1000, 500, 300, 10, 20)
FUNDS = 2000
PEOPLE = ("claimant", "alice", "bob", "carol")
SALT = bytes(range(32))

INPUTS = toy_inputs(7)
RIGHT = values_of(toy_program(), INPUTS)
LIE_AT = 4
LIED = with_lie(toy_program(), RIGHT, LIE_AT, 1, consistent=True)


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
    moves: list[dict[str, Any]] = field(default_factory=list)
    end: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.program = toy_program(self.policy)
        self.trace = Published(self.program, LIED if self.false else RIGHT)
        self.own = ValueTrace(self.program, RIGHT)
        self.depth = self.program.depth
        self.root = self.trace.root if self.policy is TracePolicy.WITH_CLAIM else NO_ROOT
        self.at_node: list[Gindex] = []
        header = self.program.header
        self.inputs = join(INPUTS, header.inputs)
        self.outputs = join(outputs_of(self.program, LIED if self.false else RIGHT), output_types(header))
        self.leaf = leaf_gindex(LIE_AT << header.tensor_depth, self.depth)
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
        position = self.at_node[game]
        node = self.root if position == ROOT else self.trace.node(position)
        return {"game": game, "trace_root": self.root, "node": node}

    def challenge(self, at: int, by: str, place: Gindex | None = None, error: str | None = None) -> Scenario:
        """``place``: what the challenge commits to."""
        committed = {} if place is None else {"place": place, "salt": SALT}
        if error is None:
            self.at_node.append(ROOT)
        return self.say(at, by, "challenge", error, **committed)

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
        data = self.trace.leaf_bytes(LIE_AT << self.program.header.tensor_depth)
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
        layout = Layout.of(self.program, roots)
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

    def timeout(self, at: int, by: str, *games: int, error: str | None = None) -> Scenario:
        return self.say(at, by, "timeout", error, games=list(games))

    def reclaim(self, at: int, by: str, *games: int, error: str | None = None) -> Scenario:
        return self.say(at, by, "reclaim", error, games=list(games))

    def release(self, at: int, by: str, error: str | None = None) -> Scenario:
        return self.say(at, by, "release", error)

    def ends(self, at: int, status: str, rule: str | None = None, **gained: int) -> Scenario:
        """``gained``: what each one's free balance exceeds its deposit by, open bonds counted as lost."""
        free = {who: FUNDS + gained.get(who, 0) for who in PEOPLE}
        self.end = {"at": at, "status": status, "rule": rule, "balance": free}
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
    return s.ends(2, "invalid", "step", claimant=-1000, alice=300)


@scenario
def interactive_proof() -> Scenario:
    s = Scenario(
        "interactive_proof", "Down to the leaf by reveals, against a defender that shows no more than it must."
    )
    s.challenge(1, "alice")
    for at in (2, 4, 6):
        s.reveal(at, "claimant", 0).select(at + 1, "alice", 0)
    s.reveal_leaf(8, "claimant", 0).prove(9, "alice", 0)
    return s.ends(9, "invalid", "step", claimant=-1000, alice=300)


@scenario
def deeper_than_revealed() -> Scenario:
    s = Scenario("deeper_than_revealed", "One selection passes every level whose preimages the challenger knows.")
    s.challenge(1, "alice").reveal(2, "bob", 0).select(3, "alice", 0, 6).prove(4, "alice", 0)
    return s.ends(4, "invalid", "step", claimant=-1000, alice=300)


@scenario
def silent_defender() -> Scenario:
    s = Scenario("silent_defender", "The defender's last second is in time; one second later its silence convicts.")
    s.challenge(10, "alice").timeout(50, "bob", 0, error="NothingToCollect").timeout(51, "bob", 0)
    return s.ends(51, "invalid", "timeout", claimant=-1000, alice=300, bob=20)


@scenario
def silent_challenger() -> Scenario:
    s = Scenario("silent_challenger", "A challenger that stops loses its own bond and nothing else ends.", false=False)
    s.challenge(10, "alice").reveal(20, "claimant", 0).timeout(60, "bob", 0, error="NothingToCollect")
    s.timeout(61, "bob", 0).release(100, "bob", error="NotFinal").release(101, "bob")
    s.release(102, "bob", error="AlreadyReleased")
    return s.ends(102, "final", claimant=10, alice=-500, bob=20)


@scenario
def last_second_of_the_window() -> Scenario:
    s = Scenario("last_second_of_the_window", "A challenge, a reveal and a selection in their last second are in time.")
    s.challenge(100, "alice").challenge(101, "bob", error="WindowOver")
    s.reveal(140, "claimant", 0).select(180, "alice", 0).timeout(181, "bob", 0)
    return s.ends(181, "invalid", "timeout", claimant=-1000, alice=300, bob=20)


@scenario
def opened_too_late() -> Scenario:
    s = Scenario("opened_too_late", "A node that is opened after the defender's deadline does not save that game.")
    s.challenge(1, "alice").challenge(30, "bob").reveal(42, "claimant", 0)
    s.select(43, "alice", 0, error="ClockExpired").select(44, "bob", 1).timeout(45, "carol", 1, 0)
    return s.ends(45, "invalid", "timeout", claimant=-1000, alice=300, bob=-500, carol=20)


@scenario
def expired_challenger_cannot_move() -> Scenario:
    s = Scenario("expired_challenger_cannot_move", "An expired side can't move, whether collected or not.")
    s.challenge(1, "alice", None).reveal(2, "claimant", 0)
    s.select(43, "alice", 0, error="ClockExpired").prove(44, "alice", 0, error="ClockExpired")
    s.commit(45, "alice", 0, s.leaf, error="ClockExpired").timeout(46, "claimant", 0)
    s.select(47, "alice", 0, error="GameOver").challenge(48, "alice", s.leaf).prove(49, "alice", 1)
    return s.ends(49, "invalid", "step", claimant=-1000 + 30, alice=-500 + 300)


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
    return s.ends(10, "invalid", "step", claimant=-1000, alice=300)


@scenario
def trace_root_never_given() -> Scenario:
    s = Scenario(
        "trace_root_never_given",
        "A claimant that never gives its trace root loses by time.",
        policy=TracePolicy.ON_DISPUTE,
    )
    s.challenge(2, "alice").timeout(42, "alice", 0, error="NothingToCollect").timeout(43, "alice", 0)
    s.set_root(44, "claimant", error="AlreadyConvicted")
    return s.ends(44, "invalid", "timeout", claimant=-1000, alice=320)


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
    return s.ends(63, "challenged", claimant=-1000 + 20, alice=-1000, carol=20)


@scenario
def refused_selections() -> Scenario:
    s = Scenario(
        "refused_selections",
        "A selection leads from the game's opened node to a descendant, by a path that hashes to it.",
    )
    beside = Gindex(s.leaf ^ 1)
    s.challenge(1, "alice").select(2, "alice", 0, error="NotOpened").reveal(3, "claimant", 0)
    s.select(4, "bob", 0, error="NotChallenger")
    s.select(5, "alice", 0, error="CannotSelect", position=1, child=s.root, siblings=[])
    s.select(6, "alice", 0, error="CannotSelect", position=s.leaf * 2, siblings=[_hex(NO_ROOT)] * 7)
    s.select(7, "alice", 0, error="HashMismatch", position=beside)
    s.select(8, "alice", 0, error="SiblingCount", siblings=[_hex(NO_ROOT)] * 5).select(9, "alice", 0)
    s.reveal(10, "claimant", 0).select(11, "alice", 0, error="NotBelow", position=2)
    return s.ends(11, "challenged", claimant=-1000, alice=-500)


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
    return s.ends(13, "invalid", "step", claimant=-1000, alice=300)


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
    s.timeout(46, "claimant", 0, error="NothingToCollect").timeout(47, "claimant", 0).release(101, "claimant")
    return s.ends(101, "final", claimant=4 * 10 + 20, alice=-500)


@scenario
def one_conviction_ends_every_game() -> Scenario:
    s = Scenario("one_conviction_ends_every_game", "The other games end, their bonds are freed whole, once.")
    s.challenge(1, "alice").challenge(2, "bob", s.leaf).challenge(3, "carol").reclaim(
        4, "alice", 0, error="NothingToReclaim"
    )
    s.prove(5, "bob", 1).select(6, "alice", 0, error="GameOver").challenge(7, "alice", error="AlreadyConvicted")
    s.reveal(8, "claimant", 0).timeout(60, "carol", 0, error="NothingToCollect").reclaim(61, "bob", 0, 1, 2)
    s.reclaim(62, "alice", 0, error="NothingToReclaim").prove(63, "bob", 1, error="GameOver")
    return s.ends(63, "invalid", "step", claimant=-1000, bob=300)


@scenario
def sybils_share_openings() -> Scenario:
    s = Scenario(
        "sybils_share_openings", "A node is opened once for all games; each game's clock is its own.", false=False
    )
    s.challenge(1, "alice").challenge(2, "bob").challenge(3, "bob").reveal(10, "claimant", 1)
    s.challenge(12, "carol").select(13, "bob", 2).select(14, "carol", 3)
    s.reveal(20, "claimant", 3).timeout(50, "claimant", 0, 1, error="NothingToCollect")
    s.timeout(52, "claimant", 0, 1, 2, 3).timeout(59, "claimant", 2, 3)
    return s.ends(59, "posted", claimant=-1000 + 10 + 10 + 20 + 20 + 4 * 20, alice=-500, bob=-1000, carol=-500)


@scenario
def losing_to_oneself_protects_nothing() -> Scenario:
    s = Scenario("losing_to_oneself_protects_nothing", "A liar that loses a game against itself gains nothing by it.")
    s.challenge(1, "claimant").reveal(2, "claimant", 0).timeout(43, "claimant", 0)
    s.release(44, "claimant", error="NotFinal").challenge(45, "alice", s.leaf).prove(46, "alice", 0, error="GameOver")
    s.prove(47, "alice", 1)
    return s.ends(47, "invalid", "step", claimant=-1000 - 500 + 10 + 20, alice=300)


@scenario
def bonds_need_money() -> Scenario:
    s = Scenario("bonds_need_money", "A game needs a free bond.")
    for at in range(4):
        s.challenge(at + 1, "alice")
    s.challenge(5, "alice", error="InsufficientBalance")
    return s.ends(5, "challenged", claimant=-1000, alice=-2000)


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
