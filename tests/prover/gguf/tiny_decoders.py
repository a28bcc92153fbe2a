"""A tiny decoder of every architecture in a GGUF file, with the keys and tensors that llama.cpp's converter writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.models.tiny_llama import byte_level_tokenizer, write_gguf
from tests.prover.gguf.numpy_decoders import Sizes

WIDTH, HIDDEN, VOCABULARY, CONTEXT = 32, 48, 320, 64
NAMES = ("qwen2", "qwen3", "gemma3", "phi3", "gpt2")
SIZES = {
    "qwen2": Sizes(layers=2, heads=4, kv=2, head=8),
    "qwen3": Sizes(layers=2, heads=4, kv=2, head=12, theta=1e6),
    "gemma3": Sizes(layers=6, heads=4, kv=1, head=12, theta=1e6, window=4),
    "phi3": Sizes(layers=2, heads=4, kv=2, head=8, rotated=6, window=5),
    "gpt2": Sizes(layers=2, heads=4, kv=4, head=8),
}


def tensors(name: str, seed: int = 0, tied: bool = True) -> dict[str, np.ndarray]:
    """Random weights by the file's names, in sizes that keep activations near one."""
    random = np.random.default_rng(seed)
    s = SIZES[name]
    found: dict[str, np.ndarray] = {}

    def matrix(at: str, outputs: int, inputs: int, gain: float = 1.0, bias: bool = name == "gpt2") -> None:
        found[f"{at}.weight"] = (gain * random.standard_normal((outputs, inputs)) / np.sqrt(inputs)).astype(np.float32)
        if bias:
            found[f"{at}.bias"] = (0.3 * random.standard_normal(outputs)).astype(np.float32)

    def norm(at: str, size: int = WIDTH) -> None:
        found[f"{at}.weight"] = random.uniform(0.5, 1.5, size).astype(np.float32)
        if name == "gpt2":
            found[f"{at}.bias"] = (0.2 * random.standard_normal(size)).astype(np.float32)

    queries, keys = s.heads * s.head, s.kv * s.head
    matrix("token_embd", VOCABULARY, WIDTH, 0.3 if name == "gemma3" else 1.7, bias=False)
    if name == "gpt2":
        matrix("position_embd", CONTEXT, WIDTH, bias=False)
    for n in range(s.layers):
        norm(f"blk.{n}.attn_norm")
        if name in ("phi3", "gpt2"):
            matrix(f"blk.{n}.attn_qkv", queries + 2 * keys, WIDTH, 2.0)
        else:
            for letter, outputs in (("q", queries), ("k", keys), ("v", keys)):
                matrix(f"blk.{n}.attn_{letter}", outputs, WIDTH, 2.0, bias=name == "qwen2")
        if name in ("qwen3", "gemma3"):
            norm(f"blk.{n}.attn_q_norm", s.head)
            norm(f"blk.{n}.attn_k_norm", s.head)
        matrix(f"blk.{n}.attn_output", WIDTH, queries)
        norm(f"blk.{n}.ffn_norm")
        if name not in ("phi3", "gpt2"):
            matrix(f"blk.{n}.ffn_gate", HIDDEN, WIDTH)
        matrix(f"blk.{n}.ffn_up", 2 * HIDDEN if name == "phi3" else HIDDEN, WIDTH)
        matrix(f"blk.{n}.ffn_down", WIDTH, HIDDEN)
        if name == "gemma3":
            norm(f"blk.{n}.post_attention_norm")
            norm(f"blk.{n}.post_ffw_norm")
    norm("output_norm")
    if not tied:
        matrix("output", VOCABULARY, WIDTH, 2.0, bias=False)
    return found


def keys(name: str) -> dict[str, Any]:
    """Metadata under the architecture's prefix."""
    s = SIZES[name]
    found: dict[str, Any] = {
        "block_count": s.layers,
        "context_length": CONTEXT,
        "embedding_length": WIDTH,
        "feed_forward_length": HIDDEN,
        "attention.head_count": s.heads,
    }
    if name == "gpt2":
        return found | {"attention.layer_norm_epsilon": 1e-5}
    found |= {
        "attention.head_count_kv": s.kv,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "rope.freq_base": s.theta,
    }
    if name in ("qwen3", "gemma3"):
        found |= {"attention.key_length": s.head, "attention.value_length": s.head}
    if name == "phi3":
        found |= {"rope.dimension_count": s.rotated, "rope.scaling.original_context_length": CONTEXT}
    if name in ("gemma3", "phi3"):
        found["attention.sliding_window"] = s.window
    return found


def write_tiny(
    path: str | Path,
    name: str,
    *,
    seed: int = 0,
    tied: bool = True,
    metadata: Mapping[str, Any] | None = None,
    whole: Mapping[str, Any] | None = None,
    others: Mapping[str, np.ndarray] | None = None,
    drop: Sequence[str] = (),
) -> dict[str, np.ndarray]:
    """Write the file and give back its weights. ``metadata``: further keys under the prefix, or other values, None leaves one out;
    ``whole``: the same by whole key; ``others``: further tensors, or others; ``drop``: those that the file lacks."""
    given = {f"{name}.{key}": value for key, value in (keys(name) | dict(metadata or {})).items()}
    given |= byte_level_tokenizer(VOCABULARY, "gpt-2" if name == "gpt2" else "qwen2") | dict(whole or {})
    held = {n: array for n, array in (tensors(name, seed, tied) | dict(others or {})).items() if n not in drop}
    write_gguf(path, name, given, held)
    return held
