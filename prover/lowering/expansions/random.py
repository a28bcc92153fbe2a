"""Random bits: what JAX itself does with the data of threefry keys, and the rounds of the hash below it.

Keys are uint32 arrays whose last axis holds their data (``prover.lowering.keys``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from prover.lowering.expansions.table import expansion
from prover.lowering.keys import GENERATOR

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = np.uint32(0x1BD11BDA)


@expansion("threefry2x32")
def threefry(first: Any, second: Any, high: Any, low: Any) -> list[Any]:
    """Twenty rounds on a counter of two words (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011)."""
    shape = jnp.broadcast_shapes(*(x.shape for x in (first, second, high, low)))
    key = (first, second, first ^ second ^ PARITY)
    x, y = high + key[0], low + key[1]
    for group in range(5):
        for by in ROTATIONS[group % 2]:
            x = x + y
            y = x ^ ((y << np.uint32(by)) | (y >> np.uint32(32 - by)))
        x = x + key[(group + 1) % 3]
        y = y + (key[(group + 2) % 3] + np.uint32(group + 1))
    return [jnp.broadcast_to(word, shape) for word in (x, y)]


@expansion("random_wrap", "random_unwrap", "random_clone")
def same(key: Any, **_: Any) -> Any:
    return key


@expansion("random_seed")
def seed(seeds: Any, **_: Any) -> Any:
    return _each(GENERATOR.seed, seeds.shape, seeds)


@expansion("random_bits")
def bits(key: Any, *, bit_width: int, shape: Sequence[int]) -> Any:
    return _each(lambda k: GENERATOR.random_bits(k, bit_width, tuple(shape)), key.shape[:-1], key)


@expansion("random_split")
def split(key: Any, *, shape: Sequence[int]) -> Any:
    return _each(lambda k: GENERATOR.split(k, tuple(shape)), key.shape[:-1], key)


@expansion("random_fold_in")
def fold_in(key: Any, message: Any) -> Any:
    shape = jnp.broadcast_shapes(key.shape[:-1], message.shape)
    return _each(
        GENERATOR.fold_in, shape, jnp.broadcast_to(key, (*shape, key.shape[-1])), jnp.broadcast_to(message, shape)
    )


def _each(fn: Callable[..., Any], shape: tuple[int, ...], *operands: Any) -> Any:
    """``fn`` of every key or seed of a shape."""
    if not shape:
        return fn(*map(jnp.asarray, operands))
    result = jax.vmap(fn)(*(jnp.reshape(x, (-1, *x.shape[len(shape) :])) for x in operands))
    return result.reshape(*shape, *result.shape[1:])
