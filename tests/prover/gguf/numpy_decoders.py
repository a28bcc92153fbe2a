"""Qwen2, Qwen3, Gemma 3, Phi-3 and GPT-2 written down plainly in float64 from their published formulas: a text's logits position by
position, head by head, from the tensors as the file names them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
Turned = Callable[[Array, int], Array]


@dataclass(frozen=True)
class Sizes:
    """What the tests vary. ``head``: elements of a head; ``window``: the latest positions that a layer with a window sees."""

    layers: int
    heads: int
    kv: int
    head: int
    theta: float = 10_000.0
    rotated: int | None = None
    stretch: float = 1.0
    window: int = 1 << 30
    epsilon: float = 1e-5
    scale: float | None = None
    magnitude: float = 1.0


def qwen2(w: Mapping[str, Array], tokens: Array, s: Sizes) -> Array:
    w = _wide(w)
    stream = [w["token_embd.weight"][token] for token in tokens]
    for n in range(s.layers):
        normed = [_rms(x, w[f"blk.{n}.attn_norm.weight"], s) for x in stream]
        q, k, v = (
            [w[f"blk.{n}.attn_{c}.weight"] @ x + w[f"blk.{n}.attn_{c}.bias"] for x in normed]
            for c in "qkv"
        )  # fmt: skip
        mixed = _attend(q, k, v, s, turned=_halves(s))
        stream = [x + w[f"blk.{n}.attn_output.weight"] @ m for x, m in zip(stream, mixed, strict=True)]
        stream = [x + _swiglu(w, n, _rms(x, w[f"blk.{n}.ffn_norm.weight"], s)) for x in stream]
    return _logits(w, [_rms(x, w["output_norm.weight"], s) for x in stream])


def qwen3(w: Mapping[str, Array], tokens: Array, s: Sizes) -> Array:
    w = _wide(w)
    stream = [w["token_embd.weight"][token] for token in tokens]
    for n in range(s.layers):
        normed = [_rms(x, w[f"blk.{n}.attn_norm.weight"], s) for x in stream]
        q, k, v = ([w[f"blk.{n}.attn_{c}.weight"] @ x for x in normed] for c in "qkv")
        q, k = _head_norms(w, n, q, k, s)
        mixed = _attend(q, k, v, s, turned=_halves(s))
        stream = [x + w[f"blk.{n}.attn_output.weight"] @ m for x, m in zip(stream, mixed, strict=True)]
        stream = [x + _swiglu(w, n, _rms(x, w[f"blk.{n}.ffn_norm.weight"], s)) for x in stream]
    return _logits(w, [_rms(x, w["output_norm.weight"], s) for x in stream])


def gemma3(w: Mapping[str, Array], tokens: Array, s: Sizes, local_theta: float = 10_000.0) -> Array:
    w = _wide(w)
    stream = [w["token_embd.weight"][token] * math.sqrt(w["token_embd.weight"].shape[1]) for token in tokens]
    for n in range(s.layers):
        at = f"blk.{n}."
        normed = [_rms(x, w[at + "attn_norm.weight"], s) for x in stream]
        q, k, v = ([w[f"{at}attn_{c}.weight"] @ x for x in normed] for c in "qkv")
        q, k = _head_norms(w, n, q, k, s)
        whole = (n + 1) % 6 == 0
        turned = _halves(s) if whole else _halves(s, theta=local_theta, stretch=1.0)
        mixed = _attend(q, k, v, s, turned=turned, window=1 << 30 if whole else s.window)
        for position, m in enumerate(mixed):
            x = stream[position]
            x = x + _rms(w[at + "attn_output.weight"] @ m, w[at + "post_attention_norm.weight"], s)
            h = _rms(x, w[at + "ffn_norm.weight"], s)
            h = w[at + "ffn_down.weight"] @ (_gelu(w[at + "ffn_gate.weight"] @ h) * (w[at + "ffn_up.weight"] @ h))
            stream[position] = x + _rms(h, w[at + "post_ffw_norm.weight"], s)
    return _logits(w, [_rms(x, w["output_norm.weight"], s) for x in stream])


def phi3(w: Mapping[str, Array], tokens: Array, s: Sizes) -> Array:
    w = _wide(w)
    divisors = w.get("rope_factors_short.weight")
    stream = [w["token_embd.weight"][token] for token in tokens]
    for n in range(s.layers):
        fused = [w[f"blk.{n}.attn_qkv.weight"] @ _rms(x, w[f"blk.{n}.attn_norm.weight"], s) for x in stream]
        q, k, v = _thirds(fused, s)
        mixed = _attend(q, k, v, s, turned=_halves(s, divisors=divisors), window=s.window)
        for position, m in enumerate(mixed):
            x = stream[position] + w[f"blk.{n}.attn_output.weight"] @ m
            both = w[f"blk.{n}.ffn_up.weight"] @ _rms(x, w[f"blk.{n}.ffn_norm.weight"], s)
            gate, up = both[: len(both) // 2], both[len(both) // 2 :]
            stream[position] = x + w[f"blk.{n}.ffn_down.weight"] @ (gate / (1 + np.exp(-gate)) * up)
    return _logits(w, [_rms(x, w["output_norm.weight"], s) for x in stream])


def gpt2(w: Mapping[str, Array], tokens: Array, s: Sizes) -> Array:
    w = _wide(w)

    def norm(x: Array, name: str) -> Array:
        return (x - x.mean()) / np.sqrt(x.var() + s.epsilon) * w[name + ".weight"] + w[name + ".bias"]

    def linear(x: Array, name: str) -> Array:
        return w[name + ".weight"] @ x + w[name + ".bias"]

    stream = [w["token_embd.weight"][token] + w["position_embd.weight"][at] for at, token in enumerate(tokens)]
    for n in range(s.layers):
        q, k, v = _thirds([linear(norm(x, f"blk.{n}.attn_norm"), f"blk.{n}.attn_qkv") for x in stream], s)
        for position, m in enumerate(_attend(q, k, v, s, turned=lambda x, _: x)):
            x = stream[position] + linear(m, f"blk.{n}.attn_output")
            h = _gelu(linear(norm(x, f"blk.{n}.ffn_norm"), f"blk.{n}.ffn_up"))
            stream[position] = x + linear(h, f"blk.{n}.ffn_down")
    return _logits(w, [norm(x, "output_norm") for x in stream])


def _wide(w: Mapping[str, Array]) -> dict[str, Array]:
    return {name: array.astype(np.float64) for name, array in w.items()}


def _logits(w: Mapping[str, Array], stream: list[Array]) -> Array:
    head = w.get("output.weight", w["token_embd.weight"])
    return np.stack([head @ x for x in stream])


def _rms(x: Array, scale: Array, s: Sizes) -> Array:
    return x / np.sqrt(np.mean(x**2) + s.epsilon) * scale


def _gelu(x: Array) -> Array:
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _swiglu(w: Mapping[str, Array], n: int, x: Array) -> Array:
    gate = w[f"blk.{n}.ffn_gate.weight"] @ x
    return w[f"blk.{n}.ffn_down.weight"] @ (gate / (1 + np.exp(-gate)) * (w[f"blk.{n}.ffn_up.weight"] @ x))


def _head_norms(
    w: Mapping[str, Array], n: int, q: list[Array], k: list[Array], s: Sizes
) -> tuple[list[Array], list[Array]]:
    def normed(rows: list[Array], scale: Array) -> list[Array]:
        return [np.concatenate([_rms(part, scale, s) for part in row.reshape(-1, s.head)]) for row in rows]

    return normed(q, w[f"blk.{n}.attn_q_norm.weight"]), normed(k, w[f"blk.{n}.attn_k_norm.weight"])


def _thirds(fused: list[Array], s: Sizes) -> tuple[list[Array], list[Array], list[Array]]:
    a, b = s.heads * s.head, (s.heads + s.kv) * s.head
    return [row[:a] for row in fused], [row[a:b] for row in fused], [row[b:] for row in fused]


def _halves(
    s: Sizes, theta: float | None = None, stretch: float | None = None, divisors: Array | None = None
) -> Turned:
    """x * cos + rotate_half(x) * sin over the rotated elements, the others as they are."""
    rotated = s.rotated or s.head
    theta, stretch = theta or s.theta, stretch or s.stretch
    inverse = theta ** -(np.arange(0, rotated, 2) / rotated)
    if divisors is not None:
        inverse = inverse / divisors

    def turned(x: Array, position: int) -> Array:
        angles = np.concatenate([inverse, inverse]) * position / stretch
        front = x[:rotated]
        half = np.concatenate([-front[rotated // 2 :], front[: rotated // 2]])
        return np.concatenate([(front * np.cos(angles) + half * np.sin(angles)) * s.magnitude, x[rotated:]])

    return turned


def _attend(
    q: list[Array], k: list[Array], v: list[Array], s: Sizes, turned: Turned, window: int = 1 << 30
) -> list[Array]:
    """Heads' mixed values, side by side, of every position."""
    mixed = []
    for position in range(len(q)):
        first = max(0, position - window + 1)
        parts = []
        for h in range(s.heads):
            own = slice(h * s.head, (h + 1) * s.head)
            shared = slice(h * s.kv // s.heads * s.head, (h * s.kv // s.heads + 1) * s.head)
            query = turned(q[position][own], position)
            scores = np.array([query @ turned(k[at][shared], at) for at in range(first, position + 1)])
            scores *= s.scale or s.head**-0.5
            share = np.exp(scores - scores.max())
            share /= share.sum()
            parts.append(sum(p * v[at][shared] for p, at in zip(share, range(first, position + 1), strict=True)))
        mixed.append(np.concatenate(parts))
    return mixed
