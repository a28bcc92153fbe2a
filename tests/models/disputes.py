"""Lies about single elements of a real model, and what becomes of them on a chain in this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from challenger.defender import Behaviour
from challenger.play.trace import ValueTrace
from prover import Model
from prover.executor import Executor
from rollup.forest import tensor_roots
from rollup.form.constants import stored_bytes
from rollup.game.moves import Rule
from rollup.l1.answers import ClaimStatus
from rollup.l1.events import Convicted
from rollup.merkle import tensor_root
from rollup.settings import Parameters
from rollup.types import Duration, Root
from touchstone.demo.network import Network, Story

Array = np.ndarray

TERMS = Parameters(window=Duration(6000), clock=Duration(3000))
PROOFS = (Rule.STEP.name, Rule.PART.name, Rule.EPILOGUE.name)
TOGETHER = 8
"""Lies on one chain: the embedded one looks through all of its blocks for every receipt."""


@dataclass
class OneExecution:
    """A machine that runs a program on one input only, once: every lie here is about the same input."""

    executor: Executor
    _known: tuple[bytes, list[Array]] | None = field(default=None, init=False)

    def values(self, inputs: Sequence[Array]) -> list[Array]:
        key = b"".join(array.tobytes() for array in inputs)
        if self._known is None or self._known[0] != key:
            self._known = key, self.executor.values(inputs)
        return list(self._known[1])

    def outputs(self, inputs: Sequence[Array]) -> list[Array]:
        values = self.values(inputs)
        return [values[value].reshape(tensor.shape) for value, tensor in self.executor.program.header.outputs]


class Roots:
    """The tensor roots of an execution, hashed once for all lies about it."""

    def __init__(self, model: Model, values: Sequence[Array]) -> None:
        self.program, self.values = model.program, values
        self.roots = tensor_roots(values, self.program.header.tensor_depth)

    def _root(self, array: Array) -> Root:
        return tensor_root(stored_bytes(array), self.program.header.tensor_depth)

    def changed(self, wrong: dict[int, Array]) -> ValueTrace:
        """The trace with some values replaced."""
        values = [wrong.get(v, array) for v, array in enumerate(self.values)]
        roots = [self._root(wrong[v]) if v in wrong else root for v, root in enumerate(self.roots)]
        return ValueTrace(self.program, values, roots)


@dataclass(frozen=True)
class Conviction:
    """How a lie about trace value ``value`` ended; ``gas``: of all moves of both sides, ``step``: of the proof alone."""

    value: int
    op: str
    invalid: bool
    rule: str
    at: int | None
    step: int
    gas: int
    moves: int

    @property
    def right(self) -> bool:
        """Convicted, by the step that was false, or inside its element: by a part or the code."""
        return self.invalid and self.rule in PROOFS and self.at == self.value


def disputes(
    model: Model,
    inputs: Sequence[Array],
    count: int,
    seed: int = 0,
    behaviour: Behaviour = Behaviour.PUBLISHES,
    values: Sequence[int] | None = None,
) -> list[Conviction]:
    """Flip one element in each of ``count`` random ops, each in a claim of its own, and let a watcher play.

    ``values``: the trace values to lie about, instead of random ones. All that follows is left as it was, but one element of the last
    output: a claim whose output is right is not false while it has committed to no trace.
    """
    rng = np.random.default_rng(seed)
    machine = OneExecution(model.executor)
    roots = Roots(model, machine.values(inputs))
    chosen = list(values) if values is not None else _chosen(model, count, rng)
    found = []
    for at in range(0, len(chosen), TOGETHER):
        found += _played(model, machine, inputs, roots, chosen[at : at + TOGETHER], behaviour, rng)
    return found


def _played(
    model: Model,
    machine: OneExecution,
    inputs: Sequence[Array],
    roots: Roots,
    chosen: Sequence[int],
    behaviour: Behaviour,
    rng: np.random.Generator,
) -> list[Conviction]:
    """Lies about the chosen values on a chain of their own."""
    program, honest = model.program, roots.values
    network = Network(program, TERMS, machine=machine)
    last = max(value for value, _ in program.header.outputs)
    network.fund(network.watcher_client, len(chosen) * network.parameters.challenge_bond)
    stories: list[tuple[int, Story]] = []
    for value in chosen:
        wrong = {v: _flipped(honest[v], rng) for v in {value, last}}
        said = [wrong.get(v, honest[v]).reshape(tensor.shape) for v, tensor in program.header.outputs]
        stories.append((value, network.claim(inputs, roots.changed(wrong), said, f"op {value}", behaviour)))
    network.sequencer.flush()
    for _ in network.play():
        pass
    return [_ended(network, story, value) for value, story in stories]


def _chosen(model: Model, count: int, rng: np.random.Generator) -> list[int]:
    """Trace values of ``count`` ops, all of them if there are fewer, in order."""
    values = [value for value, _, _ in model.program.op_values()]
    picked = rng.choice(len(values), min(count, len(values)), replace=False)
    return [values[at] for at in sorted(picked)]


def _flipped(array: Array, rng: np.random.Generator) -> Array:
    """One element changed in one bit."""
    wrong = np.array(array, order="C")
    wrong.reshape(-1)[int(rng.integers(wrong.size))] ^= 1 << int(rng.integers(wrong.dtype.itemsize * 8 - 1))
    return wrong


def _ended(network: Network, story: Story, value: int) -> Conviction:
    watcher = network.watcher.costs.of(story.claim_id)
    defender = [receipt for receipt in story.defender.costs.of(story.claim_id) if receipt.call != "release"]
    invalid = network.status(story) is ClaimStatus.INVALID
    rule, at, step = "", None, 0
    for receipt in watcher:
        for event in receipt.events:
            if isinstance(event, Convicted):
                rule, at, step = event.rule.name, event.trace_index, receipt.gas
    name = network.program.name(network.program.locate(value)[0])
    moves = [*watcher, *defender]
    return Conviction(value, name, invalid, rule, at, step, sum(receipt.gas for receipt in moves), len(moves))
