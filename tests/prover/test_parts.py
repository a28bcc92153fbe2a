"""Which part of a reduction one proof covers, and that every reduction, however long, lowers and can be proven part by part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from prover import lower
from prover.lowering.emit.parts import Depths, candidates, divided
from rollup.audit import examine
from rollup.audit.canonical import canonical as findings
from rollup.form.ops import Access, Constant, Instr, Monoid, Op, Opcode, Term, Value
from rollup.form.parts import is_canonical, partition
from rollup.machine.reference import Memory
from rollup.types import DType, Root

DEPTHS = Depths(8, 12, 5)


def dot(length: int, strided: bool = False, x: DType = DType.I16) -> Op:
    """One product of a constant matrix with a vector."""
    shape = (length, 64) if strided else (64, length)
    terms = (Term(0, 1, 1), Term(1, 0, 1)) if strided else (Term(0, 0, 1), Term(1, 1, 1))
    vector = Access(Value(0), x, (length,), (0,), (Term(0, 1, 1),))
    matrix = Access(Constant(Root(b"r" * 32)), DType.I16, shape, (0, 0), terms)
    code = (Instr(Opcode.CONST, (), 9), Instr(Opcode.SHR, (0, 1)))
    return Op(1, 1, 1, Monoid.SUM, DType.I16, 2, (64,), (length,), (vector, matrix), code)


@pytest.mark.parametrize("ops", range(1, 6))
def test_what_a_proof_carries_is_priced_with_the_depths_of_the_program(ops: int) -> None:
    """The audit asks the program itself: a bound that is a path's node too low here is refused there."""

    def steps(x: Any) -> Any:
        for _ in range(ops):
            x = jnp.cumsum(x)
        return x

    program = lower(steps, np.arange(4, dtype=np.int32)).program
    header = program.header
    found = Depths.of(header.inputs, program.ops)
    assert found == Depths(header.trace_depth, header.tensor_depth, program.tree.depth)


def test_a_short_reduction_is_proven_whole() -> None:
    found = divided(dot(256), DEPTHS)
    assert found is not None and found.part == 0


def test_a_long_dot_is_proven_a_leaf_of_each_operand_at_a_time() -> None:
    found = divided(dot(16_384), DEPTHS)
    assert found is not None and found.part == 512 and partition(found).levels == 1


def test_a_strided_dot_is_proven_in_small_parts() -> None:
    found = divided(dot(16_384, strided=True), DEPTHS)
    assert found is not None and found.part <= 16 and DEPTHS.bound(found).fits


def test_an_op_without_a_fitting_part_has_none() -> None:
    loads = tuple(Access(Value(n), DType.I16, (1 << 20,), (0,), (Term(0, 0, 1),)) for n in range(40))
    code = tuple(Instr(Opcode.LOAD, (n,)) for n in range(40))
    assert divided(Op(40, 1, 1, Monoid.NONE, DType.I16, 0, (64,), (), loads, code), DEPTHS) is None


@pytest.mark.parametrize("domain", [(2,), (3, 5), (7, 2, 16), (1000, 3)])
def test_every_candidate_is_canonical_and_a_real_part(domain: tuple[int, ...]) -> None:
    op = replace(dot(4), domain=domain)
    parts = list(candidates(domain))
    assert parts[0] == 1 and len(set(parts)) == len(parts)
    for part in parts:
        assert is_canonical(replace(op, part=part)) and partition(replace(op, part=part)).count > 1


def _reals(*shape: int) -> Any:
    return np.random.default_rng(7).standard_normal(shape).astype(np.float32)


LONG: dict[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "dot of 16,384": (lambda x: x @ _reals(16_384, 3), (2, 16_384)),
    "dot of two inputs": (lambda x: x @ x.T, (3, 5_000)),
    "sum of squares": (lambda x: (x * x).sum(), (172, 264)),
    "sum over a strided axis": (lambda x: x.sum(0), (9_000, 3)),
    "sum, every other one": (lambda x: x[:, 2:8_999:2].sum(1), (3, 9_000)),
    "mean over space": (lambda x: x.mean((1, 2)), (1, 60, 70, 3)),
    "min over both axes": (lambda x: jnp.min(x, (0, 1)), (100, 300)),
    "min of what is transposed": (lambda x: jnp.min(x.T, (0, 1)), (150, 200)),
    "max over space": (lambda x: x.max((1, 2)), (1, 60, 70, 3)),
    "arg max": (lambda x: jnp.argmax(x, -1), (2, 49_152)),
    "arg max, ties": (lambda x: jnp.argmax(jnp.floor(x), 1), (2, 9_000)),
    "arg min over the first axis": (lambda x: jnp.argmin(x, 0), (9_000, 3)),
    "arg max over all, reversed": (lambda x: jnp.argmax(x[::-1]) + 1, (30_000,)),
    "cumulative sum": (lambda x: jnp.cumsum(x), (5_000,)),
}


@pytest.mark.parametrize("name", LONG)
def test_a_long_reduction_is_one_op_that_is_proven_in_parts(name: str) -> None:
    fn, shape = LONG[name]
    x = _reals(*shape)
    model = lower(fn, x, calibration=[(x,)])
    program, report = model.program, examine(model.program)
    assert report.findings == () and all(op.bound.fits for op in report.ops)
    assert [finding for op in program.ops for finding in findings(op)] == []
    reducing = [op for op in program.ops if op.domain_elements > 1]
    assert len(reducing) == 1 and reducing[0].part > 0
    expected = np.asarray(fn(jnp.asarray(x)))
    allowed = 0 if "arg" in name else 1e-3 * np.abs(expected).max()
    np.testing.assert_allclose(np.asarray(model.predict(x)), expected, rtol=0, atol=allowed)
    values = model.executor.values(model.quantize(x))
    memory = Memory(program, list(values))
    rng = np.random.default_rng(1)
    for value, _, _ in program.op_values():
        for position in {0, values[value].size - 1, int(rng.integers(values[value].size))}:
            assert int(values[value].reshape(-1)[position]) == memory.element(value, position)


@pytest.mark.parametrize(("rows", "copies"), [(400, 0), (700, 1)])
def test_what_lies_in_few_leaves_is_reduced_where_it_lies(rows: int, copies: int) -> None:
    """A row of 1,024 elements has a leaf for every element of a column."""
    x = _reals(rows, 1024)
    program = lower(lambda x: x.sum(0), x, calibration=[(x,)]).program
    assert len(program.ops) == 1 + copies and all(op.bound.fits for op in examine(program).ops)
