"""Lowering: formats, segments, saved models, refusals. (Each rule by itself: tests/lockstep/test_rules.py.)"""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.extend import core

from prover import Model, load, lower
from prover.fidelity import Fidelity
from prover.lowering.capture import capture
from prover.lowering.emit.emitter import CodeEmitter
from prover.lowering.emit.lazy import LazyOp
from prover.lowering.expansions import EXPANSIONS
from prover.lowering.graph import FloatGraph, Var
from prover.lowering.passes.calibrate import RealRange
from prover.lowering.rules import RULES, linear
from prover.lowering.rules.multipliers import Multipliers
from rollup.audit import intervals
from rollup.errors import EncodingError, ExecutionError, LoweringError, UnsupportedError
from rollup.form.interface import encode_interface
from tests.prover.cases import CASES, lstm, reals

EXAMPLE = reals(3, 4)


def _primitives(graph: FloatGraph) -> set[str]:
    inner = [_primitives(node.body) for node in graph.nodes if node.body is not None]
    return {node.name for node in graph.nodes}.union(*inner)


def test_every_rule_is_used_by_some_case() -> None:
    seen = set().union(*(_primitives(capture(case.fn, case.inputs)[0]) for case in CASES))
    # Names that other versions of JAX trace the same functions to.
    aliases = {"expand_dims", "add_any", "copy_p", "device_put", "optimization_barrier", "copy"}
    assert set(RULES) - seen - aliases == set()


def _traced(jaxpr: Any) -> set[str]:
    """The primitives of a jaxpr and of all jaxprs inside it."""
    found = {eqn.primitive.name for eqn in jaxpr.eqns}
    for inner in jax.tree.leaves([list(eqn.params.values()) for eqn in jaxpr.eqns], is_leaf=_is_jaxpr):
        if _is_jaxpr(inner):
            found |= _traced(getattr(inner, "jaxpr", inner))
    return found


def _is_jaxpr(x: Any) -> bool:
    return isinstance(x, core.ClosedJaxpr | core.Jaxpr)


def test_every_expansion_is_used_by_some_case() -> None:
    seen = set().union(*(_traced(jax.make_jaxpr(case.fn)(*case.inputs).jaxpr) for case in CASES))
    assert set(EXPANSIONS) - seen == set()
    assert not any(
        isinstance(x, Var) for x in capture(lambda x: jnp.sort(jnp.arange(5.0))[::-1], (EXAMPLE,))[0].outputs
    )


@pytest.mark.parametrize(("formats", "relative"), [("w16a16", 5e-4), ("w15a16", 5e-4), ("w8a16", 3e-2)])
def test_formats_reach_their_precision(formats: str, relative: float) -> None:
    weights = reals(64, 32) / 8, reals(32, 10) / 6
    samples = [(reals(64),) for _ in range(50)]
    model = lower(
        lambda x: jax.nn.relu(x @ weights[0]) @ weights[1], samples[0][0], formats=formats, calibration=samples[:20]
    )
    fidelity = model.fidelity(samples[20:])
    assert fidelity.relative <= relative
    stored = {str(array.dtype) for array in model.program.constants.values() if array.size >= 320}
    # What gives an output keeps 16 bits, or 15.
    assert stored == ({"int8", "int16"} if formats == "w8a16" else {"int16"})
    most = max(int(np.abs(array).max()) for array in model.program.constants.values() if array.size >= 320)
    assert most == (32767 if formats == "w16a16" else 16383)


def test_outliers_are_widened() -> None:
    weight = np.ones((64, 2), np.float32)
    scale = np.r_[np.ones(63), 50000.0].astype(np.float32)
    model = lower(lambda x: jnp.exp(x * 0) * x * scale @ weight, np.full(64, 0.001, np.float32))
    assert any(op.dtype.name == "I32" for op in model.program.ops)


@pytest.mark.parametrize("summed", [True, False], ids=["weights added up", "too many of them"])
def test_a_widened_value_has_room_for_a_tail_that_no_sample_showed(
    summed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the MLP of a Gemma has it, whose post-norm makes any magnitude of it a row of the usual size."""
    if not summed:
        monkeypatch.setattr(linear, "SHARP_LIMIT", 0)
        monkeypatch.setitem(intervals.__globals__, "SHARP_LIMIT", 0)
    weight = np.tile(np.eye(64, dtype=np.float32), (1, 32))
    weight[:2, -1] = 600.0
    # Channels of unlike size have multipliers of their own; most weights are small, so that their sum says more than their number.
    last = (np.random.default_rng(0).uniform(size=(2048, 2)) ** 4 * [1.0, 0.3]).astype(np.float32)
    usual = np.r_[1.0, -0.9, np.ones(62)].astype(np.float32)
    rare = np.r_[1.0, -0.25, np.ones(62)].astype(np.float32)

    def normed(x: Any) -> Any:
        hidden = x @ weight
        return hidden * lax.rsqrt(jnp.mean(jnp.square(hidden))) @ last

    expected = np.asarray(normed(rare))
    model = lower(normed, usual)
    np.testing.assert_allclose(model.predict(rare), expected, rtol=1e-3)
    assert (rare @ weight).max() > 7 * (usual @ weight).max()


def test_an_lstm_of_300_steps_is_one_segment() -> None:
    model = lower(lstm(16, 8), reals(300, 8))
    repeats = [segment.repeat for segment in model.program.segments]
    assert repeats.count(300) == 1 and len(model.program.ops) < 20


def test_importing_and_lowering_change_no_global_setting() -> None:
    before = jax.config.jax_enable_x64
    model = lower(lambda x: x @ x.T, EXAMPLE)
    model.predict(EXAMPLE)
    assert jax.config.jax_enable_x64 == before
    assert jnp.asarray(1.0).dtype == jnp.float32


def test_a_saved_model_loads_and_predicts_the_same(tmp_path: Any) -> None:
    model = lower(lambda x: {"y": jnp.tanh(x), "s": (x.sum(),)}, EXAMPLE)
    model.save(tmp_path / "m")
    again = load(tmp_path / "m")
    assert again.program.id == model.program.id
    assert jax.tree.all(jax.tree.map(np.array_equal, model.predict(EXAMPLE), again.predict(EXAMPLE)))
    with pytest.raises(LoweringError, match="without its float function"):
        again.fidelity([(EXAMPLE,)])
    (tmp_path / "m" / "manifest.json").write_text("{")
    with pytest.raises(EncodingError, match=r"manifest\.json is not JSON"):
        load(tmp_path / "m")


def test_missing_calibration_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        model = lower(lambda x: x + 1, EXAMPLE)
    assert "example inputs alone" in caplog.text and model.program.meta["calibration"] == "example inputs"


def _transformed(x: Any) -> Any:
    return jnp.fft.rfft(x)


def _halved_until_small(x: Any) -> Any:
    return lax.while_loop(lambda c: c.sum() > 9, lambda c: c / 2, x)


def _positive(x: Any) -> Any:
    return x[x > 0]


def _turned(x: Any) -> Any:
    return x if x.sum() > 0 else -x


def _assigned(x: Any) -> Any:
    x[0] = 1.0
    return x


@pytest.mark.parametrize(
    ("fn", "error", "words"),
    [
        (
            _transformed,
            UnsupportedError,
            r"fft at .*test_lower\.py:\d+ \(_transformed\): there is no lowering rule.*supported are abs, .*sort",
        ),
        (
            _halved_until_small,
            UnsupportedError,
            r"while at .*test_lower\.py:\d+ \(_halved_until_small\): its trip count depends on the input; loop a fixed",
        ),
        (
            lambda x: lax.while_loop(lambda c: c[0] >= 0, lambda c: (c[0] * 1, c[1]), (0, x)),
            UnsupportedError,
            "while at .*trip count",
        ),
        (lambda x: jnp.sort(jnp.tile(x, (1, 100))), UnsupportedError, r"sort at .*sorts 400 elements .*sort up to 256"),
        (
            lambda x: lax.top_k(jnp.tile(x, (1, 100)), 99),
            UnsupportedError,
            r"top_k at .*takes 99 of 400 elements; take up",
        ),
        (
            lambda x: jnp.zeros(4096).at[jnp.tile(x, (1, 500)).astype(int)].add(1.0),
            UnsupportedError,
            r"scatter-add at .*4096 positions times 6000 updates .*scatter fewer",
        ),
        (
            lambda x: jax.random.normal(jax.random.key(x[0, 0].astype(int), impl="rbg")) + x,
            UnsupportedError,
            'random_seed at .*no two machines could agree about it; make the key with impl="threefry2x32"',
        ),
        (lambda x: jax.pure_callback(np.sin, x, x), UnsupportedError, "pure_callback at .*no lowering rule"),
        (lambda x: jnp.log(-1 - jnp.abs(x)), LoweringError, "gives NaN on a calibration sample"),
        (lambda x: x[:0], LoweringError, "has no elements"),
        (lambda x: jnp.exp(x) @ jnp.full((4, 2), jnp.inf), LoweringError, "a weight is not finite"),
        (lambda x: None, LoweringError, "the function gives no output; return an array"),
        (lambda x: {}, LoweringError, "the function gives no output; return an array"),
        (lambda x: "a", LoweringError, "it returns something that is no array; return an array"),
        (np.sin, LoweringError, r"can't trace the function .*TracerArrayConversionError\): .*jax.numpy"),
        (_positive, LoweringError, r"at .*test_lower\.py:\d+ \(_positive\) .*keep all elements .*jax.numpy.where"),
        (_turned, LoweringError, r"at .*test_lower\.py:\d+ \(_turned\) .*a branch .*jax.numpy.where or jax.lax.cond"),
        (lambda x: [1, 2, 3][x[0, 0].astype(int)] * x, LoweringError, "a position or a count of Python depends on"),
        (lambda x: float(x[0, 0]) * x, LoweringError, "a number of Python depends on the input there"),
        (lambda x: jnp.ones(x[0, 0].astype(int)), LoweringError, "a number of Python depends on the input there"),
        (_assigned, LoweringError, r"at .*\(_assigned\) .*write x = x.at\[index\].set\(value\)"),
        (lambda x: (x + 1j).real, UnsupportedError, "gives complex numbers; compute with real and imaginary parts"),
    ],
)
def test_refusals_name_the_thing_and_the_remedy(fn: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        lower(fn, EXAMPLE)


def test_what_jax_says_of_a_function_that_it_cannot_trace_is_kept() -> None:
    with pytest.raises(LoweringError) as raised:
        lower(_turned, EXAMPLE)
    assert isinstance(raised.value.__cause__, jax.errors.TracerBoolConversionError)
    with pytest.raises(KeyError, match="mine"):
        lower(lambda x: x + {}["mine"], EXAMPLE)


def test_bad_arguments_of_lower_are_refused() -> None:
    with pytest.raises(LoweringError, match="no formats named 'w4a4'; write w16a16, w15a16 or w8a16"):
        lower(lambda x: x, EXAMPLE, formats="w4a4")
    with pytest.raises(LoweringError, match="at least one example input"):
        lower(lambda: jnp.ones(3))
    with pytest.raises(LoweringError, match=r"write \(x,\) for a single input"):
        lower(lambda x: x, EXAMPLE, calibration=[EXAMPLE])  # type: ignore[list-item]
    with pytest.raises(LoweringError, match=r"input 0 of a calibration sample has shape \(2, 4\)"):
        lower(lambda x: x, EXAMPLE, calibration=[(EXAMPLE[:2],)])
    with pytest.raises(
        LoweringError, match="input 0 of a calibration sample holds -1e\\+300, which float32 can't hold"
    ):
        lower(lambda x: x, EXAMPLE, calibration=[(np.full(EXAMPLE.shape, -1e300),)])


@pytest.fixture(scope="module")
def two_inputs() -> Model:
    return lower(lambda x, n: x * n.astype(jnp.float32), EXAMPLE, np.arange(4, dtype=np.int8))


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ((EXAMPLE,), "takes 2 input arrays, 1 were given"),
        ((EXAMPLE[:2], np.zeros(4, np.int8)), r"input x has shape \(2, 4\), the model takes \(3, 4\)"),
        ((EXAMPLE * np.nan, np.zeros(4, np.int8)), "input x has an element that is not finite"),
        (
            (np.where(EXAMPLE[2, 1] == EXAMPLE, np.inf, EXAMPLE), np.zeros(4, np.int8)),
            r"not finite, inf at \[2, 1\]; a program has no NaN or infinity, give finite numbers",
        ),
        ((EXAMPLE, np.zeros(4, np.float32)), "input n has dtype float32, the model takes integers"),
        ((EXAMPLE, np.full(4, 300)), "input n has values outside of I8"),
    ],
)
def test_bad_inputs_are_refused(two_inputs: Model, inputs: Any, words: str) -> None:
    with pytest.raises(ExecutionError, match=words):
        two_inputs.predict(*inputs)


def test_inputs_beyond_the_format_saturate_and_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    model = lower(lambda x: x > 0.5, EXAMPLE)
    far = np.full_like(EXAMPLE, 1e6)
    tensor = model.program.header.inputs[0]
    assert np.all(model.quantize(far)[0] == tensor.dtype.max)
    assert model.fidelity([(far,)]).saturated_inputs == EXAMPLE.size
    caplog.clear()
    model.predict(far)
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("input x has 1e+06 at [0, 0], and 11 more beyond; the model takes -")
    with pytest.raises(
        ExecutionError, match=r"input x has 1e\+06 at .* lower the model with samples that reach as far"
    ):
        model.predict(far, strict=True)
    caplog.clear()
    model.predict(EXAMPLE, strict=True)
    assert not caplog.records


def test_constants_that_share_a_root_keep_their_own_shapes() -> None:
    # All-zero weights of different shapes, and the same bytes as another dtype, commit to the same root.
    first, second = np.zeros((4, 3), np.float32), np.zeros((3, 5), np.float32)
    table = jnp.array([1, 0, 0], jnp.int8)
    wide = jnp.array([1], jnp.int16)
    model = lower(
        lambda x: (x @ first, (x @ first) @ second, table[jnp.argmax(x, 1) % 3], wide[jnp.argmax(x, 1) % 1]), EXAMPLE
    )
    real = model.fn(EXAMPLE)  # type: ignore[misc]
    for expected, got in zip(jax.tree.leaves(real), jax.tree.leaves(model.predict(EXAMPLE)), strict=True):
        np.testing.assert_array_equal(np.asarray(expected), got)


class Answers(NamedTuple):
    approve: Any
    reject: Any


@pytest.mark.parametrize(
    ("fn", "structure"),
    [
        (lambda x: x + 1, 0),
        (lambda x: {"reject": x + 1, "approve": x}, {"approve": 0, "reject": 1}),
        (lambda x: (x, [x + 1, {"z": x}], ()), (0, [1, {"z": 2}], ())),
        (lambda x: Answers(x, x + 1), [0, 1]),
        (lambda x: OrderedDict(b=x, a=x + 1), [0, 1]),
        (lambda x: {1: x, 2: x + 1}, [0, 1]),
    ],
)
def test_the_structure_of_the_result_is_the_interface_s(fn: Any, structure: Any, tmp_path: Any) -> None:
    model = lower(fn, EXAMPLE)
    assert model.program.interface.structure == structure
    model.save(tmp_path / "m")
    loaded = load(tmp_path / "m").predict(EXAMPLE)
    jax.tree.map(np.testing.assert_array_equal, loaded, model.predict(EXAMPLE))


def test_names_are_those_of_the_arguments_made_fit() -> None:
    model = lower(
        lambda image, rest: {"a\nb": image + rest["x"], "": rest["y"] * 2}, EXAMPLE, {"x": EXAMPLE, "y": np.int32(3)}
    )
    interface = model.program.interface
    assert [port.name for port in interface.inputs] == ["image", "rest.x", "rest.y"]
    assert [(port.name, port.dtype) for port in interface.outputs] == [("output", "int32"), ("a_b", "float32")]
    assert [port.dtype for port in interface.inputs] == ["float32", "float32", "int32"]
    alike = model.named(["x_2", "x", "x"], None).program.interface
    assert [port.name for port in alike.inputs] == ["x_2", "x", "x_3"]
    longer = model.named(["x" * 999, "x" * 998, "\x00"], None).program
    assert list(longer.interface.problems(longer.header)) == [] and longer.id != model.program.id


def test_a_manifest_decides_nothing_that_its_id_does_not_commit_to(tmp_path: Any) -> None:
    """Exchanged answers, another dtype, another structure: another id, or no effect."""
    weights = jnp.asarray(reals(4, 2))
    model = lower(lambda x: {"approve": jax.nn.sigmoid(x @ weights[:, 0]), "reject": x @ weights[:, 1]}, reals(2, 4))
    x = reals(2, 4)
    model.save(tmp_path / "m")
    path = tmp_path / "m" / "manifest.json"
    manifest, right = json.loads(path.read_text()), model.predict(x)
    own = model.program.interface
    for other in (
        replace(own, outputs=tuple(reversed(own.outputs))),
        replace(own, outputs=tuple(replace(port, dtype="float64") for port in own.outputs)),
        replace(own, structure=[0, 1]),
    ):
        path.write_text(json.dumps({**manifest, "interface": encode_interface(other).hex()}))
        with pytest.raises(EncodingError, match="it was altered"):
            load(tmp_path / "m")
    path.write_text(json.dumps({**manifest, "interface": "00"}))
    with pytest.raises(EncodingError, match="interface ends after 1 bytes"):
        load(tmp_path / "m")
    meta = dict.fromkeys((*manifest["meta"], "inputs", "outputs", "structure"), "anything")
    path.write_text(json.dumps({**manifest, "meta": meta}))
    found = load(tmp_path / "m")
    assert found.program.id == model.program.id
    jax.tree.map(np.testing.assert_array_equal, found.predict(x), right)


def test_a_head_that_is_the_embedding_is_quantised_once(monkeypatch: pytest.MonkeyPatch) -> None:
    table = jnp.asarray(reals(2048, 32))
    shapes: list[tuple[int, ...]] = []

    def counted(ctx: Any, moved: np.ndarray, count: int, dtype: Any) -> Any:
        shapes.append(moved.shape)
        return quantised(ctx, moved, count, dtype)

    quantised = linear._quantised
    monkeypatch.setattr(linear, "_quantised", counted)
    monkeypatch.setattr(Model, "fidelity", lambda self, samples: Fidelity(0, (), 0))
    tokens = np.arange(4, dtype=np.int32)
    model = lower(lambda tokens: jnp.einsum("ni,oi->no", table[tokens], table), tokens)
    assert shapes == [table.shape]
    assert len([array for array in model.program.constants.values() if array.size == table.size]) == 1
    # The same memory with its channels along another axis is other weights.
    square = jnp.asarray(reals(256, 256))
    lower(lambda tokens: square[tokens] @ square, tokens)
    assert shapes[1:] == [square.shape] * 2


def test_bounds_of_channels_are_those_of_every_channel_by_itself() -> None:
    random = np.random.default_rng(0)
    m = Multipliers.of(random.normal(size=64) * 2.0 ** random.integers(-9, 3, 64), 15)
    low, high = -12_345, 1_000_001
    each = [
        (x * int(a) >> int(s)) + d
        for a, s in zip(m.mantissas, m.shifts, strict=True)
        for x in (low, high)
        for d in (0, 1)
    ]
    emitter = CodeEmitter(LazyOp((64,), np.dtype(np.float32), RealRange(0, 1, 1)))
    x = emitter.index(0, 64)
    assert emitter.bounds[m.multiplied(emitter, x, x, x, low, high)] == (min(each), max(each))
