"""Functions of two reals by functions of one."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from prover.lowering.expansions.table import expansion

LARGEST_POWER = 64
"""Whole constant exponents up to this one become multiplications."""


@expansion("atan2")
def atan2(y: Any, x: Any) -> Any:
    """The arc tangent of the smaller over the larger magnitude, turned into the right octant."""
    above, along = jnp.abs(y), jnp.abs(x)
    larger = jnp.maximum(above, along)
    angle = jnp.arctan(jnp.minimum(above, along) / jnp.where(larger == 0, jnp.ones_like(larger), larger))
    angle = jnp.where(above > along, math.pi / 2 - angle, angle)
    angle = jnp.where(x < 0, math.pi - angle, angle)
    return jnp.where(y < 0, -angle, angle).astype(x.dtype)


@expansion("pow")
def power(base: Any, exponent: Any) -> Any:
    if not isinstance(exponent, np.ndarray):
        return _general(base, exponent)
    values = np.unique(exponent)
    if values.size != 1 or not isinstance(base, jnp.ndarray):
        return _general(base, exponent)
    value = float(values[0])
    if value.is_integer() and abs(value) <= LARGEST_POWER:
        return lax.integer_pow(base, int(value))
    if value in (0.5, -0.5):
        return lax.sqrt(base) if value > 0 else lax.rsqrt(base)
    return lax.pow(base, jnp.full(base.shape, value, base.dtype))


def _general(base: Any, exponent: Any) -> Any:
    """2^(y log2 |x|), negative for a negative base and an odd exponent; 0 for a base of 0, 1 for an exponent of 0."""
    exponent = jnp.asarray(exponent).astype(base.dtype)
    magnitude = jnp.abs(base)
    zero = magnitude == 0
    logarithm = jnp.log2(jnp.where(zero, jnp.ones_like(magnitude), magnitude))
    result = jnp.where(zero, (exponent == 0).astype(base.dtype), jnp.exp2(exponent * logarithm))
    if isinstance(base, np.ndarray) and not np.any(base < 0):
        return result
    odd = exponent - 2 * jnp.floor(exponent / 2) == 1
    return jnp.where((base < 0) & odd, -result, result)
