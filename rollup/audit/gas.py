"""What adjudicating one element of an op can cost at most, from its descriptor alone.

The worst element at the worst indices, all bytes non-zero: leaves that the accesses touch, siblings that bind them,
calldata at the floor price of EIP-7623 against execution. The prices are those of OneStepProver's ways through the box,
measured (``tests/contracts``) and rounded up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rollup.affine import coefficients, extents, stays_inside
from rollup.encoding import encode_op
from rollup.merkle import depth_for, leaf_count
from rollup.ops import Access, Constant, Monoid, Op, Opcode
from rollup.program import Program
from rollup.types import LEAF_BYTES

GAS_LIMIT = 5_000_000
CALLDATA_LIMIT = 100 * 1024

_TRANSACTION = 21_000
_FLOOR_BYTE = 40
_BYTE = 16
_CALL_BYTES = 1_100
"""Claim, inclusion, place, salt and ABI words around the witness."""
_CALL = 120_000
"""Game, ledger and verdict."""
_NARROW_DOT = 60
"""A multiply-add of adjacent 8- or 16-bit elements."""
_NARROW_SUM = 25
"""An addition of adjacent elements of up to 32 bits."""
_STEP = 210
"""One element of a row otherwise."""
_WIDE_STEP = 480
"""One element of a row with a factor of 64 bits."""
_PRODUCT_EXTREME = 2_800
"""One product under a maximum, minimum or argument."""
_LONE = 5_200
"""One element of one factor that is located by itself."""
_LONE_PRODUCT = 7_500
_ROW = 2_600
_LEAF = 600
_NODE = 450
_INSTRUCTION = 300
_LOAD = 3_000


@dataclass(frozen=True)
class GasBound:
    """Bounds for one step: gas of the whole transaction, its calldata in bytes, leaves in the witness."""

    gas: int
    calldata: int
    leaves: int


@dataclass(frozen=True)
class _Touched:
    leaves: int
    runs: int
    rows: int
    adjacent: bool


def _strides(access: Access, sizes: dict[int, int]) -> tuple[dict[int, int], int]:
    """(element stride of every variable, element offset) within one tensor."""
    strides: dict[int, int] = {}
    offset, weight = 0, 1
    table = coefficients(access, sizes)
    for d in reversed(range(1 if access.stack else 0, len(access.shape))):
        for var, coef in table[d].items():
            strides[var] = strides.get(var, 0) + coef * weight
        offset += access.offsets[d] * weight
        weight *= access.shape[d]
    return strides, offset


def _box_of(op: Op, number: int) -> set[int]:
    """Box variables that an access's own coordinates depend on."""
    sizes = extents(op)
    inner = range(len(op.shape), len(op.shape) + len(op.box))
    return {var for row in coefficients(op.accesses[number], sizes) for var in row if var in inner}


def _scattering(op: Op, number: int) -> set[int]:
    """Box variables along which consecutive elements may lie anywhere: what an index depends on, and what selects
    the value.
    """
    access, sizes = op.accesses[number], extents(op)
    found: set[int] = set()
    if access.indirect is not None and access.indirect[1] != number:
        found |= _box_of(op, access.indirect[1]) | _scattering(op, access.indirect[1])
    if access.stack:
        found |= set(coefficients(access, sizes)[0]) & _box_of(op, number)
    return found


def _touch(op: Op, number: int) -> _Touched:
    """Leaves that one access touches for one output element, at worst."""
    access, sizes = op.accesses[number], extents(op)
    per_leaf = LEAF_BYTES // access.dtype.size
    strides, offset = _strides(access, sizes)
    scattering = _scattering(op, number)
    anywhere = access.indirect is not None
    walked = sorted(
        (var for var in _box_of(op, number) - scattering if strides.get(var)), key=lambda var: abs(strides[var])
    )
    jumps = math.prod(sizes[var] for var in scattering)
    outer = [stride for var, stride in strides.items() if var not in walked]
    most = leaf_count(access.elements * access.dtype.size) * (access.shape[0] if access.stack else 1)
    best: tuple[int, int] | None = None
    length = 1
    for inner in range(len(walked) + 1):
        if inner:
            length += abs(strides[walked[inner - 1]]) * (sizes[walked[inner - 1]] - 1)
        rows = jumps * math.prod(sizes[var] for var in walked[inner:])
        step = 1 if anywhere else math.gcd(per_leaf, *outer, *(strides[var] for var in walked[inner:]))
        start = per_leaf - step + (offset % step)
        leaves = rows * ((start + length - 1) // per_leaf + 1)
        if best is None or leaves < best[0]:
            best = (leaves, rows)
    assert best is not None
    leaves = min(best[0], most)
    everything = _box_of(op, number) | scattering
    elements = math.prod(sizes[var] for var in everything)
    last = len(op.shape) + len(op.box) - 1
    step = abs(strides.get(last, 0)) if op.box else 0
    # A row goes in one piece if all its leaves have to be there, else by elements.
    rows = max(1, elements // sizes[last]) if op.box and step <= per_leaf else max(1, op.box_elements)
    return _Touched(leaves, min(best[1], leaves), rows, step <= 1)


def _lone(op: Op, number: int) -> bool:
    """Whether a factor is located element by element: it is not linear over the box, or leaves its operand oddly."""
    access, sizes = op.accesses[number], extents(op)
    if _scattering(op, number):
        return True
    if stays_inside(access, sizes):
        return False
    trimmed = op.monoid is Monoid.SUM and access.fill == 0
    trimmed = trimmed or (op.monoid in (Monoid.MAX, Monoid.MIN) and op.factors == 1)
    inner = range(len(op.shape), len(op.shape) + len(op.box))
    return not trimmed or any(sum(var in inner for var in row) > 1 for row in coefficients(access, sizes))


def _element_gas(op: Op, factors: list[tuple[Access, _Touched]]) -> int:
    """Execution gas of one box element."""
    if not factors:
        return 0
    if any(_lone(op, number) for number in range(op.factors)):
        return _LONE if op.factors == 1 else _LONE_PRODUCT
    sums = op.monoid in (Monoid.NONE, Monoid.SUM)
    if op.factors == 2 and not sums:
        return _PRODUCT_EXTREME
    widest = max(access.dtype.size for access, _ in factors)
    if widest == 8:
        return _WIDE_STEP
    if sums and all(reach.adjacent for _, reach in factors):
        if op.factors == 1:
            return _NARROW_SUM
        if widest <= 2:
            return _NARROW_DOT
    return _STEP


def _siblings(leaves: int, runs: int, depth: int) -> int:
    """Most siblings of a multi-proof: two a run and level (one for single leaves), no more than a level has."""
    each = runs if leaves == runs else 2 * runs
    return sum(min(each, 1 << (level - 1)) for level in range(1, depth + 1))


def gas_bound(op: Op, program: Program) -> GasBound:
    """The bound of one op of the program."""
    roles = list(range(op.factors))
    for number in roles:
        indirect = op.accesses[number].indirect
        if indirect is not None and indirect[1] not in roles:
            roles.append(indirect[1])
    touched = [(op.accesses[number], _touch(op, number)) for number in roles]
    loads = [instr.args[0] for instr in op.code if instr.op in (Opcode.LOAD, Opcode.LOOK)]
    touched += [(op.accesses[number], _Touched(1, 1, 1, True)) for number in loads]
    in_trace, trace_runs = 1, 1
    data = nodes = total = 0
    for access, reach in touched:
        if isinstance(access.source, Constant):
            depth = depth_for(leaf_count(access.elements * access.dtype.size))
            siblings = _siblings(reach.leaves, reach.runs, depth)
            data += 5 + 10 * reach.runs + 32 * siblings + LEAF_BYTES * reach.leaves
            nodes += siblings + reach.leaves
            total += reach.leaves
        else:
            in_trace += reach.leaves
            trace_runs += reach.runs
    siblings = _siblings(in_trace, trace_runs, program.depth)
    data += 5 + 10 * trace_runs + 32 * siblings + LEAF_BYTES * in_trace
    nodes += siblings + in_trace
    total += in_trace
    descriptor, path = len(encode_op(op)), program.tree.depth
    data += 2 + 2 + descriptor + 5 + 32 * path + 1
    calldata = data + _CALL_BYTES
    work = op.box_elements * _element_gas(op, touched[: op.factors])
    rows = sum(reach.rows for _, reach in touched[: len(roles)])
    work += rows * _ROW + total * _LEAF + (nodes + path) * _NODE + len(op.code) * _INSTRUCTION + len(loads) * _LOAD
    work += sum(_LOAD for access in op.accesses) + descriptor * 30
    gas = _TRANSACTION + max(_FLOOR_BYTE * calldata, _BYTE * calldata + _CALL + work)
    return GasBound(gas, calldata, total)
