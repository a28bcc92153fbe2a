"""Sorting, picking, scattering, updating; bits; products and powers that are expanded."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tests.prover.cases.table import case, integers, reals

UNSIGNED = np.uint8
FEW = integers(0, 3, 4, 7)

case("sort", lambda x: (jnp.sort(x, 1), jnp.argsort(x, 0), jnp.sort(x, 1, descending=True)), reals(4, 7))
case("sort of equals is stable", lambda a: (jnp.argsort(a, 1), jnp.argsort(a > 1, 1)), FEW)
case("sort by two keys", lambda a, x: lax.sort((a, x, x + 1), dimension=1, num_keys=2), FEW, reals(4, 7))
case("median, percentile", lambda x: (jnp.median(x, 1), jnp.percentile(x, 30.0)), reals(4, 9))
case("top k", lambda x: (lax.top_k(x, 3), lax.top_k(x.T, 4)), reals(5, 9))
case("top k of many", lambda x: lax.top_k(x, 3), reals(300), relative=2e-3)
case("top k of many bytes, mostly zero", lambda u: lax.top_k(u, 5), (integers(0, 200, 300) // 198).astype(UNSIGNED))
case(
    "approximate top k", lambda x: (lax.approx_max_k(x, 3), lax.approx_min_k(x, 2, reduction_dimension=0)), reals(4, 9)
)
case("median of a window", lambda x: jnp.median(jnp.stack([x[:-2], x[1:-1], x[2:]]), 0), reals(9))

CONSTANT = np.array([0, 2, 2, 0], np.int32)


def _scattered(x: Any, u: Any, name: str) -> Any:
    """Equal indices, a strided slice, an index out of range."""
    return (
        getattr(x.at[CONSTANT], name)(u),
        getattr(x.at[1:3, ::2], name)(2.0),
        getattr(x.at[np.array([0, 2]), np.array([1, 9])], name)(u[0, :2]),
    )


def _placed(x: Any, u: Any, i: Any, name: str) -> Any:
    """Run-time indices, some equal, some out of range: rows, one row, one column, a pair of indices."""
    return (
        getattr(x.at[i], name)(u),
        getattr(x.at[i[0]], name)(2.0),
        getattr(x.at[:, i[1]], name)(u[:, 1]),
        getattr(x.at[i, i], name)(u[0, :4]),
    )


INDICES = np.array([1, -1, 1, 5], np.int32)
for _name in ("set", "add", "subtract", "multiply", "min", "max"):
    case(f"scatter, {_name}, constant indices", lambda x, u, n=_name: _scattered(x, u, n), reals(4, 5), reals(4, 5))
for _name in ("set", "add", "min"):
    case(f"scatter, {_name}", lambda x, u, i, n=_name: _placed(x, u, i, n), reals(4, 5), reals(4, 5), INDICES)
case(
    "scatter of rows, subtract, multiply, max",
    lambda x, u, i: (x.at[i].subtract(u), x.at[i].multiply(u), x.at[i].max(u)),
    reals(4, 3),
    reals(4, 3),
    INDICES,
)
case(
    "scatter under vmap",
    lambda x, i, u: jax.vmap(lambda a, j, v: a.at[j].add(v))(x, i, u),
    reals(3, 5),
    integers(0, 5, 3, 4),
    reals(3, 4),
)
WINDOWS = lax.ScatterDimensionNumbers((1, 2), (), (0, 1))
case(
    "scatter of windows, clipped",
    lambda x, i, u: lax.scatter_add(x, i, u, WINDOWS, mode="clip"),
    reals(4, 5),
    integers(0, 5, 3, 2),
    reals(3, 2, 2),
)
case(
    "scatter of windows, dropped",
    lambda x, i, u: lax.scatter(x, i, u, WINDOWS),
    reals(4, 5),
    integers(0, 5, 3, 2),
    reals(3, 2, 2),
)
case("segment sum", lambda x: jax.ops.segment_sum(x, jnp.array([0, 0, 1, 2, 2, 2]), 4), reals(6, 2))
case("bin count", lambda i: jnp.bincount(i, length=5), integers(0, 5, 12))
case("non-zero places", lambda x: jnp.nonzero(x > 0, size=4, fill_value=9)[0], reals(9))
case(
    "dynamic update",
    lambda x, u, i: (
        lax.dynamic_update_slice(x, u, (i, 1)),
        lax.dynamic_update_slice(x, u * 3, (i + 9, i)),
        lax.dynamic_update_slice(x, x * 2, (i, i)),
        lax.dynamic_update_slice(x.T, u, (0, -i)),
    ),
    reals(4, 5),
    reals(2, 3),
    np.int32(1),
)
case(
    "gather modes",
    lambda x, i: [
        jnp.take(x, i, 0, mode="clip"),
        jnp.take(x, i, 0, mode="wrap"),
        jnp.take(x, i, 1, mode="fill", fill_value=7.0),
        x.at[i, 1].get(mode="drop", fill_value=0.5),
    ],
    reals(4, 5),
    np.array([[0, 7], [-9, 3]], np.int32),
)
case(
    "one-hot, masked rows",
    lambda i, x: (jax.nn.one_hot(i, 5), jnp.where(jax.nn.one_hot(i, 4, dtype=bool)[0], x, -x)),
    np.array([3, 0, 4], np.int32),
    reals(3, 4),
)
case(
    "search, interpolation",
    lambda x: (
        jnp.searchsorted(jnp.array([-1.0, 0, 0.5, 1]), x),
        jnp.searchsorted(jnp.array([-1.0, 0, 0.5, 1]), x, method="compare_all"),
        jnp.interp(x, jnp.array([-1.0, 0, 0.5, 1]), jnp.array([3.0, 1, 4, 2])),
    ),
    reals(9),
)
case(
    "bits",
    lambda a, b: (
        a << 1,
        a >> b,
        lax.shift_right_logical(a, b),
        lax.shift_left(a, b),
        lax.population_count(a),
        lax.clz(a),
        lax.bitcast_convert_type(a, np.uint32) // np.uint32(7),
    ),
    integers(-(2**31), 2**31 - 1, 4, 5),
    integers(-1, 35, 4, 5),
)
case(
    "bits of bytes",
    lambda a, b: (
        a << b,
        a >> b,
        lax.shift_right_arithmetic(a.astype(jnp.int8), b.astype(jnp.int8)),
        lax.population_count(a),
        lax.clz(a),
    ),
    integers(0, 255, 4, 5).astype(UNSIGNED),
    integers(0, 10, 4, 5).astype(UNSIGNED),
)
case(
    "integers reduced bitwise",
    lambda a: (
        jnp.bitwise_and.reduce(a, 1),
        jnp.bitwise_or.reduce(a, 0),
        jnp.bitwise_xor.reduce(a, 1),
        jnp.logical_xor.reduce(a > 5, 1),
        jnp.prod(a, 1),
    ),
    integers(0, 99, 3, 5),
)
case(
    "products",
    lambda x: (jnp.prod(x, 1), jnp.prod(x), jnp.cumprod(x, 1), lax.cumprod(x, 0, reverse=True)),
    reals(4, 7),
    relative=2e-3,
)
case(
    "reductions by a function of their own",
    lambda x: (
        lax.reduce(x, np.float32(0), lambda a, b: jnp.sqrt(a * a + b * b), (1,)),
        lax.reduce(
            (x, x + 1), (np.float32(0), np.float32(1)), lambda a, b: (a[0] + b[0], jnp.maximum(a[1], b[1])), (0,)
        ),
        lax.reduce_window(x, np.float32(1), lax.mul, (2, 3), (1, 2), ((1, 0), (0, 1))),
    ),
    reals(4, 6),
    relative=1e-3,
)
case("running log-sum-exp", lambda x: (lax.cumlogsumexp(x, 1), lax.cumlogsumexp(x, 0, reverse=True)), reals(4, 7))
case(
    "angles",
    lambda y, x: jnp.arctan2(y, x),
    np.r_[reals(18), 0, 0, 1, -1].astype(np.float32),
    np.r_[reals(18), 0, 1, 0, 0].astype(np.float32),
)
case(
    "powers",
    lambda x, y: (
        lax.pow(x, jnp.float32(2.0)),
        jnp.abs(x) ** y,
        lax.pow(x, jnp.floor(y * 2)),
        jnp.float32(2.0) ** y,
        lax.pow(jnp.abs(x), 0.5),
        lax.pow(jnp.abs(x), -0.5),
        lax.pow(x, jnp.int32(3)),
    ),
    np.abs(reals(4, 5)) + np.float32(0.3),
    reals(4, 5),
)
case(
    "remainders",
    lambda a, b: (a % 0.3, jnp.fmod(a, b), a % b, a // b),
    reals(4, 5),
    np.abs(reals(4, 5)) + np.float32(0.2),
)
