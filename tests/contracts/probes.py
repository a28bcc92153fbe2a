"""What each thing that a proof consists of costs: pairs of programs that differ in a number of them, on the compiled contract.

A probe takes the slowest way that there is for its thing: 64-bit elements, negative coefficients, the worst operands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyrevm

from rollup.audit import bound_of
from rollup.audit.prices import PRICES, TRANSACTION, Prices
from rollup.form.constants import constant_root
from rollup.form.encoding import TensorType
from rollup.form.ops import INSTRUCTIONS, Access, Constant, Instr, Monoid, Op, Opcode, Term, Value
from rollup.form.program import Program
from rollup.types import LEAF_BYTES, DType, Root
from tests.lockstep.evm import (
    CALLER,
    EPILOGUE_TYPES,
    GAS,
    OUTLINE_TYPES,
    PART_TYPES,
    STEP_TYPES,
    Execution,
    artifact,
    calldata,
)


class Meter:
    """The deployed contract, and the gas that calls of it execute: without the transaction's own, without its calldata."""

    def __init__(self) -> None:
        self._evm = pyrevm.EVM(gas_limit=GAS)
        self._evm.set_balance(CALLER, 10**30)
        self._address = self._evm.deploy(CALLER, bytes.fromhex(artifact()["bytecode"][2:]))

    def call(self, data: bytes) -> tuple[bytes, int]:
        """(what it returned, gas); raises RuntimeError if it reverts."""
        answer = bytes(self._evm.message_call(CALLER, self._address, calldata=data, is_static=True))
        zeros = data.count(0)
        return answer, int(self._evm.result.gas_used) - TRANSACTION - 4 * zeros - 16 * (len(data) - zeros)


def question(execution: Execution, kind: str, value: int, position: int, number: int = 0, acc: int = 0) -> bytes:
    """Calldata of one call about an element."""
    if kind == "step":
        disputed, witness = execution.witness(value, position)
        return calldata("step", STEP_TYPES, disputed.fields, witness)
    if kind == "descend":
        disputed, element, descriptor = execution.outline(value, position)
        return calldata("outline", OUTLINE_TYPES, disputed.fields, element, descriptor)
    if kind == "part":
        disputed, *rest = execution.part(value, position, number)
        return calldata("part", PART_TYPES, disputed.fields, *rest)
    if kind == "padding":
        disputed, witness = execution.padding(execution.place(value, position)[0])
        return calldata("padding", STEP_TYPES, disputed.fields, witness)
    assert kind == "epilogue"
    disputed, *rest = execution.epilogue(value, position, acc)
    return calldata("epilogue", EPILOGUE_TYPES, disputed.fields, *rest)


@dataclass(frozen=True)
class Case:
    """One call about an op that reads inputs of random bytes (``plain``: zeros) and constants."""

    kind: str
    op: Op
    inputs: tuple[TensorType, ...]
    constants: tuple[tuple[Root, Any], ...] = ()
    acc: int = 0
    plain: bool = False

    @property
    def program(self) -> Program:
        op = self.op
        return Program.build(
            self.inputs, [(len(self.inputs), TensorType(op.dtype, 0, op.shape))], [op], dict(self.constants)
        )

    def execution(self, meter: Meter) -> int:
        """Gas that the contract executes."""
        program = self.program
        rng = np.random.default_rng(7)
        values = []
        for tensor in (*self.inputs, TensorType(self.op.dtype, 0, self.op.shape)):
            dtype = tensor.dtype
            drawn = rng.integers(dtype.min, dtype.max, tensor.shape, dtype.numpy, endpoint=True)
            values.append(np.zeros_like(drawn) if self.plain else drawn)
        data = question(Execution(program, values), self.kind, len(self.inputs), 0, 0, self.acc)
        return meter.call(data)[1]

    def bound(self, prices: Prices) -> int:
        """The bound of the same."""
        program = self.program
        bound = bound_of(self.op, program.header.trace_depth, program.header.tensor_depth, program.tree.depth, prices)
        (found,) = [proof.execution for proof in bound.proofs if proof.kind == self.kind]
        return found


@dataclass(frozen=True)
class Probe:
    """Two calls; what the second one costs more is what the probe is about."""

    less: Case
    more: Case

    def real(self, meter: Meter) -> int:
        return self.more.execution(meter) - self.less.execution(meter)

    def bound(self, prices: Prices) -> int:
        return self.more.bound(prices) - self.less.bound(prices)


def _input(dtype: DType, *shape: int) -> TensorType:
    return TensorType(dtype, 0, shape)


def _value(number: int, dtype: DType, shape: Sequence[int], terms: Sequence[Term] = (), **more: Any) -> Access:
    return Access(Value(number), dtype, tuple(shape), more.pop("offsets", (0,) * len(shape)), tuple(terms), **more)


def _op(
    inputs: int,
    monoid: Monoid,
    factors: int,
    domain: Sequence[int],
    accesses: Sequence[Access],
    code: Sequence[Instr] = (),
    part: int = 0,
    shape: Sequence[int] = (1,),
) -> Op:
    return Op(inputs, 1, 1, monoid, DType.I64, factors, tuple(shape), tuple(domain), tuple(accesses), tuple(code), part)


SMALL = (_input(DType.I64, 64),)


def _code(code: Sequence[Instr], accesses: Sequence[Access] = (), shape: Sequence[int] = (1,)) -> Case:
    return Case("step", _op(1, Monoid.NONE, 0, (), accesses, code, shape=shape), SMALL)


def _constants(count: int) -> tuple[tuple[Access, ...], tuple[tuple[Root, Any], ...]]:
    arrays = [np.full(4, j + 1, np.int8) for j in range(count)]
    held = tuple((constant_root(array), array) for array in arrays)
    return tuple(Access(Constant(root), DType.I8, (4,), (0,)) for root, _ in held), held


_WORST: dict[Opcode, tuple[int, ...]] = {
    Opcode.DIV: (-(1 << 63), (1 << 63) - 1),
    Opcode.SHL: (-(1 << 63), 0),
    Opcode.SHR: (-(1 << 63), (1 << 63) - 1),
    Opcode.MULSHIFT: (-(1 << 63), -(1 << 63), (1 << 63) - 1),
    Opcode.ABS: ((1 << 63) - 1,),
    Opcode.BITLEN: (-(1 << 63),),
    Opcode.ISQRT: (1 << 62,),
}
"""Operands on which an instruction is dearest, where it matters: found by trying extremes, for the root all sizes of them."""


def instructions() -> dict[str, Probe]:
    """Every opcode, fifty times."""
    element = _value(0, DType.I64, (64,))
    looked = replace(element, indirect=(0, 0))
    found = {}
    for opcode, spec in INSTRUCTIONS.items():
        if opcode is Opcode.CONST:
            before, one, accesses = (), Instr(opcode, (), -5), ()
        elif opcode is Opcode.INDEX:
            before, one, accesses = (), Instr(opcode, (0,)), ()
        elif opcode is Opcode.LOAD:
            before, one, accesses = (Instr(opcode, (0,)),), Instr(opcode, (0,)), (element,)
        elif opcode is Opcode.GATHER:
            before, one, accesses = (Instr(opcode, (0, 0)),), Instr(opcode, (0, 0)), (looked,)
        else:
            arity = len(spec.arguments)
            before = tuple(Instr(Opcode.CONST, (), n) for n in _WORST.get(opcode, (-(1 << 63),) * arity))
            one, accesses = Instr(opcode, tuple(range(1, arity + 1))), ()
        found[f"instruction {opcode.name}"] = Probe(_code(before, accesses), _code((*before, *[one] * 50), accesses))
    return found


def witnesses() -> dict[str, Probe]:
    """Leaves, runs, paths and trees."""

    def loads(leaves: Sequence[int], elements: int = 1 << 12) -> Case:
        accesses = [_value(0, DType.I64, (elements,), offsets=(leaf * 128,)) for leaf in leaves]
        code = [Instr(Opcode.LOAD, (j,)) for j in range(len(leaves))]
        return Case("step", _op(1, Monoid.NONE, 0, (), accesses, code), (_input(DType.I64, elements),))

    def far(order: Sequence[int]) -> Case:
        """Loads from eight values apart from one another, in an order that has to search, or in one that has not."""
        accesses = [_value(2 * j, DType.I64, (64,)) for j in range(8)]
        code = [Instr(Opcode.LOAD, (j,)) for j in (*range(8), *order)]
        return Case("step", _op(16, Monoid.NONE, 0, (), accesses, code), SMALL * 16)

    def trees(count: int, beside: int) -> Case:
        accesses, held = _constants(count + beside)
        code = [Instr(Opcode.LOAD, (j,)) for j in range(count)]
        return Case("step", _op(1, Monoid.NONE, 0, (), accesses, code), SMALL, held)

    return {
        "leaves apart": Probe(loads([0]), loads([2 * j for j in range(16)])),
        "leaves side by side": Probe(loads([0]), loads(range(8))),
        "deeper trace": Probe(loads([0], 1 << 9), loads([0], 1 << 17)),
        "searches": Probe(far([7] * 20 + [0] * 20), far([7, 0] * 20)),
        "loads": Probe(far(()), far([7, 0] * 20)),
        "trees": Probe(trees(1, 0), trees(12, 0)),
        "trees and accesses": Probe(trees(12, 0), trees(12, 40)),
    }


def descriptors() -> dict[str, Probe]:
    """What is parsed and not used."""

    def parsed(access: Access, count: int, held: tuple[tuple[Root, Any], ...] = ()) -> Case:
        return Case("step", _op(1, Monoid.NONE, 0, (), [access] * count, shape=(1,)), SMALL, held)

    constants, held = _constants(1)
    flat, deep = _value(0, DType.I64, ()), _value(0, DType.I64, (1,) * 12)
    line = _value(0, DType.I64, (64,))
    many = replace(line, terms=(Term(0, 0, -(1 << 31)),) * 40)
    over = replace(line, terms=(Term(0, 1, -(1 << 31)),) * 40)

    def boxed(domain: Sequence[int], accesses: Sequence[Access], kind: str = "part") -> Case:
        return Case(kind, _op(1, Monoid.SUM, 1, domain, [line, *accesses], part=1), SMALL)

    return {
        "accesses to values": Probe(parsed(flat, 1), parsed(flat, 60)),
        "accesses to constants": Probe(parsed(constants[0], 1, held), parsed(constants[0], 60, held)),
        "dimensions of accesses": Probe(parsed(flat, 20), parsed(deep, 20)),
        "terms over outputs": Probe(parsed(line, 10), parsed(many, 10)),
        "terms over the domain": Probe(boxed((2,), [line] * 10), boxed((2,), [over] * 10)),
        "dimensions of the output": Probe(_code(()), _code((), shape=(1,) * 12)),
        "dimensions of the domain": Probe(boxed((2,), ()), boxed((2,) * 12, ())),
        "dimensions of the output, outlined": Probe(
            boxed((2,), (), "descend"),
            replace(boxed((2,), (), "descend"), op=replace(boxed((2,), ()).op, shape=(1,) * 12)),
        ),
        "nothing at all": Probe(_code(()), _code(())),
    }


def loads() -> dict[str, Probe]:
    flat, deep = _value(0, DType.I64, (64,)), _value(0, DType.I64, (1,) * 11 + (64,))
    read = [Instr(Opcode.LOAD, (0,))]
    return {"dimensions of loads": Probe(_code(read * 50, [flat]), _code(read * 50, [deep]))}


def _pair(dtype: DType, elements: int) -> tuple[TensorType, ...]:
    return (_input(dtype, elements),) * 2


def _factors(
    count: int, dtype: DType, elements: int, terms: Sequence[Term], rank: int = 1, **more: Any
) -> list[Access]:
    terms = [replace(term, dimension=term.dimension + rank - 1) for term in terms]
    offsets = (0,) * (rank - 1) + (more.pop("offset", 0),)
    return [_value(j, dtype, (1,) * (rank - 1) + (elements,), terms, offsets=offsets, **more) for j in range(count)]


def _reduced(
    domain: Sequence[int],
    accesses: Sequence[Access],
    inputs: tuple[TensorType, ...],
    factors: int,
    monoid: Monoid = Monoid.SUM,
    part: int = 0,
) -> Case:
    kind = "part" if part else "step"
    return Case(kind, _op(len(inputs), monoid, factors, domain, accesses, part=part), inputs, plain=True)


def positions() -> dict[str, Probe]:
    """More of them in one row, by every inner loop; what they read is one leaf, over and over (or a few)."""
    found = {}
    for name, count, dtype, monoid, step in (
        ("adjacent sum", 1, DType.I32, Monoid.SUM, 1),
        ("sum", 1, DType.I32, Monoid.SUM, 2),
        ("sum backwards", 1, DType.I8, Monoid.SUM, -1),
        ("wide sum", 1, DType.I64, Monoid.SUM, 1),
        ("adjacent dot", 2, DType.I16, Monoid.SUM, 1),
        ("adjacent dot of bytes", 2, DType.I8, Monoid.SUM, 1),
        ("dot", 2, DType.I32, Monoid.SUM, 1),
        ("dot backwards", 2, DType.I8, Monoid.SUM, -1),
        ("wide dot", 2, DType.I64, Monoid.SUM, 1),
        ("extreme", 1, DType.I32, Monoid.MAX, 1),
        ("wide extreme", 1, DType.I64, Monoid.ARGMIN, 1),
        ("product", 2, DType.I32, Monoid.ARGMAX, 1),
        ("wide product", 2, DType.I64, Monoid.MIN, 1),
    ):
        size = LEAF_BYTES // dtype.size
        offset = size - 1 if step < 0 else 0
        accesses = _factors(count, dtype, size, [Term(0, 1, step)], offset=offset)
        inputs = _pair(dtype, size)
        few, many = size // 8, size // 2
        found[f"positions, {name}"] = Probe(
            _reduced((few,), accesses, inputs, count, monoid), _reduced((many,), accesses, inputs, count, monoid)
        )
    return found


def rows() -> dict[str, Probe]:
    """More of them; a row has two positions, or as many as it takes to enter and leave its operands."""
    found = {}
    inputs = _pair(DType.I64, 64)
    for count in (1, 2):
        inside = _factors(count, DType.I64, 64, [Term(0, 2, 1)])
        found[f"rows, {count} merged"] = Probe(
            _reduced((10, 2), inside, inputs, count), _reduced((90, 2), inside, inputs, count)
        )
        uneven = [replace(access, terms=tuple(Term(0, 1 + v, 1) for v in range(6))) for access in inside]
        found[f"rows, {count} merged, of many dimensions"] = Probe(
            _reduced((2,) * 2, [replace(a, terms=a.terms[:2]) for a in uneven], inputs, count),
            _reduced((2,) * 6, uneven, inputs, count),
        )
        for rank, more in ((1, 0), (1, 12), (11, 0)):
            terms = [Term(0, 1, 0)] * more + [Term(0, 2, 1)]
            beyond = _factors(count, DType.I64, 64, terms, rank, fill=3, offset=63)
            found[f"rows, {count} of rank {rank} with {more} terms more"] = Probe(
                _reduced((10, 2), beyond, inputs, count), _reduced((60, 2), beyond, inputs, count)
            )
        slopes = tuple(Term(d, 2, -3) for d in range(11))
        sloped = [_value(j, DType.I64, (1,) * 11, slopes, fill=3) for j in range(count)]
        tiny = _pair(DType.I64, 1)
        found[f"rows, {count} with slopes"] = Probe(
            _reduced((10, 2), sloped, tiny, count), _reduced((60, 2), sloped, tiny, count)
        )
        pieces = [
            replace(access, shape=(1, 4), offsets=(0, -2 - 2 * j), terms=(Term(1, 2, 1),))
            for j, access in enumerate(_factors(count, DType.I64, 4, (), fill=3))
        ]
        four = _pair(DType.I64, 4)
        found[f"rows, {count} in pieces"] = Probe(
            _reduced((10, 12), pieces, four, count), _reduced((60, 12), pieces, four, count)
        )
        for links in (1, 2):
            index = [_value(0, DType.I64, (64,), indirect=(0, count + n + 1)) for n in range(links - 1)]
            index.append(_value(0, DType.I64, (64,)))
            # The last half of a row's elements lies outside: the factors are placed anew in every row.
            indexed = [replace(access, offsets=(63,), indirect=(0, count), fill=3) for access in inside]
            found[f"rows, {count} behind {links}"] = Probe(
                _reduced((10, 2), [*indexed, *index], inputs, count),
                _reduced((50, 2), [*indexed, *index], inputs, count),
            )
            within = [replace(access, offsets=(0,)) for access in indexed]
            moving = [*index[:-1], replace(index[-1], terms=(Term(0, 2, 1),))]
            found[f"lone, {count} behind {links}"] = Probe(
                _reduced((2, 5), [*within, *moving], inputs, count),
                _reduced((2, 25), [*within, *moving], inputs, count),
            )
            found[f"factors, {count} behind {links}"] = Probe(
                _reduced((2,), [replace(a, terms=(Term(0, 1, 1),)) for a in inside], inputs, count, part=1),
                _reduced((2,), [*(replace(a, terms=(Term(0, 1, 1),)) for a in indexed), *index], inputs, count, part=1),
            )
        far = _pair(DType.I64, 4096)
        apart = _factors(count, DType.I64, 4096, [Term(0, 2, 129)])
        found[f"positions apart, {count}"] = Probe(
            _reduced((4, 8), apart, far, count), _reduced((40, 8), apart, far, count)
        )
        marked = _factors(count, DType.I64, 4096, [Term(0, 2, 128)])
        found[f"leaves noted, {count}"] = Probe(
            _reduced((4, 8), marked, far, count), _reduced((40, 8), marked, far, count)
        )
        one = _factors(count, DType.I64, 64, [Term(0, 1, 1)], fill=3)
        deep = _factors(count, DType.I64, 64, [Term(0, 1, 1)], 12, fill=3)
        crowded = _factors(count, DType.I64, 64, [Term(0, 1, 0)] * 39 + [Term(0, 1, 1)], fill=3)
        zero = [replace(access, fill=0) for access in one]
        for name, more in (("rank", deep), ("terms", crowded)):
            found[f"factors, {count} of more {name}"] = Probe(
                _reduced((2,), one, inputs, count, part=1), _reduced((2,), more, inputs, count, part=1)
            )
            found[f"factors, {count} of more {name}, trimmed"] = Probe(
                _reduced((2,), zero, inputs, count, part=1),
                _reduced((2,), [replace(access, fill=0) for access in more], inputs, count, part=1),
            )
        none = Case("part", replace(_reduced((2,), (), inputs, 0, part=1).op), inputs, plain=True)
        found[f"factors, {count}"] = Probe(none, _reduced((2,), one, inputs, count, part=1))
    return found


def probes() -> dict[str, Probe]:
    """All of them."""
    return {**instructions(), **witnesses(), **descriptors(), **loads(), **positions(), **rows()}


def main() -> None:
    meter = Meter()
    for name, probe in probes().items():
        real, bound = probe.real(meter), probe.bound(PRICES)
        print(f"{name:<44} {real:>9,} of {bound:>9,}  {real / bound if bound else 0:.3f}")


if __name__ == "__main__":
    main()
