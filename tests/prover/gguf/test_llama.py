from __future__ import annotations

import math
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind

from prover import load_gguf
from prover.gguf.architecture import ARCHITECTURES
from prover.gguf.config import Rotation, TransformerConfig
from prover.gguf.weights import expected_tensors
from rollup.errors import LoweringError
from tests.models.tiny_llama import tiny_weights, write_tiny_llama
from tests.prover.gguf import numpy_llama
from tests.prover.gguf.raw import F32, STRING, U32, Raw, entry, tensor, text

TOKENS = np.array([1, 75, 300, 12, 12, 255, 0, 261, 99, 2, 318], dtype=np.int32)


def _difference(path: Path, weights: dict[str, np.ndarray], **shape: Any) -> float:
    expected = numpy_llama.logits(weights, TOKENS, **shape)
    got = np.asarray(load_gguf(path).logits(TOKENS))
    assert got.dtype == np.float32 and got.shape == expected.shape
    return float(np.abs(got - expected).max() / expected.std())


@pytest.mark.parametrize(
    "kind", [Kind.F32, Kind.F16, Kind.BF16, Kind.Q8_0, Kind.Q4_1, Kind.Q4_0], ids=lambda kind: kind.name
)
def test_every_storage_kind_gives_the_logits_of_a_plain_forward_pass(tmp_path: Path, kind: Kind) -> None:
    weights = write_tiny_llama(tmp_path / "m.gguf", kind=kind)
    assert _difference(tmp_path / "m.gguf", weights, layers=2, heads=4, kv=2, head=16) < 2e-5


@pytest.mark.parametrize(("heads", "kv"), [(4, 1), (4, 4), (6, 3)])
def test_heads_share_keys_and_values_in_groups(tmp_path: Path, heads: int, kv: int) -> None:
    weights = write_tiny_llama(tmp_path / "m.gguf", width=96, heads=heads, kv=kv, layers=1, head=16)
    assert _difference(tmp_path / "m.gguf", weights, layers=1, heads=heads, kv=kv, head=16) < 2e-5


def test_an_untied_model_projects_with_its_own_matrix(tmp_path: Path) -> None:
    weights = write_tiny_llama(tmp_path / "m.gguf", tied=False, layers=1)
    model = load_gguf(tmp_path / "m.gguf")
    assert not model.config.tied and model.weights.head is not model.weights.embedding
    assert _difference(tmp_path / "m.gguf", weights, layers=1, heads=4, kv=2, head=16) < 2e-5


def test_a_tied_model_holds_its_embedding_once(tmp_path: Path) -> None:
    write_tiny_llama(tmp_path / "m.gguf")
    model = load_gguf(tmp_path / "m.gguf")
    assert model.config.tied and model.weights.head is model.weights.embedding


@pytest.mark.parametrize(
    ("metadata", "shape"),
    [
        ({"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4.0}, {"stretch": 4.0}),
        ({"llama.rope.scale_linear": 2.0}, {"stretch": 2.0}),
        ({"llama.rope.scaling.type": "none", "llama.rope.scaling.factor": 4.0}, {}),
        ({"llama.rope.scaling.factor": 4.0}, {"stretch": 4.0}),
        ({"llama.rope.dimension_count": 8}, {"rotated": 8}),
        ({"llama.rope.freq_base": 500.0}, {"theta": 500.0}),
        ({"llama.attention.layer_norm_rms_epsilon": 0.5}, {"epsilon": 0.5}),
    ],
)
def test_metadata_reach_the_function(tmp_path: Path, metadata: dict[str, Any], shape: dict[str, Any]) -> None:
    weights = write_tiny_llama(tmp_path / "m.gguf", layers=1, metadata=metadata)
    plain = _difference(tmp_path / "m.gguf", weights, layers=1, heads=4, kv=2, head=16)
    assert _difference(tmp_path / "m.gguf", weights, layers=1, heads=4, kv=2, head=16, **shape) < 2e-5
    assert plain > 1e-3 or not shape  # the setting matters


def test_divisors_of_the_frequencies_are_used(tmp_path: Path) -> None:
    divisors = np.geomspace(1, 8, 8).astype(np.float32)
    weights = write_tiny_llama(tmp_path / "m.gguf", layers=1, tensors={"rope_freqs.weight": divisors})
    assert _difference(tmp_path / "m.gguf", weights, layers=1, heads=4, kv=2, head=16) < 2e-5


def test_what_comes_later_changes_no_earlier_logit(tmp_path: Path) -> None:
    write_tiny_llama(tmp_path / "m.gguf")
    model = load_gguf(tmp_path / "m.gguf")
    changed = TOKENS.copy()
    changed[6:] = 50
    before, after = np.asarray(model.logits(TOKENS)), np.asarray(model.logits(changed))
    np.testing.assert_array_equal(before[:6], after[:6])
    assert np.any(before[6:] != after[6:])


@pytest.mark.parametrize(
    ("metadata", "named"),
    [
        ({"llama.block_count": None}, "llama.block_count"),
        ({"llama.block_count": 0}, "llama.block_count"),
        ({"llama.block_count": 4096}, "blk.2."),
        ({"llama.block_count": 1 << 31}, "llama.block_count"),
        ({"llama.block_count": "two"}, "llama.block_count"),
        ({"llama.block_count": True}, "llama.block_count"),
        ({"llama.block_count": 1}, "blk.1."),
        ({"llama.embedding_length": 65}, "token_embd.weight"),
        ({"llama.feed_forward_length": 127}, "ffn_gate"),
        ({"llama.attention.head_count": 0}, "head_count"),
        ({"llama.attention.head_count": 3}, "3 heads"),
        ({"llama.attention.head_count_kv": [2, 2]}, "head_count_kv"),
        ({"llama.attention.key_length": 15, "llama.attention.value_length": 15}, "of 15 elements"),
        ({"llama.attention.value_length": 8}, "different sizes"),
        ({"llama.rope.dimension_count": 32}, "32 rotated"),
        ({"llama.attention.layer_norm_rms_epsilon": float("nan")}, "epsilon"),
        ({"llama.rope.freq_base": float("inf")}, "freq_base"),
        ({"llama.rope.scaling.type": "yarn"}, "yarn"),
        ({"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 0.0}, "factor"),
        ({"llama.expert_count": 8}, "expert_count"),
        ({"llama.attention.sliding_window": 128}, "sliding_window"),
        ({"llama.vocab_size": 321}, "token_embd.weight"),
        ({"general.architecture": "mamba"}, "mamba"),
    ],
)  # fmt: skip
def test_a_senseless_or_unsupported_configuration_is_refused_by_name(
    tmp_path: Path, metadata: dict[str, Any], named: str
) -> None:
    path = tmp_path / "m.gguf"
    write_tiny_llama(path, metadata=metadata)
    with pytest.raises(LoweringError, match=named) as caught:
        load_gguf(path)
    assert str(path) in str(caught.value)


def test_a_tensor_of_another_architecture_is_refused(tmp_path: Path) -> None:
    write_tiny_llama(tmp_path / "m.gguf", tensors={"blk.0.attn_q.bias": np.ones(64, np.float32)})
    with pytest.raises(LoweringError, match=r"blk\.0\.attn_q\.bias"):
        load_gguf(tmp_path / "m.gguf")


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    write_tiny_llama(tmp_path / "m.gguf", drop=("blk.1.ffn_up.weight",))
    with pytest.raises(LoweringError, match=r"blk\.1\.ffn_up\.weight.* missing"):
        load_gguf(tmp_path / "m.gguf")


@pytest.mark.parametrize(
    "tensors",
    [
        {"blk.0.attn_k.weight": np.zeros((64, 32), np.float32)},
        {"output_norm.weight": np.zeros((1, 64), np.float32)},
        {"rope_freqs.weight": np.ones(7, np.float32)},
        {"rope_freqs.weight": np.zeros(8, np.float32)},
    ],
)
def test_a_tensor_of_a_wrong_shape_or_value_is_named(tmp_path: Path, tensors: dict[str, np.ndarray]) -> None:
    write_tiny_llama(tmp_path / "m.gguf", tensors=tensors)
    with pytest.raises(LoweringError, match=next(iter(tensors)).replace(".", r"\.")):
        load_gguf(tmp_path / "m.gguf")


def test_weights_that_exceed_the_machines_memory_are_refused_before_they_are_read(tmp_path: Path) -> None:
    """A sparse file: it claims terabytes, and holds a few kilobytes."""
    config = TransformerConfig(
        ARCHITECTURES["llama"], 1, 1 << 16, 1, 1, 1, 2, 1.0, Rotation(2, 1e4), None, 0, 1e-5, 512, 0, 1 << 22, True
    )
    offset, rows = 0, []
    for name, shape in expected_tensors(config).items():
        rows.append(tensor(name.encode(), shape[::-1], offset=offset))
        offset += -(-4 * math.prod(shape) // 32) * 32
    integers = {
        "block_count": 1, "embedding_length": config.width, "feed_forward_length": 1, "attention.head_count": 1, "attention.key_length": 2,
        "context_length": 512, "vocab_size": config.vocabulary,
    }  # fmt: skip
    entries = [entry(f"llama.{key}".encode(), U32, struct.pack("<I", value)) for key, value in integers.items()]
    entries.append(entry(b"llama.attention.layer_norm_rms_epsilon", F32, struct.pack("<f", 1e-5)))
    entries.append(entry(b"general.architecture", STRING, text(b"llama")))
    path = Raw(entries=tuple(entries), tensors=tuple(rows)).write(tmp_path / "m.gguf")
    os.truncate(path, path.stat().st_size + offset)
    model = load_gguf(path)
    with pytest.raises(LoweringError, match=r"the weights need \d+ MiB as float32, this machine has"):
        model.logits(TOKENS)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [Kind.F32, Kind.F16])
def test_a_weight_that_is_not_finite_is_refused_when_it_is_read(tmp_path: Path, value: float, kind: Kind) -> None:
    weights = tiny_weights(2, 64, 128, 4, 2, 16, 320, True, 0)
    bad = weights["blk.1.ffn_down.weight"].copy()
    bad[63, 127] = value
    write_tiny_llama(tmp_path / "m.gguf", kind=kind, tensors={"blk.1.ffn_down.weight": bad})
    with pytest.raises(LoweringError, match=r"blk\.1\.ffn_down\.weight.*NaN or infinite"):
        load_gguf(tmp_path / "m.gguf").logits(TOKENS)
