"""Gemma 3 270M from its GGUF file (Q4_K_M), which comes in four packages.

Its head of 262,144 tokens is more than half of the weights, and its activations reach some hundred thousands.
"""

from __future__ import annotations

from tests.models.decoder import Decoder, Promises
from tests.models.packages import GEMMA, assembled

GEMMA3 = Decoder(
    "Gemma 3 270M",
    "gemma3",
    GEMMA,
    lambda: assembled(GEMMA[0]),
    Promises(
        lowering=300,
        values=30,
        trace=2.1,
        agreed=0.995,
        divergence=5e-5,
        perplexity=1.001,
        greedy=8,
        narrow=(0.9, 2e-2, 1.05),
    ),
)
