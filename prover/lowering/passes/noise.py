"""Noise: what the rounding of each stored value costs the results, as the float function itself carries it there.

Rounding to a grid adds noise of a known variance to a value's elements. The function's derivatives say what becomes of it in the
results: a random mixture of a result's elements, differentiated backwards, meets every value on the way, and the mean of its
gradient's squares is the factor between the two variances. One pass backwards gives it for all values together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from prover.lowering.formats import is_real
from prover.lowering.graph import FloatGraph, Var, bind, scan

PROBES = 2
"""Random mixtures of the results, a sample."""


@jax.custom_vjp
def _tapped(x: Any, w: Any) -> Any:
    """x; what is differentiated by ``w`` is the sum of the squares of what x is differentiated by."""
    return x


_tapped.defvjp(lambda x, w: (x, None), lambda _, g: (g, jnp.sum(jnp.square(g.astype(jnp.float32)))))


def rounding_costs(graph: FloatGraph, samples: Sequence[Sequence[Any]], steps: Mapping[Var, float]) -> dict[Var, float]:
    """By variable: the mean square that its rounding to a grid of ``steps`` adds to the results, each over its range, in all.

    Runs the graph primitive by primitive, forwards and backwards. Raises NotImplementedError where JAX has no derivative.
    """
    taken = {var: number for number, var in enumerate(steps)}
    total = np.zeros(len(taken))
    random = np.random.default_rng(0)
    for sample in samples:

        def run(taps: Any, sample: Sequence[Any] = sample) -> list[Any]:
            results = _run(graph, sample, taken, taps)
            return [x for x in results if is_real(jnp.asarray(x).dtype)]

        results, back = jax.vjp(run, jnp.zeros(len(taken), jnp.float32))
        spreads = [float(jnp.ptp(x)) or float(jnp.abs(x).max()) or 1.0 for x in results]
        for _ in range(PROBES):
            # The mean over a result's elements, of the error over its range.
            mixed = [
                jnp.asarray(random.standard_normal(x.shape) / (spread * math.sqrt(max(x.size, 1))), x.dtype)
                for x, spread in zip(results, spreads, strict=True)
            ]
            total += np.asarray(back(mixed)[0], np.float64)
    mean = total / (PROBES * len(samples))
    # Where a derivative is not a number, nothing is known.
    known = np.nan_to_num(mean, nan=0.0)
    return {var: float(known[number]) * steps[var] ** 2 / 12 for var, number in taken.items()}


def _run(graph: FloatGraph, inputs: Sequence[Any], taken: Mapping[Var, int], taps: Any) -> list[Any]:
    env: dict[Var, Any] = {}

    def give(var: Var, x: Any) -> None:
        env[var] = _tapped(x, taps[taken[var]]) if var in taken else x

    for var, x in zip(graph.inputs, inputs, strict=True):
        give(var, jnp.asarray(x))
    for node in graph.nodes:
        arguments = [env[x] if isinstance(x, Var) else x for x in node.inputs]
        if node.body is None:
            outputs = bind(node, arguments)
        else:
            outputs = scan(node, arguments, lambda body, given: (_run(body, given, taken, taps), ()))[0]
        for var, x in zip(node.outputs, outputs, strict=True):
            give(var, x)
    return [env[x] if isinstance(x, Var) else x for x in graph.outputs]
