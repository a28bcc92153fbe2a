"""Fraud anywhere in the demo's model: `python -m tests.e2e.fraud_anywhere` prints the table.

For every op, an input and the output: a claim with one flipped element, and the rule that convicted it; for every op an honest claim
that is attacked there.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from challenger.defender import Behaviour
from challenger.play.trace import ValueTrace
from prover import Model
from rollup.errors import Reverted
from rollup.game.moves import Rule
from rollup.l1.answers import ClaimStatus
from rollup.l1.events import Challenged, Convicted
from rollup.machine.witness import step_witness
from rollup.settings import Parameters
from rollup.types import Duration, Gindex
from touchstone.demo.demo import lowered
from touchstone.demo.digits import digits
from touchstone.demo.network import Network, Story
from touchstone.lying.tail import resumed

Values = list[np.ndarray]


@dataclass(frozen=True)
class Row:
    """One claim: where it was flipped (or, honest, attacked), how it ended, by which rule, at which trace index, gas of the proof."""

    where: str
    expected: str
    status: str
    rule: str
    trace_index: int | None
    proof_gas: int

    def __str__(self) -> str:
        return f"{self.where:60} {self.status:8} {self.rule:8} {self.proof_gas:>9,}"


def flipped(values: Values, value: int, rng: np.random.Generator) -> np.ndarray:
    """A value with one element changed by one bit."""
    wrong = values[value].copy()
    wrong.reshape(-1)[int(rng.integers(wrong.size))] ^= 1 << int(rng.integers(wrong.dtype.itemsize * 8 - 1))
    return wrong


def attack(network: Network, story: Story, values: Values, value: int) -> bool:
    """Challenge an honest claim at an op with the true step as the only proof there is; whether the contract refused it."""
    program, client = network.program, network.client(f"attacker {story.number}")
    network.fund(client, network.parameters.challenge_bond)
    leaf = value << program.header.tensor_depth
    place = Gindex((1 << program.depth) | leaf)
    trace = ValueTrace(program, values)
    inclusion = network.watcher.l1.inclusion(story.claim_id)
    named = client.commitment(story.claim_id, story.claim.trace_root, place, bytes(32))
    game = client.challenge(story.claim, inclusion, named).one(Challenged)
    network.chain.mine()
    witness = step_witness(program, values, trace, leaf, trace.leaf_bytes(leaf), 0)
    try:
        client.prove(client.game(game).at, story.claim, place, bytes(32), Rule.STEP, witness)
    except Reverted as error:
        return error.name == "NoMismatch"
    return False


def convict(network: Network, story: Story, where: str, expected: Rule) -> Row:
    """The row of a false claim after the play."""
    for receipt in network.watcher.costs.of(story.claim_id):
        for event in receipt.events:
            if isinstance(event, Convicted):
                status = network.status(story).name
                return Row(where, expected.name, status, event.rule.name, event.trace_index, receipt.gas)
    return Row(where, expected.name, network.status(story).name, "", None, 0)


def campaign(model: Model, image: np.ndarray, behaviour: Behaviour, seed: int = 0) -> tuple[list[Row], list[bool]]:
    """Every lie in one batch, then play; (rows, whether each attack on an honest claim was refused and cost its bond)."""
    rng = np.random.default_rng(seed)
    program, executor = model.program, model.executor
    network = Network(program, Parameters(window=Duration(6000), clock=Duration(3000)))
    network.fund(network.watcher_client, 40 * network.parameters.challenge_bond)
    inputs = model.quantize(image)
    right: Values = list(executor.values(inputs))

    def outputs(values: Sequence[np.ndarray]) -> Values:
        return [values[value] for value, _ in program.header.outputs]

    lies: list[tuple[Story, str, Rule]] = []
    first = len(program.header.inputs)
    for value in range(first, program.header.values):
        lied = resumed(program, [*right[:value], flipped(right, value, rng)])
        story = network.claim(inputs, ValueTrace(program, lied), outputs(lied), f"op {value}", behaviour)
        lies.append((story, f"op {value}: {program.name(program.locate(value)[0])}", Rule.STEP))
    other = flipped(right, 0, rng)
    lied = list(executor.values([other, *inputs[1:]]))
    lies.append(
        (network.claim(inputs, ValueTrace(program, lied), outputs(lied), "input", behaviour), "input 0", Rule.INPUT)
    )
    said = [flipped(outputs(right), 0, rng), *outputs(right)[1:]]
    lies.append((network.claim(inputs, ValueTrace(program, right), said, "output", behaviour), "output 0", Rule.OUTPUT))
    honest = [
        (network.claim(inputs, ValueTrace(program, right), outputs(right)), value)
        for value in range(first, program.header.values)
    ]
    network.sequencer.flush()
    network.watcher.check()
    refused = [attack(network, story, right, value) for story, value in honest]
    for _ in network.play():
        pass
    rows = [convict(network, *lie) for lie in lies]
    survived = []
    for (story, _), was_refused in zip(honest, refused, strict=True):
        attacker = network.client(f"attacker {story.number}").account
        lost = network.operator.balance(attacker) + network.operator.locked(attacker) == 0
        survived.append(was_refused and lost and network.status(story) is ClaimStatus.FINAL)
    return rows, survived


def main(arguments: Sequence[str]) -> int:
    seed = int(arguments[0]) if arguments else 0
    data = digits()
    model = lowered(data)
    wrong = 0
    for behaviour in (Behaviour.PUBLISHES, Behaviour.WITHHOLDS):
        rows, survived = campaign(model, data.images[seed % len(data.images)], behaviour, seed)
        print(f"the claimant {behaviour.value}")
        for row in rows:
            print(f"  {row}")
        print(
            f"  {sum(survived)} of {len(survived)} honest claims, attacked at every op, became final and cost the attacker its bond"
        )
        wrong += sum(row.rule != row.expected or row.status != "INVALID" for row in rows) + survived.count(False)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
