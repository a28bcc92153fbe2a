"""False executions: wrong in one place, consistent everywhere else. What liars of the demo and of development networks claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from prover.executor import Executor
from prover.trace import ExecutionTrace
from rollup.claim import NO_ROOT, Claim, PostedClaim, input_root, join, output_root, output_types
from rollup.errors import ServiceError
from rollup.forest import tensor_roots
from rollup.form.encoding import TensorType, TracePolicy
from rollup.form.program import Program
from rollup.l1.account.keys import random_nonce
from rollup.l1.client import L1Client
from rollup.types import Timestamp
from touchstone.lying.tail import resumed

Array = np.ndarray


class About(StrEnum):
    """What is lied about."""

    OUTPUT = "output"
    INTERMEDIATE = "intermediate"
    INPUT = "input"


WORDS = {
    About.OUTPUT: "one number of the output",
    About.INTERMEDIATE: "one element in the middle of the execution",
    About.INPUT: "its input",
}


@dataclass(frozen=True)
class Lie:
    """What a liar commits to: a trace, and outputs that may or may not be in it."""

    trace: ExecutionTrace
    outputs: list[Array]
    sentence: str


def lie(
    program: Program,
    machine: Executor,
    inputs: Sequence[Array],
    about: About,
    rng: np.random.Generator,
    other: Sequence[Array] | None = None,
) -> Lie:
    """A false execution of ``program`` on ``inputs``. ``other``: the input that is really run, if the lie is about that; by
    default one that differs in one element. Raises ServiceError if the model has no place for such a lie.
    """
    inputs = list(inputs)
    if about is About.INPUT:
        inputs = list(other) if other is not None else _another(inputs, rng)
    execution = ExecutionTrace.of(machine, inputs, keep=True)
    outputs = list(execution.outputs)
    if about is About.OUTPUT:
        outputs[0], sentence = _in_favour_of_another(outputs[0], rng)
        return Lie(execution, outputs, sentence)
    if about is About.INPUT:
        return Lie(execution, outputs, "claims what the program gives for another input")
    values = list(execution.values())
    target, element = _place(program, values, rng)
    wrong = _own(values[target])
    before = int(wrong.reshape(-1)[element])
    wrong.reshape(-1)[element] ^= int(rng.integers(1, 128))
    values = resumed(program, [*values[:target], wrong])
    name = program.name(program.locate(target)[0])
    return Lie(
        with_values(machine, values),
        [values[value].reshape(tensor.shape) for value, tensor in program.header.outputs],
        f"changes element {element} of {name} from {before} to {int(wrong.reshape(-1)[element])}; all that follows agrees",
    )


def with_values(machine: Executor, values: Sequence[Array]) -> ExecutionTrace:
    """The trace of values that no execution need have given."""
    header = machine.program.header
    roots = b"".join(tensor_roots(values, header.tensor_depth))
    outputs = [values[value].reshape(tensor.shape) for value, tensor in header.outputs]
    return ExecutionTrace(machine, list(values[: len(header.inputs)]), roots, outputs, list(values))


def _own(array: Array) -> Array:
    """A copy whose flat view writes to it: NumPy's scalars, which arrays without dimensions become, have none."""
    return np.array(array, order="C")


def _in_favour_of_another(output: Array, rng: np.random.Generator) -> tuple[Array, str]:
    """The output with another largest element (with another element, if it has but one)."""
    wrong = _own(output)
    flat, top = wrong.reshape(-1), int(output.max())
    losers = [element for element in range(flat.size) if element != int(np.argmax(output))]
    element = int(rng.choice(losers)) if losers else 0
    before = int(flat[element])
    flat[element] = top + 1 if top < np.iinfo(wrong.dtype).max else top - 1
    return wrong, f"claims element {element} of the output to be {int(flat[element])}, not {before}"


def _another(inputs: list[Array], rng: np.random.Generator) -> list[Array]:
    """Inputs of which one element differs."""
    changed = [_own(array) for array in inputs]
    number = int(rng.choice([n for n, array in enumerate(changed) if array.size]))
    flat = changed[number].reshape(-1)
    flat[int(rng.integers(flat.size))] ^= 1
    return changed


def _place(program: Program, values: Sequence[Array], rng: np.random.Generator) -> tuple[int, int]:
    """An element of an op's output; of one that is not inside of a loop, so that the rest can be computed again."""
    first = len(program.header.inputs)
    once = [v for v in range(first, len(values)) if program.ops[program.locate(v)[0]].repeat == 1 and values[v].size]
    if not once:
        raise ServiceError("every op of this model lies in a loop; lie about its output instead")
    target = once[int(rng.integers(len(once[:-1] or once)))]
    return target, int(rng.integers(values[target].size))


def plausible_inputs(tensors: Sequence[TensorType], rng: np.random.Generator) -> list[Array]:
    """Something to run a model on: reals in [0, 1), or digits where the model takes whole numbers."""
    found = []
    for tensor in tensors:
        reals = rng.random(tensor.shape) * 2.0**tensor.scale if tensor.scale else rng.integers(0, 10, tensor.shape)
        found.append(np.clip(np.floor(reals), tensor.dtype.min, tensor.dtype.max).astype(tensor.dtype.numpy))
    return found


def signed(
    client: L1Client, program: Program, inputs: Sequence[Array], told: Lie, valid_until: Timestamp
) -> PostedClaim:
    """The false claim under the client's account."""
    header = program.header
    input_bytes, output_bytes = join(list(inputs), header.inputs), join(told.outputs, output_types(header))
    claim = Claim(
        program.id,
        client.account,
        random_nonce(),
        valid_until,
        bytes(32),
        input_root(header, input_bytes),
        output_root(header, output_bytes),
        told.trace.root if header.policy is TracePolicy.WITH_CLAIM else NO_ROOT,
    )
    return client.sign(claim, input_bytes, output_bytes)
