"""Executor = reference = EVM on elements of a real model's ops, on its own inputs and on inputs that are all extremes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from prover import Model
from rollup.machine.reference import Memory
from tests.lockstep.evm import Execution, Prover, seed_of

Array = np.ndarray


@dataclass(frozen=True)
class Compared:
    """Elements that the reference and the EVM recomputed to what the executor gave; and the first that they did not."""

    reference: int
    evm: int
    differs: str | None


def extremes(model: Model) -> dict[str, list[Array]]:
    """Inputs of the header's types that are all smallest, all largest, and both in turn."""
    types = model.program.header.inputs
    ends = {
        "smallest": [np.full(tensor.shape, tensor.dtype.min, tensor.dtype.numpy) for tensor in types],
        "largest": [np.full(tensor.shape, tensor.dtype.max, tensor.dtype.numpy) for tensor in types],
    }
    turns = []
    for low, high in zip(ends["smallest"], ends["largest"], strict=True):
        even = (np.arange(low.size) % 2 == 0).reshape(low.shape)
        turns.append(np.where(even, low, high))
    return {**ends, "in turn": turns}


def compare(
    model: Model, inputs: Sequence[Array], contract: Prover, ops: int, reference: int = 2, evm: int = 1, seed: int = 0
) -> Compared:
    """Compare the first, the last and ``reference`` random elements of ``ops`` random values, ``evm`` of each also on the EVM.

    ``inputs``: the program's integers of one claim; the extremes are tried as well.
    """
    rng = np.random.default_rng(seed_of("models", seed))
    places = list(model.program.op_values())
    picked = sorted(rng.choice(len(places), min(ops, len(places)), replace=False))
    by_reference = by_evm = 0
    for kind, given in {"sample": list(inputs), **extremes(model)}.items():
        values = list(model.executor.values(given))
        memory, execution = Memory(model.program, values), Execution(model.program, values)
        for value, descriptor, _ in (places[at] for at in picked):
            flat = values[value].reshape(-1)
            drawn = [int(position) for position in rng.integers(0, flat.size, max(reference, evm))]
            for position in {0, flat.size - 1, *drawn[:reference]}:
                expected = memory.element(value, position)
                if int(flat[position]) != expected:
                    where = f"{kind} inputs, value {value} ({model.program.name(descriptor)}), element {position}"
                    return Compared(by_reference, by_evm, f"{where}: {int(flat[position])}, not {expected}")
                by_reference += 1
            for position in drawn[:evm]:
                answer = contract.step(*execution.witness(value, position))
                if answer != (int(flat[position]),) * 2:
                    where = f"{kind} inputs, value {value} ({model.program.name(descriptor)}), element {position}"
                    return Compared(by_reference, by_evm, f"{where}: on the EVM {answer}")
                by_evm += 1
    return Compared(by_reference, by_evm, None)
