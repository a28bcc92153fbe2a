"""What the game and the ledger add to a proof on OneStepProver: whole transactions of disputes that others made as dear as they can,
less what they carry and what the prover executes.

``python -m tests.contracts.around`` prints all scenes and writes the dearest of each function into around.json.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from itertools import product
from pathlib import Path

import numpy as np

from challenger.defender import Behaviour
from challenger.play.reductions import Reductions
from rollup.audit.prices import PRAGUE, TRANSACTION
from rollup.claim import Claim
from rollup.form.encoding import TensorType, TracePolicy
from rollup.form.ops import ARGUMENTS, FAN_OUT, Access, Monoid, Op, Term, Value
from rollup.form.program import Program
from rollup.game.moves import Rule
from rollup.game.question import Partial, Question, combine, encode_results
from rollup.l1 import calls
from rollup.l1.answers import Receipt
from rollup.l1.client import L1Client
from rollup.l1.events import CallFailed, Challenged, Convicted, Descended
from rollup.l1.node.floor import floor_gas
from rollup.machine.witness import outline_witness
from rollup.merkle import branch
from rollup.types import DType, Gindex
from tests.contracts.probes import Meter, question
from tests.e2e.network import Claimed, NetworkWorld
from tests.e2e.toy_program import Published, values_of
from tests.lockstep.evm import Execution
from tests.world import terms

INPUT = TensorType(DType.I16, 0, (FAN_OUT,))
SNAPSHOT = Path(__file__).with_name("around.json")
LONG = TensorType(DType.I8, 0, (16 << 10,))
COPIED, SUMMED, ARGUMENT = 1, 2, 3
"""Values of the program: a copy of its input, and two reductions in as many parts as an answer has results."""
SALT = b"\x77" * 32
FORGED = FAN_OUT - 1
"""The part that a liar lies about; the last one, so that everything before it is looked at."""


def program(policy: TracePolicy) -> Program:
    """Whose witnesses are short."""
    copied = Access(Value(0), DType.I16, INPUT.shape, (0,), (Term(0, 0, 1),))
    reduced = Access(Value(0), DType.I16, INPUT.shape, (0,), (Term(0, 1, 1),))
    ops = [Op(COPIED, 1, 1, Monoid.NONE, DType.I16, 1, INPUT.shape, (), (copied,), ())]
    ops += [
        Op(value, 1, 1, monoid, DType.I64, 1, (1,), INPUT.shape, (reduced,), (), 1)
        for value, monoid in ((SUMMED, Monoid.SUM), (ARGUMENT, Monoid.ARGMAX))
    ]
    outputs = [(op.first, TensorType(op.dtype, 0, op.shape)) for op in ops]
    return Program.build([INPUT], outputs, ops, {}, policy)


def long_program(policy: TracePolicy) -> Program:
    """A sum over 16 leaves at once. They are zero: else a transaction would cost the floor of its calldata, whatever it executes."""
    summed = Access(Value(0), DType.I8, LONG.shape, (0,), (Term(0, 1, 1),))
    op = Op(1, 1, 1, Monoid.SUM, DType.I64, 1, (1,), LONG.shape, (summed,), ())
    return Program.build([LONG], [(1, TensorType(op.dtype, 0, op.shape))], [op], {}, policy)


class Way(Enum):
    """How the challenger came to the place."""

    COMMITTED = "by a commitment from the root"
    BELOW = "by a commitment from a node below the root"
    STANDS = "by selections"


@dataclass(frozen=True)
class Scene:
    """A dispute about one element of a false claim. ``opened``: the nodes on the way were opened, each by an account that L1 did not
    know; ``other``: an earlier challenger stands on the place and is noted there, and so gets the reward.
    """

    policy: TracePolicy
    way: Way
    opened: bool
    other: bool

    def __str__(self) -> str:
        said = f"{self.policy.name.lower()}, {self.way.value}"
        return said + ", opened" * self.opened + ", another stands there" * self.other

    @classmethod
    def all(cls) -> Iterator[Scene]:
        for policy, way, opened, other in product(TracePolicy, Way, (False, True), (False, True)):
            if opened or (way is Way.COMMITTED and not other):
                yield cls(policy, way, opened, other)


class Played:
    """The scene with the challenger at the place, about to prove or to go inside. ``value``: in whose first element the lie is;
    ``part``: whether a partial result is false, too, so that the element follows from what is said.
    """

    def __init__(self, scene: Scene, program: Program, value: int, part: bool = False) -> None:
        self.scene, self.value, self.program = scene, value, program
        (given,) = program.header.inputs
        inputs = [np.zeros(given.shape, given.dtype.numpy)]
        if given == INPUT:
            inputs = [np.random.default_rng(0).integers(-30_000, 30_000, given.shape).astype(np.int16)]
        self.values = [np.array(array) for array in values_of(program, inputs)]
        self.op = program.ops[value - 1]
        self.leaf = value << program.header.tensor_depth
        self.place = Gindex((1 << program.depth) | self.leaf)
        self.results = self._results(part) if self.op.part else []
        if part:
            self.values[value][0] = self._accumulator()
        else:
            self.values[value][0] += 1
        self.trace = Published(self.program, self.values)
        self.network = NetworkWorld(self.program, terms(arity=1))
        self.claimed: Claimed = self.network.claim("liar", inputs, self.trace, self.values[1:], Behaviour.SILENT)
        self.alice = self.network.client("alice")
        self.game = self._begin()

    def _results(self, part: bool) -> list[Partial]:
        right = list(Reductions(self.program, self.values).of(self.place, 0).partials(0, 0))
        if part:
            right[FORGED] = Partial(40_000, right[FORGED].position)
        return right

    def _accumulator(self) -> int:
        """What the claimant says that the element's domain reduces to."""
        said = combine(self.op.monoid, self.results)
        return said.position if self.op.monoid in ARGUMENTS else said.value

    @property
    def claim(self) -> Claim:
        return self.claimed.posted.claim

    @cached_property
    def execution(self) -> Execution:
        return Execution(self.program, self.values)

    def _open(self, number: int, node: Gindex) -> None:
        self.network.client(f"stranger {number}").reveal([[self.trace.node(Gindex(2 * node + j)) for j in range(2)]])

    def _down(self, client: L1Client, game: Challenged, node: Gindex) -> None:
        client.select(client.game(game).at, node, self.trace.node(node), list(branch(self.trace, node))[:1])

    def _begin(self) -> Challenged:
        scene, bond = self.scene, self.network.parameters.challenge_bond
        eve, inclusion = self.network.client("eve"), self.claimed.inclusion
        if scene.other:
            first = eve.challenge(self.claim, inclusion, value=bond).one(Challenged)
        game = self.alice.challenge(self.claim, inclusion, value=bond).one(Challenged)
        if scene.policy is TracePolicy.ON_DISPUTE:
            self.claimed.client.set_trace_root(self.claimed.claim_id, self.trace.root)
        path = [Gindex(self.place >> depth) for depth in range(self.program.depth, -1, -1)]
        if scene.opened:
            for number, node in enumerate(path[:-1]):
                self._open(number, node)
            if scene.way is Way.STANDS:
                self.network.client("stranger").reveal_leaf([self.trace.leaf_bytes(self.leaf)])
        if scene.other:
            for node in path[1:]:
                self._down(eve, first, node)
        for node in path[1 : {Way.COMMITTED: 1, Way.BELOW: 2, Way.STANDS: len(path)}[scene.way]]:
            self._down(self.alice, game, node)
        if scene.way is not Way.STANDS:
            named = self.alice.commitment(self.claimed.claim_id, self.trace.root, self.place, SALT)
            self.alice.commit(self.alice.game(game).at, named)
        self.network.chain.mine()
        return game

    def prove(self, meter: Meter) -> int:
        """What ``prove`` adds."""
        _, witness = self.execution.witness(self.value, 0)
        at = self.alice.game(self.game).at
        call = calls.prove(at, self.claim, self.place, SALT, Rule.STEP, witness)
        return self._made(call).gas - _carried(call) - meter.call(question(self.execution, "step", self.value, 0))[1]

    def descend(self, meter: Meter) -> int:
        """What ``descend`` adds; the claimant answers."""
        shown = outline_witness(self.program, self.leaf)
        at = self.alice.game(self.game).at
        call = calls.descend(at, self.claim, self.place, SALT, 0, shown)
        receipt = self._made(call)
        self.question: Question = receipt.one(Descended).question
        self.claimed.client.partials(self.claimed.claim_id, self.trace.root, self.question, self.results)
        return receipt.gas - _carried(call) - meter.call(question(self.execution, "descend", self.value, 0))[1]

    def settle(self, meter: Meter, child: int | None) -> int:
        """What ``settle`` adds."""
        acc = self._accumulator()
        if child is None:
            *_, witness = self.execution.epilogue(self.value, 0, acc)
            asked = question(self.execution, "epilogue", self.value, 0, acc=acc)
        else:
            *_, witness = self.execution.part(self.value, 0, child)
            asked = question(self.execution, "part", self.value, 0, child)
        given = encode_results(self.question.monoid, self.results)
        at = self.alice.game(self.game).at
        call = calls.settle(at, self.claim, self.question, given, child, witness)
        return self._made(call).gas - _carried(call) - meter.call(asked)[1]

    def _made(self, call: calls.Call) -> Receipt:
        receipt = self.alice.multicall([call], 3_000_000)
        assert not [event for event in receipt.events if isinstance(event, CallFailed)]
        assert receipt.gas > floor_gas(_data(call)), "what it executes is not to be seen"
        rewarded = self.network.client("eve") if self.scene.other else self.alice
        if any(isinstance(event, Convicted) for event in receipt.events):
            assert rewarded.earnings(rewarded.account) >= self.network.parameters.reward
        return receipt


def _data(call: calls.Call) -> bytes:
    """What a transaction carries that makes the call in a multicall."""
    return calls.Call(calls.GAME, "multicall", ([call.data],)).data


def _carried(call: calls.Call) -> int:
    """Gas of that transaction without what it executes."""
    zeros = _data(call).count(0)
    return TRANSACTION + PRAGUE.byte * (len(_data(call)) - zeros) + PRAGUE.byte // 4 * zeros


DEAREST = Scene(TracePolicy.ON_DISPUTE, Way.COMMITTED, opened=True, other=True)
"""The dearest scene of a proof, as ``test_prices`` asserts."""


def measure() -> dict[str, dict[str, int]]:
    """By function and scene, what the function adds, if there are few bytes to hand on."""
    meter = Meter()
    found: dict[str, dict[str, int]] = {"prove": {}, "descend": {}, "settle": {}}
    for scene in Scene.all():
        own = program(scene.policy)
        found["prove"][str(scene)] = Played(scene, own, COPIED).prove(meter)
        for value, part in ((SUMMED, True), (ARGUMENT, False)):
            played = Played(scene, own, value, part)
            what = f"{scene}: {'a part of a sum' if part else 'the code of an argument'}"
            found["descend"][what] = played.descend(meter)
            found["settle"][what] = played.settle(meter, FORGED if part else None)
    return found


def long_witness() -> tuple[int, int]:
    """What ``prove`` adds if there is much to hand on, and how many bytes that are."""
    played = Played(DEAREST, long_program(DEAREST.policy), 1)
    return played.prove(Meter()), len(played.execution.witness(1, 0)[1])


def dearest(measured: dict[str, dict[str, int]], long: tuple[int, int]) -> dict[str, float]:
    """By function the most that it adds, and what it adds for each byte that it hands on."""
    most = {function: max(scenes.values()) for function, scenes in measured.items()}
    gas, handed = long
    return {**most, "byte": round((gas - most["prove"]) / handed, 2)}


def main() -> None:
    measured, long = measure(), long_witness()
    for function, scenes in measured.items():
        for scene, gas in sorted(scenes.items(), key=lambda pair: pair[1]):
            print(f"{function:<8} {gas:>8,}  {scene}")
    print(f"prove    {long[0]:>8,}  handing on {long[1]:,} bytes")
    SNAPSHOT.write_text(json.dumps(dearest(measured, long), indent=1) + "\n")


if __name__ == "__main__":
    main()
