"""Where a program loses precision, and what lowering does about it by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prover import Model, lower
from prover.lowering.passes.noise import rounding_costs
from prover.lowering.precision import Compared
from rollup.errors import LoweringError
from touchstone.models.compare import first_lost, table

RANDOM = np.random.default_rng(7)
OFFSET = 1000.0
INTO, OUT = (RANDOM.standard_normal(shape).astype(np.float32) for shape in ((6, 8), (7, 3)))
STEPS = np.eye(8, 7, dtype=np.float32) - np.eye(8, 7, -1, dtype=np.float32)
Sample = tuple[Any, ...]


def offset(x: Any) -> Any:
    """A small network whose first value is an offset with little on top, of which only differences count."""
    h = x @ INTO + OFFSET
    return jnp.tanh(h @ STEPS) @ OUT


def rows(count: int, seed: int = 0) -> list[Sample]:
    return [(one,) for one in np.random.default_rng(seed).standard_normal((count, 4, 6)).astype(np.float32)]


CHANNELS, SIDE = 4, 6
FIRST, GROWING, LAST = (
    (RANDOM.standard_normal((o, i, 3, 3)) * gain / np.sqrt(9 * i)).astype(np.float32)
    for o, i, gain in ((CHANNELS, 1, 1), (CHANNELS, CHANNELS, 3e5), (1, 2 * CHANNELS, 1))
)
FILM = (3 * RANDOM.standard_normal((4, 2 * CHANNELS))).astype(np.float32)


def _conv(x: Any, weights: Any) -> Any:
    return jax.lax.conv_general_dilated(x, weights, (1, 1), "SAME")


def _group_norm(x: Any, groups: int) -> Any:
    parts = x.reshape(1, groups, -1)
    centred = parts - parts.mean(2, keepdims=True)
    return (centred * jax.lax.rsqrt(jnp.square(centred).mean(2, keepdims=True) + 1e-5)).reshape(x.shape)


def denoiser(x: Any, sigma: Any) -> Any:
    """The end of a denoising network: a scale and a shift by the noise's angle, and a skip connection beside 10^6 in a group norm."""
    angle = jnp.log(sigma)[:, None] * 250 * np.array([1, 0.3], np.float32)
    scale, shift = jnp.split((jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], 1) @ FILM)[:, :, None, None], 2, 1)
    skip = _conv(x, FIRST)
    h = _conv(jax.nn.relu(skip * (1 + scale) + shift), GROWING)
    return _conv(_group_norm(jnp.concatenate([h, skip], 1), 4), LAST)


def noisy(count: int, seed: int = 0) -> list[Sample]:
    random, waves = np.random.default_rng(seed), np.sin(np.arange(SIDE) * 0.4)
    found = []
    for sigma in np.exp(random.uniform(np.log(0.3), np.log(1.2), count)):
        image = np.add.outer(waves, waves) + sigma * random.standard_normal((SIDE, SIDE))
        found.append((image.astype(np.float32)[None, None], np.array([sigma], np.float32)))
    return found


def lowered(fn: Callable[..., Any], samples: Sequence[Sample]) -> Model:
    return lower(fn, *samples[0], calibration=samples)


@pytest.fixture(scope="module")
def starved() -> Model:
    """The network with 16 bits for its offset value, as it would be lowered if nobody looked at what came out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(import_module("prover.lowering.lower"), "ATTEMPTS", 0)
        return lowered(offset, rows(4))


def test_single_numbers_are_compared_too() -> None:
    model = lowered(lambda x: jnp.sqrt(jnp.sum(jnp.square(x))), rows(2))
    found = model.compared(rows(1))
    assert found[-1].elements == 1 and found[-1].rms is not None and found[-1].rms < 1e-3


def test_the_first_value_in_which_precision_is_lost_is_the_starved_one(starved: Model) -> None:
    found = starved.compared(rows(2, 1))
    first = first_lost(found)
    assert first is not None and first.value == 2 and "test_precision.py" in first.name
    assert first.rms is not None and first.rms > 1e-3
    assert first.low is not None and first.low > OFFSET / 2
    lines = table(found)
    assert sum("precision is lost here" in line for line in lines) == 1
    assert lines[-1] == f"precision is lost first in {first}"


def test_values_are_paired_with_the_arrays_that_they_stand_for(starved: Model) -> None:
    def errors(found: Sequence[Compared]) -> list[float | None]:
        return [one.rms for one in found]

    given = rows(1, 1)
    found = starved.compared(given)
    # An input and what the first product reads of it, the offset value, the hyperbolic tangent and the result, none but the second
    # without its array; the last is the result's own error.
    assert [one.name.split()[0] for one in found] == ["input", *["dot_general"] * 4]
    assert [one.elements for one in found] == [24, 24, 32, 28, 12] and not any(one.saturated for one in found)
    expected, own = starved.floats(*given[0])[0], np.asarray(starved.predict(*given[0]))
    assert found[-1].largest == pytest.approx(float(np.abs(expected - own).max() / np.ptp(expected)), rel=1e-3)
    # A value that is said to lie otherwise in memory shows it.
    narrowed, offset, *others = starved.program.meta["stands"]
    notes = [narrowed, [*offset, 1, 0], *others]
    other = starved.noted(stands=notes)
    assert max(x or 0 for x in errors(other.compared(given))) > 0.1


@pytest.mark.parametrize("notes", [None, [], [[10**6]], [["0"], *[None] * 3], [[0, 1], *[None] * 3]])
def test_a_note_that_does_not_fit_the_function_is_refused(starved: Model, notes: Any) -> None:
    with pytest.raises(LoweringError, match="lower it again"):
        starved.noted(stands=notes).compared(rows(1))


def test_lowering_gives_more_bits_to_what_costs_the_result_most() -> None:
    model = lowered(offset, rows(4))
    assert model.fidelity(rows(4, 1)).distance < 5e-4
    assert model.program.ops[0].dtype.size == 4
    assert first_lost(model.compared(rows(2))) is None


def test_the_cost_of_rounding_is_what_rounding_costs(starved: Model) -> None:
    from prover.lowering.capture import capture
    from prover.lowering.passes.simplify import simplified

    given = rows(4)
    graph = simplified(capture(offset, given[0])[0])
    var = next(var for var, node in graph.variables() if node is not None and node.name == "add")
    step = 2.0**-6

    def rounded(x: Any) -> Any:
        h = np.rint((x @ INTO + OFFSET) / step) * step
        return np.tanh(h @ STEPS) @ OUT

    (cost,) = rounding_costs(graph, given, {var: step}).values()
    differences = [np.asarray(offset(*x)) - rounded(*x) for x in given]
    spread = np.mean([np.ptp(np.asarray(offset(*x))) for x in given])
    assert cost**0.5 == pytest.approx(float(np.sqrt(np.mean(np.square(differences)))) / spread, rel=0.5)


def test_a_skip_connection_beside_a_million_keeps_its_meaning_through_a_group_norm() -> None:
    model = lowered(denoiser, noisy(4))
    assert model.fidelity(noisy(3, 1)).distance < 5e-3
    # Every group lies on one level where it is stored: no value has to hold both.
    assert max(len(op.accesses) for op in model.program.ops) < 24
