"""Compare somebody's program with the float model that it claims to be."""

from __future__ import annotations

from prover.fidelity import Fidelity
from prover.model import Model
from rollup.program import Program
from touchstone.origins import opened
from touchstone.samples import read_samples


def compare(program: Program, source: str, samples: str) -> Fidelity:
    """Fidelity against a JAX function, an ONNX or a GGUF file, on samples as ``touchstone.samples`` reads them.

    Raises LoweringError or ExecutionError for a model or samples that do not fit the program.
    """
    origin = opened(source)
    text = samples.endswith(".txt") and program.header.inputs
    length = program.header.inputs[0].elements if text else None
    return Model(program, origin.fn).measuring().fidelity(read_samples(samples, origin, length))
