"""Random numbers: keys from a seed, split and folded; what is made of their bits, up to the ends."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend import random

from tests.prover.cases.table import case

BITS = np.array([[0, 511, 512, 5 << 9, 1 << 30], [1 << 31, 0xFFFFFFFF, 0xFFFFFC00, 0xF0000000, 0x12345678]], np.uint32)


def keys(seed: Any, data: Any) -> Any:
    """Seed, fold, split; a choice between keys, one of them known; keys as data and back."""
    folded = jax.random.fold_in(jax.random.key(seed), data[0])
    wrapped = jax.random.wrap_key_data(data, impl="threefry2x32")
    own = jax.random.clone(jnp.stack([folded, wrapped])[::-1])[1]
    first, second = jax.random.split(jnp.where(seed > 0, own, jax.random.key(1)))
    return jax.random.key_data(first), jax.random.uniform(second, (3,), minval=-2.0)


def between(bits: Any, low: float, high: float) -> Any:
    """As ``jax.random.uniform`` makes a number of bits."""
    fraction = lax.bitcast_convert_type((bits >> np.uint32(9)) | np.uint32(0x3F800000), jnp.float32) - 1.0
    least, most = np.float32(low), np.float32(high)
    return jnp.maximum(least, fraction * (most - least) + least)


TINY, ABOVE = float(np.finfo(np.float32).tiny), float(np.nextafter(np.float32(-1), np.float32(0)))


def normal(bits: Any) -> Any:
    return np.float32(np.sqrt(2)) * lax.erf_inv(between(bits, ABOVE, 1.0))


def gumbel(bits: Any) -> Any:
    return -jnp.log(-jnp.log(between(bits, TINY, 1.0)))


def noise(bits: Any) -> Any:
    """Uniform, normal and Gumbel numbers; comparisons and sums of them; the same bits as an integer of another kind."""
    even = between(bits, 0.0, 1.0)
    return even, normal(bits), gumbel(bits) + even, even < 0.3, lax.bitcast_convert_type(bits, jnp.int32)


def words(bits: Any) -> Any:
    """Numbers that words are converted to by their value, and other floats of one exponent."""
    by_value = (bits >> np.uint32(8)).astype(jnp.float32) * np.float32(2**-24)
    half = lax.bitcast_convert_type(((bits >> np.uint32(22)) | np.uint32(0x3800)).astype(jnp.uint16), jnp.float16)
    return jnp.sqrt(-2 * jnp.log(by_value + np.float32(2**-25))), jnp.cos(2 * np.pi * by_value), half


case("keys: seeded, folded, split, chosen", keys, np.int32(7), np.array([5, 0xFFFFFFF0], np.uint32), relative=1e-6)
case(
    "threefry of a count",
    lambda key: random.threefry_2x32(key, np.arange(3, dtype=np.uint32)),
    np.array([1, 2], np.uint32),
)
case("noise from bits", noise, BITS, relative=1e-5)
case("noise from words", words, BITS, relative=5e-5)
