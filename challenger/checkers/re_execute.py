"""Check a claim by running its program on its input: always possible, needs the constants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from challenger.play.trace import ValueTrace
from rollup.claim import NO_ROOT, Claim, arrays, join, output_types
from rollup.form.program import Program
from rollup.machine import reference
from rollup.types import Root


class Machine(Protocol):
    """Whatever runs one program exactly: the executor, or the reference."""

    def outputs(self, inputs: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """The outputs alone, in header order."""
        ...

    def values(self, inputs: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """All values in trace order, inputs first."""
        ...


@dataclass(frozen=True)
class Reference:
    """The reference as a machine: element by element in Python integers, for small programs."""

    program: Program

    def values(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        return reference.run(self.program, list(inputs))

    def outputs(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        values = self.values(inputs)
        return [values[value] for value, _ in self.program.header.outputs]


@dataclass(frozen=True)
class Finding:
    """What a check found. ``reason``: a sentence; ``trace``: the right trace, if the check made it."""

    honest: bool
    reason: str
    trace: ValueTrace | None = None


@dataclass(frozen=True)
class ReExecute:
    """The checker of one program."""

    program: Program
    machine: Machine

    def trace(self, inputs: bytes) -> ValueTrace:
        """The right trace for a claim's input; raises ClaimError if the bytes do not fit the header."""
        tensors = arrays(inputs, self.program.header.inputs, "input")
        return ValueTrace(self.program, list(self.machine.values(tensors)))

    def check(self, claim: Claim, inputs: bytes, outputs: bytes) -> Finding:
        """Compare outputs, and the trace root where the claim has one. Raises ClaimError if the bytes do not fit the
        header.
        """
        return self.compare(claim.trace_root, inputs, outputs)

    def compare(self, trace_root: Root, inputs: bytes, outputs: bytes) -> Finding:
        """``check`` of a claim with this trace root."""
        header = self.program.header
        trace = None
        if trace_root == NO_ROOT:
            right = self.machine.outputs(arrays(inputs, header.inputs, "input"))
        else:
            trace = self.trace(inputs)
            right = [trace.values[value] for value, _ in header.outputs]
        if join(list(right), output_types(header)) != outputs:
            differing = _differing(right, arrays(outputs, output_types(header), "output"))
            return Finding(False, f"the program gives another output: {differing}", trace)
        if trace is not None and trace.root != trace_root:
            return Finding(False, "the output is right, but the trace is not the program's", trace)
        return Finding(True, "the program gives the same output" + (" and the same trace" if trace else ""), trace)


def _differing(right: Sequence[np.ndarray], claimed: Sequence[np.ndarray]) -> str:
    """The first element that differs, for people."""
    for number, (ours, theirs) in enumerate(zip(right, claimed, strict=True)):
        at = np.flatnonzero(np.asarray(ours).reshape(-1) != theirs.reshape(-1))
        if at.size:
            element = int(at[0])
            values = int(theirs.reshape(-1)[element]), int(np.asarray(ours).reshape(-1)[element])
            return f"element {element} of output {number} is claimed as {values[0]} and is {values[1]}"
    return "the bytes differ in length"
