"""Check a claim by running its program on its input: always possible, needs the constants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from challenger.play.trace import ValueTrace
from rollup.claim import NO_ROOT, Claim, arrays, join, output_types
from rollup.errors import ClaimError
from rollup.forest import Forest, little_endian, trace_roots
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


@runtime_checkable
class BatchMachine(Machine, Protocol):
    """A machine that runs several claims as one execution."""

    @property
    def most_claims(self) -> int:
        """Of one execution, at most."""
        ...

    def test_batches(self) -> int:
        """Find out whether batches are exact here; gives ``most_claims``, raises InexactMachine."""
        ...

    def batches(self, count: int) -> Sequence[tuple[int, int]]:
        """How so many claims are cut: (first, behind the last) of each batch."""
        ...

    def stream_batch(self, inputs: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        """All values in trace order, each, as the inputs, with a leading axis of claims."""
        ...


@dataclass(frozen=True)
class Posted:
    """What is compared of a claim."""

    trace_root: Root
    inputs: bytes
    outputs: bytes


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
        tensors = arrays(inputs, self.program.header.inputs, "input")
        if trace_root == NO_ROOT:
            return self._found(NO_ROOT, outputs, self.machine.outputs(tensors), None)
        return self._traced(trace_root, outputs, list(self.machine.values(tensors)))

    @property
    def most_claims(self) -> int:
        """Claims that ``compare_each`` runs at once."""
        return self.machine.most_claims if isinstance(self.machine, BatchMachine) else 1

    def compare_each(self, claims: Sequence[Posted]) -> list[Finding | ClaimError]:
        """``compare`` of several claims, as few executions; for those whose bytes do not fit, the error."""
        found: list[Finding | ClaimError | None] = [None] * len(claims)
        tensors: dict[int, list[np.ndarray]] = {}
        for number, one in enumerate(claims):
            try:
                tensors[number] = arrays(one.inputs, self.program.header.inputs, "input")
            except ClaimError as error:
                found[number] = error
        for numbers, values in self._values(tensors):
            compared = self._batch([claims[number] for number in numbers], values)
            for number, finding in zip(numbers, compared, strict=True):
                found[number] = finding
        return [one for one in found if one is not None]

    def _values(self, tensors: dict[int, list[np.ndarray]]) -> Iterator[tuple[list[int], list[np.ndarray]]]:
        """Batches: the numbers of their claims, and all values [claims, *shape] of these executions in trace order."""
        machine, numbers = self.machine, list(tensors)
        if not isinstance(machine, BatchMachine):
            yield from (
                ([number], [np.asarray(one)[None] for one in machine.values(tensors[number])]) for number in numbers
            )
            return
        for start, stop in machine.batches(len(numbers)):
            part = numbers[start:stop]
            columns = zip(*(tensors[number] for number in part), strict=True)
            yield part, list(machine.stream_batch([np.stack(column) for column in columns]))

    def _batch(self, claims: Sequence[Posted], values: list[np.ndarray]) -> list[Finding | ClaimError]:
        """``compare`` of claims whose executions gave these values [claims, *shape]."""
        header = self.program.header
        right = np.concatenate([little_endian(values[value]) for value, _ in header.outputs], axis=1)
        roots = [NO_ROOT] * len(claims)
        if any(claim.trace_root != NO_ROOT for claim in claims):
            forest = Forest(header.tensor_depth)
            for value in values:
                forest.add(value)
            roots = trace_roots(forest.roots(), header.trace_depth, header.tensor_depth)
        found: list[Finding | ClaimError] = []
        for at, claim in enumerate(claims):
            traced = claim.trace_root != NO_ROOT
            if right[at].tobytes() == claim.outputs and claim.trace_root == (roots[at] if traced else NO_ROOT):
                found.append(_right(traced))
                continue
            try:
                found.append(self._compared(claim, [value[at] for value in values]))
            except ClaimError as error:
                found.append(error)
        return found

    def _compared(self, claim: Posted, values: list[np.ndarray]) -> Finding:
        if claim.trace_root != NO_ROOT:
            return self._traced(claim.trace_root, claim.outputs, values)
        right = [values[value] for value, _ in self.program.header.outputs]
        return self._found(NO_ROOT, claim.outputs, right, None)

    def _traced(self, trace_root: Root, outputs: bytes, values: list[np.ndarray]) -> Finding:
        right = [values[value] for value, _ in self.program.header.outputs]
        return self._found(trace_root, outputs, right, ValueTrace(self.program, values))

    def _found(
        self, trace_root: Root, outputs: bytes, right: Sequence[np.ndarray], trace: ValueTrace | None
    ) -> Finding:
        header = self.program.header
        if join(list(right), output_types(header)) != outputs:
            differing = _differing(right, arrays(outputs, output_types(header), "output"))
            return Finding(False, f"the program gives another output: {differing}", trace)
        if trace is not None and trace.root != trace_root:
            return Finding(False, "the output is right, but the trace is not the program's", trace)
        return _right(trace is not None, trace)


def _right(traced: bool, trace: ValueTrace | None = None) -> Finding:
    return Finding(True, "the program gives the same output" + (" and the same trace" if traced else ""), trace)


def _differing(right: Sequence[np.ndarray], claimed: Sequence[np.ndarray]) -> str:
    """The first element that differs, for people."""
    for number, (ours, theirs) in enumerate(zip(right, claimed, strict=True)):
        at = np.flatnonzero(np.asarray(ours).reshape(-1) != theirs.reshape(-1))
        if at.size:
            element = int(at[0])
            values = int(theirs.reshape(-1)[element]), int(np.asarray(ours).reshape(-1)[element])
            return f"element {element} of output {number} is claimed as {values[0]} and is {values[1]}"
    return "the bytes differ in length"
