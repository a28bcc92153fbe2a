"""Integers of every width wrap as JAX wraps them, and no register passes 64 bits on the way."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prover import lower
from rollup.machine.reference import Memory

DTYPES = ("uint8", "int32", "uint32", "int64", "uint64")


def every_operation(a: Any, b: Any) -> tuple[Any, ...]:
    divisor = jnp.where(b == 0, 1, b).astype(b.dtype)
    return (
        a + b,
        a - b,
        a * b,
        -a,
        jnp.square(a),
        a**5,
        (a + b) * (a - b) + a * b,
        jax.lax.div(a, divisor),
        jax.lax.rem(a, divisor),
    )


def operands(dtype: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Random numbers of the dtype, small ones, and all pairs of its ends (of uint64: what an input can be, below 2^63)."""
    rng, info = np.random.default_rng(7), np.iinfo(dtype)
    least, most = int(info.min), min(int(info.max), (1 << 63) - 1)
    ends = [least, least + 1, most, most - 1, 0, 1, -1 if least else 2, 3]
    first = [*rng.integers(least, most, 60, dtype=dtype), *(x for x in ends for _ in ends)]
    second = [*rng.integers(least, most, 30, dtype=dtype), *rng.integers(0, 100, 30, dtype=dtype), *ends * len(ends)]
    return np.array(first, dtype), np.array(second, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_integer_arithmetic_wraps_as_jax_wraps(dtype: str) -> None:
    a, b = operands(dtype)
    with jax.enable_x64(True):
        model = lower(every_operation, a, b)
        for number, (got, right) in enumerate(zip(model.predict(a, b), every_operation(a, b), strict=True)):
            assert np.asarray(got).dtype == right.dtype
            np.testing.assert_array_equal(got, right, err_msg=f"operation {number}")
        values = model.executor.values(model.quantize(a, b))
    memory, compared = Memory(model.program, list(values)), 0
    for value, _, _ in model.program.op_values():
        for position in range(60, values[value].size, 13):
            assert int(values[value].reshape(-1)[position]) == memory.element(value, position)
            compared += 1
    assert compared >= 9 * 5
