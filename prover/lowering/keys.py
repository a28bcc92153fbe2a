"""Random keys as arrays: a key is its data, uint32 numbers in one axis behind its own.

Bits are drawn by threefry2x32, which is integer arithmetic and the same on every machine. What ``rbg`` and ``unsafe_rbg`` draw is
up to the compiler, so that their keys can be constants only.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax.extend import random

from rollup.errors import UnsupportedError

GENERATOR = random.threefry_prng_impl


def is_key(x: Any) -> bool:
    """Whether an array, or its abstract value, is of typed random keys."""
    return hasattr(x, "dtype") and bool(jax.numpy.issubdtype(x.dtype, jax.dtypes.extended))


def data(x: Any) -> Any:
    """An array as NumPy has it: of keys their data."""
    return np.asarray(jax.random.key_data(x) if is_key(x) else x)


def typed(x: Any, like: Any) -> Any:
    """An array as what was traced on ``like`` takes it: data as keys again."""
    return jax.random.wrap_key_data(x, impl=_generator(like)) if is_key(like) else x


def stored(aval: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype of an array in the graph; raises UnsupportedError for keys of another generator than threefry2x32."""
    if not is_key(aval):
        return tuple(int(n) for n in aval.shape), np.dtype(aval.dtype)
    check(aval)
    return (*(int(n) for n in aval.shape), *GENERATOR.key_shape), np.dtype(np.uint32)


def check(aval: Any) -> None:
    """Raises UnsupportedError for keys whose bits no program can draw."""
    name = str(_generator(aval))
    if name != GENERATOR.name:
        raise UnsupportedError(
            f"what a key of {name} draws is up to the compiler and the device, so that no two machines could agree about it; "
            f'make the key with impl="{GENERATOR.name}"'
        )


def _generator(aval: Any) -> Any:
    """The generator of an abstract key, as ``wrap_key_data`` takes it."""
    return jax.random.key_impl(jax.numpy.empty((), aval.dtype))
