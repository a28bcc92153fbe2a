"""Instructions on arrays, for drawn ranges of their operands: the rule that a range chooses is exact everywhere inside it."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prover.executor.kernels import halving
from prover.executor.kernels.code import apply, settle
from rollup.audit.ranges import INT64, RULES, Range
from rollup.form.ops import INSTRUCTIONS, Monoid, Opcode, wrap

BITS = (0, 1, 2, 7, 15, 29, 30, 31, 32, 33, 52, 60, 61, 62, 63)
SHIFTS = (-70, -64, -63, -32, -31, -1, 0, 1, 2, 29, 30, 31, 32, 33, 61, 62, 63, 64, 65, 70, 130)
NUMBERS = 48
DRAWS = 200


def drawn(rng: np.random.Generator) -> Range:
    """A range whose ends lie at a power of two, or next to it."""
    ends = [int(rng.choice((-1, 1))) * (1 << int(rng.choice(BITS))) + int(rng.integers(-1, 2)) for _ in range(2)]
    low, high = sorted(max(INT64.low, min(INT64.high, end)) for end in ends)
    return Range(low, high)


def drawn_shift(rng: np.random.Generator) -> Range:
    """To both sides, or to the right alone."""
    shifts = SHIFTS if rng.integers(2) else [by for by in SHIFTS if by > 0]
    low, high = sorted(int(rng.choice(shifts)) for _ in range(2))
    return Range(low, high)


def numbers(rng: np.random.Generator, reach: Range) -> list[int]:
    """Both ends, what is near zero and powers of two, and others."""
    near = [int(sign) * (1 << int(bits)) + int(off) for sign in (-1, 1) for bits in BITS for off in (-1, 0, 1)]
    inside = [number for number in near if reach.low <= number <= reach.high]
    some = [int(rng.integers(reach.low, reach.high, endpoint=True)) for _ in range(NUMBERS)]
    chosen = [reach.low, reach.high, *rng.permutation(np.array(inside or some, dtype=object)).tolist(), *some]
    return chosen[:NUMBERS]


@pytest.mark.parametrize("opcode", [Opcode.SHR, Opcode.SHL, Opcode.MULSHIFT, Opcode.DIV, Opcode.MUL])
def test_an_instruction_is_exact_on_every_range_of_its_operands(opcode: Opcode) -> None:
    rng = np.random.default_rng(int(opcode))
    rule = INSTRUCTIONS[opcode].exact
    assert rule is not None
    arity = len(INSTRUCTIONS[opcode].operands.split())
    shifted = opcode in (Opcode.SHR, Opcode.SHL, Opcode.MULSHIFT)
    cases = [
        [drawn_shift(rng) if shifted and n == arity - 1 else drawn(rng) for n in range(arity)] for _ in range(DRAWS)
    ]
    columns = [[numbers(rng, reach) for reach in ranges] for ranges in cases]

    def all_of_them(given: list[list[jax.Array]]) -> list[jax.Array]:
        settled = [[settle(x, r) for x, r in zip(xs, rs, strict=True)] for xs, rs in zip(given, cases, strict=True)]
        return [apply(opcode, xs, rs, RULES[opcode](*rs)) for xs, rs in zip(settled, cases, strict=True)]

    with jax.enable_x64(True):
        found = jax.jit(all_of_them)([[jnp.asarray(np.array(c, np.int64)) for c in one] for one in columns])
    for ranges, one, result in zip(cases, columns, found, strict=True):
        expected = [wrap(rule(*row)) for row in zip(*one, strict=True)]
        assert np.asarray(result).tolist() == expected, (opcode, ranges)


def _ties(rng: np.random.Generator, shape: Sequence[int]) -> np.ndarray:
    return rng.integers(-3, 4, shape).astype(np.int64) * (1 << 60)


@pytest.mark.parametrize("size", [1, 2, 15, 16, 17, 31, 33, 127, 255, 256, 289, 577, 768, 1024, 8192])
def test_reductions_by_halves_are_those_of_numpy(size: int) -> None:
    rng = np.random.default_rng(size)
    terms = np.concatenate(
        [_ties(rng, (3, size)), rng.integers(-(1 << 62), 1 << 62, (3, size)), np.zeros((1, size), np.int64)]
    )
    with jax.enable_x64(True):
        found = jax.jit(_reductions)(jnp.asarray(terms))
    expected = (terms.sum(-1), terms.max(-1), terms.min(-1), terms.argmax(-1), terms.argmin(-1))
    for mine, right in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(mine), right)


def _reductions(terms: jax.Array) -> tuple[jax.Array, ...]:
    extremes = (halving.extreme(terms, True), halving.extreme(terms, False))
    positions = (halving.position(terms, Monoid.ARGMAX), halving.position(terms, Monoid.ARGMIN))
    return halving.total(terms), *extremes, *positions
