"""A model that writes one token after the other, with what it needs of the former ones in the carry of a loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from prover import lower
from prover.model import Model

WORDS, WIDTH, STEPS = 24, 12, 8


def _weights(*shape: int, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=shape) / np.sqrt(shape[0])).astype(np.float32)


EMBEDDING = _weights(WORDS, WIDTH, seed=1) * 5
QUERY, KEY, VALUE, HEAD = (_weights(WIDTH, n, seed=k) for k, n in enumerate((WIDTH, WIDTH, WIDTH, WORDS), start=2))


def _normed(x: jax.Array) -> jax.Array:
    return x * lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-6)


def greedy(mask: float, norm: Callable[[jax.Array], jax.Array]) -> Callable[[Any], Any]:
    """The tokens that follow a first one; both ways in which a cache is written."""

    def run(token: Any) -> Any:
        def step(carry: Any, place: Any) -> Any:
            token, keys, values = carry
            x = jnp.asarray(EMBEDDING)[token]
            keys = lax.dynamic_update_slice(keys, (x @ KEY)[None], (place, 0))
            values = values.at[place].set(x @ VALUE)
            scores = jnp.where(jnp.arange(STEPS) <= place, keys @ (x @ QUERY) / np.sqrt(WIDTH), mask)
            chosen = jnp.argmax(norm(x + jax.nn.softmax(scores) @ values) @ HEAD).astype(jnp.int32)
            return (chosen, keys, values), chosen

        empty = jnp.zeros((STEPS, WIDTH))
        return lax.scan(step, (token, empty, empty), jnp.arange(STEPS))[1]

    return run


@pytest.mark.parametrize(
    ("mask", "norm"),
    [(-1e9, _normed), (-1e4, _normed), (-jnp.inf, _normed), (-1e9, lambda x: x)],
    ids=["large", "small", "infinite", "without a norm"],
)
def test_greedy_decoding_in_one_program_chooses_as_the_float_function(mask: float, norm: Callable[[Any], Any]) -> None:
    seen = [(np.int32(token),) for token in range(0, WORDS, 2)]
    model: Model = lower(greedy(mask, norm), *seen[0], calibration=seen)
    (output,) = model.fidelity([(np.int32(token),) for token in range(1, WORDS, 2)]).outputs
    assert output.agreement == 1.0
    assert output.relative == 0.0
