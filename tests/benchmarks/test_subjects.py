"""Subjects: their ONNX twins compute what their float functions compute, and the ops of their programs have the right kinds."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from benchmarks.kinds import BETWEEN_VALUES, LOOKUPS, NORMS, PRODUCTS, SOFTMAX, kind
from benchmarks.profile import singly, without_code
from benchmarks.runtimes import jax_floats, llama_missing, onnx_floats, onnx_missing
from benchmarks.subjects.every import FORMATS, MODULES, absent, subject, subjects, unknown_formats
from benchmarks.subjects.layers import layer, onnx_layer, random_weights
from benchmarks.subjects.nodes import GraphNodes
from benchmarks.subjects.subject import OnnxTwin
from prover import Model, lower
from prover.executor.schedule import SegmentStage

WIDTH, POSITIONS = 128, 8


def _given(count: int) -> list[tuple[np.ndarray]]:
    rng = np.random.default_rng(3)
    return [(rng.standard_normal((POSITIONS, WIDTH), np.float32),) for _ in range(count)]


@pytest.fixture(scope="module")
def small() -> Model:
    weights = random_weights(WIDTH)

    def block(x: jax.Array) -> jax.Array:
        return layer(weights, x)

    return lower(block, *_given(1)[0], calibration=_given(2))


@pytest.mark.parametrize("key", ["digits-mlp", "digits-cnn"])
@pytest.mark.parametrize("batch", [1, 3])
def test_the_twin_of_a_digits_network_has_its_logits(key: str, batch: int) -> None:
    one = subject(key)
    assert one.twin is not None
    given = one.samples(batch)
    wanted = np.reshape(jax_floats(one.fn(), given)(), (batch, 10))
    assert np.allclose(onnx_floats(one.twin(), given, 1)(), wanted, rtol=1e-4, atol=1e-4)


def test_the_twin_of_an_encoder_layer_has_its_values() -> None:
    weights, given = random_weights(WIDTH), _given(2)
    graph = GraphNodes()
    result = onnx_layer(graph, weights, "x", WIDTH // 64)
    twin = OnnxTwin(
        graph.built([("x", np.float32, (POSITIONS, WIDTH))], result), lambda some: {"x": np.stack([x for (x,) in some])}
    )
    wanted = jax_floats(lambda x: layer(weights, x), given)()
    assert np.allclose(onnx_floats(twin, given, 1)(), wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.models
def test_the_twin_of_minilm_has_its_embeddings() -> None:
    one = subject("minilm")
    assert one.twin is not None
    given = one.samples(2)
    assert np.allclose(onnx_floats(one.twin(), given, 1)(), jax_floats(one.fn(), given)(), atol=1e-5)


def test_every_subject_is_found_by_its_key() -> None:
    keys = [one.key for one in subjects()]
    assert len(set(keys)) == len(keys) and {key.split("-")[0] for key in keys} == set(MODULES)
    assert all(subject(key).key == key for key in keys)


def test_formats_that_lowering_does_not_know_are_left_out_with_its_words() -> None:
    unknown = unknown_formats()
    assert {"w16a16", "w8a16"} <= set(FORMATS) - unknown.keys()
    assert all(name in why for name, why in unknown.items())


def test_whoever_does_not_run_says_why() -> None:
    assert onnx_missing(subject("digits-mlp"), None) == ""
    assert "can't be kept to avx2" in onnx_missing(subject("digits-mlp"), "avx2")
    assert onnx_missing(subject("smollm2-16"), None) == "no ONNX graph of this model"
    assert llama_missing(None) in ("", "not installed") or "llama-bench" in llama_missing(None)
    assert absent(subject("digits-mlp")) == ""


def test_the_ops_of_an_encoder_layer_have_their_kinds(small: Model) -> None:
    found = [kind(small.program, j) for j in range(len(small.program.ops))]
    assert found.count(PRODUCTS) == 6
    assert found.count(BETWEEN_VALUES) == 2
    assert found.count(NORMS) >= 6 and found.count(SOFTMAX) == 3 and found.count(LOOKUPS) >= 1


def test_a_product_without_code_gives_its_sums(small: Model) -> None:
    program, executor = small.program, small.executor
    inputs = small.quantize(*_given(1)[0])
    j = next(j for j in range(len(program.ops)) if kind(program, j) == PRODUCTS)
    stage: SegmentStage = without_code(executor, j, singly(program)[j])
    values = executor.values(inputs)
    with jax.enable_x64(True):
        (sums,) = stage({value: jax.numpy.asarray(values[value][None]) for value in stage.needs}).values()
    op = program.ops[j]
    weights = np.asarray(program.seen(op.accesses[1]), np.int64)
    source = values[stage.needs[0]].astype(np.int64)
    assert sums.dtype == np.int64 and np.asarray(sums).size == op.elements
    flat = np.sort(np.asarray(sums).reshape(-1))
    assert np.array_equal(flat, np.sort((source @ weights.reshape(-1, source.shape[-1]).T).reshape(-1)))
