"""What the integers' decoding is compared with chooses as one float pass over the text does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prover import load_gguf
from tests.models import float_decode
from tests.models.tiny_llama import write_tiny_llama
from tests.prover.gguf.tiny_decoders import VOCABULARY, write_tiny


@pytest.mark.parametrize("name", ["llama", "gemma3"])
def test_decoding_with_a_cache_chooses_as_one_pass_does(tmp_path: Path, name: str) -> None:
    """The Gemma's text is longer than the window of its layers."""
    if name == "llama":
        write_tiny_llama(tmp_path / "m.gguf", vocab=VOCABULARY)
    else:
        write_tiny(tmp_path / "m.gguf", name)
    model = load_gguf(tmp_path / "m.gguf")
    tokens = np.random.default_rng(3).integers(3, VOCABULARY, 12).astype(np.int32)
    cache, found = float_decode.blank(model.config, len(tokens)), []
    for at, token in enumerate(tokens):
        best, cache = float_decode.step(model.config, model.weights, cache, token, np.int32(at))
        found.append(int(best))
    assert found == np.asarray(model.logits(tokens)).argmax(-1).tolist()
