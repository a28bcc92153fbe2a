"""The architectures of GGUF files that are read, as data: in what each differs from the others.

Names of metadata keys and tensors are those that llama.cpp's converter writes. One forward function (``prover.gguf.transformer``)
serves all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Norm = Literal["rms", "layer"]
"""Root mean square, scaled; or mean and variance, scaled and shifted."""
Activation = Literal["silu", "gelu"]
"""The gate of the MLP, or what stands between its two matrices; ``gelu`` is the form with tanh."""
Positions = Literal["pairs", "halves", "learned"]
"""Rotations of neighbours (2i, 2i + 1); of the elements i and i + half; or an embedding that is added to the tokens'."""
Biases = Literal["none", "heads", "all"]
"""No matrix has a bias; queries, keys and values have one; all have."""


@dataclass(frozen=True)
class Architecture:
    """What is special about a kind of decoder.

    ``gated``: the MLP multiplies its activation with a second projection. ``fused_heads``: queries, keys and values are one tensor,
    ``attn_qkv``; ``fused_gate``: gate and second projection are one, ``ffn_up``, the gate first. ``head_norms``: queries and keys
    are normed per head. ``post_norms``: what attention and MLP give is normed before it is added to the stream.
    ``scaled_embedding``: tokens are scaled by the root of the width. ``windows``: no layer sees only the latest positions, or every
    layer does, or all but every sixth. ``local_base``: default base of the wave lengths in layers with a window, if it is another.
    ``frequency_divisors``: the tensor ``rope_freqs`` may be there; ``long_rope``: the tensors ``rope_factors_long`` and ``_short``.
    """

    name: str
    norm: Norm = "rms"
    activation: Activation = "silu"
    gated: bool = True
    positions: Positions = "halves"
    biases: Biases = "none"
    fused_heads: bool = False
    fused_gate: bool = False
    head_norms: bool = False
    post_norms: bool = False
    scaled_embedding: bool = False
    windows: Literal["none", "all", "five of six"] = "none"
    local_base: float | None = None
    frequency_divisors: bool = False
    long_rope: bool = False

    def windowed(self, layer: int) -> bool:
        """Whether a layer (from 0) sees the latest positions only."""
        return self.windows == "all" or (self.windows == "five of six" and layer % 6 != 5)


ARCHITECTURES = {
    known.name: known
    for known in (
        Architecture("llama", positions="pairs", frequency_divisors=True),
        Architecture("qwen2", biases="heads"),
        Architecture("qwen3", head_norms=True),
        Architecture(
            "gemma3",
            activation="gelu",
            head_norms=True,
            post_norms=True,
            scaled_embedding=True,
            windows="five of six",
            local_base=10_000.0,
        ),
        Architecture("phi3", fused_heads=True, fused_gate=True, windows="all", long_rope=True),
        Architecture(
            "gpt2", norm="layer", activation="gelu", gated=False, positions="learned", biases="all", fused_heads=True
        ),
    )
}
"""By ``general.architecture``."""
