"""Arithmetic, functions, products, convolutions, reductions, moves, scans."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tests.prover.cases.table import NHWC, case, integers, reals

W, K, B = reals(16, 8), reals(3, 3, 3, 4), reals(4)
K1, K2, GROUPED, DEPTH, UP, CUBE = (
    reals(8, 3, 3, 3),
    reals(5, 8, 3, 3),
    reals(8, 2, 3),
    reals(3, 3, 1, 6),
    reals(3, 3, 3, 2),
    reals(2, 3, 2, 2, 2),
)
GROUPS = reals(6, 2, 3, 3)
X = reals(4, 16)

case("dense", lambda x: x @ W + 1.0, X)
case("mlp", lambda x: jnp.tanh(x @ W) @ W.T, X)
case("relu", lambda x: jax.nn.relu(x @ W), X)
case("an input given back", lambda x: x, X)
case("inputs given back, exchanged", lambda x, y: (y, x), X, reals(16))
case("vector", lambda x: x @ W, reals(16))
case("einsum", lambda x: jnp.einsum("ab,bc->ca", x, W), X)
case("bilinear", lambda x, y: x @ y, X, reals(16, 3))
case("batched dot", lambda x, y: jnp.einsum("bij,bkj->bik", x, y), reals(2, 4, 16), reals(2, 3, 16))
case("batched dot, strided", lambda x, y: jnp.einsum("bji,bjk->bik", x, y), reals(2, 16, 4), reals(2, 16, 3))
case("large strided dot", lambda x: jnp.einsum("ji,jk->ik", x, jnp.ones((80, 2)) * 0.1), reals(80, 40))
case("two contractions", lambda x: jnp.tensordot(x, W.reshape(4, 4, 8), axes=[[1, 2], [0, 1]]), reals(3, 4, 4))
case("integer dot", lambda a: a @ jnp.arange(12).reshape(4, 3), integers(-9, 9, 5, 4))
case(
    "conv",
    lambda x: jax.nn.relu(lax.conv_general_dilated(x, K, (1, 1), "SAME", dimension_numbers=NHWC) + B),
    reals(1, 8, 8, 3),
)
case(
    "conv of conv, channels first",
    lambda x: lax.conv_general_dilated(lax.conv_general_dilated(x, K1, (2, 2), "SAME"), K2, (1, 1), "VALID"),
    reals(2, 3, 16, 16),
)
case(
    "conv 1d, grouped, dilated",
    lambda x: lax.conv_general_dilated(x, GROUPED, (1,), [(1, 1)], feature_group_count=4, rhs_dilation=(2,)),
    reals(2, 8, 16),
)
case(
    "conv 2d, grouped",
    lambda x: lax.conv_general_dilated(x, GROUPS, (1, 2), "SAME", feature_group_count=3),
    reals(1, 6, 7, 7),
)
case(
    "conv, depthwise",
    lambda x: lax.conv_general_dilated(x, DEPTH, (1, 1), "SAME", feature_group_count=6, dimension_numbers=NHWC),
    reals(1, 8, 8, 6),
)
case("conv, transposed", lambda x: lax.conv_transpose(x, UP, (2, 2), "SAME", dimension_numbers=NHWC), reals(1, 5, 5, 3))
case("conv 3d", lambda x: lax.conv_general_dilated(x, CUBE, (1, 1, 1), "VALID"), reals(1, 3, 4, 4, 4))
case(
    "conv, kernel an input",
    lambda x, k: lax.conv_general_dilated(x, k, (1, 1), "SAME"),
    reals(1, 2, 6, 6),
    reals(3, 2, 3, 3),
)
case(
    "max pool", lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "SAME"), reals(1, 7, 7, 3)
)
case("min pool", lambda x: lax.reduce_window(x, jnp.inf, lax.min, (1, 3), (1, 1), "SAME"), reals(3, 9))
case(
    "average pool",
    lambda x: lax.reduce_window(x, 0.0, lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") / 4,
    reals(1, 8, 8, 3),
)
case(
    "dilated pool",
    lambda x: lax.reduce_window(
        x, 0.0, lax.add, (2, 2), (1, 2), ((1, 0), (0, 1)), base_dilation=(1, 2), window_dilation=(2, 1)
    ),
    reals(6, 5),
)
case("softmax", lambda x: jax.nn.softmax(x * 3), reals(4, 10))
case("log softmax", lambda x: jax.nn.log_softmax(x * 3), reals(4, 10))
case("gelu, tanh", lambda x: jax.nn.gelu(x @ W), X)
case("gelu, erf", lambda x: jax.nn.gelu(x @ W, approximate=False), X)
case("silu", jax.nn.silu, X)
case("softplus", jax.nn.softplus, X)
case("layer norm", lambda x: (x - x.mean(-1, keepdims=True)) * lax.rsqrt(x.var(-1, keepdims=True) + 1e-5), X)
case("arg max", lambda x: jnp.argmax(x @ W, -1), X)
case("arg min", lambda x: jnp.argmin(x, 0), X)
case("reductions", lambda x: (x.max(0), x.min(1), x.sum(), x.mean(0)), X)
case("any, all", lambda x: (jnp.any(x > 1.5, 1), jnp.all(x > -2, 0)), X)
case("sums of products", lambda x: (x * x).sum(-1) + (x * W.T[:4, :16]).sum(-1) + lax.square(x).sum(), X)
case("transpose, reverse, slice", lambda x: (x.T + 1)[::-1, 1:3], X)
case("strided slice", lambda x: x[1::2, ::3] * 2, X)
case("reshape", lambda x: (x @ W).reshape(2, 2, 8).transpose(1, 0, 2).reshape(-1), X)
case("expand", lambda x: jnp.expand_dims(x, 1) + jnp.squeeze(x[None], 0)[None], reals(3, 5))
case(
    "moved functions",
    lambda x: (jnp.tanh(x)[:, None] + x, jnp.exp(x)[::-1].T, jnp.sin(x).reshape(-1), jnp.exp(x)[1:] * 2),
    reals(3, 3),
)
case(
    "reduced functions",
    lambda x: (jnp.exp(x).sum(0), jnp.tanh(x) @ W, jnp.argmax(jnp.sin(x), 1), jnp.exp(x).max()),
    X,
    relative=1e-3,
)
case("pad", lambda x: jnp.pad(x, ((1, 2), (0, 3)), constant_values=0.5), reals(4, 5))
case("pad, interior and negative", lambda x: lax.pad(x, jnp.float32(0.25), ((1, 2, 1), (0, -1, 2))), reals(4, 5))
case(
    "concatenate", lambda x, y: jnp.concatenate([x, y * 2, jnp.ones((2, 5), jnp.float32)], 0), reals(4, 5), reals(3, 5)
)
case("tile, stack", lambda x, y: (jnp.tile(x, (2, 3)) + 1, jnp.stack([x, y], 1)), reals(2, 3), reals(2, 3))
case("split", lambda x: [part * 2 for part in jnp.split(x, [3, 7], axis=1)], X)
case("unstack", lambda x: [part * 2 for part in jnp.unstack(x, axis=1)], reals(4, 3))
case("take", lambda x: jnp.take(x, jnp.array([3, 1, 0]), axis=0), reals(4, 5))
case(
    "take, index an input",
    lambda x, i: jnp.take(x, i, axis=1),
    reals(4, 5),
    np.array([[0, 4], [2, 2], [-1, 3]], np.int32),
)
case(
    "gather over two indices",
    lambda x, i, j: x[i, j],
    reals(4, 5),
    np.array([0, 3, 2], np.int32),
    np.array([1, 4, 0], np.int32),
)
case("take along axis", lambda x, i: jnp.take_along_axis(x, i, 1), reals(4, 5), integers(0, 5, 4, 2))
case("embedding", lambda i: jnp.asarray(W)[i], np.array([3, 15, 0], np.int32))
case("dynamic slice", lambda x, i: lax.dynamic_slice(x, (i, 1), (2, 3)), reals(4, 5), np.int32(1))
case(
    "arithmetic",
    lambda x, y: (
        x * y + x / (jnp.abs(y) + 0.5) - jnp.maximum(x, y) * 2.5,
        jnp.where(x > y, x, y * 0.1),
        -jnp.minimum(x, y),
    ),
    reals(4, 5),
    reals(4, 5),
)
case("clamp, sign", lambda x: jnp.clip(x, -0.5, 0.7) + jnp.sign(x) * jnp.abs(x) + lax.clamp(-1.0, x, 1.0), reals(4, 5))
case(
    "rounding",
    lambda x, y: (jnp.floor(x * 3 + y), jnp.ceil(x * 3 + y), jnp.round(x * 3 + y * 0), lax.round(x * 2 + y)),
    reals(4, 5),
    reals(4, 5),
    relative=0.0,
)


FUNCTIONS: tuple[Callable[[Any], Any], ...] = (
    jnp.exp,
    jnp.exp2,
    jnp.expm1,
    lambda z: jnp.log(jnp.abs(z) + 0.1),
    lambda z: jnp.log1p(jnp.abs(z)),
    jnp.tanh,
    jax.nn.sigmoid,
    lax.erf,
    lax.erfc,
    lambda z: jnp.sqrt(jnp.abs(z)),
    lambda z: lax.rsqrt(jnp.abs(z) + 0.1),
    jnp.cbrt,
    lambda z: z**3,
    lambda z: (z + 3) ** -2,
    lambda z: (jnp.abs(z) + 0.01) ** 1.7,
    jnp.sin,
    jnp.cos,
    jnp.arctan,
    jnp.sinh,
    jnp.cosh,
    lambda z: jnp.tan(z * 0.3),
    jnp.arcsinh,
    lambda z: jnp.arccosh(jnp.abs(z) + 1.1),
    lambda z: jnp.arcsin(z * 0.2),
    lambda z: jnp.arccos(z * 0.2),
    lambda z: jnp.arctanh(z * 0.2),
    lambda z: lax.erf_inv(z * 0.2),
    lambda z: lax.lgamma(jnp.abs(z) + 1),
    lambda z: lax.digamma(jnp.abs(z) + 1),
    lambda z: lax.bessel_i0e(z) + lax.bessel_i1e(z * 2),
    lambda z: jnp.where(jnp.isfinite(z), z, 0),
)
# rsqrt is steep near its pole: the rounding of its 16-bit operand is what is seen there.
case(
    "functions of one narrow value", lambda x: [f(x) for f in FUNCTIONS], np.clip(reals(4, 5), -2.5, 2.5), relative=1e-3
)
case(
    "functions of computed values",
    lambda x, y: [f(x * y + 0.1) for f in FUNCTIONS],
    np.abs(np.clip(reals(4, 5), -1.5, 1.5)),
    np.clip(np.abs(reals(4, 5)), 0.2, 1.5),
    relative=1e-3,
)
case(
    "running reductions",
    lambda x: (
        jnp.cumsum(x, 0),
        jnp.cumsum(x, 1),
        lax.cumsum(x, 1, reverse=True),
        lax.cummax(x, 1),
        lax.cummin(x, 1, reverse=True),
    ),
    reals(4, 30),
)
case(
    "integers",
    lambda a, b: (
        a + b * 3,
        a // b,
        a % b,
        lax.rem(a, b),
        a & b,
        a | b,
        a ^ b,
        ~a,
        a.astype(jnp.float32) * 0.5,
        jnp.maximum(a, b),
        a * a * 70000,
    ),
    integers(-50, 50, 4, 5),
    integers(1, 9, 4, 5),
)
case(
    "booleans",
    lambda m, x: (
        jnp.where(m, x, -x),
        (x > 0) & (x <= 1),
        ~m | (x != 0),
        (x >= 0) ^ (x < 1),
        x == x,
        m.astype(jnp.int32),
        x.astype(bool),
    ),
    reals(4, 5) > 0,
    reals(4, 5),
)
case("select of several", lambda i, x: lax.select_n(i, x, x * 2, -x), integers(0, 3, 4, 5), reals(4, 5))
case("bytes", lambda x: (x.astype(jnp.float32) / 255.0 - 0.5) @ W, integers(0, 255, 4, 16).astype(np.uint8))
case("iota", lambda x: x + jnp.arange(5.0) * 0.1 + lax.broadcasted_iota(jnp.float32, (4, 5), 0), reals(4, 5))
case("trees", lambda d: {"a": d["x"] * 2, "b": [d["y"].sum()]}, {"x": reals(3), "y": reals(4)})
case("stop gradient, copy", lambda x: lax.stop_gradient(x) + lax.reduce_precision(x, 8, 23) + jnp.copy(x), reals(4))
case("custom derivative, remat", lambda x: jax.checkpoint(jax.jit(jax.nn.relu))(x) + jax.nn.relu6(x), reals(6))
case(
    "outlier",
    lambda x: x * jnp.asarray(np.r_[np.ones(63), 4000.0].astype(np.float32)) @ jnp.ones((64, 2), jnp.float32),
    np.ones((3, 64), np.float32),
)


def lstm(hidden: int, features: int) -> Callable[[Any], Any]:
    """An LSTM over a sequence (steps, features): last state, sum of outputs, all outputs."""
    wx, wh = reals(features, 4 * hidden) * 0.3, reals(hidden, 4 * hidden) * (0.7 / np.sqrt(hidden))

    def run(xs: Any) -> Any:
        def step(carry: Any, x: Any) -> Any:
            h, s = carry
            i, f, g, o = jnp.split(x @ wx + h @ wh, 4)
            s = jax.nn.sigmoid(f) * s + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(s)
            return (h, s), h

        (h, _), ys = lax.scan(step, (jnp.zeros(hidden), jnp.zeros(hidden)), xs)
        return h, ys.sum(0), ys

    return run


case("lstm", lstm(8, 6), reals(9, 6), relative=1e-3)

STACK = reals(6, 4)


def _reverse(xs: Any) -> Any:
    def step(c: Any, pair: Any) -> Any:
        x, z = pair
        c = c * 0.5 + x * z
        return c, (c + 1, x)

    return lax.scan(step, jnp.zeros(4), (xs, STACK), reverse=True)


case("scan, reverse, constants per iteration", _reverse, reals(6, 4))
LAYERS = reals(3, 5, 5) * 0.4
case("scan over layers", lambda x: lax.scan(lambda c, w: (jnp.tanh(c @ w), None), x, LAYERS)[0], reals(2, 5))
case("fori loop", lambda x: lax.fori_loop(0, 5, lambda i, c: c * 0.9 + i.astype(jnp.float32) * 0.1, x), reals(4))


def _nested(xs: Any) -> Any:
    def outer(c: Any, x: Any) -> Any:
        c, ys = lax.scan(lambda d, y: (d * 0.5 + y, d), c, x)
        return c, ys.sum()

    return lax.scan(outer, jnp.float32(0), xs)


case("scan inside a scan", _nested, reals(3, 4))
case("two carries that swap", lambda x: lax.scan(lambda c, v: ((c[1], c[0] + v), c[0]), (x[0], x[1]), x), reals(5, 3))
# Narrow and unsigned integers wrap before whatever is not a ring operation looks at them.
BYTES, SMALL = integers(0, 255, 4, 5).astype(np.uint8), integers(-128, 128, 4, 5).astype(np.int8)
case(
    "narrow integers wrap",
    lambda u, s: (
        (u * u).astype(jnp.int32),
        (u * np.uint8(3)) // np.uint8(2),
        lax.rem(u, u * np.uint8(3) | np.uint8(1)),
        (s * s).astype(jnp.float32),
        jnp.abs(s + s),
        jnp.maximum(s * np.int8(5), np.int8(3)),
        jnp.sum(s * s),
        jnp.take(jnp.arange(256), u + u),
        (s.astype(jnp.int32) * 70000) ** 2 // 7,
        s.astype(jnp.uint8) > ~u,
        -u,
        (s.astype(jnp.float32) * 4.0).astype(jnp.int8),
    ),
    BYTES,
    SMALL,
)
case(
    "integers, products of unknown size",
    lambda a: (jnp.sum(a * a, 1), a * a, lax.integer_pow(a, 3), jnp.square(a) - 1),
    integers(-9000, 9000, 3, 4),
)
case(
    "unsigned carry",
    lambda u: lax.scan(lambda c, x: (c + x, (c + x) // np.uint8(3)), jnp.zeros(5, jnp.uint8), u),
    BYTES,
)
# What rests on more than intervals (a boolean input is 0 or 1, a multiplier goes with its shift) is saturated for the audit.
case(
    "boolean inputs in logic",
    lambda m, n: (jnp.any(m | n, 1), m ^ n, jnp.concatenate([m, n], 0)),
    X[:, :5] > 0,
    X[:, 5:10] > 0,
)
case(
    "clipped, then a product",
    lambda x: jnp.clip(x, -4, 4) @ jnp.asarray(np.c_[np.zeros(16), -np.abs(W[:, :3])], jnp.float32) * 0.001,
    X,
)
case("roll by nothing", lambda x: jnp.roll(x, 1, 0) + jnp.roll(x, 4, 1), reals(1, 4))
