"""Reductions of an array's last axis by halves: one half joined with the other, element by element, until few are left.

XLA's CPU compiler reduces a last axis one element after the other; halves it joins many at a time, which takes a quarter of the time.
Sums of integers may be taken in any order, and so may extremes: not a bit differs.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from rollup.form.ops import Monoid

SHORT = 16
"""An axis that is not longer is reduced at once."""

STEP = 8, 32
"""The first step of a long sum joins so many elements, of so many sums next to one another."""

Join = Callable[[jax.Array, jax.Array], jax.Array]


def total(terms: jax.Array) -> jax.Array:
    """The sums over the last axis, in the array's dtype."""
    if terms.shape[-1] % math.prod(STEP) == 0:
        stepped = terms.reshape([*terms.shape[:-1], terms.shape[-1] // math.prod(STEP), *STEP])
        # Joined with the next sum to one, this would write down what is summed.
        first = lax.optimization_barrier(jnp.sum(stepped, axis=-2, dtype=terms.dtype))  # type: ignore[no-untyped-call]
        terms = first.reshape([*terms.shape[:-1], -1])
    return _halved(terms, jnp.add, lambda short: jnp.sum(short, axis=-1, dtype=terms.dtype))


def extreme(terms: jax.Array, largest: bool) -> jax.Array:
    """The largest (or smallest) elements along the last axis."""
    return _halved(terms, *_extremes(largest))


def position(terms: jax.Array, monoid: Monoid) -> jax.Array:
    """Where along the last axis the largest (ARGMAX) or smallest (ARGMIN) element is; of equals, the first. Integers, as jnp.argmax."""
    largest = monoid is Monoid.ARGMAX
    find = jnp.argmax if largest else jnp.argmin
    size = terms.shape[-1]
    width = _width(size)
    if width == 1:
        return find(terms, axis=-1)
    blocks = terms.reshape([*terms.shape[:-1], size // width, width])
    block = find(extreme(blocks, largest), axis=-1)
    inside = jnp.take_along_axis(blocks, block[..., None, None], axis=-2)[..., 0, :]
    return block * width + find(inside, axis=-1)


def _extremes(largest: bool) -> tuple[Join, Callable[[jax.Array], jax.Array]]:
    if largest:
        return jnp.maximum, lambda short: jnp.max(short, axis=-1)
    return jnp.minimum, lambda short: jnp.min(short, axis=-1)


def _halved(terms: jax.Array, join: Join, reduce: Callable[[jax.Array], jax.Array]) -> jax.Array:
    odd = []
    while terms.shape[-1] > SHORT:
        half = terms.shape[-1] // 2
        if terms.shape[-1] % 2:
            odd.append(terms[..., -1])
        terms = join(terms[..., :half], terms[..., half : 2 * half])
    found = reduce(terms)
    for element in odd:
        found = join(found, element)
    return found


def _width(size: int) -> int:
    """Elements of a block: the divisor of ``size`` that is next to its root, if both are long; else 1."""
    root = math.isqrt(size)
    divisors = np.arange(SHORT, root + 1)
    fitting = divisors[size % divisors == 0]
    return int(fitting[-1]) if fitting.size else 1
