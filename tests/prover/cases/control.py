"""Branches, loops with a trip count that constants decide, loops in loops, calls."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.ad_checkpoint import checkpoint_name

from tests.prover.cases.table import case, integers, reals

case(
    "two branches",
    lambda x, i: lax.cond(i > 1, lambda v: (v * 2, i), lambda v: (v + 1, i * 3), x),
    reals(3),
    np.int32(2),
)
case(
    "several branches, an index beyond them",
    lambda x, i: lax.switch(i, [lambda v: v * 2, lambda v: v + 1, lambda v: v.sum() + v], x),
    reals(3),
    np.int32(7),
)
case("a branch that is known", lambda x: lax.cond(True, lambda v: jnp.sort(v), lambda v: v + 1, x), reals(3))
case(
    "branches under vmap, branches with a loop",
    lambda x: (
        jax.vmap(lambda v: lax.cond(v > 0, jnp.exp, lambda z: z * 0.5, v))(x),
        lax.cond(x[0] > 0, lambda v: lax.fori_loop(0, 3, lambda i, c: c * 0.5 + i, v), lambda v: v, x),
    ),
    reals(5),
    relative=2e-3,
)
case(
    "while, by a counter",
    lambda x: lax.while_loop(lambda c: c[0] < 7, lambda c: (c[0] + 2, c[1] * 0.5 + x), (0, x)),
    reals(3),
)
case(
    "while, by two numbers that step each other",
    lambda x: lax.while_loop(lambda c: c[0] < 30.0, lambda c: (c[1], c[0] + c[1], c[2] + x), (1.0, 1.0, x)),
    reals(3),
    relative=1e-3,
)
case(
    "while, not even once and just once",
    lambda x: (
        lax.while_loop(lambda c: c[0] < 0, lambda c: (c[0] + 1, c[1] * 2), (0, x + 1))[1],
        lax.while_loop(lambda c: c[0] < 1, lambda c: (c[0] + 1, c[1] * 2), (0, x + 1))[1],
    ),
    reals(3),
)


def _while_in_scan(xs: Any) -> Any:
    def step(c: Any, x: Any) -> Any:
        inner = lax.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, s[1] * 0.5 + x), (0, c))
        return inner[1], c

    return lax.scan(step, jnp.zeros(2), xs)


case("while inside a scan", _while_in_scan, reals(4, 2))
case(
    "a cache that is filled step by step",
    lambda xs: lax.scan(
        lambda c, x: ((c[0] + 1, lax.dynamic_update_index_in_dim(c[1], x, c[0], 0)), c[1].sum(0)),
        (0, jnp.zeros((5, 2))),
        xs,
    ),
    reals(4, 2),
)
case(
    "rows set in a loop",
    lambda xs: lax.fori_loop(0, 4, lambda i, c: c.at[i].set(xs[i] * 2), jnp.zeros((5, 2))),
    reals(4, 2),
)
case("associative scan", lambda x: lax.associative_scan(jnp.maximum, x, axis=0), reals(6, 2))
case(
    "carries: unsigned, boolean, passed through, never read",
    lambda u, x: lax.scan(
        lambda c, v: ((c[0] + v[0] * np.uint32(7), ~c[1] | (v[1] > 0), c[2], v[1]), jnp.where(c[1], v[1], c[2])),
        (jnp.uint32(5), jnp.bool_(False), x[0], x[1]),
        (u, x),
    ),
    integers(0, 9, 4).astype(np.uint32),
    reals(4),
)


@jax.custom_vjp
def _scaled(x: Any) -> Any:
    return x * 3


_scaled.defvjp(lambda x: (x * 3, None), lambda _, g: (g,))
case(
    "calls",
    lambda x: checkpoint_name(_scaled(x), "scaled") + jax.checkpoint(jnp.tanh)(x) + jax.jit(jax.named_call(jnp.abs))(x),
    reals(5),
)
case("a random constant", lambda x: x + jax.random.normal(jax.random.key(0), (3,)), reals(3))
