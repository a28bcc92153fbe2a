"""The weights of a decoder in one layout for all architectures.

Fused tensors are taken apart, and the rows of query and key projections are ordered so that the two elements that a rotation mixes
lie side by side (2i, 2i + 1): what a file of the Llama architecture has already. Neither changes any product of query and key.
"""

from __future__ import annotations

import math
import os
from typing import Any, NamedTuple

import numpy as np

from prover.gguf.config import DIVISORS, LONG, SHORT, TransformerConfig
from prover.gguf.reader import GgufFile
from rollup.errors import LoweringError

Array = Any
"""A float32 array of NumPy or JAX."""


class Affine(NamedTuple):
    """A matrix [outputs, inputs] with its bias [outputs]; or a norm's factors with what it adds."""

    weight: Array
    bias: Array | None = None


class Layer(NamedTuple):
    """Weights of one layer. What an architecture lacks is None."""

    attention_norm: Affine
    query: Affine
    key: Affine
    value: Affine
    output: Affine
    mlp_norm: Affine
    gate: Affine | None
    up: Affine
    down: Affine
    query_norm: Affine | None = None
    key_norm: Affine | None = None
    attention_post_norm: Affine | None = None
    mlp_post_norm: Affine | None = None


class GgufWeights(NamedTuple):
    """All weights, float32. ``head`` is ``embedding`` itself in a tied model; ``positions`` [context, width] where they are learned."""

    embedding: Array
    layers: tuple[Layer, ...]
    norm: Affine
    head: Array
    positions: Array | None = None


def expected_tensors(config: TransformerConfig) -> dict[str, tuple[int, ...]]:
    """The tensors that a file of this configuration must hold, and their shapes."""
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (config.vocabulary, config.width)}
    if config.architecture.positions == "learned":
        shapes["position_embd.weight"] = (config.context, config.width)
    shapes |= _norm_shapes(config, "output_norm", config.width)
    if not config.tied:
        shapes["output.weight"] = (config.vocabulary, config.width)
    layer = _layer_shapes(config)
    for number in range(config.layers):
        shapes |= {f"blk.{number}.{name}": shape for name, shape in layer.items()}
    return shapes


def _norm_shapes(config: TransformerConfig, name: str, size: int) -> dict[str, tuple[int, ...]]:
    parts = ("weight",) if config.architecture.norm == "rms" else ("weight", "bias")
    return {f"{name}.{part}": (size,) for part in parts}


def _layer_shapes(config: TransformerConfig) -> dict[str, tuple[int, ...]]:
    known, width, hidden = config.architecture, config.width, config.hidden
    queries, keys = config.heads * config.head, config.kv_heads * config.head
    shapes: dict[str, tuple[int, ...]] = {}

    def matrix(name: str, outputs: int, inputs: int, bias: bool = known.biases == "all") -> None:
        shapes[f"{name}.weight"] = (outputs, inputs)
        if bias:
            shapes[f"{name}.bias"] = (outputs,)

    shapes |= _norm_shapes(config, "attn_norm", width)
    if known.fused_heads:
        matrix("attn_qkv", queries + 2 * keys, width, known.biases != "none")
    else:
        for name, outputs in (("attn_q", queries), ("attn_k", keys), ("attn_v", keys)):
            matrix(name, outputs, width, known.biases != "none")
    if known.head_norms:
        shapes |= _norm_shapes(config, "attn_q_norm", config.head) | _norm_shapes(config, "attn_k_norm", config.head)
    matrix("attn_output", width, queries)
    shapes |= _norm_shapes(config, "ffn_norm", width)
    if known.gated and not known.fused_gate:
        matrix("ffn_gate", hidden, width)
    matrix("ffn_up", 2 * hidden if known.fused_gate else hidden, width)
    matrix("ffn_down", width, hidden)
    if known.post_norms:
        shapes |= _norm_shapes(config, "post_attention_norm", width) | _norm_shapes(config, "post_ffw_norm", width)
    return shapes


def check_tensors(file: GgufFile, config: TransformerConfig) -> None:
    """Raises LoweringError for a tensor that is missing, has another shape, or would be ignored."""
    expected, known = expected_tensors(config), config.architecture
    for name, shape in expected.items():
        entry = file.tensors.get(name)
        if entry is None:
            raise LoweringError(f"{file.path}: tensor {name!r} is missing; fetch the file again")
        if entry.shape != shape:
            raise LoweringError(
                f"{file.path}: tensor {name!r} has the shape {entry.shape}, the metadata say {shape}; fetch the file again"
            )
    optional = {DIVISORS} if known.frequency_divisors else {SHORT, LONG} if known.long_rope else set()
    for name in file.tensors:
        if name not in expected and name not in optional:
            raise LoweringError(
                f"{file.path}: tensor {name!r} has no place in a plain model of the architecture {known.name!r}, so this is another one"
            )


def read_weights(file: GgufFile, config: TransformerConfig) -> GgufWeights:
    """All weights as float32: the memory of one such copy, and a few megabytes while a tensor is decoded.

    Raises LoweringError for weights that are not finite, and for more of them than this machine has memory.
    """
    needed = 4 * sum(math.prod(entry.shape) for entry in file.tensors.values())
    present = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > present:
        raise LoweringError(
            f"{file.path}: the weights need {needed >> 20} MiB as float32, this machine has {present >> 20}; use a larger one"
        )
    embedding = file.read("token_embd.weight")
    layers = tuple(_layer(file, config, f"blk.{number}.") for number in range(config.layers))
    head = embedding if config.tied else file.read("output.weight")
    learned = config.architecture.positions == "learned"
    positions = file.read("position_embd.weight") if learned else None
    return GgufWeights(embedding, layers, _affine(file, "output_norm"), head, positions)


def _affine(file: GgufFile, name: str) -> Affine:
    return Affine(
        file.read(f"{name}.weight"),
        file.read(f"{name}.bias") if f"{name}.bias" in file.tensors else None,
    )


def _layer(file: GgufFile, config: TransformerConfig, prefix: str) -> Layer:
    known = config.architecture

    def read(name: str) -> Affine:
        return _affine(file, prefix + name)

    queries, keys = config.heads * config.head, config.kv_heads * config.head
    if known.fused_heads:
        query, key, value = _split(read("attn_qkv"), [queries, queries + keys])
    else:
        query, key, value = (read(name) for name in ("attn_q", "attn_k", "attn_v"))
    gate: Affine | None
    if known.fused_gate:
        gate, up = _split(read("ffn_up"), [config.hidden])
    else:
        gate, up = read("ffn_gate") if known.gated else None, read("ffn_up")
    query_norm, key_norm = (read("attn_q_norm"), read("attn_k_norm")) if known.head_norms else (None, None)
    if known.positions == "halves":
        for part in (query, key, query_norm, key_norm):
            if part is not None:
                _pair(config, part)
    return Layer(
        attention_norm=read("attn_norm"),
        query=query,
        key=key,
        value=value,
        output=read("attn_output"),
        mlp_norm=read("ffn_norm"),
        gate=gate,
        up=up,
        down=read("ffn_down"),
        query_norm=query_norm,
        key_norm=key_norm,
        attention_post_norm=read("post_attention_norm") if known.post_norms else None,
        mlp_post_norm=read("post_ffw_norm") if known.post_norms else None,
    )


def _split(fused: Affine, places: list[int]) -> list[Affine]:
    """The parts of a fused matrix, without a copy."""
    weights = np.split(fused.weight, places)
    biases = [None] * len(weights) if fused.bias is None else np.split(fused.bias, places)
    return [Affine(weight, bias) for weight, bias in zip(weights, biases, strict=True)]


def _pair(config: TransformerConfig, part: Affine) -> None:
    """Order the elements of every head so that i and i + half become neighbours; in place."""
    assert config.rotation is not None
    half = config.rotation.rotated // 2
    order = np.arange(config.head)
    order[: 2 * half] = np.arange(2 * half).reshape(2, half).T.reshape(-1)
    for array in part:
        if array is not None:
            heads = array.reshape(-1, config.head, *array.shape[1:])
            heads[:] = heads[:, order]
