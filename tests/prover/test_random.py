"""Random numbers from keys and seeds that are inputs: bits exact, what is made of them as close as its format, tails included."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from prover import lower
from prover.lowering.capture import capture
from prover.lowering.passes.drawn import drawn
from rollup.errors import UnsupportedError
from tests.prover.cases.random import ABOVE, TINY, between, gumbel, normal


def typed(key: Any) -> Any:
    return jax.random.wrap_key_data(key, impl="threefry2x32")


def some_keys(number: int, *shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(number).integers(0, 2**32, (*shape, 2), dtype=np.uint32)


def test_bits_of_ten_thousand_keys_are_those_of_jax() -> None:
    def bits(keys: Any) -> Any:
        return jax.vmap(lambda key: jax.random.bits(typed(key), (2,)))(keys)

    keys = some_keys(1, 10_000)
    keys[:4] = [[0, 0], [0, 1], [0xFFFFFFFF, 0xFFFFFFFF], [1 << 31, 0]]
    model = lower(bits, keys, calibration=[(keys,)])
    expected = np.asarray(jax.jit(bits)(keys))
    assert len(np.unique(expected)) > 19_990
    np.testing.assert_array_equal(model.predict(keys), expected)
    # Twenty rounds of two words each, and what stands around them.
    assert len(model.program.ops) <= 50


def test_noise_is_right_up_to_the_ends_of_its_grid() -> None:
    rng = np.random.default_rng(2)
    near = np.arange(300)
    grid = np.r_[near, (1 << 23) - 1 - near, (1 << 22) - 150 + near, rng.integers(0, 1 << 23, 4000)]
    bits = ((grid << 9) | rng.integers(0, 512, grid.size)).astype(np.uint32)

    def noise(bits: Any) -> Any:
        return (
            between(bits, 0.0, 1.0),
            between(bits, -3.0, 5.0),
            normal(bits),
            gumbel(bits),
            -jnp.log1p(-between(bits, 0, 1)),
        )

    # Calibration sees the middle only: the ends follow from the functions.
    middle = rng.integers(3 << 29, 5 << 29, grid.size, dtype=np.uint32)
    model = lower(noise, bits, calibration=[(middle,)])
    expected = [np.asarray(x) for x in noise(bits)]
    found = [np.asarray(x) for x in model.predict(bits)]
    assert np.abs(expected[2]).max() > 5.2 and expected[3].max() > 15.9 and expected[3].min() < -4.4
    for number in (0, 1):
        np.testing.assert_array_equal(found[number], expected[number])
    for number in (2, 3, 4):
        np.testing.assert_allclose(found[number], expected[number], atol=1e-4)


def test_sampled_tokens_are_those_of_the_float_function() -> None:
    def sampled(bits: Any, more: Any, logits: Any) -> Any:
        noisy = jnp.argmax(logits[:, None] / 0.8 + gumbel(bits), -1)
        passed = jnp.cumsum(jax.nn.softmax(logits), -1)[:, None] < between(more, 0.0, 1.0)[..., None]
        return noisy, jnp.sum(passed, -1)

    rng = np.random.default_rng(3)

    def drawn(count: int) -> Any:
        bits = rng.integers(0, 2**32, (10, count, 51), dtype=np.uint32)
        return bits[..., 1:], bits[..., 0], (rng.normal(size=(10, 50)) * 3).astype(np.float32)

    model = lower(sampled, *drawn(250), calibration=[drawn(250) for _ in range(3)])
    float_function, agreed = jax.jit(sampled), []
    for _ in range(4):
        sample = drawn(250)
        agreed.append([np.mean(a == b) for a, b in zip(model.predict(*sample), float_function(*sample), strict=True)])
    assert np.all(np.mean(agreed, 0) >= 0.999), np.mean(agreed, 0)


def test_a_diffusion_loop_from_a_seed_stays_with_the_float_function() -> None:
    rng = np.random.default_rng(6)
    first, second = ((rng.normal(size=s) / np.sqrt(s[0])).astype(np.float32) for s in ((16, 32), (32, 16)))

    def denoised(seed: Any) -> Any:
        key = jax.random.key(seed)

        def step(x: Any, t: Any) -> Any:
            noise = jax.random.normal(jax.random.fold_in(key, t), (16,))
            return (x - 0.1 * jnp.tanh(x @ first) @ second) / 0.98 * 0.95 + 0.1 * noise, None

        return lax.scan(step, jax.random.normal(key, (16,)), np.arange(20, dtype=np.int32))[0]

    model = lower(denoised, np.int32(0), calibration=[(np.int32(seed),) for seed in range(8)])
    (difference,) = model.fidelity([(np.int32(seed),) for seed in range(100, 108)]).outputs
    assert difference.relative is not None and 0 < difference.relative <= 1e-3, difference
    assert difference.largest <= 1e-3, difference


def test_typed_keys_are_inputs_of_their_data() -> None:
    def fn(keys: Any, x: Any) -> Any:
        return {"next": keys[1], "words": jax.random.bits(keys[0], (3,)), "twice": 2 * x}

    keys = jax.random.split(jax.random.key(9), 2)
    x = np.linspace(-1, 1, 3, dtype=np.float32)
    model = lower(fn, keys, x, calibration=[(keys, x)])
    port = model.program.interface.inputs[0]
    assert (port.name, port.dtype, model.program.header.inputs[0].shape) == ("keys", "uint32", (2, 2))
    other = jax.random.split(jax.random.key(10), 2)
    for given in (other, jax.random.key_data(other)):
        got = model.predict(given, x)
        np.testing.assert_array_equal(got["words"], jax.random.bits(other[0], (3,)))
        np.testing.assert_array_equal(got["next"], jax.random.key_data(other)[1])
    assert model.fidelity([(other, x)]).agreement == 1


def _bits(target: Any) -> Any:
    return lambda x: lax.bitcast_convert_type(x, target)


UNENDING: list[Any] = [
    lambda key: jax.random.gamma(key, 2.0, (5,)),
    lambda key: jax.random.beta(key, 2.0, 3.0, (3,)),
    lambda key: jax.random.dirichlet(key, jnp.ones(3)),
    lambda key: jax.random.ball(key, 3),
    lambda key: jax.random.t(key, 5.0, (5,)),
]
"""What draws until a number is accepted."""


@pytest.mark.parametrize(
    ("fn", "example", "words"),
    [
        (lambda x: jax.random.bits(x), jax.random.key(0, impl="rbg"), 'a key of rbg draws .*impl="threefry2x32"'),
        (
            lambda x: jax.random.bits(jax.random.wrap_key_data(x, impl="unsafe_rbg")),
            np.zeros(4, np.uint32),
            'random_wrap at .*a key of unsafe_rbg draws .*impl="threefry2x32"',
        ),
        (lambda x: jax.random.bits(jax.random.key(x, impl="rbg")), np.int32(0), "random_seed at .*a key of rbg draws"),
        *(
            (draw, np.zeros(2, np.uint32), "random_gamma at .*draws until a number is accepted.*an input")
            for draw in UNENDING
        ),
        (_bits(np.float32), np.uint32(3), r"from 0 to 4294967295 for bits of float32.*join .*23 bits, .*0x3f800000"),
        (_bits(np.int32), np.float32(3), "it takes the bits of float32 for int32; convert the numbers"),
        (_bits(np.uint8), np.uint32(3), "it takes the bits of uint32 for uint8; convert the numbers"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_its_reason(fn: Any, example: Any, words: str) -> None:
    with pytest.raises(UnsupportedError, match=words):
        lower(fn, example)


def test_drawn_values_lie_in_the_interval_that_follows_from_the_bits() -> None:
    def intervals(fn: Any) -> tuple[float, float] | None:
        graph = capture(fn, (np.zeros(4, np.uint32), np.zeros(4, np.float32)))[0]
        (out,) = graph.outputs
        return drawn(graph).get(out)  # type: ignore[arg-type]

    assert intervals(lambda b, x: between(b, 0.0, 1.0)) == (0, 1 - 2**-23)
    assert intervals(lambda b, x: between(b, ABOVE, 1.0)) == (-1 + 2**-24, 1 - 3 * 2**-24)
    assert intervals(lambda b, x: jnp.square(between(b, ABOVE, 1.0)))[0] == 0  # type: ignore[index]
    low, high = intervals(lambda b, x: gumbel(b))  # type: ignore[misc]
    assert low == pytest.approx(-np.log(-np.log(TINY))) and high == pytest.approx(np.log(2.0) * 23, abs=1e-3)
    # What an input takes part in, and what is infinite at an end, is left to calibration.
    assert intervals(lambda b, x: between(b, 0.0, 1.0) + x) is None
    assert intervals(lambda b, x: jnp.log(between(b, 0.0, 1.0))) is None
    assert intervals(lambda b, x: b.astype(jnp.float32)) is None
