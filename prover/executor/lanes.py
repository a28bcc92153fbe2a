"""One row op for several lanes, each at its own row: in one call where it can be, lane by lane where it can't.

An op whose rows do not depend on where they are is computed for all lanes as for a batch of claims: a product reads its weights once.
So is a native one that reads tables by position, or the position itself. Other ops are mapped over the lanes.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax import lax

from prover.executor.kernels.kernel import Kernel
from prover.executor.segments import Constants, Immediates, run_kernel
from rollup.form.ops import ITERATION, Opcode


def run_lanes(
    j: int,
    kernel: Kernel,
    constants: Constants,
    operands: Mapping[int, jax.Array],
    t: jax.Array,
    immediates: Immediates | None,
) -> jax.Array:
    """The new rows of descriptor j [lanes, *shape], those of a lane from ``t`` int64 [lanes] on, inside a traced function.

    ``operands``: what the accesses to values see, by number, [lanes, ...].
    """
    lanes = t.shape[0]

    def run(at: jax.Array, own: Mapping[int, jax.Array], claims: int) -> jax.Array:
        return run_kernel(j, kernel, constants, own.__getitem__, claims, at, immediates)

    tables, place = reads_place(kernel), operands_by_place(kernel)
    if lanes == 1 or not (tables or place):
        return run(t[0], operands, lanes)
    if kernel.native is None:
        mapped: jax.Array = jax.vmap(lambda at, own: run(at, own, 1))(
            t, {number: array[:, None] for number, array in operands.items()}
        )
        return mapped[:, 0]
    if not place:
        return run(t, operands, lanes)
    return jnp.concatenate(
        [
            run(t[lane], {number: array[lane : lane + 1] for number, array in operands.items()}, 1)
            for lane in range(lanes)
        ]
    )


def reads_place(kernel: Kernel) -> bool:
    """Whether the code reads the row's place, or a table there: what a native product takes for every lane."""
    code = [kernel.op.code[number - 1] for number in kernel.live if number]
    indexed = any(instr.op is Opcode.INDEX and instr.args[0] == ITERATION for instr in code)
    return indexed or any(prepared.iterated for prepared in kernel.prepared.values())


def operands_by_place(kernel: Kernel) -> bool:
    """Whether it reads operands at the row's place, or weights of it."""
    return any(
        term.var == ITERATION
        for number, access in enumerate(kernel.op.accesses)
        if f"{number}" not in kernel.prepared or number in kernel.laid
        for term in access.terms
    )


def put_rows(cache: jax.Array, rows: jax.Array, t: jax.Array, axis: int) -> jax.Array:
    """``cache`` [lanes, ...] with the rows of every lane from ``t`` int64 [lanes] on, along ``axis``."""
    for lane in range(t.shape[0]):
        start = [jnp.int64(0)] * cache.ndim
        start[0], start[axis] = jnp.int64(lane), t[lane]
        cache = lax.dynamic_update_slice(cache, rows[lane : lane + 1], start)
    return cache
