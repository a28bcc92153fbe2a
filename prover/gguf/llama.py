"""The Llama architecture as a float function: a configuration, weights, and tokens to logits in plain JAX.

Names and layouts are the file's: weights are [outputs, inputs], and the rows of the query and key projections are permuted so that
the two elements that a rotation mixes lie side by side (2i, 2i + 1).
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from prover.gguf.fields import Fields
from prover.gguf.reader import GgufFile
from rollup.errors import LoweringError

Array = Any
"""A float32 array of NumPy or JAX."""
MASKED = -1e9
"""The score of a position that must not be seen."""


@dataclass(frozen=True)
class LlamaConfig:
    """Sizes and constants of a Llama model.

    ``width``: of the residual stream; ``hidden``: of the MLP; ``heads`` query heads share ``kv_heads`` key/value heads of ``head``
    elements, of which the first ``rotated`` carry the position; ``theta``: base of the rotation's wave lengths; ``stretch``: linear
    scaling, positions are divided by it; ``stretches`` [rotated / 2]: divisors of the single frequencies, or none; ``context``: the
    longest sequence that the model was trained on, in tokens; ``tied``: the embedding is the output projection, too.
    """

    layers: int
    width: int
    hidden: int
    heads: int
    kv_heads: int
    head: int
    rotated: int
    theta: float
    stretch: float
    stretches: tuple[float, ...]
    epsilon: float
    context: int
    vocabulary: int
    tied: bool

    @property
    def group(self) -> int:
        """Query heads per key/value head."""
        return self.heads // self.kv_heads


class Layer(NamedTuple):
    """Weights of one layer, [outputs, inputs]."""

    attention_norm: Array
    query: Array
    key: Array
    value: Array
    output: Array
    mlp_norm: Array
    gate: Array
    up: Array
    down: Array


class Weights(NamedTuple):
    """All weights, float32. ``head`` is ``embedding`` itself in a tied model."""

    embedding: Array
    layers: tuple[Layer, ...]
    norm: Array
    head: Array


_LAYER = {
    "attention_norm": "attn_norm",
    "query": "attn_q",
    "key": "attn_k",
    "value": "attn_v",
    "output": "attn_output",
    "mlp_norm": "ffn_norm",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
}


def read_config(file: GgufFile) -> LlamaConfig:
    """The configuration in a file's metadata; raises LoweringError for what is missing, senseless or not of this architecture."""
    fields = Fields(file.path, file.metadata)
    architecture = fields.text("general.architecture")
    if architecture != "llama":
        raise LoweringError(
            f"{file.path}: the architecture {architecture!r} is not supported; give a Llama model ('llama')"
        )
    for key in ("llama.expert_count", "llama.attention.sliding_window"):
        if fields.integer(key, 0, 1 << 31, default=0):
            raise LoweringError(f"{file.path}: {key!r} is set, which is not supported; give a dense Llama model")
    width = fields.integer("llama.embedding_length", 1, 1 << 20)
    heads = fields.integer("llama.attention.head_count", 1, 1 << 12)
    kv_heads = fields.integer("llama.attention.head_count_kv", 1, 1 << 12, default=heads)
    head = fields.integer("llama.attention.key_length", 1, 1 << 14, default=max(width // heads, 1))
    if fields.integer("llama.attention.value_length", 1, 1 << 14, default=head) != head:
        raise LoweringError(f"{file.path}: values and keys have heads of different sizes, which is not supported")
    rotated = fields.integer("llama.rope.dimension_count", 2, 1 << 14, default=head)
    if heads % kv_heads:
        raise LoweringError(
            f"{file.path}: {heads} heads can't share {kv_heads} key/value heads evenly; fetch the file again"
        )
    if head % 2 or rotated % 2 or rotated > head:
        raise LoweringError(
            f"{file.path}: {rotated} rotated of {head} elements of a head are no even number within the head; fetch the file again"
        )
    tokens = file.metadata.get("tokenizer.ggml.tokens")
    return LlamaConfig(
        layers=fields.integer("llama.block_count", 1, 1 << 12),
        width=width,
        hidden=fields.integer("llama.feed_forward_length", 1, 1 << 22),
        heads=heads,
        kv_heads=kv_heads,
        head=head,
        rotated=rotated,
        theta=fields.number("llama.rope.freq_base", 1.0, 1e12, default=10_000.0),
        stretch=_stretch(fields),
        stretches=_stretches(file, rotated),
        epsilon=fields.number("llama.attention.layer_norm_rms_epsilon", 1e-12, 1.0),
        context=fields.integer("llama.context_length", 1, 1 << 31),
        vocabulary=fields.integer(
            "llama.vocab_size", 1, 1 << 24, default=len(tokens) if isinstance(tokens, list) and tokens else None
        ),
        tied="output.weight" not in file.tensors,
    )


def _stretch(fields: Fields) -> float:
    """Linear position scaling; other kinds are refused by name."""
    kind = fields.text("llama.rope.scaling.type", default="none")
    if kind not in ("none", "linear"):
        raise LoweringError(
            f"{fields.path}: position scaling {kind!r} is not supported; give a model with none, or linear"
        )
    plain = fields.number("llama.rope.scale_linear", 1e-3, 1e6, default=1.0)
    return fields.number("llama.rope.scaling.factor", 1e-3, 1e6, default=plain) if kind == "linear" else plain


OPTIONAL = "rope_freqs.weight"
"""Divisors of the rotation's frequencies, which some long-context models carry."""


def _stretches(file: GgufFile, rotated: int) -> tuple[float, ...]:
    entry = file.tensors.get(OPTIONAL)
    if entry is None:
        return ()
    if entry.shape != (rotated // 2,):
        raise LoweringError(
            f"{file.path}: tensor {OPTIONAL!r} has the shape {entry.shape}, not {(rotated // 2,)}; fetch the file again"
        )
    values = file.read(OPTIONAL)
    if not np.all(values > 0):
        raise LoweringError(
            f"{file.path}: tensor {OPTIONAL!r} has an element that is not positive; fetch the file again"
        )
    return tuple(values.tolist())


def expected_tensors(config: LlamaConfig) -> dict[str, tuple[int, ...]]:
    """The tensors that a file of this configuration must hold, and their shapes."""
    queries, keys = config.heads * config.head, config.kv_heads * config.head
    layer = {
        "attn_norm": (config.width,),
        "attn_q": (queries, config.width),
        "attn_k": (keys, config.width),
        "attn_v": (keys, config.width),
        "attn_output": (config.width, queries),
        "ffn_norm": (config.width,),
        "ffn_gate": (config.hidden, config.width),
        "ffn_up": (config.hidden, config.width),
        "ffn_down": (config.width, config.hidden),
    }
    shapes = {"token_embd.weight": (config.vocabulary, config.width), "output_norm.weight": (config.width,)}
    if not config.tied:
        shapes["output.weight"] = (config.vocabulary, config.width)
    for number in range(config.layers):
        shapes.update({f"blk.{number}.{name}.weight": shape for name, shape in layer.items()})
    return shapes


def check_tensors(file: GgufFile, config: LlamaConfig) -> None:
    """Raises LoweringError for a tensor that is missing, has another shape, or would be ignored."""
    expected = expected_tensors(config)
    for name, shape in expected.items():
        entry = file.tensors.get(name)
        if entry is None:
            raise LoweringError(f"{file.path}: tensor {name!r} is missing; fetch the file again")
        if entry.shape != shape:
            raise LoweringError(
                f"{file.path}: tensor {name!r} has the shape {entry.shape}, the metadata say {shape}; fetch the file again"
            )
    for name in file.tensors:
        if name not in expected and name != OPTIONAL:
            raise LoweringError(
                f"{file.path}: tensor {name!r} has no place in a plain Llama model, so this is another one"
            )


def read_weights(file: GgufFile, config: LlamaConfig) -> Weights:
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
    layers = tuple(
        Layer(**{field: file.read(f"blk.{number}.{name}.weight") for field, name in _LAYER.items()})
        for number in range(config.layers)
    )
    head = embedding if config.tied else file.read("output.weight")
    return Weights(embedding, layers, file.read("output_norm.weight"), head)


def rotation(config: LlamaConfig, length: int) -> tuple[Array, Array]:
    """(cosine, signed sine) [length, 1, head / 2, 2] of every position and pair: x turns to ``x * cosine + flipped x * sine``.

    Elements beyond the rotated ones turn by zero, so that a head stays in one piece.
    """
    pairs = np.arange(0, config.rotated, 2, dtype=np.float64)
    frequencies = np.zeros(config.head // 2)
    frequencies[: len(pairs)] = config.theta ** (-pairs / config.rotated) / np.asarray(config.stretches or 1.0)
    angles = np.arange(length)[:, None, None] / config.stretch * frequencies
    cosine, sine = np.cos(angles), np.sin(angles)
    return (
        np.stack([cosine, cosine], axis=-1).astype(np.float32),
        np.stack([-sine, sine], axis=-1).astype(np.float32),
    )


def _linear(x: Array, weight: Array) -> Array:
    """[n, inputs] by [outputs, inputs]: [n, outputs]."""
    return jnp.einsum("ni,oi->no", x, weight)


def _norm(config: LlamaConfig, x: Array, weight: Array) -> Array:
    return x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + config.epsilon) * weight


def _rotate(x: Array, turn: tuple[Array, Array]) -> Array:
    """[n, heads, head]: every pair of elements turned by its position's angle."""
    cosine, sine = turn
    pairs = x.reshape(*x.shape[:-1], -1, 2)
    return (pairs * cosine + jnp.flip(pairs, axis=-1) * sine).reshape(x.shape)


def _attention(config: LlamaConfig, layer: Layer, x: Array, turn: tuple[Array, Array], seen: Array) -> Array:
    n, kv, head = x.shape[0], config.kv_heads, config.head
    query = _rotate(_linear(x, layer.query).reshape(n, config.heads, head), turn).reshape(n, kv, config.group, head)
    key = _rotate(_linear(x, layer.key).reshape(n, kv, head), turn)
    value = _linear(x, layer.value).reshape(n, kv, head)
    scores = jnp.einsum("nkgd,mkd->nkgm", query, key) * np.float32(head**-0.5)
    attention = jax.nn.softmax(jnp.where(seen, scores, MASKED), axis=-1)
    mixed = jnp.einsum("nkgm,mkd->nkgd", attention, value)
    return _linear(mixed.reshape(n, config.heads * head), layer.output)


def _mlp(layer: Layer, x: Array) -> Array:
    return _linear(jax.nn.silu(_linear(x, layer.gate)) * _linear(x, layer.up), layer.down)


def forward(config: LlamaConfig, weights: Weights, tokens: Array) -> Array:
    """Logits float32 [n, vocabulary] of ``tokens`` int32 [n]: row i is about the token after position i.

    A token outside the vocabulary counts as the nearest one inside.
    """
    positions = np.arange(tokens.shape[0])
    seen = (positions[:, None] >= positions)[:, None, None, :]
    turn = rotation(config, len(positions))
    x = jnp.take(weights.embedding, tokens, axis=0, mode="clip")
    for layer in weights.layers:
        x = x + _attention(config, layer, _norm(config, x, layer.attention_norm), turn, seen)
        x = x + _mlp(layer, _norm(config, x, layer.mlp_norm))
    return _linear(_norm(config, x, weights.norm), weights.head)
