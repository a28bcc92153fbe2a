"""Passes: a folded graph computes what the captured one computes; ranges are what the arrays hold."""

from __future__ import annotations

import tracemalloc
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from prover.lowering.capture import capture
from prover.lowering.graph import FloatGraph, Stacked, evaluate
from prover.lowering.passes import calibrate as passes
from prover.lowering.passes.calibrate import calibrate
from prover.lowering.passes.drawn import drawn
from prover.lowering.passes.fold import fold
from prover.lowering.passes.hints import FormatPlan
from rollup.errors import LoweringError
from tests.prover.cases import CASES, Case, reals


def _stacked(graph: FloatGraph) -> bool:
    bodies = [node.body for node in graph.nodes if node.body is not None]
    return any(isinstance(x, Stacked) for body in bodies for node in body.nodes for x in node.inputs) or any(
        map(_stacked, bodies)
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_folding_keeps_the_function(case: Case) -> None:
    graph, _, _ = capture(case.fn, case.inputs)
    folded = fold(graph)
    assert len(folded.nodes) <= len(graph.nodes)
    if _stacked(folded):
        # A stacked constant exists only per iteration; the lockstep tests run such bodies.
        return
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(case.inputs)]
    # Compiled whole: primitive by primitive, XLA compiles each of them.
    both = jax.jit(lambda leaves: (evaluate(graph, leaves), evaluate(folded, leaves)))(leaves)
    for before, after in zip(*both, strict=True):
        np.testing.assert_allclose(np.asarray(before), np.asarray(after), rtol=1e-6, atol=1e-6)


def test_constants_are_folded_in_and_out_of_scans() -> None:
    weights = reals(5, 4)

    def run(xs: Any) -> Any:
        return lax.scan(lambda c, pair: (c + pair[0] * jnp.exp(pair[1] * 2), c), jnp.zeros(4) + 1, (xs, weights))

    folded = fold(capture(run, (reals(5, 4),))[0])
    (scan,) = folded.nodes
    assert scan.body is not None
    assert [node.name for node in scan.body.nodes] == ["mul", "add"]
    (stacked,) = [x for node in scan.body.nodes for x in node.inputs if isinstance(x, Stacked)]
    np.testing.assert_allclose(stacked.array, np.exp(weights * 2), rtol=1e-6)


def test_ranges_cover_all_samples_and_all_iterations() -> None:
    def run(x: Any) -> Any:
        return lax.fori_loop(0, 4, lambda _, c: c * 2.0, x)

    graph, _, _ = capture(run, (np.ones(2, np.float32),))
    ranges = calibrate(graph, [[np.array([1.0, -3.0], np.float32)], [np.array([0.5, 2.0], np.float32)]], FormatPlan())
    scan = next(node for node in graph.nodes if node.body is not None)
    assert scan.body is not None
    doubled = next(node for node in scan.body.nodes if node.name == "mul")
    assert (ranges[doubled.outputs[0]].low, ranges[doubled.outputs[0]].high) == (-48.0, 32.0)
    assert (ranges[graph.inputs[0]].low, ranges[graph.inputs[0]].high) == (-3.0, 2.0)


def test_infinities_are_left_out_of_ranges_and_nan_results_are_refused() -> None:
    graph, _, _ = capture(lambda x: jnp.where(x > 0, x, -jnp.inf), (np.ones(2, np.float32),))
    ranges = calibrate(graph, [[np.array([1.0, -3.0], np.float32)]], FormatPlan())
    assert ranges[graph.outputs[0]].low == 1.0  # type: ignore[index]
    bad, _, _ = capture(jnp.log, (np.ones(2, np.float32),))
    with pytest.raises(LoweringError, match="gives NaN on a calibration sample"):
        calibrate(bad, [[np.array([-1.0, 1.0], np.float32)]], FormatPlan())


def _everywhere(x: Any, steps: Any, flag: Any) -> Any:
    """Loops, loops in loops, constants alone, integers, masks, a parameter that can't be compared."""

    def body(carry: Any, step: Any) -> tuple[Any, Any]:
        inner = lax.fori_loop(0, 3, lambda _, c: c * 0.5 + step, carry)
        return inner, jnp.where(flag, inner, -jnp.inf)

    last, rows = lax.scan(body, x, steps)
    places = jnp.arange(4, dtype=jnp.int32) * 2
    return jax.nn.softmax(rows, -1) + last, x[None] * jnp.cos(places), jnp.argsort(x), x @ reals(4, 3)


def test_samples_that_run_together_are_seen_as_each_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = [[reals(4) * at, reals(5, 4) + at, np.arange(4) <= at] for at in range(3)]
    graph, _, _ = capture(_everywhere, samples[0])
    found = {}
    for together in (1, 2, 64):
        monkeypatch.setattr(passes, "TOGETHER", together)
        found[together] = calibrate(graph, samples, FormatPlan())
    held: dict[Any, list[np.ndarray]] = {}
    for sample in samples:
        for var, x in zip(graph.inputs, sample, strict=True):
            held.setdefault(var, []).append(np.asarray(x))

        def watch(node: Any, outputs: list[Any]) -> None:
            for var, x in zip(node.outputs, outputs, strict=True):
                held.setdefault(var, []).append(np.asarray(x))

        evaluate(graph, sample, watch)
    for var, alone in found[1].items():
        for other in (found[2][var], found[64][var]):
            assert other.infinite == alone.infinite
            for name in ("low", "high", "typical"):
                assert getattr(other, name) == pytest.approx(getattr(alone, name), rel=1e-4, abs=1e-6)
        if var in held:
            finite = np.concatenate([x[np.isfinite(x)].astype(np.float64) for x in held[var]])
            assert alone.low == pytest.approx(finite.min(), rel=1e-5, abs=1e-6)
            assert alone.high == pytest.approx(finite.max(), rel=1e-5, abs=1e-6)
            assert alone.infinite == any(np.isinf(x).any() for x in held[var])
    assert len(held) >= 15 and len(found[1]) > len(held)


def test_equal_primitives_are_compiled_once() -> None:
    """A chain of 200 steps is compiled as its few kinds of steps; as one function it would take minutes."""

    def chain(x: Any) -> Any:
        for _ in range(50):
            x = jax.nn.sigmoid(x * 1.5) + jnp.flip(x, 0)
        return x

    graph, _, _ = capture(chain, (reals(8),))
    observe = passes._Observer(graph, FormatPlan(), 3, {}, {})
    observe([np.stack([reals(8)] * 3)])
    assert len(graph.nodes) >= 200 and len(observe._primitives.compiled) <= 6


def test_weights_are_not_copied_to_see_what_is_drawn() -> None:
    weights = np.ones((512, 1024), np.float32)
    graph, _, _ = capture(lambda x: x * weights, (weights[0],))
    tracemalloc.start()
    assert drawn(graph) == {}
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < weights.nbytes / 8
