"""A Llama written down plainly in float64: loops over positions and heads, complex numbers for rotations."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def logits(
    weights: Mapping[str, np.ndarray],
    tokens: np.ndarray,
    *,
    layers: int,
    heads: int,
    kv: int,
    head: int,
    theta: float = 10_000.0,
    rotated: int | None = None,
    stretch: float = 1.0,
    epsilon: float = 1e-5,
) -> np.ndarray:
    """[n, vocabulary] of token ids [n], from weights by the file's names."""
    rotated = rotated or head
    w = {name: array.astype(np.float64) for name, array in weights.items()}
    divisors = w.get("rope_freqs.weight", np.ones(rotated // 2))

    def norm(x: np.ndarray, scale: np.ndarray) -> np.ndarray:
        return x / np.sqrt(np.mean(x**2) + epsilon) * scale

    def turned(x: np.ndarray, position: int) -> np.ndarray:
        out = x.copy()
        for pair in range(rotated // 2):
            angle = position / stretch * theta ** (-2 * pair / rotated) / divisors[pair]
            number = complex(x[2 * pair], x[2 * pair + 1]) * np.exp(1j * angle)
            out[2 * pair], out[2 * pair + 1] = number.real, number.imag
        return out

    stream = [w["token_embd.weight"][token] for token in tokens]
    for number in range(layers):
        at = {name: w[f"blk.{number}.{name}.weight"] for name in _LAYER}
        keys: list[list[np.ndarray]] = []
        values: list[list[np.ndarray]] = []
        for position, x in enumerate(stream):
            normed = norm(x, at["attn_norm"])
            query, key, value = (at[f"attn_{c}"] @ normed for c in "qkv")
            keys.append([turned(key[h * head : (h + 1) * head], position) for h in range(kv)])
            values.append([value[h * head : (h + 1) * head] for h in range(kv)])
            mixed = []
            for h in range(heads):
                mine, shared = turned(query[h * head : (h + 1) * head], position), h * kv // heads
                scores = np.array([mine @ key[shared] for key in keys]) / np.sqrt(head)
                share = np.exp(scores - scores.max())
                mixed.append(sum(s * v[shared] for s, v in zip(share / share.sum(), values, strict=True)))
            x = x + at["attn_output"] @ np.concatenate(mixed)
            normed = norm(x, at["ffn_norm"])
            gate = at["ffn_gate"] @ normed
            stream[position] = x + at["ffn_down"] @ (gate / (1 + np.exp(-gate)) * (at["ffn_up"] @ normed))
    head_matrix = w.get("output.weight", w["token_embd.weight"])
    return np.stack([head_matrix @ norm(x, w["output_norm.weight"]) for x in stream])


_LAYER = ("attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down")
