"""How much of a reduction one proof covers: all of it where that fits a transaction, else the part with which a dispute is cheapest."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rollup.audit.canonical import ACCESS_LIMIT, INSTRUCTION_LIMIT
from rollup.audit.gas import GAS_LIMIT, GAS_LIMIT_7976, GasBound, bound_of
from rollup.audit.prices import EIP_7976, PRAGUE
from rollup.form.encoding import TensorType, depths
from rollup.form.ops import ARGUMENTS, FAN_OUT, MAX_ACCESSES, MAX_CODE, Op
from rollup.form.parts import Partition
from rollup.merkle import depth_for

ROUND = 150_000
"""Gas of an answer and of the move that it is answered with, beside the partial results in both."""


@dataclass(frozen=True)
class Depths:
    """Of the trace's tree (to its values, and from there to their leaves) and of the tree of descriptors."""

    trace: int
    tensor: int
    program: int

    @classmethod
    def of(cls, inputs: Sequence[TensorType], ops: Sequence[Op]) -> Depths:
        """Of a program with these inputs and ops."""
        values = len(inputs) + sum(op.repeat for op in ops)
        trace, tensor = depths(values, [tensor.bytes for tensor in inputs] + [op.bytes for op in ops])
        return cls(trace, tensor, depth_for(2 + len(ops)))

    def bound(self, op: Op) -> GasBound:
        return bound_of(op, self.trace, self.tensor, self.program)


def divided(op: Op, sizes: Depths) -> Op | None:
    """The op with the best ``part``; None if it is too long, or if no part makes every proof about it fit its limits."""
    if _length(op) > 1:
        return None
    whole = replace(op, part=0)
    if sizes.bound(whole).fits:
        return whole
    fitting = [cut for part in candidates(op.domain) if sizes.bound(cut := replace(op, part=part)).fits]
    return min(fitting, key=lambda cut: (_dispute(cut, sizes), -cut.part), default=None)


def excess(op: Op, sizes: Depths) -> tuple[float, float]:
    """How far the op is beyond what a descriptor can hold (0: not at all); then its length, or the dearest proof about it, over its
    limit, with the part for which that is least; up to 1 fits.
    """
    if not encodable(op):
        return _length(op), 0
    bounds = (sizes.bound(replace(op, part=part)) for part in (0, *candidates(op.domain)))
    return 0, max(_length(op), min(max(bound.gas / GAS_LIMIT, bound.gas_7976 / GAS_LIMIT_7976) for bound in bounds))


def encodable(op: Op) -> bool:
    """Whether a descriptor can hold the op; of one that it can't, no proof has a bound."""
    return len(op.accesses) <= MAX_ACCESSES and len(op.code) <= MAX_CODE


def _length(op: Op) -> float:
    """What the op's descriptor lists, over what a descriptor may list."""
    return max(len(op.accesses) / ACCESS_LIMIT, len(op.code) / INSTRUCTION_LIMIT)


def candidates(domain: tuple[int, ...]) -> Iterator[int]:
    """Canonical parts: powers of two of one axis, over all axes behind it."""
    inner = 1
    for axis in reversed(range(len(domain))):
        step = 1
        while step < domain[axis]:
            yield inner * step
            step *= 2
        inner *= domain[axis]


def _dispute(op: Op, sizes: Depths) -> int:
    """Gas of a dispute inside an element: an answer for every level, and the proof of a part, under both price lists."""
    cut = Partition.of(op.domain, op.part)
    (proof,) = (proof for proof in sizes.bound(op).proofs if proof.kind == "part")
    size = 16 if op.monoid in ARGUMENTS else 8
    total = 0
    for rules in (PRAGUE, EIP_7976):
        total += proof.under(rules)
        below, results = cut.count, 0
        for level in reversed(range(cut.levels)):
            results += min(FAN_OUT, math.ceil(below / FAN_OUT**level))
            below = min(below, FAN_OUT**level)
        total += cut.levels * ROUND + 2 * rules.floor * size * results
    return total
