from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from prover import LanguageModel, Model, load_gguf, lower
from prover.executor import Executor
from prover.executor.incremental import Incremental
from prover.fidelity import Fidelity
from prover.language.generation import logits_value
from prover.language.language import ClaimInput
from rollup.errors import LoweringError
from tests.prover.gguf import numpy_decoders
from tests.prover.gguf.numpy_decoders import Sizes
from tests.prover.gguf.tiny_decoders import CONTEXT, NAMES, SIZES, VOCABULARY, WIDTH, tensors, write_tiny

TOKENS = np.array([1, 75, 300, 12, 12, 255, 0, 261, 99, 2, 318], dtype=np.int32)
POSITIONS = 10


def _difference(path: Path, name: str, weights: dict[str, np.ndarray], sizes: Sizes, **options: Any) -> float:
    expected = getattr(numpy_decoders, name)(weights, TOKENS, sizes, **options)
    got = np.asarray(load_gguf(path).logits(TOKENS))
    assert got.dtype == np.float32 and got.shape == expected.shape == (len(TOKENS), VOCABULARY)
    return float(np.abs(got - expected).max() / expected.std())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_logits_are_those_of_the_published_formula(tmp_path: Path, name: str, tied: bool) -> None:
    weights = write_tiny(tmp_path / "m.gguf", name, tied=tied)
    assert load_gguf(tmp_path / "m.gguf").config.tied is tied
    assert _difference(tmp_path / "m.gguf", name, weights, SIZES[name]) < 1e-4


@pytest.mark.parametrize(
    ("name", "metadata", "changes", "options"),
    [
        ("qwen2", {"rope.freq_base": 77.0}, {"theta": 77.0}, {}),
        ("qwen2", {"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}, {"stretch": 4.0}, {}),
        ("qwen2", {"attention.layer_norm_rms_epsilon": 0.5}, {"epsilon": 0.5}, {}),
        ("qwen3", {"rope.dimension_count": 6}, {"rotated": 6}, {}),
        ("gemma3", {"attention.sliding_window": 2}, {"window": 2}, {}),
        ("gemma3", {"attention.sliding_window": 0}, {"window": 1 << 30}, {"local_theta": 1e6}),
        ("gemma3", {"rope.freq_base": 50.0}, {"theta": 50.0}, {}),
        ("gemma3", {"rope.freq_base_swa": 50.0}, {}, {"local_theta": 50.0}),
        ("gemma3", {"rope.scaling.type": "linear", "rope.scaling.factor": 8.0}, {"stretch": 8.0}, {}),
        ("phi3", {"attention.sliding_window": 2}, {"window": 2}, {}),
        ("phi3", {"attention.sliding_window": 0}, {"window": 1 << 30}, {}),
        ("phi3", {"rope.dimension_count": 8}, {"rotated": 8}, {}),
        ("phi3", {"rope.scaling.attn_factor": 1.25}, {"magnitude": 1.25}, {}),
        ("gpt2", {"attention.layer_norm_epsilon": 0.5}, {"epsilon": 0.5}, {}),
    ],
)  # fmt: skip
def test_metadata_reach_the_function(
    tmp_path: Path, name: str, metadata: dict[str, Any], changes: dict[str, Any], options: dict[str, Any]
) -> None:
    weights = write_tiny(tmp_path / "m.gguf", name, metadata=metadata)
    assert _difference(tmp_path / "m.gguf", name, weights, SIZES[name]) > 1e-3  # the setting matters
    assert _difference(tmp_path / "m.gguf", name, weights, replace(SIZES[name], **changes), **options) < 1e-4


def _long_rope() -> dict[str, np.ndarray]:
    return {
        "rope_factors_short.weight": np.array([1.0, 1.5, 3.0], np.float32),
        "rope_factors_long.weight": np.array([1.0, 4.0, 9.0], np.float32),
    }


def test_texts_within_the_first_context_turn_by_the_short_factors_and_longer_ones_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    metadata = {"rope.scaling.original_context_length": 16, "rope.scaling.attn_factor": 1.2}
    weights = write_tiny(path, "phi3", metadata=metadata, others=_long_rope())
    assert _difference(path, "phi3", weights, replace(SIZES["phi3"], magnitude=1.2)) < 1e-4
    plain = {name: array for name, array in weights.items() if not name.startswith("rope")}
    assert _difference(path, "phi3", plain, replace(SIZES["phi3"], magnitude=1.2)) > 1e-3
    model = load_gguf(path)
    with pytest.raises(LoweringError, match=r"takes 16 positions, not 17: .*rope_factors_long"):
        model.logits(np.zeros(17, np.int32))
    with pytest.raises(LoweringError, match="takes 16 positions"):
        model.generate([1] * 10, 7)
    assert len(model.generate([1] * 10, 6, stop=False)) == 6


def test_learned_positions_end_with_the_context(tmp_path: Path) -> None:
    write_tiny(tmp_path / "m.gguf", "gpt2")
    model = load_gguf(tmp_path / "m.gguf")
    assert model.logits(np.zeros(CONTEXT, np.int32)).shape == (CONTEXT, VOCABULARY)
    with pytest.raises(LoweringError, match=f"takes {CONTEXT} positions, not {CONTEXT + 1}: .*no position"):
        model.logits(np.zeros(CONTEXT + 1, np.int32))


def test_the_largest_gemma_scales_its_scores_by_width_and_heads(tmp_path: Path) -> None:
    weights = tensors("gemma3")
    layer = {n.removeprefix("blk.0."): a for n, a in weights.items() if n.startswith("blk.0.")}
    more = {f"blk.{n}.{name}": array for n in range(6, 62) for name, array in layer.items()}
    held = write_tiny(tmp_path / "m.gguf", "gemma3", metadata={"block_count": 62}, others=more)
    config = load_gguf(tmp_path / "m.gguf").config
    assert config.scale == (WIDTH // SIZES["gemma3"].heads) ** -0.5 != SIZES["gemma3"].head ** -0.5
    assert len(held) > 62 * 10 and config.windowed(60) and not config.windowed(59)


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    *((name, {"attn_logit_softcapping": 50.0}, "attn_logit_softcapping") for name in NAMES),
    *((name, {"final_logit_softcapping": 30.0}, "final_logit_softcapping") for name in NAMES),
    *((name, {"expert_count": 8}, "expert_count") for name in NAMES),
    *((name, {"attention.scale": 0.5}, r"attention\.scale") for name in NAMES),
    *((name, {"something.new": 1}, r"something\.new") for name in NAMES),
    *((name, {"context_length": None}, "context_length") for name in NAMES),
    *((name, {"block_count": 99}, r"blk\.") for name in NAMES),
    *((name, {"rope.scaling.type": "yarn"}, "yarn") for name in NAMES if name != "gpt2"),
    *((name, {"rope.scaling.type": "longrope"}, "longrope") for name in NAMES if name != "gpt2"),
    *((name, {"attention.sliding_window": 4}, "sliding_window") for name in ("qwen2", "qwen3", "gpt2")),
    *((name, {"attention.sliding_window": None}, "sliding_window") for name in ("gemma3", "phi3")),
    ("gpt2", {"attention.layer_norm_epsilon": None}, "layer_norm_epsilon"),
    ("gpt2", {"rope.scaling.type": "yarn"}, r"rope\.scaling\.type"),
    ("qwen2", {"attention.causal": False}, r"attention\.causal"),
    ("qwen2", {"rope.scaling.attn_factor": 1.5}, "attn_factor"),
    ("qwen3", {"attention.value_length": 4}, "different sizes"),
    ("gemma3", {"attention.key_length_swa": 8}, "key_length_swa"),
    ("gemma3", {"attention.sliding_window_pattern": 4}, "sliding_window_pattern"),
]


@pytest.mark.parametrize(("name", "metadata", "named"), REFUSED)
def test_what_may_change_the_function_and_is_not_known_is_refused_by_name(
    tmp_path: Path, name: str, metadata: dict[str, Any], named: str
) -> None:
    path = tmp_path / "m.gguf"
    write_tiny(path, name, metadata=metadata)
    with pytest.raises(LoweringError, match=named) as caught:
        load_gguf(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_neutral_values_of_such_keys_are_taken(tmp_path: Path, name: str) -> None:
    metadata: dict[str, Any] = {
        "attn_logit_softcapping": 0.0,
        "expert_count": 0,
        "attention.causal": True,
        "rope.scaling.finetuned": False,
    }
    if name == "gemma3":
        metadata["attention.sliding_window_pattern"] = 6
    write_tiny(tmp_path / "m.gguf", name, metadata=metadata)
    assert load_gguf(tmp_path / "m.gguf").config.architecture.name == name


@pytest.mark.parametrize("name", NAMES)
def test_every_tensor_must_be_there_in_its_shape_and_no_other(tmp_path: Path, name: str) -> None:
    path = tmp_path / "m.gguf"
    own = {n: a for n, a in tensors(name).items() if not n.startswith("blk.") or n.startswith("blk.1.")}
    for missing in own:
        write_tiny(path, name, drop=[missing])
        with pytest.raises(LoweringError, match=f"{missing}' is missing"):
            load_gguf(path)
    for wrong, array in own.items():
        shape = (*array.shape[:-1], array.shape[-1] + 1)
        write_tiny(path, name, others={wrong: np.ones(shape, np.float32)})
        with pytest.raises(LoweringError, match=f"{wrong}' has the shape"):
            load_gguf(path)
    for more in ("output.bias", "blk.0.attn_sinks.weight", "rope_freqs.weight", "blk.0.attn_norm_2.weight"):
        write_tiny(path, name, others={more: np.ones(4, np.float32)})
        with pytest.raises(LoweringError, match=f"{more}' has no place"):
            load_gguf(path)


def test_one_set_of_long_rope_factors_alone_is_refused(tmp_path: Path) -> None:
    factors = _long_rope()
    for name in factors:
        write_tiny(tmp_path / "m.gguf", "phi3", others={name: factors[name]})
        with pytest.raises(LoweringError, match="is missing"):
            load_gguf(tmp_path / "m.gguf")
    write_tiny(tmp_path / "m.gguf", "phi3", others={name: array[:2] for name, array in factors.items()})
    with pytest.raises(LoweringError, match="rope_factors_short"):
        load_gguf(tmp_path / "m.gguf")


def _refused(path: Path) -> bool:
    try:
        assert all(np.all(np.isfinite(array)) for array in jax.tree.leaves(load_gguf(path).weights))
    except LoweringError as error:
        if str(path) not in str(error):
            raise
        return True
    return False


@pytest.mark.parametrize("name", NAMES)
def test_a_header_with_flipped_bits_loads_or_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "m.gguf"
    write_tiny(path, name)
    content = path.read_bytes()
    header = min(entry.offset for entry in load_gguf(path).file.tensors.values())
    rng = random.Random(name)
    places = [content.find(f"{name}.".encode()), *(rng.randrange(header) for _ in range(60))]
    refused = 0
    for at in places:
        data = bytearray(content)
        data[at] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        refused += _refused(path)
    assert refused > 5


Lowered = tuple[LanguageModel, Executor]


@pytest.fixture(scope="module", params=NAMES)
def lowered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lowered:
    """The first layer, which has a window where any has one.

    Lowered without the report about calibration samples, and executed without the self-test: both are compiled for each program, and are
    tested elsewhere.
    """
    path = tmp_path_factory.mktemp("lowered") / f"{request.param}.gguf"
    write_tiny(path, request.param, seed=5)
    whole = load_gguf(path)
    known = LanguageModel(whole.file, replace(whole.config, layers=1))
    rows = [_row(known, seed) for seed in range(4)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Model, "fidelity", lambda self, samples: Fidelity(0, (), 0))
        model = lower(known.fn, *rows[0], calibration=rows)
    return known, Executor(model.program, self_test=False)


def _row(known: LanguageModel, seed: int) -> ClaimInput:
    tokens = np.random.default_rng(seed).integers(3, VOCABULARY, POSITIONS).tolist()
    return known.claim_input(tokens[:8], tokens[8:], POSITIONS)


def _integers(executor: Executor, row: ClaimInput) -> list[np.ndarray]:
    return [
        np.asarray(part, tensor.dtype.numpy) for part, tensor in zip(row, executor.program.header.inputs, strict=True)
    ]


def _outputs(lowered: Lowered, row: ClaimInput) -> tuple[np.ndarray, bool]:
    """(drawn, accepted) of the program."""
    _, executor = lowered
    names = [port.name for port in executor.program.interface.outputs]
    found = dict(zip(names, executor.outputs(_integers(executor, row)), strict=True))
    return np.asarray(found["drawn"]), bool(found["accepted"])


def test_the_program_chooses_as_the_float_model_does(lowered: Lowered) -> None:
    known, _ = lowered
    same = []
    for seed in range(100, 108):
        row = _row(known, seed)
        best, accepted = _outputs(lowered, row)
        same.append(best == np.asarray(known.logits(row[0])).argmax(-1))
        assert accepted is bool(known.fn(*row)["accepted"])
    assert np.mean(same) > 0.95


@pytest.mark.parametrize("lowered", ["gemma3", "phi3", "gpt2"], indirect=True)
def test_text_token_by_token_is_what_one_pass_accepts(lowered: Lowered) -> None:
    """Also where the answer grows beyond the window of a layer. Qwen's layers have nothing that these three have not."""
    known, executor = lowered
    prompt = [5, 77, 130]
    rows = Incremental(executor, block=1, self_test=False, value=logits_value(executor.program))
    state, logits = rows.start(_integers(executor, known.claim_input(prompt, [0], POSITIONS)), len(prompt))
    answer = [int(logits[-1].argmax())]
    for at in range(len(prompt), POSITIONS - 1):
        state, row = rows.step(state, at, answer[-1])
        answer.append(int(row.argmax()))
    assert len(answer) == POSITIONS - len(prompt) > SIZES["phi3"].window
    assert _outputs(lowered, known.claim_input(prompt, answer, POSITIONS))[1]
    assert answer[0] == known.generate(prompt, 1, stop=False)[0]
